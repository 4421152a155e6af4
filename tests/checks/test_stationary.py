"""At a stationary point the bound is held beside the derivatives a step away."""

import numpy as np
import pytest

from gradcheck import check_gradient

CASES = {
    "x^2": (lambda x: float(x @ x), lambda x: 2 * x, 0.0),
    "x^3": (lambda x: float(np.sum(x**3)), lambda x: 3 * x**2, 0.0),
    "cos x": (lambda x: float(np.sum(np.cos(x))), lambda x: -np.sin(x), 0.0),
    "(x - 1)^2": (lambda x: float(np.sum((x - 1) ** 2)), lambda x: 2 * (x - 1), 1.0),
    "(exp x - e)^2": (
        lambda x: float(np.sum((np.exp(x) - np.e) ** 2)),
        lambda x: 2 * (np.exp(x) - np.e) * np.exp(x),
        1.0,
    ),
    "cosh x": (lambda x: float(np.sum(np.cosh(x))), np.sinh, 0.0),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("n", [1, 3])
def test_a_right_gradient_passes_where_it_is_zero(name, n):
    f, slope, at = CASES[name]
    for seed in range(3):
        assert check_gradient(f, slope, np.full(n, at), seed=seed).verdict.value == "PASS"


@pytest.mark.parametrize("name", CASES)
def test_one_that_is_not_zero_fails(name):
    f, slope, at = CASES[name]
    told = check_gradient(f, lambda x: slope(x) + 1e-3, np.array([at]))
    assert told.verdict.value == "FAIL"


def test_where_f_does_not_move_but_for_its_rounding_nothing_is_decided():
    """sum(softmax(x)) = 1: there is no curvature to be held beside either."""

    def f(x):
        e = np.exp(x)
        return float(np.sum(e / e.sum()))

    told = check_gradient(f, lambda x: 1e-17 * x, np.array([0.3, -0.2, 0.7]))
    assert told.verdict.value == "INCONCLUSIVE"
