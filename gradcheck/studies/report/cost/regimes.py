r"""How the time of differences grows with N, in two regimes, from what was run to the end alone.

One forward pass takes calls, whatever N, and arithmetic on every weight:

    t(N) = t_0 + t_1 N          t_0, t_1 by least squares of the relative errors of t

Below N* = t_0 / t_1 calls take more of it, above arithmetic does. N + 1 passes take (N + 1) t(N),
whose exponent d log T / d log N = 1 + N / (N + N*) goes from 1 to 2: there is no one exponent for
all N. It is fitted below and above N*, and stands beside that of (N + 1) t(N) at the same N.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gradcheck.studies.report.fits import fit_power_law

POINTS = 3
"""Fewer points have no slope with an error."""

Point = tuple[int, float]


class Pass(NamedTuple):
    """Seconds of one forward pass: t_0 of calls, t_1 for every weight."""

    call: float
    weight: float

    @property
    def change(self) -> float | None:
        """N*, where both take as long; None where one of them was not seen."""
        return self.call / self.weight if min(self.call, self.weight) > 0 else None

    def seconds(self, N: int) -> float:
        """Return t(N)."""
        return self.call + self.weight * N


def fit_pass(points: Sequence[Point]) -> Pass:
    """Fit t_0 and t_1 to the seconds of one pass at several N."""
    N, t = (np.array(column, dtype=float) for column in zip(*points, strict=True))
    # t_0 / t + t_1 N / t = 1 in every row: relative errors
    (call, weight), *_ = np.linalg.lstsq(np.stack([1 / t, N / t], axis=1), np.ones(len(t)))
    return Pass(float(call), float(weight))


def growth(one: Pass, points: Sequence[Point]) -> dict[str, Any]:
    """Fit the exponent of the time of all differences, below N* and above.

    Args:
        one: the fit of one pass.
        points: (N, seconds) of what was run to the end.
    """
    change = np.inf if one.change is None else one.change
    return {
        "call": one.call,
        "weight": one.weight,
        "change": one.change,
        "below": _law([(N, T) for N, T in points if change >= N], one),
        "above": _law([(N, T) for N, T in points if change < N], one),
    }


def _law(points: Sequence[Point], one: Pass) -> dict[str, Any]:
    N = [n for n, _ in points]
    law = {"points": len(N), "from": min(N, default=None), "to": max(N, default=None)}
    if len(N) < POINTS:
        return {**law, "exponent": None, "standard_error": None, "model": None}
    fitted = fit_power_law(N, [T for _, T in points])
    model = None
    if one.change is not None:
        model = fit_power_law(N, [(n + 1) * one.seconds(n) for n in N]).exponent
    return {
        **law,
        "exponent": fitted.exponent,
        "standard_error": fitted.standard_error,
        "model": model,
    }
