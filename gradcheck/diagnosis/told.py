"""Puts the diagnosis of an engine into the outcome of its check."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np

from gradcheck.diagnosis.answers import told_of_shapes
from gradcheck.diagnosis.calls import (
    CALLS,
    MEMORY_CALLS,
    keeps_something,
    told_of_calls,
    told_of_memory,
)
from gradcheck.diagnosis.explain import Diagnosis, diagnose
from gradcheck.diagnosis.finding import FORMULA
from gradcheck.diagnosis.finding import UNKNOWN as NO_NAME
from gradcheck.diagnosis.linear import related
from gradcheck.diagnosis.one_unit import told_of_units
from gradcheck.diagnosis.probes import answer, frame_of, widened
from gradcheck.diagnosis.seen import arithmetic_of
from gradcheck.outcomes.outcome import Outcome, Suspect
from gradcheck.outcomes.reasons import Kind, Reason, Verdict
from gradcheck.rounding import ARITHMETICS

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Problem


class Told(NamedTuple):
    """What is said of a failure.

    Attributes:
        text: the likely mistake, or "".
        calls: how often the engine was asked.
        suspects: every mistake that would give the numbers.
    """

    text: str = ""
    calls: int = 0
    suspects: tuple[Suspect, ...] = ()


def diagnosed(engine: Engine, problem: Problem, outcome: Outcome, *, label: str = "") -> Outcome:
    """Return an outcome with the likely mistake of an engine.

    Args:
        engine: what was checked; it is asked again.
        problem: where.
        outcome: what was found; only a FAIL has a diagnosis.
        label: the class of algorithms that explains the gradient: nothing is wrong in a formula
            then.
    """
    if outcome.verdict is not Verdict.FAIL:
        return outcome
    if label in ARITHMETICS:
        is_zero = outcome.diagnosis.startswith("every wrong coordinate is exactly 0")
        return outcome if is_zero else replace(outcome, diagnosis="")
    with np.errstate(all="ignore"):  # engines return numbers of any size
        told = _told(engine, problem, outcome)
    return _with(outcome, told)


def _with(outcome: Outcome, told: Told) -> Outcome:
    return replace(
        outcome,
        diagnosis=told.text or outcome.diagnosis,
        suspects=told.suspects,
        backward_passes=outcome.backward_passes + told.calls,
    )


def _told(engine: Engine, problem: Problem, outcome: Outcome) -> Told:
    if outcome.reason is Reason.SHAPE:
        return Told(told_of_shapes(engine, problem), 1)
    if outcome.reason is Reason.NONDETERMINISTIC:
        return Told(told_of_calls(engine, problem), CALLS)
    c = outcome.comparison
    if c is None:
        return Told()
    return _named(engine, problem, c.engine, c.kind == Kind.FAILED, c.allowance)


_latest: WeakKeyDictionary[Any, tuple[tuple[bytes, ...], Told]] = WeakKeyDictionary()
"""By engine, what was said last: several properties fail on one problem with the same gradient."""


def _named(engine: Engine, problem: Problem, g: Array, failed: Array, allowance: Array) -> Told:
    """Name what is wrong; once, where another property has failed on the same problem before."""
    arrays = (*problem.weights, *problem.biases, problem.inputs, problem.targets, g)
    key = (str(problem.architecture).encode(), *(x.tobytes() for x in arrays))
    try:
        known = _latest.get(engine)
    except TypeError:  # it cannot be a key
        return _newly_named(engine, problem, g, failed, allowance)
    if known is None or known[0] != key:
        known = _latest[engine] = key, _newly_named(engine, problem, g, failed, allowance)
    return known[1]


def _newly_named(
    engine: Engine, problem: Problem, g: Array, failed: Array, allowance: Array
) -> Told:
    """Name what calls keep, a formula, a relation, or what units give; else the place."""
    if kept := keeps_something(engine, problem, g, allowance):
        return Told(kept, 3 + MEMORY_CALLS)
    try:
        found = diagnose(engine, problem, g, failed)
    except np.linalg.LinAlgError:  # least squares that do not converge
        return Told("", 3)
    calls = found.backward_passes + 3
    if found.kind == NO_NAME or found.key == "zero":
        calls += MEMORY_CALLS
        if memory := told_of_memory(engine, problem):
            return Told(memory, calls)
    told = None if found.kind == FORMULA else _measured(engine, problem, g, failed, found)
    told = told or Told(found.text, 0, found.suspects)
    return told._replace(calls=told.calls + calls)


def _measured(
    engine: Engine, problem: Problem, g: Array, failed: Array, found: Diagnosis
) -> Told | None:
    """Tell what is solved for on problems that are drawn, or what single units give; else None."""
    arithmetic = arithmetic_of(engine.info.arithmetic, problem)
    is_open = found.kind == NO_NAME or found.key == "confined"
    if relation := related(engine, problem, g, found.layer, arithmetic, is_open=is_open):
        return Told(relation.text, relation.calls, relation.suspects)
    if unit := told_of_units(engine, problem, g, failed):
        return Told(unit.text, unit.calls, (unit.suspect,))
    return None


def diagnosed_by_units(engine: Engine, problem: Problem, outcome: Outcome) -> Outcome | None:
    """Return an outcome with what single units of the engine give, None if that explains nothing.

    Args:
        engine: what was checked; it is asked again.
        problem: where.
        outcome: a mismatch with the exact gradient.
    """
    c = outcome.comparison
    if c is None:
        return None
    with np.errstate(all="ignore"):  # engines return numbers of any size
        unit = told_of_units(engine, problem, c.engine, c.kind == Kind.FAILED)
    return None if unit is None else _with(outcome, Told(unit.text, unit.calls, (unit.suspect,)))


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
        told = _told_by_exact(engine, widened(engine, problem))
    return _with(outcome, told)


def _told_by_exact(engine: Engine, problem: Problem) -> Told:
    g = answer(engine, problem)
    if g is None:
        return Told("", 1)
    frame = frame_of(problem, arithmetic_of(engine.info.arithmetic, problem))
    failed = ~(np.abs(g - frame.right) <= 2 * frame.bound)
    if not failed.any():
        return Told("", 1)
    told = _named(engine, problem, g, failed, 2 * frame.bound)
    return told._replace(calls=told.calls + 1)
