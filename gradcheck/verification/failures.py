"""Failures: what is wrong, on how many problems, with the worst and the smallest of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT
from gradcheck.outcomes.reasons import Reason
from gradcheck.verification.failing import Failing
from gradcheck.verification.findings import (
    FAIL,
    Record,
    Witness,
    is_named_loss,
    loss_of,
    read_witness,
)
from gradcheck.verification.group import Group
from gradcheck.verification.mistakes import grouped
from gradcheck.verification.signature import label
from gradcheck.verification.size import rank_of, size_at, worst_of
from gradcheck.verification.suspects import depth_of, lost, named
from gradcheck.verification.tally import Entry
from gradcheck.verification.words import line

BLOCK = re.compile(r"([Wb])([0-9]+)")
AT_ONCE, NOWHERE = (-1, 0), (10**9, 0)
"""Before every step of the backward path: what is wrong with any answer; and after all of them."""

ORDER = {OUTPUT: 0, HIDDEN: 0, WEIGHT: 1, BIAS: 2}
"""In which order the backward path meets the steps of one layer."""


@dataclass(frozen=True)
class Cause:
    """What is wrong, as it is told of one problem.

    Attributes:
        place: the step.
        layer: 0 for the whole answer.
        says: what is wrong, with layers.
        expected: the right equation, or "".
        is_known: it is a mistake, not a pattern that some mistake makes.
    """

    place: str
    layer: int
    says: str
    expected: str
    is_known: bool = True

    def __str__(self) -> str:
        where = f"layer {self.layer}" if self.layer else "all layers"
        return f"{where}: {self.says}"


@dataclass(frozen=True)
class Failure:
    """One way in which the engine fails.

    Attributes:
        property, reason: of the findings; of several properties the first.
        signature: what is wrong, in a sentence about any layer; unlike that of any other failure.
        count: how many problems fail in this way.
        worst: the one with the largest error.
        smallest: the smallest network that fails in the same way; None where none was looked for.
        shrink_checks: how many checks it took to find it.
        replay: the command that repeats it, or "".
        properties: how many findings of each property.
        cause: what explains all of these problems, as told of the smallest; None if unknown.
        unnamed: how many of the problems do not tell the cause by themselves.
        look: where it is wrong if the cause is not known, or "".
        reasons: of all the findings, if they are several.
    """

    property: str
    reason: str
    signature: str
    count: int
    worst: Witness
    smallest: Witness | None
    shrink_checks: int
    replay: str
    properties: Mapping[str, int] = field(default_factory=dict)
    cause: Cause | None = None
    unnamed: int = 0
    look: str = ""
    reasons: tuple[str, ...] = ()


def first_of(failure: Failure) -> Witness:
    """Return the problem to look at first: the smallest one."""
    return failure.smallest or failure.worst


def findings_of(failure: Failure) -> set[tuple[str, str]]:
    """Return properties and reasons of all the findings that a failure stands for."""
    reasons = (failure.reason, *failure.reasons)
    return {(name, reason) for name in failure.properties for reason in reasons}


def on_the_path(failures: Iterable[Failure]) -> tuple[Failure, ...]:
    """Order failures as the backward path meets their mistakes, from the loss down.

    Repaired in this order, no mistake is looked for below one that spoils it. Of two at one step
    the one with the larger error comes first. Where a cause is known it comes before what is not
    explained: repairing it may explain that.
    """
    return tuple(sorted(failures, key=_rank))


def _rank(failure: Failure) -> tuple[bool, tuple[int, int], float, tuple[int, str]]:
    worst = size_at(failure.worst.finding.worst)
    return _is_open(failure), _place(failure), -worst.decade, rank_of(failure.property)


def _is_open(failure: Failure) -> bool:
    """Whether numbers of the gradient are wrong and nothing explains them."""
    found = first_of(failure).finding
    is_explained = failure.cause is not None or loss_of(found)[0] or label(found)
    return failure.reason == Reason.MISMATCH.value and not is_explained


def _place(failure: Failure) -> tuple[int, int]:
    """Return how many layers below the loss a mistake is met, and at which step of the layer."""
    witness = first_of(failure)
    depth = depth_of(witness.token)
    if failure.cause is not None:
        layer, step = failure.cause.layer, ORDER.get(failure.cause.place, 0)
        if failure.cause.place == ANSWER or not layer:
            return AT_ONCE
    elif (place := lost(witness)) is not None:
        layer, step = place.layer, min(ORDER.get(step, 0) for step in place.steps)
    else:
        is_open = failure.reason == Reason.MISMATCH.value or not is_named_loss(witness.finding)
        return NOWHERE if is_open else AT_ONCE
    return (depth - layer, step) if depth else NOWHERE


# --- in the log -----------------------------------------------------------------------------------


def written(group: Group, smallest: Failing) -> Record:
    """Write what failing problems have in common, told of the smallest of them."""
    group = group.with_smallest(smallest)
    found = [one.witness.finding for one in group.every]
    count = Counter(f.property for f in found)
    names = sorted(count, key=rank_of)
    told = group.told(smallest)
    cause = told and {
        "place": told.place,
        "layer": told.layer,
        "says": told.says,
        "expected": told.expected,
        "known": group.is_named,
    }
    return {
        "kind": "failure",
        "property": smallest.witness.finding.property,
        "reason": smallest.witness.finding.reason,
        "signature": group.heading,
        "reasons": sorted({f.reason for f in found}),
        "count": len({one.witness.token for one in group.every}),
        "properties": {name: count[name] for name in names},
        "cause": cause,
        "unnamed": len({one.witness.token for one in group.joined}),
        "look": "" if told else where(group, smallest),
    }


def where(group: Group, smallest: Failing) -> str:
    """Say where failing problems without a known cause are wrong, on the smallest of them."""
    if group.members[0].witness.finding.reason != Reason.MISMATCH.value:
        return ""
    found = highest([one.witness for one in group.every])
    if smallest.place is None or (found and len(smallest.steps) > 1):
        return found.replace("_L", f"_{depth_of(smallest.witness.token)}")
    return smallest.place.says


def highest(witnesses: Sequence[Witness]) -> str:
    """Name the highest step at which several problems are wrong, by their wrong arrays; or "".

    One problem alone shows nothing: an array may be right by chance, as where inputs are 0.
    """
    tops: set[tuple[int, int]] = set()
    arrays: dict[int, set[str]] = {}
    for witness in witnesses:
        blocks = [found for name in witness.finding.blocks if (found := BLOCK.fullmatch(name))]
        depth = depth_of(witness.token)
        if blocks and depth:
            layer = max(int(found[2]) for found in blocks)
            tops.add((depth - layer, layer))
            here = {found[1] for found in blocks if int(found[2]) == layer}
            arrays.setdefault(depth - layer, set()).update(here)
    if len({witness.token for witness in witnesses}) < 2 or not arrays:
        return ""
    below, layers = min(arrays), {layer for _, layer in tops}
    step = {"W": "dC/dW", "b": "dC/db"}.get("".join(arrays[below]), "delta")
    number = str(next(iter(layers))) if len(layers) == 1 else "l" if below else "L"
    return f"{step}_{number}"


def read_failure(record: Record) -> Failure:
    """Read the JSON form of a failure."""
    smallest: Any = record.get("smallest")
    witness = read_witness(smallest) if smallest else None
    worst = read_witness(record["worst"])
    name, count = line(record["property"]), int(record.get("count") or 1)
    counted = record.get("properties") or {name: count}
    reason = line(record.get("reason") or "")
    return Failure(
        property=name,
        reason=reason,
        signature=line(record.get("signature") or ""),
        count=count,
        worst=worst,
        smallest=witness,
        shrink_checks=int(record.get("shrink_checks") or 0),
        replay=line(record.get("replay") or ""),
        properties={line(each): int(n) for each, n in counted.items()},
        cause=_cause(record["cause"]) if "cause" in record else told_by(witness or worst),
        unnamed=int(record.get("unnamed") or 0),
        look=line(record.get("look") or ""),
        reasons=tuple(line(reason) for reason in record.get("reasons") or ()),
    )


def _cause(record: Any) -> Cause | None:
    if record is None:
        return None
    place, says, expected = (line(record[name]) for name in ("place", "says", "expected"))
    return Cause(place, int(record["layer"]), says, expected, bool(record["known"]))


def told_by(witness: Witness) -> Cause | None:
    """Return the cause that one problem tells by itself."""
    for told in named(witness)[:1]:
        return Cause(told.place, told.layer, told.says, told.expected)
    return None


def gather(recorded: Iterable[Failure], entries: Iterable[Entry]) -> tuple[Failure, ...]:
    """Return the recorded failures, and those that a log without its end has not come to record.

    Args:
        recorded: the failures of the log.
        entries: every finding of the log.
    """
    known = list(recorded)
    told = {finding for failure in known for finding in findings_of(failure)}
    left = (
        Witness(entry.token, entry.finding)
        for entry in entries
        if entry.finding.verdict == FAIL
        and (entry.finding.property, entry.finding.reason) not in told
    )
    return (*known, *map(_unshrunk, grouped(left)))


def _unshrunk(group: Group) -> Failure:
    worst = worst_of(group.members)
    record = written(group, worst)
    witness = worst.witness
    cause = _cause(record["cause"])
    return Failure(
        property=record["property"],
        reason=record["reason"],
        signature=record["signature"],
        count=record["count"],
        worst=witness,
        smallest=None,
        shrink_checks=0,
        replay="",
        properties=record["properties"],
        cause=cause,
        unnamed=record["unnamed"],
        look=record["look"],
        reasons=tuple(record["reasons"]),
    )
