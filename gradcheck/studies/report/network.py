"""A sigmoid network with a batch, whose loss and gradient the report measures."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np

from gradcheck.splitmix64 import Stream
from reference_models import sigmoid_network


class Network:
    """A network with weights and a batch, and its loss and gradient in buffers that are kept.

    Args:
        sizes: n_0, ..., n_L.
        m: examples.
        seed: of weights, inputs and targets.
    """

    def __init__(self, sizes: tuple[int, ...], m: int, seed: int = 1) -> None:
        self.sizes, self.m = sizes, m
        self.parameters: dict[str, Any] = {}
        for layer, (n_in, n) in enumerate(pairwise(sizes), start=1):
            W = Stream(seed, f"W{layer}").normal((n, n_in)) / np.sqrt(n_in)
            self.parameters |= {f"W{layer}": W, f"b{layer}": np.zeros(n)}
        self.X = Stream(seed, "inputs").normal((m, sizes[0]))
        self.Y = Stream(seed, "targets").uniform((m, sizes[-1]))
        self.workspace = sigmoid_network.Workspace(sizes, m, np.float64)

    @property
    def N(self) -> int:  # noqa: N802 - the symbol
        """How many numbers are learned."""
        return sum(array.size for array in self.parameters.values())

    def loss(self, parameters: dict[str, Any]) -> Any:
        """Run one forward pass."""
        return sigmoid_network.loss(pairs(parameters), self.X, self.Y, out=self.workspace)

    def gradient(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Run one forward and one backward pass; the arrays are the workspace's."""
        _, layers = sigmoid_network.value_and_grad(
            pairs(parameters), self.X, self.Y, out=self.workspace
        )
        flat = [array for pair in layers for array in pair]
        return dict(zip(parameters, flat, strict=True))


def pairs(parameters: dict[str, Any]) -> list[tuple[Any, Any]]:
    """Return (W_l, b_l) of every layer, from arrays by name."""
    arrays = iter(parameters.values())
    return list(zip(arrays, arrays, strict=True))
