"""Outcomes: the verdict on a whole gradient, and what it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcheck.arrays import FloatArray
from gradcheck.outcomes.comparison import Comparison, Discrepancy
from gradcheck.outcomes.reasons import (
    ADVICE,
    FLAT,
    GLOSSES,
    INCONCLUSIVE_KINDS,
    VACUOUS_AGREEMENT,
    Kind,
    Reason,
    Verdict,
)
from gradcheck.writing.extras import missing_extra

if TYPE_CHECKING:
    import pandas as pd


class Suspect(NamedTuple):
    """A mistake that would give the numbers of one problem.

    Attributes:
        place: the step that is wrong, as `gradcheck.diagnosis.formula` names it.
        layer: its layer; 0 for the whole answer.
        key: names the mistake, without layers and numbers.
        says: what is wrong, with layers and numbers.
        expected: the right equation.
    """

    place: str
    layer: int
    key: str
    says: str
    expected: str


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
        counts: coordinates by the name of their `Kind`; those of rare kinds if there are any.
        forward_passes, backward_passes: what it cost.
        model: the narrowest rounding model that explains the gradient, in agreement; else "".
        explanation: what else would compute this value, in agreement that fails; else "".
        diagnosis: the likely mistake, or "".
        suspects: every mistake that would give these numbers, the likeliest first.
        notes: what was seen besides.
        repeat: the line that repeats the check.
        comparison: every coordinate, or None where none could be compared.
        method: "every-coordinate" or "directional".
        miss_probability: 2^-k: of an error in the coordinates that were screened along k random
            directions; 0 where none was.
    """

    verdict: Verdict
    reason: Reason | None
    detail: str
    discrepancies: tuple[Discrepancy, ...] = ()
    resolution: float = float("nan")
    counts: Mapping[str, int] = field(default_factory=dict)
    forward_passes: int = 0
    backward_passes: int = 0
    model: str = ""
    explanation: str = ""
    diagnosis: str = ""
    suspects: tuple[Suspect, ...] = ()
    notes: tuple[str, ...] = ()
    repeat: str = ""
    comparison: Comparison | None = None
    method: str = "every-coordinate"
    miss_probability: float = 0.0

    def __bool__(self) -> bool:
        raise TypeError(
            "an Outcome is neither true nor false: use assert_gradient(f, gradient, x) in a test, "
            "or compare outcome.verdict with Verdict.PASS"
        )

    def to_frame(self) -> pd.DataFrame:
        """Return one row a coordinate: name, both values, bound, allowance and kind.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas as pd  # noqa: PLC0415 - an extra
        except ModuleNotFoundError as error:
            raise ImportError(missing_extra(error)) from error
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
        lines += [f"  {d.told(with_times=d is shown[0])}" for d in shown]
        if len(self.discrepancies) > len(shown):
            lines.append(f"  ... and {len(self.discrepancies) - len(shown)} more (to_frame())")
        if self.explanation:
            lines.append(f"explanation: {self.explanation}")
        if self.diagnosis not in ("", "unknown"):
            lines.append(f"likely cause: {self.diagnosis}")
        if self.counts:
            told = ", ".join(f"{n} {GLOSSES.get(k, k)}" for k, n in self.counts.items() if n)
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

    FAIL if any coordinate fails; INCONCLUSIVE if any is of `INCONCLUSIVE_KINDS`, or if there is
    none at all; else PASS.
    """
    counts, found = comparison.counts(), comparison.discrepancies()
    seen = comparison.smallest_error_seen()
    verdict, reason, detail = _decide(comparison, counts, found, seen)
    reached = float(seen.max(initial=0.0))
    return Outcome(
        verdict,
        reason,
        detail,
        discrepancies=found,
        resolution=reached if verdict is Verdict.PASS else comparison.resolution,
        counts=counts,
        diagnosis=diagnosis,
        comparison=comparison,
        miss_probability=2.0**-comparison.directions if comparison.directions else 0.0,
    )


