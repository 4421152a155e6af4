"""Causes that show in the numbers of any black box; silence where they would be chance."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck.checks.gradient import check_gradient
from gradcheck.checks.jacobian import check_jacobian
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.reasons import Kind
from gradcheck.patterns.causes import _one_entry, _symmetric
from gradcheck.pytree import structure_of

GENERATOR = np.random.default_rng(11)
B = GENERATOR.standard_normal((4, 4))
POINT = {"S": GENERATOR.standard_normal((4, 4)), "w": GENERATOR.standard_normal(5)}


def f(x):
    return float(np.sum(B * np.sin(x["S"])) + np.sum(np.exp(x["w"])))


def right(x):
    return {"S": B * np.cos(x["S"]), "w": np.exp(x["w"])}


def cause(change):
    return check_gradient(f, lambda x: change(right(x), x), POINT).diagnosis


def only(name, change):
    return lambda g, x: g | {name: change(g[name], x[name])}


def off(D):
    return 2 * D - np.diag(np.diag(D))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda g, x: {k: g[k] + 0.01 * x[k] for k in g},
         "engine = derivative +0.01 x in every wrong coordinate: a penalty 0.005 |x|^2 (weight"),
        (only("S", lambda g, x: g - 0.5 * x),
         "engine = derivative -0.5 x in every wrong coordinate: the gradient of a penalty 0.25 |"),
        (only("w", lambda g, x: g + 0.1 * x * (np.arange(5) != 4)),
         "engine = derivative +0.1 x in every wrong coordinate"),
        (lambda g, x: {k: g[k] + 0.25 for k in g}, "engine = derivative +0.25 in every wrong"),
        (only("w", lambda g, x: g - 1e-3), "engine = derivative -0.001 in every wrong coord"),
        (only("w", lambda g, x: g * np.where(np.arange(5) == 3, 1.5, 1)),
         "only w[3] of 21 is wrong: it is 1.5 x its derivative"),
        (only("w", lambda g, x: g * np.where(np.arange(5) == 3, -1, 1)),
         "only w[3] of 21 is wrong: it has the wrong sign"),
        (only("w", lambda g, x: g * (np.arange(5) != 3)), "only w[3] of 21 is wrong: it is 0"),
        (only("S", lambda g, x: off(g)), "S has twice its derivative off the diagonal"),
        (only("S", lambda g, x: (g + np.diag(np.diag(g))) / 2), "half of its derivative off the"),
        (only("S", lambda g, x: g + g.T - np.diag(np.diag(g))), "S is D + D^T - diag D, D its"),
        (only("S", lambda g, x: g + g.T), "S is D + D^T, D its derivative"),
        (only("S", lambda g, x: (g + g.T) / 2), "S is (D + D^T) / 2, D its derivative"),
        (only("S", lambda g, x: np.tril(g)), "S has the lower triangle of its derivative alone"),
        (lambda g, x: {k: np.round(v, 3) for k, v in g.items()}, "rounded to 3 decimals"),
        (only("w", lambda g, x: np.array([float(f"{v:.4g}") for v in g])), "rounded to 4 digits"),
    ],
)  # fmt: skip
def test_a_cause_is_named(change, told):
    assert told in cause(change)


def noise(g, _):
    return {k: v + 1e-3 * GENERATOR.standard_normal(v.shape) for k, v in g.items()}


@pytest.mark.parametrize(
    "change",
    [
        noise,
        only("w", lambda g, x: g * (1 + 0.1 * np.arange(5))),
        lambda g, x: {k: v * v for k, v in g.items()},
    ],
)
def test_what_has_no_cause_of_these_is_given_none(change):
    told = cause(change)
    for part in (
        "x in every",
        "derivative +",
        "derivative -",
        "rounded",
        "symmetric",
        "only S[",
        "only w[",
    ):
        assert part not in told


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("error", "is_told"), [(0.0, True), (0.9, True), (1.1, False)])
def test_the_error_of_a_derivative_and_of_its_transpose_count(turned, error, is_told):
    """A is wide at one place alone: (D + D^T) / 2 is unsure there and opposite to it."""
    D, A = np.array([[1.0, 2.0], [5.0, 4.0]]), np.array([[0.01, 0.1], [0.001, 0.01]])
    allowed = 2 * (0.1 + 0.001)
    for place in ((0, 1), (1, 0)):
        g = (D + D.T) / 2
        g[place] += error * allowed
        assert bool(symmetric(g, D, A, turned)) is is_told
    for apart in (0.9 * allowed, 1.1 * allowed):  # D + D^T is 2 D as far as is known, or is not
        D[1, 0] = D[0, 1] + apart
        assert bool(symmetric(D + D.T, D, A, turned)) is (apart > allowed)


@pytest.mark.parametrize(
    ("kinds", "is_told"),
    [
        ("FRRR", True),  # one among three others
        ("FRR", False),
        ("FRRN", False),  # of which one was not compared
        ("FRRRN", True),
        ("FFRRR", False),
        ("RRRR", False),
    ],
)
def test_one_entry_stands_out_from_three_others_that_were_compared(kinds, is_told):
    letters = {"F": Kind.FAILED, "R": Kind.INFORMATIVE, "N": Kind.NOT_EVALUATED}
    kind, D = np.array([letters[k] for k in kinds], np.uint8), np.ones(len(kinds))
    g, A = np.where(kind == Kind.FAILED, 1.5, 1.0), np.full(len(kinds), 1e-9)
    c = Comparison(structure_of(D), g, D, A, A, kind, 1e-6)
    told = f"only x[0] of {kinds.count('F') + kinds.count('R')} is wrong: it is 1.5 x its deriv"
    assert _one_entry(c, kind == Kind.FAILED).startswith(told if is_told else "")
    assert bool(_one_entry(c, kind == Kind.FAILED)) is is_told


def symmetric(g, D, A, turned):
    parts = [(v.T if turned else v).ravel() for v in (g, D, A)]
    structure = structure_of(np.zeros((2, 2)))
    kind = np.full(4, np.uint8(Kind.FAILED))
    c = Comparison(structure, parts[0], parts[1], parts[2], parts[2], kind, 1e-6)
    return _symmetric(c, kind == Kind.FAILED)


def test_whole_numbers_are_called_so():
    x = np.linspace(1.0, 9.0, 7)
    found = check_gradient(lambda x: float(np.exp(x).sum()), lambda x: np.exp(x).astype(int), x)
    assert "whole" not in found.diagnosis  # cut off, not rounded
    found = check_gradient(lambda x: float(np.exp(x).sum()), lambda x: np.round(np.exp(x)), x)
    assert "is its derivative rounded to whole numbers" in found.diagnosis


def test_two_numbers_fit_any_line_and_are_given_none():
    x = np.array([0.5, 2.0])
    found = check_gradient(lambda x: float(np.exp(x).sum()), lambda x: np.exp(x) + 0.1 * x, x)
    assert "weight decay" not in found.diagnosis


def test_a_passing_jacobian_has_no_cause_and_a_wrong_one_does():
    x = np.array([0.5, -1.25, 2.0])

    def jacobian(x):
        return np.diag(np.cos(x))

    assert "likely cause" not in str(check_jacobian(np.sin, jacobian, x))
    kinked = check_jacobian(lambda x: np.sqrt(np.abs(x)), lambda x: np.zeros((3, 3)), x * 0)
    assert "likely cause" not in str(kinked)
    rounded = check_jacobian(np.sin, lambda x: np.round(jacobian(x), 2), x)
    assert "rounded to 2 decimals" in str(rounded)
    one = check_jacobian(np.sin, lambda x: jacobian(x) + 0.5 * np.eye(3)[:, :1] * [1, 0, 0], x)
    assert "only dF/dx[0,0] of 9 is wrong" in str(one)


def test_of_few_outputs_that_are_all_wrong_none_is_singled_out():
    x = np.array([0.5, -1.25, 2.0])
    one = check_jacobian(np.sin, lambda x: np.diag(np.cos(x) * [1, 2, 1]), x)
    assert "only in F[1]" in one.diagnosis
    every = check_jacobian(np.sin, lambda x: np.diag(np.cos(x) * [3, 2, 4]), x)
    assert "only in" not in every.diagnosis


def test_the_only_wrong_one_of_a_few_numbers_is_not_called_one_of_many():
    def found(n):
        x = np.linspace(0.5, 2.0, n)
        return check_gradient(
            lambda x: float(np.exp(x).sum()), lambda x: np.exp(x) * np.where(x == 0.5, 2, 1), x
        )

    assert "only x[0] of 9 is wrong: it is 2 x its derivative" in found(9).diagnosis
    assert " is wrong: " not in found(2).diagnosis


def test_an_explanation_stands_in_what_is_printed():
    outcome = check_gradient(lambda x: float(x @ x), lambda x: 2 * x, np.ones(3))
    assert "explanation: p_minus_y" in str(replace(outcome, explanation="p_minus_y"))
    assert "explanation" not in str(outcome)


@pytest.mark.parametrize(("gradient", "reason"), [((7, 2), "subgradient"), ((7, 7), "mismatch")])
def test_a_wrong_slope_at_a_kink_is_the_reason_only_where_nothing_else_is_wrong(gradient, reason):
    x = np.array([0.0, 1.0])
    outcome = check_gradient(
        lambda x: float(abs(x[0]) + x[1] ** 2), lambda x: np.array(gradient, float), x
    )
    assert (outcome.verdict.value, outcome.reason.value) == ("FAIL", reason)
