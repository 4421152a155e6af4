r"""Balls: real numbers enclosed by a midpoint and a radius, and the floats they determine.

A ball [c +- r] of python-flint's `arb` holds every real number x with |x - c| <= r. Its operations
return a ball that holds the true result for every choice of numbers from their arguments; exponents
are unbounded, so nothing overflows or underflows.

Symbols: RN(x) the float64 nearest to x, ties to even; x the real number that a ball encloses.

**Unique rounding** (Ziv 1991). RN is monotone, so that

    RN(lower end) = RN(upper end) = v    implies    RN(x) = v:

the float is the correctly rounded one although x itself is known only to lie in the ball. Where
the two ends round apart, nothing but more precision can tell, and the float is not *settled*.

Sources: F. Johansson, "Arb: efficient arbitrary-precision midpoint-radius interval arithmetic",
IEEE Trans. Comput. 66 (2017), 1281-1292. A. Ziv, "Fast evaluation of elementary mathematical
functions with correctly rounded last bit", ACM Trans. Math. Softw. 17 (1991), 410-423.
"""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LEAST_PRECISION = 2
"""Bits of the shortest midpoint."""

SMALLEST = float(np.finfo(np.float64).smallest_subnormal)

EXACT = 2.0**62
"""What `arb.rel_accuracy_bits` returns is below this, unless the radius is 0."""


_FLOATS = tuple(map(np.dtype, (np.float16, np.float32, np.float64)))
"""Formats whose numbers are numbers of float64."""


class Rounded(NamedTuple):
    """Floats determined by balls, one entry a ball.

    Attributes:
        value: RN(x) where settled, else the midpoint rounded; NaN where nothing finite is known.
        bound: what |value - x| does not exceed: 0 where the value is exact, infinite where nothing
            is known.
        bits: the relative accuracy b of the ball, r <= 2^-b |c|: infinite where r = 0, and 0 where
            the ball holds nothing of x's size.
        settled: whether value is RN(x) for certain.
    """

    value: npt.NDArray[np.float64]
    bound: npt.NDArray[np.float64]
    bits: npt.NDArray[np.float64]
    settled: npt.NDArray[np.bool_]


def exact_matrix(array: npt.NDArray[Any]) -> arb_mat:
    """Return a matrix of balls of radius 0 that are the array's numbers, bit for bit.

    Args:
        array: two axes; float16, float32, float64 or longdouble, all finite.
    """
    rows, columns = array.shape
    if array.dtype in _FLOATS:
        return arb_mat(rows, columns, array.ravel().tolist())
    return arb_mat(rows, columns, [_exact_ball(number) for number in array.ravel()])


def _exact_ball(number: np.longdouble) -> arb:
    """Return n 2^-k, the number as a whole number over a power of two."""
    n, power_of_two = number.as_integer_ratio()
    return arb((n, 1 - power_of_two.bit_length()))


def entrywise(f: Callable[..., arb], *matrices: arb_mat) -> arb_mat:
    """Apply f to matrices of one shape, entry by entry."""
    rows, columns = matrices[0].nrows(), matrices[0].ncols()
    return arb_mat(rows, columns, list(map(f, *(M.entries() for M in matrices))))


def round_uniquely(balls: Sequence[arb]) -> Rounded:
    """Round balls to float64, and say of each whether the float is settled.

    The ends are taken at the working precision and rounded outward.
    """
    n = len(balls)
    lower = np.fromiter(map(float, map(arb.lower, balls)), np.float64, n)
    upper = np.fromiter(map(float, map(arb.upper, balls)), np.float64, n)
    bits = relative_bits(balls)
    settled = (lower == upper) & np.isfinite(lower)

    # A number x with RN(x) = v is at most half a spacing away from v, which is rounded up where
    # the half underflows.
    value = lower + 0.0  # -0.0 becomes 0.0
    with np.errstate(under="ignore", invalid="ignore"):
        bound = np.maximum(np.spacing(np.abs(value)) / 2, SMALLEST)
    for i in np.flatnonzero(settled & np.isposinf(bits)).tolist():
        if balls[i] == arb(float(value[i])):
            bound[i] = 0.0
    for i in np.flatnonzero(~settled).tolist():
        value[i], bound[i] = _outward(float(balls[i]), float(lower[i]), float(upper[i]))
    return Rounded(value, bound, bits, settled)


def relative_bits(balls: Sequence[arb]) -> npt.NDArray[np.float64]:
    """Return the b of r <= 2^-b |c|: infinite where r = 0, and 0 where r is larger than |c|."""
    bits = np.fromiter(map(arb.rel_accuracy_bits, balls), np.float64, len(balls))
    return np.where(bits > EXACT, np.inf, np.maximum(bits, 0.0))


def _outward(middle: float, lower: float, upper: float) -> tuple[float, float]:
    """Return the midpoint and its distance to the further end, every rounding upward."""
    with np.errstate(all="ignore"):
        low, high = np.nextafter(lower, -np.inf), np.nextafter(upper, np.inf)
        bound = float(np.nextafter(np.maximum(high - middle, middle - low), np.inf))
    return (middle, bound) if np.isfinite(bound) else (np.nan, np.inf)


def require_bits(argument: str, value: Any, least: int = LEAST_PRECISION) -> int:
    """Return a precision as a whole number.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is below `least`.
    """
    try:
        bits = operator.index(value)
    except TypeError:
        raise TypeError(f"{argument}={value!r}; it must be a whole number of bits") from None
    if bits < least:
        raise ValueError(f"{argument}={bits}; it must be at least {least} bits")
    return bits
