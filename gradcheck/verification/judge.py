"""Decides the exit code of a verification, once, before anything is printed.

Whatever is expected to fail is subtracted here, and nowhere else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.outcomes.exit_codes import ENGINE, NOTHING, VERIFIED, WRONG
from gradcheck.outcomes.reasons import Reason
from gradcheck.verification.arithmetic import ROUNDS
from gradcheck.verification.expected import unexpected
from gradcheck.verification.slot import Record, is_refused
from gradcheck.verification.worker import UNUSABLE

REQUIRED = ("agreement", "consistency")
"""What must pass on some problem, each of them, as far as the engine supports it."""

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
    A failure that was declared does not condemn; a declaration that does not hold does. Where
    gradcheck itself failed on any problem, nothing is verified. What was not answered in time is
    told of every run that ended: nothing is known of it.

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
    own, late = _own_failures(records), _late(records, examined)
    if failures or entries:
        return Judgement(WRONG, "; ".join([told, *entries, *[own] * bool(own)]) + late)
    if own:
        return Judgement(NOTHING, f"nothing is verified, because {own}; {told}{late}")
    if undecided := _undecided(counted):
        return Judgement(NOTHING, f"nothing was verified on {examined} problems: {undecided}{late}")
    return Judgement(VERIFIED, f"{told}; {_shares(counted)}{late}")


def _undecided(counted: Record) -> str:
    """Say what did not pass that had to, or ""; what the engine does not support need not."""
    if not any(counted[name].get("PASS") for name in (*REQUIRED, "exact")):
        return "no problem passed"
    if not any(_asked(counted[name]) for name in REQUIRED):
        return _shares(counted)
    told = [
        f"{name} passes on none of {n} problems"
        for name in REQUIRED
        if (n := _asked(counted[name])) and not {"PASS", "KNOWN"} & counted[name].keys()
    ]
    return ", ".join(told)


def _shares(counted: Record) -> str:
    """Say on what share of the problems a property passes; refused ones are not among them."""
    told = [
        f"{name} passes on {counted[name].get('PASS', 0)} of {n}"
        for name in REQUIRED
        if (n := _asked(counted[name]))
    ]
    return ", ".join(told) or "neither agreement nor consistency was examined"


def _late(records: Sequence[Record], examined: int) -> str:
    """Say on how many problems a call, or all of them together, took too long, or ""."""
    cases = [record for record in records if record["kind"] == "case"]
    late = sum(any(_is_late(finding) for finding in case["findings"]) for case in cases)
    return f"; {late} of {examined} were not answered in time, raise --timeout" if late else ""


def _is_late(finding: Record) -> bool:
    is_open = finding["verdict"] == "INCONCLUSIVE"
    return bool(is_open and finding["reason"] == Reason.BUDGET.value)


def _asked(counts: Record) -> int:
    return sum(n for verdict, n in counts.items() if verdict != "UNSUPPORTED")


def _own_failures(records: Sequence[Record]) -> str:
    """Say on how many problems gradcheck itself failed, and how, or ""."""
    cases = [record for record in records if record["kind"] == "case"]
    found = [(case, f) for case in cases for f in case["findings"]
             if f["reason"] == Reason.INTERNAL.value]  # fmt: skip
    pinned = [record["name"] for record in records if record["kind"] == "known"
              and (record.get("pinned") or {}).get("reason") == Reason.INTERNAL.value]  # fmt: skip
    if not found:
        return f"gradcheck itself failed on the pinned case of {pinned[0]}" if pinned else ""
    n, (first, finding) = len({case["token"] for case, _ in found}), found[0]
    return (
        f"gradcheck itself failed on {n} of {len(cases)} problems, first in "
        f"{finding['property']} of {first['token']}; the log has the traceback"
    )


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
    ends = (ROUNDS, UNUSABLE)
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
