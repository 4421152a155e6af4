"""Failures: problems that FAIL for the same reason, with the worst and the smallest of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.case import parse
from gradcheck.verdict import Reason
from gradcheck.verify.findings import FAIL, Record, Witness, read_witness
from gradcheck.verify.tally import Entry, worst_of
from gradcheck.verify.words import line

STEP = re.compile(r"(?:unknown; )?layer ([0-9]+): (delta_|dC/dW_|dC/db_)")
STEPS = ("delta_", "dC/dW_", "dC/db_")
PROPERTIES = ("agreement", "consistency")
AT_ONCE, NOWHERE = (-1, 0), (10**9, 0)
"""Before every step of the backward path: what is wrong with any answer; and after all of them."""


@dataclass(frozen=True)
class Failure:
    """One way in which the engine fails.

    Attributes:
        property, reason: of the findings.
        signature: what the failing problems have in common.
        count: how many there are.
        worst: the one furthest beyond its allowance.
        smallest: the smallest network that fails in the same way; None where none was looked for.
        shrink_checks: how many checks it took to find it.
        replay: the command that repeats it, or "".
    """

    property: str
    reason: str
    signature: str
    count: int
    worst: Witness
    smallest: Witness | None
    shrink_checks: int
    replay: str


def first_of(failure: Failure) -> Witness:
    """Return the problem to look at first: the smallest one."""
    return failure.smallest or failure.worst


def on_the_path(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Order failures as the backward path meets their mistakes, from the loss down.

    Repaired in this order, no mistake is looked for below one that spoils it.
    """
    return tuple(sorted(failures, key=lambda failure: (_place(failure), _among(failure.property))))


def _place(failure: Failure) -> tuple[int, int]:
    """Return how many layers below the loss a mistake is met, and at which step of the layer."""
    witness = first_of(failure)
    told = witness.finding.diagnosis
    if told.startswith("all layers: "):
        return AT_ONCE
    found = STEP.match(told)
    if found is None:
        return NOWHERE if failure.reason == Reason.MISMATCH.value else AT_ONCE
    try:
        depth = parse(witness.token).architecture.depth
    except ValueError:  # a problem that no token stands for
        return NOWHERE
    return depth - int(found[1]), STEPS.index(found[2])


def _among(name: str) -> tuple[int, str]:
    return (PROPERTIES.index(name) if name in PROPERTIES else len(PROPERTIES)), name


def read_failure(record: Record) -> Failure:
    """Read the JSON form of a failure."""
    smallest: Any = record.get("smallest")
    return Failure(
        property=line(record["property"]),
        reason=line(record.get("reason") or ""),
        signature=line(record.get("signature") or ""),
        count=int(record.get("count") or 1),
        worst=read_witness(record["worst"]),
        smallest=read_witness(smallest) if smallest else None,
        shrink_checks=int(record.get("shrink_checks") or 0),
        replay=line(record.get("replay") or ""),
    )


def gather(recorded: Iterable[Failure], entries: Iterable[Entry]) -> tuple[Failure, ...]:
    """Return the recorded failures, and those that a log without its end has not come to record.

    Args:
        recorded: the failures of the log.
        entries: every finding of the log.
    """
    known = list(recorded)
    told = {(failure.property, failure.reason) for failure in known}
    open_ones: dict[tuple[str, str, str], list[Witness]] = {}
    for entry in entries:
        f = entry.finding
        if f.verdict == FAIL and (f.property, f.reason) not in told:
            key = (f.property, f.reason, f.explanation)
            open_ones.setdefault(key, []).append(Witness(entry.token, f))
    return (*known, *(_unshrunk(key, group) for key, group in open_ones.items()))


def _unshrunk(key: tuple[str, str, str], group: Sequence[Witness]) -> Failure:
    name, reason, _ = key
    worst = worst_of(group) or group[0]
    signature = "/".join(part for part in key if part)
    return Failure(name, reason, signature, len(group), worst, None, 0, "")
