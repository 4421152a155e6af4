"""Says of a failure what the loss is, where it is not the one that is meant, before anything else.

No gradient is diagnosed against a forward pass that differs, unless it is not the derivative of the
engine's own loss either. Whether it is, differences of that loss say (gradcheck.checks.gradient),
along two directions: the difference of the engine's gradient and the exact one, along which the
derivatives of both losses are furthest apart, and random signs. On a problem where they do not
decide (a kink, saturated units) random problems are asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.gradient import check_gradient
from gradcheck.engines.base import require_loss
from gradcheck.forward.named import LossNamed, model_of, named_loss
from gradcheck.forward.probes import GENERIC, allows, drawn, precision
from gradcheck.forward.search import CONSTANT, FACTOR, NETWORK, UNKNOWN
from gradcheck.outcomes.judging import is_within
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.patterns.diagnose import UNKNOWN as NO_PATTERN
from gradcheck.problem import DTYPES, Problem, dtype_name, gradient_as_dict
from gradcheck.pytree import structure_of
from gradcheck.rounding import ARITHMETICS, gradient_bound, loss_bound, loss_floor
from gradcheck.splitmix64 import Stream

if TYPE_CHECKING:
    from gradcheck.arrays import Float64Array
    from gradcheck.certified.gradient import Certified
    from gradcheck.engines.base import Engine

Diagnose = Callable[[Outcome], Outcome]

WIDEST = "absolute_sigmoid"
"""The class within whose rounding a gradient is called right."""

ANOTHER = (NETWORK, UNKNOWN)
"""Kinds of losses beside which a gradient that is meant for another network says nothing."""

SMALL = 60
"""Parameters of a network that is differentiated along every axis, at 16 forward passes each."""

ASKED = 3
"""Random problems that are asked, at most, whether a gradient is that of its own loss."""

OF_THIS_LOSS = "the gradient is that of this loss"
NOT_OF_THIS = "the gradient is not that of this loss either"
UNDECIDED = "whether the gradient is that of this loss could not be decided"


def loss_first(
    engine: Engine,
    problem: Problem,
    outcome: Outcome,
    diagnose: Diagnose,
    *,
    exact: Certified | None = None,
    by_units: Callable[[Outcome], Outcome | None] | None = None,
) -> Outcome:
    """Return the outcome of agreement or an exact test, with what its loss is, then its diagnosis.

    Args:
        engine: what was checked; it is asked again.
        problem: where.
        outcome: what was found; only a mismatch says anything of a loss.
        diagnose: puts the likely mistake of the gradient into an outcome.
        exact: the exact gradient, if it is known already.
        by_units: puts what single units give into an outcome, if that makes the whole gradient;
            asked where the loss has no name, and the gradient is not that of it.
    """
    is_mismatch = outcome.verdict is Verdict.FAIL and outcome.reason is Reason.MISMATCH
    is_rounding = outcome.explanation.partition(":")[0] in ARITHMETICS  # and nothing else
    if not is_mismatch or is_rounding:
        return diagnose(outcome)
    named = _quietly(engine, problem, exact)
    if named is None:
        unseen = _is_of_another_loss(engine, problem)
        return _of_a_loss_unseen(outcome) if unseen else diagnose(outcome)
    if named.kind == CONSTANT:
        return diagnose(outcome)
    with np.errstate(all="ignore"):  # engines return numbers of any size
        is_own = is_the_derivative(engine, problem, named.noise)
    outcome = replace(outcome, forward_passes=outcome.forward_passes + named.calls)
    if is_own:
        return _of_the_loss(outcome, named, OF_THIS_LOSS)
    if named.kind == UNKNOWN and by_units is not None and (told := by_units(outcome)) is not None:
        return told
    return _beside_another_loss(engine, problem, outcome, named, diagnose, is_own=is_own)


def _is_of_another_loss(engine: Engine, problem: Problem) -> bool:
    """Whether differences show a loss whose value here is within rounding to be another one."""
    if dtype_name(problem.dtype) not in BOUNDED:
        return False
    noise = partial(loss_bound, arithmetic=model_of(engine, problem))
    with np.errstate(all="ignore"):
        return is_the_derivative(engine, problem, noise) is True


def _of_a_loss_unseen(outcome: Outcome) -> Outcome:
    """Turn a failure into one of a loss that only its differences show to be another one."""
    told = f"the loss is not the one that is meant; its differences say so; {OF_THIS_LOSS}"
    return replace(
        outcome, reason=Reason.LOSS, detail=told, diagnosis=told, explanation="", suspects=()
    )


def _beside_another_loss(
    engine: Engine,
    problem: Problem,
    outcome: Outcome,
    named: LossNamed,
    diagnose: Diagnose,
    *,
    is_own: bool | None,
) -> Outcome:
    """Say what the loss is, and that the gradient is not that of it, or may not be."""
    what = NOT_OF_THIS if is_own is False else UNDECIDED
    outcome = replace(outcome, detail=f"{named.told}; {what}; {outcome.detail}")
    if named.kind in ANOTHER:
        pattern = _beside_its_own(engine, problem) if is_own is False else ""
        return replace(outcome, diagnosis=pattern and f"beside its own loss, {pattern}")
    return diagnose(outcome)


def _beside_its_own(engine: Engine, problem: Problem) -> str:
    """Return the pattern that a gradient makes beside differences of its own loss, or "".

    One small problem is asked, at 4 to 30 forward passes a coordinate.
    """
    g, where = next(_answered(engine, problem), (None, problem))
    if g is None:
        return ""
    outcome = check_gradient(
        partial(_loss_at, engine, where), partial(_as_arrays, where, g), where.parameters
    )
    is_told = not outcome.diagnosis.startswith((NO_PATTERN, "only "))
    return outcome.diagnosis if outcome.reason is Reason.MISMATCH and is_told else ""


def _answered(engine: Engine, problem: Problem) -> Iterator[tuple[Float64Array, Problem]]:
    """Yield small problems with the gradients that the engine gives."""
    for where in _problems(engine, problem):
        if where.architecture.n_parameters <= SMALL:
            g = _gradient(engine, where)
            if g is not None:
                yield g, where


def _as_arrays(problem: Problem, g: Float64Array, _at: Any) -> dict[str, Float64Array]:
    leaves = structure_of(problem.parameters).leaves
    return {x.name: g[x.start : x.stop].reshape(x.shape) for x in leaves}


def _loss_at(engine: Engine, problem: Problem, parameters: Any) -> float:
    return require_loss(engine.loss(problem.with_parameters(parameters)))


def right_gradient_first(
    engine: Engine, problem: Problem, outcome: Outcome, diagnose: Diagnose
) -> Outcome:
    """Return the outcome of consistency; where the gradient is right, what the loss is instead.

    Args:
        engine: what was checked; it is asked again.
        problem: where.
        outcome: what was found; only a mismatch says anything of a loss.
        diagnose: puts the likely mistake of the gradient into an outcome.
    """
    is_loss = outcome.reason is Reason.LOSS
    if outcome.verdict is Verdict.INCONCLUSIVE:
        outcome = _of_a_loss_that_differs(engine, problem, outcome)
        is_open = outcome.verdict is Verdict.INCONCLUSIVE
        return _of_a_loss_too_small(engine, problem, outcome) if is_open else outcome
    may_be = outcome.verdict is Verdict.FAIL and (is_loss or outcome.reason is Reason.MISMATCH)
    if not may_be or dtype_name(problem.dtype) not in BOUNDED:
        return diagnose(outcome)
    exact = certified_gradient(problem)
    named = _quietly(engine, problem, exact)
    if named is None:
        told = not_of_these_weights(engine, problem)
        return replace(outcome, diagnosis=told) if told else diagnose(outcome)
    if is_loss:  # it is not finite
        return replace(outcome, diagnosis=f"{named.told}; {outcome.detail}")
    if not _is_right(engine, problem, exact):
        outcome = replace(outcome, detail=f"{named.told}; {NOT_OF_THIS}; {outcome.detail}")
        return outcome if named.kind in ANOTHER else diagnose(outcome)
    outcome = replace(outcome, forward_passes=outcome.forward_passes + named.calls)
    return _of_the_loss(outcome, named, "", "the gradient is right; ")


def _of_a_loss_that_differs(engine: Engine, problem: Problem, outcome: Outcome) -> Outcome:
    """Turn an undecided outcome into a failure of a loss that differs from call to call.

    Rounding of one loss, in whatever order, parts two answers by twice its bound at most; those of
    a loss that is F times as large by F times that.
    """
    if outcome.reason is not Reason.NOISE or dtype_name(problem.dtype) not in BOUNDED:
        return outcome
    here = {name: array.copy() for name, array in problem.parameters.items()}
    elsewhere = {name: array / 2 + 1 / 4 for name, array in here.items()}
    first, _, then = (_loss_at(engine, problem, at) for at in (here, elsewhere, here))
    outcome = replace(outcome, forward_passes=outcome.forward_passes + 3)
    exact = certified_gradient(problem)
    F = max(1.0, abs(first / exact.loss)) if exact.loss else 1.0
    rounding = 2 * F * (loss_bound(problem, WIDEST) + exact.loss_bound)
    if not abs(then - first) > rounding or not np.isfinite(first) or not np.isfinite(then):
        return outcome
    told = "the returned loss differs from call to call"
    is_right = "; the gradient is right" if _is_right(engine, problem, exact) else ""
    return replace(
        outcome,
        verdict=Verdict.FAIL,
        reason=Reason.LOSS,
        detail=f"the loss is {first:.17g}, then, after other weights, {then:.17g}",
        diagnosis=told + is_right,
    )


def _of_a_loss_too_small(engine: Engine, problem: Problem, outcome: Outcome) -> Outcome:
    """Turn an undecided outcome into a failure of a loss that is less than rounding can make it."""
    if dtype_name(problem.dtype) not in BOUNDED:
        return outcome
    loss = _loss_at(engine, problem, {k: a.copy() for k, a in problem.parameters.items()})
    least = loss_floor(problem, WIDEST)
    outcome = replace(outcome, forward_passes=outcome.forward_passes + 1)
    if not loss < least:
        return outcome
    exact = certified_gradient(problem)
    is_right = _is_right(engine, problem, exact)
    told = f"the returned loss is {loss:.6g} where rounding leaves {least:.6g} at least"
    named = _quietly(engine, problem, exact)
    if named is not None and named.kind != UNKNOWN:
        told = _returned(named) if is_right else named.told
    told = f"{told}; {'the gradient is right' if is_right else UNDECIDED}"
    return replace(
        outcome, verdict=Verdict.FAIL, reason=Reason.LOSS, detail=told, diagnosis=told, suspects=()
    )


def not_of_these_weights(engine: Engine, problem: Problem) -> str:
    """Say that a loss which is right elsewhere is not that of weights near those asked before.

    The weights are moved by 1/64 of themselves, and the loss there is held to its own bound.
    """
    x = problem.parameters
    moved = {name: (array * (1 + 2.0**-6)).astype(array.dtype) for name, array in x.items()}
    there = problem.with_parameters(moved)
    before = _loss_at(engine, problem, {name: array.copy() for name, array in x.items()})
    loss, exact = _loss_at(engine, problem, moved), certified_gradient(there)
    allowed = loss_bound(there, engine.info.arithmetic or WIDEST) + exact.loss_bound
    with np.errstate(invalid="ignore"):
        if not np.isfinite(loss) or abs(loss - exact.loss) <= allowed:
            return ""
    what = f"is {loss:.10g} at weights where {exact.loss:.10g} is meant"
    if loss == before:
        what = "does not change with the weights"
    return f"all layers: the loss {what}, something is kept between calls; {EACH_TIME}"


EACH_TIME = "expected the loss of the problem that is given, each time"
BOUNDED = ("float16", "float32", "float64")


def note_on_the_loss(engine: Engine, problem: Problem, exact: Certified) -> str:
    """Say that the loss of an engine whose gradient is right is another one, or return ""."""
    named = _quietly(engine, problem, exact)
    if named is None:
        return ""
    same = " (the gradient is the same)" if named.kind == CONSTANT else ""
    return f"{named.told}{same}"


def _quietly(engine: Engine, problem: Problem, exact: Certified | None) -> LossNamed | None:
    if dtype_name(problem.dtype) not in BOUNDED:
        return None
    return named_loss(engine, problem, exact=exact)


def _of_the_loss(outcome: Outcome, named: LossNamed, then: str, first: str = "") -> Outcome:
    """Turn a failure into one of the loss."""
    returned = _returned(named) if first else named.told
    detail = f"{first}{returned}" + (f"; {then}" if then else "")
    is_class = outcome.explanation.startswith("clipped loss:")
    return replace(
        outcome,
        reason=Reason.LOSS,
        detail=detail,
        diagnosis=f"{returned}; {then or 'the gradient is right'}",
        explanation=outcome.explanation if is_class else "",
        suspects=(),
    )


def _returned(named: LossNamed) -> str:
    """Say it of a loss that is returned beside a right gradient."""
    if named.kind == FACTOR and " times the one that is meant" in named.says:
        factor = named.says.removeprefix("the loss is ").removesuffix(
            " times the one that is meant"
        )
        if " " not in factor:
            return f"the returned loss is {factor} times the claimed one"
    return f"the returned {named.told.removeprefix('the ')}"


# --- whether a gradient is that of the engine's own loss ------------------------------------------


def is_the_derivative(
    engine: Engine, problem: Problem, noise: Callable[[Problem], float] | None = None
) -> bool | None:
    """Whether an engine's gradient is that of its own loss, and the exact one is not.

    Args:
        engine: it is asked for its loss and its gradient.
        problem: where.
        noise: bounds what rounding does to that loss.

    Returns:
        None where differences of the loss decide neither on the problem nor on others.
    """
    for where in _problems(engine, problem):
        decided = _decided(engine, where, noise)
        if decided is not None:
            return decided
    return None


def _problems(engine: Engine, problem: Problem) -> Iterator[Problem]:
    """Yield the problem, in float64 if the engine computes in that, and random ones."""
    dtype = precision(engine, problem)
    yield problem if dtype == dtype_name(problem.dtype) else problem.astype(DTYPES[dtype])
    many, network = 0, problem.architecture
    for recipe in GENERIC:
        other = drawn(recipe, network.loss, network.reduction, dtype)
        if other is not None and allows(engine, recipe) and many < ASKED:
            many += 1
            yield other


def _decided(
    engine: Engine, problem: Problem, noise: Callable[[Problem], float] | None
) -> bool | None:
    """Decide on one problem; a slope of 0, that of a clipped loss, is as good as any other."""
    g = _gradient(engine, problem)
    exact = certified_gradient(problem).gradient
    if g is None or not np.isfinite(g).all() or not np.isfinite(exact).all():
        return None
    line = Line.between(engine, problem, g - exact)
    try:
        return None if line is None else _decided_on(line, g, exact, noise)
    except Exception:  # noqa: BLE001 - what an engine raises here was told where it was checked
        return None


def _decided_on(
    line: Line, g: Float64Array, exact: Float64Array, noise: Callable[[Problem], float] | None
) -> bool | None:
    """Decide by differences whether a loss has the engine's slopes and not the exact ones."""
    if _is_clearly_meant(line, line.slopes(g)[0], line.slopes(exact)[0]):
        return False
    rounding = None if noise is None else lambda x: noise(line.at(x))
    own = check_gradient(line.loss, lambda _: line.slopes(g), np.ones(2), rounding=rounding)
    if own.reason is Reason.MISMATCH:
        return False
    if own.verdict is not Verdict.PASS and own.reason is not Reason.VACUOUS:
        return None  # the loss is not finite, or jumps
    meant = check_gradient(line.loss, lambda _: line.slopes(exact), np.ones(2), rounding=rounding)
    return True if meant.reason is Reason.MISMATCH else None


