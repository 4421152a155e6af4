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
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from flint import arb, arb_mat, ctx

from gradcheck.oracles.balls import entrywise, exact_matrix, require_bits

if TYPE_CHECKING:
    from gradcheck.problem import Problem


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
    """

    weights: list[arb_mat]
    biases: list[arb_mat]
    inputs: arb_mat
    targets: arb_mat
    loss: str
    divisor: int

    @classmethod
    def of(cls, problem: Problem) -> BallNetwork:
        """Take over a problem's numbers, exactly."""
        return cls(
            [exact_matrix(W) for W in problem.weights],
            [exact_matrix(b[:, None]) for b in problem.biases],
            exact_matrix(problem.inputs.T),
            exact_matrix(problem.targets.T),
            problem.architecture.loss,
            problem.batch if problem.architecture.reduction == "mean" else 1,
        )


def ball_gradient(problem: Problem, *, precision: int) -> tuple[arb, list[arb]]:
    """Enclose loss and gradient: one forward and one backward pass in balls.

    Args:
        problem: of any dtype; its numbers are taken exactly.
        precision: bits of the midpoints.

    Returns:
        The loss, and the gradient as one vector in the order of `problem.parameters`.

    Raises:
        TypeError: a precision that is not a whole number.
        ValueError: a precision below 2.

    >>> from gradcheck.case import Case
    >>> loss, gradient = ball_gradient(Case(corner="zero_weights").problem(), precision=64)
    >>> loss, gradient[1]  # shown with 53 bits
    ([0.693147180559945 +/- 3.10e-16], 0.500000000000000)
    """
    with ctx.workprec(require_bits("precision", precision)):
        network = BallNetwork.of(problem)
        layers = forward(network)
        return loss_of(network, layers[-1].Z), backward(network, layers)


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
    return sum(map(cost, Z.entries(), network.targets.entries()), start=arb(0)) / network.divisor


def backward(network: BallNetwork, layers: list[Layer]) -> list[arb]:
    """Return the gradient as one vector: W_1 row by row, b_1, W_2, ..."""
    last = layers[-1]
    Delta = entrywise(residual, last.A, last.B, network.targets)
    if network.loss == "quadratic":
        Delta = entrywise(arb.__mul__, Delta, entrywise(slope, last.A, last.B))
    blocks = []
    for i in reversed(range(len(layers))):  # layer l = i + 1
        A = layers[i - 1].A if i else network.inputs
        blocks += [Delta * ones(Delta.ncols(), 1), Delta * A.transpose()]
        if i:
            back = (Delta.transpose() * network.weights[i]).transpose()
            below = layers[i - 1]
            Delta = entrywise(arb.__mul__, back, entrywise(slope, below.A, below.B))
    return [g for block in reversed(blocks) for g in divided(block, network.divisor).entries()]


def divided(matrix: arb_mat, divisor: int) -> arb_mat:
    """Return matrix / divisor."""
    return matrix if divisor == 1 else matrix / divisor


def ones(rows: int, columns: int) -> arb_mat:
    """Return a matrix of ones."""
    return arb_mat(rows, columns, [1] * (rows * columns))
