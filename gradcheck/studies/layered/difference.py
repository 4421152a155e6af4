r"""Central differences of a sigmoid network that compute only what a moved parameter changes.

Symbols: layers l = 1..L of n_l units, m examples, z_l = a_{l-1} W_l^T + b_l, a_l = sigma(z_l); t a
number added to one parameter; f the loss; M = sum_l n_{l-1} n_l.

    D(h) = [f(x + h e) - f(x - h e)] / (2 h)        for every unit vector e

Moving W_l[j,k] by t moves, in each example, z_l[j] alone, by d = t a_{l-1}[k] (b_l[j]: by t). Then

    a_l[j]      by   A = sigma(z_l[j] + d) - sigma(z_l[j])         one unit
    z_{l+1}     by   W_{l+1}[:,j] A                                rank one
    a_{l+1}     by   sigma(z_{l+1} + d) - sigma(z_{l+1})           n_{l+1} units
    z_{l+2}     by   W_{l+2} (change of a_{l+1})                   a full layer; and so on
    f           by   the sum of C(z_L + d) - C(z_L)

Only forward evaluations at moved points occur, for steps of any size, written as their rise over
the point x itself (layered_network.py). What is subtracted there on paper is never subtracted in
rounded numbers, so no noise is divided by h: steps may be small, and the bound of D(h) is certain
and about as small as that of backpropagation (layered_bound.py). As h goes to 0 the rules for rises
go over to those for slopes, as those of all differences do; that they are differences shows at
large steps, where D(h) is far from the derivative and must be what plain forward passes give.

**Cost** of a parameter of layer l, in products alone:

    C_l = 2 m (n_{l+1} / 2 + sum_{q >= l+2} n_{q-1} n_q)      and   2 m M   for a forward pass

twice, as there are two signs. Beside them stand the functions of all units that change;
`difference_operations` counts everything.

**Memory.** Perturbations go through in blocks of at most BLOCK numbers an array, which stay in the
cache, and fewer where `memory` asks for that; where one example is too much at a time the call is
refused. Beside the blocks there are the result (49 bytes a coordinate), the problem (once more in
float64, if it is float32 or float16), and what a forward pass keeps of the batch.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.studies.cost import FlopCount
from gradcheck.studies.layered.bound import coordinate_bounds, layer_bounds, stretches
from gradcheck.studies.layered.cost import all_operations, forward_operations, number_of
from gradcheck.studies.layered.network import MOST, LayeredNetwork
from gradcheck.studies.layered.rises import ARRAYS, Workspace, block_differences

if TYPE_CHECKING:
    from gradcheck.arrays import IntArray
    from gradcheck.problem import Problem

BLOCK = 2**15
"""Numbers in one array of a block: the seven of a workspace take 1.75 MiB of cache."""

LEAST_PERTURBATIONS = 64
"""So many share an example's numbers before a block takes a second example."""

MIB = 2**20


@dataclass
class LayeredEstimate(Estimate):
    """Derivatives along the axes of a network, with a certain bound, and what they cost.

    Attributes:
        operations: of the differences, their bounds and the forward pass at x, as formulas count
            them: all operations of the differences, products alone of the rest.
        forward_pass_equivalents: the operations over those of one plain forward pass, functions
            counted as one each.
    """

    operations: FlopCount = field(default_factory=FlopCount)
    forward_pass_equivalents: float = 0.0


