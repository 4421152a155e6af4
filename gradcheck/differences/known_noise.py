r"""Differences of an f whose rounding is bounded in advance: what an accusation must survive.

Symbols: f^ = f + e the computed function, |e(x)| <= eps(x) known at every point x; D(h) a stencil
with noise constant C1; D(h), D(2h) and D(h/8) are evaluated at the points x + t e_j,
t in T = {k h, 2 k h, k h / 8} for the stencil's offsets k.

Noise that is estimated is seen where it shows. It does not where f^ is constant between two of
its jumps (log(1 - p), once p is one of the last numbers below 1) or constant throughout
(log p = 0, once p rounds to 1): there all differences agree with each other, at every small step,
and not with f'. With eps known,

    |D(h) - f'(x)| <= truncation + C1 max_{t in T} eps(x + t e_j) / h

holds whatever f^ looks like, and the step is searched for again with the level eps(x): large
enough to see f behind its rounding. Truncation is bounded as in finite_difference.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.finite_difference import EIGHTH, finite_difference
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise
from gradcheck.differences.stencils import CENTRAL_4, ON_ONE_SIDE, Stencil
from gradcheck.outcomes.estimate import Estimate, Status

Rounding: TypeAlias = Callable[[Any], float]
"""Takes a point like x, returns a bound of the rounding error of f there."""


def differentiate_again(
    lines: Lines,
    noise: Noise,
    rounding: Rounding,
    coordinates: IntArray,
    *,
    stencil: Stencil = CENTRAL_4,
) -> Estimate:
    """Differentiate f along some axes, its noise being what is known of its rounding.

    Args:
        lines: the black box at x.
        noise: as estimated; it counts where it is larger than what is known.
        rounding: bounds the rounding error of f at a point.
        coordinates: the axes.
        stencil: the formula.

    Returns:
        An estimate with one entry for each of `coordinates`, without a step (NO_STEP) where
        nothing is known of the rounding at x. Where the budget ran out, it is NOT_EVALUATED.
    """
    here = max(_at(lines, rounding, lines.origin), noise.level)
    if not np.isfinite(here):
        nothing = Estimate.empty(len(coordinates))
        nothing.status[:] = Status.NO_STEP
        return nothing
    known = replace(noise, level=here, bound=max(here, noise.bound))
    found = finite_difference(lines, known, coordinates=coordinates, stencil=stencil)
    part = found.part(coordinates)
    for i, j in enumerate(coordinates.tolist()):
        if part.status[i] == Status.RESOLVED:
            h = float(part.step[i])
            formula = ON_ONE_SIDE.get(int(lines.sides(coordinates[i : i + 1])[0]), stencil)
            most = max(_at(lines, rounding, p) for p in _points(lines, formula, j, h))
            part.bound[i] += float(formula.noise_constant) * max(most - known.bound, 0.0) / h
    return part


def _points(lines: Lines, stencil: Stencil, j: int, h: float) -> list[FloatArray]:
    """Return the points x + t e_j of the stencils that value and bound were made of."""
    points = []
    for t in {k * s for k in stencil.offsets if k for s in (h, 2 * h, h / 2**EIGHTH)}:
        point = lines.origin.copy()
        point[j] += t
        points.append(point)
    return points


def _at(lines: Lines, rounding: Rounding, point: FloatArray) -> float:
    try:
        lines.move_to(point)
        bound = float(rounding(lines.hand_out()))
    finally:
        lines.restore()
    return bound if bound >= 0 else np.inf  # a NaN bounds nothing
