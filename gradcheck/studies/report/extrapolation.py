r"""Foretells the seconds of many passes from a sample of them, with the error of that model.

Symbols: a sample of B blocks, t_b the seconds of a pass in block b, mean t, standard deviation s.
For n passes

    T^ = n t,   e = s / (t sqrt(B))          relative standard error of the sample

While a sample is taken a machine has one load; a run to the end meets others. What that does shows
in k other networks that were sampled in the same way and then run to the end, in T_i:

    d_i = log(T_i / T^_i),   i = 1..k,   mean d, standard deviation s_d

T is foretold with 95 % confidence, q_nu being Student's quantile, to lie in

    log T = log T^ + d  +-  sqrt((q_{k-1} s_d)^2 (1 + 1/k) + (q_{B-1} e)^2)

the interval for one more observation (Draper and Smith 1998, section 3.1), widened by the sample's
own error. The standard error alone, log T^ +- q_{B-1} e, knows nothing of the first term.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import exp, log, sqrt
from typing import Any

import numpy as np

from gradcheck.studies.report.student import student


@dataclass(frozen=True)
class Foretold:
    """Seconds as they are foretold, with both ends of a 95 % interval.

    Attributes:
        seconds: the middle.
        low, high: the ends; None where fewer than two networks were run to the end.
    """

    seconds: float
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """Return the numbers as JSON has them."""
        return asdict(self)

    def holds(self, taken: float) -> bool:
        """Whether so many seconds lie in the interval."""
        return self.low is not None and self.high is not None and self.low <= taken <= self.high


@dataclass(frozen=True)
class Sample:
    """Seconds of a pass, one number a block."""

    seconds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean seconds of a pass, t."""
        return float(np.mean(self.seconds))

    @property
    def error(self) -> float:
        """The half width of the 95 % interval of the mean, relative to it: q_{B-1} e."""
        B = len(self.seconds)
        if B < 2:
            return 0.0
        return student(B - 1) * float(np.std(self.seconds, ddof=1)) / self.mean / sqrt(B)

    def missed(self, passes: int, taken: float) -> float:
        """Return d = log(T / T^) of a run to the end."""
        return log(taken / (passes * self.mean))

    def foretell(self, passes: int, missed: Sequence[float]) -> Foretold:
        """Extrapolate to so many passes.

        Args:
            passes: n.
            missed: d_i of other networks.
        """
        T, k = passes * self.mean, len(missed)
        if k < 2:
            return Foretold(T, None, None)
        model = student(k - 1) * float(np.std(missed, ddof=1)) * sqrt(1 + 1 / k)
        half, middle = sqrt(model**2 + self.error**2), T * exp(float(np.mean(missed)))
        return Foretold(middle, middle * exp(-half), middle * exp(half))

    def alone(self, passes: int) -> Foretold:
        """Extrapolate with the standard error of the sample alone."""
        T = passes * self.mean
        return Foretold(T, T * exp(-self.error), T * exp(self.error))
