"""The logistic sigmoid, its derivative and its integral, exact to a few units in the last place.

Every formula is written with

    e = exp(-|z|),   0 <= e <= 1,

so that nothing overflows and nothing cancels: each is a sum, product or quotient of positive
numbers. All functions take scalars and arrays of float16, float32, float64, longdouble and
complex128 and keep the dtype.

Complex arguments continue the real formulas analytically, as the complex step of Squire and
Trapp (1998) needs: |z|, max(z, 0) and min(z, 0) choose their branch by the sign of Re(z), and by
that of Im(z) where Re(z) = 0 (numpy's order), so that |z| = |-z|. sigmoid and softplus have poles
and branch points at z = +-i pi, +-3i pi, ...; the continuation is meant for |Im z| < pi.

Buffers (`out`, `scratch`, ...) have the shape and dtype of z. Given all of them, real arguments
allocate nothing of array size. `scratch` may be z itself where z is no longer needed; all other
buffers are distinct.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def sigmoid(
    z: Any, *, out: Array | None = None, e: Array | None = None, scratch: Array | None = None
) -> Any:
    """Return sigma(z) = 1 / (1 + exp(-z)).

    Args:
        z: scalar or array.
        out: receives the result.
        e: receives exp(-|z|), from which `sigmoid_prime_from_decay` takes the derivative.
        scratch: receives 1 + e; may be z or e itself, which is then lost.

    Returns:
        sigma(z) in the shape and dtype of z, within k + 2 units of roundoff u where exp is
        within k u: 4 u where exp is correct to one unit in the last place; 6 u in float32, whose
        vectorised exp in numpy errs by up to 3.57 u.

    >>> sigmoid(0.0)
    np.float64(0.5)
    >>> sigmoid(np.float32(-1e6))
    np.float32(0.0)
    """
    return sigmoid_from_decay(z, decay(z, out=e), out=out, scratch=scratch)


def sigmoid_from_decay(
    z: Any, e: Any, *, out: Array | None = None, scratch: Array | None = None
) -> Any:
    """Return sigma(z) from z and e = exp(-|z|), which also is exp(-|-z|), of sigma(-z).

    `scratch` receives 1 + e and may be z or e itself.
    """
    # sigma(z) = 1/(1+e) for z >= 0 and e/(1+e) for z < 0: the numerator is exp(min(z, 0)), which
    # for real z is max(e, sgn z), as 0 <= e <= 1 and e = 1 at z = 0.
    if _is_complex(z):
        numerator = np.exp(negative_part(z, out=out), out=out)
    else:
        numerator = np.maximum(np.sign(z, out=out), e, out=out)
    return np.divide(numerator, np.add(e, 1.0, out=scratch), out=out)


def sigmoid_prime(z: Any, *, out: Array | None = None, scratch: Array | None = None) -> Any:
    """Return sigma'(z) = sigma(z) sigma(-z), without the cancellation of a (1 - a).

    Args:
        z: scalar or array.
        out: receives the result.
        scratch: overwritten; may be z itself, which is then lost.

    >>> sigmoid_prime(0.0)
    np.float64(0.25)
    """
    return sigmoid_prime_from_decay(decay(z, out=out), out=out, scratch=scratch)


def sigmoid_prime_from_decay(
    e: Any, *, one_plus_e: Any = None, out: Array | None = None, scratch: Array | None = None
) -> Any:
    """Return sigma'(z) = e / (1 + e)^2 from e = exp(-|z|), and from 1 + e where that is known.

    `out` may be e itself, `scratch` may be `one_plus_e` itself.
    """
    root = np.add(e, 1.0, out=scratch) if one_plus_e is None else one_plus_e
    return np.divide(e, np.multiply(root, root, out=scratch), out=out)


def softplus(z: Any, *, out: Array | None = None, scratch: Array | None = None) -> Any:
    """Return log(1 + exp(z)) = max(z, 0) + log1p(e), the integral of sigma.

    Args:
        z: scalar or array.
        out: receives the result.
        scratch: overwritten; may be z itself, which is then lost.

    >>> softplus(-1e6), softplus(1e6)
    (np.float64(0.0), np.float64(1000000.0))
    """
    log1p_e = log1p(decay(z, out=scratch), out=scratch)
    return np.add(positive_part(z, out=out), log1p_e, out=out)


def decay(z: Any, *, out: Array | None = None) -> Any:
    """Return e = exp(-|z|), with |z| = max(z, 0) - min(z, 0) = |-z|."""
    if _is_complex(z):
        minus_modulus = np.subtract(negative_part(z), positive_part(z), out=out)
    else:
        minus_modulus = np.negative(np.abs(z, out=out), out=out)
    return np.exp(minus_modulus, out=out)


def positive_part(z: Any, *, out: Array | None = None) -> Any:
    """Return max(z, 0)."""
    return np.maximum(z, 0.0, out=out)


def negative_part(z: Any, *, out: Array | None = None) -> Any:
    """Return min(z, 0)."""
    return np.minimum(z, 0.0, out=out)


def log1p(w: Any, *, out: Array | None = None) -> Any:
    """Return log(1 + w) for |w| <= 1, also where 1 + w would drop the digits of a small complex w.

    With w = x + i y:
        log(1 + w) = 1/2 log |1 + w|^2 + i arg(1 + w),   |1 + w|^2 = 1 + (x (2 + x) + y^2).
    Towards w = -1 the bracket would cancel; there 1 + x is exact (Sterbenz: -1 <= x <= -1/2)
    and log(1 + w) is taken as it stands.
    """
    if not _is_complex(w):
        return np.log1p(w, out=out)
    x, y = w.real, w.imag
    one_plus_w = (1.0 + x) + 1j * y
    near_zero = np.log1p(np.maximum(x * (2.0 + x) + y * y, -0.75)) / 2 + 1j * np.angle(one_plus_w)
    return np.add(np.where(x < -0.5, np.log(one_plus_w), near_zero), 0.0, out=out)


def _is_complex(z: Any) -> bool:
    dtype = getattr(z, "dtype", None)
    return isinstance(z, complex) if dtype is None else dtype.kind == "c"
