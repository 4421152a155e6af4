r"""C26: what the last layer hands down to the layer below.

    delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l),    dC/dW_l = delta_l^T a_{l-1}

Down the network goes delta_{l+1}; dC/dW_{l+1} is made of it, and used by nothing. So the layers
below are the same, to the bit, whatever dC/dW_{l+1} is taken for; they are linear in delta_{l+1},
and twice of it makes twice of them without any rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.checks.agreement import check_agreement
from gradcheck.engines.base import engine_from_callable
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problem import Problem
from gradcheck.problems.case import Case
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from reference_models import sigmoid_network
from reference_models.activations import sigmoid

Array = npt.NDArray[Any]
Gradient = list[tuple[Array, Array]]
Spoil = Callable[[Array], Array]
Backward = Callable[..., Gradient]

SIZES = ((3, 2, 1), (4, 5, 3), (2, 6, 4, 3), (5, 3, 3, 3, 2))
DRAWS = 5


def _kept(array: Array) -> Array:
    return array


def _doubled(array: Array) -> Array:
    return 2 * array


def backward(
    problem: Problem, spoil_delta: Spoil = _kept, spoil_gradient: Spoil = _kept
) -> Gradient:
    """Return the gradient of the cross-entropy, layer by layer from the last one down.

    Args:
        problem: the network and its batch, reduction "mean".
        spoil_delta: replaces delta_L after dC/dW_L and dC/db_L are made of it.
        spoil_gradient: replaces dC/dW_L before the layers below are reached.
    """
    a = [problem.inputs]
    for W, b in zip(problem.weights, problem.biases, strict=True):
        a.append(sigmoid(a[-1] @ W.T + b))
    delta = (a[-1] - problem.targets) / problem.batch
    L, found = len(problem.weights), []
    for l in range(L, 0, -1):  # noqa: E741  (the layer's symbol)
        dW, db = delta.T @ a[l - 1], delta.sum(axis=0)
        if l == L:
            dW, delta = spoil_gradient(dW), spoil_delta(delta)
        found.append((dW, db))
        delta = (delta @ problem.weights[l - 1]) * a[l - 1] * (1 - a[l - 1])
    return found[::-1]


def measure(settings: Settings, backward: Backward = backward) -> Evidence:
    """Replace what the last layer computes, one thing at a time, and look at the layers below."""
    problems = [
        Case(sizes=sizes, batch=4, seed=settings.seed + i).problem()
        for sizes in SIZES
        for i in range(DRAWS)
    ]
    return Evidence(
        (
            _right(problems, backward),
            _goes_down(problems, backward),
            _is_not_used(problems, backward),
        )
    )


def _below(gradient: Gradient) -> Array:
    return np.concatenate([block.reshape(-1) for pair in gradient[:-1] for block in pair])


def _right(problems: list[Problem], backward: Backward) -> Finding:
    def value_and_grad(problem: Problem) -> tuple[Any, Gradient]:
        parameters = list(zip(problem.weights, problem.biases, strict=True))
        value = sigmoid_network.loss(parameters, problem.inputs, problem.targets)
        return value, backward(problem)

    engine = engine_from_callable(value_and_grad, "layer by layer")
    outcomes = [check_agreement(engine, problem) for problem in problems]
    passed = sum(outcome.verdict is Verdict.PASS for outcome in outcomes)
    return Finding(
        "handed down layer by layer, the errors give the exact gradient within rounding, in "
        "{passed} of {networks} networks",
        passed == len(problems) > 0,
        {"passed": passed, "networks": len(problems)},
    )


def _goes_down(problems: list[Problem], backward: Backward) -> Finding:
    changed = _times(2, problems, backward, spoil_delta=_doubled)
    return Finding(
        "twice the error delta_L makes twice of every derivative below it, in {changed} of "
        "{networks} networks",
        changed == len(problems) > 0,
        {"changed": changed, "networks": len(problems)},
    )


def _is_not_used(problems: list[Problem], backward: Backward) -> Finding:
    same = _times(1, problems, backward, spoil_gradient=np.zeros_like)
    return Finding(
        "dC/dW_L put to 0 changes no bit of any derivative below it, in {same} of {networks} "
        "networks",
        same == len(problems) > 0,
        {"same": same, "networks": len(problems)},
        contradicts=True,
    )


def _times(factor: int, problems: list[Problem], backward: Backward, **spoil: Spoil) -> int:
    """Count the networks of which all derivatives below are so many times as large, bit by bit."""
    return sum(
        np.array_equal(_below(backward(problem, **spoil)), factor * _below(backward(problem)))
        for problem in problems
    )


CLAIM = Claim(
    id="C26",
    title="Weight gradients feed the layer below",
    statement="The gradients of the last layer's weights are used to calculate those of the layer "
    "below",
    how="backward passes in which delta_L, and then dC/dW_L, is replaced before the layers below "
    "are reached",
    precise="what is used is delta_L, the derivatives by the last layer's weighted inputs; those "
    "by its weights are made of it and used by nothing",
    source="Nielsen 2015, chapter 2, equations BP2 and BP4",
    measure=measure,
    expected=REFINED,
)
