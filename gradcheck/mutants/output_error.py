"""Mistakes in the output error: delta_L = (a_L - Y) / M, times sigmoid'(z_L) for quadratic loss."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop, sigmoid, sigmoid_prime
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import has_soft_targets

CROSS_ENTROPY = "expected delta_L = (a_L - Y) / M"
QUADRATIC = "expected delta_L = (a_L - Y) * sigmoid'(z_L) / M"
EITHER = f"{CROSS_ENTROPY}, times sigmoid'(z_L) for the quadratic loss"


@mutant(f"layer L: delta_L has the wrong sign; {EITHER}")
class WrongSign(Backprop):
    """The output error is Y - a: its sign is wrong."""

    def residual(self) -> Array:
        return -super().residual()


@mutant(f"layer L: delta_L lacks the factor 1/m; {EITHER}", reductions=("mean",), batch=2)
class MeanMissing(Backprop):
    """The sum over the batch is taken where the mean is meant."""

    def output_error(self) -> Array:
        return self.residual() * self.output_slope()


@mutant(f"layer L: delta_L has the factor 1/m twice; {EITHER}", reductions=("mean",), batch=2)
class MeanTwice(Backprop):
    """The mean over the batch is taken twice."""

    def output_error(self) -> Array:
        return super().output_error() / self.M


@mutant(f"layer L: delta_L has an extra factor 1/m; {EITHER}", reductions=("sum",), batch=2)
class MeanForSum(Backprop):
    """The mean over the batch is taken where the sum is meant."""

    def output_error(self) -> Array:
        return super().output_error() / (self.m if self.reduction == "sum" else 1)


@mutant(f"layer L: delta_L has an extra factor 1/n_L; {EITHER}", outputs=2, smallest=2)
class MeanOverOutputs(Backprop):
    """The mean over the outputs is taken too."""

    def output_error(self) -> Array:
        return super().output_error() / self.Y.shape[1]


@mutant(
    f"layer L: delta_L is divided by n_L in place of m; {EITHER}",
    reductions=("mean",),
    when=lambda problem: problem.targets.shape[0] != problem.targets.shape[1],
    words="other than as many examples as outputs",
)
class DividedByOutputs(Backprop):
    """The output error is divided by the number of outputs in place of that of examples."""

    def output_error(self) -> Array:
        over = self.Y.shape[1] if self.reduction == "mean" else 1
        return self.residual() * self.output_slope() / over


@mutant(
    f"layer L: delta_L has an extra factor sigmoid'(z_L); {CROSS_ENTROPY}",
    losses=("cross_entropy",),
)
class QuadraticForCrossEntropy(Backprop):
    """The output error is that of the quadratic loss, with a sigmoid' too many."""

    def output_slope(self) -> Array:
        return sigmoid_prime(self.z[self.L])


@mutant(
    f"layer L: delta_L lacks the factor sigmoid'(z_L); {QUADRATIC}",
    losses=("quadratic",),
)
class CrossEntropyForQuadratic(Backprop):
    """The output error is that of the cross-entropy, with a sigmoid' missing."""

    def output_slope(self) -> Array:
        return np.ones_like(self.z[self.L])


@mutant(f"layer L: delta_L is that of the other loss; {EITHER}")
class LossesMixedUp(Backprop):
    """Cross-entropy gets the output error of the quadratic loss, and the other way round."""

    def output_slope(self) -> Array:
        slope = sigmoid_prime(self.z[self.L])
        return slope if self.cost_name == "cross_entropy" else np.ones_like(slope)


@mutant(
    f"layer L: delta_L has the factor sigmoid'(z_L) twice; {QUADRATIC}",
    losses=("quadratic",),
)
class OutputSlopeTwice(Backprop):
    """The quadratic loss's output error is multiplied by sigmoid' twice."""

    def output_slope(self) -> Array:
        return super().output_slope() ** 2


@mutant(
    f"layer L: delta_L lacks the factor sigmoid'(z_L), it is dC/da_L; {CROSS_ENTROPY}",
    losses=("cross_entropy",),
)
class DerivativeByActivation(Backprop):
    """The derivative by a_L is taken for that by z_L: a sigmoid' is missing."""

    def output_slope(self) -> Array:
        right = super().output_slope()
        return right / sigmoid_prime(self.z[self.L]) if self.cost_name == "cross_entropy" else right


