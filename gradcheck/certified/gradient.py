r"""The exact gradient of a problem, correctly rounded: what every engine is measured by.

The gradient is enclosed in ball arithmetic at the exact bits that the engine receives
(ball_network.py). The precision is doubled until every coordinate rounds to one float64 (balls.py),
as Ziv does for elementary functions. A coordinate that is exactly 0 without every term being 0
settles once its ball is below 2^-1075, where every number rounds to 0. A number exactly half way
between two floats may never settle, nor one beyond the range of float64: at `max_precision` the
loop ends, and those are reported as not settled, with a bound that holds all the same.

That the formulas of the backward pass are the derivative of the forward pass is witnessed by
differences of forward passes alone (ball_differences.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Float64Array
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.pytree import Structure, structure_of

if TYPE_CHECKING:
    from gradcheck.problem import Problem

PRECISION = 128
"""Bits of the first round: enough to settle nearly every coordinate of ordinary networks."""

MAX_PRECISION = 4096
"""Bits of the last round: float64 spans 2^-1074 to 2^1024, and products of two numbers twice that,
so that sums of products cancel within this many bits."""


@dataclass(frozen=True)
class Certified:
    """Loss and gradient of a problem, each with a bound that is certain.

    Attributes:
        structure: the names of the coordinates.
        loss: the loss, correctly rounded where `loss_settled`.
        loss_bound: what |loss - exact loss| does not exceed.
        loss_settled: whether the loss is settled.
        gradient: one vector in the order of `problem.parameters`: the float64 nearest to the exact
            derivative where settled, else the middle of its enclosure, NaN where none is finite.
        bound: what |gradient - exact gradient| does not exceed: 0 where the float is the exact
            derivative, else half a spacing where settled, else the width of the enclosure.
        bits: relative accuracy of the enclosures in bits, infinite where they are single numbers.
        settled: which entries are correctly rounded for certain.
        precision: bits of the last round.
        forward_passes, backward_passes: one each a round, in balls.
    """

    structure: Structure
    loss: float
    loss_bound: float
    loss_settled: bool
    gradient: Float64Array
    bound: Float64Array
    bits: Float64Array
    settled: npt.NDArray[np.bool_]
    precision: int
    forward_passes: int
    backward_passes: int

    @property
    def is_settled(self) -> bool:
        """Whether the loss and every coordinate are correctly rounded for certain."""
        return self.loss_settled and bool(self.settled.all())

    def arrays(self) -> dict[str, Float64Array]:
        """Return the gradient in the shapes of the parameters: W1, b1, W2, ..."""
        return {
            leaf.name: self.gradient[leaf.start : leaf.stop].reshape(leaf.shape)
            for leaf in self.structure.leaves
        }

    def estimate(self) -> Estimate:
        """Return the gradient as an oracle's estimate.

        RESOLVED wherever the bound is finite, settled or not; else NO_STEP. There is no step, and
        no coordinate has a pass of its own.
        """
        estimate = Estimate.empty(self.structure.size)
        known = np.isfinite(self.bound)
        estimate.value[:] = self.gradient
        estimate.bound[:] = self.bound
        estimate.status[:] = np.where(known, Status.RESOLVED, Status.NO_STEP)
        return estimate


def certified_gradient(
    problem: Problem,
    *,
    precision: int = PRECISION,
    max_precision: int = MAX_PRECISION,
    clip: float | None = None,
    floor: float | None = None,
) -> Certified:
    """Compute loss and gradient of a problem to the last bit of float64.

    Args:
        problem: of any dtype; its numbers are taken exactly.
        precision: bits of the first round; each further round has twice as many.
        max_precision: bits that are not exceeded.
        clip: epsilon in (0, 0.5): loss and gradient of the clipped cross-entropy (clipping.py);
            None for the exact loss.
        floor: epsilon in (0, 0.5): the gradient that divides by max(p (1 - p), epsilon); None for
            the exact one.

    Raises:
        TypeError: a precision that is not a whole number; an epsilon that is not a number.
        ValueError: a precision below 2, or max_precision below precision; an epsilon outside
            (0, 0.5), or with the quadratic loss.

    >>> from gradcheck.problems.case import Case
    >>> certified = certified_gradient(Case(sizes=(2, 1), corner="zero_weights").problem())
    >>> certified.loss, certified.precision, certified.is_settled
    (0.6931471805599453, 128, True)
    >>> certified.arrays()["b1"], certified.bound[-1]
    (array([0.5]), np.float64(0.0))
    """
    # Ball arithmetic is loaded when first used, so that importing is cheap.
    from gradcheck.certified.ball_network import rounded_gradient  # noqa: PLC0415 - as said
    from gradcheck.certified.balls import require_bits  # noqa: PLC0415 - as said

    bits = require_bits("precision", precision)
    most = require_bits("max_precision", max_precision, bits)
    rounds = 0
    while True:
        rounds += 1
        rounded = rounded_gradient(problem, precision=bits, clip=clip, floor=floor)
        if rounded.settled.all() or bits == most:
            break
        bits = min(2 * bits, most)
    return Certified(
        structure=structure_of(problem.parameters),
        loss=float(rounded.value[-1]),
        loss_bound=float(rounded.bound[-1]),
        loss_settled=bool(rounded.settled[-1]),
        gradient=rounded.value[:-1],
        bound=rounded.bound[:-1],
        bits=rounded.bits[:-1],
        settled=rounded.settled[:-1],
        precision=bits,
        forward_passes=rounds,
        backward_passes=rounds,
    )
