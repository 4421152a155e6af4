r"""Wrong formulas with a limit t that is fitted: cut-offs, clips, floors, epsilons in denominators.

A family has delta_l as a function of t. Of a **step** the value beyond the limit does not depend on
t: on one problem all limits between two neighbouring sizes (|z| of two units, say) give the same
numbers, and the interval

    largest size that is not beyond  <=  t  <  smallest size that is beyond

is what is known of t. Of a **smooth** family t is solved for by Newton's method, from the value
that comes nearest; it is known to within room / |d value / d t|. A usual value in the interval is
said as an example. Other problems narrow the interval (`narrowed`), to nothing if they contradict.
"""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.formula import Formula
from gradcheck.diagnosis.seen import blocks_of, terms_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gradcheck.arrays import Array
    from gradcheck.diagnosis.seen import Seen
    from gradcheck.diagnosis.symbols import Symbols

Delta = Callable[["Symbols", int, "Array"], "Array | None"]
"""delta_l for limits t of shape (T, 1, 1), as (T, m, n_l)."""

Sizes = Callable[["Symbols", int], "Array | None"]
"""What the limit is compared with, (m, n_l); None where the formula has no meaning."""

ANY = (0.0, np.inf)
"""All limits."""

MOST_TRIED = 33
"""Limits that are tried at once; between the best of more sizes there is another round."""

AROUND = 3
"""So many of them on each side of the best are looked at more closely."""

MOST_NUMBERS = 1_000_000
"""Numbers in one array of trials."""

NEWTON, SMALL_STEP, LONGEST, SLOWEST = 8, 1e-5, 10.0, 0.5
"""Newton's steps, the relative change for a derivative, by how much a step may change t, and which
part of the deviation a step must leave at most."""

UNTOLD = "that this problem does not tell"
"""Said of a number that one problem leaves open, and others may tell."""

SHARP = 1e-2
"""An interval that is narrower than this much of itself is told as a number."""


@dataclass(frozen=True)
class Naming:
    """Another way to write a limit t: as u(t), with the limits u that are usual.

    Attributes:
        says: what is wrong, with {limit} for u.
        into, back: u(t) and t(u), both monotone.
        usual: limits u as people choose them, the likeliest first.
    """

    says: str
    into: Callable[[float], float]
    back: Callable[[float], float]
    usual: tuple[float, ...]


@dataclass(frozen=True)
class Family:
    """A wrong delta_l with a limit.

    Attributes:
        key: names it, without layers and numbers.
        place: which step it replaces.
        says: what is wrong, with {l}, {up}, {low} for layers and {limit} for the limit.
        delta: its values.
        sizes: what is compared with the limit.
        usual: limits as people choose them, the likeliest first.
        is_step: what is beyond the limit does not depend on it.
        also: other ways to write it, told where a usual limit of theirs fits and none of its own.
        is_meant: whether a problem can show it apart from others.
        rounded: its values with the digits that a and 1 - a have in their dtype, where those count.
    """

    key: str
    place: str
    says: str
    delta: Delta
    sizes: Sizes
    usual: tuple[float, ...]
    is_step: bool = True
    also: tuple[Naming, ...] = ()
    rounded: Delta | None = None
    is_meant: Callable[[Symbols], bool] | None = None

    def formula(self) -> Formula:
        """Return it as a member of the library: its limit is not known yet."""
        says = self.says.replace("{limit}", "t")
        return Formula(self.key, self.place, says, lambda s, layer: None, family=self)  # noqa: ARG005

    def at(self, t: float, span: tuple[float, float]) -> Formula:
        """Return the formula with one limit, of an interval of such."""
        t, said = self.told(t, span)

        def value(s: Symbols, layer: int) -> Array | None:
            delta = self.delta(s, layer, np.full((1, 1, 1), t))
            return None if delta is None else delta[0]

        return Formula(self.key, self.place, said, value, family=self, span=span)

    def told(self, t: float, span: tuple[float, float]) -> tuple[float, str]:
        """Return the limit, a usual one if it may be that, and what is said with it."""
        if t not in self.usual:
            for name in self.also:
                low, high = sorted((name.into(span[0]), name.into(span[1])))
                for u in name.usual:
                    if low <= u < high:
                        limit = told_limit((low, high), u, is_step=self.is_step)
                        return name.back(u), name.says.replace("{limit}", limit)
        return t, self.says.replace("{limit}", told_limit(span, t, is_step=self.is_step))


