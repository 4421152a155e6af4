r"""The symbols that right and wrong formulas are made of, in float64.

Symbols, for layers l = 1..L and m examples, which are rows:

    X, Y             inputs (m, n_0) and targets (m, n_L)
    W_l, b_l         weights (n_l, n_{l-1}) and biases (n_l,)
    z_l, a_l         pre-activations and activations, (m, n_l);  a_0 = X
    delta_l          dC/dz_l, (m, n_l);  M = m for `mean`, 1 for `sum`

Backward:  delta_L = (a_L - Y) / M  (cross-entropy)  or  (a_L - Y) * sigmoid'(z_L) / M  (quadratic)
           delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l)
           dC/dW_l = delta_l^T a_{l-1},   dC/db_l = sum_i delta_l

Source: Nielsen (2015), Neural Networks and Deep Learning, chapter 2, BP1 to BP4.
"""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.problem import Problem

Layers = dict[int, "Array"]
"""Arrays by the layer's number, from 1; activations from 0."""


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z), from e^-|z|, which does not overflow."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def slope(z: Array) -> Array:
    """The derivative sigmoid(z) (1 - sigmoid(z))."""
    return sigmoid(z) * sigmoid(-z)


@dataclass(frozen=True)
class Symbols:
    """A problem by its symbols, and the errors delta_l that are taken for given.

    Attributes:
        problem: whose numbers they are.
        delta: errors of the layers that are explained so far, from the top.
        dW: the weight gradients of these layers, as the engine has them.
        before: the symbols of the call before, where formulas may use them.
        slopes: sigmoid'(z_l) of the layers where they have been asked for.
    """

    problem: Problem
    X: Array
    Y: Array
    W: Layers
    b: Layers
    z: Layers
    a: Layers
    delta: Layers = field(default_factory=dict)
    dW: Layers = field(default_factory=dict)  # noqa: N815  (the symbol)
    before: Symbols | None = None
    slopes: Layers = field(default_factory=dict)

    @classmethod
    def of(cls, problem: Problem) -> Self:
        """Run the forward pass: z_l = a_{l-1} W_l^T + b_l,  a_l = sigmoid(z_l)."""
        X, Y = problem.inputs.astype(np.float64), problem.targets.astype(np.float64)
        W = {k: array.astype(np.float64) for k, array in enumerate(problem.weights, start=1)}
        b = {k: array.astype(np.float64) for k, array in enumerate(problem.biases, start=1)}
        z, a = {}, {0: X}
        for layer, matrix in W.items():
            z[layer] = a[layer - 1] @ matrix.T + b[layer]
            a[layer] = sigmoid(z[layer])
        return cls(problem, X, Y, W, b, z, a)

    @property
    def L(self) -> int:  # noqa: N802  (the symbol)
        """The number of layers."""
        return len(self.W)

    @property
    def m(self) -> int:
        """The number of examples."""
        return len(self.X)

    @property
    def M(self) -> int:  # noqa: N802  (the symbol)
        """What C is divided by."""
        return self.m if self.problem.architecture.reduction == "mean" else 1

    @property
    def is_quadratic(self) -> bool:
        """Whether the loss is the quadratic one."""
        return self.problem.architecture.loss == "quadratic"

    @cached_property
    def is_one_example(self) -> bool:
        """Whether all examples are equal, or there is one only."""
        return self.m == 1 or bool(np.all(self.X[0] == self.X) and np.all(self.Y[0] == self.Y))

    def n(self, layer: int) -> int:
        """The width n_l."""
        return self.a[layer].shape[1]

    @cached_property
    def residual(self) -> Array:
        """a_L - Y, as (1 - Y) sigmoid(z_L) - Y sigmoid(-z_L)."""
        z = self.z[self.L]
        return (1 - self.Y) * sigmoid(z) - self.Y * sigmoid(-z)

    @cached_property
    def top(self) -> Array:
        """What a_L - Y is multiplied by in delta_L: 1/M, or sigmoid'(z_L) / M."""
        z = self.z[self.L]
        return (slope(z) if self.is_quadratic else np.ones_like(z)) / self.M

    def s(self, layer: int) -> Array:
        """sigmoid'(z_l)."""
        if layer not in self.slopes:
            self.slopes[layer] = slope(self.z[layer])
        return self.slopes[layer]

    def passed_down(self, layer: int) -> Array:
        """delta_{l+1} W_{l+1}."""
        return self.delta[layer + 1] @ self.W[layer + 1]

    def error(self, layer: int) -> Array:
        """delta_l by the right formula, from delta_{l+1} as it is given."""
        if layer == self.L:
            return self.residual * self.top
        return self.passed_down(layer) * self.s(layer)

    def weight_gradient(self, layer: int) -> Array:
        """delta_l^T a_{l-1}."""
        return self.delta[layer].T @ self.a[layer - 1]

    def bias_gradient(self, layer: int) -> Array:
        """sum_i delta_l."""
        return self.delta[layer].sum(axis=0)

    def knowing(self, layer: int, delta: Array, dW: Array | None = None) -> Self:
        """Return the symbols with one more error, and one more weight gradient, given."""
        known = self.dW if dW is None else self.dW | {layer: dW}
        return replace(self, delta=self.delta | {layer: delta}, dW=known)

    def right(self) -> Self:
        """Return the symbols with all errors by the right formulas."""
        result = self
        for layer in range(self.L, 0, -1):
            result = result.knowing(layer, result.error(layer))
        return result
