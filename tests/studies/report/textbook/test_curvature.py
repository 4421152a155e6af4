"""The bounds of forward differences: above every second derivative, and reached."""

import numpy as np
import pytest

from gradcheck.problems.case import parse
from gradcheck.studies.report.textbook.curvature import (
    SIGMOID_SECOND,
    forward_difference_bounds,
    second_derivative_bounds,
)
from gradcheck.studies.report.truth import cauchy_derivatives
from reference_models.activations import sigmoid, sigmoid_prime

TOKENS = [
    "gc1:4-5-1:cross_entropy:mean:m3:float64:w1:generic:binary:s1",
    "gc1:3-4-2:cross_entropy:mean:m5:float64:w3:generic:soft:s2",
    "gc1:2-3-3:cross_entropy:mean:m1:float64:w0.3:generic:binary:s3",
]


def pairs(problem):
    return [*zip(problem.weights, problem.biases, strict=True)]


@pytest.mark.parametrize("token", TOKENS)
def test_no_second_derivative_exceeds_its_bound(token):
    problem = parse(token).problem()
    M = second_derivative_bounds(pairs(problem), problem.inputs)
    found = cauchy_derivatives(problem, range(len(M)), [2], radius=0.05)[2]
    assert len(M) == problem.architecture.n_parameters
    assert np.all(np.abs(found) <= M)


def test_the_bound_of_an_output_bias_is_reached_at_one_half():
    problem = parse(TOKENS[0]).problem()
    zero = {name: np.zeros_like(array) for name, array in problem.parameters.items()}
    balanced = problem.with_parameters(zero)
    last = problem.architecture.n_parameters - 1
    found = cauchy_derivatives(balanced, [last], [2], radius=0.05)[2]
    bound = second_derivative_bounds(pairs(balanced), problem.inputs)[-1]
    assert found[0] == pytest.approx(bound, rel=1e-12) == 1 / 4


def test_the_second_derivative_of_sigma_is_largest_where_said():
    z = np.log(2 + 3**0.5)  # sigma = 1/2 + 1/(2 sqrt 3)
    second = sigmoid_prime(z) * (1 - 2 * sigmoid(z))
    assert abs(second) == pytest.approx(SIGMOID_SECOND, rel=1e-12)
    grid = np.linspace(-9, 9, 2001)
    assert np.max(np.abs(sigmoid_prime(grid) * (1 - 2 * sigmoid(grid)))) <= SIGMOID_SECOND


def test_a_forward_difference_is_bounded_by_truncation_and_noise():
    assert forward_difference_bounds(np.array([8.0]), 0.25, 1.0).tolist() == [9.0]


def test_other_depths_are_refused():
    with pytest.raises(ValueError, match="1 layers of weights; it must have 2"):
        second_derivative_bounds([(np.ones((1, 2)), np.ones(1))], np.ones((3, 2)))
