"""Agreement: is an engine's gradient that of the loss which was meant?

The witness is the exact gradient of the problem (`gradcheck.certified.gradient`), at the bits that
the engine received; the allowance is what rounding can do in an engine of the model that it
declares (`gradcheck.rounding`). An engine that declares none is held to the narrowest model that
explains its answers (`gradcheck.checks.measured`), up to what is required of it. The engine's own
loss is not asked: the gradient of a clipped loss is consistent with that loss, and does not agree.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.contract import Layout, UnderTest
from gradcheck.checks.examine import default_resolution, examine
from gradcheck.checks.measured import (
    OUTPUT,
    Model,
    allowed_models,
    errs_as_predicted,
    model_bound,
    narrowest_model,
)
from gradcheck.differences.lines import Lines
from gradcheck.engines.base import NO_LOSS
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.judging import agree
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Kind, Reason, Verdict
from gradcheck.problem import dtype_name, gradient_as_dict
from gradcheck.rounding import (
    ARITHMETICS,
    Sweep,
    gradient_deviation,
    swept_loss_bound,
    underflow_from_below,
)

if TYPE_CHECKING:
    from gradcheck.arrays import FloatArray
    from gradcheck.certified.gradient import Certified
    from gradcheck.engines.base import Engine
    from gradcheck.outcomes.estimate import Estimate
    from gradcheck.problem import Problem
    from gradcheck.pytree import Structure

AT_COMPANION = (
    "shown {}: rounding explains what the engine answers to the problem itself, but not this"
)
EXCUSED = "rounding explains these numbers, but not what half saturated hidden units give"
AS_COMPANIONS = {
    "milder": "at smaller weights",
    "generic": "at random numbers of the same sizes",
    "other precision": "in the other precision",
    "milder, other precision": "at smaller weights, in the other precision",
}

STRICTEST = next(iter(ARITHMETICS))
"""The narrowest model, to which an engine is held as long as it explains its answers."""


def check_agreement(
    engine: Engine,
    problem: Problem,
    *,
    resolution: float | None = None,
    require: str | None = None,
    exact: Certified | None = None,
) -> Outcome:
    """Compare an engine's gradient of a problem with the exact one.

    A value beyond the rounding bound FAILs: no engine of the model that is allowed returns it. The
    outcome's `model` is the narrowest that explains the gradient. Where a model explains it that
    the engine bears out, but not what the engine answers to a companion of the problem
    (`gradcheck.checks.ladder`), the outcome is that of the companion, and a note says so. What is
    wrong is explained by `gradcheck.diagnosis.agreement`.

    Args:
        engine: computes loss and gradient.
        problem: of dtype float16, float32 or float64.
        resolution: the relative error that must not go unseen; default 1e-6 for float64, 0.1 for
            float32, 0.5 for float16.
        require: the widest rounding model that is allowed: "strict", "standard" or a name in
            `gradcheck.rounding.ARITHMETICS`; default: the one that the engine declares, else
            "standard". A declared model binds the engine even where more is allowed.
        exact: the exact gradient of the problem, if it is known already.

    Raises:
        TypeError: another dtype.
        ValueError: a resolution that is not between 0 and 1, or an unknown model.
        Unsupported: the engine does not take this problem.

    >>> from gradcheck.engines.registry import find
    >>> from gradcheck.problems.case import parse
    >>> case = parse("gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0")
    >>> outcome = check_agreement(find("reference"), case.problem())
    >>> outcome.verdict.value, outcome.resolution < 1e-12, outcome.backward_passes
    ('PASS', True, 3)
    """
    found = compare_gradients(engine, problem, resolution=resolution, require=require, exact=exact)
    return found.with_note(found.on_the_loss)


def compare_gradients(
    engine: Engine,
    problem: Problem,
    *,
    resolution: float | None = None,
    require: str | None = None,
    exact: Certified | None = None,
) -> Compared:
    """Compare as `check_agreement` does; return what explaining the outcome needs besides it."""
    if resolution is not None and not 0 < resolution < 1:
        raise ValueError(f"resolution={resolution!r} must be between 0 and 1")
    models = allowed_models(engine.info.arithmetic, require)
    found = _compared(engine, problem, models, resolution, exact)
    if found.outcome.verdict is Verdict.FAIL and found.refuted_by:
        found = _at_companion(engine, found, *found.refuted_by, models, resolution)
    bounds = _bounds(found.problem, found.model)
    return replace(
        found, on_the_loss=_about_the_loss(found.loss, found.exact, found.problem, bounds)
    )


@dataclass(frozen=True)
class Compared:
    """What came of the comparison at one problem.

    Attributes:
        problem, exact: where, and its exact gradient.
        outcome: without an explanation.
        models: those that were allowed, the narrowest first.
        model: what the gradient was held to.
        refuted_by: the companion that a model leaves unexplained which explains the problem.
        loss: the engine's.
        on_the_loss: what is said of it, "" where it is the one that is meant.
    """

    problem: Problem
    exact: Certified
    outcome: Outcome
    models: tuple[str, ...]
    model: str
    refuted_by: tuple[str, Problem] | None
    loss: float | None
    on_the_loss: str = ""

    def with_note(self, note: str) -> Outcome:
        """Return the outcome with a note, if there is one."""
        outcome = self.outcome
        return replace(outcome, notes=(*outcome.notes, note)) if note else outcome


def _compared(
    engine: Engine,
    problem: Problem,
    models: tuple[str, ...],
    resolution: float | None,
    exact: Certified | None = None,
) -> Compared:
    exact = certified_gradient(problem) if exact is None else exact
    losses: list[float | None] = []
    test = _under_test(engine, problem, losses, ~np.isfinite(_bounds(problem, models[0]).gradient))
    asked = resolution if resolution is not None else default_resolution(test.names)
    held = _Held(engine, problem, models, exact.estimate(), test.names, asked)
    outcome = examine(test, held.compared, resolution=asked, budget=None)
    passes = outcome.backward_passes + held.backward_passes
    outcome = replace(outcome, backward_passes=passes, model=held.model_of(outcome))
    if held.is_excused and outcome.verdict is Verdict.PASS:
        outcome = replace(
            outcome, verdict=Verdict.INCONCLUSIVE, reason=Reason.VACUOUS, detail=EXCUSED
        )
    return Compared(problem, exact, outcome, models, held.model, held.refuted_by, losses[0])


def _at_companion(
    engine: Engine,
    found: Compared,
    name: str,
    companion: Problem,
    models: tuple[str, ...],
    resolution: float | None,
) -> Compared:
    """Return the comparison at the companion that refutes what would explain a problem.

    The numbers of the problem itself are what rounding makes of them; those are not, and are shown.
    """
    there = _compared(engine, companion, models, resolution)
    if there.outcome.verdict is not Verdict.FAIL:
        return found
    notes = (*there.outcome.notes, AT_COMPANION.format(AS_COMPANIONS[name]))
    passes = found.outcome.backward_passes + there.outcome.backward_passes
    outcome = replace(there.outcome, notes=notes, backward_passes=passes)
    return replace(there, outcome=outcome)


@dataclass
class _Held:
    """What a gradient is held to: the narrowest model that explains it, else the first one.

    Attributes:
        engine, problem: what is compared, and where.
        models: those that are allowed, the narrowest first.
        reference: the exact gradient.
        names: of the coordinates.
        resolution: the power requirement.
        model: the one of the latest comparison.
        backward_passes: how often the engine was asked besides.
        refuted_by: the companion that a model leaves unexplained which explains the problem.
        is_excused: whether rounding explains the gradient, though not all of the engine's.
    """

    engine: Engine
    problem: Problem
    models: tuple[str, ...]
    reference: Estimate
    names: Structure
    resolution: float
    model: str = ""
    backward_passes: int = 0
    refuted_by: tuple[str, Problem] | None = None
    is_excused: bool = False

    def __post_init__(self) -> None:
        self.model = self.models[0]

    def compared(self, g: FloatArray) -> Comparison:
        """Compare with the exact gradient, within the narrowest model that explains it."""
        comparison = self._within(g, Model(self.models[0]))
        if not np.isin(comparison.kind, (Kind.FAILED, Kind.ANOMALOUS)).any():
            return comparison
        found = narrowest_model(self.engine, self.problem, g, self.models[1:])
        self.backward_passes += found.backward_passes
        self.refuted_by, self.is_excused = found.refuted_by, found.excuse is not None
        if found.excuse:
            return self._within(g, Model(*found.excuse))
        if not found.name:
            if (lost := self._lost_from_below(comparison)) is not None:
                self.refuted_by, self.is_excused = None, True
                return lost
            return comparison if found.refuted_by else self._beyond_what_is_shown(g, comparison)
        self.model = found.name
        return self._within(g, found)

    def _lost_from_below(self, comparison: Comparison) -> Comparison | None:
        """Leave subnormal derivatives undecided which underflow from the inputs up explains.

        None if that does not explain all that is wrong.
        """
        wrong = np.isin(comparison.kind, (Kind.FAILED, Kind.ANOMALOUS))
        tiny = float(np.finfo(self.problem.dtype).tiny)
        off = np.abs(comparison.engine - comparison.oracle)
        allowed = comparison.allowance + underflow_from_below(self.problem)
        explained = (off <= allowed) & (np.abs(comparison.oracle) < tiny)
        if not explained[wrong].all():
            return None
        return replace(comparison, kind=np.where(wrong, np.uint8(Kind.VACUOUS), comparison.kind))

    def _beyond_what_is_shown(self, g: FloatArray, strictest: Comparison) -> Comparison:
        """Compare within the model whose errors the engine shows elsewhere, if it shows any's.

        What rounding does to an engine that computes p - y is no part of what is wrong with it.
        """
        for name in self.models[1:]:
            errs, asked = errs_as_predicted(self.engine, self.problem, name, places=OUTPUT)
            self.backward_passes += asked
            if errs:
                within = self._within(g, Model(name))
                is_wrong = np.isin(within.kind, (Kind.FAILED, Kind.ANOMALOUS)).any()
                return within if is_wrong else strictest
        return strictest

    def model_of(self, outcome: Outcome) -> str:
        """Return the model that explains an outcome, "" where none does."""
        return "" if outcome.verdict is Verdict.FAIL or self.is_excused else self.model

    def _within(self, g: FloatArray, model: Model) -> Comparison:
        bounds = _bounds(self.problem, model.name, model.wider)
        return agree(
            self.names,
            g,
            self.reference,
            bounds.gradient,
            bounds.deviation,
            resolution=self.resolution,
        )


@dataclass(frozen=True)
class Bounds:
    """What rounding can do to one problem in one model, each computed when first asked for."""

    problem: Problem
    arithmetic: str
    wider: str = ""

    @cached_property
    def sweep(self) -> Sweep:
        """The forward pass in the problem's own format."""
        return Sweep(self.problem, self.arithmetic)

    @cached_property
    def gradient(self) -> FloatArray:
        """The certain bound of every coordinate."""
        if not self.wider:
            return self.sweep.bound()
        return model_bound(self.problem, self.arithmetic, self.wider)

    @cached_property
    def deviation(self) -> FloatArray:
        """The standard deviation of every coordinate."""
        if not self.wider:
            return gradient_deviation(self.problem, self.arithmetic)
        within = gradient_deviation(self.problem.astype(self.wider), self.arithmetic)
        return np.asarray(np.hypot(gradient_deviation(self.problem), within))

    @cached_property
    def loss(self) -> float:
        """The certain bound of the loss."""
        return swept_loss_bound(self.sweep)


_recent: dict[tuple[str, str], Bounds] = {}
"""By model, the bounds of the problem asked about last: several engines are put to one problem."""


def _bounds(problem: Problem, arithmetic: str, wider: str = "") -> Bounds:
    if any(array.flags.writeable for array in (*problem.weights, *problem.biases)):
        return Bounds(problem, arithmetic, wider)  # it may hold other numbers next time
    known = _recent.get((arithmetic, wider))
    if known is None or known.problem is not problem:
        known = _recent[arithmetic, wider] = Bounds(problem, arithmetic, wider)
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
