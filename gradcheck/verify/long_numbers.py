"""Asks an engine again at numbers that float32 does not hold.

The numbers of a case are those of float32, so that one token names the same problem in float32 and
float64. An engine that rounds its inputs, targets or parameters to float32 and computes in float64
from there is right at all of them. So the arrays of small float64 problems are multiplied, entry by
entry, by 1 - r 2^-24 with r uniform in [0, 1): that fills the 29 bits that float32 lacks, moves no
number to another scale, and leaves 0 and the targets 0 and 1 as they are.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.agreement import check_agreement
from gradcheck.engines.base import Unsupported
from gradcheck.splitmix64 import Stream
from gradcheck.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Array, Problem

ARRAYS = {"X": "inputs", "Y": "targets", "W_l": "weights", "b_l": "biases"}
"""The arrays of a problem, by their symbols."""

MOST_PARAMETERS = 60
"""Of the problems that are asked again."""

IN_FLOAT32 = "{} is rounded to float32; the answer is right where float32 holds it"


def agreement_at_long_numbers(
    engine: Engine, problem: Problem, outcome: Outcome, *, require: str | None = None
) -> Outcome:
    """Check agreement again at longer numbers, where it passed.

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

    def at(*symbols: str) -> Outcome:
        there = lengthened(problem, *symbols)
        return check_agreement(engine, there, require=require, explained=False)

    try:
        longer = at(*ARRAYS)
        passes = outcome.backward_passes + longer.backward_passes
        if longer.verdict is not Verdict.FAIL:
            return replace(outcome, backward_passes=passes)
        wrong = [symbol for symbol in ARRAYS if at(symbol).verdict is Verdict.FAIL]
    except Unsupported:
        return outcome
    told = IN_FLOAT32.format(" or ".join(wrong)) if wrong else ""
    return replace(longer, diagnosis=told, backward_passes=passes)


def lengthened(problem: Problem, *symbols: str) -> Problem:
    """Fill the bits that float32 lacks in some arrays of a float64 problem.

    Args:
        problem: of dtype float64.
        symbols: of the arrays, as in ARRAYS.
    """
    changed: dict[str, Any] = {}
    for symbol in symbols:
        name = ARRAYS[symbol]
        arrays = getattr(problem, name)
        if isinstance(arrays, tuple):
            longer = (_longer(array, f"{name} {i}") for i, array in enumerate(arrays))
            changed[name] = tuple(longer)
        else:
            changed[name] = _longer(arrays, name)
    return replace(problem, **changed)


def _longer(array: Array, purpose: str) -> Array:
    r = Stream(0, f"low bits of {purpose}").uniform(array.size).reshape(array.shape)
    is_kept = (purpose == "targets") & ((array == 0) | (array == 1))
    return np.where(is_kept, array, array * (1 - r * 2.0**-24))
