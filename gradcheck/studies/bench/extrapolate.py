"""What a check would take on larger networks.

Who differentiates every coordinate by passes of its own takes passes in proportion to N; the
seconds of one pass are measured on the larger network. `predicted` only decides what is run.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log

STEEPEST = 2.0
"""No check costs more than N passes of N flops each, up to a factor."""
LEAST = 1.4
"""Measured from 1e4 to 1e5 weights, where a forward pass of numpy begins to grow."""

Point = tuple[int, float]


def extrapolated(points: Sequence[Point], N: int) -> float | None:
    """Return y at N in proportion to the last point, None if there is none.

    >>> extrapolated([(10, 2.0), (100, 20.0)], 1000)
    200.0
    """
    return points[-1][1] * N / points[-1][0] if points else None


def predicted(points: Sequence[Point], N: int, *, every_coordinate: bool) -> float:
    """Return the seconds to be expected at N, from the last two points; 0 if nothing is known.

    N passes grow as N, and each of them grows too once its arithmetic takes longer than its
    calls: as the exponent rises with N, that of the last two points is raised to `LEAST`.

    >>> predicted([(10, 1.0), (100, 100.0)], 1000, every_coordinate=True)
    10000.0
    """
    if not points:
        return 0.0
    slopes = [log(t2 / t1) / log(N2 / N1) for (N1, t1), (N2, t2) in pairwise(points[-2:])]
    least = LEAST if every_coordinate else 0.0
    exponent = min(STEEPEST, max(least, *slopes)) if slopes else max(least, 1.0)
    last, seconds = points[-1]
    return float(seconds * (N / last) ** exponent)
