"""Where the step that was found is too short to decide, longer ones and one side of x are asked."""

import numpy as np
import pytest

from gradcheck import check_gradient, check_jacobian

WEIGHTS = np.array([0.35, 0.82, -0.33, -1.3, 0.91, 0.45])
SHAPE = np.array([0.13, -0.13, 0.64, 0.1, -0.54, 0.36])


def sum_of(function):
    return lambda x: float(WEIGHTS @ function(x))


def normalised(x):
    """Two numbers less their mean, over their standard deviation: -1 and 1, but for the 1e-5."""
    z = x - x.mean()
    return z / np.sqrt(np.mean(z * z) + 1e-5)


def through_normalised(x, upstream):
    z = x - x.mean()
    s = np.sqrt(np.mean(z * z) + 1e-5)
    y = z / s
    return (upstream - upstream.mean() - y * np.mean(upstream * y)) / s


UPSTREAM = np.array([0.79, -0.16])

CASES = {
    "cos at 1e-6": (sum_of(np.cos), lambda x: -WEIGHTS * np.sin(x), 1e-6 * SHAPE),
    "cosh at 1e-6": (sum_of(np.cosh), lambda x: WEIGHTS * np.sinh(x), 1e-6 * SHAPE),
    "exp(-x^2) at 1e-6": (
        sum_of(lambda x: np.exp(-x * x)),
        lambda x: -2 * WEIGHTS * x * np.exp(-x * x),
        1e-6 * SHAPE,
    ),
    "exp(-|x|) at 1e-9": (
        sum_of(lambda x: np.exp(-np.abs(x))),
        lambda x: -WEIGHTS * np.sign(x) * np.exp(-np.abs(x)),
        1e-9 * SHAPE,
    ),
    "relu and a line at 1e-9": (
        sum_of(lambda x: np.maximum(x, 0) + np.sin(1 + x)),
        lambda x: WEIGHTS * ((x > 0) + np.cos(1 + x)),
        1e-9 * SHAPE,
    ),
    "a layer norm of two numbers": (
        lambda x: float(3.3 + UPSTREAM @ normalised(x)),
        lambda x: through_normalised(x, UPSTREAM),
        np.array([0.57, -1.57]),
    ),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_a_right_gradient_passes(name, seed):
    f, gradient, x = CASES[name]
    told = check_gradient(f, gradient, x, seed=seed)
    assert told.verdict.value == "PASS", str(told)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("factor", [1 + 1e-5, 0.5, 0.0, -1.0])
def test_a_wrong_one_does_not(name, factor):
    f, gradient, x = CASES[name]
    assert check_gradient(f, lambda x: factor * gradient(x), x).verdict.value != "PASS"


@pytest.mark.parametrize("name", CASES)
def test_the_sign_of_one_coordinate_does_not_pass(name):
    f, gradient, x = CASES[name]
    signs = np.array([-1.0, *np.ones(len(x) - 1)])
    assert check_gradient(f, lambda x: signs * gradient(x), x).verdict.value != "PASS"


@pytest.mark.parametrize("slope", [1e-12, 5e-12, 2e-11, 1e-10, 1e-9])
def test_a_slight_kink_below_a_large_curvature_accuses_nobody(slope):
    """J(h) fades as the cosine has it until the kink is left, which noise hides."""

    def f(x):
        return float(np.sum(np.cos(x) + slope * np.abs(x)))

    def gradient(x):
        return -np.sin(x) + slope * np.sign(x)

    for seed in range(5):
        told = check_gradient(f, gradient, np.array([1e-6, -3e-7]), seed=seed)
        assert told.verdict.value != "FAIL", str(told)


@pytest.mark.parametrize("seed", [2, 4])
def test_a_coordinate_that_stopped_by_accident_takes_the_step_of_its_neighbours(seed):
    """The rounding of a sigmoid is that of 1/2; the outputs cancel to less."""
    random = np.random.default_rng(seed)
    w = random.standard_normal(6).astype(np.float32)
    x = (1e-6 * random.standard_normal(6)).astype(np.float32)

    def slope(x):
        return w / (1 + np.exp(-x)) / (1 + np.exp(x))

    def f(x):
        return np.float32(w @ (1 / (1 + np.exp(-x))))

    told = check_gradient(f, slope, x)
    assert told.verdict.value == "PASS", str(told)
    assert check_gradient(f, lambda x: 2 * slope(x), x).verdict.value == "FAIL"


def test_an_array_of_nothing_beside_it_does_not_matter():
    f, gradient, x = CASES["cos at 1e-6"]
    told = check_gradient(lambda p: f(p[0]), lambda p: (gradient(p[0]), p[1]), (x, np.empty(0)))
    assert told.verdict.value == "PASS", str(told)


def test_narrower_bounds_are_for_jacobians_too():
    told = check_jacobian(np.cos, lambda x: np.diag(-np.sin(x)), 1e-6 * SHAPE)
    assert told.verdict.value == "PASS", str(told)


def test_a_budget_that_is_spent_on_the_way_leaves_the_verdict_open():
    f, gradient, x = CASES["cos at 1e-6"]
    for budget in range(150, 600, 50):
        told = check_gradient(f, gradient, x, budget=budget)
        assert told.verdict.value in ("PASS", "INCONCLUSIVE")
        assert told.forward_passes <= budget
