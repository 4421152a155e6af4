"""Single coordinates and blocks: zeroed, swapped, negated, scaled."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from typing import ClassVar

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import has_fan_in, has_width, widths

WEIGHTS = "expected dC/dW_l = delta_l^T a_{l-1}"
TOP = "expected dC/dW_L = delta_L^T a_{L-1}"
BOTTOM = "expected dC/dW_1 = delta_1^T X"
BIASES = "expected dC/db_L = sum_i delta_L"


class OneWeight(Backprop):
    """Changes one entry of one dC/dW_l: the middle layer's middle one."""

    def changed(self, g: Array) -> Array:
        """Return what stands in place of the number g."""
        return g

    def finish(self) -> None:
        g = self.dW[(self.L + 1) // 2].reshape(-1)
        middle = slice(g.size // 2, g.size // 2 + 1)
        g[middle] = self.changed(g[middle])


@mutant(f"layer l: one entry of dC/dW_l is 0; {WEIGHTS}")
class OneWeightZeroed(OneWeight):
    """One weight of a layer in the middle gets no gradient."""

    def changed(self, g: Array) -> Array:
        return 0 * g


@mutant(f"layer l: one entry of dC/dW_l has the wrong sign; {WEIGHTS}")
class OneWeightNegated(OneWeight):
    """One weight of a layer in the middle gets its gradient with the wrong sign."""

    def changed(self, g: Array) -> Array:
        return -g


@mutant(f"layer l: one entry of dC/dW_l is NaN; {WEIGHTS}")
class OneWeightNan(OneWeight):
    """One weight of a layer in the middle gets a NaN."""

    def changed(self, g: Array) -> Array:
        return g + np.nan


@mutant(f"layer l: one entry of dC/dW_l is off by 1e-6; {WEIGHTS}")
class OneWeightOffset(OneWeight):
    """A constant is added to the gradient of one weight."""

    def changed(self, g: Array) -> Array:
        return g + self.X.dtype.type(1e-6)


class OneWeightScaled(OneWeight):
    """Scales the gradient of one weight."""

    factor: ClassVar[float] = 1.0

    def changed(self, g: Array) -> Array:
        return g * self.factor


def scaled(k: int) -> type[OneWeightScaled]:
    """Return the mutant whose one coordinate is wrong by 10^-k of itself."""
    fields = {"factor": 1 + 10.0**-k, "name": f"one_weight_scaled_1e-{k}", "__module__": __name__}
    made = type(f"OneWeightScaled{k}", (OneWeightScaled,), fields)
    made.__doc__ = f"The gradient of one weight is too large by 1e-{k} of itself."
    dtypes = ("float64", "float32", "float16") if k < 8 else ("float64",)
    register = mutant(
        f"layer l: one entry of dC/dW_l has an extra factor 1 + 1e-{k}; {WEIGHTS}", dtypes=dtypes
    )
    return register(made)


SCALED = [scaled(k) for k in range(1, 11)]


@mutant(f"all layers: the gradient has an extra factor 1 + 1e-9; {WEIGHTS}", dtypes=("float64",))
class WholeScaled(Backprop):
    """The whole gradient is too large by 1e-9 of itself."""

    def finish(self) -> None:
        self.change(lambda g: g * (1 + 1e-9))


@mutant(f"layer L: dC/db_L has an extra factor 1 + 1e-6; {BIASES}", dtypes=("float64", "float32"))
class LastBiasesScaled(Backprop):
    """The gradient of the last biases is too large by 1e-6 of itself."""

    def finish(self) -> None:
        self.db[self.L] *= 1 + 1e-6


@mutant(f"layer 1: dC/dW_1 is 0; {BOTTOM}")
class FirstBlockZeroed(Backprop):
    """The first layer's weights get no gradient, at any depth."""

    def finish(self) -> None:
        self.dW[1][...] = 0


@mutant(
    f"layer L: the last row of dC/dW_L is 0; {TOP}",
)
class LastRowZeroed(Backprop):
    """The last output unit's weights get no gradient."""

    def finish(self) -> None:
        self.dW[self.L][-1] = 0


@mutant(
    f"layer 1: the last column of dC/dW_1 is 0; {BOTTOM}",
    when=lambda problem: widths(problem)[0] > 1,
    words="two inputs",
    smallest=2,
)
class LastFeatureZeroed(Backprop):
    """The weights of the last input feature get no gradient."""

    def finish(self) -> None:
        if self.X.shape[1] > 1:
            self.dW[1][:, -1] = 0


@mutant(f"layer L: two entries of dC/db_L are swapped; {BIASES}", outputs=2, smallest=2)
class TwoBiasesSwapped(Backprop):
    """The first two outputs have each other's bias gradient."""

    def finish(self) -> None:
        db = self.db[self.L]
        db[:2] = db[:2][::-1].copy()


@mutant(
    f"layer 1: the first two columns of dC/dW_1 are swapped; {BOTTOM}",
    when=lambda problem: widths(problem)[0] > 1,
    words="two inputs",
    smallest=2,
)
class TwoColumnsSwapped(Backprop):
    """The first two input features have each other's gradients."""

    def finish(self) -> None:
        dW = self.dW[1]
        dW[:, :2] = dW[:, :2][:, ::-1].copy()


@mutant(
    f"layer L: dC/dW_L is shifted by one unit; {TOP}",
    outputs=2,
    smallest=2,
)
class RowsShifted(Backprop):
    """Every output unit has its neighbour's weight gradients: an index is off by one."""

    def finish(self) -> None:
        self.dW[self.L] = np.roll(self.dW[self.L], 1, axis=0)


@mutant(
    "layers l and l + 1 have each other's dC/db; expected dC/db_l = sum_i delta_l",
    depth=2,
    when=lambda problem: any(
        n == above for n, above in zip(widths(problem)[1:], widths(problem)[2:], strict=False)
    ),
    words="equal neighbouring layers",
    smallest=2,
)
class BiasesOfLayersSwapped(Backprop):
    """The first two neighbouring layers of one width have each other's bias gradients."""

    def finish(self) -> None:
        for layer in range(1, self.L):
            own, above = self.db[layer], self.db[layer + 1]
            if own.shape == above.shape:
                self.db[layer], self.db[layer + 1] = above, own
                return


@mutant(
    f"layer l: row 1 of dC/dW_l has an extra 1e-5 of row 0; {WEIGHTS}",
    when=has_width(lambda n: n > 1),
    words="a layer of two units",
    smallest=2,
)
class NeighbourLeaks(Backprop):
    """A little of every unit's first neighbour leaks into the second."""

    def finish(self) -> None:
        for dW in self.dW.values():
            dW[1:2] += self.X.dtype.type(1e-5) * dW[:1]


@mutant(
    f"layer l: the weights beyond the first of every unit get no gradient; {WEIGHTS}",
    when=has_fan_in(lambda n: n > 1),
    words="a layer with two inputs",
    smallest=2,
)
class FirstColumnOnly(Backprop):
    """Every unit updates its first weight only."""

    def finish(self) -> None:
        for dW in self.dW.values():
            dW[:, 1:] = 0
