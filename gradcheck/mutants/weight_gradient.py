"""Mistakes in the weight gradients: dC/dW_l = delta_l^T a_{l-1}."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop, Layers
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import (
    batch_of,
    has_equal_neighbours,
    has_square_layer,
    hidden_beyond,
    widths,
)
from gradcheck.problem import Problem

EXPECTED = "expected dC/dW_l = delta_l^T a_{l-1}"


def repeats_the_input_width(problem: Problem) -> bool:
    """Some hidden layer is as wide as the input."""
    n = widths(problem)
    return n[0] in n[1:-1]


def has_wide_matrix(problem: Problem) -> bool:
    """Some W_l has two rows and two columns at least."""
    return any(min(shape) > 1 for shape in problem.architecture.shapes)


def has_square_matrix(problem: Problem) -> bool:
    """Some W_l is square."""
    return any(rows == columns for rows, columns in problem.architecture.shapes)


@mutant(
    f"layer l: dC/dW_l is a_{{l-1}}^T delta_l, its own transpose; {EXPECTED}",
    when=has_square_layer,
    words="a square layer",
    smallest=4,
)
class OuterProductTransposed(Backprop):
    """Where the shape allows it, the outer product is taken the wrong way round."""

    def weight_gradient(self, layer: int) -> Array:
        right = super().weight_gradient(layer)
        return right.T.copy() if right.shape[0] == right.shape[1] else right


@mutant(
    f"layer l: dC/dW_l is a_{{l-1}}^T delta_l, read in the wrong order; {EXPECTED}",
    when=has_wide_matrix,
    words="a matrix with two rows and columns",
    smallest=4,
)
class OuterProductReshaped(Backprop):
    """The transposed outer product is reshaped to fit."""

    def weight_gradient(self, layer: int) -> Array:
        right = super().weight_gradient(layer)
        return right.T.reshape(right.shape)


@mutant(
    f"layer l: dC/dW_l has z_{{l-1}} for a_{{l-1}}; {EXPECTED}",
    depth=2,
    smallest=2,
)
class PreActivationForActivation(Backprop):
    """The error meets the pre-activation z in place of the activation a."""

    def weight_gradient(self, layer: int) -> Array:
        return self.delta[layer].T @ (self.z[layer - 1] if layer > 1 else self.X)


@mutant(
    f"layer l: dC/dW_l has X for a_{{l-1}}; {EXPECTED}",
    depth=2,
    when=repeats_the_input_width,
    words="a hidden layer as wide as the input",
    smallest=2,
)
class InputForActivation(Backprop):
    """Where the shapes allow it, the error meets the raw input in place of the activation."""

    def weight_gradient(self, layer: int) -> Array:
        a = self.a[layer - 1]
        return self.delta[layer].T @ (self.X if self.X.shape == a.shape else a)


@mutant(
    f"layer l: dC/dW_l has a_l for a_{{l-1}}; {EXPECTED}",
    when=has_square_matrix,
    words="a square matrix",
)
class NextActivation(Backprop):
    """Where the shapes allow it, the error meets the activations of its own layer."""

    def weight_gradient(self, layer: int) -> Array:
        own, below = self.a[layer], self.a[layer - 1]
        return self.delta[layer].T @ (own if own.shape == below.shape else below)


@mutant(
    f"layer l: dC/dW_l has a_{{l-1}} of the call before; {EXPECTED}",
    depth=2,
    smallest=2,
)
class StaleActivations(Backprop):
    """Hidden activations are those that the call before has left, if they fit."""

    def __init__(self) -> None:
        self.stale: Layers = {}

    def weight_gradient(self, layer: int) -> Array:
        fresh = self.a[layer - 1]
        stale = self.stale.get(layer, fresh)
        self.stale[layer] = fresh
        fits = layer > 1 and stale.shape == fresh.shape
        return self.delta[layer].T @ (stale if fits else fresh)


@mutant(
    f"layer 1: dC/dW_1 has X of the first call; {EXPECTED}",
    batch=1,
)
class StaleBatch(Backprop):
    """The batch of an earlier call is kept as long as it fits."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, ...], Array] = {}

    def weight_gradient(self, layer: int) -> Array:
        if layer > 1:
            return super().weight_gradient(layer)
        kept = self.kept.setdefault(self.X.shape, self.X)
        return self.delta[1].T @ kept.astype(self.X.dtype)


