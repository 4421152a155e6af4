r"""A sigmoid network at one point, and how its layers change when their arguments do.

Symbols: u = 2^-53; sigma(z) = 1 / (1 + e^-z); q = sigma(z), p = sigma(-z) = 1 - q, s = q p.

A difference of two forward evaluations is written as a product, so that nothing is subtracted that
may be nearly equal. These are identities between function values for every d, large or small:

    sigma(z + d) - sigma(z)        = s v / (1 + q v),               v = e^d - 1
    C(z + d) - C(z), cross-entropy = log1p(w (e^D - 1)) - y' D
        y <= 1/2:   D =  d,  w = q,  y' = y             from C = log(1 + e^z) - y z
        y >  1/2:   D = -d,  w = p,  y' = 1 - y         from C = log(1 + e^-z) + (1 - y) z
    C(z + d) - C(z), quadratic     = A (r + A/2),     A = sigma(z + d) - sigma(z),  r = sigma(z) - y

**Rounding.** exp errs by 2 u, expm1 and log1p by 4 u at most, each other operation by u. Then q and
p err by 4 u and s by 9 u. For |d| <= 1/4: -0.23 < v < 0.29, so 1 + q v errs by
u + 9 u |q v| / (1 + q v) < 4 u; with v, the quotient and the product

    sigma(z + d) - sigma(z)     errs by (9 + 4 + 4 + 2) u < K_SIGMOID u

relative to itself. In the cross-entropy w v errs by 9 u, log1p(x) multiplies that by
x / ((1 + x) log1p(x)) < 1.15 and adds 4 u; y' D errs by u, and the difference adds u: less than
K_CROSS_ENTROPY u (w + y') |d| e^|d|. In the quadratic loss r = (1 - y) q - y p errs by
7 u T, T = (1 - y) q + y p, A/2 by 20 u |A/2|; with the sum, the product and A itself
20 + 21 + 1 < K_QUADRATIC, times u |A| (T + |A|/2).

Sources: T. W. Reps and L. B. Rall, "Computational divided differencing and divided-difference
arithmetics", Higher-Order and Symbolic Computation 16 (2003), 93-149; N. J. Higham, Accuracy and
Stability of Numerical Algorithms, 2nd ed. (2002).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcheck.arrays import Float64Array
from gradcheck.problem import dtype_name

if TYPE_CHECKING:
    from gradcheck.problem import Problem

K_SIGMA = 4
K_SIGMOID = 20
K_CROSS_ENTROPY = 16
K_QUADRATIC = 44

MOST = 0.25
"""The largest |d| that the rounding constants hold for."""


class Units(NamedTuple):
    """q = sigma(z), p = sigma(-z) and s = q p of one layer, each (m, n_l)."""

    q: Float64Array
    p: Float64Array
    s: Float64Array


@dataclass(frozen=True)
class LayeredNetwork:
    """A problem's exact numbers in float64, with one forward pass through it.

    Attributes:
        loss: "cross_entropy" or "quadratic".
        divisor: M, what the sum over the examples is divided by.
        weights: W_l (n_l, n_{l-1}).
        inputs: a_{l-1} with a last column of ones that the bias multiplies, (m, n_{l-1} + 1).
        units: of the layers 1..L.
        targets: Y (m, n_L).
        constants: what the rise of the cost needs besides d, three arrays (m, n_L):
            (D/d, w, y') or (q, s, r).
    """

    loss: str
    divisor: int
    weights: tuple[Float64Array, ...]
    biases: tuple[Float64Array, ...]
    inputs: tuple[Float64Array, ...]
    units: tuple[Units, ...]
    targets: Float64Array
    constants: tuple[Float64Array, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """n_0, ..., n_L."""
        return (self.weights[0].shape[1], *(len(W) for W in self.weights))

    @property
    def batch(self) -> int:
        """The number of examples m."""
        return len(self.targets)

    @classmethod
    def of(cls, problem: Problem) -> LayeredNetwork:
        """Run the forward pass.

        Raises:
            TypeError: dtype longdouble, whose numbers float64 cannot hold.
        """
        if dtype_name(problem.dtype) == "longdouble":
            raise TypeError("problem has dtype longdouble; its numbers must fit float64 exactly")
        weights = tuple(W.astype(np.float64, copy=False) for W in problem.weights)
        biases = tuple(b.astype(np.float64, copy=False) for b in problem.biases)
        a = problem.inputs.astype(np.float64, copy=False)
        inputs, units = [], []
        with np.errstate(under="ignore"):
            for W, b in zip(weights, biases, strict=True):
                inputs.append(np.concatenate([a, np.ones_like(a, shape=(len(a), 1))], axis=1))
                units.append(sigmoids(preactivations(a, W, b)))
                a = units[-1].q
            targets = problem.targets.astype(np.float64, copy=False)
            loss = problem.architecture.loss
            constants = CONSTANTS[loss](units[-1], targets)
        divisor = problem.batch if problem.architecture.reduction == "mean" else 1
        return cls(loss, divisor, weights, biases, tuple(inputs), tuple(units), targets, constants)


def preactivations(a: Float64Array, W: Float64Array, b: Float64Array) -> Float64Array:
    """Return a W^T + b, the n terms of each sum being added up in about sqrt(n) groups.

    Higham (2002), section 4.2: no term takes part in more than `roundings_of_sum(n)` roundings.
    """
    n = W.shape[1]
    size = group_size(n)
    z = np.zeros_like(a, shape=(len(a), len(W))) + b
    for start in range(0, n, size):
        z += a[:, start : start + size] @ W[:, start : start + size].T
    return z


def group_size(n: int) -> int:
    """Return how many of n terms are added up at a time."""
    return math.isqrt(n - 1) + 1


def roundings_of_sum(n: int) -> int:
    """Return how many roundings a term of `preactivations` takes part in.

    A product and the sums of its group, then a sum for each group.
    """
    size = group_size(n)
    return size + -(-n // size)


def sigmoids(z: Float64Array) -> Units:
    """Return sigma(z), sigma(-z) and their product, of relative accuracy for either sign of z."""
    e = np.exp(-np.abs(z))
    large, small = 1 / (1 + e), e / (1 + e)
    q, p = np.where(z >= 0, large, small), np.where(z >= 0, small, large)
    return Units(q, p, q * p)


def cross_entropy_constants(last: Units, y: Float64Array) -> tuple[Float64Array, ...]:
    """Return D/d, w and y'."""
    above = y > 1 / 2
    return (
        np.where(above, -1.0, np.ones_like(y)),
        np.where(above, last.p, last.q),
        np.where(above, 1 - y, y),
    )


def quadratic_constants(last: Units, y: Float64Array) -> tuple[Float64Array, ...]:
    """Return q, s and r."""
    return last.q, last.s, (1 - y) * last.q - y * last.p


def sigmoid_rise(
    d: Float64Array, q: Float64Array, s: Float64Array, work: Float64Array
) -> Float64Array:
    """Return sigma(z + d) - sigma(z), which takes the place of d.

    Args:
        d: by how much the pre-activations move.
        q: sigma(z).
        s: sigma(z) sigma(-z).
        work: an array like d, written over.
    """
    v = np.expm1(d, out=d)
    np.multiply(q, v, out=work)
    work += 1.0
    v /= work
    v *= s
    return v


def cross_entropy_rise(
    d: Float64Array, constants: tuple[Float64Array, ...], work: Float64Array
) -> Float64Array:
    """Return C(z + d) - C(z) of the cross-entropy; d and work are written over."""
    sign, w, y = constants
    D = np.multiply(d, sign, out=d)
    rise = np.expm1(D, out=work)
    rise *= w
    np.log1p(rise, out=rise)
    D *= y
    rise -= D
    return rise


def quadratic_rise(
    d: Float64Array, constants: tuple[Float64Array, ...], work: Float64Array
) -> Float64Array:
    """Return C(z + d) - C(z) of the quadratic loss; d and work are written over."""
    q, s, r = constants
    A = sigmoid_rise(d, q, s, work)
    rise = np.multiply(A, 0.5, out=work)
    rise += r
    rise *= A
    return rise


CONSTANTS = {"cross_entropy": cross_entropy_constants, "quadratic": quadratic_constants}
COST_RISES = {"cross_entropy": cross_entropy_rise, "quadratic": quadratic_rise}
