"""Mistakes in the hidden errors: delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l)."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop, sigmoid, sigmoid_prime
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import (
    has_equal_hidden_neighbours,
    has_equal_neighbours,
    has_hidden_width,
    has_square_upper_layer,
    has_width,
    hidden_beyond,
    widths,
)
from gradcheck.problem import Problem

EXPECTED = "expected delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l)"
LAYER_1 = "expected delta_1 = (delta_2 W_2) * sigmoid'(z_1)"

FLOOR = 0.01
LEARNING_RATE = 0.1


def has_bias_at_hidden_layers(problem: Problem) -> bool:
    """Some hidden bias is not 0."""
    return any(b.any() for b in problem.biases[:-1])


def has_a_matrix_that_fits(problem: Problem) -> bool:
    """Some W_k or its transpose has the shape of another W_l, l > 1."""
    shapes = problem.architecture.shapes
    return any(
        k != i and shapes[i] in (shape, shape[::-1])
        for i in range(1, len(shapes))
        for k, shape in enumerate(shapes)
    )


# --- the slope ------------------------------------------------------------------------------------


@mutant(f"layer l: delta_l lacks the factor sigmoid'(z_l); {EXPECTED}", depth=2, smallest=2)
class SlopeMissing(Backprop):
    """The error is passed down without sigmoid'."""

    def hidden_error(self, layer: int) -> Array:
        return self.passed_down(layer)


@mutant(f"layer 1: delta_1 lacks the factor sigmoid'(z_1); {LAYER_1}", depth=2, smallest=2)
class SlopeMissingInLayerOne(Backprop):
    """The error is passed down to the first layer without sigmoid'."""

    def slope(self, layer: int) -> Array:
        right = super().slope(layer)
        return np.ones_like(right) if layer == 1 else right


@mutant(f"layer l: delta_l has the factor sigmoid'(z_l) twice; {EXPECTED}", depth=2, smallest=2)
class SlopeTwice(Backprop):
    """The error is multiplied by sigmoid' twice."""

    def slope(self, layer: int) -> Array:
        return super().slope(layer) ** 2


@mutant(f"layer l: delta_l has sigmoid'(a_l) for sigmoid'(z_l); {EXPECTED}", depth=2, smallest=2)
class SlopeOfActivation(Backprop):
    """sigmoid' is evaluated at a_l in place of z_l."""

    def slope(self, layer: int) -> Array:
        return sigmoid_prime(self.a[layer])


@mutant(f"layer l: delta_l has a_l for sigmoid'(z_l); {EXPECTED}", depth=2, smallest=2)
class ActivationForSlope(Backprop):
    """The activation stands where its derivative belongs."""

    def slope(self, layer: int) -> Array:
        return self.a[layer]


@mutant(f"layer l: delta_l has z_l (1 - z_l) for sigmoid'(z_l); {EXPECTED}", depth=2, smallest=2)
class SlopeOfPreActivation(Backprop):
    """The formula a (1 - a) is applied to z."""

    def slope(self, layer: int) -> Array:
        z = self.z[layer]
        return z * (1 - z)


@mutant(
    f"layer l: delta_l has sigmoid'(z_{{l+1}}) for sigmoid'(z_l); {EXPECTED}",
    depth=2,
    when=has_equal_neighbours,
    words="equal neighbouring layers",
    smallest=2,
)
class SlopeOfLayerAbove(Backprop):
    """Where the shapes allow it, sigmoid' is taken from the layer above."""

    def slope(self, layer: int) -> Array:
        own, above = self.z[layer], self.z[layer + 1]
        return sigmoid_prime(above if above.shape == own.shape else own)


@mutant(
    f"layer l: delta_l has sigmoid'(z_{{l-1}}) for sigmoid'(z_l); {EXPECTED}",
    depth=3,
    when=has_equal_hidden_neighbours,
    words="equal neighbouring hidden layers",
    smallest=3,
)
class SlopeOfLayerBelow(Backprop):
    """Where the shapes allow it, sigmoid' is taken from the hidden layer below."""

    def slope(self, layer: int) -> Array:
        below = self.z[max(layer - 1, 1)]
        fits = below.shape == self.z[layer].shape
        return sigmoid_prime(below if fits else self.z[layer])


