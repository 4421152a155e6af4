r"""Names for whole curves: a formula is named only if it gives the engine's numbers at every z.

Symbols: v the engine's value at one z, f(z; c) a formula with parameter c, u the unit roundoff.

An engine that computes f has p right to a few u, q = 1 - p to a few u as a number, not of itself;
so f may be computed of any p (1 + 4 i u) and q + 4 j u, i and j in {-1, 0, 1}, and rounded as the
model rounds: v lies between

    min f - r  and  max f + r,   r = bound of the quantity, 8 u |v|, and 4 tiny

f is monotone in c, so are both ends, and the c that allow v are an interval, found by halving in
log c. Where the intervals of all z and both labels have c in common, the formula fits, with any of
those c. Where only those of each sign of z have, the limits differ by sign, as those of [1e-7,
1 - 1e-7] do in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Float64Array
from gradcheck.response.curve import HIDDEN, UNIT, Curve
from gradcheck.response.formulas import FORMULAS, NONE, Formula, Point, as_written
from gradcheck.response.words import NAMES, plain, simplest, size

Range = tuple[float, float]
"""The least and the greatest."""

About = tuple[str, str, str]
"""Quantity, loss, dtype."""

_Holds: TypeAlias = Callable[[tuple[Float64Array, Float64Array]], Any]

STRICT = "cancellation_free"

STEPS = 60
"""Halvings of log c."""

SLACK = 2.0**-50
"""c is known to a few units of float64."""

FEW = 10
"""So many of the samples reject most formulas."""

WIDE = 1.5
"""Where the greatest parameter that fits is more than so many times the least, none is named."""


@dataclass(frozen=True)
class Name:
    """A formula that gives all curves of a quantity in one dtype.

    Attributes:
        quantity, loss, dtype: of the curves; loss is "" in hidden units.
        text: the formula with its parameter.
        low, high: the least and the greatest parameter that fit where z < 0, and where z > 0.
    """

    quantity: str
    loss: str
    dtype: str
    text: str
    low: Range
    high: Range


def names(curves: Iterable[Curve], wrong: Container[About]) -> tuple[Name, ...]:
    """Return the formulas that give an engine's curves as a whole.

    Args:
        curves: all of an engine.
        wrong: what those are about that leave their bound; the others need no name.
    """
    groups: dict[About, list[Curve]] = {}
    for c in curves:
        if about_of(c) in wrong:
            groups.setdefault(about_of(c), []).append(c)
    return tuple(name for about, group in groups.items() for name in _named(*about, group))


def about_of(curve: Curve) -> About:
    """Return quantity, loss and dtype of a curve; no loss for hidden units."""
    loss = "" if curve.quantity in HIDDEN else curve.loss
    return curve.quantity, loss, curve.dtype


def _named(quantity: str, loss: str, dtype: str, group: list[Curve]) -> Iterator[Name]:
    """Yield the formulas that fit: those with a parameter that people write, else the first."""
    found = []
    for formula in FORMULAS:
        if formula.quantity == quantity and loss != "quadratic":
            with np.errstate(all="ignore"):
                fitted = fit(formula, group)
            if fitted is not None:
                usual = all(map(partial(_usual, formula, dtype), fitted))
                text = told(formula, *fitted, dtype)
                found.append((usual, Name(quantity, loss, dtype, text, *fitted)))
    written = [name for usual, name in found if usual]
    yield from written or [name for _, name in found[:1]]


def fit(formula: Formula, curves: Sequence[Curve]) -> tuple[Range, Range] | None:
    """Return the parameters that fit where z < 0 and where z > 0; None where none do.

    Args:
        formula: what may be computed.
        curves: of one quantity and dtype.
    """
    sides = []
    for sign in (-1, 1):
        allowed: Range | None = formula.span
        for curve in curves:
            allowed = None if allowed is None else _allowed(formula, curve, sign, allowed)
        if allowed is None:
            return None
        sides.append(allowed)
    (a, b), (c, d) = sides
    both = max(a, c), min(b, d)
    return (both, both) if both[0] <= both[1] else (sides[0], sides[1])


def _allowed(formula: Formula, curve: Curve, sign: int, span: Range) -> Range | None:
    """Return the parameters that allow all values of one side of a curve, 0 with both."""
    chosen = sign * curve.z >= 0
    if not np.isfinite(curve.value[chosen]).all():
        return None
    finfo = np.finfo(curve.dtype)
    v = curve.value[chosen]
    room = curve.bound(STRICT)[chosen] + 4 * float(finfo.eps) * np.abs(v) + 4 * float(finfo.tiny)
    every = np.arange(len(v))
    for few in (every[:: max(1, len(v) // FEW)], every):  # most formulas do not fit a few
        ends = _Ends.of(formula, curve, np.flatnonzero(chosen)[few], room[few])
        found = ends.allowed(v[few], span)
        if found is None:
            return None
        span = found
    return span


@dataclass(frozen=True)
class _Ends:
    """The least and the greatest number that computing a formula may give, at every z."""

    formula: Formula
    y: float
    z: Float64Array
    i: Float64Array
    j: Float64Array
    room: Float64Array

    @classmethod
    def of(
        cls, formula: Formula, curve: Curve, samples: npt.NDArray[np.intp], room: Float64Array
    ) -> _Ends:
        u = float(np.finfo(curve.dtype).eps) / 2
        i, j = (
            4 * u * np.array(signs)[:, None] for signs in ((0, 1, 1, -1, -1), (0, 1, -1, 1, -1))
        )
        return cls(formula, curve.y, curve.z[samples], i, j, room)

    def __call__(self, c: Float64Array) -> tuple[Float64Array, Float64Array]:
        at = Point.of(self.z, self.y, c, self.i, self.j)
        values = np.atleast_2d(self.formula.of(at))
        return values.min(axis=0) - self.room, values.max(axis=0) + self.room

    def allowed(self, v: Float64Array, span: Range) -> Range | None:
        """Return the least and the greatest c that allow every v, None where there is none."""
        low, high = (np.full(len(v), c) for c in span)
        at_low, at_high = self(low), self(high)
        rises = at_high[0] + at_high[1] >= at_low[0] + at_low[1]
        # below the least c everything is too small where f rises, too large where it falls
        first = self._edge(low, high, lambda ends: np.where(rises, ends[1] >= v, ends[0] <= v))
        last = self._edge(high, low, lambda ends: np.where(rises, ends[0] <= v, ends[1] >= v))
        if first is None or last is None:
            return None
        least = float(first.max(initial=span[0])) * (1 - SLACK)
        most = float(last.min(initial=span[1])) * (1 + SLACK)
        return (max(least, span[0]), min(most, span[1])) if least <= most else None

    def _edge(self, start: Float64Array, end: Float64Array, holds: _Holds) -> Float64Array | None:
        """Return the c nearest to `start` for which a condition holds that holds towards `end`."""
        if not holds(self(end)).all():
            return None
        at_start = holds(self(start))
        inside, outside = np.where(at_start, start, end), start
        for _ in range(0 if at_start.all() else STEPS):
            middle = np.sqrt(inside) * np.sqrt(outside)
            good = holds(self(middle))
            inside, outside = np.where(good, middle, inside), np.where(good, outside, middle)
        return inside


# ----------------------------------------------------------------------------------------- in words


def told(formula: Formula, low: Range, high: Range, dtype: str) -> str:
    """Write a formula with its parameter, or the two of both signs of z.

    Args:
        formula: that fits.
        low: the least and the greatest parameter where z < 0.
        high: those where z > 0.
        dtype: of the engine's numbers.
    """
    if formula.parameter == NONE:
        return formula.text
    below, above = (parameter(formula, fits, dtype) for fits in (low, high))
    if low == high:
        return formula.text.format(e=below)
    if formula.text.count("{e}") > 1:
        return formula.text.replace("{e}", below, 1).format(e=above)
    return f"{formula.text.format(e=below)} where z < 0, {above} for {below} where z > 0"


def parameter(formula: Formula, fits: Range, dtype: str) -> str:
    """Write a parameter: as people write it if one of those fits, else the shortest that fits.

    Args:
        formula: whose parameter it is.
        fits: the least and the greatest that do.
        dtype: of the engine's numbers.
    """
    if usual := _usual(formula, dtype, fits):
        return plain(min(usual, key=len).removesuffix(" rounded"))
    least, most = fits
    return simplest(least, most) if most <= WIDE * least else f"({size(least)} to {size(most)})"


def _usual(formula: Formula, dtype: str, fits: Range) -> list[str]:
    """Return what people write and what fits, nothing where nearly all would."""
    least, most = fits[0] * (1 - UNIT), fits[1] * (1 + UNIT)
    if most > WIDE * least:
        return []
    written = as_written(formula.parameter, dtype)
    return [text for text, c in written.items() if least <= c <= most]


def told_of_names(found: Sequence[Name]) -> tuple[str, ...]:
    """Tell what curves are as a whole, one sentence for each quantity.

    Args:
        found: what `names` returns.
    """
    texts: dict[tuple[str, str], dict[str, list[str]]] = {}
    for name in found:
        texts.setdefault((name.quantity, name.loss), {}).setdefault(name.text, []).append(
            name.dtype
        )
    dtypes = {name.dtype for name in found}
    return tuple(
        f"at every z {NAMES[quantity]} is " + ", or ".join(
            text + (f" (in {own[0]})" if len(own) < len(dtypes) else "")
            for text, own in many.items()
        )
        for (quantity, _), many in texts.items()
    )  # fmt: skip
