"""The network that every check is given, and an error that can be planted into its gradient."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from gradcheck.arrays import Array
from gradcheck.engines.base import EngineInfo
from gradcheck.engines.registry import find
from gradcheck.problem import Gradient, Problem, gradient_as_dict
from gradcheck.problems.case import Case
from gradcheck.studies.peers.base import Planted, Vector

BATCH = 8
SEED = 1

NETWORKS: tuple[tuple[int, ...], ...] = (
    (9, 9, 1),
    (35, 27, 1),
    (97, 100, 1),
    (367, 271, 1),
    (999, 999, 1),
)
"""Networks n-h-1 of N = (n + 2) h + 1 weights and biases: 100, 1,000, 9,901, 1e5 and 1e6."""


class Subject:
    """A sigmoid network with a batch, as a problem and as functions of one vector.

    Args:
        sizes: n_0, ..., n_L.
        seed: of weights, inputs and targets.
    """

    def __init__(self, sizes: tuple[int, ...], seed: int = SEED) -> None:
        self.problem: Problem = Case(sizes=sizes, batch=BATCH, seed=seed).problem()
        self.engine = find("reference")
        self._names = list(self.problem.parameters)
        arrays = self.problem.parameters.values()
        self._shapes = [array.shape for array in arrays]
        self._ends = np.cumsum([array.size for array in arrays])
        self.x: Vector = np.concatenate([array.reshape(-1) for array in arrays])

    @property
    def N(self) -> int:  # noqa: N802 - the symbol
        """How many weights and biases there are."""
        return self.x.size

    def at(self, x: Vector) -> Problem:
        """Return the network with other weights; it sees what is written to x later."""
        starts = [0, *self._ends[:-1]]
        parts = [x[start:end] for start, end in zip(starts, self._ends, strict=True)]
        named = zip(self._names, self._shapes, parts, strict=True)
        return self.problem.with_parameters({n: part.reshape(s) for n, s, part in named})

    def loss(self, x: Vector) -> float:
        """Run one forward pass at the weights x."""
        return self.engine.loss(self.at(x))

    def forward_passes(self, n: int) -> None:
        """Run n forward passes at x, through `loss`."""
        for _ in range(n):
            self.loss(self.x)

    def gradient(self, x: Vector) -> Vector:
        """Run one forward and one backward pass at the weights x."""
        return as_vector(self.engine.value_and_grad(self.at(x))[1])

    @cached_property
    def median_coordinate(self) -> int:
        """The coordinate whose derivative is of median size."""
        return int(np.argsort(np.abs(self.gradient(self.x)))[self.N // 2])


def as_vector(gradient: Gradient) -> Vector:
    """Copy a gradient into one vector, in the order W1, b1, W2, b2, ..."""
    return np.concatenate([array.reshape(-1) for array in gradient_as_dict(gradient).values()])


class WrongEngine:
    """The reference engine with an error planted into one derivative.

    Args:
        subject: whose engine it is.
        planted: the error.
    """

    def __init__(self, subject: Subject, planted: Planted) -> None:
        self._engine, self._factors = subject.engine, planted.factors(subject.N)
        self.info: EngineInfo = subject.engine.info
        self.loss = self._engine.loss

    def value_and_grad(self, problem: Problem) -> tuple[float | None, Gradient]:
        """Compute the loss and a gradient with one wrong entry."""
        value, layers = self._engine.value_and_grad(problem)
        arrays: list[Array] = [array for pair in layers for array in pair]
        ends = np.cumsum([array.size for array in arrays])[:-1]
        for array, factors in zip(arrays, np.split(self._factors, ends), strict=True):
            np.multiply(array, factors.reshape(array.shape), out=array)
        return value, layers

    def close(self) -> None:
        """Do nothing: the engine is the subject's."""
