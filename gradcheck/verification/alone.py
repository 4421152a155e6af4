"""Tells mistakes that come from earlier calls: failing problems are asked again, each alone.

A gradient is a function of the problem. What fails in a run and is right in a process to which
nothing else was given is wrong because of the calls before, whatever its numbers look like: no
formula is told of it. A few failing problems are asked so; more, only if one of them is right.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from gradcheck.diagnosis.formula import ANSWER
from gradcheck.outcomes.reasons import Reason
from gradcheck.verification.findings import FAIL
from gradcheck.verification.pool import EngineGoneError
from gradcheck.verification.property import Finding
from gradcheck.verification.slot import Record
from gradcheck.verification.worker import Reply, Task

FEW, MANY = 2, 12
"""How many failing problems are asked alone; and how many once one of them is right."""

PROPERTY = "agreement"
"""One call, or several to one problem: other properties ask several problems in one process."""

SAYS = "the answer depends on the calls before: alone, in a fresh process, it is right"
OF_CALLS = re.compile("each time|earlier call|between calls")
"""What diagnoses of what is kept between calls say."""

EXPECTED = "the gradient of the problem that is given, each time"
DIAGNOSIS = f"all layers: {SAYS}; expected {EXPECTED}"


def asked_alone(records: Sequence[Record], fresh: Callable[[Task], Reply]) -> list[Record]:
    """Ask a few failing problems again, each in a process of its own; none where nothing failed.

    Args:
        records: of the cases.
        fresh: does a task in a new process.

    Returns:
        One record, of kind "alone": the tokens that were asked, and those that are right alone.
    """
    tokens = _failing(records)
    try:
        right = {token: _is_right(token, fresh) for token in _spread(tokens, FEW)}
        if any(right.values()):
            more = (token for token in _spread(tokens, MANY) if token not in right)
            right |= {token: _is_right(token, fresh) for token in more}
    except EngineGoneError:  # it does not start again: nothing is learnt
        return []
    if not right:
        return []
    return [{"kind": "alone", "asked": list(right), "right": [t for t in right if right[t]]}]


def _failing(records: Sequence[Record]) -> list[str]:
    return [
        record["token"]
        for record in records
        if record["kind"] == "case"
        for finding in record["findings"]
        if finding["property"] == PROPERTY and _is_mismatch(finding)
    ]


def _is_mismatch(finding: Finding) -> bool:
    is_open = finding["verdict"] == FAIL and not finding.get("known")
    return is_open and finding["reason"] == Reason.MISMATCH.value


def _spread(tokens: Sequence[str], most: int) -> list[str]:
    """Return so many of the tokens, the last and others at equal distances before it."""
    many = min(most, len(tokens))
    return [tokens[len(tokens) - 1 - k * len(tokens) // many] for k in range(many)]


def _is_right(token: str, fresh: Callable[[Task], Reply]) -> bool:
    reply = fresh(Task(token, PROPERTY))
    return reply.finding is not None and reply.finding["verdict"] == "PASS"


def told_of_calls(
    found: Sequence[tuple[str, Finding]], records: Sequence[Record]
) -> list[tuple[str, Finding]]:
    """Tell that answers depend on the calls before, where some problems are right alone.

    What was not asked alone is taken for the same mistake; what fails alone too keeps its cause.

    Args:
        found: token and finding of every failing problem.
        records: of the run.
    """
    alone = next((record for record in records if record["kind"] == "alone"), None)
    if alone is None or not alone["right"]:
        return list(found)
    again = set(alone["asked"]) - set(alone["right"])
    return [
        (token, finding if token in again or not _is_to_be_told(finding) else finding | _KEPT)
        for token, finding in found
    ]


def _is_to_be_told(finding: Finding) -> bool:
    """Whether a finding does not say itself that it comes of earlier calls."""
    return _is_mismatch(finding) and not OF_CALLS.search(finding["diagnosis"])


_KEPT: dict[str, Any] = {
    "diagnosis": DIAGNOSIS,
    "explanation": "",
    "suspects": [[ANSWER, 0, "right alone", SAYS, EXPECTED]],
}


def is_told(finding: Finding) -> bool:
    """Whether a finding is one of a problem that is right alone."""
    return bool(finding["diagnosis"] == DIAGNOSIS)
