"""Every coordinate has a scale of its own, which its neighbours need not share."""

import numpy as np
import pytest

from gradcheck import check_gradient

NM, MM = 1e-9, 1e6  # a natural scale of 1e-9 beside a number of 1e6


def tail(x):
    return x[1] / MM


CASES = {
    "tanh": (
        lambda x: float(np.tanh(x[0] / NM) + tail(x)),
        lambda x: np.array([(1 - np.tanh(x[0] / NM) ** 2) / NM, 1 / MM]),
        [0.0, MM],
    ),
    "a bump": (
        lambda x: float(x[0] / NM * np.exp(-((x[0] / NM) ** 2)) + tail(x)),
        lambda x: np.array([(1 - 2 * (x[0] / NM) ** 2) * np.exp(-((x[0] / NM) ** 2)) / NM, 1 / MM]),
        [0.0, MM],
    ),
    "waves": (
        lambda x: float(np.sin(x[0] / NM) + np.sin(tail(x))),
        lambda x: np.array([np.cos(x[0] / NM) / NM, np.cos(tail(x)) / MM]),
        [0.0, MM],
    ),
    "a line of a spectrum": (
        lambda x: float(tail(x) / (1 + (x[0] / NM - 0.5) ** 2)),
        lambda x: np.array(
            [
                -2 * tail(x) * (x[0] / NM - 0.5) / NM / (1 + (x[0] / NM - 0.5) ** 2) ** 2,
                1 / MM / (1 + (x[0] / NM - 0.5) ** 2),
            ]
        ),
        [0.0, MM],
    ),
    "24 decades": (
        lambda x: float(np.sum(np.sin(x * [1e12, 1.0, 1e-12]))),
        lambda x: np.cos(x * [1e12, 1.0, 1e-12]) * [1e12, 1.0, 1e-12],
        [0.0, 1.0, 1e12],
    ),
    "a quantum": (
        lambda x: float(np.sin(x[0] / 6.6e-34) + np.sin(x[1] / 3e8)),
        lambda x: np.array([np.cos(x[0] / 6.6e-34) / 6.6e-34, np.cos(x[1] / 3e8) / 3e8]),
        [6.6e-34, 3e8],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_right_gradient_passes_and_a_wrong_one_fails(name):
    f, slope, x = CASES[name]
    for seed in range(3):
        assert check_gradient(f, slope, np.array(x), seed=seed).verdict.value == "PASS"
        for factor in (1.01, 0.0, -1.0):

            def wrong(x, factor=factor):
                return slope(x) * np.r_[factor, np.ones(len(x) - 1)]

            assert check_gradient(f, wrong, np.array(x), seed=seed).verdict.value == "FAIL"


def test_biases_of_zero_cost_no_more_than_others():
    def f(p):
        return float(np.sum(np.tanh(np.outer(p["w"], [1.0, 2.0]) + p["b"])))

    def slope(p):
        d = 1 - np.tanh(np.outer(p["w"], [1.0, 2.0]) + p["b"]) ** 2
        return {"w": d @ [1.0, 2.0], "b": d.sum(axis=0)}

    w = np.linspace(0.1, 1, 20)
    zero = check_gradient(f, slope, {"w": w, "b": np.zeros(2)})
    other = check_gradient(f, slope, {"w": w, "b": np.full(2, 0.1)})
    assert zero.verdict.value == other.verdict.value == "PASS"
    assert zero.forward_passes <= other.forward_passes + 20
