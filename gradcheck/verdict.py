"""Verdicts: the only place that compares a gradient with an oracle, and the only one that allows.

Symbols, for one coordinate: g the engine's number, D the oracle's, B the oracle's error bound,
u the unit roundoff of the engine's dtype.

    deviation  |g - D|
    allowance  B + u |g|          (the oracle's error, and the rounding that storing g takes)

The coordinate FAILs unless deviation <= allowance. One that does not fail is

    informative   allowance <= resolution |D|
    small         allowance <= resolution max |D| over its array: what could hide in it is
                  negligible beside its neighbours
    vacuous       otherwise: the comparison could not have failed by enough to matter

A vacuous comparison, a kink, a missing step or an exhausted budget is INCONCLUSIVE, never PASS.
`resolution` is a power requirement, the relative error that must not go unseen. It never enters
the decision whether a coordinate fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum, IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradcheck.oracles.finite_difference import Estimate, Status
from gradcheck.structure import Structure

if TYPE_CHECKING:
    import pandas as pd

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.intp]

DEFAULT_RESOLUTION: Mapping[int, float] = MappingProxyType({2: 0.5, 4: 0.1, 8: 1e-6})
"""Power asked of finite differences by the item size of x's least precise array, in bytes:
what they reach on nine of ten coordinates of a mild sigmoid network."""


class Verdict(Enum):
    """What is said of a gradient."""

    PASS = "PASS"  # noqa: S105 - a verdict, not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


class Reason(Enum):
    """Why a gradient did not pass; the text says what to do about it."""

    MISMATCH = "mismatch"
    NONFINITE = "nonfinite"
    SHAPE = "shape"
    DTYPE = "dtype"
    NONDETERMINISTIC = "nondeterministic"
    INPUT_CHANGED = "input_changed"
    ALIASED = "aliased"
    NOISE = "noise"
    NONDIFFERENTIABLE = "nondifferentiable"
    VACUOUS = "vacuous"
    BUDGET = "budget"
    REFERENCE = "reference"


class Kind(IntEnum):
    """What the comparison of one coordinate was worth."""

    FAILED = 0
    INFORMATIVE = 1
    SMALL = 2
    VACUOUS = 3
    KINK = 4
    NOISY = 5
    NOT_EVALUATED = 6


INCONCLUSIVE_KINDS: Mapping[Kind, Reason] = MappingProxyType(
    {
        Kind.KINK: Reason.NONDIFFERENTIABLE,
        Kind.NOISY: Reason.NOISE,
        Kind.NOT_EVALUATED: Reason.BUDGET,
        Kind.VACUOUS: Reason.VACUOUS,
    }
)

ADVICE: Mapping[Reason, str] = MappingProxyType(
    {
        Reason.NONDIFFERENTIABLE: "the slope of f jumps there, so no gradient is right or wrong; "
        "move x off the kink",
        Reason.NOISE: "no step lets differences of f agree with each other: f jumps, or its noise "
        "is larger than was estimated; pass noise=, the absolute error of one evaluation of f",
        Reason.BUDGET: "the forward passes ran out; raise budget=",
        Reason.VACUOUS: "the error bound is wider than the resolution asked for; move x to where "
        "these gradients are not negligible, evaluate f more accurately, or ask for less "
        "with resolution=",
    }
)


@dataclass(frozen=True)
class Discrepancy:
    """One coordinate whose two values differ by more than the allowance.

    Attributes:
        name: layer, parameter and index, such as ``W2[1,3]``.
        engine: the value under test.
        oracle: the value of the oracle.
        bound: the oracle's error bound.
        allowance: the largest deviation that correct rounding could explain.
    """

    name: str
    engine: float
    oracle: float
    bound: float
    allowance: float

    @property
    def deviation(self) -> float:
        """Engine minus oracle."""
        return self.engine - self.oracle

    def __str__(self) -> str:
        times = abs(self.deviation) / self.allowance if self.allowance > 0 else np.inf
        return (
            f"{self.name}: engine {self.engine:.10g}, differences {self.oracle:.10g} "
            f"± {self.bound:.1g}; off by {self.deviation:.3g}, allowed {self.allowance:.1g} "
            f"({times:.3g} times over)"
        )


@dataclass(frozen=True)
class Comparison:
    """Every coordinate of a gradient beside the oracle's.

    Attributes:
        structure: the names of the coordinates.
        engine, oracle, bound, allowance: one entry a coordinate.
        kind: one `Kind` a coordinate.
        resolution: the power requirement that was asked for.
    """

    structure: Structure
    engine: FloatArray
    oracle: FloatArray
    bound: FloatArray
    allowance: FloatArray
    kind: npt.NDArray[np.uint8]
    resolution: float

    def counts(self) -> dict[str, int]:
        """Return how many coordinates are of each kind, by name."""
        return {kind.name.lower(): int(np.sum(self.kind == kind)) for kind in Kind}

    def smallest_error_seen(self) -> FloatArray:
        """Return (deviation + allowance) / |D| of the informative coordinates.

        A relative error above this in such a coordinate would not have passed: it is beyond the
        allowance, which FAILs, or ends INCONCLUSIVE where smaller steps do not confirm it.
        """
        told = self.kind == Kind.INFORMATIVE
        error = (np.abs(self.engine - self.oracle) + self.allowance)[told]
        size = np.abs(self.oracle[told])
        return np.asarray(np.divide(error, size, out=np.zeros_like(error), where=error > 0))

    def discrepancies(self) -> tuple[Discrepancy, ...]:
        """Return the failed coordinates, the one furthest beyond its allowance first."""
        failed = np.flatnonzero(self.kind == Kind.FAILED)
        with np.errstate(divide="ignore", invalid="ignore"):
            excess = np.abs(self.engine - self.oracle)[failed] / self.allowance[failed]
        order = np.argsort(-np.nan_to_num(excess, nan=np.inf), kind="stable")
        return tuple(self._discrepancy(int(j)) for j in failed[order])

    def first_of(self, kind: Kind) -> str:
        """Name the first coordinate of a kind."""
        return self.structure.name(int(np.flatnonzero(self.kind == kind)[0]))

    def _discrepancy(self, j: int) -> Discrepancy:
        numbers = (self.engine[j], self.oracle[j], self.bound[j], self.allowance[j])
        return Discrepancy(self.structure.name(j), *(float(number) for number in numbers))


def compare(
    structure: Structure, gradient: FloatArray, estimate: Estimate, *, resolution: float
) -> Comparison:
    """Compare a gradient with an oracle's estimate, coordinate by coordinate.

    Args:
        structure: names and dtypes of the coordinates.
        gradient: the engine's gradient as one vector.
        estimate: the oracle's.
        resolution: the power requirement.
    """
    u = np.concatenate(
        [np.full(leaf.size, np.finfo(leaf.dtype).eps / 2) for leaf in structure.leaves]
        or [np.empty(0)]
    )
    with np.errstate(invalid="ignore", over="ignore"):
        deviation = np.abs(gradient - estimate.value)
        allowance = estimate.bound + u * np.abs(gradient)
        agrees = np.isfinite(gradient) & (deviation <= allowance)
        size = np.where(estimate.status == Status.RESOLVED, np.abs(estimate.value), 0.0)
        largest = np.zeros(len(size))
        for leaf in structure.leaves:
            largest[leaf.start : leaf.stop] = size[leaf.start : leaf.stop].max(initial=0.0)
        kind = np.full(len(size), Kind.VACUOUS, dtype=np.uint8)
        kind[allowance <= resolution * largest] = Kind.SMALL
        kind[allowance <= resolution * size] = Kind.INFORMATIVE
    kind[~agrees] = Kind.FAILED
    kind[estimate.status == Status.KINK] = Kind.KINK
    unknown = ~np.isfinite(estimate.value) | np.isnan(estimate.bound)
    kind[(estimate.status == Status.NO_STEP) | unknown] = Kind.NOISY
    kind[estimate.status == Status.NOT_EVALUATED] = Kind.NOT_EVALUATED
    return Comparison(
        structure, gradient, estimate.value, estimate.bound, allowance, kind, resolution
    )


def beside_their_row(comparison: Comparison, outputs: int) -> Comparison:
    """Judge exact zeros beside everything that their output depends on.

    An output that does not depend on an array of x has a block of zeros there, without a
    neighbour to be small beside. Where engine and oracle are both exactly 0 (f did not change by
    a bit), a vacuous coordinate is SMALL if allowance <= resolution max |D| over its output.

    Args:
        comparison: that of `outputs` outputs, one after the other, each with as many coordinates.
        outputs: how many.
    """
    c = comparison
    size = np.where(np.isin(c.kind, (Kind.INFORMATIVE, Kind.SMALL)), np.abs(c.oracle), 0.0)
    largest = size.reshape(outputs, -1).max(axis=1, initial=0.0) if outputs else size
    row = np.repeat(largest, c.structure.size // max(outputs, 1))
    zero = (c.kind == Kind.VACUOUS) & (c.engine == 0) & (c.oracle == 0)
    small = zero & (c.allowance <= c.resolution * row)
    return replace(c, kind=np.where(small, np.uint8(Kind.SMALL), c.kind))


def contested(comparison: Comparison, opinions: list[Estimate]) -> IntArray:
    """Return the failed coordinates that some opinion does not accuse.

    They are neither wrong nor right: the steps do not agree on them.

    Args:
        comparison: the comparison whose failed coordinates were looked at again.
        opinions: estimates at smaller steps, one entry a failed coordinate, in their order.
    """
    failed = np.flatnonzero(comparison.kind == Kind.FAILED)
    g = comparison.engine[failed]
    accused = np.ones(len(failed), dtype=bool)
    for opinion in opinions:
        known = np.isfinite(opinion.value) & np.isfinite(opinion.bound)
        with np.errstate(invalid="ignore", over="ignore"):
            accused &= known & ~(np.abs(g - opinion.value) <= opinion.bound)
    return failed[~accused]


@dataclass(frozen=True)
class Outcome:
    """What a check found, what it rests on, and what it cost.

    Attributes:
        verdict: PASS, FAIL or INCONCLUSIVE.
        reason: why not PASS; None on PASS.
        detail: the reason in one sentence.
        discrepancies: the failed coordinates, worst first.
        resolution: on PASS, the largest relative error that could have gone unseen in an
            informative coordinate; else the power requirement asked for.
        counts: coordinates by kind: failed, informative, small, vacuous, kink, noisy,
            not_evaluated.
        forward_passes, backward_passes: what it cost.
        diagnosis: the likely mistake, or "".
        notes: what was seen besides.
        repeat: the line that repeats the check.
        comparison: every coordinate, or None where none could be compared.
    """

    verdict: Verdict
    reason: Reason | None
    detail: str
    discrepancies: tuple[Discrepancy, ...] = ()
    resolution: float = float("nan")
    counts: Mapping[str, int] = field(default_factory=dict)
    forward_passes: int = 0
    backward_passes: int = 0
    diagnosis: str = ""
    notes: tuple[str, ...] = ()
    repeat: str = ""
    comparison: Comparison | None = None

    def to_frame(self) -> pd.DataFrame:
        """Return one row a coordinate: name, both values, bound, allowance and kind."""
        import pandas as pd  # noqa: PLC0415 - loaded when first used, so that importing is cheap

        if self.comparison is None:
            return pd.DataFrame(columns=["name", "engine", "oracle", "bound", "allowance", "kind"])
        c = self.comparison
        return pd.DataFrame(
            {
                "name": [c.structure.name(j) for j in range(c.structure.size)],
                "engine": c.engine,
                "oracle": c.oracle,
                "bound": c.bound,
                "allowance": c.allowance,
                "kind": [Kind(k).name.lower() for k in c.kind],
            }
        )

    def __str__(self) -> str:
        title = self.verdict.value + (f" ({self.reason.value})" if self.reason else "")
        lines = [f"{title}: {self.detail}"]
        shown = self.discrepancies[:10]
        lines += [f"  {d}" for d in shown]
        if len(self.discrepancies) > len(shown):
            lines.append(f"  ... and {len(self.discrepancies) - len(shown)} more (to_frame())")
        if self.diagnosis:
            lines.append(f"likely cause: {self.diagnosis}")
        if self.counts:
            told = ", ".join(f"{n} {k.replace('_', ' ')}" for k, n in self.counts.items() if n)
            lines.append(f"coordinates: {told}")
        lines.append(
            f"cost: {self.forward_passes} forward and {self.backward_passes} backward passes"
        )
        lines += [f"note: {note}" for note in self.notes]
        if self.repeat:
            lines.append(f"repeat: {self.repeat}")
        return "\n".join(lines)


def outcome_of(comparison: Comparison, *, diagnosis: str = "") -> Outcome:
    """Turn a comparison into the verdict on the whole gradient.

    FAIL if any coordinate fails; PASS if none fails and every one is informative or small; else
    INCONCLUSIVE. A gradient without coordinates is INCONCLUSIVE.
    """
    verdict, reason, detail = _decide(comparison)
    seen = comparison.smallest_error_seen()
    return Outcome(
        verdict,
        reason,
        detail,
        discrepancies=comparison.discrepancies(),
        resolution=float(seen.max()) if verdict is Verdict.PASS else comparison.resolution,
        counts=comparison.counts(),
        diagnosis=diagnosis,
        comparison=comparison,
    )


def _decide(comparison: Comparison) -> tuple[Verdict, Reason | None, str]:
    counts, total = comparison.counts(), comparison.structure.size
    found = comparison.discrepancies()
    if found:
        detail = f"{len(found)} of {total} coordinates are wrong; the worst is {found[0].name}"
        return Verdict.FAIL, Reason.MISMATCH, detail
    for kind, reason in INCONCLUSIVE_KINDS.items():
        n = counts[kind.name.lower()]
        if n:
            where = comparison.first_of(kind)
            detail = f"{n} of {total} coordinates could not be decided, {where} first; "
            return Verdict.INCONCLUSIVE, reason, detail + ADVICE[reason]
    seen = comparison.smallest_error_seen()
    if not seen.size:
        return Verdict.INCONCLUSIVE, Reason.VACUOUS, "nothing was compared: x has no coordinates"
    detail = (
        f"{total} coordinates agree; an error above {seen.max():.1g} of an informative "
        f"coordinate (median {np.median(seen):.1g}) would not have passed"
    )
    return Verdict.PASS, None, detail
