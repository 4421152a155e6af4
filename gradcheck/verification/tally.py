"""Many findings of one property, counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isnan
from statistics import median

from gradcheck.verification.findings import (
    COUNTED,
    FAIL,
    INCONCLUSIVE,
    KNOWN,
    PASS,
    UNSUPPORTED,
    Finding,
    Witness,
)


@dataclass(frozen=True)
class Entry:
    """One finding and the problem it was made on.

    Attributes:
        token: the problem.
        strata: which stratum of each kind it belongs to; empty for a problem that is no case.
        finding: what was found.
        seconds: this finding's part of the problem's time, in equal parts.
    """

    token: str
    strata: Mapping[str, str]
    finding: Finding
    seconds: float


@dataclass(frozen=True)
class Why:
    """Why some problems were not decided.

    Attributes:
        reason: as a name.
        count: how many problems.
        detail: the first one's sentence.
        token: the first one.
    """

    reason: str
    count: int
    detail: str
    token: str


@dataclass(frozen=True)
class Tally:
    """What was found of one property, over all problems or over those of one stratum.

    Attributes:
        problems: how many.
        verdicts: how many of each verdict.
        coordinates: how many of each kind.
        failed: the problems that FAIL.
        worst: the problem with the largest |deviation| / allowance, where any was compared.
        seen: median and largest over the PASSes of the smallest relative error that would have
            been seen; None where nothing passed.
        inconclusive, unsupported: why, the most frequent reason first.
        known: the entries of known failures, the one with most problems first.
        forward_passes, backward_passes, seconds: what it cost.
    """

    problems: int
    verdicts: Mapping[str, int]
    coordinates: Mapping[str, int]
    failed: tuple[Witness, ...]
    worst: Witness | None
    seen: tuple[float, float] | None
    inconclusive: tuple[Why, ...]
    unsupported: tuple[Why, ...]
    known: tuple[Why, ...]
    forward_passes: int
    backward_passes: int
    seconds: float

    @property
    def worst_times(self) -> float:
        """The largest |deviation| / allowance, or NaN."""
        at = self.worst and self.worst.finding.worst
        return at.times if at else float("nan")


def tally(entries: Sequence[Entry]) -> Tally:
    """Count the findings of one property."""
    findings = [entry.finding for entry in entries]
    verdicts = Counter(finding.verdict for finding in findings)
    coordinates: Counter[str] = Counter()
    for finding in findings:
        coordinates.update(finding.counts)
    witnesses = [Witness(entry.token, entry.finding) for entry in entries]
    return Tally(
        problems=len(entries),
        verdicts={verdict: verdicts[verdict] for verdict in COUNTED},
        coordinates=dict(coordinates),
        failed=tuple(w for w in witnesses if w.finding.verdict == FAIL),
        worst=worst_of(witnesses),
        seen=_seen(findings),
        inconclusive=_why(w for w in witnesses if w.finding.verdict == INCONCLUSIVE),
        unsupported=_why(w for w in witnesses if w.finding.verdict == UNSUPPORTED),
        known=_why(w for w in witnesses if w.finding.verdict == KNOWN),
        forward_passes=sum(finding.forward_passes for finding in findings),
        backward_passes=sum(finding.backward_passes for finding in findings),
        seconds=sum(entry.seconds for entry in entries),
    )


def worst_of(witnesses: Iterable[Witness]) -> Witness | None:
    """Return the problem with the largest |deviation| / allowance; NaN is larger than any."""

    def times(witness: Witness) -> float:
        at = witness.finding.worst
        return -inf if at is None else inf if isnan(at.times) else at.times

    worst = max(witnesses, key=times, default=None)
    return worst if worst is not None and worst.finding.worst is not None else None


def _seen(findings: Sequence[Finding]) -> tuple[float, float] | None:
    seen = [f.resolution for f in findings if f.verdict == PASS and not isnan(f.resolution)]
    return (median(seen), max(seen)) if seen else None


def _why(witnesses: Iterable[Witness]) -> tuple[Why, ...]:
    """Count problems by reason; an UNSUPPORTED one has its reason in words, in `detail`.

    The reason of a KNOWN one is its entry.
    """
    groups: dict[str, list[Witness]] = {}
    for witness in witnesses:
        finding = witness.finding
        unsupported = finding.verdict == UNSUPPORTED
        reason = finding.detail if unsupported and finding.detail else finding.reason
        reason = finding.known or reason
        groups.setdefault(reason or "no reason given", []).append(witness)
    every = [Why(r, len(ws), ws[0].finding.detail, ws[0].token) for r, ws in groups.items()]
    return tuple(sorted(every, key=lambda why: (-why.count, why.reason)))
