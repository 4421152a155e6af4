"""Complex step and Cauchy's formula give derivatives that longdouble backpropagation confirms."""

import numpy as np
import pytest

from gradcheck.problems.case import parse
from gradcheck.studies.report.truth import cauchy_derivatives, complex_step
from reference_models import sigmoid_network

TOKENS = [
    "gc1:3-4-1:cross_entropy:mean:m5:float64:w1:generic:binary:s1",
    "gc1:4-5-3:quadratic:sum:m3:float32:w10:generic:soft:s2",
    "gc1:6-2:cross_entropy:sum:m2:float64:w30:saturated:binary:s3",
]


def longdouble_gradient(problem):
    wide = problem.astype(np.longdouble)
    _, layers = sigmoid_network.value_and_grad(
        [*zip(wide.weights, wide.biases, strict=True)],
        wide.inputs,
        wide.targets,
        cost=problem.architecture.loss,
        reduction=problem.architecture.reduction,
    )
    return np.concatenate([part.reshape(-1) for pair in layers for part in pair])


@pytest.mark.parametrize("token", TOKENS)
def test_the_complex_step_is_right_to_float64_rounding(token):
    problem = parse(token).problem()
    exact = longdouble_gradient(problem)
    assert np.max(np.abs(complex_step(problem) - exact)) <= 1e-14 * np.max(np.abs(exact))


def test_the_complex_step_differentiates_only_the_coordinates_asked_for():
    problem = parse(TOKENS[0]).problem()
    assert np.array_equal(complex_step(problem, [20, 3]), complex_step(problem)[[20, 3]])


def test_the_complex_step_keeps_derivatives_far_below_its_step():
    problem = parse("gc1:1-1:cross_entropy:sum:m1:float64:w1:generic:ones:s1").problem()
    saturated = problem.with_parameters({"W1": np.array([[0.0]]), "b1": np.array([500.0])})
    assert complex_step(saturated)[1] == pytest.approx(-np.exp(-500.0), rel=1e-12)


@pytest.mark.parametrize("radius", [0.2, 0.3])
def test_cauchys_formula_gives_the_derivatives_of_one_logistic_unit(radius):
    """f(b) = log(1 + exp(b)) has f' = s, f'' = s (1-s), f''' = s (1-s) (1-2s)."""
    problem = parse("gc1:1-1:cross_entropy:sum:m1:float64:w1:generic:zeros:s1").problem()
    unit = problem.with_parameters({"W1": np.array([[0.0]]), "b1": np.array([0.7])})
    s = 1 / (1 + np.exp(-0.7))
    found = cauchy_derivatives(unit, [1], [1, 2, 3], radius=radius)
    expected = [s, s * (1 - s), s * (1 - s) * (1 - 2 * s)]
    assert [float(found[k][0]) for k in (1, 2, 3)] == pytest.approx(expected, rel=1e-12)
