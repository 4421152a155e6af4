r"""Central differences of a sigmoid network that compute only what a moved parameter changes.

Symbols: layers l = 1..L of n_l units, m examples, z_l = a_{l-1} W_l^T + b_l, a_l = sigma(z_l); t a
number added to one parameter; f the loss; M = sum_l n_{l-1} n_l.

    D(h) = [f(x + h e) - f(x - h e)] / (2 h)        for every unit vector e

Moving W_l[j,k] by t changes, in each example, z_l[j] alone, by d = t a_{l-1}[k] (b_l[j]: by t). Then

    a_l[j]      by   A = sigma(z_l[j] + d) - sigma(z_l[j])         one unit
    z_{l+1}     by   W_{l+1}[:,j] A                                rank one
    a_{l+1}     by   sigma(z_{l+1} + d) - sigma(z_{l+1})           n_{l+1} units
    z_{l+2}     by   W_{l+2} (change of a_{l+1})                   a full layer; and so on
    f           by   the sum of C(z_L + d) - C(z_L)

Only forward evaluations at moved points occur, for steps of any size, written as their rise over
the point x itself (layered_network.py). What is subtracted there on paper is never subtracted in
rounded numbers, so that no noise is divided by h: the bound of D(h) is certain and of the size of
the rounding errors of backpropagation (layered_bound.py).

**Cost** of a parameter of layer l, in products alone:

    C_l = 2 m (n_{l+1} / 2 + sum_{q >= l+2} n_{q-1} n_q)      and   2 m M   for a forward pass

twice, as there are two signs. Beside them stand the functions of all units that change;
`difference_operations` counts everything.

**Memory.** Perturbations go through in blocks of at most BLOCK numbers an array, which stay in the
cache, and fewer where `memory` asks for that; where one example is too much at a time the call is
refused. Beside the blocks there are the result (41 bytes a coordinate), the problem (once more in
float64, if it is float32 or float16), and what a forward pass keeps of the batch.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.cost import FlopCount, gemm_flops_forward
from gradcheck.oracles.finite_difference import Estimate, Status
from gradcheck.oracles.layered_bound import coordinate_bounds, layer_bounds, stretches
from gradcheck.oracles.layered_network import (
    COST_RISES,
    MOST,
    FloatArray,
    LayeredNetwork,
    sigmoid_rise,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from gradcheck.oracles.lines import IntArray
    from gradcheck.problem import Problem

BLOCK = 2**16
"""Numbers in one array of a block: two such arrays of float64 fill a cache of 1 MiB."""

LEAST_COLUMNS = 64
"""Perturbations that a block should hold before it takes more examples."""

ARRAYS = 12
"""Arrays of float64 like the largest one, that a block takes in all."""

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

    operations: FlopCount = FlopCount()
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

    >>> from gradcheck.case import Case
    >>> problem = Case(sizes=(3, 4, 1), batch=2).problem()
    >>> estimate = layered_differences(problem)
    >>> bool((estimate.bound < 1e-14).all())
    True
    """
    if threads < 1:
        raise ValueError(f"threads={threads} must be at least 1")
    network = LayeredNetwork.of(problem)
    plan = _Plan.of(network, memory // threads)
    estimate = LayeredEstimate(**vars(Estimate.empty(problem.architecture.n_parameters)))
    wanted = None if coordinates is None else _sorted(coordinates, len(estimate.value))
    with np.errstate(all="ignore"):  # a bound may be infinite
        steps = _bound(network, memory, step, estimate)
        counts = [_evaluate(network, plan, i, h, wanted, estimate, threads)
                  for i, h in enumerate(steps)]  # fmt: skip
    _state(estimate, wanted)
    estimate.operations = _sum(
        sweep_operations(network.sizes, network.batch),
        *(difference_operations(network.sizes, network.batch, network.loss, i, count)
          for i, count in enumerate(counts)),
    )  # fmt: skip
    one_pass = forward_operations(network.sizes, network.batch, network.loss)
    estimate.forward_pass_equivalents = _all(estimate.operations) / _all(one_pass)
    return estimate


# --- blocks -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Plan:
    """How perturbations are split: `numbers` is the size of the largest array of a block."""

    numbers: int
    sizes: tuple[int, ...]
    batch: int

    @classmethod
    def of(cls, network: LayeredNetwork, memory: int) -> _Plan:
        plan = cls(min(BLOCK, memory // (8 * ARRAYS)), network.sizes, network.batch)
        widest = plan._width(0)
        if plan.numbers < widest:
            raise ValueError(
                f"memory={memory} bytes a thread is too little: one example of one perturbation "
                f"takes {8 * ARRAYS * widest}"
            )
        return plan

    def examples(self, i: int) -> int:
        """How many examples a block takes at once, for parameters of the layer with index i."""
        return min(self.batch, max(1, self.numbers // (self._width(i) * LEAST_COLUMNS)))

    def perturbations(self, i: int) -> int:
        """How many parameters of the layer with index i a block takes at once."""
        return self.numbers // (self._width(i) * self.examples(i))

    def _width(self, i: int) -> int:
        return max(self.sizes[i + 2 :], default=1)


class _Workspace:
    """Arrays that are kept from block to block; counted where `like` is."""

    def __init__(self, like: FloatArray, numbers: int) -> None:
        self._arrays = [np.empty_like(like, shape=numbers) for _ in range(7)]

    def __getitem__(self, which: int) -> _Shaped:
        return _Shaped(self._arrays[which])


def _evaluate(
    network: LayeredNetwork,
    plan: _Plan,
    i: int,
    h: float,
    wanted: IntArray | None,
    estimate: Estimate,
    threads: int,
) -> int:
    """Write D(h) of the parameters of the layer with index i; return how many there were."""
    return 0
