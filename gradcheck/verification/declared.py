"""Known failures, as the outputs tell them: what was declared, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from gradcheck.verification.expected import ELSEWHERE, KNOWN, OPEN, UNEXPECTED
from gradcheck.verification.findings import Record, Witness, read_finding, read_witness
from gradcheck.verification.words import line

STATES = (*UNEXPECTED, KNOWN, OPEN, ELSEWHERE)


@dataclass(frozen=True)
class Declared:
    """One entry of the file of known failures.

    Attributes:
        name: the entry's title.
        engine, property, outcome, reason, issue, expires, case: as declared.
        state: what became of it: one of `STATES`.
        told: the same in a sentence.
        count: how many problems it matches.
        pinned: the pinned case and what was found there; None where it was not examined.
        worst: of the matching problems; None where there is none.
        replay: the command that repeats the pinned case, or "".
        is_unexpected: it did not come out as declared.
    """

    name: str
    engine: str
    property: str
    outcome: str
    reason: str
    issue: str
    expires: str
    case: str
    state: str = OPEN
    told: str = "not examined"
    count: int = 0
    pinned: Witness | None = None
    worst: Witness | None = None
    replay: str = ""
    is_unexpected: bool = False


def word(entry: Declared) -> str:
    """Say what became of an entry, as a heading."""
    words = {KNOWN: "KNOWN", ELSEWHERE: "OTHER ENGINE", OPEN: "NOT EXAMINED"}
    return words.get(entry.state, "NOT AS DECLARED")


def read_declared(declarations: Iterable[Record], became: Iterable[Record]) -> tuple[Declared, ...]:
    """Put declarations and what became of them together, those not as expected first.

    Args:
        declarations: from the header.
        became: the records of kind "known"; one is missing where the run was cut off.
    """
    ends = {record["name"]: record for record in became}
    every = [_declared(entry, ends.get(entry["name"], {})) for entry in declarations]
    return tuple(sorted(every, key=lambda entry: STATES.index(entry.state)))


def _declared(entry: Record, end: Record) -> Declared:
    words = ("name", "engine", "property", "outcome", "reason", "issue", "expires", "case")
    said: dict[str, Any] = {word: line(entry.get(word) or "") for word in words}
    declared = Declared(**said)
    if not end:
        return declared
    if end["state"] not in STATES:
        raise ValueError(f"state={end['state']!r}; it must be one of {', '.join(STATES)}")
    pinned, worst = end.get("pinned"), end.get("worst")
    return replace(
        declared,
        state=end["state"],
        told=line(end.get("told") or ""),
        count=int(end.get("count") or 0),
        pinned=Witness(declared.case, read_finding(pinned)) if pinned else None,
        worst=read_witness(worst) if worst else None,
        replay=line(end.get("replay") or ""),
        is_unexpected=end["state"] in UNEXPECTED,
    )
