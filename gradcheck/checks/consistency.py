"""Consistency: is an engine's gradient the derivative of the engine's own loss?

The engine is a black box: its gradient is compared with differences of its loss.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.gradient import check_gradient
from gradcheck.checks.measured import loss_model, may_be_infinite
from gradcheck.differences.batches import BLOCK_BYTES, batched, numbers
from gradcheck.engines.base import Engine, require_loss
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problem import Problem, dtype_name, gradient_as_dict
from gradcheck.rounding import loss_bound

COMPARED = 8
"""Points at which the many losses of an engine are compared with its single ones."""

UNEXPLAINED = "flushed"
"""The model granted to a loss that none explains: p - y, and 0 for subnormal numbers."""


def check_consistency(engine: Engine, problem: Problem, **options: Any) -> Outcome:
    """Check an engine's gradient of a problem against differences of its own loss.

    A textbook loss, -y log p - (1 - y) log(1 - p), is far noisier than u |C| where p rounds to 1:
    it is a staircase there, whose steps differences may miss, and 0 where p is 1. What its
    rounding can do is known in advance (`gradcheck.rounding.loss_bound`), for the model that the
    engine declares, else for the narrowest that explains its loss (`gradcheck.checks.measured`); a
    loss that none explains is granted p - y and flushed numbers. A loss that is not finite because
    p or 1 - p rounds to 0 has no differences: INCONCLUSIVE.

    An engine that offers `losses(problem, stacked)` is asked for many losses at once, if they are
    those of `loss(problem)` at some points. If not, a note says so, and `loss` is asked alone.

    Args:
        engine: computes loss and gradient.
        problem: where.
        options: the keyword arguments of `gradcheck.check_gradient`.

    Raises:
        Unsupported: the engine does not take this problem, or returns no loss.

    >>> from gradcheck.engines.registry import find
    >>> from gradcheck.problems.case import parse
    >>> case = parse("gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0")
    >>> check_consistency(find("reference"), case.problem()).verdict.value
    'PASS'
    """

    def loss(parameters: Any) -> float:
        return require_loss(engine.loss(problem.with_parameters(parameters)))

    def gradient(parameters: Any) -> Any:
        _, layers = engine.value_and_grad(problem.with_parameters(parameters))
        return gradient_as_dict(layers)

    def rounding(parameters: Any) -> float:
        return loss_bound(problem.with_parameters(parameters), arithmetic)

    arithmetic = engine.info.arithmetic or loss_model(engine, problem) or UNEXPLAINED
    many, compared, told = _many_losses(engine, problem, arithmetic)
    f = loss if many is None else batched(lambda stacked: many(problem, stacked))
    if dtype_name(problem.dtype) != "longdouble":  # which no rounding bound is known for
        options.setdefault("rounding", rounding)
    bound = declared_bound(engine, problem)
    if bound is not None and "noise" not in options:
        compared += 1
        if is_the_loss_meant(engine, problem, bound):
            options["noise"] = bound
    if (options.get("budget") or 0) > compared:
        options["budget"] -= compared
    outcome = check_gradient(f, gradient, problem.parameters, **options)
    if outcome.reason in (Reason.NONFINITE, Reason.DOMAIN) and outcome.forward_passes:
        here = {name: array.copy() for name, array in problem.parameters.items()}
        value = loss(here)
        compared += 1
        if not np.isfinite(value):
            outcome = _not_finite(value, problem, outcome)
    notes = (*outcome.notes, told) if told else outcome.notes
    return replace(outcome, forward_passes=outcome.forward_passes + compared, notes=notes)


def _not_finite(value: float, problem: Problem, outcome: Outcome) -> Outcome:
    """Say why a loss that is not finite has no differences; wrong where rounding cannot do it."""
    if may_be_infinite(problem):
        told = f"the loss is {value} where an output rounds to 0 or 1: it has no differences"
        return replace(outcome, verdict=Verdict.INCONCLUSIVE, detail=told)
    exact = certified_gradient(problem).loss
    told = f"the loss is {value}, the one that is meant {exact:.6g}; no output rounds to 0 or 1"
    return replace(outcome, verdict=Verdict.FAIL, reason=Reason.LOSS, detail=told)


def _many_losses(engine: Any, problem: Problem, arithmetic: str) -> tuple[Any, int, str]:
    """Return what gives many losses at once, if anything does.

    Returns:
        The engine's own `losses`, if they are those of `loss`; else what makes the same calls in
        one message; else None. Then the forward passes that this took, and what differs.
    """
    offered, told = getattr(engine, "losses", None), ""
    compared = 0
    if offered is not None:
        compared, told = _other_losses(engine, problem, arithmetic)
    if offered is None or told:
        offered = getattr(engine, "losses_one_by_one", None)
    return offered, compared, told


def _other_losses(engine: Any, problem: Problem, arithmetic: str) -> tuple[int, str]:
    """Compare an engine's many losses with its single ones, at x (1 + k / 64), k = 0, 1, ...

    Both are within the bound of the exact loss; where the engine's loss is another one, a sum of
    terms of one sign, one for each of n parameters, errs by gamma_n |f| in any order.

    Returns:
        The forward passes that this took, and what differs, "" if nothing does.
    """
    x = problem.parameters
    size = sum(array.nbytes for array in x.values())
    scales = [1 + k / 64 for k in range(min(COMPARED, max(1, BLOCK_BYTES // size)))]
    with np.errstate(all="ignore"):
        points = [{name: (a * s).astype(a.dtype) for name, a in x.items()} for s in scales]
    stacked = {name: np.stack([point[name] for point in points]) for name in x}
    problems = [problem.with_parameters(point) for point in points]
    together = numbers(engine.losses(problem, stacked), len(points), np.longdouble)
    alone = [require_loss(engine.loss(there)) for there in problems]
    for scale, there, many, one in zip(scales, problems, together, alone, strict=True):
        allowed = 2 * _rounding_of(there, arithmetic, one)
        with np.errstate(all="ignore"):
            is_within = abs(one - many) <= allowed
        if not (is_within or np.array_equal(one, many, equal_nan=True)):
            return 2 * len(points), (
                f"losses(problem, stacked) answers {many:.10g} where loss(problem) answers "
                f"{one:.10g}, at {scale:.10g} times the parameters; rounding explains "
                f"{allowed:.1g}; the differences are those of loss(problem)"
            )
    return 2 * len(points), ""


def _rounding_of(problem: Problem, arithmetic: str, value: float) -> float:
    """Return what rounding can do to a loss, be it the one meant or another sum."""
    meant = 0.0 if dtype_name(problem.dtype) == "longdouble" else loss_bound(problem, arithmetic)
    nu = problem.architecture.n_parameters * float(np.finfo(problem.dtype).eps) / 2
    return meant + (nu / (1 - nu) if nu < 1 else np.inf) * abs(value)


def declared_bound(engine: Engine, problem: Problem) -> float | None:
    """Return the noise of one forward pass by the engine's declared arithmetic, None if unknown."""
    if not engine.info.arithmetic or dtype_name(problem.dtype) not in engine.info.dtypes:
        return None
    bound = loss_bound(problem, engine.info.arithmetic)
    return bound if 0 < bound < np.inf else None


def is_the_loss_meant(engine: Engine, problem: Problem, bound: float) -> bool:
    """Whether the engine's loss is the problem's, so that the bound of its noise is too."""
    exact = certified_gradient(problem)
    return abs(require_loss(engine.loss(problem)) - exact.loss) <= bound + exact.loss_bound
