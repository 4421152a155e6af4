r"""Where an engine leaves its bound, as intervals of z, and what it gives there.

What is said of an interval is true whatever its cause is:

    zero        v = 0
    constant    v = c
    kept        v = f(z0), z0 the nearer end: z or sigmoid(z) is clipped there, perhaps
    multiple    v = c f(z)
    shifted     v = f(z) + c
    digits      the relative error |v - f| / |f| grows with |z|, v too large and too small in turn
    departs     it grows with |z|, and v is on one side of f for long
    other       the relative error lies between two numbers
    nan, inf    no finite number
    raises      no answer

where f is the exact quantity. An interval begins where the engine leaves the bound of the model; it
reaches as far as what is said of it holds, which may be farther than the bound tells apart: a
sigmoid that is 1 beyond z = 15 is 1 beyond z = 40 too, where the rounding of p - y allows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Float64Array
from gradcheck.response.curve import LOSS, Curve
from gradcheck.response.samples import FLAT, INFINITE, NAN, OTHER, SAME, flat_runs, kinds_of

ZERO, CONSTANT, KEPT, MULTIPLE, SHIFTED = "zero", "constant", "kept", "multiple", "shifted"
DIGITS, DEPARTS, RAISES = "digits", "departs", "raises"

BRIDGED = 3
"""Neighbours within the bound by chance, between others that are not."""

GROWS = 10.0
"""An error that is so many times as large at the far end grows."""

SMALL = 0.1
"""An error that is less at the near end grows from next to nothing."""

TURNS = 0.2
"""Errors that change their sign at so many of the steps in z are those of digits that are lost."""

NEARLY = 0.9
"""Of errors that are nearly the largest, the one nearest to 0 is shown."""


@dataclass(frozen=True)
class Interval:
    """An interval of z where an engine gives what its model does not allow.

    Attributes:
        quantity, loss, y, dtype: of the curve.
        low, high: its ends, infinite where z was not followed farther; equal for a single point.
        low_after, high_before: neighbours of the ends that are not in it, NaN for infinite ends.
        kind: what is given there.
        number: the constant, the value kept, the factor, or the shift; else NaN.
        says: for RAISES, what; else "".
        exact: the exact values at both ends of what is beyond the bound, the nearer to 0 first.
        error: the least and the largest relative error there.
        beyond: the ends of what is beyond the bound.
        shown: a z where the error is nearly the largest, what is given there, and what is right.
    """

    quantity: str
    loss: str
    y: float
    dtype: str
    low: float
    high: float
    low_after: float
    high_before: float
    kind: str
    number: float
    says: str
    exact: tuple[float, float]
    error: tuple[float, float]
    beyond: tuple[float, float]
    shown: tuple[float, float, float]

    @property
    def is_point(self) -> bool:
        """Whether it is one number."""
        return self.low == self.high

    def holds(self, z: float) -> bool:
        """Whether a number is in it."""
        return self.low <= z <= self.high


def intervals(curve: Curve, model: str) -> tuple[Interval, ...]:
    """Return the maximal intervals where a curve leaves the bound of a model, in order of z.

    A loss that is not finite is not told here (`digits.finite_range`).

    Args:
        curve: as measured.
        model: a name in `gradcheck.rounding.ARITHMETICS`.
    """
    with np.errstate(all="ignore"):
        view = _View.of(curve, model)
        return tuple(_described(view, first, last) for first, last in view.runs())


@dataclass(frozen=True)
class _View:
    """A curve with what every sample is.

    Attributes:
        beyond: outside the bound.
        kinds: classes of answers: a number, NaN, infinity, or what was raised.
        flat: the number of the run of equal values, 0 where there is none.
    """

    curve: Curve
    bound: Float64Array
    beyond: npt.NDArray[np.bool_]
    kinds: npt.NDArray[np.object_]
    flat: npt.NDArray[np.intp]

    @classmethod
    def of(cls, curve: Curve, model: str) -> _View:
        beyond = curve.is_beyond(model)
        kinds = kinds_of(curve)
        if curve.quantity == LOSS:
            beyond = beyond & (kinds == OTHER)
        return cls(curve, curve.bound(model), beyond, kinds, flat_runs(curve))

    def runs(self) -> Iterator[tuple[int, int]]:
        """Yield first and last sample of every interval that is beyond the bound.

        Numbers that are all one multiple of the exact ones, or off by one number, are not split
        into constants and others.
        """
        for first, last in self._runs(lambda i: (self.kinds[i],)):
            inside = [i for i in range(first, last + 1) if self.beyond[i]]
            if self.kinds[first] == OTHER and not _plain(self, inside):
                yield from ((a, b) for a, b in self._runs(self._group) if first <= a and b <= last)
            else:
                yield first, last

    def _runs(self, group_of: Callable[[int], tuple[Any, ...]]) -> Iterator[tuple[int, int]]:
        groups = [group_of(i) if self.beyond[i] else None for i in range(len(self.beyond))]
        start: int | None = None
        end = -1
        for i, group in enumerate(groups):
            if group is None:
                continue
            if start is not None and (group != groups[start] or not self._bridged(end, i)):
                yield start, end
                start = None
            start, end = (i if start is None else start), i
        if start is not None:
            yield start, end

    def _group(self, i: int) -> tuple[Any, ...]:
        if self.kinds[i] != OTHER:
            return (self.kinds[i],)
        run = self.flat[i]
        return (OTHER, int(run) if run and self._is_long(int(run)) else 0)

    def _is_long(self, run: int) -> bool:
        return bool(np.sum((self.flat == run) & self.beyond) >= FLAT)

    def _bridged(self, end: int, i: int) -> bool:
        """Whether what lies between two samples beyond the bound is within it by chance."""
        if i - end == 1:
            return True
        same = self.flat[end] and self.flat[end] == self.flat[i]
        return bool(same) or (i - end - 1 <= BRIDGED and all(self.kinds[end : i + 1] == OTHER))


# ------------------------------------------------------------------------------------- one interval


def _described(view: _View, first: int, last: int) -> Interval:
    c = view.curve
    kind, number, says = _what(view, first, last)
    low, high = _reach(view, first, last, kind)
    z, e, v = c.z, c.exact, c.value
    inside = [i for i in range(first, last + 1) if view.beyond[i]]
    errors = np.abs(v[inside] - e[inside]) / np.abs(e[inside])
    near, far = sorted((first, last), key=lambda i: abs(z[i]))
    shown = worst(c, inside)
    return Interval(
        c.quantity,
        c.loss,
        c.y,
        c.dtype,
        -inf if low == 0 else float(z[low]),
        inf if high == len(z) - 1 else float(z[high]),
        float(z[low - 1]) if low else np.nan,
        float(z[high + 1]) if high < len(z) - 1 else np.nan,
        kind,
        number,
        says,
        (float(e[near]), float(e[far])),
        (float(errors.min()), float(errors.max())) if errors.size else (np.nan, np.nan),
        (float(z[first]), float(z[last])),
        (float(z[shown]), float(v[shown]), float(e[shown])),
    )


def worst(curve: Curve, samples: Sequence[int]) -> int:
    """Return the sample nearest to 0 whose relative error is nearly the largest of some.

    Args:
        curve: as measured.
        samples: at least one.
    """
    order = sorted(samples, key=lambda i: abs(curve.z[i]))
    with np.errstate(all="ignore"):
        errors = np.abs(curve.value[order] - curve.exact[order]) / np.abs(curve.exact[order])
    errors = np.where(np.isfinite(errors), errors, -1.0)
    return order[int(np.argmax(errors >= NEARLY * errors.max()))]


def _what(view: _View, first: int, last: int) -> tuple[str, float, str]:
    """Return kind, number and text of what the engine gives from one sample to another."""
    told = view.kinds[first]
    if told in (NAN, INFINITE, f"-{INFINITE}"):
        return (NAN, np.nan, "") if told == NAN else (INFINITE, float(told), "")
    if told != OTHER:
        return RAISES, np.nan, str(told)
    inside = [i for i in range(first, last + 1) if view.beyond[i]]
    v, run = view.curve.value[inside], view.flat[inside]
    if len(v) == 1 or (v == 0).all() or (run[0] and (run == run[0]).all()):
        kind = ZERO if v[0] == 0 else KEPT if _is_kept(view, first, last) else CONSTANT
        return kind, float(v[0]), ""
    return (*_as_function(view, inside), "")


def _plain(view: _View, inside: list[int]) -> tuple[str, float] | None:
    """Return kind and number where all is 0, a multiple, or shifted; else None."""
    c = view.curve
    v, e, bound = c.value[inside], c.exact[inside], view.bound[inside]
    u = float(np.finfo(c.dtype).eps) / 2
    if (v == 0).all():
        return ZERO, 0.0
    if len(v) < FLAT:
        return None
    if (factor := _factor(v, e, bound + SAME * u * np.abs(v))) is not None:
        return MULTIPLE, factor
    if (shift := _shift(v, e, bound + SAME * u * (np.abs(v) + np.abs(e)))) is not None:
        return SHIFTED, shift
    return None


def _as_function(view: _View, inside: list[int]) -> tuple[str, float]:
    """Return kind and number of values that are not all the same."""
    if plain := _plain(view, inside):
        return plain
    c = view.curve
    v, e, z = c.value[inside], c.exact[inside], c.z[inside]
    errors = np.abs(v - e) / np.abs(e)
    near, far = np.argmin(np.abs(z)), np.argmax(np.abs(z))
    same_side = z.min() >= 0 or z.max() <= 0
    if not (same_side and errors[far] >= GROWS * errors[near] and errors[near] < SMALL):
        return OTHER, np.nan
    turns = float(np.mean(np.diff(np.sign(v - e)) != 0))
    return (DIGITS if turns >= TURNS else DEPARTS), np.nan


def _is_kept(view: _View, first: int, last: int) -> bool:
    """Whether a constant is the exact value at the nearer end of its run."""
    c = view.curve
    low, high = _reach(view, first, last, CONSTANT)
    near, before = (low, low - 1) if abs(c.z[low]) < abs(c.z[high]) else (high, high + 1)
    if low == high or not 0 <= before < len(c.z):
        return False
    e, slack = c.exact, view.bound
    between = sorted((e[near], e[before]))
    room = max(slack[near], slack[before])
    return bool(between[0] - room <= c.value[near] <= between[1] + room)


def _reach(view: _View, first: int, last: int, kind: str) -> tuple[int, int]:
    """Return how far what is said of an interval holds, at least from first to last."""
    c = view.curve
    if kind in (ZERO, CONSTANT, KEPT):
        run = view.flat[first]
        same = (view.flat == run) if run else (c.value == c.value[first])
    elif kind in (NAN, INFINITE, RAISES):
        same = view.kinds == view.kinds[first]
    else:
        return first, last
    while first > 0 and same[first - 1]:
        first -= 1
    while last < len(c.z) - 1 and same[last + 1]:
        last += 1
    return first, last


def _factor(v: Float64Array, e: Float64Array, room: Float64Array) -> float | None:
    """Return c with v = c e within the room, None without one."""
    best = int(np.argmin(room / np.abs(e)))
    c = float(v[best] / e[best]) if e[best] else 0.0
    if not np.abs(c - 1) * np.abs(e[best]) > 2 * room[best] or not c:
        return None
    allowed = room + np.abs(c) * room + np.abs(e) * (1 + np.abs(c)) * room[best] / np.abs(e[best])
    return c if bool((np.abs(v - c * e) <= allowed).all()) else None


def _shift(v: Float64Array, e: Float64Array, room: Float64Array) -> float | None:
    """Return c with v = e + c within the room, None without one."""
    best = int(np.argmin(room))
    c = float(v[best] - e[best])
    sure = np.abs(c) > 4 * room[best]
    return c if sure and bool((np.abs(v - e - c) <= room + room[best]).all()) else None
