"""Forward differences of a network, one plain forward pass a weight, and what they take.

One weight is moved in place, the loss evaluated, the weight put back. Passes are timed in blocks:
of a sample at places drawn at random, or of all N. What a sample says of all N, with an interval,
stands in `extrapolation`.

Whoever asks for the same passes again in this process gets the first answer: one thing has one
number, and a million passes are run once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.differences.stencils import FORWARD
from gradcheck.splitmix64 import Stream
from gradcheck.studies.cost import counted_loss
from gradcheck.studies.report.extrapolation import Foretold, Sample
from gradcheck.studies.report.in_place import InPlace
from gradcheck.studies.report.network import Network, pairs
from gradcheck.studies.report.progress import section_progress
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.curvature import (
    forward_difference_bounds,
    second_derivative_bounds,
)

STEP = 2.0**-20
BLOCKS, BLOCK = 20, 60
LONG_BLOCK = 1000
"""Coordinates between two reports of progress in the full run."""
ANNOUNCED = 200_000
"""Passes of a run from which on its progress is reported."""
MODELS = 5
"""The most networks that the error of the extrapolation is taken from, the largest."""
FEWEST = BLOCKS * BLOCK
"""The weights that such a network must have more of: a smaller one's sample is all its passes."""

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
        blocks: how many passes each holds.
    """

    coordinates: Array
    D: Array
    counted: int
    seconds: tuple[float, ...]
    blocks: tuple[int, ...]

    @property
    def taken(self) -> float:
        """The seconds of all blocks."""
        return sum(self.seconds)

    @property
    def sample(self) -> Sample:
        """The seconds of a pass, block by block."""
        return Sample(tuple(t / n for t, n in zip(self.seconds, self.blocks, strict=True)))


@cache
def sample(sizes: tuple[int, ...], seed: int, differences: Differences) -> Passes:
    """Differentiate one example's loss at places drawn at random, in `BLOCKS` blocks."""
    network = Network(sizes, 1, seed)
    places = Stream(seed, "places").permutation(network.N)[: BLOCKS * BLOCK]
    return _run(network, np.array_split(places, min(BLOCKS, len(places))), differences)


@cache
def every_weight(sizes: tuple[int, ...], seed: int, differences: Differences) -> Passes:
    """Differentiate one example's loss in every weight and bias."""
    network = Network(sizes, 1, seed)
    everything = np.arange(network.N)
    blocks = [everything[i : i + LONG_BLOCK] for i in range(0, network.N, LONG_BLOCK)]
    if network.N < ANNOUNCED:
        return _run(network, blocks, differences)
    with section_progress("one pass for every weight", network.N) as advance:
        return _run(network, blocks, differences, advance)


def foretold(sizes: tuple[int, ...], settings: Settings) -> Foretold:
    """Foretell the seconds of all N + 1 passes of a network, from smaller ones run to the end.

    Args:
        sizes: n_0, ..., n_L.
        settings: which networks 2h-h-1 are run to the end, and the seed.
    """
    N = number_learned(sizes)
    passes = sample(sizes, settings.seed, difference_quotients)
    return passes.sample.foretell(N + 1, missed(N, settings))


def alone(sizes: tuple[int, ...], settings: Settings) -> Foretold:
    """Foretell them with the standard error of the sample alone, to compare."""
    passes = sample(sizes, settings.seed, difference_quotients)
    return passes.sample.alone(number_learned(sizes) + 1)


def missed(below: int, settings: Settings) -> list[float]:
    """Return d of the largest networks that are run to the end and learn fewer numbers."""
    most = min(below - 1, settings.longest_run)
    networks = [(2 * h, h, 1) for h in sorted(settings.hidden)]
    known = [sizes for sizes in networks if FEWEST < number_learned(sizes) <= most]
    found = []
    for sizes in known[-MODELS:]:
        few = sample(sizes, settings.seed, difference_quotients)  # before the run, as elsewhere
        run = every_weight(sizes, settings.seed, difference_quotients)
        found.append(few.sample.missed(run.counted, run.taken))
    return found


def number_learned(sizes: tuple[int, ...]) -> int:
    """Return N, how many weights and biases a network has."""
    return sum((n_in + 1) * n for n_in, n in pairwise(sizes))


def _run(
    network: Network,
    blocks: list[Array],
    differences: Differences,
    advance: Callable[[int], object] = lambda _: None,
) -> Passes:
    loss = counted_loss(network.loss)
    lines = InPlace(loss, network.parameters)
    D, seconds = [], []
    for block in blocks:
        start = time.perf_counter()
        D.append(differences(lines, STEP, stencil=FORWARD, coordinates=block))
        seconds.append(time.perf_counter() - start)
        advance(len(block))
    return Passes(
        np.concatenate(blocks),
        np.concatenate(D),
        loss.cost.forward_passes,
        tuple(seconds),
        tuple(map(len, blocks)),
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
        M = second_derivative_bounds(pairs(parameters), self.network.X)
        self.bound = forward_difference_bounds(M, STEP, noise.bound)

    def worst(self, passes: Passes) -> float:
        """Return the largest deviation of differences from backprop, in units of its bound."""
        return self.worst_of(passes.coordinates, passes.D)

    def worst_of(self, at: Array | slice, D: Array) -> float:
        """Return that of differences in some coordinates."""
        return float(np.max(np.abs(D - self.g[at]) / self.bound[at]))


def as_vector(arrays: dict[str, Any]) -> Array:
    """Copy named arrays into one vector, in their order."""
    return np.concatenate([array.reshape(-1) for array in arrays.values()])