@mutant(
    f"layer L: delta_L has the factor sigmoid'(a_L); {QUADRATIC}",
    losses=("quadratic",),
)
class OutputSlopeOfActivation(Backprop):
    """The slope of the outputs is evaluated at a_L in place of z_L."""

    def output_slope(self) -> Array:
        right = super().output_slope()
        return sigmoid_prime(self.a[self.L]) if self.cost_name == "quadratic" else right


@mutant(f"layer L: delta_L has an extra factor 2; {QUADRATIC}", losses=("quadratic",))
class FactorTwo(Backprop):
    """The quadratic loss is differentiated without its 1/2."""

    def output_error(self) -> Array:
        factor = 2 if self.cost_name == "quadratic" else 1
        return factor * super().output_error()


@mutant(f"layer L: delta_L has an extra factor 1/2; {EITHER}")
class FactorHalf(Backprop):
    """The output error has a 1/2 that has long been cancelled by the exponent."""

    def output_error(self) -> Array:
        return super().output_error() / 2


@mutant(f"layer L: delta_L has an extra factor 1 / log 2; {CROSS_ENTROPY}",
        losses=("cross_entropy",))  # fmt: skip
class InBits(Backprop):
    """The gradient is that of the cross-entropy in bits, with logarithms to base 2."""

    def output_error(self) -> Array:
        unit = np.log(2) if self.cost_name == "cross_entropy" else 1
        return super().output_error() / unit


@mutant(f"layer L: delta_L is |a_L - Y|, its sign lost; {EITHER}")
class SignLost(Backprop):
    """The output error is the absolute value of a - Y."""

    def residual(self) -> Array:
        return np.abs(super().residual())


@mutant(
    f"layer L: delta_L lacks the term (1 - Y) a_L; {CROSS_ENTROPY}",
    losses=("cross_entropy",),
    when=lambda problem: bool(np.any(problem.targets < 1)),
    words="a target below 1",
)
class NegativeTermForgotten(Backprop):
    """Only -Y log a is differentiated; the term (1 - Y) log(1 - a) is forgotten."""

    def residual(self) -> Array:
        if self.cost_name == "quadratic":
            return super().residual()
        return -self.Y * sigmoid(-self.z[self.L])


@mutant(
    f"layer L: delta_L = (softmax(z_L) - Y) / M; {CROSS_ENTROPY}",
    losses=("cross_entropy",),
)
class SoftmaxForSigmoid(Backprop):
    """The output error is that of softmax outputs, which compete; sigmoids do not."""

    def residual(self) -> Array:
        if self.cost_name == "quadratic":
            return super().residual()
        e = np.exp(self.z[self.L] - self.z[self.L].max(axis=1, keepdims=True))
        return np.asarray(e / e.sum(axis=1, keepdims=True) - self.Y)


@mutant(
    f"layer L: delta_L has targets rounded to 0 and 1; {EITHER}",
    when=has_soft_targets,
    words="a target that is neither 0 nor 1",
)
class TargetsRounded(Backprop):
    """Targets become class labels: they are rounded to 0 and 1."""

    def targets(self) -> Array:
        return np.round(self.Y)


@mutant(f"layer L: delta_L has 1 - Y for Y; {EITHER}",
        when=lambda problem: bool(np.any(problem.targets != 0.5)),
        words="a target that is not 1/2")  # fmt: skip
class TargetsFlipped(Backprop):
    """The classes are confused: 1 - Y stands where Y belongs."""

    def targets(self) -> Array:
        return 1 - self.Y


@mutant(f"layer L: delta_L has the decision a_L > 1/2 for a_L; {EITHER}")
class DecisionForActivation(Backprop):
    """The output is rounded to the decision 0 or 1 first, as in the perceptron's rule."""

    def residual(self) -> Array:
        return (self.z[self.L] > 0) - self.Y


@mutant(f"layer L: delta_L is 0 but for output 0; {EITHER}", outputs=2, smallest=2)
class FirstOutputOnly(Backprop):
    """Only the error of the first output is propagated."""

    def residual(self) -> Array:
        first = np.arange(self.Y.shape[1]) == 0
        return np.where(first, super().residual(), 0)