def is_step(formula: Formula | None) -> bool:
    """Whether a formula has a limit of which only an interval is known."""
    return formula is not None and isinstance(formula.family, Family) and formula.family.is_step


def told_limit(span: tuple[float, float], t: float, *, is_step: bool) -> str:
    """Write a limit that is known to lie in an interval.

    One that is solved for is told as a number, unless it may be as small as one likes.
    """
    low, high = span
    if not is_step and low <= 0:
        known = f"below {high:.4g}" if np.isfinite(high) else UNTOLD
        return f"a number {known}, e.g. {t:.4g}"
    if not is_step or high - low <= SHARP * high:
        return f"{t:.4g}"
    between = f"below {high:.4g}" if low <= 0 else f"between {low:.4g} and {high:.4g}"
    example = "" if f"{t:.2g}" != f"{t:.6g}" else f", e.g. {t:g}"
    return f"a limit {between}{example}"


@dataclass(frozen=True)
class Search:
    """A wrong delta_l with a place in it, or several numbers, which are looked for.

    Attributes:
        key: names it, without layers and numbers.
        place: which step it replaces.
        says: what is wrong, as a member of the library.
        find: returns the formula that gives what is seen in a layer, or None.
    """

    key: str
    place: str
    says: str
    find: Callable[[Symbols, int, Seen], Formula | None]

    def formula(self) -> Formula:
        """Return it as a member of the library."""
        return Formula(self.key, self.place, self.says, lambda s, layer: None, family=self)  # noqa: ARG005


# --- one problem ----------------------------------------------------------------------------------


@np.errstate(all="ignore")
def fitted(
    formula: Formula, s: Symbols, layer: int, seen: Seen, span: tuple[float, float] = ANY
) -> Formula | None:
    """Return a family's formula with the limits that give what is seen in a layer, or None.

    Args:
        formula: of a family.
        s: with the errors above the layer.
        layer: whose gradient is explained.
        seen: the engine's gradient.
        span: the limits that are allowed.
    """
    if isinstance(formula.family, Search):
        found = formula.family.find(s, layer, seen) if _is_wrong(s, layer, seen) else None
        return found and replace(found, family=formula.family)
    family = formula.family
    if isinstance(family, Family) and family.is_meant is not None and not family.is_meant(s):
        return None
    every = _all_fitted(formula, s, layer, seen, span)
    return next((one for one in every if _is_usual(one)), every[0] if every else None)


def _all_fitted(
    formula: Formula, s: Symbols, layer: int, seen: Seen, span: tuple[float, float]
) -> list[Formula]:
    """Return what fits with the digits of a and 1 - a as they are, and as their dtype has them."""
    family = formula.family
    if not isinstance(family, Family) or not _is_wrong(s, layer, seen):
        return []
    ways = [family] if family.rounded is None else [family, replace(family, delta=family.rounded)]
    found = [_fitted(way, s, layer, seen, span) for way in ways]
    return [replace(one, family=family) for one in found if one is not None]


def _is_usual(formula: Formula) -> bool:
    family, span = formula.family, formula.span
    if not isinstance(family, Family) or span is None:
        return False
    return any(span[0] <= u <= span[1] for u in family.usual)


def _fitted(
    family: Family, s: Symbols, layer: int, seen: Seen, span: tuple[float, float]
) -> Formula | None:
    sizes = family.sizes(s, layer)
    if sizes is None:
        return None
    v = np.unique(sizes[np.isfinite(sizes) & (sizes > 0)])
    tried = [t for t in family.usual if span[0] <= t < span[1]]
    if family.is_step:
        interval = _interval(family, s, layer, seen, v)
        interval = None if interval is None else _common(interval, span)
        if interval is None:
            return None
        return family.at(_chosen(interval, family.usual), interval)
    if len(v) > MOST_TRIED:
        v = v[np.unique(np.linspace(0, len(v) - 1, MOST_TRIED).astype(int))]
    middles = np.sqrt(v[:-1] * v[1:])
    every = np.array([*tried, *middles])
    return _solved(family, s, layer, seen, every, span) if len(every) else None