STEP, CLEARLY = 2.0**-12, 16.0
"""The step of one central difference, and how much nearer to a slope it must be than to another.

**Modelled, not derived:** its own error is not bounded; it decides no verdict, only that a loss is
not looked for by differences with bounds.
"""


def _is_clearly_meant(line: Line, own: float, meant: float) -> bool:
    """Whether one difference of the loss is by far nearer to the exact slope than to another.

    By far: 16 times as near, where what one rounding of the loss makes, u |loss| / h, is too; and
    over a step in which neither slope would change the loss by more than a 16th of itself.
    """
    ahead, behind = (line.loss(np.array([1 + h, 1.0])) for h in (STEP, -STEP))
    slope, size = (ahead - behind) / (2 * STEP), max(abs(ahead), abs(behind))
    u = np.finfo(line.problem.dtype).eps / 2
    off = max(abs(slope - meant), u * size / STEP)
    is_small = CLEARLY * STEP * max(abs(own), abs(meant)) <= size
    return bool(is_small and CLEARLY * off < abs(own - meant))


@dataclass(frozen=True)
class Line:
    """A plane through the parameters: x -> theta + (x_0 - 1) v_0 + (x_1 - 1) v_1.

    Attributes:
        engine: whose loss is evaluated.
        problem: where.
        directions: v_0 and v_1.
    """

    engine: Engine
    problem: Problem
    directions: Float64Array

    @classmethod
    def between(cls, engine: Engine, problem: Problem, difference: Float64Array) -> Line | None:
        """Return the plane along a difference of gradients and along random signs."""
        largest = float(np.abs(difference).max(initial=0.0))
        if not (largest > 0 and np.isfinite(largest)):
            return None
        theta = np.concatenate([np.ravel(x) for x in problem.parameters.values()])
        size = float(np.abs(theta.astype(np.float64)).max(initial=0.0)) or 1.0
        signs = Stream(0, "signs of a plane").signs(difference.shape)
        return cls(engine, problem, size * np.stack([difference / largest, signs]))

    def loss(self, x: Any) -> float:
        """Return the engine's loss at a point."""
        return require_loss(self.engine.loss(self.at(x)))

    def at(self, x: Any) -> Problem:
        """Return the problem at a point."""
        moved = (np.asarray(x, np.float64) - 1) @ self.directions
        parameters, start = {}, 0
        for name, array in self.problem.parameters.items():
            part = moved[start : start + array.size].reshape(array.shape)
            parameters[name] = (array + part).astype(array.dtype)
            start += array.size
        return self.problem.with_parameters(parameters)

    def slopes(self, gradient: Float64Array) -> Float64Array:
        """Return the derivatives by x that a gradient says."""
        return self.directions @ gradient


def _gradient(engine: Engine, problem: Problem) -> Float64Array | None:
    try:
        _, layers = engine.value_and_grad(problem)
        parts = list(gradient_as_dict(layers, problem.architecture).values())
        shapes = [np.shape(part) for part in problem.parameters.values()]
        if [np.shape(part) for part in parts] != shapes:
            return None
        return np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
    except Exception:  # noqa: BLE001 - as above
        return None


def _is_right(engine: Engine, problem: Problem, exact: Certified) -> bool:
    """Whether the gradient is the exact one, within the rounding of any form."""
    g = _gradient(engine, problem)
    arithmetic = engine.info.arithmetic or WIDEST
    bound = gradient_bound(problem, arithmetic) + exact.bound
    return g is not None and is_within(g, exact.gradient, bound)
