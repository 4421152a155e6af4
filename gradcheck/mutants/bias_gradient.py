"""Mistakes in the bias gradients: dC/db_l = sum_i delta_l."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import has_equal_neighbours, has_width

EXPECTED = "expected dC/db_l = sum_i delta_l"


@mutant(f"layer l: dC/db_l is 0; {EXPECTED}")
class BiasForgotten(Backprop):
    """No bias gets a gradient."""

    def bias_gradient(self, layer: int) -> Array:
        return np.zeros_like(self.b[layer])


@mutant(f"layer l: dC/db_l is 0 below layer L; {EXPECTED}", depth=2, smallest=2)
class HiddenBiasForgotten(Backprop):
    """Only the last layer's biases get a gradient."""

    def bias_gradient(self, layer: int) -> Array:
        right = super().bias_gradient(layer)
        return right if layer == self.L else np.zeros_like(right)


@mutant(f"layer l: dC/db_l has an extra factor 1/m; {EXPECTED}", batch=2)
class BiasAveraged(Backprop):
    """The error is averaged over the batch where it is to be summed."""

    def bias_gradient(self, layer: int) -> Array:
        return np.asarray(self.delta[layer].mean(axis=0))


@mutant(f"layer l: dC/db_l is delta_l of the last example; {EXPECTED}", batch=2)
class BiasFromLastExample(Backprop):
    """The bias takes its gradient from the last example alone."""

    def bias_gradient(self, layer: int) -> Array:
        return self.delta[layer][-1].copy()


@mutant(f"layer l: dC/db_l is m times delta_l of the first example; {EXPECTED}", batch=2)
class BiasFromFirstExample(Backprop):
    """The first example stands for all of them."""

    def bias_gradient(self, layer: int) -> Array:
        return self.delta[layer][0] * self.m


@mutant(
    f"layer l: dC/db_l is the sum of delta_{{l+1}}; {EXPECTED}",
    depth=2,
    when=has_equal_neighbours,
    words="equal neighbouring layers",
    smallest=2,
)
class BiasOfLayerAbove(Backprop):
    """Where the shapes allow it, the bias takes the gradient of the layer above."""

    def bias_gradient(self, layer: int) -> Array:
        own = self.delta[layer]
        above = self.delta.get(layer + 1, own)
        return np.asarray((above if above.shape == own.shape else own).sum(axis=0))


@mutant(
    f"layer l: dC/db_l is summed over units, not over examples; {EXPECTED}",
    when=lambda problem: problem.batch > 1 or has_width(lambda n: n > 1)(problem),
    words="two units or two examples",
)
class BiasSummedOverUnits(Backprop):
    """The error is summed along the wrong axis and cut or repeated to fit."""

    def bias_gradient(self, layer: int) -> Array:
        delta = self.delta[layer]
        return np.resize(delta.sum(axis=1), delta.shape[1])


@mutant(
    f"layer l: dC/db_l is summed over units too; {EXPECTED}",
    when=has_width(lambda n: n > 1),
    words="a layer of two units",
    smallest=2,
)
class BiasShared(Backprop):
    """The error is summed over the whole array: all units get one number."""

    def bias_gradient(self, layer: int) -> Array:
        return np.full_like(self.b[layer], self.delta[layer].sum())


@mutant(f"layer l: dC/db_l has an extra factor b_l; {EXPECTED}")
class BiasTimesItself(Backprop):
    """The bias is treated as its own input."""

    def bias_gradient(self, layer: int) -> Array:
        return super().bias_gradient(layer) * self.b[layer]


@mutant(f"layer l: dC/db_l has the wrong sign; {EXPECTED}")
class BiasSign(Backprop):
    """The bias is subtracted in the backward pass, as a threshold would be."""

    def bias_gradient(self, layer: int) -> Array:
        return -super().bias_gradient(layer)


@mutant(f"layer l: dC/db_l has an extra factor 2; {EXPECTED}")
class BiasTwice(Backprop):
    """The bias is counted twice: as a bias, and as the weight of a constant input."""

    def bias_gradient(self, layer: int) -> Array:
        return 2 * super().bias_gradient(layer)


@mutant(
    f"layer l: dC/db_l lacks the factor sigmoid'(z_l) of delta_l; {EXPECTED}",
    depth=2,
    smallest=2,
)
class BiasWithoutSlope(Backprop):
    """The bias takes the error before it is multiplied by sigmoid'."""

    def bias_gradient(self, layer: int) -> Array:
        before = self.passed_down(layer) if layer < self.L else self.delta[layer]
        return np.asarray(before.sum(axis=0))


@mutant(
    f"layer l: dC/db_l has the shape (1, n_l); {EXPECTED}, of shape (n_l,)",
)
class BiasKeepsDimensions(Backprop):
    """The sum keeps the axis of the batch: the gradient is a row, not a vector."""

    def bias_gradient(self, layer: int) -> Array:
        return np.asarray(self.delta[layer].sum(axis=0, keepdims=True))
