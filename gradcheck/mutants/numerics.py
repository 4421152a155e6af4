"""Mistakes of arithmetic: right formulas in too few digits, or wrong where numbers grow large."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop, a_minus_y, sigmoid, sigmoid_prime
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import hidden_beyond, output_beyond, pre_activations
from gradcheck.problem import Problem

EXPECTED = "expected the same equations without it"
DELTA_L = "expected delta_L = (a_L - Y) / M, times sigmoid'(z_L) for the quadratic loss"
SLOPE = "expected delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l)"

CLIP = 1e-7
EPSILON = 1e-8
SMALLEST = 1e-6
SATURATED = 20.0


def exponential_overflows(problem: Problem) -> bool:
    """Some e^z is infinite in the problem's dtype."""
    with np.errstate(all="ignore"):
        e = [np.exp(z) for z in pre_activations(problem).values()]
    return any(bool(np.isinf(array).any()) for array in e)


def output_is_rounded(problem: Problem) -> bool:
    """Some output rounds to 0 or 1."""
    z = pre_activations(problem)[problem.architecture.depth]
    return bool(np.any(np.maximum(sigmoid(z), sigmoid(-z)) == 1))


def output_is_clipped(problem: Problem) -> bool:
    """Some output is beyond what CLIP leaves, and the loss is cross-entropy."""
    return output_beyond(-np.log(CLIP) - 1)(problem)


def through(array: Array, dtype: type[np.floating]) -> Array:
    """Round to a dtype and back."""
    return array.astype(dtype).astype(array.dtype)


# --- too few digits -------------------------------------------------------------------------------


@mutant(f"all layers: delta_l is rounded to float32; {EXPECTED}", dtypes=("float64",))
class Float32Errors(Backprop):
    """Errors pass through float32 on their way down."""

    def output_error(self) -> Array:
        return through(super().output_error(), np.float32)


@mutant(
    f"all layers: a_l is rounded to float32; {EXPECTED}",
    dtypes=("float64",),
    depth=2,
    when=hidden_beyond(0),
    words="a hidden z that is not 0",
    smallest=2,
)
class Float32Activations(Backprop):
    """Activations are stored in float32 for the backward pass."""

    def weight_gradient(self, layer: int) -> Array:
        return self.delta[layer].T @ through(self.a[layer - 1], np.float32)


@mutant(f"all layers: delta_l is rounded to float16; {EXPECTED}", dtypes=("float64", "float32"))
class Float16Errors(Backprop):
    """Errors pass through float16 on their way down."""

    def output_error(self) -> Array:
        return through(super().output_error(), np.float16)


@mutant(
    f"all layers: the sum over the batch is kept in float16; {EXPECTED}",
    dtypes=("float64", "float32"),
)
class Float16Sums(Backprop):
    """Bias gradients are summed in float16."""

    def bias_gradient(self, layer: int) -> Array:
        delta = self.delta[layer]
        return np.asarray(delta.sum(axis=0, dtype=np.float16).astype(delta.dtype))


@mutant(f"all layers: the gradient is rounded to 8 decimals; {EXPECTED}")
class RoundedToDecimals(Backprop):
    """The gradient is rounded to eight decimals."""

    def finish(self) -> None:
        self.change(lambda g: np.round(g, 8))


# --- clipping -------------------------------------------------------------------------------------


@mutant(f"all layers: the gradient is clipped to [-1/4, 1/4]; {EXPECTED}")
class GradientClipped(Backprop):
    """Every entry of the gradient is clipped, against explosion."""

    def finish(self) -> None:
        self.change(lambda g: np.clip(g, -0.25, 0.25))


@mutant(f"all layers: the gradient is scaled to a norm of 1 at most; {EXPECTED}")
class NormClipped(Backprop):
    """The whole gradient is scaled down where its norm exceeds 1."""

    def finish(self) -> None:
        norm = max(1.0, self.norm())
        self.change(lambda g: g / norm)


@mutant(
    f"layer L: delta_L has a_L clipped to [{CLIP}, 1 - {CLIP}]; {DELTA_L}",
    when=output_is_clipped,
    words=f"an output beyond {CLIP} and 1 - {CLIP}",
)
class ProbabilitiesClipped(Backprop):
    """Outputs are clipped before they are compared with the targets."""

    def residual(self) -> Array:
        limit = -np.log(CLIP)
        return a_minus_y(np.clip(self.z[self.L], -limit, limit), self.Y)


@mutant(
    f"layer l: delta_l has z_l clipped to [-{SATURATED:g}, {SATURATED:g}]; {SLOPE}",
    depth=2,
    when=hidden_beyond(SATURATED),
    words=f"a hidden |z| above {SATURATED:g}",
    smallest=2,
)
class PreActivationsClipped(Backprop):
    """z is clipped before the slope is taken, lest e^z overflow."""

    def slope(self, layer: int) -> Array:
        z = np.clip(self.z[layer], -SATURATED, SATURATED)
        return sigmoid_prime(z)


# --- denominators ---------------------------------------------------------------------------------


