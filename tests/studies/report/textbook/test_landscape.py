"""The minimum, the saddle and the constants of the two losses."""

import numpy as np
import pytest
from some import some

from gradcheck.studies.report.textbook.landscape import (
    down_from_saddle,
    eigensystem,
    parameters_of,
    saddle,
    saddle_rounding,
    third_derivative_bound,
    tumours,
    vector,
)
from reference_models import sigmoid_network
from reference_models.datasets import load_digits, one_hot
from reference_models.training import norm

HIDDEN = 4


def images():
    data = load_digits()
    return data.inputs / 16, one_hot(data.labels, 10)


def hessian(x, X, like):
    mu, v = eigensystem(parameters_of(x, like), X)
    return v @ np.diag(mu) @ v.T


def test_a_vector_and_its_parameters_are_the_same_numbers():
    like = [(np.arange(6.0).reshape(2, 3), np.arange(2.0)), (np.ones((1, 2)), np.ones(1))]
    again = parameters_of(vector(like), like)
    for pair, same in zip(like, again, strict=True):
        for block, copy in zip(pair, same, strict=True):
            np.testing.assert_array_equal(block, copy)


def test_the_hessian_is_the_slope_of_the_gradient():
    X, Y, start = tumours()
    x, h = np.array([0.3, -0.2, 0.5, 0.1]), 2.0**-13

    def gradient(at):
        return vector(sigmoid_network.value_and_grad(parameters_of(at, start), X, Y)[1])

    columns = [(gradient(x + h * e) - gradient(x - h * e)) / (2 * h) for e in np.eye(4)]
    # h^2/6 of a fourth derivative below mean |z|^4 / 8 < 10, and roundings of 1e-16 / h
    np.testing.assert_allclose(np.stack(columns, axis=1), hessian(x, X, start), atol=1e-7)


def test_no_two_hessians_differ_by_more_than_the_third_derivative_allows():
    X, _, start = tumours()
    T, rng, most = third_derivative_bound(X), np.random.default_rng(0), 0.0
    for _ in range(50):
        x, step = rng.standard_normal(4), 2.0**-6 * rng.standard_normal(4)
        change = np.linalg.norm(hessian(x + step, X, start) - hessian(x, X, start), ord=2)
        most = max(most, change / (T * np.linalg.norm(step)))
    assert 0.05 < most <= 1  # a bound, and not an idle one


def test_the_gradient_vanishes_at_the_saddle_and_nowhere_beside_it():
    X, Y = images()
    theta, allowed = saddle(X, Y, HIDDEN), saddle_rounding(len(X), 10, HIDDEN)
    assert norm(sigmoid_network.value_and_grad(theta, X, Y)[1]) <= allowed
    for x in some(vector(theta) + 1e-6 * e for e in np.eye(len(vector(theta)))[[-1, -15]]):
        beside = sigmoid_network.value_and_grad(parameters_of(x, theta), X, Y)[1]
        assert norm(beside) > 1000 * allowed


@pytest.mark.parametrize("sign", [-1, 1])
def test_the_way_down_from_the_saddle_is_as_steep_as_predicted(sign):
    X, Y = images()
    theta = saddle(X, Y, HIDDEN)
    C = sigmoid_network.loss(theta, X, Y)
    missed = []
    for t in (2.0**-4, 2.0**-5):
        lower, sigma = down_from_saddle(theta, X, Y, sign * t)
        missed.append(sigmoid_network.loss(lower, X, Y) - C + t**2 * sigma / 4)
        assert abs(missed[-1]) < t**2 * sigma / 40
    assert missed[0] / missed[1] == pytest.approx(16, rel=0.1)  # O(t^4); t^2 more is 1/256
