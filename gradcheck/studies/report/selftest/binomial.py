"""Exact confidence limits of a share.

Symbols: k successes in n independent trials of probability p; X the number of successes; 1 - alpha
the confidence. The limits of p are the solutions of

    P(X >= k | p_low) = alpha / 2,     p_low = 0 for k = 0
    P(X <= k | p_high) = alpha / 2,    p_high = 1 for k = n

Whatever p is, the limits hold it between them with a probability of 1 - alpha at least.

Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in
the case of the binomial", Biometrika 26 (1934), 404-413.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb, fsum

CONFIDENCE = 0.95

HALVINGS = 60
"""Of the interval [0, 1], which leave less than the spacing of the floats near 1."""


def limits(k: int, n: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return p_low and p_high.

    Args:
        k: successes.
        n: trials.
        confidence: 1 - alpha.

    Raises:
        ValueError: no trial, k outside 0..n, or a confidence outside (0, 1).

    >>> low, high = limits(0, 10)
    >>> low, round(high, 4)
    (0.0, 0.3085)
    """
    if n < 1 or not 0 <= k <= n:
        raise ValueError(f"k={k} of n={n}: k must be in 0..n, n at least 1")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} must be between 0 and 1")
    alpha = 1 - confidence
    low = 0.0 if k == 0 else _solve(lambda p: at_least(k, n, p) - alpha / 2)
    high = 1.0 if k == n else _solve(lambda p: alpha / 2 - (1 - at_least(k + 1, n, p)))
    return low, high


def at_least(k: int, n: int, p: float) -> float:
    """Return P(X >= k | p) = sum over i = k..n of C(n, i) p^i (1 - p)^(n - i)."""
    return fsum(comb(n, i) * p**i * (1 - p) ** (n - i) for i in range(k, n + 1))


def _solve(rising: Callable[[float], float]) -> float:
    """Return where a function that rises from below 0 to above 0 on [0, 1] is 0."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
