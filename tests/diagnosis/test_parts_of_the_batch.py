"""A part of the batch that is left out is named, in delta_L, dC/dW and dC/db, for any m."""

import numpy as np
import pytest

from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.engines.base import engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.mutants.backprop import Backprop, sigmoid_prime
from gradcheck.problem import Problem
from gradcheck.problems.case import Case, parse

REFERENCE = find("reference")

PARTS = {
    "lacks the last m mod 4 examples": lambda m: np.arange(m) < m - m % 4,
    "has the last chunk of 4 examples only": lambda m: np.arange(m) >= (m - 1) // 4 * 4,
    "has the first half of the batch only": lambda m: np.arange(m) < m // 2,
    "has the second half of the batch only": lambda m: np.arange(m) >= m // 2,
}


def some_of(problem, kept):
    """The gradients of the examples kept, summed; of a mean, each counts 1/m."""
    if not kept.any():
        return [(0 * W, 0 * b) for W, b in zip(problem.weights, problem.biases, strict=True)]
    X, Y = problem.inputs[kept], problem.targets[kept]
    part = Problem(problem.architecture, problem.weights, problem.biases, X, Y)
    share = kept.mean() if problem.architecture.reduction == "mean" else 1.0
    return [(W * share, b * share) for W, b in REFERENCE.value_and_grad(part)[1]]


def engine(part, which):
    """Right but for dC/dW (0), dC/db (1) or both (2), which have a part of the batch only."""

    def value_and_grad(problem):
        value, right = REFERENCE.value_and_grad(problem)
        wrong = some_of(problem, PARTS[part](problem.batch))
        both = zip(wrong, right, strict=True)
        return value, [
            (w[0] if which != 1 else r[0], w[1] if which != 0 else r[1]) for w, r in both
        ]

    return engine_from_callable(value_and_grad, "part")


@pytest.mark.by_day(3)  # of four and three: each part and each step once at least
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize(("which", "step"), [(0, "dC/dW_2"), (1, "dC/db_2"), (2, "delta_2")])
def test_the_part_is_named(part, which, step):
    problem = Case(sizes=(3, 4, 2), batch=7, targets="soft").problem()
    told = explained_agreement(engine(part, which), problem).diagnosis
    assert told.startswith(f"layer 2: {step} {part}; expected ")


HIDDEN = {
    "lacks the first example": lambda b, k: right(b, k) * (np.arange(b.m) > 0)[:, None],
    "has the second half of the batch only": (
        lambda b, k: right(b, k) * (np.arange(b.m) >= b.m // 2)[:, None]
    ),
    "has sigmoid' of the unit before for sigmoid'(z_1)": (
        lambda b, k: b.passed_down(k) * np.roll(b.slope(k), 1, axis=1)
    ),
    "has an extra factor sigmoid'(z_2) in its delta_2": (
        lambda b, k: ((b.delta[k + 1] * sigmoid_prime(b.z[k + 1])) @ b.W[k + 1]) * b.slope(k)
    ),
}


def right(b, k):
    return b.passed_down(k) * b.slope(k)


@pytest.mark.parametrize("what", HIDDEN)
def test_a_hidden_error_that_lacks_a_part_or_has_a_factor_of_its_neighbour_is_named(what):
    wrong = type("Wrong", (Backprop,), {"hidden_error": HIDDEN[what]})()
    problem = Case(sizes=(3, 4, 2), batch=7, targets="soft").problem()
    told = explained_agreement(wrong, problem).diagnosis
    assert told.startswith(f"layer 1: delta_1 {what}; expected ")


def test_a_batch_below_the_chunk_lacks_all_of_its_examples_and_says_why():
    problem = Case(sizes=(3, 4, 2), batch=3, targets="soft").problem()
    outcome = explained_agreement(engine("lacks the last m mod 4 examples", 0), problem)
    assert "whole chunks of 4 only" in {suspect.key for suspect in outcome.suspects}


def test_a_delta_that_is_0_is_told_as_that_where_the_batch_is_shorter_than_its_parts():
    def value_and_grad(problem):
        value, right = REFERENCE.value_and_grad(problem)
        return value, [tuple(0 * block for block in right[0]), *right[1:]]

    saturated = parse("gc1:2-3-1:cross_entropy:mean:m2:float32:w100:generic:ones:s389052454")
    told = explained_agreement(engine_from_callable(value_and_grad, "0"), saturated.problem())
    assert told.suspects[0].says == "delta_1 is 0"
