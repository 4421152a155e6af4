"""Gradient and loss that belong to two functions, or to one that is not the one that is meant.

Where the loss alone is wrong the gradient agrees with the exact one, and is not the derivative of
the engine's loss: only consistency sees it. Where both are wrong alike, only agreement does.
"""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop, a_minus_y, sigmoid_prime
from gradcheck.mutants.leaks import has_weights, not_half
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import output_beyond
from gradcheck.problem import Problem

AGREEMENT = ("agreement",)
CONSISTENCY = ("consistency",)

DECAY = 0.01
SMOOTHING = 0.1
CLIP = 1e-7


class OtherLoss(Backprop):
    """Has a loss of its own, for whose rounding no declared class answers."""

    arithmetic = ""


# --- the loss alone -------------------------------------------------------------------------------


@mutant(
    "loss: C lacks the factor 1/m that its gradient has; expected C = (1/m) sum_i C_i",
    reductions=("mean",),
    batch=2,
    caught_by=CONSISTENCY,
)
class LossNotAveraged(OtherLoss):
    """The loss is summed over the batch, the gradient is averaged."""

    def cost(self) -> float:
        return super().cost() * self.M


@mutant(
    "loss: C_i lacks the factor 1/2 that its gradient has; expected C_i = 1/2 sum_k (a - y)^2",
    losses=("quadratic",),
    caught_by=CONSISTENCY,
)
class LossWithoutHalf(OtherLoss):
    """The quadratic loss lacks its 1/2, the gradient does not."""

    def costs(self) -> Array:
        return super().costs() * (2 if self.cost_name == "quadratic" else 1)


@mutant(
    f"layer l: dC/dW_l lacks the term {DECAY} W_l of the loss that has a penalty; "
    f"expected dC/dW_l = delta_l^T a_{{l-1}} + {DECAY} W_l",
    when=has_weights,
    words="a weight that is not 0",
    caught_by=CONSISTENCY,
)
class PenaltyForgotten(OtherLoss):
    """The loss has a penalty on the weights, which its gradient forgets."""

    def cost(self) -> float:
        squares = sum(float(np.sum(W.astype(float) ** 2)) for W in self.W.values())
        return super().cost() + DECAY / 2 * squares


@mutant(
    "loss: C has smoothed targets, its gradient has Y; expected Y in both",
    when=not_half,
    words="a target that is not 1/2",
    caught_by=CONSISTENCY,
)
class LossSmoothed(OtherLoss):
    """Targets are smoothed in the loss and not in the gradient."""

    def costs(self) -> Array:
        targets = self.Y
        self.Y = (1 - SMOOTHING) * targets + SMOOTHING / 2
        try:
            return super().costs()
        finally:
            self.Y = targets


# --- both alike -----------------------------------------------------------------------------------


@mutant(
    f"layer l: dC/dW_l has an extra term {DECAY} W_l, and C its integral; "
    "expected dC/dW_l = delta_l^T a_{l-1}",
    when=has_weights,
    words="a weight that is not 0",
    caught_by=AGREEMENT,
)
class PenaltyInBoth(PenaltyForgotten):
    """Loss and gradient have a penalty on the weights that nobody asked for."""

    def weight_gradient(self, layer: int) -> Array:
        W = self.W[layer]
        return super().weight_gradient(layer) + W.dtype.type(DECAY) * W


@mutant(
    "layer L: delta_L and C are divided by n_L too; expected delta_L = (a_L - Y) / M, times "
    "sigmoid'(z_L) for the quadratic loss",
    outputs=2,
    smallest=2,
    caught_by=AGREEMENT,
)
class MeanOverOutputsInBoth(OtherLoss):
    """Loss and gradient are averaged over the outputs too."""

    def output_error(self) -> Array:
        return super().output_error() / self.Y.shape[1]

    def cost(self) -> float:
        return super().cost() / self.Y.shape[1]


@mutant(
    "layer L: delta_L and C are summed over the batch; expected delta_L = (a_L - Y) / M, times "
    "sigmoid'(z_L) for the quadratic loss",
    reductions=("mean",),
    batch=2,
    caught_by=AGREEMENT,
)
class SumForMeanInBoth(OtherLoss):
    """Loss and gradient are summed where the mean is meant."""

    def output_error(self) -> Array:
        return super().output_error() * self.M

    def cost(self) -> float:
        return super().cost() * self.M


@mutant(
    "layer L: delta_L and C are those of the quadratic loss; expected delta_L = (a_L - Y) / M",
    losses=("cross_entropy",),
    caught_by=AGREEMENT,
)
class OtherLossInBoth(OtherLoss):
    """Loss and gradient are quadratic where cross-entropy is meant."""

    def costs(self) -> Array:
        return np.asarray(a_minus_y(self.z[self.L], self.Y) ** 2 / 2)

    def output_slope(self) -> Array:
        return sigmoid_prime(self.z[self.L])


@mutant(
    "layer L: delta_L and C have smoothed targets; expected delta_L = (a_L - Y) / M, times "
    "sigmoid'(z_L) for the quadratic loss",
    when=not_half,
    words="a target that is not 1/2",
    caught_by=AGREEMENT,
)
class SmoothedInBoth(OtherLoss):
    """Targets are smoothed in loss and gradient."""

    def read(self, problem: Problem) -> None:
        super().read(problem)
        self.Y = (1 - SMOOTHING) * self.Y + SMOOTHING / 2


@mutant(
    f"layer L: delta_L is 0 where a_L is beyond {CLIP} and 1 - {CLIP}, C is constant there; "
    "expected delta_L = (a_L - Y) / M",
    losses=("cross_entropy",),
    when=output_beyond(16),
    words="an output |z| above 16",
    caught_by=AGREEMENT,
)
class ClippedInBoth(OtherLoss):
    """Outputs are clipped, and the derivative of the clipped loss is 0 where they are."""

    def costs(self) -> Array:
        if self.cost_name == "quadratic":
            return super().costs()
        z, limit = self.z[self.L], -np.log(CLIP)
        self.z[self.L] = np.clip(z, -limit, limit)
        try:
            return super().costs()
        finally:
            self.z[self.L] = z

    def residual(self) -> Array:
        clipped = (np.abs(self.z[self.L]) > -np.log(CLIP)) & (self.cost_name == "cross_entropy")
        return np.where(clipped, 0, super().residual())
