"""The floored slope: engines that divide by max(p (1 - p), epsilon) stay within its bound."""

import numpy as np
import pytest

from gradcheck.certified.gradient import certified_gradient
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import parse, sample_cases
from gradcheck.rounding import floored, gradient, gradient_bound

EPSILONS = (1e-12, 1e-7, 1e-3)
CASES = list(sample_cases(120, 1, losses=["cross_entropy"], max_parameters=120, max_batch=9))


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z > 0, 1 / (1 + e), e / (1 + e))


def engine(problem, epsilon, defect=1.0, sigma=sigmoid):
    """Backpropagation in the problem's dtype, the last layer as chained from dC/dp."""
    one, a = problem.dtype.type(1), [problem.inputs]
    with np.errstate(all="ignore"):
        for W, b in zip(problem.weights, problem.biases, strict=True):
            a.append(sigma(a[-1] @ W.T + b).astype(problem.dtype))
        p, y = a[-1], problem.targets
        M = problem.batch if problem.architecture.reduction == "mean" else 1
        dp = (
            (p - y) / np.maximum((one - p) * p, problem.dtype.type(epsilon)) / problem.dtype.type(M)
        )
        delta = dp * (one - p) * p * problem.dtype.type(defect)
        parts = []
        for i in reversed(range(problem.architecture.depth)):
            parts += [delta.sum(axis=0), (delta.T @ a[i]).ravel()]
            delta = (delta @ problem.weights[i]) * (a[i] * (one - a[i]))
    return np.concatenate(parts[::-1]).astype(np.float64)


def ratio(case, epsilon, **how):
    problem = case.problem()
    exact = certified_gradient(problem, floor=epsilon)
    bound = gradient_bound(problem, "absolute_sigmoid", floor=epsilon) + exact.bound
    error = np.abs(engine(problem, epsilon, **how) - exact.gradient)
    return np.max(np.divide(error, bound, out=np.zeros_like(error), where=error > 0))


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_engines_with_a_floor_are_within_its_bound(epsilon):
    worst = max(CASES, key=lambda case: ratio(case, epsilon))
    assert ratio(worst, epsilon) <= 1, worst.token


def test_engines_made_of_tanh_are_too():
    def tanh(z):
        return (1 + np.tanh(z / 2)) / 2

    assert max(ratio(case, 1e-12, sigma=tanh) for case in CASES) <= 1


def test_a_wrong_factor_another_floor_and_none_are_not():
    assert sum(ratio(case, 1e-3, defect=1.001) > 1 for case in CASES) > len(CASES) / 2
    one = np.ones((1, 1))
    problem = Problem(Architecture((1, 1)), (-20 * one,), (np.zeros(1),), one, one)
    floors = [None, 1e-7, 1e-3]
    gradients = [certified_gradient(problem, floor=floor).gradient for floor in floors]
    bounds = [gradient_bound(problem, "absolute_sigmoid", floor=floor) for floor in floors]
    for i in range(3):
        for j in range(3):
            within = np.all(np.abs(gradients[i] - gradients[j]) <= bounds[j])
            assert bool(within) == (i == j)


def test_a_bound_that_forgets_how_the_slope_moves_is_too_small(monkeypatch):
    def forgets(last, y, floor, rounding):
        still = last._replace(s=type(last.s)(last.s.x, np.zeros_like(last.s.d)))
        return floored.floored_residual(still, y, floor, rounding)

    monkeypatch.setattr(gradient, "floored_residual", forgets)
    assert max(ratio(case, 1e-3) for case in CASES) > 1


def test_the_floor_changes_nothing_where_no_slope_is_below_it():
    problem = parse("gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s3").problem()
    exact, floored_one = certified_gradient(problem), certified_gradient(problem, floor=1e-9)
    np.testing.assert_array_equal(exact.gradient, floored_one.gradient)
