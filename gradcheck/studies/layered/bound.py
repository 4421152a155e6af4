r"""The step of layered differences, and the bound of their error: nothing in it is estimated.

Symbols as in layered_network.py; a parameter of layer l multiplies alpha_i in example i (an input,
an activation or 1) and is moved by t, |t| <= h; ' is d/dt at any such t; phi(t) is the loss;

    e_l       bound of the error of the computed z_l               (m, n_l)
    rho       bound of every |d|, and of what e_l adds to it;   F = e^(rho + 2 e)
    R_l       bound of the rise of an example's loss, over |d_l|   (m, n_l)
    B_l       bound of the error of that rise, over |d_l|          (m, n_l)

Slopes appear in bounds alone; no value is made of them.

**Forward pass.** gamma_k = k u / (1 - k u), k = `roundings_of_sum(n_{l-1})`. d log sigma / dz = p,
which changes by a factor of e^e at most over a distance of e; eps_l bounds the error of a_l:

    e_l = eps_{l-1} |W|^T + gamma_k [(|a| + eps_{l-1}) |W|^T + |b|]
    eps_l = q (exp(p e^e e) - 1 + 4 u)

**Rises.** sigma' = s changes by a factor of at most F from where it is computed. Moving z itself by
e moves sigma(z + d) - sigma(z) by at most s F |d| e, as |d log s / dz| <= 1. So, from above,

    R_L = (w + y') F  or  T s F^2        B_L = R_L K u + s F e_L  or  R_L (K u + 2 e_L)
    X = R_{l+1} |W_{l+1}|,   Y = B_{l+1} |W_{l+1}|
    R_l = s F X                          B_l = s F [Y + (e_l + (K_SIGMOID + k) u) X]

with the roundings k of the sums that follow: n_l, or 1 in the layer whose parameter moves, where
only one unit changes. (Quadratic loss: |dC/dz| <= T s, and d/dz of that is at most s^2 + T s.)

**Truncation.** D(h) - phi'(0) = h^2/6 phi'''(t) for some t. Let delta bound |z'| of a layer, and
|z''| <= zeta_2 |z'|, |z'''| <= zeta_3 |z'| (|z'| being its bound by absolute values). |sigma''| and
|sigma'''| are at most s, so each activation makes of them

    zeta_3 + 3 delta zeta_2 + delta^2,   zeta_2 + delta,     delta |W| / 4 in the next layer

and the loss leaves |phi'''| <= Z Sigma_i |alpha_i| R_l / M, with |C''| <= c_2, |C'''| <= c_3 times
the bound of |C'|:

    Z = zeta_3 + 3 c_2 delta zeta_2 + c_3 delta^2,   c = (1, 1), or (2, 4) for the quadratic loss

**Step.** Rounding is a share of the rise, whatever its size: small steps cost nothing. The h of a
layer is the largest power of two with h^2 Z / 6 <= u, so that truncation is one rounding more.

**Bound** for row j and column k of layer l, K_+ = m n_L + 4 for the sums and what scales them:

    1/M Sigma_i |alpha_ik| [B_ij + (h^2 Z / 6 + K_+ u + error of alpha / |alpha|) R_ij]

Numbers below the normal range err by `tiny` at most, once in each of at most 16 operations a unit
and once in each term of a sum. Bounds are sums of products of numbers that are not negative: their
own rounding, and terms of second order in u, are below the factor SLACK in every F.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.studies.layered.network import (
    K_CROSS_ENTROPY,
    K_QUADRATIC,
    K_SIGMA,
    K_SIGMOID,
    roundings_of_sum,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from gradcheck.arrays import Float64Array
    from gradcheck.studies.layered.network import LayeredNetwork

UNIT = 2.0**-53
TINY = float(np.finfo(np.float64).tiny)
SLACK = 1 + 2.0**-20

CURVATURE = {"cross_entropy": (1, 1), "quadratic": (2, 4)}
"""c_2 and c_3."""


@dataclass(frozen=True)
class Stretch:
    """How a parameter of one layer moves the network.

    Attributes:
        delta: the largest |z'| of any layer.
        Z: of the module's text.
    """

    delta: float
    Z: float

    @property
    def step(self) -> float:
        """The largest power of two with h^2 Z / 6 <= u; 0 where Z is infinite."""
        return float(np.exp2(np.floor(np.log2(6 * UNIT / self.Z) / 2)))


def stretches(network: LayeredNetwork, memory: int) -> list[Stretch]:
    """Return the stretch of each layer's parameters.

    Args:
        network: at the point.
        memory: bytes that working arrays may take.
    """
    entries = [float(max(W.max(), -W.min())) for W in network.weights]
    norms = [row_sum_norm(W, memory) for W in network.weights[2:]]
    c_2, c_3 = CURVATURE[network.loss]
    found = []
    for i, a in enumerate(network.inputs):
        delta = largest = float(max(a.max(), -a.min()))
        zeta_2 = zeta_3 = 0.0
        for size in [*entries[i + 1 : i + 2], *norms[i:]]:
            zeta_3 = zeta_3 + 3 * delta * zeta_2 + delta * delta
            zeta_2 = zeta_2 + delta
            delta = delta * size / 4 * SLACK
            largest = max(largest, delta)
        Z = zeta_3 + 3 * c_2 * delta * zeta_2 + c_3 * delta * delta
        found.append(Stretch(largest, Z * SLACK))
    return found


@dataclass(frozen=True)
class Layer:
    """R_l, B_l (with k = 1) and e_l of one layer; `underflow` is its share of the tiny numbers."""

    R: Float64Array
    B: Float64Array
    e: Float64Array
    underflow: float


def layer_bounds(network: LayeredNetwork, rho: float, memory: int) -> list[Layer]:
    """Sweep forward for e_l, then backward for R_l and B_l.

    Args:
        network: at the point.
        rho: the largest |d|.
        memory: bytes that working arrays may take.
    """
    errors = forward_errors(network, memory)
    F = float(np.exp(rho + 2 * max(e.max() for e in errors))) * SLACK
    R, B = cost_bounds(network, errors[-1], F)
    n = network.sizes
    underflow = n[-1] * (1 + (1 + n[-2]) * R.max())
    layers = [Layer(R, B, errors[-1], underflow)]
    for i in reversed(range(len(n) - 2)):
        W, s = network.weights[i + 1], network.units[i].s
        X, Y = (times_absolute(matrix, W, memory) for matrix in (R, B))
        R = s * X * F
        local = Y + (errors[i] + K_SIGMOID * UNIT) * X
        B = (local + n[i + 1] * UNIT * X) * s * F
        underflow += n[i + 1] * (1 + X.max() + (1 + n[i]) * R.max())
        layers.append(Layer(R, (local + UNIT * X) * s * F, errors[i], underflow))
    return layers[::-1]


def forward_errors(network: LayeredNetwork, memory: int) -> list[Float64Array]:
    """Return e_1, ..., e_L."""
    errors: list[Float64Array] = []
    for i, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
        k, a = roundings_of_sum(W.shape[1]), np.abs(network.inputs[i][:, :-1])
        gamma = k * UNIT / (1 - k * UNIT)
        eps = activation_errors(network, i, errors) * a
        e = times_absolute(eps + gamma * (a + eps), W.T, memory)
        errors.append((e + gamma * np.abs(b) + W.shape[1] * TINY) * SLACK)
    return errors


def activation_errors(network: LayeredNetwork, i: int, errors: list[Float64Array]) -> Float64Array:
    """Return the error over |a| of what enters the layer with index i: 0 for the first."""
    if i == 0:
        return np.zeros((network.batch, network.sizes[0]))
    e = errors[i - 1]
    moved: Float64Array = np.expm1(network.units[i - 1].p * np.exp(e) * e)
    return (moved + K_SIGMA * UNIT) * SLACK


def cost_bounds(
    network: LayeredNetwork, e: Float64Array, F: float
) -> tuple[Float64Array, Float64Array]:
    """Return R_L and B_L."""
    last, y = network.units[-1], network.targets
    if network.loss == "cross_entropy":
        _, w, y = network.constants
        R = (w + y) * F
        return R, R * (K_CROSS_ENTROPY * UNIT) + last.s * F * e
    T = (1 - y) * last.q + y * last.p
    R = T * last.s * F**2
    return R, R * (K_QUADRATIC * UNIT + 2 * e)


def coordinate_bounds(
    network: LayeredNetwork,
    layers: list[Layer],
    i: int,
    h: float,
    truncation: float,
    out: npt.NDArray[np.floating[Any]],
) -> None:
    """Write the bounds of the layer with index i: its weights, then its biases.

    Args:
        network: at the point.
        layers: of `layer_bounds`.
        i: the index of the layer.
        h: its step.
        truncation: h^2 Z / 6.
        out: (n_l n_{l-1} + n_l,).
    """
    layer, a, n = layers[i], np.abs(network.inputs[i]), network.sizes
    K_sums = network.batch * n[-1] + 4
    G = layer.B + (truncation + K_sums * UNIT) * layer.R
    eps = a[:, :-1] * activation_errors(network, i, [layer.e for layer in layers])
    scale = SLACK**2 / network.divisor
    left = np.concatenate([G, layer.R]).T * scale
    right = np.concatenate([a[:, :-1], eps])
    n_weights = n[i] * n[i + 1]
    np.matmul(left, right, out=out[:n_weights].reshape(n[i + 1], n[i]))
    out[n_weights:] = G.sum(axis=0) * scale
    underflow = 16 * TINY * layer.underflow * network.batch / network.divisor
    out += np.divide(underflow, h)
    out[np.isnan(out)] = np.inf


def times_absolute(X: Float64Array, W: Float64Array, memory: int) -> Float64Array:
    """Return X |W|, taking absolute values of as many rows of W at a time as memory allows."""
    parts = (X[:, rows] @ np.abs(W[rows]) for rows in row_blocks(W, memory))
    total: Float64Array = next(parts)
    for part in parts:
        total += part
    return total


def row_sum_norm(W: Float64Array, memory: int) -> float:
    """Return the largest sum of |entries| over a row."""
    return max(float(np.abs(W[rows]).sum(axis=1).max()) for rows in row_blocks(W, memory)) * SLACK


def row_blocks(W: Float64Array, memory: int) -> Iterator[slice]:
    """Split the rows so that a block takes at most half the memory, and at least one row."""
    count = max(1, memory // (2 * 8 * W.shape[1]))
    return (slice(start, start + count) for start in range(0, len(W), count))
