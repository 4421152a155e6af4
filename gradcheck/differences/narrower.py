r"""Narrower bounds where the bound of a derivative is too wide to decide.

Symbols: D(h) the central formula of order 4 (finite_difference.py), h = c 2^e; D +- B an estimate
that was found at some step; eps_f the bound of the noise; C1 the noise constant of D; S and J(h)
the slope's second differences and what they say of a jump (kinks.py).

The search for a step balances what truncation does with the noise that is likely, not with its
bound, and stops at the nearer one of what happens on both sides of x. Here its steps are taken up
again, a few larger ones and one smaller,

    D(h)                                 C1 eps_f / h + 2 max(|D(h) - D(2h)|, |D(h/8) - D(h)|)
    D6(h) = D(h) + [D(h) - D(2h)] / 15   (17/15 C1 - ...) eps_f / h + 2 max(...) of D6 likewise

D6 is of order 6 (Richardson's extrapolation): its weights of noise are those of 16/15 D(h) and
1/15 D(2h), so that its constant is at most (16 + 1/2) / 15 C1. And the formulas are taken on either
side of x alone, where the search can go further: a kink beside x, as that of |x| at 1e-7, ends all
two-sided steps, but not those that lead away from it.

So are the steps of the decided coordinates of the same array: where rounding is larger than it was
estimated, a search may end at the first steps by accident.

What is found must be within D +- B. Of an even function near its centre, such as cos x, D sees
next to nothing, and S all: there J(h) is no suspicion if it fades as a Taylor polynomial makes it,
by 2^5 for each halving of h; a kink would leave it as it is. By 2^3 is asked for, twice, as far as
noise lets it be seen.

Nobody is accused by such a bound: it is used where the number under test is within it, only. So a
feature of f that these steps do not see accuses nobody, and what passes has agreed with two
estimates.

Source of D6: L. F. Richardson, "The deferred approach to the limit", Phil. Trans. R. Soc. A 226
(1927), 299-361.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.finite_difference import EIGHTH, finite_difference
from gradcheck.differences.kinks import fades
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise
from gradcheck.differences.points import AxisPoints, exponents_below
from gradcheck.differences.stencils import CENTRAL_4
from gradcheck.outcomes.estimate import Estimate, Status

LEVELS = range(-1, 6)
"""Exponents of the steps tried, less that of the step that was found."""

C1 = float(CENTRAL_4.noise_constant)
"""The noise constant of D."""

C1_6 = (16 + 1 / 2) / 15 * C1
"""The noise constant of D6."""


def narrower(
    lines: Lines,
    noise: Noise,
    estimate: Estimate,
    rows: IntArray,
    wanted: FloatArray,
    beside: FloatArray,
) -> Estimate:
    """Return estimates of some coordinates with narrower bounds; their own where none is found.

    It takes some 25 forward passes a coordinate, and two searches for steps where these are not
    enough.

    Args:
        lines: the black box at x.
        noise: the noise of one evaluation.
        estimate: of every coordinate of x.
        rows: the coordinates; RESOLVED, with room on both sides of x.
        wanted: the bound that is narrow enough, one entry for each of `rows`.
        beside: the step of coordinates of the same array that are decided, or NaN.

    Returns:
        One entry for each of `rows`, in their order.
    """
    own, found = estimate.part(rows), estimate.part(rows)
    before = lines.forward_passes
    points = AxisPoints(lines, rows)
    _at_other_steps(points, noise, own, found, own.step)
    if np.any((found.bound > wanted) & (beside > 0)):
        _at_other_steps(points, noise, own, found, np.where(beside > 0, beside, own.step))
    wide = np.flatnonzero(found.bound > wanted)
    if wide.size:
        one_sided = found.part(wide)
        _on_one_side(lines, noise, rows[wide], own.part(wide), one_sided)
        found.put(wide, one_sided)
    found.evaluations += (lines.forward_passes - before) // max(len(rows), 1)
    return found


def _at_other_steps(
    points: AxisPoints, noise: Noise, own: Estimate, found: Estimate, steps: FloatArray
) -> None:
    """Try D and D6 at the steps around some."""
    e = exponents_below(steps, points.mantissas)
    lowest, highest = LEVELS[0] - EIGHTH, LEVELS[-1] + 2
    table = {i: points.derivative(CENTRAL_4, e + i) for i in range(lowest, highest + 1)}
    D = {i: value for i, (value, _) in table.items()}
    D6 = {i: D[i] + (D[i] - D[i + 1]) / 15 for i in range(lowest, highest)}
    every = np.arange(len(e))
    for i in LEVELS:
        h, is_smooth = points.steps(e + i), fades(points, e + i, noise, every)
        eps = noise.bound_at(np.fmax(table[i][1], table[i + 1][1]))
        for formula, constant in ((D, C1), (D6, C1_6)):
            with np.errstate(all="ignore"):
                apart = [np.abs(formula[i] - formula[k]) for k in (i + 1, i - EIGHTH)]
                bound = constant * eps / h + 2 * np.maximum(*apart)
            _take(own, found, is_smooth, formula[i], bound, h)


def _on_one_side(
    lines: Lines, noise: Noise, axes: IntArray, own: Estimate, found: Estimate
) -> None:
    """Try both sides of x by themselves; where both are within D +- B, they must agree."""
    sides = []
    for side in (-1, 1):
        with lines.on_side(side):
            sides.append(finite_difference(lines, noise, coordinates=axes).part(axes))
    left, right = sides
    with np.errstate(invalid="ignore"):
        apart = np.abs(left.value - right.value) > left.bound + right.bound
        inside = [np.abs(side.value - own.value) <= own.bound for side in sides]
    known = (left.status == Status.RESOLVED) & (right.status == Status.RESOLVED)
    is_clear = known & ~(apart & inside[0] & inside[1])
    for one in sides:
        _take(own, found, is_clear, one.value, one.bound, one.step)


def _take(
    own: Estimate,
    found: Estimate,
    allowed: npt.NDArray[np.bool_],
    value: FloatArray,
    bound: FloatArray,
    step: FloatArray,
) -> None:
    """Take what has the narrowest bound so far, and is within the estimate that was there."""
    with np.errstate(invalid="ignore"):
        better = allowed & (bound < found.bound) & (np.abs(value - own.value) <= own.bound)
    found.value[better], found.bound[better] = value[better], bound[better]
    found.step[better] = step[better]
