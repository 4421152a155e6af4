"""Two cheaper ways to take all differences of one network, with passes, flops and seconds.

- **In batches**, of any function that takes many points at once: K moved copies of all weights are
  stacked, and one call of a product of stacks of matrices serves K passes. The passes and the flops
  are those of one copy at a time, N + 1; what a call costs by itself is shared by K. As many copies
  go together as fit `differences.batches.BLOCK_BYTES`, the caches of most machines: where that is
  one copy, nothing is shared and nothing is run.
- **By layers**, of a network that is known: only what a weight changes is computed again
  (`studies.layered.difference`), on either side. That are parts of 2N passes, in flops the work of
  far fewer.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.checks.agreement import STRICTEST
from gradcheck.differences.batches import BLOCK_BYTES, ROWS, batched
from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.differences.lines import Lines
from gradcheck.differences.stencils import FORWARD
from gradcheck.problem import Architecture, Problem
from gradcheck.rounding import gradient_bound
from gradcheck.studies.cost import FlopCount, count_flops
from gradcheck.studies.layered.difference import layered_differences
from gradcheck.studies.report.million.plain_passes import STEP, as_vector
from gradcheck.studies.report.network import Network, pairs
from reference_models import stacked_networks

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Batched:
    """All forward differences in batches.

    Attributes:
        D: the differences.
        passes: forward passes, one a copy, by counting the copies.
        flops: of all passes.
        seconds: of all passes.
    """

    D: Array
    passes: int
    flops: int
    seconds: float


def copies_at_once(network: Network) -> int:
    """Return K, how many copies of the weights go together: one, where one fills a batch."""
    size = sum(array.nbytes for array in network.parameters.values())
    return max(1, min(BLOCK_BYTES // int(size), ROWS, network.N))


def in_batches(network: Network) -> Batched:
    """Take all forward differences, K copies of the weights at a time."""
    copies = 0

    def losses(stacked: dict[str, Array]) -> Array:
        nonlocal copies
        copies += len(stacked["b1"])
        return _losses(network, stacked)

    start = time.perf_counter()
    lines = Lines(batched(losses), network.parameters)
    D = difference_quotients(lines, STEP, stencil=FORWARD)
    seconds = time.perf_counter() - start
    return Batched(np.asarray(D), copies, copies * flops_of_a_copy(network).total, seconds)


def flops_of_a_copy(network: Network) -> FlopCount:
    """Count the flops of the loss of one copy, as a stack of one."""
    one = {name: array[None] for name, array in network.parameters.items()}
    _, flops = count_flops(lambda stacked: float(_losses(network, stacked)[0]), one)
    return flops


def _losses(network: Network, stacked: dict[str, Array]) -> Array:
    return stacked_networks.losses(pairs(stacked), network.X, network.Y)


@dataclass(frozen=True)
class Layered:
    """All central differences by layers.

    Attributes:
        differences: how many moved points, each a part of a pass.
        flops: of all, as formulas count them.
        passes: in operations, the work of so many forward passes.
        seconds: of all.
        deviation: of backprop, in units of what bounds and rounding allow, at most.
    """

    differences: int
    flops: int
    passes: float
    seconds: float
    deviation: float


def by_layers(network: Network) -> Layered:
    """Take all central differences, each of what its weight changes."""
    arrays = tuple(network.parameters.values())
    problem = Problem(Architecture(network.sizes), arrays[::2], arrays[1::2], network.X, network.Y)
    start = time.perf_counter()
    estimate = layered_differences(problem)
    seconds = time.perf_counter() - start
    g = as_vector(network.gradient(network.parameters))
    allowed = estimate.bound + gradient_bound(problem, STRICTEST)
    return Layered(
        int(estimate.evaluations.sum()),
        estimate.operations.total,
        estimate.forward_pass_equivalents,
        seconds,
        float(np.max(np.abs(g - estimate.value) / allowed)),
    )
