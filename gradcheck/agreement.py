"""Agreement: is an engine's gradient that of the loss which was meant?

The witness is the exact gradient of the problem (`gradcheck.oracles.certified`), at the bits that
the engine received; the allowance is what rounding can do in an engine of the declared class
(`gradcheck.rounding`). The engine's own loss is not asked: the gradient of a clipped loss is
consistent with that loss, and does not agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradcheck.diagnosis.told import diagnosed
from gradcheck.engines.base import NO_LOSS
from gradcheck.examine import Layout, UnderTest, default_resolution, examine
from gradcheck.ladder import Explanation, explain, explain_overflow
from gradcheck.oracles.certified import certified_gradient
from gradcheck.oracles.lines import Lines
from gradcheck.problem import dtype_name, gradient_as_dict
from gradcheck.rounding import ARITHMETICS, gradient_bound, gradient_deviation, loss_bound
from gradcheck.verdict import Comparison, Outcome, Reason, Verdict, agree

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine
    from gradcheck.examine import FloatArray
    from gradcheck.oracles.certified import Certified
    from gradcheck.problem import Problem

STRICTEST = next(iter(ARITHMETICS))
"""The class that an engine is held to unless it declares another."""


def check_agreement(
    engine: Engine,
    problem: Problem,
    *,
    resolution: float | None = None,
    exact: Certified | None = None,
    explained: bool = True,
) -> Outcome:
    """Compare an engine's gradient of a problem with the exact one.

    A value beyond the rounding bound FAILs: no engine of the declared class returns it. The
    outcome's `explanation` then names the narrowest other class that does, if one does.

    Args:
        engine: computes loss and gradient.
        problem: of dtype float16, float32 or float64.
        resolution: the relative error that must not go unseen; default 1e-6 for float64, 0.1 for
            float32, 0.5 for float16.
        exact: the exact gradient of the problem, if it is known already.
        explained: whether a FAIL is explained: by another class, and by the likely mistake. The
            engine is asked about other problems for that.

    Raises:
        TypeError: another dtype.
        ValueError: a resolution that is not between 0 and 1, or an unknown declared arithmetic.
        Unsupported: the engine does not take this problem.

    >>> from gradcheck.case import parse
    >>> from gradcheck.engines.registry import find
    >>> case = parse("gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0")
    >>> outcome = check_agreement(find("reference"), case.problem())
    >>> outcome.verdict.value, outcome.resolution < 1e-12, outcome.backward_passes
    ('PASS', True, 3)
    """
    if resolution is not None and not 0 < resolution < 1:
        raise ValueError(f"resolution={resolution!r} must be between 0 and 1")
    arithmetic = engine.info.arithmetic or STRICTEST
    bounds = _bounds(problem, arithmetic)
    rounding = bounds.gradient
    exact = certified_gradient(problem) if exact is None else exact
    losses: list[float | None] = []
    test = _under_test(engine, problem, losses, ~np.isfinite(rounding))
    asked = resolution if resolution is not None else default_resolution(test.names)

    reference = exact.estimate()

    def witness(g: FloatArray) -> Comparison:
        return agree(test.names, g, reference, rounding, bounds.deviation, resolution=asked)

    outcome = examine(test, witness, resolution=asked, budget=None)
    if told := _about_the_loss(losses[0], exact, problem, bounds):
        outcome = replace(outcome, notes=(*outcome.notes, told))
    if not explained:
        return outcome
    found = _explanation(engine, problem, outcome)
    outcome = replace(
        outcome,
        explanation=found.text,
        backward_passes=outcome.backward_passes + found.backward_passes,
    )
    return diagnosed(engine, problem, outcome, label=found.label)


@dataclass(frozen=True)
class Bounds:
    """What rounding can do to one problem in one class, each computed when first asked for."""

    problem: Problem
    arithmetic: str

    @cached_property
    def gradient(self) -> FloatArray:
        """The certain bound of every coordinate."""
        return gradient_bound(self.problem, self.arithmetic)

    @cached_property
    def deviation(self) -> FloatArray:
        """The standard deviation of every coordinate."""
        return gradient_deviation(self.problem, self.arithmetic)

    @cached_property
    def loss(self) -> float:
        """The certain bound of the loss."""
        return loss_bound(self.problem, self.arithmetic)


_recent: dict[str, Bounds] = {}
"""By class, the bounds of the problem asked about last: several engines are put to one problem."""


def _bounds(problem: Problem, arithmetic: str) -> Bounds:
    if any(array.flags.writeable for array in (*problem.weights, *problem.biases)):
        return Bounds(problem, arithmetic)  # the same problem may hold other numbers next time
    known = _recent.get(arithmetic)
    if known is None or known.problem is not problem:
        known = _recent[arithmetic] = Bounds(problem, arithmetic)
    return known


def _under_test(
    engine: Engine,
    problem: Problem,
    losses: list[float | None],
    may_overflow: npt.NDArray[np.bool_],
) -> UnderTest:
    """Make a derivative of the engine at a private copy of the parameters; collect its losses."""

    def derivative(parameters: Any) -> Any:
        loss, layers = engine.value_and_grad(problem.with_parameters(parameters))
        losses.append(loss)
        return gradient_as_dict(layers)

    lines = Lines(_never_evaluated, problem.parameters)
    layout = Layout("value_and_grad(problem)", "the gradient of", lines.structure)
    return UnderTest(
        lines, derivative, layout, lines.structure, np.zeros(1), may_overflow=may_overflow
    )


def _never_evaluated(_parameters: Any) -> float:
    return 0.0


def _explanation(engine: Engine, problem: Problem, outcome: Outcome) -> Explanation:
    """Climb the ladder with a wrong gradient."""
    if outcome.verdict is Verdict.FAIL and outcome.comparison is not None:
        return explain(engine, problem, outcome.comparison.engine)
    if outcome.reason is Reason.NONFINITE:
        return explain_overflow(engine, problem)
    return Explanation("", "", 0)


def _about_the_loss(loss: float | None, exact: Certified, problem: Problem, bounds: Bounds) -> str:
    """Say that the engine has no loss, or another one than was meant."""
    if loss is None:
        return NO_LOSS
    allowed = bounds.loss + exact.loss_bound
    if abs(loss - exact.loss) <= allowed or not np.isfinite(allowed):
        return ""
    return (
        f"the engine's loss is {loss:.10g}, the one that is meant {exact.loss:.10g} "
        f"({dtype_name(problem.dtype)} rounding explains {allowed:.1g})"
    )
