r"""Kinks: points where the slope jumps, so that there is no derivative to report.

Symbols: S(t) = [f(x+t) - 2 f(x) + f(x-t)] / t, the right slope minus the left one over t.

A smooth f has S(t) = f'' t + f'''' t^3 / 12 + ..., a kink at x leaves S(t) -> J != 0. From three
steps the first two smooth terms are eliminated:

    J(h) = (16 S(h) - 10 S(2h) + S(4h)) / 7,     |noise in J| <= (64 + 20 + 1) / 7 eps_f / h

(each S(kh) carries at most 4 eps_f / (k h)). A J that stands out of its noise is a suspicion.
It is believed when it persists from each look to the next, at h/8, h/64, ..., for as long as the
noise there would let it be seen. A kink leaves J as it is, a cusp like sqrt|x| multiplies it by
8^(1/2); "persists" is a factor between 1/2 and 4. A smooth f loses it. A suspicion that is not
believed leaves the derivative unsure by J/2; where the jump was lost at a smaller step, that step
is the better one to take the derivative at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.noise import Noise
from gradcheck.differences.points import AxisPoints

NOISE = 85 / 7
"""The noise constant of J(h), in eps_f / h."""

DESCENT = 3
"""Each look goes down by 2^3."""

FADING = 3
"""J(h/2) is J(h) / 2^5 where f is its Taylor polynomial, and J(h) where there is a kink."""


@dataclass(frozen=True)
class Jumps:
    """What a look for kinks found, one entry a coordinate.

    Attributes:
        established: the jump J of the slope where a kink is established, else 0.
        uncertain: |J| where one is suspected and not established, else 0.
        lost_at: the exponent of the step where a suspected jump was lost, else the one asked for:
            f is smooth, but on a scale that only steps like c 2^lost_at resolve.
    """

    established: FloatArray
    uncertain: FloatArray
    lost_at: IntArray


def slope_jumps(
    points: AxisPoints, exponents: IntArray, noise: Noise, rows: IntArray | None = None
) -> Jumps:
    """Look for kinks at x along every axis.

    Args:
        points: the black box along the axes.
        exponents: the steps h = c 2^exponents of the derivative estimate.
        noise: the noise of one evaluation.
        rows: which of the coordinates of `points`; default: all. Where x may be moved to one side
            only, there is no second slope to jump to.
    """
    rows = np.arange(len(points.coordinates)) if rows is None else rows
    found = Jumps(np.zeros(len(rows)), np.zeros(len(rows)), exponents.copy())
    central = points.sides[rows] == 0  # else x is at a bound, and f has one side only
    jump, uncertainty = np.zeros(len(rows)), np.full(len(rows), np.inf)
    jump[central], uncertainty[central] = _jump(points, exponents[central], noise, rows[central])
    for i in np.flatnonzero(np.abs(jump) > 2 * uncertainty).tolist():
        seen, lost_at = _follow(points, int(exponents[i]), noise, int(rows[i]), float(jump[i]))
        if lost_at is None and seen:
            found.established[i] = jump[i]
        else:
            found.uncertain[i] = abs(jump[i])
        if lost_at is not None:
            found.lost_at[i] = lost_at
    return found


def fades(
    points: AxisPoints, exponents: IntArray, noise: Noise, rows: IntArray
) -> npt.NDArray[np.bool_]:
    """Tell where J(h) is within its noise, or fades with h as that of a Taylor polynomial does.

    Where f^(6) is the first to be left in J, J(h/2) is J(h) / 2^5; 2^FADING is asked for, twice.
    The first time noise must not make the difference.

    Args:
        points: the black box along the axes.
        exponents: the steps h = c 2^exponents.
        noise: the noise of one evaluation.
        rows: which of the coordinates of `points`.
    """
    looks = [_jump(points, exponents - k, noise, rows) for k in range(3)]
    size, unsure = [np.abs(jump) for jump, _ in looks], [error for _, error in looks]
    once = size[1] + unsure[1] <= size[0] / 2**FADING
    twice = size[2] <= size[1] / 2**FADING + 2 * unsure[2]
    return np.asarray((size[0] <= 2 * unsure[0]) | (once & twice))


def _jump(
    points: AxisPoints, exponents: IntArray, noise: Noise, rows: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return J(h) and the bound of its noise."""
    with np.errstate(all="ignore"):
        looks = [_second_difference(points, exponents + i, rows) for i in range(3)]
        S = [look[0] for look in looks]
        jump = (16 * S[0] - 10 * S[1] + S[2]) / 7
        growth = np.fmax.reduce([look[1] for look in looks])
        return jump, NOISE * noise.bound_at(growth) / points.steps(exponents, rows)


def _second_difference(
    points: AxisPoints, exponents: IntArray, rows: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return S(t) at t = c 2^exponents, and by how much |f| grew on the way."""
    right, t_right = points.rise(1, exponents, rows)
    left, t_left = points.rise(-1, exponents, rows)
    value = points.lines.value
    largest = np.fmax(np.abs(value + right), np.abs(value + left))
    return right / t_right - left / t_left, np.fmax(largest - abs(value), 0.0)


def _follow(
    points: AxisPoints, exponent: int, noise: Noise, row: int, jump: float
) -> tuple[int, int | None]:
    """Follow a suspected jump down; return how often it was seen again, and where it was lost."""
    seen = 0
    e = exponent - DESCENT
    while _moves(points, row, e):
        smaller, uncertainty = _jump(points, np.array([e]), noise, np.array([row]))
        if not float(uncertainty[0]) < abs(jump) / 4:
            break
        if not 1 / 2 <= float(smaller[0]) / jump <= 4:
            return seen, e
        seen, jump = seen + 1, float(smaller[0])
        e -= DESCENT
    return seen, None


def _moves(points: AxisPoints, row: int, exponent: int) -> bool:
    """Tell whether 2^exponent is at least 32 ulps of x_j."""
    j = points.coordinates[row]
    lines = points.lines
    size = max(abs(float(lines.origin[j])), 2.0**-40 * lines.scale)
    return bool(2.0**exponent >= 32 * lines.machine_epsilon[j] * size)
