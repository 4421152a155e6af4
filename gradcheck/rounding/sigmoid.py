r"""Sigmoid, slope and residual, with the bounds of their errors.

Symbols as in the package's text.

**Sigmoid.** Exactly, for h >= 0,

    sigma(z + h) - sigma(z) = sigma(z + h) sigma(-z) (1 - e^-h),

a product of positive factors. With |z^ - z| <= dz, |z~ - z| <= dz, and one more dz for the rounding
of the arguments (dz >= gamma_2 |z| as z is a sum of two terms or more),

    |sigma(z^) - sigma(z)| <= E = (1 - e^-dz) max[ sigma(z~+3dz) sigma(2dz-z~),
                                                   sigma(z~+2dz) sigma(3dz-z~) ] <= 1.

Then da = E + gamma_{k_s} (a + 2 E) + k_a u + 2 f. A sigmoid made of exp, +, / has relative error
k_s u, k_s = k_e + 2. One made of tanh, (1 + tanh(z/2)) / 2, has tanh within 4 u and a sum below 2:
absolute error k_a u, k_a = (4 + 2) / 2 = 3. f is eta, or tiny where e^-|z^| can be below 4 tiny:
there 1 / (1 + e^-z) overflows inside and answers 0, and functions may flush subnormal results.

**Slope.** s(a) = a (1 - a) gives s(a + h) - s(a) = h (1 - 2 a - h); |1 - 2 a| = tanh(|z|/2) <= t,
t = tanh((|z~| + dz) / 2). So |sigma'(z^) - sigma'(z)| <= E (t + E), and

    ds = E (t + E) + gamma_{k_p} (s + 2 E (t + E)) + 2 f           cancellation-free
    or da (t + da) + gamma_3 (s + ds + da (t + da)) + 2 eta        a (1 - a), if greater

with k_p = k_e + 5. An error of exp in 1 / (1 + e^-z) counts by the factor sigma(-z), in
1 / (1 + e^z) by sigma(z), so in the product sigma(z) sigma(-z) once in all; two sums, two quotients
and the product add 5. In e / (1 + e)^2 it counts by |1 - e| / (1 + e), and 4 are added. The second
line also holds (1 - tanh^2(z/2)) / 4: error (4 + 4 + 1) |1 - 2 a| u / 4 and two roundings.

**Residual.** r = sigma(z) - y = (1 - y) sigma(z) - y sigma(-z), its terms' sum
B = (1 - y) sigma(z) + y sigma(-z), which is |r| only for y = 0 and y = 1:

    dr = E + gamma_{k_s+3} (B + 2 E) + 2 f                         cancellation-free
    or da + gamma_1 (|r| + dr + da) + eta                          p - y, if greater
    or E + gamma_{k_z + 2 k_e + 5} (B + 2 E) + 2 f                 log(1 + e^z), if greater

**Log of a sum.** l = log(1 + e^z) is differentiated as sigma(z) = e^(z - l), sigma(-z) = e^-l, with
l = max(z, 0) + c, c = log1p(e^-|z|) <= log 2. In the exponent c errs by (k_e + k_log) u log 2; the
sum l and the difference z - l are rounded, one of them of size |z| + c, the other at most c: by
u (|z| + 2 c), or by c where that is less, c <= u from |z| = -log u on. So the exponent errs by
k_z u, k_z = min(|z|, -log u) + k_e + k_log + 2, exp adds k_e, and the residual five as above.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcheck.rounding.arithmetic import K_LOG
from gradcheck.rounding.bounded import Bounded

if TYPE_CHECKING:
    from gradcheck.arrays import Float64Array
    from gradcheck.rounding.bounded import Rounding


class Layer(NamedTuple):
    """One layer: z, a = sigma(z), b = sigma(-z), s = sigma'(z), and E, t, f of the text above."""

    z: Bounded
    a: Bounded
    b: Float64Array
    s: Bounded
    E: Float64Array
    t: Float64Array
    f: Float64Array


def activation(z: Bounded, rounding: Rounding) -> Layer:
    """Return a layer of its pre-activations."""
    row, total, relative = rounding.row, rounding.total, rounding.relative
    a, b, s = sigmoids(z.x)
    E = total(increment(z.x, z.d))
    t = total(np.tanh((np.abs(z.x) + z.d) / 2))
    flushed = np.abs(z.x) + 3 * z.d > -np.log(4 * rounding.tiny)
    f = np.where(flushed, rounding.tiny, rounding.eta)
    da = total(E, relative(rounding.k_s) * (a + 2 * E), row.k_a * relative(1), 2 * f)
    moved = E * (t + E)
    strict = total(moved, relative(rounding.k_p) * (s + 2 * moved), 2 * f)
    moved = da * (t + da)
    cancelling = total(moved, relative(3) * (s + strict + moved), 2 * rounding.eta)
    ds = rounding.allowed(strict, cancelling)
    return Layer(z, Bounded(a, da), b, Bounded(s, ds), E, t, f)


def residual(last: Layer, y: Float64Array, rounding: Rounding) -> Bounded:
    """Return r = sigma(z) - y."""
    total, relative = rounding.total, rounding.relative
    left, right = (1 - y) * last.a.x, y * last.b
    r = left - right
    strict = total(last.E, relative(rounding.k_s + 3) * (left + right + 2 * last.E), 2 * last.f)
    da = last.a.d
    cancelling = total(da, relative(1) * (np.abs(r) + strict + da), rounding.eta)
    if rounding.row.log_sum:
        by_log = total(last.E, log_sum(last.z, rounding) * (left + right + 2 * last.E), 2 * last.f)
        cancelling = np.maximum(cancelling, by_log)
    return Bounded(r, rounding.allowed(strict, cancelling))


def log_sum(z: Bounded, rounding: Rounding) -> Float64Array:
    """Return gamma_k, k = k_z + 2 k_e + 5, of which gamma_K k / K is not less for k <= K."""
    farthest = -np.log(rounding.u)
    fixed = (rounding.k_e + K_LOG + 2) + 2 * rounding.k_e + 5
    k = np.minimum(z.most_computed, farthest) + fixed
    K = farthest + fixed
    return np.asarray(rounding.relative(K) * (k / K))


def sigmoids(z: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Return sigma(z), sigma(-z) and e / (1 + e)^2 = sigma'(z), e = e^-|z|."""
    e = np.exp(-np.abs(z))
    root = 1 + e
    small, large = e / root, 1 / root
    a, b = np.where(z < 0, small, large), np.where(z < 0, large, small)
    return a, b, e / root**2


def sigma(z: Float64Array) -> Float64Array:
    """Return 1 / (1 + e^-z), of relative accuracy for either sign."""
    e = np.exp(-np.abs(z))
    result: Float64Array = np.where(z < 0, e, 1) / (1 + e)
    return result


def sigma_prime(z: Float64Array) -> Float64Array:
    """Return e / (1 + e)^2, e = e^-|z|."""
    return sigmoids(z)[2]


def softplus(z: Float64Array) -> Float64Array:
    """Return log(1 + e^z)."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def increment(z: Float64Array, d: Float64Array) -> Float64Array:
    """Return E: how far sigma moves while z moves by d, from anywhere within d of z."""
    up, right, left, down = sigma(np.stack([z + 3 * d, 2 * d - z, z + 2 * d, 3 * d - z]))
    E = -np.expm1(-d) * np.maximum(up * right, left * down)
    return np.where(np.isfinite(d), E, np.inf)
