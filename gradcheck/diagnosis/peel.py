"""Peels the equations in the order of the backward path, and names the step that is wrong in each.

From the output down, each layer's dC/dW_l and dC/db_l are held to what follows from the errors
above as they were found: the right delta_l first, then wrong ones, then wrong products of them.
What explains a layer is given for the layers below, so that a mistake is not told again for all
that it spoils, and several mistakes at once are found one by one. Where there are several ways to
explain a layer, the ways with the fewest mistakes are followed (beam search of width WIDTH); the
same mistake in another layer counts next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.factors import FACTOR, named
from gradcheck.diagnosis.finding import FORMULA, PATTERN, SOME, UNKNOWN, Candidate, Finding
from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT, Formula
from gradcheck.diagnosis.formulas import Library, only
from gradcheck.diagnosis.scale import Changed, changed
from gradcheck.diagnosis.seen import blocks_of, terms_of
from gradcheck.diagnosis.thresholds import fitted as with_limit
from gradcheck.patterns import blocks

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.seen import Pair, Seen
    from gradcheck.diagnosis.symbols import Symbols

WIDTH, MOST_WAYS = 3, 6
MARGIN = 1.5
"""What costs so much more than the best way is not followed."""

COST = {FORMULA: 1.0, PATTERN: 1.5, UNKNOWN: 4.0}
TOLD_APART = 1e3
"""How often the room the least change of an example's count must show, to be solved for."""

AGAIN = 0.1
"""What a mistake costs that has been found in another layer already."""

LARGEST_TERM = 1e3
"""Terms with larger factors are no mistakes that anybody makes."""

PLAIN = 1.2
"""What a factor without a meaning costs."""

HINTED = 0.7
"""What a mistake costs that another problem has shown, in place of 1."""

MOST_BY_CHANCE = 8
"""So many different numbers, which rounding changes, must be round for a gradient to be rounded."""

W, B = 0, 1

MOST_NUMBERS = 1_000_000
"""Numbers in one array of the values of several formulas."""


@dataclass(frozen=True)
class Guide:
    """What is looked for.

    Attributes:
        known: wrong formulas by place.
        hints: places and keys that another problem has shown.
        banned: places and keys that another problem has refuted.
    """

    known: Library
    hints: frozenset[tuple[str, str]] = frozenset()
    banned: frozenset[tuple[str, str]] = frozenset()

    def formulas(self, place: str, s: Symbols) -> Iterator[Formula]:
        """Yield those of a place; of the batch only where it has several examples, or if hinted."""
        for formula in self.known[place]:
            if not (formula.of_batch and s.is_one_example) or (place, formula.key) in self.hints:
                yield formula

    def allowed(self, place: str, candidates: list[Candidate]) -> list[Candidate]:
        """Leave out what is banned."""
        return [c for c in candidates if (place, c.key) not in self.banned]

    def cost(self, finding: Finding) -> float:
        """Return what a finding costs for the first time."""
        hinted = any((finding.place, key) in self.hints for key in finding.names())
        if hinted:
            return HINTED
        return PLAIN if finding.names() == {FACTOR} else COST[finding.kind]


@dataclass(frozen=True)
class Path:
    """One way to explain the layers so far.

    Attributes:
        symbols: with the errors as they were found.
        findings: in the order of the backward path.
        cost: few and simple mistakes cost little.
        is_lost: nothing explains an error, and nothing can be said of the layers below.
    """

    symbols: Symbols
    guide: Guide
    findings: tuple[Finding, ...] = ()
    cost: float = 0.0
    is_lost: bool = False

    def with_finding(self, finding: Finding) -> Path:
        """Add a finding."""
        again = any(f.place == finding.place and f.names() & finding.names() for f in self.findings)
        cost = AGAIN if again else self.guide.cost(finding)
        return replace(self, findings=(*self.findings, finding), cost=self.cost + cost)

    def again(self) -> Guide:
        """Look for the formulas only that were found in layers above."""
        keys = {(f.place, key) for f in self.findings for key in f.names()}
        return replace(self.guide, known=only(self.guide.known, keys))

    def knowing(self, layer: int, delta: Array, dW: Array) -> Path:
        """Go down one layer."""
        return replace(self, symbols=self.symbols.knowing(layer, delta, dW))

    @property
    def has_wrong_error(self) -> bool:
        """Whether some delta is not what the right formulas give."""
        return any(f.place in (OUTPUT, HIDDEN) for f in self.findings)