def _is_wrong(s: Symbols, layer: int, seen: Seen) -> bool:
    """Whether a layer is so wrong that the right formula does not fit within the room."""
    right = s.error(layer)
    value, terms = blocks_of(s, layer, right), terms_of(s, layer, right)
    return not all(seen.fits(layer, k, value[k], terms[k]) for k in (0, 1))


def _interval(
    family: Family, s: Symbols, layer: int, seen: Seen, v: Array
) -> tuple[float, float] | None:
    """Return the interval between two neighbouring sizes, or more, that fits."""
    if not len(v):
        return None
    edges = np.concatenate([[0.0], v])  # the limit k lies in [edges[k], edges[k + 1])
    first, last = 0, len(v) - 1
    while last - first + 1 > MOST_TRIED:
        ks = np.unique(np.linspace(first, last, MOST_TRIED).astype(int))
        off = of_units(family, s, layer, seen, _inside(edges, ks))
        misfits, worst = (off > 1).sum(axis=1), off.max(axis=1)
        best = int(np.lexsort((worst, misfits))[0])
        first, last = ks[max(best - AROUND, 0)], ks[min(best + AROUND, len(ks) - 1)]
    ks = np.arange(first, last + 1)
    fits = ks[deviations(family, s, layer, seen, _inside(edges, ks)) <= 1]
    return (float(edges[fits[0]]), float(edges[fits[-1] + 1])) if len(fits) else None


def _inside(edges: Array, ks: Array) -> Array:
    return (edges[ks] + edges[ks + 1]) / 2


def _common(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float] | None:
    low, high = max(one[0], other[0]), min(one[1], other[1])
    return (low, high) if low < high else None


def _chosen(span: tuple[float, float], usual: Sequence[float]) -> float:
    low, high = span
    return next((t for t in usual if low <= t < high), (low + high) / 2)


@np.errstate(all="ignore")
def deviations(family: Family, s: Symbols, layer: int, seen: Seen, ts: Array) -> Array:
    """Return, for each limit, the largest deviation of the layer's blocks in units of the room."""
    return of_units(family, s, layer, seen, ts).max(axis=1)


