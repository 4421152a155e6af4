"""Mistakes with the batch: which examples are counted, how often, and against which targets."""

# ruff: noqa: D102 - the class says what its method does wrongly
# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

import numpy as np

from gradcheck.arrays import Array
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.mutant import mutant
from gradcheck.mutants.places import batch_of, has_duplicates, targets_differ

ALL = "expected the sum over all examples i = 1..m"
MEAN = "expected delta_L = (a_L - Y) / M, times sigmoid'(z_L) for the quadratic loss"
NOMINAL = 32
CHUNK = 8


class Selecting(Backprop):
    """Counts every example with a weight of its own."""

    def counts(self) -> Array:
        """How often each example is counted: (m,)."""
        return np.ones(self.m)

    def output_error(self) -> Array:
        return super().output_error() * self.counts().astype(self.X.dtype)[:, None]


@mutant(f"all layers: the last example is missing; {ALL}")
class LastExampleDropped(Selecting):
    """The loop over the batch ends one too early."""

    def counts(self) -> Array:
        return np.where(np.arange(self.m) == self.m - 1, 0.0, 1.0)


@mutant(f"all layers: every example but the first is missing; {ALL}", batch=2)
class FirstExampleOnly(Selecting):
    """Only the first example is kept."""

    def counts(self) -> Array:
        return np.where(np.arange(self.m) == 0, 1.0, 0.0)


@mutant(f"all layers: every second example is missing; {ALL}", batch=2)
class EverySecondExample(Selecting):
    """The loop over the batch has a step of two."""

    def counts(self) -> Array:
        return 1.0 - np.arange(self.m) % 2


@mutant(f"all layers: the first example counts twice; {ALL}")
class FirstExampleTwice(Selecting):
    """The sum starts from the first example, and adds it again."""

    def counts(self) -> Array:
        return np.where(np.arange(self.m) == 0, 2.0, 1.0)


@mutant(
    f"all layers: an example that is repeated counts once; {ALL}",
    when=has_duplicates,
    words="two equal examples",
)
class DuplicatesDropped(Selecting):
    """Examples are kept in a set: of equal ones one is left."""

    def counts(self) -> Array:
        examples = np.hstack([self.X, self.Y])
        _, first = np.unique(examples, axis=0, return_index=True)
        return np.isin(np.arange(self.m), first).astype(float)


@mutant(
    f"layer L: delta_L is divided by m - 1 in place of m; {MEAN}",
    reductions=("mean",),
    batch=2,
)
class MeanOfOneLess(Backprop):
    """The mean is taken as in a sample variance: over m - 1."""

    def output_error(self) -> Array:
        over = max(1, self.M - 1)
        return self.residual() * self.output_slope() / over


@mutant(
    f"layer L: delta_L is divided by {NOMINAL} in place of m; {MEAN}",
    reductions=("mean",),
    when=batch_of(lambda m: m != NOMINAL),
    words=f"other than {NOMINAL} examples",
)
class NominalBatchSize(Backprop):
    """The mean is over the nominal batch size, also where the last batch is smaller."""

    def output_error(self) -> Array:
        over = NOMINAL if self.reduction == "mean" else 1
        return self.residual() * self.output_slope() / over


@mutant(
    f"layer L: delta_L is the mean over chunks of {CHUNK} of their means; {MEAN}",
    reductions=("mean",),
    when=batch_of(lambda m: m > CHUNK and m % CHUNK > 0),
    words=f"an incomplete chunk of {CHUNK} after a full one",
)
class MeanOfMeans(Selecting):
    """Means over chunks of the batch are averaged, whatever the size of the chunks."""

    def counts(self) -> Array:
        chunk = np.arange(self.m) // CHUNK
        sizes = np.bincount(chunk)
        return np.asarray(self.m / len(sizes) / sizes[chunk] if self.M > 1 else np.ones(self.m))


@mutant(
    f"layer L: delta_L has Y, (m,), broadcast against a_L, (m, 1): the mean target; {MEAN}",
    batch=2,
    most_outputs=1,
    when=targets_differ,
    words="targets that differ",
)
class TargetsBroadcast(Backprop):
    """(m, 1) less (m,) makes (m, m): every output meets every target, which leaves their mean."""

    def targets(self) -> Array:
        return np.full_like(self.Y, self.Y.mean()) if self.Y.shape[1] == 1 else self.Y


@mutant(
    f"layer L: delta_L has the targets of other examples; {MEAN}",
    batch=2,
    when=targets_differ,
    words="targets that differ",
)
class TargetsShuffled(Backprop):
    """Inputs are shuffled and targets are not: each example meets its neighbour's target."""

    def targets(self) -> Array:
        return np.roll(self.Y, 1, axis=0)


@mutant(
    "all layers: the gradient of the call before is added; expected dC/dW_l = delta_l^T a_{l-1}",
)
class AccumulatedOverCalls(Backprop):
    """Gradients are not set to zero between calls."""

    def __init__(self) -> None:
        self.before: list[Array] = []

    def finish(self) -> None:
        fresh = self.arrays()
        if [g.shape for g in self.before] == [g.shape for g in fresh]:
            for g, before in zip(fresh, self.before, strict=True):
                np.add(g, before, out=g)
        self.before = [g.copy() for g in fresh]
