"""x may be far smaller than all that happens to f, down to the smallest number there is."""

import numpy as np
import pytest

from gradcheck import check_gradient

TINY = [5e-324, 1e-320, 1e-310, 1e-300, 1e-100, 1e-30, 1e-8, -1e-8, 1e-6, 0.0]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


FUNCTIONS = {
    "sigmoid": (sigmoid, lambda x: sigmoid(x) * (1 - sigmoid(x))),
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "3 x": (lambda x: 3 * x, lambda x: 3 + 0 * x),
}


@pytest.mark.parametrize("x", TINY)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_steps_grow_beyond_x_while_noise_rules(name, x):
    f, slope = FUNCTIONS[name]
    at = np.array([x])
    right = check_gradient(lambda p: float(f(p[0])), slope, at)
    assert right.verdict.value == "PASS"
    assert right.forward_passes < 300
    wrong = check_gradient(lambda p: float(f(p[0])), lambda p: 1.0001 * slope(p), at)
    assert wrong.verdict.value == "FAIL"


@pytest.mark.parametrize("x", TINY)
def test_and_along_directions(x):
    at = np.full(8, x)
    options = {"method": "directional", "resolution": 1e-3}
    right = check_gradient(
        lambda p: float(np.sum(sigmoid(p))), FUNCTIONS["sigmoid"][1], at, **options
    )
    assert right.verdict.value == "PASS"
    assert right.forward_passes < 500


@pytest.mark.parametrize("x", [5e-324, 1e-310])
def test_a_subnormal_stationary_point_ends(x):
    told = check_gradient(lambda p: float(np.cos(p[0])), lambda p: -np.sin(p), np.array([x]))
    assert told.verdict.value != "FAIL"
    assert told.forward_passes < 300


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e8])
@pytest.mark.parametrize("x", [1.3e-11, 2.7e-7])
def test_a_function_of_the_scale_of_x_is_judged_on_that_scale(x, offset):
    """What f is at 1, 10^30 times as much, says nothing of its rounding or its slope at x."""

    def slope(p):
        return 3 / x * (p / x) ** 2

    def f(p):
        return float((p[0] / x) ** 3 + offset)

    assert check_gradient(f, slope, np.array([x])).verdict.value == "PASS"
    for factor in (-1, 0, 1.0001):
        wrong = check_gradient(f, lambda p, k=factor: k * slope(p), np.array([x]))
        assert wrong.verdict.value == "FAIL", str(wrong)


@pytest.mark.parametrize("noise", [1e9, 1e12])
def test_slopes_far_beyond_x_do_not_make_it_a_stationary_point(noise):
    x = 1.3e-11
    told = check_gradient(
        lambda p: float((p[0] / x) ** 3), lambda p: -3 / p, np.array([x]), noise=noise
    )
    assert told.verdict.value == "INCONCLUSIVE", str(told)
