r"""Wrong backprops, to learn whether the ladder calls a bug a class of arithmetic.

Each differs from the right one, `Backprop`, in one method. Symbols: X, Y inputs and targets of m
examples, W_l, b_l weights and biases, z_l = a_{l-1} W_l^T + b_l, a_l = sigma(z_l), a_0 = X,
delta_l = dC/dz_l, M = m for `mean`, 1 for `sum`.

    delta_L = r / M  (cross-entropy)  or  r sigma'(z_L) / M  (quadratic),   r = sigma(z_L) - Y
    delta_{l-1} = (delta_l W_l) sigma'(z_{l-1})
    dC/dW_l = delta_l^T a_{l-1},   dC/db_l = sum_i delta_l
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.engines.base import EngineInfo
from gradcheck.problem import LOSSES, REDUCTIONS, Array, Gradient, Problem
from reference_models import sigmoid_network
from reference_models.activations import sigmoid, sigmoid_prime

if TYPE_CHECKING:
    from collections.abc import Callable


class Backprop:
    """The right one, without cancellation; an engine."""

    @property
    def info(self) -> EngineInfo:
        """What it is called; it declares no class, so that the strictest is asked of it."""
        return EngineInfo(type(self).__name__, "1", ("float64", "float32"), LOSSES, REDUCTIONS)

    def loss(self, problem: Problem) -> float:
        """Compute the right loss."""
        network = problem.architecture
        value = sigmoid_network.loss(
            [*zip(problem.weights, problem.biases, strict=True)],
            problem.inputs,
            problem.targets,
            cost=network.loss,
            reduction=network.reduction,
        )
        return float(value)

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and the gradient, layer by layer from the last one."""
        a, z = [problem.inputs], []
        for W, b in zip(problem.weights, problem.biases, strict=True):
            z.append(a[-1] @ W.T + b)
            a.append(sigmoid(z[-1]))
        delta = self.output_error(problem, z[-1])
        gradient: Gradient = []
        for i in reversed(range(len(z))):  # layer l = i + 1
            gradient.append((self.weight_gradient(delta, a[i]), self.bias_gradient(delta)))
            if i:
                delta = self.back(delta, problem.weights[i]) * self.slope(z[i - 1])
        return self.loss(problem), self.finish(gradient[::-1], problem)

    def close(self) -> None:
        """Do nothing: it holds nothing."""

    def output_error(self, problem: Problem, z: Array) -> Array:
        """Return delta_L."""
        Y = self.targets(problem)
        r = (1 - Y) * sigmoid(z) - Y * sigmoid(-z)
        if problem.architecture.loss == "quadratic":
            r = r * sigmoid_prime(z)
        delta: Array = r / np.asarray(self.divisor(problem), z.dtype)
        return delta

    def targets(self, problem: Problem) -> Array:
        """Return Y."""
        return problem.targets

    def divisor(self, problem: Problem) -> int:
        """Return M."""
        return problem.batch if problem.architecture.reduction == "mean" else 1

    def back(self, delta: Array, W: Array) -> Array:
        """Return delta_l W_l."""
        product: Array = delta @ W
        return product

    def slope(self, z: Array) -> Array:
        """Return sigma'(z)."""
        s: Array = sigmoid_prime(z)
        return s

    def weight_gradient(self, delta: Array, a: Array) -> Array:
        """Return dC/dW_l."""
        dW: Array = delta.T @ a
        return dW

    def bias_gradient(self, delta: Array) -> Array:
        """Return dC/db_l."""
        db: Array = delta.sum(axis=0)
        return db

    def finish(self, gradient: Gradient, problem: Problem) -> Gradient:  # noqa: ARG002 - for bugs
        """Return the gradient."""
        return gradient


class WrongSign(Backprop):
    """Y - sigma(z)."""

    def output_error(self, problem: Problem, z: Array) -> Array:
        """Return -delta_L."""
        return -super().output_error(problem, z)


class MeanTwice(Backprop):
    """Divides by m twice."""

    def divisor(self, problem: Problem) -> int:
        """Return M m."""
        return super().divisor(problem) * problem.batch


