"""The work on one number of the plan: every property of its case, whatever the others said."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

from gradcheck.verification.plan import Plan, Try
from gradcheck.verification.pool import Work
from gradcheck.verification.property import Finding
from gradcheck.verification.worker import DIED, TIMEOUT, Task

Record: TypeAlias = dict[str, Any]

UNSUPPORTED = "UNSUPPORTED"


def examine_number(plan: Plan, n: int) -> Work[list[Record]]:
    """Examine the case of the number n; one that is refused is replaced while there are others.

    Returns:
        The records for the log: one for every case that was looked at, after what happened to the
        engine meanwhile.
    """
    records: list[Record] = []
    for attempt in plan.tries(n):
        events, case, fatal = yield from _examine_case(n, attempt)
        records += [*events, *[case] * bool(case["findings"]), *fatal]
        if fatal or not is_refused(case):
            break
    return records


def is_refused(case: Record) -> bool:
    """Whether the engine takes the case in no way."""
    return all(finding["verdict"] == UNSUPPORTED for finding in case["findings"])


def is_death(record: Record) -> bool:
    """Whether a record tells of the engine's process dying or being killed for its silence."""
    return record["kind"] == "engine" and record["event"] in (DIED, TIMEOUT)


def engine_record(event: str, detail: str) -> Record:
    """Write what happened to the engine."""
    return {"kind": "engine", "event": event, "detail": detail}


def _examine_case(n: int, attempt: Try) -> Work[tuple[list[Record], Record, list[Record]]]:
    """Examine one case; return what happened, the case's record, and what ends the run."""
    token, properties = attempt
    findings: list[Finding] = []
    events: list[Record] = []
    fatal: list[Record] = []
    seconds = 0.0
    for name in properties:
        reply = yield Task(token, name)
        seconds += reply.seconds
        if reply.finding is None:
            fatal = _events([reply.event])
            break
        events += _events([reply.event])
        findings.append(reply.finding)
    case = {"kind": "case", "n": n, "token": token, "findings": findings, "seconds": seconds}
    return events, case, fatal


def _events(happened: Iterable[tuple[str, str] | None]) -> list[Record]:
    return [engine_record(*event) for event in happened if event is not None]
