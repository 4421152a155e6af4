"""A network with a batch, its gradient by backprop, and the same gradient with one wrong entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.arrays import FloatArray
from gradcheck.problem import Architecture, Problem
from gradcheck.pytree import structure_of
from gradcheck.splitmix64 import Stream
from gradcheck.studies.cost import time_call
from gradcheck.studies.report.million.plain_passes import Gradient, as_vector
from gradcheck.studies.report.network import Network

PLANTED = 1e-3
"""The planted error in units of the median derivative."""

Backprop = Callable[[dict[str, Any]], FloatArray]


class Subject:
    """What every way is put to.

    Args:
        sizes: n_0, ..., n_L.
        m: examples.
        seed: of weights, examples, and of the entry that is made wrong.
        gradient: what computes the gradient.

    Attributes:
        network, problem: the same numbers, in the two forms that the ways take.
        structure: the names of the entries.
        g: the gradient as one vector.
        unit: w, the median of |g_j|.
        at: the entry that is made wrong.
    """

    def __init__(
        self, sizes: tuple[int, ...], m: int, seed: int, gradient: Gradient = Network.gradient
    ) -> None:
        self._gradient = gradient
        self.network = Network(sizes, m, seed)
        parameters = self.network.parameters
        weights, biases = tuple(parameters.values())[::2], tuple(parameters.values())[1::2]
        inputs, targets = self.network.X, self.network.Y
        self.problem = Problem(Architecture(sizes), weights, biases, inputs, targets)
        self.structure = structure_of(parameters)
        self.g = self.right(parameters)
        self.unit = float(np.median(np.abs(self.g)))
        self.at = Stream(seed, "planted").integer(0, self.network.N)

    @property
    def planted(self) -> str:
        """The name of the entry that is made wrong."""
        return self.structure.name(self.at)

    def right(self, parameters: dict[str, Any]) -> FloatArray:
        """Compute the gradient by backprop, as one vector."""
        return as_vector(self._gradient(self.network, parameters))

    def wrong(self, parameters: dict[str, Any]) -> FloatArray:
        """Compute the gradient and add the planted error to one entry."""
        g = self.right(parameters)
        g[self.at] += PLANTED * self.unit
        return g

    def shaped(self, vector: FloatArray) -> dict[str, Any]:
        """Copy a vector into arrays like the parameters."""
        return {
            leaf.name: vector[leaf.start : leaf.stop].reshape(leaf.shape).copy()
            for leaf in self.structure.leaves
        }

    def forward_pass(self) -> float:
        """Return the seconds of one plain loss."""
        return time_call(lambda: self.network.loss(self.network.parameters), repeats=3).median
