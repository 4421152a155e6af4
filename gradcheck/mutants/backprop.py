r"""The right backprop, in steps that a mutant can take wrongly one at a time.

Symbols, for layers l = 1..L and m examples, which are rows:

    X, Y             inputs (m, n_0) and targets (m, n_L)
    W_l, b_l         weights (n_l, n_{l-1}) and biases (n_l,)
    z_l, a_l         pre-activations and activations, (m, n_l);  a_0 = X
    delta_l          dC/dz_l, (m, n_l);  M = m for `mean`, 1 for `sum`

Forward:   z_l = a_{l-1} W_l^T + b_l,   a_l = sigmoid(z_l)
Backward:  delta_L = (a_L - Y) / M  (cross-entropy)  or  (a_L - Y) * sigmoid'(z_L) / M  (quadratic)
           delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l)
           dC/dW_l = delta_l^T a_{l-1}
           dC/db_l = sum_i delta_l

Nothing cancels that does not cancel in the gradient itself: 1 - a is sigmoid(-z).

Source: Nielsen (2015), Neural Networks and Deep Learning, chapter 2, BP1 to BP4.
"""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from gradcheck.arrays import Array
from gradcheck.engines.base import EngineInfo
from gradcheck.problem import LOSSES, REDUCTIONS, Gradient, Problem

if TYPE_CHECKING:
    from collections.abc import Callable

DTYPES = ("float16", "float32", "float64")

Layers = dict[int, Array]
"""Arrays by the layer's number, from 1; activations from 0."""


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z), from e^-|z|, which does not overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1, e) / (1 + e)


def sigmoid_prime(z: Array) -> Array:
    """The derivative sigmoid(z) (1 - sigmoid(z))."""
    slope: Array = sigmoid(z) * sigmoid(-z)
    return slope


def softplus(z: Array) -> Array:
    """log(1 + e^z)."""
    value: Array = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return value


def a_minus_y(z: Array, Y: Array) -> Array:
    """sigmoid(z) - Y, as (1 - Y) sigmoid(z) - Y sigmoid(-z)."""
    return (1 - Y) * sigmoid(z) - Y * sigmoid(-z)