@mutant(
    f"layer l: dC/dW_l has delta_{{l+1}} for delta_l; {EXPECTED}",
    depth=2,
    when=has_equal_neighbours,
    words="equal neighbouring layers",
    smallest=2,
)
class ErrorOfLayerAbove(Backprop):
    """Where the shapes allow it, the error is that of the layer above."""

    def weight_gradient(self, layer: int) -> Array:
        own = self.delta[layer]
        above = self.delta.get(layer + 1, own)
        return (above if above.shape == own.shape else own).T @ self.a[layer - 1]


@mutant(f"layer l: dC/dW_l has an extra factor 1/m; {EXPECTED}", batch=2)
class WeightsAveraged(Backprop):
    """Weight gradients are averaged over the batch once more; biases are not."""

    def weight_gradient(self, layer: int) -> Array:
        return super().weight_gradient(layer) / self.m


@mutant(
    f"layer l: dC/dW_l is the product of sums over the batch, not the sum of products; {EXPECTED}",
    batch=2,
)
class ProductOfMeans(Backprop):
    """The summed error meets the mean activation."""

    def weight_gradient(self, layer: int) -> Array:
        return np.outer(self.delta[layer].sum(axis=0), self.a[layer - 1].mean(axis=0))


@mutant(f"layer l: dC/dW_l has a_{{l-1}} less its mean for a_{{l-1}}; {EXPECTED}")
class ActivationsCentred(Backprop):
    """Activations are centred over the batch in the backward pass only."""

    def weight_gradient(self, layer: int) -> Array:
        a = self.a[layer - 1]
        return self.delta[layer].T @ (a - a.mean(axis=0))


@mutant(
    f"layer l: dC/dW_l has 1 - a_{{l-1}} for a_{{l-1}}; {EXPECTED}",
    depth=2,
    when=hidden_beyond(0),
    words="a hidden z that is not 0",
    smallest=2,
)
class ComplementOfActivation(Backprop):
    """The error meets 1 - a in the hidden layers."""

    def weight_gradient(self, layer: int) -> Array:
        a = self.a[layer - 1]
        return self.delta[layer].T @ (1 - a if layer > 1 else a)


@mutant("layer 1: dC/dW_1 is 0; expected dC/dW_1 = delta_1^T X", depth=2, smallest=2)
class FirstLayerFrozen(Backprop):
    """The loop over the layers stops one too early: W_1 gets no gradient."""

    def weight_gradient(self, layer: int) -> Array:
        right = super().weight_gradient(layer)
        return np.zeros_like(right) if layer == 1 < self.L else right


@mutant(
    f"layer l: dC/dW_l lacks its entries off the diagonal; {EXPECTED}",
    when=has_square_layer,
    words="a square layer",
    smallest=4,
)
class ProductEntrywise(Backprop):
    """Where the shape allows it, error and activation are multiplied entry by entry."""

    def weight_gradient(self, layer: int) -> Array:
        right = super().weight_gradient(layer)
        square = right.shape[0] == right.shape[1]
        return np.diag(np.diag(right)) if square else right


@mutant(
    f"layer l: dC/dW_l pairs delta_l of example i with a_{{l-1}} of example i - 1; {EXPECTED}",
    when=batch_of(lambda m: m > 1),
    words="two examples",
)
class ExamplesMisaligned(Backprop):
    """Errors meet the activations of the next example."""

    def weight_gradient(self, layer: int) -> Array:
        return self.delta[layer].T @ np.roll(self.a[layer - 1], 1, axis=0)
