"""Asks an engine again at numbers that float32 does not hold.

The numbers of a case are those of float32, so that one token names the same problem in float32 and
float64. An engine that rounds its inputs, targets or parameters to float32 and computes in float64
from there is right at all of them. So the arrays of small float64 problems are multiplied, entry by
entry, by 1 - r 2^-24 with r uniform in [0, 1): that fills the 29 bits that float32 lacks, moves no
number to another scale, and leaves 0 and the targets 0 and 1 as they are.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.measured import STANDARD
from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.diagnosis.formula import ANSWER
from gradcheck.engines.base import Unsupported
from gradcheck.outcomes.judging import is_within
from gradcheck.outcomes.outcome import Outcome, Suspect
from gradcheck.outcomes.reasons import Kind, Verdict
from gradcheck.rounding import gradient_bound
from gradcheck.splitmix64 import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcheck.arrays import Array
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Problem

ARRAYS = {"X": "inputs", "Y": "targets", "W_l": "weights", "b_l": "biases"}
"""The arrays of a problem, by their symbols."""

WIDEST = STANDARD[-1]
"""The rounding that an engine is granted when its numbers are looked for."""

MOST_PARAMETERS = 60
"""Of the problems that are asked again."""

NOTE = "shown at numbers that float32 does not hold: at those of the problem itself it is right"
SAYS, EXPECTED = "{} is rounded to float32", "{} as it is given"


def agreement_at_long_numbers(
    engine: Engine, problem: Problem, outcome: Outcome, *, require: str | None = None
) -> Outcome:
    """Check agreement again at longer numbers, where it passed.

    An engine that is wrong at the negated weights is left alone: what it keeps between calls would
    look like rounded numbers.

    Args:
        engine: what was checked.
        problem: where.
        outcome: of `check_agreement` there.
        require: as `check_agreement` takes it.

    Returns:
        The same outcome, or that of the longer numbers if it is FAIL.
    """
    is_asked = problem.dtype == np.float64 and problem.architecture.n_parameters <= MOST_PARAMETERS
    if outcome.verdict is not Verdict.PASS or not is_asked:
        return outcome
    check, there = partial(check_agreement, engine, require=require), lengthened(problem)
    try:
        longer = check(there)
        passes = outcome.backward_passes + longer.backward_passes
        if longer.verdict is not Verdict.FAIL:
            return replace(outcome, backward_passes=passes)
        if check(_negated(problem)).verdict is Verdict.FAIL:
            return outcome
        rounded = _told(there, longer)
        told = explained_agreement(engine, there, require=require) if rounded is None else rounded
    except Unsupported:
        return outcome
    return replace(told, notes=(*told.notes, NOTE), backward_passes=passes)


def _negated(problem: Problem) -> Problem:
    weights, biases = (
        tuple(-array for array in each) for each in (problem.weights, problem.biases)
    )
    return replace(problem, weights=weights, biases=biases)


def _told(problem: Problem, outcome: Outcome) -> Outcome | None:
    """Name the array that gives all of the engine's numbers if it is rounded to float32.

    None if no array does, or if several do, or if all that is wrong is 0: p - y is 0 where y is
    rounded to p, but many other mistakes leave a gradient 0.
    """
    c = outcome.comparison
    if c is None or not c.engine[c.kind == Kind.FAILED].any():
        return None
    fitting = []
    for symbol, name in ARRAYS.items():
        rounded = _changed(problem, name, lambda array, _: array.astype(np.float32).astype(float))
        exact = certified_gradient(rounded)
        bound = gradient_bound(rounded, WIDEST) + exact.bound
        if is_within(c.engine, exact.gradient, bound):
            fitting.append(symbol)
    if len(fitting) != 1:
        return None
    [symbol] = fitting
    says, expected = SAYS.format(symbol), EXPECTED.format(symbol)
    suspect = Suspect(ANSWER, 0, f"{symbol} in float32", says, expected)
    diagnosis = f"all layers: {says}; expected {expected}"
    return replace(outcome, diagnosis=diagnosis, suspects=(suspect,))


def lengthened(problem: Problem) -> Problem:
    """Fill bits that float32 lacks in the arrays of a float64 problem.

    Args:
        problem: of dtype float64.
    """
    for name in ARRAYS.values():
        problem = _changed(problem, name, _longer)
    return problem


def _changed(problem: Problem, name: str, change: Callable[[Array, str], Array]) -> Problem:
    """Return the problem with one of its arrays changed, or with all weights or biases."""
    arrays = getattr(problem, name)
    changed: Any
    if isinstance(arrays, tuple):
        changed = tuple(change(array, f"{name} {i}") for i, array in enumerate(arrays))
    else:
        changed = change(arrays, name)
    return replace(problem, **{name: changed})


def _longer(array: Array, purpose: str) -> Array:
    r = Stream(0, f"low bits of {purpose}").uniform(array.shape)
    is_kept = (purpose == "targets") & ((array == 0) | (array == 1))
    return np.where(is_kept, array, array * (1 - r * 2.0**-24))
