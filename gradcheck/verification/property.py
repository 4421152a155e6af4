"""One property of an engine, examined on one problem: the finding as the log has it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from gradcheck.checks.consistency import check_consistency
from gradcheck.checks.exact import TESTS
from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.diagnosis.precision import precision_first
from gradcheck.diagnosis.told import also_diagnosed
from gradcheck.engines.base import (
    EngineUnusableError,
    MalformedAnswerError,
    UnansweredError,
    Unsupported,
    answered_or,
)
from gradcheck.forward.told import loss_first, right_gradient_first
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Kind, Reason, Verdict
from gradcheck.problem import Problem
from gradcheck.problems.case import Case
from gradcheck.verification.guarded import Guarded, RaisedError, StoppedError, told_of, trace_of
from gradcheck.verification.long_numbers import agreement_at_long_numbers

Finding: TypeAlias = dict[str, Any]

EXACT = "exact "

PASSES = 20
"""Forward passes that differences take for a parameter, at most."""

SHARE = 1 / 10
"""Of the time for the calls of a task, that consistency plans for: the pace may be a slower one."""

COMPARED = (
    Kind.FAILED,
    Kind.INFORMATIVE,
    Kind.SMALL,
    Kind.EXACT,
    Kind.UNCHANGED,
    Kind.ANOMALOUS,
)


def examine(
    engine: Guarded, name: str, problem: Problem, case: Case | None, *, at_length: bool = False
) -> Finding:
    """Examine one property, and write what was found as the log has it.

    Args:
        engine: the engine.
        name: "agreement", "consistency", or "exact " and the name of an exact test.
        problem: where.
        case: the case of the problem, which the exact tests need.
        at_length: add the outcome as it is told to a person, under "told".

    Raises:
        EngineUnusableError: the engine cannot be used any more.
    """
    try:
        found = judged(engine, name, problem, case)
    except Unsupported as refusal:
        untold = Outcome(Verdict.INCONCLUSIVE, None, refusal.why)
        told = {"told": f"UNSUPPORTED: {refusal.why}"} if at_length else {}
        return finding_of(name, untold) | {"verdict": "UNSUPPORTED"} | told
    return finding_of(name, found) | ({"told": str(found)} if at_length else {})


def judged(engine: Guarded, name: str, problem: Problem, case: Case | None) -> Outcome:
    """Examine one property; what the engine raises is an outcome too.

    Raises:
        Unsupported: the engine does not take this problem.
        EngineUnusableError: the engine cannot be used any more.
    """
    try:
        return outcome(engine, name, problem, case)
    except (Unsupported, EngineUnusableError, StoppedError):
        raise
    except MalformedAnswerError as error:
        return Outcome(Verdict.FAIL, Reason.SHAPE, str(error))
    except RaisedError as error:
        return Outcome(Verdict.FAIL, Reason.RAISED, str(error))
    except UnansweredError as lost:
        if lost.is_late:
            return Outcome(Verdict.INCONCLUSIVE, Reason.BUDGET, str(lost))
        return Outcome(Verdict.FAIL, Reason.RAISED, str(lost))
    except Exception as error:  # noqa: BLE001 - a mistake of the checker accuses no engine
        return internal(error)


def internal(error: BaseException, told: str = "") -> Outcome:
    """Tell a failure of gradcheck itself: it says nothing of the engine, and forbids exit code 0.

    Args:
        error: what was raised.
        told: a clause to be added.
    """
    why = f"gradcheck itself failed here, which is its own mistake: {told_of(error)}{told}"
    trace = f"traceback: {trace_of(error)}"
    return Outcome(Verdict.INCONCLUSIVE, Reason.INTERNAL, why, notes=(trace,))


def outcome(engine: Guarded, name: str, problem: Problem, case: Case | None) -> Outcome:
    """Run the check that a property stands for; name what is wrong: the loss, else a mistake."""
    if name == "agreement":
        found = explained_agreement(engine, problem, require=engine.require)
        return agreement_at_long_numbers(engine, problem, found, require=engine.require)
    return precision_first(engine, problem, _other_outcome(engine, name, problem, case))


def _other_outcome(engine: Guarded, name: str, problem: Problem, case: Case | None) -> Outcome:
    likely = partial(also_diagnosed, engine, problem)
    if name == "consistency":
        found = check_consistency(engine, problem, **_budget(engine, problem))
        return answered_or(found, lambda: right_gradient_first(engine, problem, found, likely))
    if case is None:
        raise ValueError(f"{name!r} needs a case token, not a case file")
    found = TESTS[name.removeprefix(EXACT)].check(engine, case, engine.require)
    return answered_or(found, lambda: loss_first(engine, problem, found, likely))


def _budget(engine: Guarded, problem: Problem) -> dict[str, int]:
    """Bound the forward passes of an engine so slow that all of them would take its time."""
    passes = engine.calls_within(SHARE)
    return (
        {}
        if passes >= PASSES * problem.architecture.n_parameters
        else {"budget": max(1, int(passes))}
    )


def applicable(problem: Problem, case: Case | None, arithmetic: str) -> list[str]:
    """Name the properties that can be examined on a problem.

    An exact test is put to every case that is fit for it, whatever its corner: shrinking may end
    in another one.
    """
    tests = [] if case is None else TESTS.values()
    fit = [EXACT + t.name for t in tests if not t.obstacle(problem, arithmetic)]
    return ["agreement", "consistency", *fit]


def finding_of(name: str, outcome: Outcome) -> Finding:
    """Write an outcome as the log has it."""
    counts = dict(outcome.counts)
    return {
        "property": name,
        "verdict": outcome.verdict.value,
        "reason": outcome.reason.value if outcome.reason else "",
        "detail": outcome.detail,
        "counts": counts,
        "wrong": counts.get("failed", 0),
        "blocks": blocks_of(outcome),
        "worst": worst_of(outcome),
        "model": outcome.model,
        "explanation": outcome.explanation,
        "diagnosis": outcome.diagnosis,
        "suspects": [list(suspect) for suspect in outcome.suspects],
        "notes": list(outcome.notes),
        "resolution": float(outcome.resolution),
        "forward_passes": outcome.forward_passes,
        "backward_passes": outcome.backward_passes,
    }


def blocks_of(outcome: Outcome) -> list[str]:
    """Name the arrays of which some coordinate failed."""
    c = outcome.comparison
    if c is None or outcome.verdict is not Verdict.FAIL:
        return []
    failed = c.kind == Kind.FAILED
    return [leaf.name for leaf in c.structure.leaves if failed[leaf.start : leaf.stop].any()]


def worst_of(outcome: Outcome) -> Mapping[str, Any] | None:
    """Return the coordinate furthest beyond its allowance, or nearest to it."""
    c = outcome.comparison
    if c is None:
        return None
    compared = np.flatnonzero(np.isin(c.kind, COMPARED))
    if outcome.verdict is Verdict.FAIL:
        compared = np.flatnonzero(c.kind == Kind.FAILED)
    if not compared.size:
        return None
    times = _times(c)[compared]
    at = int(np.argmax(np.nan_to_num(times, nan=np.inf)))
    return _coordinate(c, int(compared[at]), float(times[at]))


def _times(c: Comparison) -> np.typing.NDArray[np.floating[Any]]:
    """Return |deviation| / allowance, 0 where nothing deviates."""
    with np.errstate(all="ignore"):
        deviation = np.abs(c.engine - c.oracle)
        return np.asarray(np.where(deviation == 0, 0.0, deviation / c.allowance))


def _coordinate(c: Comparison, j: int, times: float) -> Mapping[str, Any]:
    return {
        "name": c.structure.name(j),
        "engine": float(c.engine[j]),
        "oracle": float(c.oracle[j]),
        "bound": float(c.bound[j]),
        "allowance": float(c.allowance[j]),
        "times": times,
    }
