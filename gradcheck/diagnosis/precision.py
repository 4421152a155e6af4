"""Recognises an engine that computes a float64 problem in float32 and widens the answer.

Every number of its answer is one of float32, whose significand has 29 bits less: one number that is
so by chance is rare (2^-29), and that all are and none is further from the exact one than rounding
in float32 takes it is no chance. No formula is told of such an answer, nor another loss.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.certified.gradient import certified_gradient
from gradcheck.diagnosis.formula import ANSWER
from gradcheck.outcomes.outcome import Outcome, Suspect
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problem import gradient_as_dict
from gradcheck.problems.case import Case
from gradcheck.rounding import gradient_bound, loss_bound

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Problem

SAYS = "every number is one of float32, within the rounding of that: it is computed in float32"
EXPECTED = "the precision of the problem, float64"
WIDEST = "absolute_sigmoid"

SHORT = 12
"""Numbers of so few bits are no sign of a precision: they are the same in each."""

MANY = 8
"""So many different numbers of more bits are a sign."""


def precision_first(engine: Engine, problem: Problem, outcome: Outcome) -> Outcome:
    """Return an outcome that says so, if a failure comes of computing in float32; else the same."""
    is_open = outcome.verdict is Verdict.FAIL and outcome.reason in (Reason.MISMATCH, Reason.LOSS)
    if not is_open or problem.dtype != np.float64:
        return outcome
    outcome = replace(outcome, backward_passes=outcome.backward_passes + 2)
    if not is_in_float32(engine, problem):
        return outcome
    return replace(
        outcome,
        reason=Reason.MISMATCH,
        explanation="",
        diagnosis=f"all layers: {SAYS}; expected {EXPECTED}",
        suspects=(Suspect(ANSWER, 0, "float32", SAYS, EXPECTED),),
    )


def is_in_float32(engine: Engine, problem: Problem) -> bool:
    """Whether answers to float64 problems are of float32 in every number: to this one and another.

    Rounding may leave so few bits of a number that it is one of float32 anyway; not of the many
    numbers of a problem of another structure, on which no unit is saturated.
    """
    return _is_of_float32(engine, problem, 0) and _is_of_float32(engine, _other(problem), MANY)


def _other(problem: Problem) -> Problem:
    network = problem.architecture
    return Case(
        sizes=(3, 4, network.sizes[-1]),
        loss=network.loss,
        reduction=network.reduction,
        batch=3,
        targets="soft",
    ).problem()


def _is_of_float32(engine: Engine, problem: Problem, many: int) -> bool:
    """Whether an answer is of float32 in every number, so many of them of more than a few bits."""
    try:
        loss, layers = engine.value_and_grad(problem)
        parts = gradient_as_dict(layers, problem.architecture).values()
        g = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
    except Exception:  # noqa: BLE001  a diagnosis that fails must not end the check
        return False
    told = g if loss is None else np.append(g, float(loss))
    with np.errstate(all="ignore"):
        fraction = np.frexp(told)[0] * 2.0**SHORT
        long = np.unique(np.abs(told[fraction != np.round(fraction)]))
        is_short = np.isfinite(told).all() and np.all(told == told.astype(np.float32))
        if not is_short or len(long) < many:
            return False
        short = problem.astype("float32")
        exact = certified_gradient(short)
        allowed = gradient_bound(short, WIDEST) + exact.bound
        off = 0.0 if loss is None else abs(float(loss) - exact.loss)
        is_loss = off <= loss_bound(short, WIDEST) + exact.loss_bound
        return is_loss and bool(np.all(np.abs(g - exact.gradient) <= allowed))
