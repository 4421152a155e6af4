r"""One saturated neuron: one weight, one example, input 1, so that the logit is the weight.

Symbols: z = w 1 + 0 the logit, p = sigma(z), y the target, g the engine's derivative, G the exact
one, B the width of its enclosure, R the rounding bound of the engine's class.

    dC/dw = dC/db = p - y          cross-entropy

    relative error    max |g - G| / |G|     over dC/dw and dC/db; G is never 0
    wrong             not (|g - G| <= B + R)

Where p rounds to y, p - y has no correct digit left and the relative error may be 1 though g is as
near to G as the class allows. Numbers below the normal range may be flushed to 0, likewise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.agreement import STRICTEST
from gradcheck.engines.base import Engine, MalformedAnswerError, UnansweredError
from gradcheck.outcomes.judging import is_within
from gradcheck.problem import DTYPES, Architecture, Problem
from gradcheck.rounding import gradient_bound
from gradcheck.verification.guarded import RaisedError

LOGITS = tuple(range(-100, 101))
SHOWN = (-90, -40, -36, -20, -10, 10, 20, 36, 40, 90)
"""The logits of the table."""

TARGETS = (0, 1)


@dataclass(frozen=True)
class Curve:
    """Relative errors at every logit.

    Attributes:
        dtype, target: of the neuron.
        errors: relative; NaN or infinite where the engine's number is.
        wrong: whether it is beyond the bound.
    """

    dtype: str
    target: int
    errors: list[float]
    wrong: list[bool]


def neuron(z: float, target: float, dtype: str, reduction: str = "mean") -> Problem:
    """Return the neuron at a logit."""
    one = np.ones((1, 1), DTYPES[dtype])
    network = Architecture((1, 1), "cross_entropy", reduction)
    return Problem(network, (z * one,), (np.zeros(1, DTYPES[dtype]),), one, target * one)


def curve(engine: Engine, dtype: str, target: int) -> Curve:
    """Measure one curve.

    Raises:
        Unsupported: the engine does not take the neuron.
    """
    reduction = "mean" if "mean" in engine.info.reductions else engine.info.reductions[0]
    found = [error_at(engine, neuron(z, target, dtype, reduction)) for z in LOGITS]
    errors, wrong = zip(*found, strict=True)
    return Curve(dtype, target, list(errors), list(wrong))


def error_at(engine: Engine, problem: Problem) -> tuple[float, bool]:
    """Return the relative error of the gradient, and whether it is wrong."""
    exact = certified_gradient(problem)
    allowed = exact.bound + gradient_bound(problem, engine.info.arithmetic or STRICTEST)
    g = _gradient(engine, problem)
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.abs(g - exact.gradient) / np.abs(exact.gradient)
    return float(np.max(error)), not is_within(g, exact.gradient, allowed)


def _gradient(engine: Engine, problem: Problem) -> npt.NDArray[np.float64]:
    """Return dC/dw and dC/db; an engine that raises has none."""
    try:
        _, layers = engine.value_and_grad(problem)
    except (RaisedError, MalformedAnswerError, UnansweredError):
        return np.full(2, np.nan)
    g = np.concatenate([np.ravel(part) for pair in layers for part in pair]).astype(np.float64)
    return g if g.size == 2 else np.full(2, np.nan)
