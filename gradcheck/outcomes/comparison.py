"""Every coordinate of a gradient beside an oracle's, and the ones that differ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray
from gradcheck.outcomes.reasons import KIND_NAMES, RARE, Kind
from gradcheck.pytree import Structure


def one_sided(centre: float, half: float, jump: float) -> tuple[float, float]:
    """Return the slopes L and R at a kink; 0 for one that is 0 within its error.

    The interval centre +- half holds both with their errors: jump = R - L is shorter by these.

    >>> one_sided(0.5, 0.5 + 5e-9, 1.0 - 3e-9)[0]
    0.0
    """
    error = 2 * half - abs(jump)
    left, right = (centre + s * jump / 2 for s in (-1, 1))
    return (0.0 if abs(left) <= error else left), (0.0 if abs(right) <= error else right)


@dataclass(frozen=True)
class Discrepancy:
    """One coordinate whose two values differ by more than the allowance.

    Attributes:
        name: layer, parameter and index, such as ``W2[1,3]``.
        engine: the value under test.
        oracle: the value of the oracle.
        bound: the oracle's error bound.
        allowance: the largest deviation that correct rounding could explain.
        witness: where the oracle's value comes from: "differences" or "exact".
        jump: at a kink, the slope on the right less that on the left; else 0.
    """

    name: str
    engine: float
    oracle: float
    bound: float
    allowance: float
    witness: str = "differences"
    jump: float = 0.0

    @property
    def deviation(self) -> float:
        """Engine minus oracle."""
        return self.engine - self.oracle

    def __str__(self) -> str:
        return self.told()

    def told(self, *, with_times: bool = True) -> str:
        """Say what differs, and by how many allowances if asked to."""
        if self.jump:
            left, right = one_sided(self.oracle, self.bound, self.jump)
            return (
                f"{self.name}: engine {self.engine:.10g}, but f has a kink at x, with slope "
                f"{left:.6g} on the left and {right:.6g} on the right; outside of both"
            )
        digits = 10 if f"{self.engine:.10g}" != f"{self.oracle:.10g}" else 17
        times = f" ({self.times:.3g} times over)" if with_times else ""
        doubt = f" ± {self.bound:.1g}" if self.witness == "differences" else ""
        return (
            f"{self.name}: engine {self.engine:.{digits}g}, {self.witness} "
            f"{self.oracle:.{digits}g}{doubt}; off by {self.deviation:.3g}, "
            f"allowed {self.allowance:.1g}" + times
        )

    @property
    def times(self) -> float:
        """The deviation in allowances."""
        return abs(self.deviation) / self.allowance if self.allowance > 0 else np.inf


@dataclass(frozen=True)
class Comparison:
    """Every coordinate of a gradient beside the oracle's.

    Attributes:
        structure: the names of the coordinates.
        engine, oracle, bound, allowance: one entry a coordinate.
        kind: one `Kind` a coordinate.
        resolution: the power requirement that was asked for.
        witness: where the oracle's values come from: "differences" or "exact".
        directions: k of the screened coordinates, whose oracle is NaN and whose allowance is
            2 tau; 0 where none is screened.
        reach: how far every UNCHANGED coordinate was moved, at least.
        jump: the slope of f on the right less that on the left where f has a kink, whose oracle is
            the centre of the two and whose bound holds both; 0 elsewhere; None where there is none.
        rounding: r of judging.py, what is allowed besides to g that is right to many digits; None
            where nothing is.
    """

    structure: Structure
    engine: FloatArray
    oracle: FloatArray
    bound: FloatArray
    allowance: FloatArray
    kind: npt.NDArray[np.uint8]
    resolution: float
    witness: str = "differences"
    directions: int = 0
    reach: float = float("inf")
    jump: FloatArray | None = None
    rounding: FloatArray | None = None

    def counts(self) -> dict[str, int]:
        """Return how many coordinates are of each kind, by name; rare kinds if there are any."""
        numbers = np.bincount(self.kind, minlength=len(KIND_NAMES)).tolist()
        found = dict(zip(KIND_NAMES, numbers, strict=True))
        return {name: n for name, n in found.items() if n or name not in RARE}

    def smallest_error_seen(self) -> FloatArray:
        """Return (deviation + allowance) / |D| of the informative coordinates.

        A relative error above this in such a coordinate would not have passed: it is beyond the
        allowance, which FAILs, or ends INCONCLUSIVE where smaller steps do not confirm it; and
        beyond what rounding is allowed besides, which is no more than the resolution. Of the
        screened ones, 2 tau / |g| where that is at most the resolution: an error above it would
        have passed with a probability of at most 2^-k.
        """
        told = self.kind == Kind.INFORMATIVE
        error = (np.abs(self.engine - self.oracle) + self.allowance)[told]
        size = np.abs(self.oracle[told])
        if self.rounding is not None:
            besides = (self.bound + self.rounding)[told]
            error = np.maximum(error, np.minimum(besides, self.resolution * size))
        seen = np.divide(error, size, out=np.zeros_like(error), where=error > 0)
        g, allowance = np.abs(self.engine), self.allowance
        large = (self.kind == Kind.SCREENED) & (allowance <= self.resolution * g)
        return np.concatenate([seen, allowance[large] / g[large]])

    def discrepancies(self) -> tuple[Discrepancy, ...]:
        """Return the failed coordinates, the one furthest beyond its allowance first."""
        failed = np.flatnonzero(self.kind == Kind.FAILED)
        if not failed.size:
            return ()
        with np.errstate(all="ignore"):
            excess = np.abs(self.engine - self.oracle)[failed] / self.allowance[failed]
        order = np.argsort(-np.nan_to_num(excess, nan=np.inf), kind="stable")
        return tuple(self._discrepancy(int(j)) for j in failed[order])

    def first_of(self, kind: Kind) -> str:
        """Name the first coordinate of a kind."""
        return self.structure.name(int(np.flatnonzero(self.kind == kind)[0]))

    def _discrepancy(self, j: int) -> Discrepancy:
        return Discrepancy(
            self.structure.name(j),
            engine=float(self.engine[j]),
            oracle=float(self.oracle[j]),
            bound=float(self.bound[j]),
            allowance=float(self.allowance[j]),
            witness=self.witness,
            jump=0.0 if self.jump is None else float(self.jump[j]),
        )
