"""What is expected to fail: marks declared failures in a run, and says what became of each entry.

A finding is marked before it is written into the log; the pinned cases are examined after the last
case of the plan. The marks follow from the declarations alone, so that shards, resumed runs and any
number of jobs set the same ones.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gradcheck.outcomes.reasons import Reason
from gradcheck.problems.case import parse
from gradcheck.verification.findings import read_finding
from gradcheck.verification.known import Known
from gradcheck.verification.pool import Work
from gradcheck.verification.property import Finding
from gradcheck.verification.signature import label
from gradcheck.verification.size import size_at
from gradcheck.verification.slot import Record, engine_record
from gradcheck.verification.worker import Task
from gradcheck.writing.commands import replay_line

KNOWN, HEALED, CHANGED, UNMATCHED = "known", "healed", "changed", "unmatched"
EXPIRED, ELSEWHERE, OPEN = "expired", "elsewhere", "open"

UNEXPECTED = (HEALED, CHANGED, UNMATCHED, EXPIRED)
"""What an entry may come to that makes the exit code 1."""

UNDECIDED = (Reason.BUDGET.value, Reason.INTERNAL.value)
"""Reasons for which a pinned case says nothing: no time was left, or gradcheck itself failed."""


class Expected:
    """The declared failures of one engine.

    Args:
        entries: all that are declared.
        engine: how the command line names the engine.
        name: how it names itself.
        today: entries that expire before this day have expired.
    """

    def __init__(self, entries: Sequence[Known], engine: str, name: str, today: dt.date) -> None:
        self._entries, self._engine, self._today = entries, engine, today
        self._mine = [entry for entry in entries if entry.is_about(engine, name)]

    def declared(self, token: str, finding: Finding) -> str:
        """Return the name of the first entry that a finding falls under, or ""."""
        holding = [entry for entry in self._mine if entry.holds(finding, label(finding))]
        case = parse(token) if holding else None
        fit = (entry.name for entry in holding if case is not None and not entry.misfit(case))
        return next(fit, "")

    def mark(self, records: Iterable[Record]) -> list[Record]:
        """Write the name of its entry into every finding that was declared."""
        marked = []
        for record in records:
            for finding in record["findings"] if record["kind"] == "case" else ():
                if name := self.declared(record["token"], finding):
                    finding["known"] = name
            marked.append(record)
        return marked

    def pieces(self, records: Sequence[Record]) -> Iterator[Work[list[Record]]]:
        """Yield the work on each entry: its result is what became of it."""
        for entry in self._entries:
            yield self._examine(entry, _marked(records, entry.name))

    def unexamined(self, records: Sequence[Record], told: str) -> list[Record]:
        """Say of the entries that nothing is said of yet that they were not examined."""
        said = {record["name"] for record in records if record["kind"] == "known"}
        return [
            self._record(entry, OPEN, f"not examined: {told}", _marked(records, entry.name))
            if entry in self._mine
            else self._elsewhere(entry)
            for entry in self._entries
            if entry.name not in said
        ]

    def _examine(self, entry: Known, found: list[tuple[str, Finding]]) -> Work[list[Record]]:
        if entry not in self._mine:
            return [self._elsewhere(entry)]
        reply = yield Task(entry.case, entry.property)
        if reply.finding is None:
            assert reply.event is not None  # noqa: S101 - what is fatal has a name
            return [
                self._record(entry, OPEN, "its pinned case ended the engine", found),
                engine_record(*reply.event),
            ]
        state, told = self._became(entry, reply.finding, len(found))
        return [self._record(entry, state, told, found, reply.finding)]

    def _became(self, entry: Known, pinned: Finding, count: int) -> tuple[str, str]:
        """Say what became of an entry, as a state and in a sentence."""
        others = "1 problem of this run does" if count == 1 else f"{count} problems of this run do"
        verdict = f"{pinned['verdict']} {pinned['reason']}".strip()
        as_declared = entry.holds(pinned, label(pinned))
        if pinned["verdict"] == "PASS":
            rest = f", or pin another: {others} fail as declared" if count else ""
            return HEALED, f"healed: its pinned case passes; remove the entry{rest}"
        if pinned["verdict"] == "FAIL" and not as_declared:
            way = f" ({label(pinned) or 'unexplained'})" if verdict == entry.outcome else ""
            return CHANGED, f"its pinned case fails in another way than declared: {verdict}{way}"
        if not as_declared and not count:
            if pinned["reason"] in UNDECIDED:  # which says nothing of the engine
                return OPEN, f"its pinned case was not decided: {pinned['detail']}"
            return UNMATCHED, (
                "matches nothing: no problem of this run fails as declared, and its pinned case "
                f"is {verdict}"
            )
        told = f"its pinned case is {verdict}, but {others} fail as declared"
        if as_declared:
            told = f"its pinned case fails as declared, and {others if count else 'no other does'}"
        if self._today > entry.expires:
            return EXPIRED, f"expired on {entry.expires.isoformat()}: {told}"
        return KNOWN, told

    def _elsewhere(self, entry: Known) -> Record:
        return self._record(entry, ELSEWHERE, f"it is about {entry.engine}", []) | {"replay": ""}

    def _record(
        self,
        entry: Known,
        state: str,
        told: str,
        found: list[tuple[str, Finding]],
        pinned: Finding | None = None,
    ) -> Record:
        worst = max(found, key=lambda one: size_at(read_finding(one[1]).worst).order, default=None)
        return {
            "kind": "known",
            "name": entry.name,
            "state": state,
            "told": told,
            "count": len(found),
            "pinned": pinned,
            "worst": worst and {"token": worst[0], "finding": worst[1]},
            "replay": replay_line(entry.case, self._engine),
        }


def unexpected(records: Iterable[Record]) -> list[Record]:
    """Return the entries that did not come out as declared."""
    return [r for r in records if r["kind"] == "known" and r["state"] in UNEXPECTED]


def _marked(records: Iterable[Record], name: str) -> list[tuple[str, Any]]:
    """Return the findings that an entry declared, with their problems."""
    return [
        (record["token"], finding)
        for record in records
        if record["kind"] == "case"
        for finding in record["findings"]
        if finding.get("known") == name
    ]
