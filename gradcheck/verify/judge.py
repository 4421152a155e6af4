"""Decides the exit code of a verification, once, before anything is printed.

Whatever is expected to fail is subtracted here, and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.verify.slot import Record, is_refused
from gradcheck.verify.worker import FLUSHES, UNUSABLE

VERIFIED, WRONG, ENGINE, NOTHING = 0, 1, 3, 4

VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE", "UNSUPPORTED")


@dataclass(frozen=True)
class Judgement:
    """What a run comes to: the exit code, and the same in a sentence."""

    exit_code: int
    verdict: str


def judge(records: Sequence[Record], failures: Sequence[Record]) -> Judgement:
    """Judge a run by its log.

    An engine that cannot be used any more outweighs what it did wrong before; what is INCONCLUSIVE
    alone condemns nobody, and acquits nobody either.

    Args:
        records: header, cases and what happened to the engine.
        failures: the records of the failures.
    """
    end = ended(records)
    counted = totals(records)
    examined = counted["problems"] - counted["refused"]
    if end is not None:
        return Judgement(ENGINE, f"the engine is unusable: {end['detail']}")
    if failures:
        wrong = counted["failing"]
        ways = "one way" if len(failures) == 1 else f"{len(failures)} ways"
        return Judgement(WRONG, f"wrong on {wrong} of {examined} problems, in {ways}")
    if not any(counted[kind].get("PASS") for kind in ("agreement", "consistency", "exact")):
        return Judgement(NOTHING, f"nothing was verified: none of {examined} problems passed")
    return Judgement(VERIFIED, f"no wrong gradient on {examined} problems")


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
        counted[finding["property"].split()[0]][finding["verdict"]] += 1
    return {
        "problems": len(cases),
        "refused": sum(is_refused(case) for case in cases),
        "failing": sum(any(f["verdict"] == "FAIL" for f in case["findings"]) for case in cases),
        "coordinates": sum(sum(finding["counts"].values()) for finding in findings),
        "forward_passes": sum(finding["forward_passes"] for finding in findings),
        "backward_passes": sum(finding["backward_passes"] for finding in findings),
        **{name: {v: count[v] for v in VERDICTS if count[v]} for name, count in counted.items()},
    }