@mutant(
    "layer l: delta_l = (delta_{l+1} * sigmoid'(z_{l+1})) W_{l+1}, the slope of the layer above; "
    + EXPECTED,
    depth=2,
    smallest=2,
)
class SlopeBeforeProduct(Backprop):
    """sigmoid' is multiplied before the product with W, where it is the upper layer's."""

    def hidden_error(self, layer: int) -> Array:
        return (self.delta[layer + 1] * self.slope(layer + 1)) @ self.W[layer + 1]


@mutant(f"layer l: delta_l has tanh'(z_l) for sigmoid'(z_l); {EXPECTED}", depth=2, smallest=2)
class SlopeOfTanh(Backprop):
    """The slope is 1 - a^2, which belongs to tanh."""

    def slope(self, layer: int) -> Array:
        return np.asarray(1 - self.a[layer] ** 2)


@mutant(f"layer l: delta_l has relu'(z_l) for sigmoid'(z_l); {EXPECTED}", depth=2, smallest=2)
class SlopeOfRelu(Backprop):
    """The slope is that of the rectifier: 1 for z > 0, else 0."""

    def slope(self, layer: int) -> Array:
        return (self.z[layer] > 0).astype(self.X.dtype)


@mutant(
    f"layer l: delta_l has the slope of the hard sigmoid for sigmoid'(z_l); {EXPECTED}",
    depth=2,
    smallest=2,
)
class SlopeOfHardSigmoid(Backprop):
    """The slope is that of clip(z / 5 + 1/2, 0, 1)."""

    def slope(self, layer: int) -> Array:
        inside = np.abs(self.z[layer]) < 2.5
        return np.where(inside, self.X.dtype.type(0.2), self.X.dtype.type(0))


@mutant(
    f"layer l: delta_l has 1/4 for sigmoid'(z_l); {EXPECTED}",
    depth=2,
    smallest=2,
    when=hidden_beyond(0),
    words="a hidden z that is not 0",
)
class SlopeConstant(Backprop):
    """The slope is the constant 1/4, its value at 0."""

    def slope(self, layer: int) -> Array:
        return np.full_like(self.z[layer], 0.25)


@mutant(
    f"layer l: delta_l has max(sigmoid'(z_l), {FLOOR}) for sigmoid'(z_l); {EXPECTED}",
    depth=2,
    smallest=2,
    when=hidden_beyond(4.5),
    words="a hidden |z| above 4.5",
)
class SlopeClamped(Backprop):
    """The slope is kept from becoming small, against vanishing gradients."""

    def slope(self, layer: int) -> Array:
        return np.maximum(super().slope(layer), self.X.dtype.type(FLOOR))


@mutant(f"layer l: delta_l has a_l (1 + a_l) for sigmoid'(z_l); {EXPECTED}", depth=2, smallest=2)
class SlopeWithPlus(Backprop):
    """The slope is a (1 + a): a sign is wrong in it."""

    def slope(self, layer: int) -> Array:
        return self.a[layer] * (1 + self.a[layer])


@mutant(
    f"layer l: delta_l has sigmoid'(z_l - b_l) for sigmoid'(z_l); {EXPECTED}",
    depth=2,
    smallest=2,
    when=has_bias_at_hidden_layers,
    words="a hidden bias that is not 0",
)
class SlopeWithoutBias(Backprop):
    """sigmoid' is evaluated at the product a W^T, before the bias is added."""

    def slope(self, layer: int) -> Array:
        return sigmoid_prime(self.a[layer - 1] @ self.W[layer].T)


@mutant(
    "layer l: delta_l has (sigmoid(z_l + h) - sigmoid(z_l - h)) / 2h for sigmoid'(z_l); "
    + EXPECTED,
    depth=2,
    smallest=2,
)
class SlopeByDifferences(Backprop):
    """The slope is a central difference with h = 1e-3, right to 7 digits."""

    def slope(self, layer: int) -> Array:
        z, h = self.z[layer], 1e-3
        return (sigmoid(z + h) - sigmoid(z - h)) / (2 * h)


# --- the weights ----------------------------------------------------------------------------------


@mutant(
    f"layer l: delta_l has W_{{l+1}}^T for W_{{l+1}}; {EXPECTED}",
    depth=2,
    when=has_square_upper_layer,
    words="a square layer above the first",
    smallest=6,
)
class WeightsTransposed(Backprop):
    """Where the shape allows it, the error goes down through the transpose of the matrix."""

    def passed_down(self, layer: int) -> Array:
        W = self.W[layer + 1]
        return self.delta[layer + 1] @ (W.T if W.shape[0] == W.shape[1] else W)