@dataclass(frozen=True)
class Way:
    """One delta_l: by the right formula or by a wrong one, and which of its products fit."""

    delta: Array
    finding: Finding | None
    fits: tuple[bool, bool]


def peel(seen: Seen, guide: Guide) -> Path:
    """Explain a gradient, the output's layer first; return the explanation of the fewest mistakes.

    Args:
        seen: the engine's gradient.
        guide: what is looked for.
    """
    with np.errstate(all="ignore"):
        paths = [Path(seen.symbols, guide)]
        for layer in range(seen.symbols.L, 0, -1):
            longer = [new for path in paths for new in _down(path, layer, seen)]
            best = min(path.cost for path in longer)
            kept = [path for path in longer if path.cost < best + MARGIN]
            paths = sorted(kept, key=lambda path: path.cost)[:WIDTH]
        whole = _whole(seen, guide)
    return whole if whole is not None and whole.cost < paths[0].cost else paths[0]


def _down(path: Path, layer: int, seen: Seen) -> Iterator[Path]:
    """Yield the ways to explain one more layer."""
    if path.is_lost:
        yield path
        return
    s = path.symbols
    right = _right_way(path, layer, seen)
    dW = seen.g[layer][W]
    if all(right.fits):
        yield path.knowing(layer, right.delta, dW)
        return
    again = _wrong_ways(s, layer, seen, path.again()) if path.findings else []
    if any(all(way.fits) for way in again):
        ways = [way for way in again if all(way.fits)]
    else:
        ways = [right, *_wrong_ways(s, layer, seen, path.guide)]
    for way in ways:
        told = path if way.finding is None else path.with_finding(way.finding)
        if all(way.fits):
            yield told.knowing(layer, way.delta, dW)
        elif way is right or _explains_more(way, right):
            yield _with_products(told, way, layer, seen).knowing(layer, way.delta, dW)
    if not any(right.fits) and not any(all(way.fits) for way in ways):
        yield _solved(path, right, layer, seen)


def _explains_more(way: Way, right: Way) -> bool:
    """Whether a wrong delta_l gives a block that the right one does not, and loses none.

    One that gives dC/dW_l and not the dC/db_l that is right would be two mistakes for one.
    """
    both = list(zip(way.fits, right.fits, strict=True))
    return any(fits and not right for fits, right in both) and all(
        fits or not right for fits, right in both
    )


def _right_way(path: Path, layer: int, seen: Seen) -> Way:
    delta = path.symbols.error(layer)
    if path.has_wrong_error:
        return Way(delta, None, _fit(path.symbols, layer, delta, seen))
    wrong_W, wrong_b = (bool(wrong.any()) for wrong in seen.wrong[layer])
    return Way(delta, None, (not wrong_W, not wrong_b))


def _fit(s: Symbols, layer: int, delta: Array, seen: Seen) -> tuple[bool, bool]:
    """Whether delta^T a_{l-1} and sum_i delta fit."""
    value, terms = blocks_of(s, layer, delta), terms_of(s, layer, delta)
    fits = [seen.fits(layer, k, value[k], terms[k]) for k in (W, B)]
    return fits[0], fits[1]


# --- wrong errors ---------------------------------------------------------------------------------


Found = list[tuple["Array", list[Candidate], tuple[bool, bool]]]
"""Values of delta_l, what gives each, and which blocks it explains."""


