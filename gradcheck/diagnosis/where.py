r"""Says where an error delta_l is wrong: which variable separates the wrong points from the right.

Where a layer is wrong in a way that no formula gives, the wrong delta_l is solved for from its two
products, delta_l^T [a_{l-1}, 1] = [dC/dW_l, dC/db_l], on every problem on which that has one
solution and fits. A **point** is one example in one unit, with its z_l, and in the output layer its
a_L - Y and Y. It is wrong if delta_l is not the right one, right if it is and could not be
as far from it as the least wrong one is, JUMP times over; the others say nothing.

A condition x > t or x < t holds if every wrong point is beyond t and no right one is, over all
problems. Of k wrong points among n, any variable that has nothing to do with it separates with a
probability of 1 / C(n, k) on either side; a condition is told only if that is at most CHANCE over
all VARIABLES. Points of one |delta_l| count once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, floor, inf, lgamma, log, log10
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.evidence import counterpart
from gradcheck.diagnosis.finding import PATTERN, UNKNOWN, Candidate, Finding
from gradcheck.diagnosis.formula import HIDDEN, OUTPUT
from gradcheck.diagnosis.seen import blocks_of, terms_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from gradcheck.arrays import Array
    from gradcheck.diagnosis.claims import Findings
    from gradcheck.diagnosis.formula import Value
    from gradcheck.diagnosis.seen import Seen
    from gradcheck.diagnosis.symbols import Symbols

CHANCE = 1e-3
"""Probability of a condition that has nothing to do with the mistake."""

STIFF = 1e6
"""Beyond such a condition number delta_l is not solved for."""

VISIBLE = 8.0
"""How many times its slack a right number must be, to be known to be right."""

JUMP = 1e3
"""How much better a right point must be known than the wrong points deviate."""

LEAST = 3
"""Wrong points that differ, to have one factor."""

FORMAT = 3
"""Digits of a threshold."""

At = tuple["Seen", int]
"""An answer, and the layer that is looked at."""

Variable = Callable[["Symbols", int], "Array"]


@dataclass(frozen=True)
class Where:
    """Where delta_l is wrong, and what it is there.

    Attributes:
        condition: "z_1 > t", or "".
        threshold: "t is between 2.9 and 3.1", or "".
        factor: what the right delta_l is multiplied by there; None if it is no one number.
        value: delta_l as the condition and the factor have it.
    """

    condition: str = ""
    threshold: str = ""
    factor: float | None = None
    value: Value | None = None


@dataclass(frozen=True)
class Solved:
    """The delta_l of one problem that gives both products, and how far it may be off.

    Attributes:
        symbols: of the problem.
        layer: the layer.
        delta, slack: one entry an example and unit.
        fits: whether it does give both products.
    """

    symbols: Symbols
    layer: int
    delta: Array
    slack: Array
    fits: bool

    @property
    def right(self) -> Array:
        """The right delta_l."""
        return self.symbols.error(self.layer)

    @property
    def is_wrong(self) -> Array:
        """Which points are wrong for certain."""
        wrong: Array = np.abs(self.delta - self.right) > VISIBLE * self.slack
        return wrong

    @property
    def least(self) -> float:
        """The least relative deviation among the wrong points."""
        wrong = self.is_wrong
        off, size = np.abs(self.delta - self.right)[wrong], np.abs(self.right)[wrong]
        return float(
            np.divide(off, size, out=np.full_like(off, inf), where=size > 0).min(initial=inf)
        )

    def is_right(self, least: float) -> Array:
        """Which points are right, and could not be off by the least deviation by far."""
        near = np.abs(self.delta - self.right) <= self.slack
        right: Array = near & (min(least, 1.0) * np.abs(self.right) > JUMP * self.slack)
        return right


def where_wrong(solved: Sequence[Solved], layer: int, *, is_top: bool) -> Where:
    """Say where delta_l is wrong, over several problems on which all above it is right.

    Args:
        solved: delta_l on each of them.
        layer: its number, which it may have on one of them only.
        is_top: whether it is the output layer.
    """
    wrong = _flat(x.is_wrong for x in solved)
    if not wrong.any():
        return Where()
    least = min(x.least for x in solved)
    right = _flat(x.is_right(least) for x in solved)
    factor = _one_factor(solved, wrong)
    D = np.abs(_flat(x.right for x in solved))
    for name, variable in variables(layer, is_top=is_top):
        values = _flat(variable(x.symbols, x.layer) for x in solved)
        if found := _separated(values, D, wrong, right):
            value = None if factor is None else partial(_scaled, variable, sum(found) / 2, factor)
            return Where(*_worded(name, *found), factor, value)
    return Where(factor=factor)


def _scaled(variable: Variable, threshold: float, factor: float, s: Symbols, layer: int) -> Array:
    right = s.error(layer)
    return np.where(variable(s, layer) > threshold, factor * right, right)


def _flat(arrays: Iterable[Array]) -> Array:
    return np.concatenate([array.ravel() for array in arrays])


def _one_factor(solved: Sequence[Solved], wrong: Array) -> float | None:
    """Return the one factor of all wrong points, if several that differ have it."""
    D, g, slack = (
        _flat(each)[wrong]
        for each in (
            (x.right for x in solved),
            (x.delta for x in solved),
            (x.slack for x in solved),
        )
    )
    if len(np.unique(np.abs(D))) < LEAST or not np.all(np.abs(D) > VISIBLE * slack):
        return None
    doubt = slack / np.abs(D)
    best = int(np.argmin(doubt))
    r = float(g[best] / D[best])
    if not np.all(np.abs(g - r * D) <= 2 * (1 + abs(r)) * (slack + doubt[best] * np.abs(D))):
        return None
    return 0.0 if abs(r) <= 2 * doubt[best] else r


# --- solving for delta_l --------------------------------------------------------------------------


def solve(seen: Seen, layer: int) -> Solved | None:
    """Solve for delta_l; None where that has no one solution.

    Args:
        seen: an answer in which all above the layer is right.
        layer: which.
    """
    with np.errstate(all="ignore"):
        s = seen.symbols.right()
        A = np.hstack([s.a[layer - 1], np.ones((s.m, 1))])
        if s.m >= A.shape[1] or not np.isfinite(A).all():
            return None
        singular = np.linalg.svd(A, compute_uv=False)
        if not singular[0] < STIFF * singular[-1]:
            return None
        inverse = np.linalg.pinv(A)
        g = np.hstack(seen.g[layer])
        delta = (g @ inverse).T
        terms = np.maximum(*(np.hstack(terms_of(s, layer, d)) for d in (delta, s.delta[layer])))
        room = seen.room(layer, terms)
        slack = (room @ np.abs(inverse)).T
        off = np.abs(np.hstack(blocks_of(s, layer, delta)) - g)
        fits = bool(np.all(off <= room + slack.T @ np.abs(A)))
    return Solved(s, layer, delta, slack, fits)


# --- conditions -----------------------------------------------------------------------------------


def variables(layer: int, *, is_top: bool) -> Iterator[tuple[str, Variable]]:
    """Yield what a mistake may depend on, the simplest first: it is wrong where that is large."""
    z = f"z_{layer}"
    if is_top:
        yield "Y > t", lambda s, _: s.Y
        yield "Y < t", lambda s, _: -s.Y
    yield f"{z} > t", lambda s, k: s.z[k]
    yield f"{z} < t", lambda s, k: -s.z[k]
    yield f"|{z}| > t", lambda s, k: np.abs(s.z[k])
    yield f"|{z}| < t", lambda s, k: -np.abs(s.z[k])
    if is_top:
        yield f"|a_{layer} - Y| > t", lambda s, _: np.abs(s.residual)
        yield f"|a_{layer} - Y| < t", lambda s, _: -np.abs(s.residual)
        yield f"Y = 1 and {z} > t", lambda s, k: np.where(s.Y == 1, s.z[k], -inf)
        yield f"Y = 1 and {z} < t", lambda s, k: np.where(s.Y == 1, -s.z[k], -inf)
        yield f"Y = 0 and {z} > t", lambda s, k: np.where(s.Y == 0, s.z[k], -inf)
        yield f"Y = 0 and {z} < t", lambda s, k: np.where(s.Y == 0, -s.z[k], -inf)
    yield f"|delta_{layer}| > t", lambda s, k: np.abs(s.error(k))
    yield f"|delta_{layer}| < t", lambda s, k: -np.abs(s.error(k))


VARIABLES = 14


def _separated(values: Array, D: Array, wrong: Array, right: Array) -> tuple[float, float] | None:
    """Return between which numbers the threshold is, if it separates all that was seen."""
    inside, outside = values[wrong], values[right]
    if not len(outside) or not inside.min() > outside.max():
        return None
    few, many = (len(np.unique(D[some])) for some in (wrong, wrong | right))
    if not few < many or _log_choose(many, few) < log(VARIABLES / CHANCE):
        return None
    return float(outside.max()), float(inside.min())


def _worded(name: str, low: float, high: float) -> tuple[str, str]:
    """Write a condition: z = 0 and Y = 1 as such, else between which numbers its threshold is."""
    if name.endswith("< t"):
        low, high = -high, -low
    if name.startswith("|z_") and name.endswith("< t") and low == 0:
        return name.removesuffix(" < t").strip("|") + " = 0", ""
    if not np.isfinite(low):
        return name, f"t is below {_rounded(high, ceil)}"
    if not np.isfinite(high):
        return name, f"t is above {_rounded(low, floor)}"
    return name, f"t is between {_rounded(low, floor)} and {_rounded(high, ceil)}"


def _rounded(x: float, towards: Callable[[float], int]) -> str:
    """Write a number with a few digits, rounded down by `floor` or up by `ceil`."""
    if x == 0:
        return "0.0"
    scale = 10.0 ** (FORMAT - 1 - floor(log10(abs(x))))
    told = f"{towards(x * scale) / scale:.{FORMAT}g}"
    return told if "." in told or "e" in told else f"{told}.0"


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


# --- a finding that leads with its place ----------------------------------------------------------


def placed(findings: Findings, every: Sequence[Seen], more: Sequence[Seen]) -> Findings:
    """Say of findings that no formula gives whether it is delta_l, and where and how it is wrong.

    One wrong delta_l is told before two wrong products of it, where some delta_l gives both.

    Args:
        findings: of which the first is in an error, or both products of its layer are among them.
        every: answers to problems of the structure that failed.
        more: answers to problems of another structure.
    """
    first, layer = findings[0], findings[0].layer
    place = OUTPUT if layer == every[0].symbols.L else HIDDEN
    own = _solutions([(seen, layer) for seen in every])
    far = _solutions([(seen, k) for seen in more if (k := counterpart(seen, place))])
    solved = [some for some in ([*own, *far], own) if _is_delta(some)]
    if not solved:
        return _both_lost(findings, place)
    told = [where_wrong(some, layer, is_top=place == OUTPUT) for some in solved]
    found = next((one for one in told if one.condition), told[-1])
    below = tuple(f for f in findings[1:] if f.layer != layer)
    return (_worded_finding(Finding(place, layer, first.kind), found), *below)


def _is_delta(solved: Sequence[Solved]) -> bool:
    """Whether some delta_l gives both products on all problems that are wrong, one at least."""
    wrong = [x for x in solved if x.is_wrong.any()]
    return bool(wrong) and all(x.fits for x in wrong)


def _both_lost(findings: Findings, place: str) -> Findings:
    """Tell one step before two: an error whose products are both 0 where they are wrong."""
    layer = findings[0].layer
    here = [f for f in findings if f.layer == layer]
    if [f.names() for f in here] != [{"zero entries"}, {"zero entries"}]:
        return findings
    says = f"delta_{layer}, dC/dW_{layer} or dC/db_{layer} is wrong in a way that nothing explains"
    told = Finding(place, layer, UNKNOWN, says=f"{says}: both products are 0 where they are wrong")
    return (told, *(f for f in findings if f.layer != layer))


def _worded_finding(finding: Finding, found: Where) -> Finding:
    layer = finding.layer
    if found.condition and found.factor is not None:
        how = "is 0" if found.factor == 0 else f"has an extra factor {found.factor:.6g}"
        says = f"delta_{layer} {how} where {found.condition}"
        candidate = Candidate("where", says, value=found.value)
        return replace(finding, kind=PATTERN, candidates=(candidate,), detail=found.threshold)
    where = f" where {found.condition}," if found.condition else ""
    says = f"delta_{layer} is wrong{where} in a way that nothing explains"
    if found.factor == 0:
        says = f"delta_{layer} is wrong in a way that nothing explains: it is 0 where it is wrong"
    return replace(finding, kind=UNKNOWN, says=says, detail=found.threshold)


def _solutions(places: Sequence[At]) -> list[Solved]:
    return [solved for seen, layer in places if (solved := solve(seen, layer))]