@mutant(
    f"layer L: delta_L = (a_L - Y) a_L (1 - a_L) / (a_L (1 - a_L) + {EPSILON}) / M; "
    "expected delta_L = (a_L - Y) / M",
    losses=("cross_entropy",),
)
class EpsilonInDenominator(Backprop):
    """An epsilon keeps the denominator a (1 - a) from being 0, and does not cancel."""

    def output_slope(self) -> Array:
        z = self.z[self.L]
        slope = sigmoid_prime(z)
        return slope / (slope + EPSILON) if self.cost_name == "cross_entropy" else slope


@mutant(f"layer L: delta_L is divided by M + {EPSILON}; {DELTA_L}", dtypes=("float64",))
class EpsilonInMean(Backprop):
    """An epsilon is added to the number of examples."""

    def output_error(self) -> Array:
        return self.residual() * self.output_slope() / (self.M + EPSILON)


# --- small and large numbers ----------------------------------------------------------------------


@mutant(f"all layers: errors below {SMALLEST} become 0; {EXPECTED}")
class FlushToZero(Backprop):
    """Small errors are flushed to zero."""

    def output_error(self) -> Array:
        return self._flushed(super().output_error())

    def hidden_error(self, layer: int) -> Array:
        return self._flushed(super().hidden_error(layer))

    def _flushed(self, delta: Array) -> Array:
        return np.where(np.abs(delta) < SMALLEST, 0, delta)


@mutant(
    f"layer l: delta_l is 0 where |z_l| > {SATURATED:g}; {SLOPE}",
    depth=2,
    when=hidden_beyond(SATURATED),
    words=f"a hidden |z| above {SATURATED:g}",
    smallest=2,
)
class SaturatedSlopeZero(Backprop):
    """In the saturated branch the slope is set to 0."""

    def slope(self, layer: int) -> Array:
        return np.where(np.abs(self.z[layer]) > SATURATED, 0, super().slope(layer))


@mutant(
    f"layer l: delta_l has 1 for sigmoid'(z_l) where z_l > {SATURATED:g}; {SLOPE}",
    depth=2,
    when=hidden_beyond(SATURATED),
    words=f"a hidden |z| above {SATURATED:g}",
    smallest=2,
)
class SaturatedBranchSwapped(Backprop):
    """In the saturated branch a slope near 1 is returned, which is the activation's value."""

    def slope(self, layer: int) -> Array:
        return np.where(self.z[layer] > SATURATED, 1, super().slope(layer))


@mutant(
    f"layer L: delta_L is 0 where a_L rounds to 0 or 1; {DELTA_L}",
    when=output_is_rounded,
    words="an output that rounds to 0 or 1",
)
class SaturatedOutputZero(Backprop):
    """Where the output is saturated its error is taken for 0, also where it is a wrong one."""

    def residual(self) -> Array:
        z = self.z[self.L]
        rounded = np.maximum(sigmoid(z), sigmoid(-z)) == 1
        return np.where(rounded, 0, super().residual())


@mutant(
    "layer l: a_l = e^z_l / (1 + e^z_l) overflows for large z_l; "
    "expected a_l = 1 / (1 + e^-z_l) there",
    when=exponential_overflows,
    words="an e^z that overflows",
)
class Overflow(Backprop):
    """In the backward pass the sigmoid is infinity over infinity for large z."""

    def output_error(self) -> Array:
        return super().output_error() + self.overflow(self.L)

    def slope(self, layer: int) -> Array:
        return super().slope(layer) + self.overflow(layer)

    def overflow(self, layer: int) -> Array:
        """0, but NaN where e^z is infinite."""
        return 0 * np.exp(self.z[layer])


@mutant(
    "all layers: an entry that an output of 0 or 1 makes NaN becomes 0; "
    "expected delta_L = (a_L - Y) / M",
    losses=("cross_entropy",),
    when=output_is_rounded,
    words="an output that rounds to 0 or 1",
)
class NansBecomeZero(Backprop):
    """(a - Y) / (a (1 - a)) a (1 - a) is 0 / 0 where a rounds to 0 or 1, and NaN becomes 0."""

    def output_slope(self) -> Array:
        right = super().output_slope()
        rounded = sigmoid(np.abs(self.z[self.L])) == 1
        return np.where(rounded & (self.cost_name == "cross_entropy"), np.nan, right)

    def finish(self) -> None:
        self.change(np.nan_to_num)


@mutant(
    "layer l: sigmoid'(z_l) is read from a table with steps of 1/64; " + SLOPE,
    depth=2,
    when=lambda problem: any(
        bool(np.any(z * 64 != np.round(z * 64)))
        for z in list(pre_activations(problem).values())[:-1]
    ),
    words="a hidden z that is no multiple of 1/64",
    smallest=2,
)
class SlopeFromTable(Backprop):
    """The slope is looked up in a table without interpolation."""

    def slope(self, layer: int) -> Array:
        z = np.round(self.z[layer] * 64) / 64
        return sigmoid_prime(z)
