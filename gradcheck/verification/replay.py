"""Examines one case again, every property for itself, and tells it at length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.outcomes.exit_codes import NOTHING, VERIFIED, WRONG
from gradcheck.outcomes.reasons import Reason
from gradcheck.problem import Problem
from gradcheck.problems.case import Case, is_token, load, parse
from gradcheck.verification.judge import REQUIRED
from gradcheck.verification.pool import EngineGoneError, Pool, Work
from gradcheck.verification.property import Finding, applicable
from gradcheck.verification.run import RESTARTS
from gradcheck.verification.worker import Task
from gradcheck.writing.commands import replay_line


@dataclass(frozen=True)
class Replayed:
    """What came of a case.

    Attributes:
        exit_code: 1 if any property fails; 0 if agreement passes, or what else passes of an engine
            that does not support it, and gradcheck did not fail; else 4.
        text: every property with its outcome, and the line that repeats it.
    """

    exit_code: int
    text: str


def read(case: str) -> tuple[Problem, Case | None]:
    """Read a token or a case file.

    Raises:
        OSError, ValueError, TypeError: it is neither.
    """
    problem = load(case)
    return problem, parse(case) if is_token(case) else None


def replay(
    name: str,
    problem: Problem,
    case: Case | None,
    spec: str,
    require: str = "",
    timeout: float = 60.0,
) -> Replayed:
    """Examine all properties of a problem, where `verify` does: in a worker, with a deadline.

    Args:
        name: the token or the file.
        problem: the problem.
        case: its case, where it has a token.
        spec: names the engine.
        require: the widest rounding model that is allowed; "" for what the engine declares.
        timeout: seconds for one call of the engine.

    Raises:
        EngineGoneError: the engine cannot be loaded, or not be used any more.
    """
    pool: Pool[list[Finding]] = Pool(spec, timeout=timeout, require=require or None)
    try:
        properties = applicable(problem, case, pool.info.arithmetic)
        [findings] = pool.drive([_examined(name, properties)])
    finally:
        pool.close()
    blocks = [f"{found['property']}\n{_told(found)}" for found in findings]
    blocks.append(f"repeat: {replay_line(name, spec)}")
    return Replayed(_code(findings), "\n\n".join(blocks))


def _examined(name: str, properties: Sequence[str]) -> Work[list[Finding]]:
    findings, deaths = [], 0
    for each in properties:
        reply = yield Task(name, each, at_length=True)
        deaths += reply.is_loss
        if reply.finding is None or deaths > RESTARTS:
            raise EngineGoneError(f"the engine is unusable: {reply.event and reply.event[1]}")
        findings.append(reply.finding)
    return findings


def _told(found: Finding) -> str:
    reason = f" ({found['reason']})" if found["reason"] else ""
    return str(found.get("told") or f"{found['verdict']}{reason}: {found['detail']}")


def _code(findings: Sequence[Finding]) -> int:
    """Return the exit code; a gradient is right that agrees, whatever else was not decided."""
    verdicts = {found["verdict"] for found in findings}
    if "FAIL" in verdicts:
        return WRONG
    own = any(found["reason"] == Reason.INTERNAL.value for found in findings)
    agreement = {found["verdict"] for found in findings if found["property"] == REQUIRED[0]}
    is_right = "PASS" in verdicts and agreement <= {"PASS", "UNSUPPORTED"}
    return VERIFIED if is_right and not own else NOTHING