def _wrong_ways(s: Symbols, layer: int, seen: Seen, guide: Guide) -> list[Way]:
    """Return the wrong delta_l that give dC/dW_l or dC/db_l, those of one value together."""
    place = OUTPUT if layer == s.L else HIDDEN
    every = list(guide.formulas(place, s))
    found: Found = []
    _add_formulas(found, (f for f in every if f.family is None), s, layer, seen)
    _add_factors(found, s, layer, seen, place)
    right_fits = any(_fit(s, layer, s.error(layer), seen))
    if not right_fits and not _is_explained(found, guide, place):
        _add_formulas(found, (f for f in every if f.family is not None), s, layer, seen)
    found.sort(key=lambda one: -sum(one[2]))
    kept = [(delta, guide.allowed(place, names), fits) for delta, names, fits in found]
    return [Way(delta, Finding(place, layer, FORMULA, tuple(names)), fits)
            for delta, names, fits in kept if names][:MOST_WAYS]  # fmt: skip


def _is_explained(found: Found, guide: Guide, place: str) -> bool:
    """Whether something with a meaning explains both blocks: no limit has to be fitted then.

    Where a_l rounds to 0 or 1 |z_l| is beyond some limit, too.
    """
    return any(
        c.key not in (FACTOR, "0 where rounded")
        for _, names, fits in found
        if all(fits)
        for c in guide.allowed(place, names)
    )