@mutant(
    f"layer l: delta_l has the weights of another layer for W_{{l+1}}; {EXPECTED}",
    depth=2,
    when=has_a_matrix_that_fits,
    words="a matrix with the shape, or the transposed shape, of one above the first layer",
    smallest=2,
)
class WeightsOfOtherLayer(Backprop):
    """Where the shapes allow it, the error goes down through the weights of another layer."""

    def passed_down(self, layer: int) -> Array:
        own = self.W[layer + 1]
        others = [self.W[k] for k in self.W if k != layer + 1]
        fitting = [W for W in (*others, *(W.T for W in others)) if W.shape == own.shape]
        return self.delta[layer + 1] @ (fitting or [own])[0]


@mutant(
    f"layer l: delta_l has W_{{l+1}} after its step of descent; {EXPECTED}",
    depth=2,
    smallest=2,
)
class WeightsUpdated(Backprop):
    """The error goes down through weights that have been updated already."""

    def passed_down(self, layer: int) -> Array:
        W, dW = self.W[layer + 1], self.dW[layer + 1]
        return self.delta[layer + 1] @ (W - LEARNING_RATE * dW)


@mutant(f"layer l: delta_l has sign(W_{{l+1}}) for W_{{l+1}}; {EXPECTED}", depth=2, smallest=2)
class SignsForWeights(Backprop):
    """The error goes down through the signs of the weights, as in sign-symmetric feedback."""

    def passed_down(self, layer: int) -> Array:
        return self.delta[layer + 1] @ np.sign(self.W[layer + 1])


@mutant(
    f"layer l: delta_l has unit 0 only of the sum delta_{{l+1}} W_{{l+1}}; {EXPECTED}",
    depth=2,
    when=has_width(lambda n: n > 1, first=2),
    words="two units above a hidden layer",
    smallest=3,
)
class FirstPathOnly(Backprop):
    """Of all paths to the output only the one through the first unit above is followed."""

    def passed_down(self, layer: int) -> Array:
        return self.delta[layer + 1][:, :1] @ self.W[layer + 1][:1]


@mutant(
    f"layer l: delta_l has an extra factor 1/n_{{l+1}}; {EXPECTED}",
    depth=2,
    when=has_width(lambda n: n > 1, first=2),
    words="two units above a hidden layer",
    smallest=3,
)
class MeanOverPaths(Backprop):
    """The paths to the output are averaged in place of summed."""

    def passed_down(self, layer: int) -> Array:
        return super().passed_down(layer) / len(self.W[layer + 1])


@mutant(
    f"layer l: delta_l is summed over its units; {EXPECTED}",
    depth=2,
    when=has_hidden_width(lambda n: n > 1),
    words="a hidden layer of two units",
    smallest=4,
)
class ErrorSharedByUnits(Backprop):
    """Every unit of a hidden layer gets the layer's whole error."""

    def hidden_error(self, layer: int) -> Array:
        right = super().hidden_error(layer)
        return np.broadcast_to(right.sum(axis=1, keepdims=True), right.shape).copy()


@mutant(f"layer l: delta_l has the wrong sign; {EXPECTED}", depth=2, smallest=2)
class HiddenSign(Backprop):
    """The error changes its sign on the way down."""

    def hidden_error(self, layer: int) -> Array:
        return -super().hidden_error(layer)


@mutant(
    f"layer l: delta_l is 0 below layer L - 1; {EXPECTED}",
    depth=3,
    smallest=3,
)
class Truncated(Backprop):
    """The error is propagated through one layer, and no further."""

    def hidden_error(self, layer: int) -> Array:
        return super().hidden_error(layer) * (layer >= self.L - 1)


@mutant(
    f"layer l: delta_l has delta_L for delta_{{l+1}}; {EXPECTED}",
    depth=3,
    when=lambda problem: widths(problem)[-1] in widths(problem)[2:-1],
    words="a hidden layer above the first as wide as the output",
    smallest=3,
)
class OutputErrorEverywhere(Backprop):
    """Where the shapes allow it, each layer takes delta_L for the error of the layer above."""

    def passed_down(self, layer: int) -> Array:
        output, above = self.delta[self.L], self.delta[layer + 1]
        return (output if output.shape == above.shape else above) @ self.W[layer + 1]
