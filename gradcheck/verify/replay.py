"""Examines one case again, every property for itself, and tells it at length."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass

from gradcheck.case import Case, load, parse
from gradcheck.engines.base import Unsupported
from gradcheck.engines.registry import find
from gradcheck.problem import Problem
from gradcheck.sweep import replay_line
from gradcheck.verdict import Verdict
from gradcheck.verify.guarded import Guarded
from gradcheck.verify.judge import NOTHING, VERIFIED, WRONG
from gradcheck.verify.property import applicable, judged


@dataclass(frozen=True)
class Replayed:
    """What came of a case.

    Attributes:
        exit_code: 1 if any property fails, 0 if any passes, else 4.
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
    return problem, parse(case) if case.startswith("gc") else None


def replay(
    name: str, problem: Problem, case: Case | None, spec: str, require: str = ""
) -> Replayed:
    """Examine all properties of a problem.

    Args:
        name: the token or the file, for the line that repeats it.
        problem: the problem.
        case: its case, where it has a token.
        spec: names the engine.
        require: the widest rounding model that is allowed; "" for what the engine declares.

    Raises:
        EngineNotFoundError: the engine cannot be loaded.
        EngineUnusableError: it cannot be used.
    """
    verdicts, blocks = [], []
    with closing(Guarded(find(spec), require or None)) as engine:
        for property_ in applicable(problem, case, engine.info.arithmetic):
            try:
                outcome = judged(engine, property_, problem, case)
            except Unsupported as refusal:
                blocks.append(f"{property_}\nUNSUPPORTED: {refusal.why}")
                continue
            verdicts.append(outcome.verdict)
            blocks.append(f"{property_}\n{outcome}")
    code = NOTHING
    if Verdict.FAIL in verdicts:
        code = WRONG
    elif Verdict.PASS in verdicts:
        code = VERIFIED
    blocks.append(f"repeat: {replay_line(name, spec)}")
    return Replayed(code, "\n\n".join(blocks))
