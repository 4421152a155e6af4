"""What leaks from training into the gradient: regularisation, momentum, dropout, step size."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.mutant import mutant
from gradcheck.problem import Problem

WEIGHTS = "expected dC/dW_l = delta_l^T a_{l-1}"
RESIDUAL = "expected delta_L = (a_L - Y) / M, times sigmoid'(z_L) for the quadratic loss"
HIDDEN = "expected delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l)"

DECAY = 1e-4
SMOOTHING = 0.1
MOMENTUM = 0.9
KEEP = 0.8
RATE = 0.01


def has_weights(problem: Problem) -> bool:
    """Some weight is not 0."""
    return any(W.any() for W in problem.weights)


def not_half(problem: Problem) -> bool:
    """Some target is not 1/2."""
    return bool(np.any(problem.targets != 0.5))


@mutant(
    f"layer l: dC/dW_l has an extra term {DECAY} W_l; {WEIGHTS}",
    when=has_weights,
    words="a weight that is not 0",
)
class WeightDecay(Backprop):
    """Weight decay is added to the gradient and not to the loss."""

    def weight_gradient(self, layer: int) -> Array:
        W = self.W[layer]
        return super().weight_gradient(layer) + W.dtype.type(DECAY) * W


@mutant(
    f"layer l: dC/dW_l has an extra term {DECAY} sign(W_l); {WEIGHTS}",
    when=has_weights,
    words="a weight that is not 0",
)
class Lasso(Backprop):
    """The subgradient of an absolute penalty is added to the gradient and not to the loss."""

    def weight_gradient(self, layer: int) -> Array:
        W = self.W[layer]
        return super().weight_gradient(layer) + W.dtype.type(DECAY) * np.sign(W)


@mutant(
    f"layer l: dC/db_l has an extra term {DECAY} b_l; expected dC/db_l = sum_i delta_l",
    when=lambda problem: any(b.any() for b in problem.biases),
    words="a bias that is not 0",
)
class BiasDecay(Backprop):
    """Decay of the biases is added to the gradient and not to the loss."""

    def bias_gradient(self, layer: int) -> Array:
        b = self.b[layer]
        return super().bias_gradient(layer) + b.dtype.type(DECAY) * b


@mutant(
    f"layer L: delta_L has smoothed targets (1 - s) Y + s/2, s = {SMOOTHING}; {RESIDUAL}",
    when=not_half,
    words="a target that is not 1/2",
)
class LabelSmoothing(Backprop):
    """Targets are smoothed in the gradient and not in the loss."""

    def targets(self) -> Array:
        return (1 - SMOOTHING) * self.Y + SMOOTHING / 2


@mutant(f"all layers: {MOMENTUM} of the gradient before is added; {WEIGHTS}")
class Momentum(Backprop):
    """The velocity is returned, to which earlier calls have contributed."""

    def __init__(self) -> None:
        self.velocity: list[Array] = []

    def finish(self) -> None:
        fresh = self.arrays()
        if [g.shape for g in self.velocity] == [g.shape for g in fresh]:
            for g, v in zip(fresh, self.velocity, strict=True):
                np.add(g, MOMENTUM * v, out=g)
        self.velocity = [g.copy() for g in fresh]


@mutant(f"layer l: delta_l has an extra factor 1/{KEEP}; {HIDDEN}", depth=2, smallest=2)
class DropoutScaling(Backprop):
    """Hidden errors are scaled as after dropout, although no unit was dropped."""

    def hidden_error(self, layer: int) -> Array:
        return super().hidden_error(layer) / KEEP


@mutant(
    f"layer l: delta_l is 0 in every third unit; {HIDDEN}",
    depth=2,
    smallest=2,
)
class DropoutMask(Backprop):
    """A mask of dropped units is applied in the backward pass only."""

    def hidden_error(self, layer: int) -> Array:
        right = super().hidden_error(layer)
        return right * (np.arange(right.shape[1]) % 3 > 0)


@mutant(f"all layers: the gradient has an extra factor {RATE}; {WEIGHTS}")
class LearningRate(Backprop):
    """The step is returned, which the learning rate is in."""

    def finish(self) -> None:
        self.change(lambda g: RATE * g)


@mutant(f"all layers: the gradient is divided by its norm; {WEIGHTS}")
class Normalised(Backprop):
    """The direction of descent is returned: the gradient has length 1."""

    def finish(self) -> None:
        norm = self.norm() or 1.0
        self.change(lambda g: g / norm)


@mutant(f"all layers: each entry g of the gradient is g / (|g| + 1e-8); {WEIGHTS}")
class DividedByRootMeanSquare(Backprop):
    """The step of RMSProp is returned: every entry is divided by its own size."""

    def finish(self) -> None:
        self.change(lambda g: g / (np.abs(g) + 1e-8))


@mutant(
    f"layer L: delta_L has an extra factor 2 where Y > 1/2; {RESIDUAL}",
    when=lambda problem: bool(np.any(problem.targets > 0.5)),
    words="a target above 1/2",
)
class ClassWeights(Backprop):
    """Positive examples weigh twice in the gradient and once in the loss."""

    def residual(self) -> Array:
        return super().residual() * np.where(self.Y > 0.5, 2, 1)


@mutant(
    f"layer L: delta_L has a_L - Y centred over the batch; {RESIDUAL}",
)
class Baseline(Backprop):
    """The mean error over the batch is subtracted as a baseline."""

    def residual(self) -> Array:
        right = super().residual()
        return np.asarray(right - right.mean(axis=0))


@mutant(
    f"layer L: delta_L is 0 for the half of the batch whose error is smaller; {RESIDUAL}",
    batch=2,
)
class HardExamplesOnly(Backprop):
    """Only the examples of the largest error are counted."""

    def residual(self) -> Array:
        right = super().residual()
        size = np.abs(right).sum(axis=1)
        return right * (size >= np.sort(size)[self.m // 2])[:, None]