def _add_formulas(
    found: Found, formulas: Iterator[Formula], s: Symbols, layer: int, seen: Seen
) -> None:
    made = [one for f in formulas if (one := _delta_of(f, s, layer, seen)) is not None]
    if not made:
        return
    many = max(1, MOST_NUMBERS // max(1, sum(block.size for block in seen.g[layer])))
    for start in range(0, len(made), many):
        part = made[start : start + many]
        fits = _fits(s, layer, np.stack([delta for delta, _ in part]), seen)
        for (delta, candidate), (in_W, in_b) in zip(part, fits.tolist(), strict=True):
            if in_W or in_b:
                _add(found, delta, [candidate], (in_W, in_b))


def _fits(s: Symbols, layer: int, deltas: Array, seen: Seen) -> Array:
    """Whether delta^T a_{l-1} and sum_i delta fit, for several delta: (many, 2)."""
    A = np.hstack([s.a[layer - 1], np.ones((s.m, 1))])
    turned = np.swapaxes(deltas, 1, 2)
    value, terms = turned @ A, np.abs(turned) @ np.abs(A)
    room = seen.room(layer, np.maximum(terms, np.abs(value)))
    ok = np.isfinite(value) & (np.abs(np.hstack(seen.g[layer]) - value) <= room)
    return np.stack([ok[:, :, :-1].all(axis=(1, 2)), ok[:, :, -1].all(axis=1)], axis=1)


def _add_factors(found: Found, s: Symbols, layer: int, seen: Seen, place: str) -> None:
    right = s.error(layer)
    for which in ((W, B), (W,), (B,)):
        r = _factor(right, s, layer, seen, which)
        if r is None:
            continue
        names = [Candidate(k.key, f"delta_{layer} {k.says}", None, k.value, r[1])
                 for k in named(*r, s, layer, place)]  # fmt: skip
        fits = _fit(s, layer, r[0] * right, seen)
        if names and all(fits[k] for k in which):
            _add(found, r[0] * right, names, fits, first=True)


def _add(
    found: Found,
    delta: Array,
    names: list[Candidate],
    fits: tuple[bool, bool],
    *,
    first: bool = False,
) -> None:
    for other, others, fitting in found:
        if fitting == fits and np.allclose(delta, other, rtol=1e-6, atol=0):
            others[:] = [*names, *others] if first else [*others, *names]
            return
    found.insert(0, (delta, list(names), fits)) if first else found.append(
        (delta, list(names), fits)
    )


def _delta_of(
    formula: Formula, s: Symbols, layer: int, seen: Seen
) -> tuple[Array, Candidate] | None:
    if formula.family is not None:
        found = with_limit(formula, s, layer, seen)
        if found is None:
            return None
        formula = found
    value = formula.value(s, layer)
    if value is None or not np.isfinite(value).all():
        return None
    if not formula.is_term:
        return value, Candidate(formula.key, formula.told(layer), formula)
    right = s.error(layer)
    observed = np.hstack(seen.g[layer]) - np.hstack(blocks_of(s, layer, right))
    direction = np.hstack(blocks_of(s, layer, value))
    room = seen.room(layer, np.hstack(terms_of(s, layer, right)))
    fitted = _fitted(observed, direction, room)
    if fitted is None:
        return None
    c, doubt = fitted
    return right + c * value, Candidate(formula.key, formula.told(layer, c), formula, c, doubt)


def _fitted(observed: Array, direction: Array, room: Array) -> tuple[float, float] | None:
    """Fit observed = c direction by least squares, if two entries at least can tell."""
    known = room > 0
    weight = np.where(known, 1 / np.where(known, room, 1.0), 0.0)
    x, y = direction * weight, observed * weight
    squares = float(np.sum(x * x))
    if not (np.isfinite(squares) and squares > 0):
        return None
    c = float(np.sum(x * y)) / squares
    if np.sum(np.abs(c * x) > 1) < 2 or abs(c) > LARGEST_TERM:
        return None
    return c, float(1 / np.abs(x).max())


def _factor(
    right: Array, s: Symbols, layer: int, seen: Seen, which: tuple[int, ...]
) -> tuple[float, float] | None:
    """Return the one factor by which the blocks differ from those of the right delta_l."""
    value, terms = blocks_of(s, layer, right), terms_of(s, layer, right)
    D = np.hstack([value[k] for k in which])
    g = np.hstack([seen.g[layer][k] for k in which])
    T = np.hstack([terms[k] for k in which])
    return _ratio(g, D, seen.room(layer, T))


def _ratio(g: Array, D: Array, room: Array) -> tuple[float, float] | None:
    """Return r and its doubt if g = r D, within the room; None if it is not."""
    size = np.abs(D)
    if not np.any(size > room):
        return None
    best = np.unravel_index(int(np.argmin(np.where(size > 0, room / size, np.inf))), D.shape)
    r = float(g[best] / D[best])
    doubt = float((1 + abs(r)) * room[best] / size[best])
    off = np.abs(g - r * D)
    fits = np.all(off <= (1 + abs(r)) * room + doubt * size)
    return (r, doubt) if np.isfinite(r) and fits else None


# --- wrong products -------------------------------------------------------------------------------


def _with_products(path: Path, way: Way, layer: int, seen: Seen) -> Path:
    """Explain the products that do not follow from a delta_l."""
    s = path.symbols.knowing(layer, way.delta)
    for which, place in ((W, WEIGHT), (B, BIAS)):
        if not way.fits[which]:
            is_first = not path.has_wrong_error
            found = _product(s, layer, which, place, seen, path.again(), is_first=is_first)
            if found.kind != FORMULA:
                found = _product(s, layer, which, place, seen, path.guide, is_first=is_first)
            path = path.with_finding(found)
    return path


def _product(
    s: Symbols, layer: int, which: int, place: str, seen: Seen, guide: Guide, *, is_first: bool
) -> Finding:
    g = seen.g[layer][which]
    D, T = (pair[which] for pair in _both(s, layer))
    room = seen.room(layer, T)
    names = _products_by_factor(g, D, room, s, layer, place, guide)
    for formula in guide.formulas(place, s):
        value = formula.value(s, layer)
        if value is None or not np.isfinite(value).all():
            continue
        value, c, doubt = np.reshape(value, g.shape), 0.0, 0.0
        if formula.is_term:
            fitted = _fitted(g - D, value, room)
            if fitted is None:
                continue
            c, doubt = fitted
            value = D + c * value
        terms = seen.either_way(layer, T)
        if seen.fits(layer, which, value, np.maximum(terms, np.abs(value))):
            names.append(Candidate(formula.key, formula.told(layer, c), formula, c, doubt))
    names = guide.allowed(place, names)
    if names:
        return Finding(place, layer, FORMULA, tuple(names))
    return _pattern(s, layer, which, place, seen, is_first=is_first)


def _both(s: Symbols, layer: int) -> tuple[Pair, Pair]:
    delta = s.delta[layer]
    return blocks_of(s, layer, delta), terms_of(s, layer, delta)


def _products_by_factor(
    g: Array, D: Array, room: Array, s: Symbols, layer: int, place: str, guide: Guide
) -> list[Candidate]:
    r = _ratio(g, D, room)
    if r is None:
        return []
    name = f"dC/dW_{layer}" if place == WEIGHT else f"dC/db_{layer}"
    known = named(*r, s, layer, place)
    is_one = np.sum(np.abs(D) > room) < 2  # one number always has some factor
    if is_one and (place, FACTOR) not in guide.hints:
        known = known[:-1]
    return [Candidate(k.key, f"{name} {k.says}", None, k.value, r[1]) for k in known]


def _pattern(
    s: Symbols, layer: int, which: int, place: str, seen: Seen, *, is_first: bool
) -> Finding:
    """Look at one block alone, then for examples that it counts wrongly."""
    value, terms = _both(s, layer)
    name = f"dC/dW_{layer}" if place == WEIGHT else f"dC/db_{layer}"
    columns = "column" if place == WEIGHT else ""
    rows = "row" if place == WEIGHT else "unit"
    g, room = seen.g[layer][which], seen.room(layer, terms[which])
    counted = _examples(s, layer, s.delta[layer], seen, (which,))
    wrong = seen.wrong[layer][which]
    if not is_first:
        wrong = ~(np.abs(g - value[which]) <= room)
    found = blocks.pattern(g, value[which], room, wrong, (rows, columns))
    if counted and (found is None or found.key == "confined"):
        c = counted.factor

        def weighed(s: Symbols, layer: int) -> Array:
            return blocks_of(s, layer, s.delta[layer] * c)[which]

        candidate = Candidate("examples", f"{name} {counted.says}", value=weighed)
        return Finding(place, layer, PATTERN, (candidate,))
    if found:
        candidate = Candidate(found.key, f"{name} {found.says}", holds=found.holds)
        return Finding(place, layer, PATTERN, (candidate,))
    return Finding(place, layer, UNKNOWN, says=f"{name} is wrong in a way that nothing explains")


# --- errors that no formula explains --------------------------------------------------------------


def _solved(path: Path, right: Way, layer: int, seen: Seen) -> Path:
    """Explain a layer by what its delta_l seems to be: masked, scaled in part, or unknown."""
    s, place = path.symbols, OUTPUT if layer == path.symbols.L else HIDDEN
    dW = seen.g[layer][W]
    units = _units(s, layer, right.delta, seen)
    if not units and (some := _in_some_units(s, layer, right.delta, seen, path.guide)):
        told = path.with_finding(Finding(place, layer, FORMULA, (some,)))
        delta = np.asarray(some.value(s, layer)) if some.value else right.delta
        return told.knowing(layer, delta, dW)
    counted = _examples(s, layer, right.delta, seen, (W, B))
    for found in (units, counted):
        if found:
            value = partial(_scaled, factor=found.factor)
            candidate = Candidate(found.key, f"delta_{layer} {found.says}", value=value)
            told = path.with_finding(Finding(place, layer, PATTERN, (candidate,)))
            return told.knowing(layer, right.delta * found.factor, dW)
    solved = _from_products(s, layer, seen)
    says = f"delta_{layer}, dC/dW_{layer} or dC/db_{layer} is wrong in a way that nothing explains"
    if solved is not None:
        says = f"delta_{layer} is wrong in a way that nothing explains"
        told = path.with_finding(Finding(place, layer, UNKNOWN, says=says))
        return told.knowing(layer, solved, dW)
    return replace(path.with_finding(Finding(place, layer, UNKNOWN, says=says)), is_lost=True)


@dataclass(frozen=True)
class Scaled:
    """A delta_l that is right but for a factor of each unit, or of each example."""

    key: str
    says: str
    factor: Array


def _in_some_units(
    s: Symbols, layer: int, right: Array, seen: Seen, guide: Guide
) -> Candidate | None:
    """Find a formula that gives the units which the right one does not, where it gives others."""
    place = OUTPUT if layer == s.L else HIDDEN
    is_right = _rows_that_fit(s, layer, right[None], seen)[0]
    if is_right.all() or not is_right.any():
        return None
    found = [
        (f, value)
        for f in guide.formulas(place, s)
        if f.family is None
        and not (f.is_term or f.of_batch)
        and (value := f.value(s, layer)) is not None
    ]
    found = [(f, value) for f, value in found if np.isfinite(value).all()]
    if not found:
        return None
    fits = _rows_that_fit(s, layer, np.stack([value for _, value in found]), seen)
    for (formula, _), rows in zip(found, fits, strict=True):
        key = formula.key + SOME
        if np.all(rows | is_right) and (place, key) not in guide.banned:
            where = blocks.listed("unit", np.flatnonzero(~is_right))
            made = partial(in_units, formula, ~is_right)
            return Candidate(key, f"{formula.told(layer)} in {where}", value=made)
    return None


def in_units(formula: Formula, units: Array, s: Symbols, layer: int) -> Array:
    """delta_l by a wrong formula in some units, by the right one in others, and in other widths."""
    value, right = formula.value(s, layer), s.error(layer)
    if value is None or right.shape[1] != len(units):
        return right
    return np.where(units, value, right)


def _rows_that_fit(s: Symbols, layer: int, deltas: Array, seen: Seen) -> Array:
    """Which units delta^T [a_{l-1}, 1] fits, for several delta: (many, n_l)."""
    A = np.hstack([s.a[layer - 1], np.ones((s.m, 1))])
    turned = np.swapaxes(deltas, 1, 2)
    value, terms = turned @ A, np.abs(turned) @ np.abs(A)
    room = seen.room(layer, np.maximum(terms, np.abs(value)))
    ok = np.isfinite(value) & (np.abs(np.hstack(seen.g[layer]) - value) <= room)
    return np.asarray(ok.all(axis=2))


def _scaled(s: Symbols, layer: int, factor: Array) -> Array:
    return s.error(layer) * factor


def _units(s: Symbols, layer: int, right: Array, seen: Seen) -> Scaled | None:
    """Recognise units whose whole error is 0 or has one factor, where the others are right."""
    value, terms = blocks_of(s, layer, right), terms_of(s, layer, right)
    D, g = np.hstack(value), np.hstack(seen.g[layer])
    room = seen.room(layer, np.hstack(terms))
    wrong = np.flatnonzero((np.abs(g - D) > room).any(axis=1))
    if not 0 < len(wrong) < len(D):
        return None
    ratio = _ratio(g[wrong], D[wrong], room[wrong])
    if ratio is None:
        return None
    r, where = ratio[0], blocks.listed("unit", wrong)
    factor = np.ones(len(D))
    factor[wrong] = r
    if r == 0:
        return Scaled("units zero", f"is 0 in {where}", factor)
    return Scaled("units", f"has an extra factor {r:.6g} in {where}", factor)


def _examples(
    s: Symbols, layer: int, right: Array, seen: Seen, which: tuple[int, ...]
) -> Scaled | None:
    """Solve for how often each example is counted, by least squares over all entries."""
    a = np.hstack([s.a[layer - 1], np.ones((s.m, 1))])
    a = a if which == (W, B) else (a[:, :-1] if which == (W,) else a[:, -1:])
    columns = (right[:, :, None] * a[:, None, :]).reshape(s.m, -1).T
    g = np.hstack([seen.g[layer][k] for k in which]).ravel()
    room = seen.room(layer, np.hstack([terms_of(s, layer, right)[k] for k in which])).ravel()
    if not (2 <= s.m < g.size) or columns.size > 100_000 or not np.all(room > 0):
        return None
    A, y = columns / room[:, None], g / room
    if not (np.isfinite(A).all() and np.isfinite(y).all()):
        return None
    c, _, rank, singular = np.linalg.lstsq(A, y, rcond=1e-9)
    nearest: Array = np.asarray(np.round(c, 6)) + 0.0  # no -0
    if (
        rank < s.m
        or singular[-1] < TOLD_APART
        or not np.all(np.abs(columns @ nearest - g) <= (1 + np.abs(nearest).max()) * room)
    ):
        return None
    return Scaled("examples", told_counts(nearest), nearest[:, None])


def told_counts(c: Array) -> str:
    """Say how often examples are counted."""
    missing, odd = np.flatnonzero(c == 0), np.flatnonzero((c != 0) & (c != 1))
    told = "does not count all examples once in the batch"
    if not len(odd):
        return f"{told}, it lacks {blocks.listed('example', missing)}"
    if not len(missing) and len({float(x) for x in c[odd]}) == 1:
        return f"{told}, but {blocks.listed('example', odd)} {c[odd][0]:g} times"
    shown = ", ".join(f"{x:.4g}" for x in c[: blocks.NAMED])
    return f"{told}, but {shown}{', ...' if len(c) > blocks.NAMED else ''} times"


def _from_products(s: Symbols, layer: int, seen: Seen) -> Array | None:
    """Solve delta^T [a_{l-1}, 1] = [dC/dW_l, dC/db_l], if that has one solution and it fits."""
    A = np.hstack([s.a[layer - 1], np.ones((s.m, 1))])
    g = np.hstack(seen.g[layer])
    if s.m >= A.shape[1] or not np.isfinite(g).all():
        return None
    solution, _, rank, singular = np.linalg.lstsq(A.T, g.T, rcond=1e-10)
    if rank < s.m or singular[0] > 1e6 * singular[-1]:
        return None
    delta = solution
    return delta if all(_fit(s, layer, delta, seen)) else None


# --- the answer as a whole ------------------------------------------------------------------------


def _whole(seen: Seen, guide: Guide) -> Path | None:
    candidates = guide.allowed(ANSWER, whole_answer(seen))
    if not candidates:
        return None
    told = Finding(ANSWER, 0, FORMULA, tuple(candidates))
    return Path(seen.symbols.right(), guide).with_finding(told)


def answer_beside(seen: Seen) -> tuple[Array, Array, Array]:
    """Return the whole gradient, the right one and the room, each as one vector."""
    s = seen.symbols.right()
    layers = range(1, s.L + 1)
    D = _flat([blocks_of(s, layer, s.delta[layer]) for layer in layers])
    g = _flat([seen.g[layer] for layer in layers])
    terms = [(layer, terms_of(s, layer, s.delta[layer])) for layer in layers]
    room = _flat([(seen.room(layer, T), seen.room(layer, t)) for layer, (T, t) in terms])
    return g, D, room


def whole_answer(seen: Seen) -> list[Candidate]:
    """Recognise what was done to a whole right gradient."""
    g, D, room = answer_beside(seen)
    if np.all(np.abs(g - D) <= room):
        return []
    return [
        Candidate(way.key, f"the gradient {way.says}", holds=partial(_was_changed, way))
        for way in changed(g, D, seen.symbols.problem.dtype)
        if _was_changed(way, g, D, room) and _tells_apart(way, g, D, room)
    ]


def _was_changed(way: Changed, g: Array, D: Array, room: Array) -> bool:
    """Whether a gradient is D changed in this way, within the room."""
    if way.slack is not None and way.is_round is not None:
        return way.is_round(g) and bool(np.all(np.abs(g - D) <= way.slack(D) + room))
    value = way.value(D)
    return bool(np.all(np.abs(g - value) <= room * _growth(value, D)))


def _tells_apart(way: Changed, g: Array, D: Array, room: Array) -> bool:
    """Whether several entries could show it; of rounded ones, several that are not round anyway."""
    value = way.value(D)
    shows = room * _growth(value, D) < np.abs(value) / 8
    if way.slack is None:
        return bool(np.sum(shows) > 1)
    shows = (np.abs(value - D) > room) & (g != 0)
    return len(np.unique(np.abs(g[shows]))) >= MOST_BY_CHANCE


def _flat(pairs: list[Pair]) -> Array:
    return np.concatenate([block.ravel() for pair in pairs for block in pair])


def _growth(value: Array, D: Array) -> Array:
    """How many times as large as D a changed gradient is, 1 at least."""
    return np.where(D == 0, 1.0, np.maximum(1.0, np.abs(value / np.where(D == 0, 1.0, D))))
