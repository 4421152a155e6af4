r"""The sigmoid network in ball arithmetic: loss and gradient enclosed, at the engine's exact bits.

Symbols, for layers l = 1..L and m examples, which are columns here:

    A_0 = X^T                inputs, (n_0, m)
    W_l, b_l                 weights (n_l, n_{l-1}) and biases (n_l, 1)
    Z_l = W_l A_{l-1} + b_l 1^T,   A_l = sigma(Z_l)
    Y                        targets, (n_L, m)
    M                        m for `mean`, 1 for `sum`
    R = A_L - Y,   o the product entry by entry

Backpropagation (Rumelhart, Hinton and Williams 1986):

    Delta_L     = R  (cross-entropy)   or   R o sigma'(Z_L)  (quadratic)
    dC/dW_l     = Delta_l A_{l-1}^T / M,      dC/db_l = Delta_l 1 / M
    Delta_{l-1} = (W_l^T Delta_l) o sigma'(Z_{l-1})

A ball loses as many bits as its formula cancels, so none of these subtracts numbers that may be
nearly equal; with e = exp(-|z|),

    sigma(|z|) = 1 / (1 + e),   sigma(-|z|) = e / (1 + e)
    sigma'(z)  = e / (1 + e)^2 = sigma(z) sigma(-z)
    r          = (1 - y) sigma(z) - y sigma(-z)                      (= sigma(z) - y)
    C          = max(z, 0) - y z + log(1 + e)   or   r^2 / 2

All but |z| hold with e = exp(-z) and with e = exp(z), whatever the sign of z: a ball that holds 0
takes either. The sum over the batch is divided by M last, so that it is exact where its terms are.

**The clipped cross-entropy** (clipping.py) has the residual 0 where sigma(z) < epsilon or
sigma(-z) < epsilon for certain, r where both are above it for certain, and the union of both where
the balls do not tell; its loss likewise is the union of what it may be.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from flint import arb, arb_mat, ctx

from gradcheck.certified.balls import Rounded, entrywise, exact_matrix, require_bits, round_uniquely
from gradcheck.certified.outer_products import round_outer
from gradcheck.rounding.clipping import require_epsilon

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcheck.problem import Problem


OUTER = 16
"""Products for each ball of two vectors, from which on rounding them in floats is quicker."""


class Layer(NamedTuple):
    """One layer's pre-activations Z, A = sigma(Z), and B = sigma(-Z), all (n_l, m)."""

    Z: arb_mat
    A: arb_mat
    B: arb_mat


@dataclass(frozen=True)
class BallNetwork:
    """A problem's numbers as balls of radius 0; examples are columns.

    Attributes:
        weights, biases: W_l (n_l, n_{l-1}) and b_l (n_l, 1).
        inputs, targets: X^T (n_0, m) and Y^T (n_L, m).
        loss: "cross_entropy" or "quadratic".
        divisor: M.
        clip: epsilon of the clipped cross-entropy, None for the exact one.
    """

    weights: list[arb_mat]
    biases: list[arb_mat]
    inputs: arb_mat
    targets: arb_mat
    loss: str
    divisor: int
    clip: arb | None = None
    floor: arb | None = None

    @classmethod
    def of(
        cls, problem: Problem, clip: float | None = None, floor: float | None = None
    ) -> BallNetwork:
        """Take over a problem's numbers, exactly."""
        clip = require_epsilon("clip", clip, problem)
        floor = require_epsilon("floor", floor, problem)
        return cls(
            [exact_matrix(W) for W in problem.weights],
            [exact_matrix(b[:, None]) for b in problem.biases],
            exact_matrix(problem.inputs.T),
            exact_matrix(problem.targets.T),
            problem.architecture.loss,
            problem.batch if problem.architecture.reduction == "mean" else 1,
            None if clip is None else arb(clip),
            None if floor is None else arb(floor),
        )