def _decide(
    comparison: Comparison,
    counts: Mapping[str, int],
    found: tuple[Discrepancy, ...],
    seen: FloatArray,
) -> tuple[Verdict, Reason | None, str]:
    """Decide by the comparison's counts, discrepancies and smallest errors seen."""
    total = comparison.structure.size
    if found:
        detail = _wrong(found, counts, total)
        at_kinks = all(d.jump for d in found)
        return Verdict.FAIL, Reason.SUBGRADIENT if at_kinks else Reason.MISMATCH, detail
    for kind, reason in INCONCLUSIVE_KINDS.items():
        n = counts.get(kind.name.lower(), 0)
        if n:
            where = comparison.first_of(kind) + _seen_there(comparison, kind)
            detail = f"{n} of {total} coordinates could not be decided, {where} first; "
            advice = ADVICE[reason]
            if kind == Kind.VACUOUS:
                advice = _vacuous(comparison, all_of_them=n == total)
            return Verdict.INCONCLUSIVE, reason, detail + advice
    if not total:
        return Verdict.INCONCLUSIVE, Reason.VACUOUS, "nothing was compared: x has no coordinates"
    if comparison.directions:
        return Verdict.PASS, None, _agree_along_directions(comparison, seen)
    return Verdict.PASS, None, _agree(comparison, counts, seen)


def _wrong(found: tuple[Discrepancy, ...], counts: Mapping[str, int], total: int) -> str:
    """Say how many coordinates are wrong, and how many more may be."""
    others = counts.get("not_evaluated", 0)
    n = f"at least {len(found)}" if others or counts.get("screened") else str(len(found))
    detail = f"{n} of {total} coordinates are wrong; the worst is {found[0].name}"
    return detail + (f"; {others} were not compared, and may be wrong too" if others else "")


def _vacuous(comparison: Comparison, *, all_of_them: bool) -> str:
    """Say why nothing could be told, and what to do."""
    c = comparison
    if c.witness == "exact":
        return VACUOUS_AGREEMENT
    if all_of_them and not np.any(np.abs(c.oracle) > c.bound):
        return FLAT
    return ADVICE[Reason.VACUOUS]


def _seen_there(comparison: Comparison, kind: Kind) -> str:
    """Say what differences are worth at the first vacuous coordinate."""
    c = comparison
    if kind != Kind.VACUOUS or c.witness == "exact":
        return ""
    j = int(np.flatnonzero(c.kind == kind)[0])
    return f" ({c.oracle[j]:.2g} ± {c.bound[j]:.1g})" if np.isfinite(c.oracle[j]) else ""


def _agree(comparison: Comparison, counts: Mapping[str, int], seen: FloatArray) -> str:
    """Say that all coordinates agree, and what would have been seen."""
    total, still = comparison.structure.size, counts.get("unchanged", 0)
    reach = f"f does not change by a bit when x moves by up to {comparison.reach:.2g}"
    if still == total:
        return f"the derivatives by all {total} coordinates are exactly 0, and {reach}"
    if counts.get("exact", 0) == total:
        return f"{total} coordinates are the exact derivatives, bit for bit"
    kinks = counts.get("subgradient", 0)
    more = f"; along {still} of them {reach}" if still else ""
    if kinks:
        more += f"; at {kinks} of them, at kinks, any slope between those on both sides is allowed"
    if not seen.size:
        others = comparison.kind != Kind.SUBGRADIENT
        within = float(comparison.allowance[others].max(initial=0.0))
        which = "derivatives elsewhere" if more else "derivatives"
        zero = f": the {which} are 0 as far as {within:.1g} allows to see"
        return f"{total} coordinates agree" + (zero if kinks + still < total else "") + more
    return (
        f"{total} coordinates agree; an error above {seen.max():.1g} of an informative "
        f"coordinate (median {np.median(seen):.1g}) would not have passed{more}"
    )


def _agree_along_directions(comparison: Comparison, seen: FloatArray) -> str:
    k, n = comparison.directions, comparison.counts()["screened"]
    return (
        f"{n} of {comparison.structure.size} coordinates agree along {k} random directions of "
        f"their arrays, none is known by itself; an error above {seen.max():.1g} of a coordinate "
        f"that is not small beside its neighbours (median {np.median(seen):.1g}) has escaped with "
        f"probability at most 2^-{k} = {2.0**-k:.1g}"
    )
