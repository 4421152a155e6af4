"""What the log says of one problem: findings, as values with clean text and real numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.outcomes.outcome import Suspect
from gradcheck.outcomes.reasons import Reason
from gradcheck.verification.words import line

Record = Mapping[str, Any]

PASS, FAIL, INCONCLUSIVE, UNSUPPORTED = VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE", "UNSUPPORTED")
"""What the log knows."""

KNOWN = "KNOWN"
"""What a FAIL becomes that was declared beforehand."""

COUNTED = (PASS, FAIL, KNOWN, INCONCLUSIVE, UNSUPPORTED)
"""What findings are counted as."""


@dataclass(frozen=True)
class Coordinate:
    """The coordinate that is furthest beyond its allowance, or nearest to it.

    Attributes:
        name: layer, parameter and index, such as ``W2[1,3]``.
        engine, oracle: the value under test, and the value it is held to.
        bound: the error bound of the oracle's value.
        allowance: the largest deviation that correct rounding could explain.
        times: |engine - oracle| / allowance.
    """

    name: str
    engine: float
    oracle: float
    bound: float
    allowance: float
    times: float


@dataclass(frozen=True)
class Finding:
    """What was found of one property on one problem.

    Attributes:
        property: "agreement", "consistency", or "exact ..." with the name of the test.
        verdict: one of `COUNTED`.
        reason, detail: why not PASS, as a name and as a sentence.
        counts: coordinates by kind.
        worst: the worst coordinate, where any was compared.
        model: the narrowest rounding model that explains the gradient, or "".
        explanation: the class of algorithms that would explain a FAIL, or "".
        diagnosis: the likely mistake, or "".
        suspects: every mistake that would give these numbers, the likeliest first.
        blocks: the arrays of which some coordinate failed, such as ``W2``.
        notes: what was seen besides.
        resolution: on PASS, the smallest relative error that would have been seen.
        forward_passes, backward_passes: what it cost.
        known: the entry under which a KNOWN failure was declared, else "".
    """

    property: str
    verdict: str
    reason: str
    detail: str
    counts: Mapping[str, int]
    worst: Coordinate | None
    explanation: str
    diagnosis: str
    notes: tuple[str, ...]
    resolution: float
    forward_passes: int
    backward_passes: int
    known: str = ""
    model: str = ""
    suspects: tuple[Suspect, ...] = ()
    blocks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Witness:
    """A problem and what was found there."""

    token: str
    finding: Finding


TOO_SMALL = " where rounding leaves "
"""Stands in what is said of a loss that is too small, and has no name."""


def loss_of(finding: Finding) -> tuple[str, str]:
    """Return what the loss is, if not the one that is meant, and of what the gradient is; or ""."""
    told = finding.diagnosis if finding.reason == Reason.LOSS.value else ""
    first, _, rest = (told or finding.detail).partition("; ")
    is_told = first.startswith(("the loss ", "the returned loss "))
    return (first, rest.partition("; ")[0]) if is_told else ("", "")


def is_named_loss(finding: Finding) -> bool:
    """Whether a finding says which loss it is, or is about none."""
    told = loss_of(finding)[0]
    is_unnamed = told.endswith("loss is not the one that is meant") or TOO_SMALL in told
    return finding.reason != Reason.LOSS.value or not is_unnamed


def read_finding(record: Record) -> Finding:
    """Read the JSON form of a finding.

    Raises:
        ValueError: a verdict that is none.
    """
    if record["verdict"] not in VERDICTS:
        raise ValueError(f"verdict={record['verdict']!r}; it must be one of {', '.join(VERDICTS)}")
    known = line(record.get("known") or "")
    return Finding(
        property=line(record["property"]),
        verdict=KNOWN if known else record["verdict"],
        reason=line(record.get("reason") or ""),
        detail=line(record.get("detail") or ""),
        counts={line(kind): int(n) for kind, n in (record.get("counts") or {}).items()},
        worst=_coordinate(record["worst"]) if record.get("worst") else None,
        explanation=line(record.get("explanation") or ""),
        diagnosis=line(record.get("diagnosis") or ""),
        notes=tuple(line(note) for note in record.get("notes") or ()),
        resolution=real(record.get("resolution")),
        forward_passes=int(record.get("forward_passes") or 0),
        backward_passes=int(record.get("backward_passes") or 0),
        known=known,
        model=line(record.get("model") or ""),
        suspects=tuple(_suspect(each) for each in record.get("suspects") or ()),
        blocks=tuple(line(name) for name in record.get("blocks") or ()),
    )


def read_witness(record: Record) -> Witness:
    """Read the JSON form of a problem with one finding."""
    return Witness(line(record["token"]), read_finding(record["finding"]))


def real(value: Any) -> float:
    """Read a number; "NaN", "Infinity" and "-Infinity" are the non-finite ones, null is NaN.

    >>> real("-Infinity"), real(0.5), real(None)
    (-inf, 0.5, nan)
    """
    return float("nan") if value is None else float(value)


def _suspect(record: Sequence[Any]) -> Suspect:
    place, layer, key, says, expected = record
    return Suspect(line(place), int(layer), line(key), line(says), line(expected))


def _coordinate(record: Record) -> Coordinate:
    numbers = (real(record.get(x)) for x in ("engine", "oracle", "bound", "allowance", "times"))
    return Coordinate(line(record.get("name") or ""), *numbers)