def ball_gradient(
    problem: Problem, *, precision: int, clip: float | None = None, floor: float | None = None
) -> tuple[arb, list[arb]]:
    """Enclose loss and gradient: one forward and one backward pass in balls.

    Args:
        problem: of any dtype; its numbers are taken exactly.
        precision: bits of the midpoints.
        clip: epsilon in (0, 0.5) of the clipped cross-entropy; None for the exact loss.
        floor: epsilon in (0, 0.5) that p (1 - p) is kept above where it divides; None for none.

    Returns:
        The loss, and the gradient as one vector in the order of `problem.parameters`.

    Raises:
        TypeError: a precision that is not a whole number; an epsilon that is not a number.
        ValueError: a precision below 2; an epsilon outside (0, 0.5), or with the quadratic loss.

    >>> from gradcheck.problems.case import Case
    >>> loss, gradient = ball_gradient(Case(corner="zero_weights").problem(), precision=64)
    >>> loss, gradient[1]  # shown with 53 bits
    ([0.693147180559945 +/- 3.10e-16], 0.500000000000000)
    """
    with ctx.workprec(require_bits("precision", precision)):
        network = BallNetwork.of(problem, clip, floor)
        layers = forward(network)
        return loss_of(network, layers[-1].Z), backward(network, layers)


def rounded_gradient(
    problem: Problem, *, precision: int, clip: float | None = None, floor: float | None = None
) -> Rounded:
    """Round the gradient, and after it the loss, to float64.

    Args, errors: as of `ball_gradient`, whose enclosures these are the floats of.
    """
    with ctx.workprec(require_bits("precision", precision)):
        network = BallNetwork.of(problem, clip, floor)
        layers = forward(network)
        parts: list[Rounded] = []
        balls: list[arb] = []
        for Delta, A in factors(network, layers):
            if is_large_outer_product(Delta, A):  # of one example: M = 1
                parts += [round_uniquely(balls), round_outer(Delta.entries(), A.entries())]
                balls = []
            else:
                balls += weight_gradient(Delta, A, network.divisor)
            balls += bias_gradient(Delta, network.divisor)
        parts.append(round_uniquely([*balls, loss_of(network, layers[-1].Z)]))
    return Rounded(*map(np.concatenate, zip(*parts, strict=True)))


# -------------------------------------------------------------------------------------- one number


def sigmoids(z: arb) -> tuple[arb, arb]:
    """Return sigma(z) and sigma(-z)."""
    positive = z > 0
    e = (-z if positive else z).exp()
    large = 1 / (1 + e)
    small = e * large
    return (large, small) if positive else (small, large)


def slope(a: arb, b: arb) -> arb:
    """Return sigma'(z) of a = sigma(z) and b = sigma(-z)."""
    return a * b


def residual(a: arb, b: arb, y: arb) -> arb:
    """Return sigma(z) - y of a = sigma(z) and b = sigma(-z)."""
    return (1 - y) * a - y * b


def cross_entropy(z: arb, y: arb) -> arb:
    """Return max(z, 0) - y z + log(1 + e^-|z|)."""
    if z > 0:
        return (1 - y) * z + (-z).exp().log1p()
    return z.exp().log1p() - y * z


def quadratic(z: arb, y: arb) -> arb:
    """Return (sigma(z) - y)^2 / 2."""
    return residual(*sigmoids(z), y) ** 2 / 2


def clipped_residual(a: arb, b: arb, y: arb, clip: arb) -> arb:
    """Return 0 where sigma(z) or sigma(-z) is below clip, else sigma(z) - y."""
    if a < clip or b < clip:
        return arb(0)
    r = residual(a, b, y)
    return r if a > clip and b > clip else r.union(arb(0))


def floored_residual(a: arb, b: arb, y: arb, floor: arb) -> arb:
    """Return (sigma(z) - y) min(1, sigma'(z) / floor)."""
    return residual(a, b, y) * arb(1).min(slope(a, b) / floor)


def clipped_cross_entropy(z: arb, y: arb, clip: arb) -> arb:
    """Return -y log q - (1 - y) log(1 - q), q = min(max(sigma(z), clip), 1 - clip)."""
    a, b = sigmoids(z)
    log, log1p = clip.log(), (-clip).log1p()
    values = []
    if not a > clip:
        values.append(-y * log - (1 - y) * log1p)
    if not b > clip:
        values.append(-y * log1p - (1 - y) * log)
    if not (a < clip or b < clip):
        values.append(cross_entropy(z, y))
    return reduce(arb.union, values)


