"""Where terms cancel at x, the noise is that of the terms, not of f(x): nobody is accused."""

import numpy as np
import pytest
from some import some

from gradcheck import check_gradient

ENTROPY = -(0.3 * np.log(0.3) + 0.7 * np.log(0.7))
FLOOR = -(0.2 * np.log(0.2) + 0.3 * np.log(0.3) + 0.5 * np.log(0.5))


def rosenbrock(x):
    return float(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2))


def rosenbrock_slope(x):
    d, g = x[1:] - x[:-1] ** 2, np.zeros_like(x)
    g[:-1] = -400 * x[:-1] * d - 2 * (1 - x[:-1])
    g[1:] += 200 * d
    return g


def softmax_loss(x):
    return float(np.log(np.sum(np.exp(x))) - (0.2 * x[0] + 0.3 * x[1] + 0.5 * x[2]) - FLOOR)


def softmax_slope(x):
    e = np.exp(x.astype(np.longdouble))
    return np.asarray(e / e.sum() - np.array([2, 3, 5]) / np.longdouble(10), dtype=float)


def of_one(f):
    return lambda p: float(f(p[0]))


CASES = {
    "(sqrt x - 1)^2": (
        of_one(lambda x: (np.sqrt(x) - 1) ** 2),
        lambda p: (p - 1) / (np.sqrt(p) + 1) / np.sqrt(p),
        [[1.00005], [1.0000001], [0.999]],
    ),
    "exp x - 1 - x": (of_one(lambda x: np.exp(x) - 1 - x), np.expm1, [[1e-5], [-1e-7], [1e-3]]),
    "1 - cos x": (of_one(lambda x: 1 - np.cos(x)), np.sin, [[1e-7], [3e-6], [1e-2]]),
    "cosh x - 1": (of_one(lambda x: np.cosh(x) - 1), np.sinh, [[1e-6], [1e-3]]),
    "log(1 + x) - x": (
        of_one(lambda x: np.log(1 + x) - x),
        lambda p: -p / (1 + p),
        [[1e-5], [1e-8], [1e-3]],
    ),
    "log(1 + x)": (of_one(lambda x: np.log(1 + x)), lambda p: 1 / (1 + p), [[1e-8], [1e-12]]),
    "log(1 + x^2) - x^2": (
        of_one(lambda x: np.log(1 + x * x) - x * x),
        lambda p: -2 * p**3 / (1 + p * p),
        [[1e-2], [1e-3]],
    ),
    "cross-entropy less its floor": (
        of_one(lambda x: -(0.3 * np.log(x) + 0.7 * np.log(1 - x)) - ENTROPY),
        lambda p: (p - 0.3) / (p * (1 - p)),
        [[0.3001], [0.30001]],
    ),
    "softmax loss less its floor": (
        softmax_loss,
        softmax_slope,
        [list(np.log([0.2, 0.3, 0.5]) + d) for d in ([1e-5, 0, -1e-5], [1e-4, 2e-4, 3e-3])],
    ),
    "log ratio": (
        lambda p: float(np.log(p[0]) - np.log(p[1])),
        lambda p: np.array([1 / p[0], -1 / p[1]]),
        [[1.0001, 1.0], [2.000001, 2.0]],
    ),
    "(sqrt x - 2)^2": (
        of_one(lambda x: (np.sqrt(x) - 2) ** 2),
        lambda p: (p - 4) / (np.sqrt(p) + 2) / np.sqrt(p),
        [[4.001], [4.00001]],
    ),
    "norm less norm": (
        lambda p: float(np.sqrt(p @ p) - 5),
        lambda p: p / np.sqrt(p @ p),
        [[3.0001, 4.0], [3.0, 4.000001]],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_nobody_is_accused_and_one_per_cent_is_seen_or_undecided(name):
    f, slope, points = CASES[name]
    for x in some(map(np.array, points)):
        for seed in range(3):
            assert check_gradient(f, slope, x, seed=seed).verdict.value != "FAIL"
            off = check_gradient(f, lambda p: 1.01 * slope(p), x, seed=seed)
            assert off.verdict.value != "PASS"


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-5, 1e-6])
def test_rosenbrock_near_its_minimum_is_decided(size):
    random = np.random.default_rng(4)
    for seed in range(8):
        x = 1 + size * random.standard_normal(2 + seed % 4)
        assert check_gradient(rosenbrock, rosenbrock_slope, x, seed=seed).verdict.value == "PASS"
        for wrong in (1.01, 1 + 1e-4, 0.0, -1.0):
            factor = np.r_[wrong, np.ones(len(x) - 1)]

            def planted(x, factor=factor):
                return factor * rosenbrock_slope(x)

            assert check_gradient(rosenbrock, planted, x, seed=seed).verdict.value == "FAIL"


@pytest.mark.parametrize(
    ("x", "a", "c"),
    [
        (1.36502976e-09, -3.992e-06, 2574.0),
        (2.04986838e-10, -2.0459e-05, 2113.0),
        (-1.43139522e-08, 2.2e-04, -1440.0),
        (7.58703125e-10, 3.9285e-05, -760.0),
    ],
)
@pytest.mark.parametrize(
    ("lost", "slope"),
    [(lambda x: np.log(1 + x**2), lambda x: 2 * x / (1 + x**2)), (lambda x: 1 - np.cos(x), np.sin)],
    ids=["log", "cos"],
)
def test_a_term_that_1_swallows_beside_another_accuses_nobody(lost, slope, x, a, c):
    """Below 1e-8 the computed f does not have that term; the other curves before it shows."""

    def gradient(x):
        return slope(x) + a * c * np.exp(c * x)

    def f(x):
        return float(lost(x[0]) + a * np.expm1(c * x[0]))

    assert check_gradient(f, gradient, np.array([x])).verdict.value != "FAIL"
    wrong = check_gradient(f, lambda x: gradient(x) * 1.001, np.array([x]))
    assert wrong.verdict.value == "FAIL", str(wrong)
