"""Recognises an engine that computes a float64 problem in float32 and widens the answer.

Every number of its answer is one of float32, whose significand has 29 bits less: one number that is
so by chance is rare (2^-29), and that all are and none is further from the exact one than rounding
in float32 takes it is no chance. No formula is told of such an answer, nor another loss.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.formula import ANSWER
from gradcheck.oracles.certified import certified_gradient
from gradcheck.problem import gradient_as_dict
from gradcheck.rounding import gradient_bound, loss_bound
from gradcheck.verdict import Outcome, Reason, Suspect, Verdict

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Array, Problem

SAYS = "every number is one of float32, within the rounding of that: it is computed in float32"
EXPECTED = "the precision of the problem, float64"
WIDEST = "absolute_sigmoid"

SHORT = 12
"""Numbers of so few bits are no sign of a precision: they are the same in each."""


def precision_first(engine: Engine, problem: Problem, outcome: Outcome) -> Outcome:
    """Return an outcome that says so, if a failure comes of computing in float32; else the same."""
    is_open = outcome.verdict is Verdict.FAIL and outcome.reason in (Reason.MISMATCH, Reason.LOSS)
    if not is_open or problem.dtype != np.float64:
        return outcome
    outcome = replace(outcome, backward_passes=outcome.backward_passes + 1)
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
    """Whether the answer to a float64 problem is one of float32 in every number."""
    try:
        loss, layers = engine.value_and_grad(problem)
        parts = gradient_as_dict(layers, problem.architecture).values()
        g = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
    except Exception:  # noqa: BLE001  a diagnosis that fails must not end the check
        return False
    told = g if loss is None else np.append(g, float(loss))
    with np.errstate(all="ignore"):
        if not (np.isfinite(told).all() and _are_of_float32(told)):
            return False
        short = problem.astype("float32")
        exact = certified_gradient(short)
        allowed = gradient_bound(short, WIDEST) + exact.bound
        off = 0.0 if loss is None else abs(float(loss) - exact.loss)
        is_loss = off <= loss_bound(short, WIDEST) + exact.loss_bound
        return is_loss and bool(np.all(np.abs(g - exact.gradient) <= allowed))


def _are_of_float32(x: Array) -> bool:
    """Whether all numbers are of float32, one at least of more than a few bits."""
    fraction = np.frexp(x)[0] * 2.0**SHORT
    is_long = fraction != np.round(fraction)
    return bool(np.all(x == x.astype(np.float32)) and is_long.any())
