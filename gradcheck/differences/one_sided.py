r"""One-sided slopes at kinks: the interval of numbers that an engine may choose there.

Symbols: L and R the slopes of f at x from the left and from the right along one axis, B_L and B_R
the error bounds of their differences (one-sided formulas of order 4, finite_difference.py).

Where the slope jumps there is no derivative. For a maximum, an absolute value, a relu every number
between L and R is a subgradient (Rockafellar 1970, section 23), and libraries choose one of them:
relu'(0) = 0, abs'(0) = 0. A number outside

    [min(L, R) - B, max(L, R) + B]

belongs to no slope of f. The interval is widened to hold the slopes at an eighth and at a 64th of
the step with their errors, so that nobody is accused by one step alone. It is believed where
B_L + B_R <= |R - L| / 2; else the kink stays undecided.

Source: R. T. Rockafellar, "Convex Analysis", Princeton 1970, section 23.
"""

from __future__ import annotations

import numpy as np

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.finite_difference import finite_difference, second_opinions
from gradcheck.differences.lines import BudgetSpentError, Lines
from gradcheck.differences.noise import Noise
from gradcheck.outcomes.estimate import Estimate, Status


def settle_kinks(lines: Lines, noise: Noise, estimate: Estimate) -> None:
    """Put intervals of one-sided slopes in the places of kinks, where these slopes settle.

    Args:
        lines: the black box at x.
        noise: the noise of one evaluation.
        estimate: one entry for every coordinate of x; a kink that settles becomes INTERVAL, with
            the centre of the interval for its value, half its width for its bound, and R - L for
            its jump.
    """
    kinks = np.flatnonzero(estimate.status == Status.KINK)
    kinks = kinks[lines.sides(kinks) == 0]
    before = lines.forward_passes
    try:
        left = _OneSide(lines, noise, kinks, -1) if kinks.size else None
        right = _OneSide(lines, noise, kinks, 1) if kinks.size else None
    except BudgetSpentError:
        return
    if left is None or right is None:
        return
    low, high = np.minimum(left.low, right.low), np.maximum(left.high, right.high)
    jump = right.value - left.value
    with np.errstate(invalid="ignore"):
        settled = left.bound + right.bound <= np.abs(jump) / 2
    settled &= np.isfinite(low) & np.isfinite(high)
    rows, low, high = kinks[settled], low[settled], high[settled]
    estimate.value[rows], estimate.bound[rows] = (low + high) / 2, (high - low) / 2
    estimate.jump[rows] = jump[settled]
    estimate.status[rows] = Status.INTERVAL
    estimate.evaluations[kinks] += (lines.forward_passes - before) // len(kinks)


class _OneSide:
    """The slopes of f on one side of x along some axes.

    Attributes:
        value, bound: of the differences at the step that was found; infinite bounds where none was.
        low, high: what these and the differences at smaller steps hold.
    """

    def __init__(self, lines: Lines, noise: Noise, axes: IntArray, side: int) -> None:
        with lines.on_side(side):
            found = finite_difference(lines, noise, coordinates=axes).part(axes)
            resolved = found.status == Status.RESOLVED
            self.value = found.value
            self.bound: FloatArray = np.where(resolved, found.bound, np.inf)
            self.low, self.high = self.value - self.bound, self.value + self.bound
            rows = np.flatnonzero(resolved)
            for opinion in second_opinions(lines, noise, axes[rows], found.step[rows]):
                known = np.isfinite(opinion.value) & np.isfinite(opinion.bound)
                at, value, bound = rows[known], opinion.value[known], opinion.bound[known]
                self.low[at] = np.minimum(self.low[at], value - bound)
                self.high[at] = np.maximum(self.high[at], value + bound)