class MissingMean(Backprop):
    """Never divides by m."""

    def divisor(self, problem: Problem) -> int:  # noqa: ARG002 - as Backprop has it
        """Return 1."""
        return 1


class ShuffledTargets(Backprop):
    """Takes the targets of the next example."""

    def targets(self, problem: Problem) -> Array:
        """Return Y with its rows rolled."""
        return np.roll(problem.targets, 1, axis=0)


class RoundedTargets(Backprop):
    """Takes soft targets for hard ones."""

    def targets(self, problem: Problem) -> Array:
        """Return Y rounded to 0 and 1."""
        return np.round(problem.targets)


class MissingSlope(Backprop):
    """Forgets sigma' of hidden layers."""

    def slope(self, z: Array) -> Array:
        """Return 1."""
        return np.ones_like(z)


class SlopeOfActivation(Backprop):
    """Takes sigma'(a) for sigma'(z)."""

    def slope(self, z: Array) -> Array:
        """Return sigma'(sigma(z))."""
        s: Array = sigmoid_prime(sigmoid(z))
        return s


class WeightsNotTransposed(Backprop):
    """Goes back through W_l^T where that fits."""

    def back(self, delta: Array, W: Array) -> Array:
        """Return delta_l W_l^T."""
        return super().back(delta, W.T if W.shape[0] == W.shape[1] else W)


class LastExampleDropped(Backprop):
    """Leaves the last example out of dC/dW."""

    def weight_gradient(self, delta: Array, a: Array) -> Array:
        """Return the sum over all examples but one."""
        return super().weight_gradient(delta[:-1], a[:-1])


class BiasAveraged(Backprop):
    """Averages over the examples where a sum is due."""

    def bias_gradient(self, delta: Array) -> Array:
        """Return the mean of delta_l."""
        db: Array = delta.mean(axis=0)
        return db


class BiasForgotten(Backprop):
    """Leaves dC/db at 0."""

    def bias_gradient(self, delta: Array) -> Array:
        """Return zeros."""
        return np.zeros_like(delta[0])


class WeightDecay(Backprop):
    """Adds the derivative of a penalty that the loss does not have."""

    def finish(self, gradient: Gradient, problem: Problem) -> Gradient:
        """Return dC/dW_l + W_l / 1000."""
        decay = np.asarray(1e-3, problem.dtype)
        pairs = zip(gradient, problem.weights, strict=True)
        return [(dW + decay * W, db) for (dW, db), W in pairs]


class OneCoordinateOff(Backprop):
    """Has its largest derivative by a first weight wrong by a thousandth."""

    def finish(self, gradient: Gradient, problem: Problem) -> Gradient:
        """Return the gradient with one number scaled."""
        dW = gradient[0][0].copy()
        dW[np.unravel_index(np.argmax(np.abs(dW)), dW.shape)] *= np.asarray(1.001, problem.dtype)
        return [(dW, gradient[0][1]), *gradient[1:]]


class NeighbourLeaks(Backprop):
    """Adds a thousandth of the first unit's derivatives to the last unit's."""

    def finish(self, gradient: Gradient, problem: Problem) -> Gradient:
        """Return the gradient with one row changed in every layer."""
        share = np.asarray(1e-3, problem.dtype)
        leaked = []
        for dW, db in gradient:
            rows = dW.copy()
            rows[-1] += share * dW[0]
            leaked.append((rows, db))
        return leaked


MISTAKES: dict[str, Callable[[], Backprop]] = {
    mistake.__name__: mistake for mistake in Backprop.__subclasses__()
}
"""Every mistake by its name."""


class Float32Deltas(Backprop):
    """Right, but for the deltas, which pass through float32."""

    def output_error(self, problem: Problem, z: Array) -> Array:
        """Return delta_L rounded to float32."""
        return super().output_error(problem, z).astype(np.float32).astype(z.dtype)


class Scaled(Backprop):
    """The right gradient times 1 + 1e-12."""

    def finish(self, gradient: Gradient, problem: Problem) -> Gradient:
        """Return the gradient with every number scaled."""
        factor = np.asarray(1 + 1e-12, problem.dtype)
        return [(dW * factor, db * factor) for dW, db in gradient]
