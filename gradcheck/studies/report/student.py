r"""Student's quantiles for whole degrees of freedom.

With c = cos theta, s = sin theta, theta = arctan(t / sqrt(nu)), A(t) = P(|T| < t) is

    nu odd    2/pi (theta + s (c + 2/3 c^3 + ... + 2 4 ... (nu-3) / 3 5 ... (nu-2) c^(nu-2)))
    nu even   s (1 + 1/2 c^2 + ... + 1 3 ... (nu-3) / 2 4 ... (nu-2) c^(nu-2))

(Abramowitz and Stegun 1964, 26.7.3 and 26.7.4), which grows with theta: the quantile is found by
halving.
"""

from __future__ import annotations

from functools import cache
from math import cos, pi, sin, sqrt, tan

HALVINGS = 60
"""Of the range of theta, to the last bit of a float64 number."""


@cache
def student(nu: int, confidence: float = 0.95) -> float:
    """Return the t that |T| stays below with that probability.

    Args:
        nu: degrees of freedom, at least 1.
        confidence: a probability.

    >>> round(student(4), 3), round(student(19), 3), round(student(1), 2)
    (2.776, 2.093, 12.71)
    """
    if nu < 1:
        raise ValueError(f"nu={nu} must be at least 1")
    low, high = 0.0, pi / 2
    for _ in range(HALVINGS):
        theta = (low + high) / 2
        low, high = (theta, high) if _within(theta, nu) < confidence else (low, theta)
    return sqrt(nu) * tan(low)


def _within(theta: float, nu: int) -> float:
    """Return A at t = sqrt(nu) tan theta."""
    odd = nu % 2
    term, total = (cos(theta) if odd else 1.0), 0.0
    for i in range((nu - odd) // 2):
        total += term
        term *= cos(theta) ** 2 * (2 * i + 1 + odd) / (2 * i + 2 + odd)
    return (2 * (theta + sin(theta) * total) / pi) if odd else sin(theta) * total
