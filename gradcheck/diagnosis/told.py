"""Puts the diagnosis of an engine into the outcome of its check."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnose import UNKNOWN
from gradcheck.diagnosis.answers import told_of_shapes
from gradcheck.diagnosis.calls import EXPECTED, keeps_something, told_of_calls, told_of_memory
from gradcheck.diagnosis.explain import diagnose
from gradcheck.diagnosis.finding import UNKNOWN as NO_NAME
from gradcheck.diagnosis.probes import answer, frame_of, widened
from gradcheck.diagnosis.seen import arithmetic_of
from gradcheck.rounding import ARITHMETICS
from gradcheck.verdict import Kind, Outcome, Reason, Verdict

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Array, Problem


MEMORY = f"all layers: the answer depends on the calls before; {EXPECTED}"


def diagnosed(engine: Engine, problem: Problem, outcome: Outcome, *, label: str = "") -> Outcome:
    """Return an outcome with the likely mistake of an engine.

    Args:
        engine: what was checked; it is asked again.
        problem: where.
        outcome: what was found; only a FAIL has a diagnosis.
        label: the class of algorithms that explains the gradient: nothing is wrong in a formula
            then.
    """
    if outcome.verdict is not Verdict.FAIL or label in ARITHMETICS:
        return outcome
    with np.errstate(all="ignore"):  # engines return numbers of any size
        told, calls = _told(engine, problem, outcome)
    passes = outcome.backward_passes + calls
    return replace(outcome, diagnosis=told or outcome.diagnosis, backward_passes=passes)


def _told(engine: Engine, problem: Problem, outcome: Outcome) -> tuple[str, int]:
    """Return the diagnosis, and how often the engine was asked."""
    if outcome.reason is Reason.SHAPE:
        return told_of_shapes(engine, problem), 1
    if outcome.reason is Reason.NONDETERMINISTIC:
        return told_of_calls(engine, problem), 5
    return _of_formulas(engine, problem, outcome)


def _of_formulas(engine: Engine, problem: Problem, outcome: Outcome) -> tuple[str, int]:
    c = outcome.comparison
    if c is None:
        return "", 0
    failed = c.kind == Kind.FAILED
    return _named(engine, problem, c.engine, failed, c.allowance, outcome.diagnosis)


def _named(
    engine: Engine, problem: Problem, g: Array, failed: Array, allowance: Array, pattern: str
) -> tuple[str, int]:
    """Name a formula; else what is kept between calls; else the pattern that is known already."""
    if keeps_something(engine, problem, g, allowance):
        told = told_of_memory(engine, problem)
        return told or MEMORY, 8
    try:
        found = diagnose(engine, problem, g, failed)
    except np.linalg.LinAlgError:  # least squares that do not converge
        return "", 3
    calls = found.backward_passes + 3
    if found.kind != NO_NAME:
        return found.text, calls
    if memory := told_of_memory(engine, problem):
        return memory, calls + 5
    has_pattern = bool(pattern) and not pattern.startswith((UNKNOWN, "only "))
    return (pattern if has_pattern else found.text), calls


# --- where the witness is another one than the exact gradient -------------------------------------


def also_diagnosed(engine: Engine, problem: Problem, outcome: Outcome) -> Outcome:
    """Return the outcome of another check than agreement with the likely mistake of an engine.

    Differences and exact tests show that a gradient is wrong; which equation is, the exact gradient
    tells, in float64 if the engine computes in that. Where it is right by that, nothing is named.

    Args:
        engine: what was checked; it is asked again.
        problem: where.
        outcome: what was found; only a mismatch has a diagnosis.
    """
    if outcome.verdict is not Verdict.FAIL or outcome.reason is not Reason.MISMATCH:
        return outcome
    with np.errstate(all="ignore"):  # engines return numbers of any size
        told, calls = _told_by_exact(engine, widened(engine, problem))
    passes = outcome.backward_passes + calls
    return replace(outcome, diagnosis=told or outcome.diagnosis, backward_passes=passes)


def _told_by_exact(engine: Engine, problem: Problem) -> tuple[str, int]:
    g = answer(engine, problem)
    if g is None:
        return "", 1
    frame = frame_of(problem, arithmetic_of(engine.info.arithmetic, problem))
    failed = ~(np.abs(g - frame.right) <= 2 * frame.bound)
    if not failed.any():
        return "", 1
    told, calls = _named(engine, problem, g, failed, 2 * frame.bound, "")
    return told, calls + 1
