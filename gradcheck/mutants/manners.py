"""Bad manners: right numbers, or nearly so, in answers that nobody can rely on."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import widths
from gradcheck.problem import Gradient, Problem

EXPECTED = "expected the gradient of the problem that is given, in new arrays, each time"
RATE = 0.1
LIMIT = 2.0


def has_large_weights(problem: Problem) -> bool:
    """Some weight is beyond LIMIT."""
    return any(bool(np.any(np.abs(W) > LIMIT)) for W in problem.weights)


@mutant(f"input: W_l becomes W_l - {RATE} dC/dW_l; {EXPECTED}")
class StepsInPlace(Backprop):
    """The weights that were given are updated in place."""

    def finish(self) -> None:
        for layer, W in self.W.items():
            if W.flags.writeable:
                np.subtract(W, RATE * self.dW[layer], out=W)


@mutant(
    f"input: W_l is clipped to [-{LIMIT:g}, {LIMIT:g}] by the forward pass; {EXPECTED}",
    when=has_large_weights,
    words=f"a weight beyond {LIMIT:g}",
)
class ForwardClipsWeights(Backprop):
    """The forward pass clips the weights that were given, in place."""

    def read(self, problem: Problem) -> None:
        super().read(problem)
        for W in self.W.values():
            if W.flags.writeable:
                np.clip(W, -LIMIT, LIMIT, out=W)


@mutant(f"input: b_l holds dC/db_l afterwards; {EXPECTED}")
class BiasAsBuffer(Backprop):
    """The biases that were given serve as buffers for their gradients."""

    def finish(self) -> None:
        for layer, b in self.b.items():
            if b.flags.writeable:
                b[...] = self.db[layer]
                self.db[layer] = b


@mutant(f"layer l: dC/dW_l is W_l itself; {EXPECTED}")
class ReturnsWeights(Backprop):
    """The weights are returned, the very arrays that were given."""

    def finish(self) -> None:
        self.dW = dict(self.W)


@mutant(f"all layers: the next call overwrites the answer; {EXPECTED}")
class ReturnsBuffer(Backprop):
    """The answer is a view of buffers, which the next call overwrites."""

    def __init__(self) -> None:
        self.buffers: Gradient = []

    def answer(self) -> Gradient:
        fresh = super().answer()
        shapes = [(dW.shape, dW.dtype) for dW, _ in fresh]
        if shapes != [(dW.shape, dW.dtype) for dW, _ in self.buffers]:
            self.buffers = fresh
        for (dW, db), (new_dW, new_db) in zip(self.buffers, fresh, strict=True):
            dW[...], db[...] = new_dW, new_db
        return [(dW[:], db[:]) for dW, db in self.buffers]


@mutant(f"all layers: relative noise of 1e-3, new in each call; {EXPECTED}")
class Noisy(Backprop):
    """Two calls with the same arguments differ by noise."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)

    def finish(self) -> None:
        self.change(self.disturbed)

    def disturbed(self, g: Array) -> Array:
        """Return g times 1 + 1e-3 N."""
        return (g * (1 + 1e-3 * self.random.standard_normal(g.shape))).astype(g.dtype)


@mutant(
    f"layer l: delta_l is 0 in units that are drawn anew in each call; {EXPECTED}",
    depth=2,
    smallest=2,
)
class DropoutLeftOn(Backprop):
    """Hidden errors are dropped at random, differently in each call."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)

    def hidden_error(self, layer: int) -> Array:
        right = super().hidden_error(layer)
        return right * (self.random.random(right.shape[1]) < 0.5)


@mutant(f"all layers: every second call returns twice the gradient; {EXPECTED}")
class EverySecondCall(Backprop):
    """A buffer is cleared every second time only, so that every second answer is doubled."""

    def __init__(self) -> None:
        self.calls = 0

    def finish(self) -> None:
        self.calls += 1
        if self.calls % 2 == 0:
            self.change(lambda g: 2 * g)


@mutant(f"all layers: the first answer for matrices of these shapes is kept; {EXPECTED}")
class KeptByShape(Backprop):
    """Answers are kept by the shapes of the weights, and given to all others of these shapes."""

    def __init__(self) -> None:
        self.kept: dict[object, Gradient] = {}

    def answer(self) -> Gradient:
        shapes = tuple(W.shape for W in self.W.values())
        kept = self.kept.setdefault(shapes, super().answer())
        return [(dW.copy(), db.copy()) for dW, db in kept]


@mutant(f"all layers: the answer is float32; {EXPECTED}, in float64", dtypes=("float64",))
class ReturnsFloat32(Backprop):
    """The answer is rounded to float32 whatever was asked."""

    def answer(self) -> Gradient:
        return [(dW.astype(np.float32), db.astype(np.float32)) for dW, db in super().answer()]


@mutant(
    f"layer l: dC/dW_l has the shape (n_{{l-1}}, n_l); {EXPECTED}, of shape (n_l, n_{{l-1}})",
    when=lambda problem: max(widths(problem)) > 1,
    words="a matrix that is not 1 by 1",
    smallest=2,
)
class TransposedShapes(Backprop):
    """Matrices are returned by the other convention, transposed."""

    def answer(self) -> Gradient:
        return [(dW.T.copy(), db) for dW, db in super().answer()]


@mutant(
    f"the layers come in the order of the backward pass, L first; {EXPECTED}, layer 1 first",
    depth=2,
    smallest=2,
)
class LayersReversed(Backprop):
    """The gradient is returned in the order in which it was computed."""

    def answer(self) -> Gradient:
        return super().answer()[::-1]


@mutant(f"layer L is missing from the answer; {EXPECTED}", depth=2, smallest=2)
class LastLayerMissing(Backprop):
    """The answer ends one layer too early."""

    def answer(self) -> Gradient:
        return super().answer()[: max(1, self.L - 1)]


@mutant(f"layer l: dC/db_l stands where dC/dW_l belongs; {EXPECTED}")
class PairsSwapped(Backprop):
    """Every pair holds the bias gradient first."""

    def answer(self) -> Gradient:
        return [(db, dW) for dW, db in super().answer()]