COSTS = {"cross_entropy": cross_entropy, "quadratic": quadratic}


# ------------------------------------------------------------------------------------- the network


def preactivation(W: arb_mat, b: arb_mat, A: arb_mat) -> arb_mat:
    """Return W A + b 1^T."""
    return W * A + b * ones(1, A.ncols())


def activation(Z: arb_mat) -> Layer:
    """Return Z with sigma(Z) and sigma(-Z)."""
    pairs = list(map(sigmoids, Z.entries()))
    shape = Z.nrows(), Z.ncols()
    return Layer(Z, arb_mat(*shape, [a for a, _ in pairs]), arb_mat(*shape, [b for _, b in pairs]))


def forward(network: BallNetwork) -> list[Layer]:
    """Return the layers 1..L."""
    layers = []
    A = network.inputs
    for W, b in zip(network.weights, network.biases, strict=True):
        layers.append(activation(preactivation(W, b, A)))
        A = layers[-1].A
    return layers


def loss_of(network: BallNetwork, Z: arb_mat) -> arb:
    """Return C of the last layer's pre-activations."""
    cost = COSTS[network.loss]
    if network.clip is not None:
        cost = partial(clipped_cross_entropy, clip=network.clip)
    return sum(map(cost, Z.entries(), network.targets.entries()), start=arb(0)) / network.divisor


class Factors(NamedTuple):
    """One layer's Delta_l (n_l, m) and A_{l-1} (n_{l-1}, m): dC/dW_l = Delta_l A_{l-1}^T / M."""

    Delta: arb_mat
    A: arb_mat


def factors(network: BallNetwork, layers: list[Layer]) -> list[Factors]:
    """Return what the gradients of layers 1..L are products of."""
    last = layers[-1]
    r: Callable[..., arb] = residual
    if network.clip is not None:
        r = partial(clipped_residual, clip=network.clip)
    elif network.floor is not None:
        r = partial(floored_residual, floor=network.floor)
    Delta = entrywise(r, last.A, last.B, network.targets)
    if network.loss == "quadratic":
        Delta = entrywise(arb.__mul__, Delta, entrywise(slope, last.A, last.B))
    found = [Factors(Delta, layers[-2].A if len(layers) > 1 else network.inputs)]
    for i in reversed(range(1, len(layers))):  # layer l = i + 1
        back = (Delta.transpose() * network.weights[i]).transpose()
        below = layers[i - 1]
        Delta = entrywise(arb.__mul__, back, entrywise(slope, below.A, below.B))
        found.append(Factors(Delta, layers[i - 2].A if i > 1 else network.inputs))
    return found[::-1]


def backward(network: BallNetwork, layers: list[Layer]) -> list[arb]:
    """Return the gradient as one vector: W_1 row by row, b_1, W_2, ..."""
    gradient: list[arb] = []
    for Delta, A in factors(network, layers):
        gradient += weight_gradient(Delta, A, network.divisor)
        gradient += bias_gradient(Delta, network.divisor)
    return gradient


def weight_gradient(Delta: arb_mat, A: arb_mat, divisor: int) -> list[arb]:
    """Return Delta A^T / M, row by row."""
    return divided(Delta * A.transpose(), divisor).entries()


def is_large_outer_product(Delta: arb_mat, A: arb_mat) -> bool:
    """Tell whether Delta A^T is of two vectors and has many more entries than they."""
    rows, columns = Delta.nrows(), A.nrows()
    return Delta.ncols() == 1 and rows * columns > OUTER * (rows + columns)


def bias_gradient(Delta: arb_mat, divisor: int) -> list[arb]:
    """Return Delta 1 / M."""
    return divided(Delta * ones(Delta.ncols(), 1), divisor).entries()


def divided(matrix: arb_mat, divisor: int) -> arb_mat:
    """Return matrix / divisor."""
    return matrix if divisor == 1 else matrix / divisor


def ones(rows: int, columns: int) -> arb_mat:
    """Return a matrix of ones."""
    return arb_mat(rows, columns, [1] * (rows * columns))