def layered_differences(
    problem: Problem,
    *,
    memory: int = 256 * MIB,
    coordinates: IntArray | None = None,
    step: float | None = None,
    threads: int = 1,
) -> LayeredEstimate:
    """Differentiate a network's loss in every parameter by central differences.

    Args:
        problem: of dtype float16, float32 or float64, whose numbers are taken exactly; all
            arithmetic is float64.
        memory: bytes that the working arrays may take.
        coordinates: positions in the vector of `problem.parameters`; default: all.
        step: h, a power of two; default: each layer's largest that truncation does not show at.
        threads: how many share the work.

    Returns:
        An estimate with one entry for every parameter; |value - derivative| <= bound. The status
        is NO_STEP where the network's numbers are so large that the bound is infinite, and
        NOT_EVALUATED for those that are not among `coordinates`.

    Raises:
        TypeError: dtype longdouble.
        ValueError: memory for less than one example; coordinates outside the vector; a step that
            is no power of two, or moves a pre-activation by more than 1/4; threads below 1.

    >>> from gradcheck.problems.case import Case
    >>> problem = Case(sizes=(3, 4, 1), batch=2).problem()
    >>> estimate = layered_differences(problem)
    >>> bool((estimate.bound < 1e-14).all())
    True
    """
    if threads < 1:
        raise ValueError(f"threads={threads} must be at least 1")
    network = LayeredNetwork.of(problem)
    plan = Plan.of(network, memory // threads)
    estimate = LayeredEstimate(**vars(Estimate.empty(problem.architecture.n_parameters)))
    wanted = None if coordinates is None else _sorted(coordinates, len(estimate.value))
    with np.errstate(all="ignore"):  # bounds may be infinite, numbers too small to count
        steps = _write_bounds(network, memory, step, estimate)
        counts = [
            _write_values(network, plan, i, h, wanted, estimate, threads)
            for i, h in enumerate(steps)
        ]
    estimate.operations = all_operations(network.sizes, network.batch, network.loss, counts)
    one_pass = forward_operations(network.sizes, network.batch, network.loss)
    estimate.forward_pass_equivalents = number_of(estimate.operations) / number_of(one_pass)
    return _stated(estimate, wanted)


# --- blocks -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """How the perturbations are split into blocks.

    Attributes:
        numbers: in the largest array of a block.
        sizes: n_0, ..., n_L.
        batch: m.
    """

    numbers: int
    sizes: tuple[int, ...]
    batch: int

    @classmethod
    def of(cls, network: LayeredNetwork, memory: int) -> Plan:
        """Take as much as the cache holds and memory allows.

        Raises:
            ValueError: not even one perturbation of one example fits.
        """
        plan = cls(min(BLOCK, memory // (8 * ARRAYS)), network.sizes, network.batch)
        least = 8 * ARRAYS * plan.width(0)
        if memory < least:
            raise ValueError(f"memory is {memory} bytes a thread; it must be at least {least}")
        return replace(plan, numbers=max(plan.numbers, plan.width(0)))

    def width(self, i: int) -> int:
        """How many units of one layer change at once, for parameters of the layer with index i."""
        return max(self.sizes[i + 2 :], default=1)

    def examples(self, i: int) -> int:
        """How many examples a block takes."""
        return min(self.batch, max(1, self.numbers // (self.width(i) * LEAST_PERTURBATIONS)))

    def perturbations(self, i: int) -> int:
        """How many perturbations a block takes."""
        return self.numbers // (self.width(i) * self.examples(i))


def _write_values(
    network: LayeredNetwork,
    plan: Plan,
    i: int,
    h: float,
    wanted: IntArray | None,
    estimate: Estimate,
    threads: int,
) -> int:
    """Write D(h) for the layer with index i; return how many of its parameters were wanted."""
    start, stop = _ends(network, i)
    low, high = (start, stop) if wanted is None else np.searchsorted(wanted, [start, stop]).tolist()
    count = plan.perturbations(i)
    ends = [(n, min(n + count, high)) for n in range(low, high, count)]

    numbers = min(count, high - low) * plan.examples(i) * plan.width(i)

    def work(share: list[tuple[int, int]]) -> None:
        workspace = Workspace(network.targets, numbers)
        for first, last in share:
            positions = np.arange(first, last) if wanted is None else wanted[first:last]
            rows, columns = _rows_and_columns(network, i, positions - start)
            with np.errstate(all="ignore"):
                D = block_differences(network, i, rows, columns, h, plan.examples(i), workspace)
            estimate.value[positions] = D

    if threads == 1:
        work(ends)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, [ends[n::threads] for n in range(threads)]))
    return high - low


def _rows_and_columns(
    network: LayeredNetwork, i: int, positions: IntArray
) -> tuple[IntArray, IntArray]:
    """Return j and k of positions within a layer; k = n_{l-1} for its biases, which come last."""
    n, n_weights = network.sizes[i], network.weights[i].size
    rows, columns = np.divmod(positions, n)
    is_bias = positions >= n_weights
    rows[is_bias] = positions[is_bias] - n_weights
    columns[is_bias] = n
    return rows, columns


def _ends(network: LayeredNetwork, i: int) -> tuple[int, int]:
    """Return where the parameters of the layer with index i begin and end in the vector."""
    sizes = [W.size + len(W) for W in network.weights]
    return sum(sizes[:i]), sum(sizes[: i + 1])


def _write_bounds(
    network: LayeredNetwork, memory: int, step: float | None, estimate: Estimate
) -> list[float]:
    """Write step and bound of every parameter; return each layer's step."""
    found = stretches(network, memory)
    steps = [stretch.step if step is None else step for stretch in found]
    rho = max(h * stretch.delta for h, stretch in zip(steps, found, strict=True))
    if step is not None and not (math.frexp(step)[0] == 1 / 2 and rho <= MOST):
        raise ValueError(
            f"step={step} must be a power of two that moves no pre-activation by more than {MOST}; "
            f"it may move one by {rho}"
        )
    layers = layer_bounds(network, rho, memory)
    for i, (h, stretch) in enumerate(zip(steps, found, strict=True)):
        own = slice(*_ends(network, i))
        coordinate_bounds(network, layers, i, h, h**2 * stretch.Z / 6, estimate.bound[own])
        estimate.step[own] = h
    return steps


def _sorted(coordinates: IntArray, size: int) -> IntArray:
    wanted = np.unique(coordinates)
    if wanted.size and not (wanted[0] >= 0 and wanted[-1] < size):
        raise ValueError(
            f"coordinates go from {wanted[0]} to {wanted[-1]}; must be in 0..{size - 1}"
        )
    return wanted.astype(np.intp)


def _stated(estimate: LayeredEstimate, wanted: IntArray | None) -> LayeredEstimate:
    """Set the status and the evaluations of every parameter."""
    every = slice(None) if wanted is None else wanted
    is_bounded = np.isfinite(estimate.bound[every]) & np.isfinite(estimate.value[every])
    estimate.status[every] = np.where(is_bounded, Status.RESOLVED, Status.NO_STEP)
    estimate.evaluations[every] = 2
    unresolved = estimate.status != Status.RESOLVED
    estimate.bound[unresolved] = np.inf
    estimate.step[estimate.status == Status.NOT_EVALUATED] = np.nan
    return estimate
