"""Mistakes that show in networks of some shapes only."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import (
    batch_of,
    has_fan_in,
    has_hidden_width,
    has_square_layer,
    has_width,
    widths,
)
from gradcheck.problem import Problem

HIDDEN = "expected delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l)"
WEIGHTS = "expected dC/dW_l = delta_l^T a_{l-1}"
BIASES = "expected dC/db_l = sum_i delta_l"
BLOCK = 16
LANES = 8


def batch_is_a_width(problem: Problem) -> bool:
    """Some hidden or output layer has as many units as there are examples, two at least."""
    return problem.batch > 1 and problem.batch in widths(problem)[1:]


@mutant(
    f"layer l: delta_l lacks the factor sigmoid'(z_l) where n_l = 1; {HIDDEN}",
    depth=2,
    when=has_hidden_width(lambda n: n == 1),
    words="a hidden layer of one unit",
    smallest=2,
)
class WidthOne(Backprop):
    """Hidden layers of one unit are squeezed to a vector, and their slope is skipped."""

    def slope(self, layer: int) -> Array:
        right = super().slope(layer)
        return np.ones_like(right) if right.shape[1] == 1 else right


@mutant(
    f"layer l: dC/dW_l is 0 in the rows from {BLOCK} on; {WEIGHTS}",
    when=has_width(lambda n: n > BLOCK),
    words=f"a layer of more than {BLOCK} units",
    smallest=BLOCK + 1,
)
class WidthOver16(Backprop):
    """Only the first block of 16 units gets a weight gradient."""

    def weight_gradient(self, layer: int) -> Array:
        right = super().weight_gradient(layer)
        right[BLOCK:] = 0
        return right


@mutant(
    f"layer l: delta_l lacks the terms from {BLOCK} on of delta_{{l+1}} W_{{l+1}}; {HIDDEN}",
    depth=2,
    when=has_width(lambda n: n > BLOCK, first=2),
    words=f"a layer of more than {BLOCK} units above the first",
    smallest=BLOCK + 2,
)
class PathsOver16(Backprop):
    """The sum over the units above ends after 16 of them."""

    def passed_down(self, layer: int) -> Array:
        return self.delta[layer + 1][:, :BLOCK] @ self.W[layer + 1][:BLOCK]


@mutant(
    f"layer l: dC/dW_l is 0 in the columns from {LANES * LANES} on; {WEIGHTS}",
    when=has_fan_in(lambda n: n > LANES * LANES),
    words=f"a layer with more than {LANES * LANES} inputs",
    smallest=LANES * LANES + 1,
)
class FanInOver64(Backprop):
    """Only the first 64 inputs of a unit get a weight gradient."""

    def weight_gradient(self, layer: int) -> Array:
        right = super().weight_gradient(layer)
        right[:, LANES * LANES :] = 0
        return right


@mutant(
    f"layer l: delta_l lacks the factor sigmoid'(z_l) for l <= L - 3; {HIDDEN}",
    depth=4,
    smallest=4,
)
class DepthOver3(Backprop):
    """From the fourth layer from the top on, the slope is skipped."""

    def slope(self, layer: int) -> Array:
        right = super().slope(layer)
        return np.ones_like(right) if layer <= self.L - 3 else right


@mutant(
    f"layer 1: dC/dW_1 is half of what it should be where L = 1; {WEIGHTS}",
    when=lambda problem: problem.architecture.depth == 1,
    words="depth 1",
)
class DepthOne(Backprop):
    """A network without hidden layer takes a path of its own, with a factor 1/2."""

    def weight_gradient(self, layer: int) -> Array:
        right = super().weight_gradient(layer)
        return right / 2 if self.L == 1 else right


@mutant(
    f"layer l: dC/db_l is summed over units where m = 1; {BIASES}",
    when=lambda problem: problem.batch == 1 and has_width(lambda n: n > 1)(problem),
    words="one example and a layer of two units",
    smallest=2,
)
class BatchOfOne(Backprop):
    """A batch of one is squeezed to a vector, and the sum over examples goes over units."""

    def bias_gradient(self, layer: int) -> Array:
        right = super().bias_gradient(layer)
        return np.full_like(right, right.sum()) if self.m == 1 else right


@mutant(
    "layer l: dC/dW_l lacks the examples from 8 on; expected dC/dW_l = delta_l^T a_{l-1}",
    batch=LANES + 1,
)
class BatchOver8(Backprop):
    """The sum over the batch ends after eight examples."""

    def weight_gradient(self, layer: int) -> Array:
        return self.delta[layer][:LANES].T @ self.a[layer - 1][:LANES]


@mutant(
    f"layer l: dC/dW_l lacks the last m mod {LANES} examples where m > {LANES}; {WEIGHTS}",
    when=batch_of(lambda m: m > LANES and m % LANES > 0),
    words=f"more than {LANES} examples, no multiple of {LANES}",
)
class BatchRemainder(Backprop):
    """Eight examples are summed at a time, and the remainder is dropped."""

    def weight_gradient(self, layer: int) -> Array:
        whole = self.m - self.m % LANES if self.m > LANES else self.m
        return self.delta[layer][:whole].T @ self.a[layer - 1][:whole]


@mutant(
    f"layer l: dC/dW_l is made symmetric where W_l is square; {WEIGHTS}",
    when=has_square_layer,
    words="a square layer",
    smallest=4,
)
class SquareLayer(Backprop):
    """Square gradients are averaged with their transpose, as those of tied weights."""

    def weight_gradient(self, layer: int) -> Array:
        right = super().weight_gradient(layer)
        square = right.shape[0] == right.shape[1]
        return (right + right.T) / 2 if square else right


@mutant(
    f"layer l: dC/dW_l is 0 in the last column where n_{{l-1}} is odd; {WEIGHTS}",
    when=has_fan_in(lambda n: n % 2 == 1),
    words="a layer with an odd number of inputs",
)
class OddSizes(Backprop):
    """Inputs are taken in pairs, and an odd one out is dropped."""

    def weight_gradient(self, layer: int) -> Array:
        right = super().weight_gradient(layer)
        right[:, right.shape[1] - right.shape[1] % 2 :] = 0
        return right


@mutant(
    f"layer l: dC/db_l is 0 in the last n_l mod {LANES} units where n_l > {LANES}; {BIASES}",
    when=has_width(lambda n: n > LANES and n % LANES > 0),
    words=f"a layer of more than {LANES} units, no multiple of {LANES}",
    smallest=LANES + 1,
)
class WidthRemainder(Backprop):
    """Eight units are computed at a time, and the remainder is dropped."""

    def bias_gradient(self, layer: int) -> Array:
        right = super().bias_gradient(layer)
        if len(right) > LANES:
            right[len(right) - len(right) % LANES :] = 0
        return right


@mutant(
    f"layer l: dC/db_l is summed over units where n_l = m; {BIASES}",
    when=batch_is_a_width,
    words="as many examples as units of a layer",
    smallest=2,
)
class BatchLikeWidth(Backprop):
    """The axis of the batch is recognised by its size, wrongly where units are as many."""

    def bias_gradient(self, layer: int) -> Array:
        delta = self.delta[layer]
        axis = 1 if delta.shape[1] == self.m else 0
        return np.asarray(delta.sum(axis=axis))
