"""Decides the exit code of a verification, once, before anything is printed.

Whatever is expected to fail is subtracted here, and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.verdict import Reason
from gradcheck.verify.expected import unexpected
from gradcheck.verify.slot import Record, is_refused
from gradcheck.verify.worker import FLUSHES, UNUSABLE

VERIFIED, WRONG, ENGINE, NOTHING = 0, 1, 3, 4

VERDICTS = ("PASS", "FAIL", "KNOWN", "INCONCLUSIVE", "UNSUPPORTED")
"""What findings are counted as: a FAIL that was declared is KNOWN."""


@dataclass(frozen=True)
class Judgement:
    """What a run comes to: the exit code, and the same in a sentence."""

    exit_code: int
    verdict: str


def judge(records: Sequence[Record], failures: Sequence[Record]) -> Judgement:
    """Judge a run by its log.

    An engine that cannot be used any more outweighs what it did wrong before, and so does one that
    raises on every problem; what is INCONCLUSIVE alone condemns nobody, and acquits nobody either.
    A failure that was declared does not condemn; a declaration that does not hold does.

    Args:
        records: header, cases, what happened to the engine, and what became of known failures.
        failures: the records of the failures that were not declared.
    """
    end = ended(records)
    counted = totals(records)
    examined = counted["problems"] - counted["refused"]
    if end is not None:
        return Judgement(ENGINE, f"the engine is unusable: {end['detail']}")
    if raised := _raised_everywhere(records):
        return Judgement(ENGINE, f"the engine raises on every one of {examined} problems: {raised}")
    told = f"no wrong gradient on {examined} problems"
    if failures:
        ways = "one way" if len(failures) == 1 else f"{len(failures)} ways"
        what = "the loss is wrong" if is_the_loss(failures) else "wrong"
        told = f"{what} on {counted['failing']} of {examined} problems, in {ways}"
    if counted["known"]:
        told += f", but for {counted['known']} that fail as declared"
    entries = [f"known failure {entry['name']}: {entry['told']}" for entry in unexpected(records)]
    if failures or entries:
        return Judgement(WRONG, "; ".join([told, *entries]))
    if not any(counted[kind].get("PASS") for kind in ("agreement", "consistency", "exact")):
        return Judgement(NOTHING, f"nothing was verified: none of {examined} problems passed")
    return Judgement(VERIFIED, told)


def _raised_everywhere(records: Sequence[Record]) -> str:
    """Return what an engine raised first if it answers nothing else, not once; else ""."""
    cases = (record for record in records if record["kind"] == "case")
    findings = [finding for case in cases for finding in case["findings"]]
    told = [finding for finding in findings if finding["verdict"] != "UNSUPPORTED"]
    raised = all(finding["reason"] == Reason.RAISED.value for finding in told)
    return str(told[0]["detail"]) if told and raised else ""


def is_the_loss(failures: Sequence[Record]) -> bool:
    """Whether all that is wrong is the loss."""
    return all(failure.get("reason") == Reason.LOSS.value for failure in failures)


def ended(records: Sequence[Record]) -> Record | None:
    """Return the record that says why the engine cannot be used any more, if there is one."""
    ends = (FLUSHES, UNUSABLE)
    return next((r for r in records if r["kind"] == "engine" and r["event"] in ends), None)


def totals(records: Sequence[Record]) -> Record:
    """Count problems, coordinates and verdicts by property."""
    cases = [record for record in records if record["kind"] == "case"]
    findings = [finding for case in cases for finding in case["findings"]]
    counted: dict[str, Counter[str]] = {"agreement": Counter(), "consistency": Counter()}
    counted["exact"] = Counter()
    for finding in findings:
        counted[finding["property"].split()[0]][_counted_as(finding)] += 1
    return {
        "problems": len(cases),
        "refused": sum(is_refused(case) for case in cases),
        "failing": sum("FAIL" in map(_counted_as, case["findings"]) for case in cases),
        "known": sum("KNOWN" in map(_counted_as, case["findings"]) for case in cases),
        "coordinates": sum(sum(finding["counts"].values()) for finding in findings),
        "forward_passes": sum(finding["forward_passes"] for finding in findings),
        "backward_passes": sum(finding["backward_passes"] for finding in findings),
        **{name: {v: count[v] for v in VERDICTS if count[v]} for name, count in counted.items()},
    }


def _counted_as(finding: Record) -> str:
    return "KNOWN" if finding.get("known") else str(finding["verdict"])
