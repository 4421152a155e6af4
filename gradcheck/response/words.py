"""Intervals in words.

Equal things are told once: both dtypes, both losses, both labels, both signs of z; dC/dW_L only
where it is not as delta_L; the quadratic loss only where nothing else is wrong there.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import replace
from math import isfinite, isinf, isnan

from gradcheck.response.curve import ACTIVATION, DELTA, HIDDEN, LOSS, SLOPE, WEIGHT
from gradcheck.response.digits import LOST
from gradcheck.response.intervals import (
    CONSTANT,
    DEPARTS,
    DIGITS,
    KEPT,
    MULTIPLE,
    RAISES,
    SHIFTED,
    ZERO,
    Interval,
)
from gradcheck.response.samples import INFINITE, NAN, OTHER

BIAS = "dC/db"
"""A delta, which is taken from dC/db, where dC/dW shows another one."""

NAMES = {
    DELTA: "delta_L",
    BIAS: "dC/db_L",
    WEIGHT: "dC/dW_L",
    LOSS: "the loss",
    SLOPE: "sigmoid'(z_l)",
    ACTIVATION: "a_l",
}
ORDER = (DELTA, BIAS, WEIGHT, SLOPE, ACTIVATION, LOSS)
LOSSES = {"cross_entropy": "cross-entropy", "quadratic": "quadratic"}

VAGUE = (DIGITS, DEPARTS, OTHER)
NO_NUMBER = (NAN, INFINITE, RAISES)

CLOSE = 2e-3
"""Numbers that differ by so little, relative to their size, are told as one."""

ALIKE = 0.05
"""Exact values at the ends of intervals that are told as one may differ by so much."""

NEAR_1 = 1e-3

NEGLIGIBLE = 0.1
"""A relative error below it is told in place of the exact value."""

WIDE = "float64"

Group = list[Interval]
"""Intervals that are told in one sentence."""


def sentences(
    intervals: Iterable[Interval], named: Container[tuple[str, str]] = ()
) -> tuple[str, ...]:
    """Tell intervals, one sentence for those that are alike.

    Args:
        intervals: of all curves of an engine, in one rounding model.
        named: quantities and dtypes that have a formula, which tells the size of their errors.
    """
    every = list(intervals)
    kept = [
        i for i in told_apart(every) if i.kind not in VAGUE or (i.quantity, i.dtype) not in named
    ]
    kept = [_of_the_bias(i, every) for i in kept]
    pairs = _at_0(kept)
    texts = [_linear(*pair, pairs) for pair in pairs]
    rest = [i for i in kept if all(i not in pair for pair in pairs)]
    groups = sorted(grouped(rest), key=lambda g: ORDER.index(g[0].quantity))
    return tuple(dict.fromkeys([*texts, *(told(group, every) for group in groups)]))


def told_apart(intervals: Sequence[Interval]) -> list[Interval]:
    """Leave out what another interval tells.

    Args:
        intervals: of all curves of an engine.
    """
    every = list(intervals)
    return [i for i in every if not _is_told_by(i, every)]


def _of_the_bias(i: Interval, every: list[Interval]) -> Interval:
    """Name dC/db in place of delta where dC/dW, which is made of delta too, is within its bound."""
    about = (WEIGHT, i.loss, i.y, i.dtype)
    weights = [j for j in every if (j.quantity, j.loss, j.y, j.dtype) == about]
    apart = not any(j.low <= i.high and i.low <= j.high for j in weights)
    return replace(i, quantity=BIAS) if i.quantity == DELTA and apart else i


def _at_0(intervals: list[Interval]) -> list[tuple[Interval, Interval]]:
    """Return what is wrong at z = 0 alone for both labels: pairs of y = 0 and y = 1."""
    points = [i for i in intervals if i.is_point and i.low == 0 and isfinite(i.number)]
    return [
        (i, j)
        for i in points
        for j in points
        if (i.y, j.y) == (0, 1)
        and i.quantity not in HIDDEN
        and (i.quantity, i.loss, i.dtype) == (j.quantity, j.loss, j.dtype)
    ]


def _linear(i: Interval, j: Interval, pairs: list[tuple[Interval, Interval]]) -> str:
    """Tell what is given at z = 0 as a function of y, which it is of two labels."""
    name = NAMES[i.quantity]
    tag = f" ({LOSSES[i.loss]})" if len({pair[0].loss for pair in pairs}) > 1 else ""
    wrong, right = (in_y(*numbers) for numbers in ((i.number, j.number), (i.exact[0], j.exact[0])))
    return f"{name}{tag} is {wrong} where {where(i)}; expected {right}"


def told(group: Group, every: Sequence[Interval]) -> str:
    """Tell one group.

    Args:
        group: of intervals that are alike.
        every: all that is told; what does not distinguish is left out.
    """
    at = max(group, key=lambda i: i.high) if group[0].quantity in HIDDEN else group[0]
    losses = {i.loss for i in every if i.quantity not in HIDDEN}
    own = {i.loss for i in group}
    tag = f" ({LOSSES[at.loss]})" if at.quantity not in HIDDEN and len(own) < len(losses) else ""
    dtypes = {i.dtype for i in group}
    only = f", in {at.dtype}" if len(dtypes) < len({i.dtype for i in every}) else ""
    gives = given(at)
    if at.kind == KEPT and len({_near_end(i) for i in group}) > 1:
        end = _near_end(at)
        gives = gives.replace(f"{variable(at)} = {end}", f"|{variable(at)}| = {end.lstrip('-')}")
    text = f"{NAMES[at.quantity]}{tag} {gives} where {regions(group)}{only}"
    signs = {i.exact[0] > 0 for i in group}
    return "; ".join(filter(None, (text, expected(at, both=len(signs) > 1))))


def given(at: Interval) -> str:
    """Say what the engine gives."""
    simple = {
        ZERO: "is 0",
        CONSTANT: f"is {number(at.number)}",
        KEPT: f"keeps its value {number(at.number)} of {variable(at)} = {_near_end(at)}",
        MULTIPLE: f"is {number(at.number)} times the exact value",
        SHIFTED: f"is {number(abs(at.number))} too {'large' if at.number > 0 else 'small'}",
        DIGITS: "loses digits",
        DEPARTS: "departs from the exact value",
        LOST: "has no digit left",
        NAN: "is NaN",
        INFINITE: "is infinite" if at.number > 0 else "is minus infinity",
        RAISES: f"is not given (the engine {at.says})",
    }
    return simple.get(at.kind, "is wrong")


def expected(at: Interval, *, both: bool = False) -> str:
    """Say what is right there, or how large the error is.

    Args:
        at: the interval.
        both: it stands for others of the other sign.
    """
    if at.kind in VAGUE:
        return _error(at)
    if at.is_point:
        return f"the exact value is {number(at.exact[0])}"
    if at.kind in (MULTIPLE, SHIFTED, *NO_NUMBER):
        return ""
    least, most = at.error
    if at.kind in (CONSTANT, KEPT) and most < NEGLIGIBLE:
        shrinks = abs(at.number - at.exact[1]) < abs(at.number - at.exact[0])
        runs = f"{size(most)} and less" if shrinks else f"{size(least)} and more"
        return f"its relative error is {runs}"
    return _exact(at, both=both)


def _error(at: Interval) -> str:
    """Say how large the relative error is, with one example."""
    least, most = at.error
    z, v, e = at.shown
    runs = f"about {size(most)}" if size(least) == size(most) else f"{size(least)} to {size(most)}"
    example = f"{variable(at)} = {number(z)} gives {', not '.join(told_apart_numbers(v, e))}"
    return f"its relative error is {runs}: {example}"


def _exact(at: Interval, *, both: bool) -> str:
    """Say what is right from the end near 0 to the other."""
    near, far = map(abs, at.exact) if both else at.exact
    in_size = " in size" if both or near < 0 else ""
    if size(near) == size(far):
        return f"the exact value there is {size(near)}{in_size if both else ''}"
    if abs(far) < abs(near):
        return f"the exact value there is {size(near)} and less{in_size}"
    return f"the exact value there is {size(near)} to {size(far)}{in_size if both else ''}"


# -------------------------------------------------------------------------------------------- where


def regions(group: Group) -> str:
    """Say where z lies, for both labels."""
    labels = {} if group[0].quantity in HIDDEN else {i.y: None for i in group}
    if not labels:
        return _both_signs(group)
    told = {y: _both_signs([i for i in group if i.y == y]) for y in sorted(labels)}
    if len(told) > 1 and len(set(told.values())) == 1:
        return next(iter(told.values()))
    return " and ".join(f"{text} (y = {y:g})" for y, text in told.items())


def _both_signs(group: Group) -> str:
    """Say the intervals of a group, those of z and -z as one of |z|."""
    texts: dict[str, None] = {}
    left = list(group)
    while left:
        i = left.pop(0)
        left = [j for j in left if not _same_range(i, j)]
        mirrored = [j for j in left if _same_range(_mirror(i), j)]
        if mirrored and not i.is_point and not _same_range(i, _mirror(i)):
            left = [j for j in left if j not in mirrored]
            right = i if i.low >= 0 else _mirror(i)
            texts[where(right).replace(variable(i), f"|{variable(i)}|")] = None
        else:
            texts[where(i)] = None
    return " and ".join(texts)


def _same_range(a: Interval, b: Interval) -> bool:
    return where(a) == where(b) or (_close(a.low, b.low) and _close(a.high, b.high))


def where(at: Interval) -> str:
    """Say an interval of z."""
    z = variable(at)
    if at.is_point:
        return f"{z} is exactly {at.low:g}" if at.low == 0 else f"{z} is near {number(at.low)}"
    if isinf(at.low) and isinf(at.high):
        return f"{z} is any number"
    above, below = (" <= " if end == 0 else " < " for end in (at.low, at.high))
    low = "" if isinf(at.low) else _end(at.low_after, at.low)
    high = "" if isinf(at.high) else _end(at.high_before, at.high)
    if not high:
        return f"{z}{above.replace('<', '>')}{low}"
    return f"{low}{above if low else ''}{z}{below}{high}"


def variable(at: Interval) -> str:
    """Return the name of z."""
    return "z_l" if at.quantity in HIDDEN else "z_L"


def _end(outside: float, inside: float) -> str:
    """Write an end of an interval: 0 for the neighbours of 0."""
    if 0 in (outside, inside) or (outside < 0) != (inside < 0):
        return "0"
    return simplest(outside, inside)


def _near_end(at: Interval) -> str:
    if at.is_point or (isinf(at.low) and isinf(at.high)):
        return "0"
    if isinf(at.low) or (isfinite(at.high) and abs(at.high) < abs(at.low)):
        return _end(at.high_before, at.high)
    return _end(at.low_after, at.low)


# ------------------------------------------------------------------------------------------ numbers


def simplest(a: float, b: float) -> str:
    """Return the shortest decimal between two numbers."""
    low, high = min(a, b), max(a, b)
    for digits in range(1, 18):
        for x in ((low + high) / 2, low, high):
            told = f"{x:.{digits}g}"
            if low <= float(told) <= high:
                return plain(told)
    return plain(repr(b))


def number(x: float) -> str:
    """Write a constant with up to four digits; 1 - 1e-5 if they do not tell it from 1.

    >>> number(0.25), number(2.0611e-9), number(-0.99999)
    ('0.25', '2.061e-9', '-(1 - 1e-5)')
    """
    below = 1 - abs(x)
    if not 0 < abs(below) < NEAR_1:
        return plain(f"{x + 0.0:.4g}")  # no -0
    told = f"1 {'-' if below > 0 else '+'} {size(abs(below))}"
    return told if x > 0 else f"-({told})"


def told_apart_numbers(x: float, y: float) -> tuple[str, str]:
    """Write two numbers with as many digits as tell them apart, two at least."""
    for digits in range(2, 17):
        pair = plain(f"{x:.{digits}g}"), plain(f"{y:.{digits}g}")
        if pair[0] != pair[1]:
            return pair
    return repr(x), repr(y)


def size(x: float) -> str:
    """Write a size with two digits."""
    return plain(f"{x:.2g}")


def in_y(at_0: float, at_1: float) -> str:
    """Write a function that is linear in y by its values at y = 0 and y = 1.

    >>> in_y(-0.5, -1.5), in_y(0, -1), in_y(0.25, 0.25)
    ('-1/2 - y', '-y', '1/4')
    """
    steepness = at_1 - at_0
    term = "y" if abs(steepness) == 1 else f"{fraction(abs(steepness))} y"
    if not steepness:
        return fraction(at_0)
    if not at_0:
        return f"-{term}" if steepness < 0 else term
    return f"{fraction(at_0)} {'-' if steepness < 0 else '+'} {term}"


def fraction(x: float) -> str:
    """Write halves, quarters and eighths as such."""
    for denominator in (1, 2, 4, 8):
        if x * denominator == int(x * denominator):
            told = f"{int(x * denominator)}"
            return told if denominator == 1 else f"{told}/{denominator}"
    return number(x)


def plain(told: str) -> str:
    """Write 3.1e-7 for 3.1e-07, and 20 for 2e+01; what follows a blank stays."""
    told, blank, rest = told.partition(" ")
    mantissa, e, exponent = told.partition("e")
    if not e or blank:
        return re.sub(r"e([-+])0+", r"e\1", told) + blank + rest
    if 0 <= int(exponent) <= 4:
        return f"{float(told):g}"
    return f"{mantissa}e{int(exponent)}"


# ------------------------------------------------------------------------------------------- groups


def grouped(intervals: Iterable[Interval]) -> list[Group]:
    """Put together what is told in the same words, but for label, dtype, loss and sign of z.

    Args:
        intervals: in the order in which they are told.
    """
    groups: list[Group] = []
    for i in intervals:
        for group in groups:
            if _alike(group[0], i) or _alike(group[0], _mirror(i)):
                group.append(i)
                break
        else:
            groups.append([i])
    return groups


def _is_told_by(i: Interval, every: list[Interval]) -> bool:
    """Whether another interval tells the same.

    delta_L does for dC/dW_L, float64 for an error of the same kind in float32, and everything else
    for the quadratic loss.
    """
    if i.quantity == WEIGHT:
        same = (i.loss, i.y, i.dtype, i.kind, i.low, i.high)
        return any(
            j.quantity == DELTA and (j.loss, j.y, j.dtype, j.kind, j.low, j.high) == same
            for j in every
        )
    if i.kind in VAGUE and i.dtype != WIDE:
        return any(j.dtype == WIDE and j.kind in VAGUE and _overlap(i, j) for j in every)
    if i.loss != "quadratic" or i.quantity in HIDDEN:
        return False
    basic = [j for j in every if j.quantity in HIDDEN or j.loss != i.loss]
    return any(j.dtype == i.dtype and j.low <= i.beyond[1] and i.beyond[0] <= j.high for j in basic)


def _overlap(i: Interval, j: Interval) -> bool:
    """Whether two intervals of one quantity and label have some z in common."""
    same = (i.quantity, i.loss, i.y) == (j.quantity, j.loss, j.y)
    return same and j.low <= i.high and i.low <= j.high


def _alike(a: Interval, b: Interval) -> bool:
    if (a.quantity, a.kind, a.says) != (b.quantity, b.kind, b.says):
        return False
    if not _same_range(a, b):
        return False
    pairs = [(a.number, b.number)]
    if a.kind in NO_NUMBER:
        return True
    if a.kind in VAGUE:
        pairs += zip(a.error, b.error, strict=True)
        pairs.append((abs(a.shown[1]), abs(b.shown[1])))
    elif a.quantity not in HIDDEN:
        near, other = abs(a.exact[0]), abs(b.exact[0])
        if abs(near - other) > ALIKE * max(near, other):
            return False
    return all(_close(x, y) for x, y in pairs)


def _close(x: float, y: float) -> bool:
    if x == y or (isnan(x) and isnan(y)):
        return True
    return isfinite(x) and isfinite(y) and abs(x - y) <= CLOSE * max(abs(x), abs(y))


def _mirror(i: Interval) -> Interval:
    """Return the interval of -z."""
    (first, last), (z, v, e) = i.beyond, i.shown
    return replace(
        i,
        low=-i.high,
        high=-i.low,
        low_after=-i.high_before,
        high_before=-i.low_after,
        beyond=(-last, -first),
        shown=(-z, v, e),
    )


# -------------------------------------------------------------------------- what is no error at all


def told_of_digits(lost: Iterable[Interval], told_already: Sequence[Interval]) -> tuple[str, ...]:
    """Say where no digit is left, one sentence for each quantity and label.

    Args:
        lost: what `lost_digits` returns.
        told_already: intervals beyond the bound, which say more.
    """
    rest = [i for i in lost if not any(_covers(j, i) for j in told_already)]
    texts: dict[tuple[str, str, bool], list[str]] = {}
    for i in rest:
        cancels = i.high > 0 and (i.quantity == SLOPE or i.y == 1)
        short = {DELTA: "p - y", SLOPE: "a (1 - a)"} if cancels else NAMES
        label = "" if i.quantity in HIDDEN else f" (y = {i.y:g})"
        texts.setdefault((short[i.quantity], label, i.high > 0), [])
        told = f"{where(i)} in {i.dtype}"
        if told not in texts[short[i.quantity], label, i.high > 0]:
            texts[short[i.quantity], label, i.high > 0].append(told)
    return tuple(
        f"{name}{label}: no digit left where {' and '.join(many)}"
        for (name, label, _), many in texts.items()
    )


def _covers(i: Interval, lost: Interval) -> bool:
    same = (i.quantity, i.dtype, i.loss, i.y) == (lost.quantity, lost.dtype, lost.loss, lost.y)
    return same and i.low <= lost.beyond[1] and lost.beyond[0] <= i.high


def told_of_loss(odd: Iterable[Interval]) -> tuple[str, ...]:
    """Say beyond which |z| the loss is not finite, one sentence for each dtype and loss.

    Args:
        odd: what `not_finite` returns.
    """
    odd = list(odd)
    texts = []
    for dtype, loss in dict.fromkeys((i.dtype, i.loss) for i in odd):
        own = [i for i in odd if (i.dtype, i.loss) == (dtype, loss)]
        near = min(own, key=lambda i: min(map(abs, i.beyond)))
        edge = _near_end(near).lstrip("-")
        tag = f" ({LOSSES[loss]})" if len({i.loss for i in odd}) > 1 else ""
        kinds: dict[str, list[Interval]] = {}
        for i in own:
            kinds.setdefault(given(i).removeprefix("is "), []).append(i)
        parts = [f"{kind} where {regions(group)}" for kind, group in kinds.items()]
        texts.append(
            f"the loss{tag} is not finite beyond |z_L| = {edge} in {dtype}: {', '.join(parts)}"
        )
    return tuple(texts)