@np.errstate(all="ignore")
def of_units(family: Family, s: Symbols, layer: int, seen: Seen, ts: Array) -> Array:
    """Return the same for each limit and each unit of the layer."""
    A = np.hstack([s.a[layer - 1], np.ones((s.m, 1))])
    g = np.hstack(seen.g[layer])
    many = max(1, MOST_NUMBERS // max(1, g.size + s.z[layer].size))
    found = []
    for start in range(0, len(ts), many):
        delta = family.delta(s, layer, ts[start : start + many, None, None])
        if delta is None:
            return np.full((len(ts), g.shape[0]), np.inf)
        turned = np.swapaxes(delta, 1, 2)
        F, T = turned @ A, np.abs(turned) @ np.abs(A)
        room = seen.room(layer, np.maximum(T, np.abs(F)))
        off = np.where(g == F, 0.0, np.abs(g - F) / room)
        found.append(np.where(np.isfinite(F) & ~np.isnan(off), off, np.inf).max(axis=2))
    return np.concatenate(found)


def _solved(
    family: Family, s: Symbols, layer: int, seen: Seen, ts: Array, span: tuple[float, float]
) -> Formula | None:
    """Solve for the limit of a smooth family, from the best of some values."""
    off = deviations(family, s, layer, seen, ts)
    if not np.isfinite(off).any():
        return None
    t, best = float(ts[int(np.argmin(off))]), float(off.min())
    for width in (LONGEST, LONGEST ** (2 / MOST_TRIED)):
        if best > 1 and t > 0:
            near = t * np.geomspace(1 / width, width, MOST_TRIED)
            off = deviations(family, s, layer, seen, near)
            t, best = float(near[int(np.argmin(off))]), float(off.min())
    for _ in range(NEWTON):
        if best <= 1:
            break
        before, change = best, _newton(family, s, layer, seen, t)[0]
        t = float(np.clip(t + change, t / LONGEST, t * LONGEST))
        best = float(deviations(family, s, layer, seen, np.array([t]))[0])
        if not best <= SLOWEST * before:
            break
    if not (best <= 1 and span[0] <= t < span[1]):
        return None
    doubt = _newton(family, s, layer, seen, t)[1]
    close = [u for u in family.usual if abs(u - t) <= min(doubt, 0.1 * t)]
    close = [u for u in close if deviations(family, s, layer, seen, np.array([u]))[0] <= 1]
    chosen = min(close, key=lambda u: abs(u - t), default=t)
    return family.at(chosen, (max(0.0, chosen - 2 * doubt), chosen + 2 * doubt))


def _newton(family: Family, s: Symbols, layer: int, seen: Seen, t: float) -> tuple[float, float]:
    """Return the step of least squares from t, and how far t may be off: room / |dF / dt|."""
    h = SMALL_STEP * t
    delta = family.delta(s, layer, np.array([t - h, t, t + h])[:, None, None])
    if delta is None:
        return 0.0, np.inf
    A = np.hstack([s.a[layer - 1], np.ones((s.m, 1))])
    turned = np.swapaxes(delta, 1, 2)
    F = turned @ A
    room = seen.room(layer, np.maximum(np.abs(turned[1]) @ np.abs(A), np.abs(F[1])))
    slope = (F[2] - F[0]) / (2 * h) / room
    off = (np.hstack(seen.g[layer]) - F[1]) / room
    squares = float(np.sum(slope**2))
    if not (np.isfinite(squares) and squares > 0 and np.isfinite(off).all()):
        return 0.0, np.inf
    return float(np.sum(slope * off)) / squares, float(1 / np.abs(slope).max())


# --- several problems -----------------------------------------------------------------------------


@np.errstate(all="ignore")
def narrowed(formula: Formula, layer: int, others: Sequence[Seen]) -> Formula | None:
    """Return a fitted formula with the limits that other problems allow too; None without any.

    Args:
        formula: as `fitted` has returned it.
        layer: where it is; all above is right.
        others: what the engine answers to problems of the same structure.
    """
    family, span = formula.family, formula.span
    if not isinstance(family, Family) or span is None:
        return formula
    for seen in others:
        s = seen.symbols.right()
        if _is_wrong(s, layer, seen):
            there = _all_fitted(family.formula(), s, layer, seen, span if family.is_step else ANY)
            common = [c for one in there if one.span and (c := _common(one.span, span))]
            if not common:
                return None
            span = common[0]
        elif family.is_step:
            kept = _unaffected(family, s, layer, seen, span)
            if kept is None:
                return None
            span = kept
    return family.at(_chosen(span, family.usual), span) if family.is_step else formula


def _unaffected(
    family: Family, s: Symbols, layer: int, seen: Seen, span: tuple[float, float]
) -> tuple[float, float] | None:
    """Return the limits of an interval that change nothing on a problem that is right."""
    fits = [f.span for f in options(family.at(span[0], span), s, layer) if f.span
            and _keeps(f, s, layer, seen)]  # fmt: skip
    return (min(low for low, _ in fits), max(high for _, high in fits)) if fits else None


def _keeps(formula: Formula, s: Symbols, layer: int, seen: Seen) -> bool:
    value = formula.value(s, layer)
    if value is None:
        return True
    made, terms = blocks_of(s, layer, value), terms_of(s, layer, value)
    return all(seen.fits(layer, k, made[k], terms[k]) for k in (0, 1))


def options(formula: Formula, s: Symbols, layer: int) -> Iterator[Formula]:
    """Yield a fitted formula with each limit of its interval that a problem tells apart."""
    family, span = formula.family, formula.span
    if not isinstance(family, Family) or span is None or not family.is_step:
        yield formula
        return
    sizes = family.sizes(s, layer)
    v = np.unique(sizes[np.isfinite(sizes)]) if sizes is not None else np.array([])
    edges = [span[0], *(float(x) for x in v if span[0] < x < span[1]), span[1]]
    for low, high in pairwise(edges):
        middle = min((low + high) / 2, 2 * low + 1)  # of an interval without an end, too
        yield replace(family.at(middle, (low, high)), says=formula.says)


@np.errstate(all="ignore")
def again(formula: Formula, s: Symbols, layer: int, seen: Seen) -> Formula:
    """Return a fitted formula with the limit of its interval that fits another problem, if any."""
    family = formula.family
    if isinstance(family, Family) and formula.span is not None and not family.is_step:
        there = _all_fitted(formula, s, layer, seen, ANY)
        same = [one for one in there if one.span and _common(one.span, formula.span)]
        return same[0] if same else formula
    every = options(formula, s, layer)
    return next((one for one in every if _keeps(one, s, layer, seen)), formula)
