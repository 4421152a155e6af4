"""Forward differences of a large network, one plain forward pass a weight, and what they take.

One weight is moved in place, the loss evaluated, the weight put back. The passes are timed in
blocks at places drawn at random; with t the mean seconds of a pass over the blocks and s their
standard deviation, n passes take

    n (t +- 2.09 s / sqrt(BLOCKS))

where 2.09 is Student's 97.5 % point for 19 degrees of freedom: 95 % at the load of the sample.
Whoever asks for the same passes again in this process gets the first answer: a million of them
are run once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.differences.stencils import FORWARD
from gradcheck.report.forward_cost import Network
from gradcheck.report.progress import section_progress
from gradcheck.report.textbook.curvature import (
    forward_difference_bounds,
    second_derivative_bounds,
)
from gradcheck.splitmix64 import Stream
from gradcheck.studies.cost import counted_loss

STEP = 2.0**-20
BLOCKS, BLOCK = 20, 60
STUDENT = 2.09
LONG_BLOCK = 1000
"""Coordinates between two reports of progress in the full run."""

Array = npt.NDArray[Any]
Differences = Callable[..., Array]
Gradient = Callable[[Network, dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True)
class Passes:
    """Derivatives by forward differences, and the passes that they took.

    Attributes:
        coordinates: which.
        D: the differences there.
        counted: forward passes, by wrapping the loss.
        seconds: of every block.
    """

    coordinates: Array
    D: Array
    counted: int
    seconds: tuple[float, ...]

    def seconds_for(self, passes: int) -> tuple[float, float, float]:
        """Extrapolate to so many passes; return the mean and both ends of the interval."""
        each = np.array(self.seconds) * len(self.seconds) / len(self.coordinates)
        mean, half = float(np.mean(each)), STUDENT * float(np.std(each, ddof=1)) / len(each) ** 0.5
        return passes * mean, passes * (mean - half), passes * (mean + half)


@lru_cache(maxsize=1)
def sample(sizes: tuple[int, ...], seed: int, differences: Differences) -> Passes:
    """Differentiate one example's loss at places drawn at random, in `BLOCKS` blocks."""
    network = Network(sizes, 1, seed)
    places = Stream(seed, "places").permutation(network.N)[: BLOCKS * BLOCK]
    return _run(network, np.array_split(places, min(BLOCKS, len(places))), differences)


@lru_cache(maxsize=1)
def every_weight(sizes: tuple[int, ...], seed: int, differences: Differences) -> Passes:
    """Differentiate one example's loss in every weight and bias."""
    network = Network(sizes, 1, seed)
    everything = np.arange(network.N)
    starts = range(0, network.N, LONG_BLOCK)
    with section_progress("one pass for every weight", network.N) as advance:
        return _run(network, [everything[i : i + LONG_BLOCK] for i in starts], differences, advance)


def _run(
    network: Network,
    blocks: list[Array],
    differences: Differences,
    advance: Callable[[int], object] = lambda _: None,
) -> Passes:
    loss = counted_loss(network.loss)
    lines = Lines(loss, network.parameters)
    D, seconds = [], []
    for block in blocks:
        start = time.perf_counter()
        D.append(differences(lines, STEP, stencil=FORWARD, coordinates=block))
        seconds.append(time.perf_counter() - start)
        advance(len(block))
    return Passes(
        np.concatenate(blocks), np.concatenate(D), loss.cost.forward_passes, tuple(seconds)
    )


class Backprop:
    """The gradient of one example's loss by backprop, and how far a difference may be from it.

    Args:
        sizes: n_0, n_1, n_2.
        seed: of the network.
        gradient: what computes it.

    Attributes:
        network: with its one example.
        g: the gradient as one vector.
        bound: what |D_j - dC/dw_j| does not exceed.
    """

    def __init__(
        self, sizes: tuple[int, ...], seed: int, gradient: Gradient = Network.gradient
    ) -> None:
        self.network = Network(sizes, 1, seed)
        parameters = self.network.parameters
        self.g = as_vector(gradient(self.network, parameters))
        noise = estimate_noise(Lines(self.network.loss, parameters), Stream(seed, "noise"))
        arrays = iter(parameters.values())
        M = second_derivative_bounds(list(zip(arrays, arrays, strict=True)), self.network.X)
        self.bound = forward_difference_bounds(M, STEP, noise.bound)

    def worst(self, passes: Passes) -> float:
        """Return the largest deviation of differences from backprop, in units of its bound."""
        at = passes.coordinates
        return float(np.max(np.abs(passes.D - self.g[at]) / self.bound[at]))


def as_vector(arrays: dict[str, Any]) -> Array:
    """Copy named arrays into one vector, in their order."""
    return np.concatenate([array.reshape(-1) for array in arrays.values()])
