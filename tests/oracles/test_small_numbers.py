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
