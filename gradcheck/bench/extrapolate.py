"""What a check would take on larger networks: the power law of its last three sizes.

t(N) = C N^s,  s by least squares of log t on log N
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import log

from gradcheck.report.fits import PowerLaw, fit_power_law

POINTS = 3
STEEPEST = 2.0
"""No check costs more than N passes of N flops each, up to a factor."""
LEAST = 1.4
"""Measured from 1e4 to 1e5 weights, where a forward pass of numpy begins to grow."""

Point = tuple[int, float]


def law_of(points: Sequence[Point]) -> PowerLaw | None:
    """Fit the last three points (N, y); None if there are fewer."""
    if len(points) < POINTS:
        return None
    x, y = zip(*points[-POINTS:], strict=True)
    return fit_power_law(x, y)


def extrapolated(points: Sequence[Point], N: int) -> float | None:
    """Return y at N by the power law of the last three points, None if there are fewer.

    >>> round(extrapolated([(10, 2.0), (100, 20.0), (1000, 200.0)], 10**5), 6)
    20000.0
    """
    law = law_of(points)
    return None if law is None else float(law.factor * N**law.exponent)


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
