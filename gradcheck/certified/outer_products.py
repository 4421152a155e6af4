r"""Outer products of two vectors of balls, rounded to float64 without being built in balls.

The weight gradients of one example are such products, delta_i a_j: a million of them from two
thousand balls. Pairs of floats tell nearly all of their roundings, with a bound that is certain.

Symbols: v_ = 2^-53; RN rounding to nearest; x, y real numbers of two balls;

    h = RN(middle),  l = RN(middle - h),  |x - h - l| <= epsilon |h|,     and k, l', epsilon' of y

**The product.** With p = RN(h k) and e = h k - p, which is a float (Dekker 1971),

    x y = h k + (h l' + l k) + [l l' + (h + l)(y - k - l') + (x - h - l) y]
    c   = RN(e + RN(RN(h l') + RN(l k)))

|l| <= v_ |h| and |e| <= v_ |h k|. The bracket is at most (v_^2 + 2 epsilon + 2 epsilon') |h k|; the
four roundings of c err by v_^2 |h k| (1 + 1 + 2 + 3) to first order. So

    |x y - (p + c)| <= d = [16 v_^2 + 4 (epsilon + epsilon')] |p|,

with room to spare for terms of higher order and for the rounding of d and of |t| + d below.

**The float.** w = RN(p + c), t = (p + c) - w exactly, as |c| <= |p| (Dekker's fast two-sum). Let g
be half the distance from |w| to the float before it, at most half that to the float after it.

    |t| + d < g    implies    RN(x y) = w for every choice of x and y from their balls.

Where x and y are floats themselves, x y = p + e and RN(x y) = p, which is x y itself for e = 0.
All of this asks that nothing overflows or underflows: |h|, |k| and |p| from 2^-900 to 2^900. Every
product that is not settled so is multiplied and rounded as a ball.

Source: T. J. Dekker, "A floating-point technique for extending the available precision", Numer.
Math. 18 (1971), 224-242.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcheck.arrays import BoolArray, Float64Array
from gradcheck.certified.balls import Rounded, relative_bits, round_uniquely

if TYPE_CHECKING:
    from collections.abc import Sequence

    from flint import arb

UNIT = 2.0**-53
SPLITTER = 2.0**27 + 1
LARGEST = 2.0**900
"""Numbers between 1 / LARGEST and LARGEST neither overflow nor underflow in Dekker's product."""


class Pairs(NamedTuple):
    """Balls as pairs of floats, one entry a ball.

    Attributes:
        h, l: the middle rounded, and the rest of the middle rounded.
        epsilon: what |x - h - l| / |h| does not exceed; infinite where nothing is known.
        is_finite: whether ball and h are finite.
        is_float: whether the ball is the float h and nothing else.
        bits: the relative accuracy of the ball.
    """

    h: Float64Array
    l: Float64Array  # noqa: E741 - the symbol above
    epsilon: Float64Array
    is_finite: BoolArray
    is_float: BoolArray
    bits: Float64Array

    @classmethod
    def of(cls, balls: Sequence[arb]) -> Pairs:
        """Take balls apart, at the working precision."""
        h = np.array([float(x) for x in balls])
        rests = [x - float(x) for x in balls]
        l = np.array([float(x) for x in rests])  # noqa: E741 - the symbol above
        rest = np.array([float(abs(x - float(x)).upper()) for x in rests])
        with np.errstate(all="ignore"):
            epsilon = np.nextafter(np.nextafter(rest, np.inf) / np.abs(h), np.inf)
        epsilon[np.isnan(epsilon) | ~_is_ordinary(h)] = np.inf
        is_finite = np.isfinite(h) & np.isfinite(rest)
        is_float = is_finite & np.array([bool(x == 0) for x in rests])
        return cls(h, l, epsilon, is_finite, is_float, relative_bits(balls))

    @property
    def is_zero(self) -> BoolArray:
        """Whether the ball is 0 and nothing else."""
        is_zero: BoolArray = self.is_float & (self.h == 0)
        return is_zero


def round_outer(x: Sequence[arb], y: Sequence[arb]) -> Rounded:
    """Round the products x_i y_j to float64, and say of each whether the float is settled.

    Args:
        x: a vector of balls.
        y: another.

    Returns:
        One entry a product, row by row.
    """
    X, Y = Pairs.of(x), Pairs.of(y)
    with np.errstate(all="ignore"):  # what leaves the range of the proof is not settled here
        w, t, d = _products(X, Y)
        size = np.abs(w)
        g = (size - np.nextafter(size, 0)) / 2
        ordinary = _is_ordinary(X.h)[:, None] & _is_ordinary(Y.h) & _is_ordinary(w)
        floats = X.is_float[:, None] & Y.is_float
        zero = (X.is_zero[:, None] & Y.is_finite) | (X.is_finite[:, None] & Y.is_zero)
        settled = zero | (ordinary & (floats | (np.abs(t) + d < g)))
        bound = np.where(zero | (floats & (t == 0)), 0.0, np.spacing(size) / 2)
    # (1 + 2^-b)(1 + 2^-c) - 1 <= 2^(2 - min(b, c))
    bits = np.where(zero, np.inf, np.maximum(np.minimum.outer(X.bits, Y.bits) - 2, 0.0))
    value = np.where(zero, 0.0, w)
    rounded = Rounded(value.ravel(), bound.ravel(), bits.ravel(), settled.ravel())
    return _as_balls(rounded, x, y)


def _products(X: Pairs, Y: Pairs) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return w, t and d of the text above."""
    h, k = X.h[:, None], Y.h
    p = h * k
    high, low = _split(h)
    upper, lower = _split(k)
    e = low * lower - (((p - high * upper) - low * upper) - high * lower)
    c = e + (h * Y.l + X.l[:, None] * k)
    w = p + c
    d = (16 * UNIT**2 + 4 * (X.epsilon[:, None] + Y.epsilon)) * np.abs(p)
    return w, c - (w - p), d


def _split(h: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return two floats of at most 26 bits whose sum is h."""
    far = SPLITTER * h
    high = far - (far - h)
    return high, h - high


def _is_ordinary(h: Float64Array) -> BoolArray:
    size = np.abs(h)
    ordinary: BoolArray = (size >= 1 / LARGEST) & (size <= LARGEST)
    return ordinary


def _as_balls(rounded: Rounded, x: Sequence[arb], y: Sequence[arb]) -> Rounded:
    """Put the products that are not settled through ball arithmetic."""
    rest = np.flatnonzero(~rounded.settled)
    if rest.size:
        i, j = np.divmod(rest, len(y))
        balls = round_uniquely([x[a] * y[b] for a, b in zip(i.tolist(), j.tolist(), strict=True)])
        for mine, theirs in zip(rounded, balls, strict=True):
            mine[rest] = theirs
    return rounded
