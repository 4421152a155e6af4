"""Who can testify against a wrong backprop: the properties of this suite, and every oracle alone.

Agreement asks for the gradient of the loss that is meant. Each of its witnesses has the exact
gradient from elsewhere, and a bound of its own error; the allowance is that, and what rounding can
do. Consistency asks for the derivative of the engine's own loss. Exact tests have no tolerance,
and problems of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from gradcheck.certified.ball_differences import enclosed_differences
from gradcheck.certified.balls import round_uniquely
from gradcheck.certified.gradient import Certified, certified_gradient
from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.consistency import check_consistency
from gradcheck.checks.exact import TESTS
from gradcheck.checks.gradient import check_gradient
from gradcheck.differences.complex_step import ComplexLines, NotAnalyticError, complex_step
from gradcheck.engines.base import Engine
from gradcheck.mutants.backprop import Backprop
from gradcheck.outcomes.estimate import Estimate
from gradcheck.outcomes.outcome import Outcome
from gradcheck.problem import Problem, gradient_as_dict
from gradcheck.problems.case import Case, sample_cases
from gradcheck.problems.strata import LimitsDict
from gradcheck.pytree import structure_of
from gradcheck.splitmix64 import Stream, stream_key
from gradcheck.studies.layered.difference import layered_differences
from reference_models import sigmoid_network

SMALL = LimitsDict(max_parameters=40, max_batch=8)
LARGER = LimitsDict(max_parameters=210, max_batch=20)

DRAWN = 200
"""Of either size: enough that every mistake meets networks on which it can show."""

Admits = Callable[[Problem], bool]
Trial = Callable[[], Outcome]


# --- problems -------------------------------------------------------------------------------------


@cache
def problems(seed: int) -> tuple[Problem, ...]:
    """Draw the networks that all witnesses of agreement and consistency share, small ones first."""
    small = sample_cases(DRAWN, stream_key(seed, "small networks"), **SMALL)
    larger = sample_cases(DRAWN, stream_key(seed, "larger networks"), **LARGER)
    return tuple(case.problem() for cases in (small, larger) for case in cases)


@cache
def exact_cases(test: str, seed: int) -> tuple[tuple[Case, Problem], ...]:
    """Draw the cases of an exact test."""
    cases = TESTS[test].cases(Backprop().info, "float64", seed)
    return tuple((case, case.problem()) for case in cases)


# --- witnesses ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Witness:
    """Somebody who can testify.

    Attributes:
        name: in tables and figures.
        question: agreement, consistency or exact.
        says: what it holds the gradient to, in a few words.
        trials: takes an engine, whether a mistake can show on a problem, and the seed; yields the
            trials of the engine, each made when it is called.
        certain: its bounds hold for certain, or by the methods that verdicts rest on; else they
            are estimates, and no verdict rests on it.
    """

    name: str
    question: str
    says: str
    trials: Callable[[Engine, Admits, int], Iterator[Trial]]
    certain: bool = True


def _agreement(reference: Callable[[Problem], Certified]) -> Any:
    known = cache(lambda seed, number: reference(problems(seed)[number]))

    def trials(engine: Engine, admits: Admits, seed: int) -> Iterator[Trial]:
        for number, problem in enumerate(problems(seed)):
            if admits(problem):
                yield partial(_agrees, engine, problem, partial(known, seed, number))

    return trials


def _agrees(engine: Engine, problem: Problem, exact: Callable[[], Certified]) -> Outcome:
    return check_agreement(engine, problem, exact=exact())


def _consistency(check: Callable[[Engine, Problem], Outcome]) -> Any:
    def trials(engine: Engine, admits: Admits, seed: int) -> Iterator[Trial]:
        return (partial(check, engine, p) for p in problems(seed) if admits(p))

    return trials


def _exact(test: str) -> Any:
    def trials(engine: Engine, admits: Admits, seed: int) -> Iterator[Trial]:
        for case, problem in exact_cases(test, seed):
            if admits(problem):
                yield partial(TESTS[test].check, engine, case)

    return trials


def black_box(engine: Engine, problem: Problem, *, method: str) -> Outcome:
    """Check an engine by its loss and gradient alone, as functions of the named parameters."""

    def loss(parameters: Any) -> float:
        return engine.loss(problem.with_parameters(parameters))

    def gradient(parameters: Any) -> Any:
        return gradient_as_dict(engine.value_and_grad(problem.with_parameters(parameters))[1])

    return check_gradient(loss, gradient, problem.parameters, method=method)


# --- references -----------------------------------------------------------------------------------


def ball_differences(problem: Problem) -> Certified:
    """Round the enclosures by differences in balls."""
    rounded = round_uniquely(enclosed_differences(problem).enclosures)
    return _reference(problem, rounded.value, rounded.bound)


def layered(problem: Problem) -> Certified:
    """Take differences of the network, layer by layer, and their bound."""
    estimate = layered_differences(problem)
    return _reference(problem, estimate.value, estimate.bound)


def complex_steps(problem: Problem) -> Certified:
    """Take complex steps of the loss that is meant, and the estimate of their error.

    Where they do not apply nothing is known: every bound is infinite.
    """
    network = problem.architecture
    X, Y = problem.inputs.astype(complex), problem.targets.astype(complex)

    def loss(parameters: dict[str, Any]) -> Any:
        pairs = zip(network.weight_names, network.bias_names, strict=True)
        layers = [(parameters[W].astype(complex), parameters[b].astype(complex)) for W, b in pairs]
        value = sigmoid_network.loss(layers, X, Y, cost=network.loss, reduction=network.reduction)
        return value if np.iscomplexobj(parameters["W1"]) else value.real

    try:
        estimate = complex_step(ComplexLines(loss, problem.parameters), Stream(0, "complex step"))
    except NotAnalyticError:
        estimate = Estimate.empty(network.n_parameters)
    return _reference(problem, estimate.value, estimate.bound)


def _reference(problem: Problem, value: Any, bound: Any) -> Certified:
    """Put numbers and their bounds into the form of the certified gradient; no loss is known."""
    size = problem.architecture.n_parameters
    return Certified(
        structure=structure_of(problem.parameters),
        loss=0.0,
        loss_bound=np.inf,
        loss_settled=False,
        gradient=value,
        bound=bound,
        bits=np.zeros(size),
        settled=np.zeros(size, dtype=np.bool_),
        precision=53,
        forward_passes=0,
        backward_passes=0,
    )


AGREEMENT, CONSISTENCY, EXACT = "agreement", "consistency", "exact"

WITNESSES = (
    Witness("certified gradient", AGREEMENT, "backpropagation in ball arithmetic",
            _agreement(certified_gradient)),
    Witness("ball differences", AGREEMENT, "differences of forward passes in ball arithmetic",
            _agreement(ball_differences)),
    Witness("layered differences", AGREEMENT, "differences that move what a parameter moves",
            _agreement(layered)),
    Witness("complex step", AGREEMENT, "the imaginary part of the loss that is meant",
            _agreement(complex_steps), certain=False),
    Witness("differences, noise known", CONSISTENCY, "differences of the engine's loss, whose "
            "rounding its declared arithmetic bounds", _consistency(check_consistency)),
    Witness("every coordinate", CONSISTENCY, "differences of the loss as a black box",
            _consistency(partial(black_box, method="every-coordinate"))),
    Witness("directional", CONSISTENCY, "the same along random signs",
            _consistency(partial(black_box, method="directional"))),
    *(
        Witness(name, EXACT, says, _exact(name))
        for name, says in {
            "lattice": "numbers that need no rounding, bit for bit",
            "zero input column": "zeros, bit for bit",
            "powers of two": "itself, after a scaling that rounds nothing",
            "duplicated batch": "itself, on the batch taken twice",
        }.items()
    ),
)  # fmt: skip
"""Every witness; a column each of the matrix."""