class Backprop:
    """The right engine: the four equations of backprop, one method each.

    A mutant overrides one of them. What one call computes is kept in the attributes that are named
    like the symbols, until the next call.

    >>> from gradcheck.problems.case import Case
    >>> loss, [(dW, db)] = Backprop().value_and_grad(Case(corner="zero_weights").problem())
    >>> loss, db
    (0.6931471805599453, array([0.5]))
    """

    name: ClassVar[str] = "backprop"
    arithmetic: ClassVar[str] = "cancellation_free"

    X: Array
    Y: Array
    W: Layers
    b: Layers
    z: Layers
    a: Layers
    delta: Layers
    dW: Layers  # noqa: N815  (the symbol)
    db: Layers
    L: int
    m: int
    M: int
    cost_name: str
    reduction: str

    @property
    def info(self) -> EngineInfo:
        """What it says of itself."""
        return EngineInfo(
            self.name,
            np.__version__,
            DTYPES,
            LOSSES,
            REDUCTIONS,
            arithmetic=self.arithmetic,
        )

    def loss(self, problem: Problem) -> float:
        """Compute the loss in one forward pass."""
        with np.errstate(all="ignore"):
            self.forward(problem)
            return float(self.cost())

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and the gradient."""
        with np.errstate(all="ignore"):
            self.forward(problem)
            self.backward()
            self.finish()
            return float(self.cost()), self.answer()

    def close(self) -> None:
        """Do nothing: it holds nothing."""

    def read(self, problem: Problem) -> None:
        """Name the problem's parts by their symbols."""
        network = problem.architecture
        self.X, self.Y = problem.inputs, problem.targets
        self.W = dict(enumerate(problem.weights, start=1))
        self.b = dict(enumerate(problem.biases, start=1))
        self.L, self.m, self.cost_name = network.depth, problem.batch, network.loss
        self.reduction = network.reduction
        self.M = self.m if network.reduction == "mean" else 1

    def forward(self, problem: Problem) -> None:
        """z_l = a_{l-1} W_l^T + b_l,  a_l = sigmoid(z_l)."""
        self.read(problem)
        self.z, self.a = {}, {0: self.X}
        for layer in range(1, self.L + 1):
            self.z[layer] = self.a[layer - 1] @ self.W[layer].T + self.b[layer]
            self.a[layer] = self.activation(layer)

    def activation(self, layer: int) -> Array:
        """sigmoid(z_l)."""
        return sigmoid(self.z[layer])

    def cost(self) -> float:
        """C = sum C_ik / M,  C_ik = -y log a - (1 - y) log(1 - a)  or  (a - y)^2 / 2."""
        return float(np.sum(self.costs()) / self.M)

    def costs(self) -> Array:
        """C_ik, from z."""
        z = self.z[self.L]
        if self.cost_name == "quadratic":
            return np.asarray(a_minus_y(z, self.Y) ** 2 / 2)
        return (1 - self.Y) * softplus(z) + self.Y * softplus(-z)

    def backward(self) -> None:
        """Run from the output error down; each layer's gradient as soon as delta_l is known."""
        self.delta, self.dW, self.db = {self.L: self.output_error()}, {}, {}
        for layer in range(self.L, 0, -1):
            self.dW[layer] = self.weight_gradient(layer)
            self.db[layer] = self.bias_gradient(layer)
            if layer > 1:
                self.delta[layer - 1] = self.hidden_error(layer - 1)

    def output_error(self) -> Array:
        """delta_L = (a_L - Y) / M, times sigmoid'(z_L) for the quadratic loss."""
        return self.residual() * self.output_slope() / self.M

    def residual(self) -> Array:
        """a_L - Y."""
        return a_minus_y(self.z[self.L], self.targets())

    def targets(self) -> Array:
        """Y, as the backward pass has it."""
        return self.Y

    def output_slope(self) -> Array:
        """1 for cross-entropy, sigmoid'(z_L) for the quadratic loss."""
        z = self.z[self.L]
        return sigmoid_prime(z) if self.cost_name == "quadratic" else np.ones_like(z)

    def hidden_error(self, layer: int) -> Array:
        """delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l)."""
        return self.passed_down(layer) * self.slope(layer)

    def passed_down(self, layer: int) -> Array:
        """delta_{l+1} W_{l+1}."""
        return self.delta[layer + 1] @ self.W[layer + 1]

    def slope(self, layer: int) -> Array:
        """sigmoid'(z_l)."""
        return sigmoid_prime(self.z[layer])

    def weight_gradient(self, layer: int) -> Array:
        """dC/dW_l = delta_l^T a_{l-1}."""
        return self.delta[layer].T @ self.a[layer - 1]

    def bias_gradient(self, layer: int) -> Array:
        """dC/db_l = sum_i delta_l."""
        return np.asarray(self.delta[layer].sum(axis=0))

    def finish(self) -> None:
        """Leave dW and db as they are."""

    def change(self, changed: Callable[[Array], Array]) -> None:
        """Put something else in the place of every dC/dW_l and dC/db_l."""
        self.dW = {layer: changed(dW) for layer, dW in self.dW.items()}
        self.db = {layer: changed(db) for layer, db in self.db.items()}

    def arrays(self) -> list[Array]:
        """List all dC/dW_l and dC/db_l."""
        return [*self.dW.values(), *self.db.values()]

    def norm(self) -> float:
        """Return the Euclidean norm of the gradient."""
        return float(np.sqrt(sum(np.sum(g.astype(float) ** 2) for g in self.arrays())))

    def answer(self) -> Gradient:
        """Return the pairs (dC/dW_l, dC/db_l), l = 1..L."""
        return [(self.dW[layer], self.db[layer]) for layer in range(1, self.L + 1)]
