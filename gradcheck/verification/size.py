"""How large an error is: what shrinking must keep, and what decides which of two is the worse.

Symbols: g the engine's value of the worst coordinate, D the one it is held to, A the allowance.

    error    |g - D| / max(|g|, |D|), between 0 and 2: the same for a factor r and for 1 / r
    times    |g - D| / A: how far beyond what rounding can explain

A wrong formula has an error of a certain size; the sizes of a network change it by small factors (a
lost 1/m: 0.998 where m = 504, 0.5 where m = 2), never by decades, and an error that is decades
smaller on a smaller network shows another thing: that of an epsilon of 1e-7 is 1e-7 where a is
1/2, and 1 where a is 1e-7. So an error has kept its size if it is a tenth at least. How far it is
beyond rounding depends on the format, and on what cancels in the problem: of these decades half
must be left, of as many as float64 has at most.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from math import floor, inf, isfinite, isnan, log10, sqrt

from gradcheck.verification.failing import Failing
from gradcheck.verification.findings import Coordinate

GROSS = 0.1
"""An error of this size or more is as gross as any."""

MOST_TIMES = 1 / sys.float_info.epsilon

PROPERTIES = ("agreement", "consistency")


@dataclass(frozen=True)
class Size:
    """How wrong a problem is; what cannot be compared is as wrong as can be."""

    error: float = inf
    times: float = inf

    @property
    def decade(self) -> float:
        """The decade of the error; all gross errors are of one decade."""
        if self.error >= GROSS:
            return 0.0 if isfinite(self.error) else 1.0
        return floor(log10(self.error)) if self.error > 0 else -inf

    @property
    def order(self) -> tuple[float, float]:
        """What is larger for the worse of two."""
        return self.decade, self.times

    def is_kept_from(self, other: Size) -> bool:
        """Whether this error is of the size of another one, or larger."""
        if not isfinite(other.error):
            return True
        times = sqrt(min(other.times, MOST_TIMES))
        return self.error >= min(other.error, 1.0) / 10 and self.times >= times


def size_at(at: Coordinate | None) -> Size:
    """Return the size of the error of a coordinate."""
    if at is None:
        return Size()
    largest = max(abs(at.engine), abs(at.oracle))
    if not isfinite(largest):
        return Size()
    off = abs(at.engine - at.oracle)
    times = inf if isnan(at.times) else at.times
    return Size(off / largest if largest else 0.0, times)


def size_of(one: Failing) -> Size:
    """Return how wrong a failing problem is."""
    return size_at(one.witness.finding.worst)


def worst_of(every: Iterable[Failing]) -> Failing:
    """Return the worst of some failing problems, the first of equals."""
    return max(every, key=lambda one: size_of(one).order)


def rank_of(name: str) -> tuple[int, str]:
    """Return what orders properties: agreement, consistency, the exact tests by name."""
    return (PROPERTIES.index(name) if name in PROPERTIES else len(PROPERTIES)), name
