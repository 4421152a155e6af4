"""Where f is computed in a shorter format than x, what is asked by default is what it reaches."""

import numpy as np
import pytest

from gradcheck import check_gradient, check_jacobian

FORMATS = {
    "inside": lambda x: float(np.exp(np.float32(x[0])) + np.sin(np.float32(x[1]))),
    "result": lambda x: np.float32(np.exp(x[0]) + np.sin(x[1])),
    "stored": lambda x: float(np.sum([np.exp(x[0]), np.sin(x[1])], dtype=np.float32)),
}


def slope(x):
    return np.array([np.exp(x[0]), np.cos(x[1])])


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("x", [[0.7, 0.3], [1.3, 0.1], [0.3, 1.0]])
def test_float32_inside_is_decided_by_default(name, x):
    for seed in range(3):
        right = check_gradient(FORMATS[name], slope, np.array(x), seed=seed)
        assert right.verdict.value == "PASS"
        assert 1e-6 < right.resolution < 0.1
        wrong = check_gradient(FORMATS[name], lambda x: 1.1 * slope(x), np.array(x), seed=seed)
        assert wrong.verdict.value == "FAIL"


def test_what_is_asked_for_stands():
    x = np.array([0.7, 0.3])
    told = check_gradient(FORMATS["inside"], slope, x, resolution=1e-6)
    assert told.verdict.value == "INCONCLUSIVE"


def test_values_that_are_short_by_chance_ask_for_no_less():
    """Whole numbers are float16 numbers, too."""
    told = check_gradient(lambda x: float(3 * x[0] + 2 * x[1]), lambda x: np.array([3.0, 2.0]),
                          np.array([1.0, 2.0]))  # fmt: skip
    assert told.verdict.value == "PASS"
    assert told.resolution < 1e-6


def test_a_vector_function_in_float32():
    def outputs(x):
        return np.exp(x.astype(np.float32))

    x = np.array([0.3, 0.7])
    assert check_jacobian(outputs, lambda x: np.diag(np.exp(x)), x).verdict.value == "PASS"
    wrong = check_jacobian(outputs, lambda x: np.diag(1.2 * np.exp(x)), x)
    assert wrong.verdict.value == "FAIL"
