r"""The residual of the clipped cross-entropy (rounding/clipping.py), with its error bound.

Symbols as in the package's text; p, q = 1 - p the exact sigma(z) and sigma(-z), p^ the engine's
sigmoid, epsilon^ and 1 - epsilon^ its clip points, dp = da, dq the same with q in place of p.

**Forms.** Where p^ is not clipped, the residual is p^ - y (sigmoid.py), or by division

    r^ = [(1 - y) / (1 - p^) - y / p^] p^ (1 - p^)   or   (p^ - y) / [p^ (1 - p^)] p^ (1 - p^)

Both are p^ - y in exact arithmetic, which differs from r by dp at most. In the first form the term
(1 - y) p^ has 3 roundings in its quotient, one in the difference, 2 in p^ (1 - p^) and one in the
last product, the term y (1 - p^) two less. The second form has 7 of the whole. So

    dr = dp + gamma_7 (B + 2 dp + dq) + 3 eta (1 + 1 / p_min + 1 / q_min)

with B = (1 - y) p + y q as of the sweep, and p_min, q_min what p^ and 1 - p^ are not below: an
underflow in p^ (1 - p^) is multiplied by a quotient. A p^ that is not clipped is at least epsilon^;
1 - p^ is at least 1 minus its clip point, and at least u unless it is 0, where both forms are NaN:
the bound is one for numbers. Infinite where a quotient may overflow. Classes that do not cancel
have the strict dr.

**Clip points.** epsilon^ is epsilon rounded, 1 - epsilon^ rounded once more, by u / 2 at most:

    |epsilon^ - epsilon| <= d = 4 u epsilon + 2 eta,     |(1 - epsilon)^ - (1 - epsilon)| <= d + u

(3 u epsilon and more are left for the rounding of the comparisons below). With p~ + dp >= p and
p~ + 2 dp >= p^, and the same of q,

    p~ + 2 dp < epsilon - d   or   q~ + dp + dq < epsilon - d - u     engine and exact loss clip: 0
    p~ - 2 dp > epsilon + d  and   q~ - dp - dq > epsilon + d + u     neither does: r and dr

Otherwise either may clip, or the engine may take a value between the two one-sided derivatives,
and the bound is that from 0 to r: |r| + 2 dr.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.rounding.bounded import Bounded
from gradcheck.rounding.sigmoid import residual

if TYPE_CHECKING:
    from gradcheck.arrays import Float64Array
    from gradcheck.rounding.bounded import Rounding
    from gradcheck.rounding.sigmoid import Layer


def clipped_residual(last: Layer, y: Float64Array, clip: float, rounding: Rounding) -> Bounded:
    """Return sigma(z) - y where clip < sigma(z) < 1 - clip, else 0."""
    total, u = rounding.total, rounding.u
    p, q, dp = last.a.x, last.b, last.a.d
    relative = rounding.relative(rounding.k_s) * (q + 2 * last.E)
    dq = total(last.E, relative, rounding.row.k_a * rounding.relative(1), 2 * last.f)
    d = 4 * u * clip + 2 * rounding.eta
    r = residual(last, y, rounding)
    p_min = np.maximum(clip - d, p - 2 * dp)
    q_min = np.maximum(np.maximum(clip - d - u, u), q - dp - dq)
    B = (1 - y) * p + y * q + 2 * dp + dq
    by_division = division_error(B, dp, p_min, q_min, rounding)
    dr = rounding.allowed(r.d, np.maximum(r.d, by_division))
    zero = (p + 2 * dp < clip - d) | (q + dp + dq < clip - d - u)
    inside = (p - 2 * dp > clip + d) & (q - dp - dq > clip + d + u)
    either = total(np.abs(r.x), 2 * dr)
    return Bounded(np.where(zero, 0, r.x), np.where(zero, 0, np.where(inside, dr, either)))


def division_error(
    B: Float64Array, dp: Float64Array, p_min: Float64Array, q_min: Float64Array, rounding: Rounding
) -> Float64Array:
    """Return dr of the forms that divide, infinite where a quotient may overflow."""
    quotient = 1 / np.maximum(p_min, 0) + 1 / q_min
    overflow = np.where(quotient <= rounding.largest, 0, np.inf)
    underflow = 3 * rounding.eta * (1 + quotient)
    return rounding.total(dp, rounding.relative(7) * B, underflow, overflow)
