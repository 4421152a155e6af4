r"""Kinks: points where the slope jumps, so that there is no derivative to report.

Symbols: S(t) = [f(x+t) - 2 f(x) + f(x-t)] / t, the right slope minus the left one over t.

A smooth f has S(t) = f'' t + f'''' t^3 / 12 + ..., a kink at x leaves S(t) -> J != 0. From three
steps the first two smooth terms are eliminated:

    J(h) = (16 S(h) - 10 S(2h) + S(4h)) / 7,     |noise in J| <= (64 + 20 + 1) / 7 eps_f / h

(each S(kh) carries at most 4 eps_f / (k h)). A J that stands out of its noise is a suspicion.
It is believed when it persists, within a factor 2, at h/8, h/64, ... for as long as the noise
there would let a jump of that size be seen; a smooth f has lost it by then. A suspicion that
cannot be followed even once is no verdict: the derivative is then unsure by J/2.
"""

from __future__ import annotations

import numpy as np

from gradcheck.oracles.lines import FloatArray, IntArray
from gradcheck.oracles.points import AxisPoints

NOISE = 85 / 7
"""The noise constant of J(h), in eps_f / h."""

DESCENT = 3
"""Each look goes down by 2^3."""


def slope_jumps(
    points: AxisPoints, exponents: IntArray, eps_f: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Look for kinks at x along every axis.

    Args:
        points: the black box along the axes.
        exponents: the steps h = 2^exponents of the derivative estimate.
        eps_f: noise bound of one evaluation there.

    Returns:
        The jump J of the slope where a kink is established, else 0; and |J| where one is
        suspected but could be neither established nor ruled out, else 0.
    """
    jump, noise = _jump(points, exponents, eps_f, np.arange(len(exponents)))
    suspects = np.flatnonzero(np.abs(jump) > 2 * noise)
    established = np.zeros(len(exponents))
    uncertain = np.zeros(len(exponents))
    for i in suspects.tolist():
        persists = _persists(points, int(exponents[i]), float(eps_f[i]), i, float(jump[i]))
        if persists is None:
            uncertain[i] = abs(jump[i])
        elif persists:
            established[i] = jump[i]
    return established, uncertain


def _jump(
    points: AxisPoints, exponents: IntArray, eps_f: FloatArray, rows: IntArray
) -> tuple[FloatArray, FloatArray]:
    """Return J(h) and the bound of its noise."""
    with np.errstate(all="ignore"):
        S = [_second_difference(points, exponents + i, rows) for i in range(3)]
        jump = (16 * S[0] - 10 * S[1] + S[2]) / 7
        return jump, NOISE * eps_f / np.exp2(exponents)


def _second_difference(points: AxisPoints, exponents: IntArray, rows: IntArray) -> FloatArray:
    right, t_right = points.rise(1, exponents, rows)
    left, t_left = points.rise(-1, exponents, rows)
    return right / t_right - left / t_left


def _persists(
    points: AxisPoints, exponent: int, eps_f: float, row: int, jump: float
) -> bool | None:
    """Follow a suspected jump to smaller steps: True, False, or None where none can be seen."""
    answer: bool | None = None
    e = exponent - DESCENT
    while NOISE * eps_f / 2.0**e < abs(jump) / 4 and _moves(points, row, e):
        smaller, _ = _jump(points, np.array([e]), np.array([eps_f]), np.array([row]))
        if not abs(float(smaller[0]) - jump) <= abs(jump) / 2:
            return False
        answer = True
        e -= DESCENT
    return answer


def _moves(points: AxisPoints, row: int, exponent: int) -> bool:
    """Tell whether x_j can be moved by 2^exponent to within an eighth of it."""
    j = points.coordinates[row]
    lines = points.lines
    return bool(2.0**exponent >= 4 * lines.machine_epsilon[j] * abs(lines.origin[j]))
