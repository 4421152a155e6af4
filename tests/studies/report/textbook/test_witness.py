"""Differences hold their bounds, and rounding bounds hold gradients and no more."""

from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

from gradcheck.outcomes.reasons import Verdict
from gradcheck.studies.report.textbook.witness import (
    differences,
    held_against,
    rounding_bounds,
    told,
    worst_ratio,
)
from reference_models import chain_rule, sigmoid_network
from reference_models.paths import neurons


def test_differences_hold_the_derivative_within_their_bound_in_its_shape():
    x = np.array([[0.5, -1.0], [2.0, 0.25]])
    value, bound = differences(lambda x: np.sum(np.sin(x)), x, seed=1)
    assert value.shape == bound.shape == x.shape
    assert np.all(np.abs(value - np.cos(x)) <= bound)
    assert np.all(bound <= 1e-8)


def test_a_kink_has_an_infinite_bound():
    _, bound = differences(lambda x: np.sum(np.abs(x)), np.array([0.0, 1.0]), seed=1)
    assert np.isinf(bound[0])
    assert bound[1] <= 1e-8


def test_a_formula_passes_inside_its_bound_and_fails_outside():
    value, bound = np.array([1.0, 2.0]), np.array([1e-9, 1e-9])
    assert held_against(value, bound, value + 0.5e-9).verdict is Verdict.PASS
    assert held_against(value, bound, value + 2e-9).verdict is Verdict.FAIL
    assert held_against(value, bound, value[:, None]).verdict is Verdict.FAIL
    assert held_against(value, bound, np.array([1.0, np.nan])).verdict is Verdict.FAIL
    assert held_against(value, 1e9 * bound, value).verdict is Verdict.INCONCLUSIVE


def test_one_comparison_that_does_not_pass_spoils_all():
    value, bound = np.array([1.0, 2.0]), np.array([1e-9, 1e-9])
    good, bad = (held_against(value, bound, value + d) for d in (0.5e-9, 2e-9))
    assert told([good, good])[:2] == (True, 4)
    assert told([good]).worst == pytest.approx(0.5, rel=1e-3)
    assert told([good]).seen == pytest.approx(1.5e-9, rel=1e-3)
    assert told([good, bad])[:2] == (False, 4)
    assert told([good, bad]).worst == pytest.approx(2, rel=1e-3)
    assert not told([]).passed


def test_nothing_that_is_no_number_is_within_a_bound():
    assert worst_ratio([(0.5, 1.0), (-2.0, 4.0)]) == 0.5
    for pair in ((np.nan, 1.0), (1.0, np.nan), (0.0, np.nan), (1e-300, 0.0), (np.inf, 1.0)):
        assert worst_ratio([(0.5, 1.0), pair, (0.5, 1.0)]) == np.inf


@pytest.mark.parametrize("cost", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("scale", [0.1, 1.0, 10.0])
def test_two_derivations_differ_by_less_than_their_bounds(cost, scale):
    generator = np.random.default_rng(7)
    for sizes in ((1, 1, 1), (3, 2, 1), (4, 3, 3, 2)):
        parameters = [
            (scale * generator.standard_normal((n, n_in)), scale * generator.standard_normal(n))
            for n_in, n in pairwise(sizes)
        ]
        x = generator.standard_normal(sizes[0])
        y = generator.integers(0, 2, sizes[-1]).astype(float)
        bounds = rounding_bounds(neurons(parameters, x, y, cost=cost), parameters, x)
        one, two = (
            model.value_and_grad(parameters, x[None], y[None], cost=cost)[1]
            for model in (sigmoid_network, chain_rule)
        )
        for l, (pair, other) in enumerate(zip(one, two, strict=True), start=1):  # noqa: E741
            for j, k in np.ndindex(pair[0].shape):
                allowed = 2 * bounds[f"W{l}[{j},{k}]"]
                assert abs(pair[0][j, k] - other[0][j, k]) <= allowed
                wrong = pair[0][j, k] * (1 + 1e-9) - other[0][j, k]
                assert pair[0][j, k] == 0 or not abs(wrong) <= allowed


def test_without_any_rounding_the_bound_is_still_no_less_than_u_of_the_gradient():
    parameters = [(np.array([[1.0]]), np.array([-1.0])), (np.array([[2.0]]), np.array([-1.0]))]
    graph = neurons(parameters, np.ones(1), np.ones(1))
    bounds = rounding_bounds(graph, parameters, np.ones(1))
    exact = Fraction(1) * Fraction(1, 4) * 2 * Fraction(-1, 2)
    assert 2.0**-53 * abs(float(exact)) <= bounds["W1[0,0]"] <= 2.0**-43
