"""The likely mistake, from the pattern of wrong coordinates; silence where there is none."""

from types import SimpleNamespace

import numpy as np
import pytest

from gradcheck.checks.gradient import check_gradient
from gradcheck.patterns.diagnose import _precision, _ratio

GENERATOR = np.random.default_rng(7)
A = GENERATOR.standard_normal((3, 3))
POINT = {"W": GENERATOR.standard_normal((3, 3)), "b": GENERATOR.standard_normal(3)}


def f(x):
    return float(np.sum(A * np.sin(x["W"])) + np.sum(np.cos(x["b"])))


def right(x):
    return {"W": A * np.cos(x["W"]), "b": -np.sin(x["b"])}


def diagnosis(change):
    return check_gradient(f, lambda x: change(right(x)), POINT).diagnosis


def scaled(factor):
    return lambda g: {k: factor * v for k, v in g.items()}


def only(name, change):
    return lambda g: g | {name: change(g[name])}


def turned(g):
    return g.T.copy()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (scaled(-1), "the sign is wrong"),
        (scaled(2), "a factor 1/2 is missing"),
        (scaled(0.5), "a factor 2 is missing"),
        (scaled(6), "engine = 6 x the derivative in every wrong coordinate"),
        (scaled(1 / 6), "engine = 0.16666667 x the derivative in every wrong coordinate"),
        (scaled(1.01), "engine = 1.01 x the derivative"),
        (scaled(0), "every wrong coordinate is exactly 0"),
        (only("W", turned), "W holds the transpose"),
        (only("W", lambda W: W[[1, 0, 2]]), "W has entries swapped in rows 0, 1; only W"),
        (only("W", lambda W: np.roll(W, 1, axis=0)), "W is shifted in its rows, by 1"),
        (only("W", lambda W: W[:, [2, 1, 0]]), "W has entries swapped in columns 0, 2"),
        (only("W", lambda W: W * [[1], [1], [3]]), "only W partly wrong (row 2)"),
        (only("W", lambda W: W + np.diag([0, 1e-3, 0])), "only W[1,1] of 12 is wrong: it is 0.996"),
        (only("W", lambda W: W + W**2 * [[1], [0], [0]]), "W is wrong in row 0 only; only W"),
        (lambda g: {k: v.astype(np.float32).astype(float) for k, v in g.items()},
         "every wrong coordinate is rounded to float32"),
        (only("b", np.zeros_like), "only b wholly wrong"),
        (only("b", lambda b: -b), "only b wholly wrong"),
    ],
)  # fmt: skip
def test_patterns_are_named(change, told):
    assert told in diagnosis(change)


def test_a_right_gradient_has_no_diagnosis():
    assert diagnosis(lambda g: g) == ""


def test_a_ratio_that_is_hardly_known_is_none():
    """Where the bound is larger than the derivative, any number would be a ratio, -1 too."""
    D, B = np.array([1e-20, 2e-20, -3e-20]), np.full(3, 1e-19)
    comparison = SimpleNamespace(engine=4e18 * D, oracle=D, allowance=B)
    assert _ratio(comparison, np.ones(3, bool)) == ""
    known = SimpleNamespace(engine=-D, oracle=D, allowance=1e-6 * np.abs(D))
    assert "the sign is wrong" in _ratio(known, np.ones(3, bool))


@pytest.mark.parametrize("D", [[1.0, 2.0], [3.0, 3.0, -3.0, 3.0], [0.5, 0.5 * (1 + 1e-9), 1.0]])
def test_numbers_of_one_or_two_sizes_have_no_ratio(D):
    D = np.array(D)
    comparison = SimpleNamespace(engine=-D, oracle=D, allowance=1e-9 * np.abs(D))
    assert _ratio(comparison, np.ones(len(D), bool)) == ""


def test_of_one_ratio_no_sum_and_no_mean_is_concluded():
    for factor in (3, 6, 1 / 3, 32):
        assert "mean" not in diagnosis(scaled(factor))


# --- rounding -------------------------------------------------------------------------------------


def rounding(D, g):
    """What is said of the rounding of numbers that are all wrong."""
    D, g = np.asarray(D, float), np.asarray(g, float)
    leaf = SimpleNamespace(dtype=np.dtype(float))
    structure = SimpleNamespace(leaves=[leaf])
    allowance = np.zeros_like(D)
    c = SimpleNamespace(structure=structure, oracle=D, engine=g, allowance=allowance)
    return _precision(c, g != D)


LONG = GENERATOR.standard_normal(64)
SHORT = LONG.astype(np.float32).astype(float)
NOISY = LONG * (1 + 1e-7 * GENERATOR.standard_normal(64))


def test_rounding_is_told_of_most_numbers_and_of_more_than_a_few():
    assert rounding(LONG, SHORT) == "every wrong coordinate is rounded to float32"
    assert rounding(LONG, LONG.astype(np.float16)).endswith("rounded to float16")
    assert rounding(LONG, NOISY).startswith("the deviations have both signs")
    assert rounding(LONG[:5], SHORT[:5]) == rounding(LONG[:12], NOISY[:12]) == ""
    some = np.arange(64) < 20
    assert rounding(LONG, np.where(some, SHORT, LONG)) == ""
    assert rounding(LONG, np.where(some, NOISY, LONG)) == ""
    assert rounding(np.resize(LONG[:5], 64), np.resize(SHORT[:5], 64)) == ""


def test_numbers_that_are_short_anyway_are_no_evidence_of_rounding():
    short = np.round(LONG * 8) / 8
    assert rounding(short * (1 + 1e-8), short) == ""
    assert rounding(np.where(LONG > 0, 1 - 1e-8, -1 + 3e-8), np.sign(LONG)) == ""


def test_float32_inputs_times_one_are_not_rounded_where_a_saturated_output_is_cut_off():
    z = GENERATOR.uniform(15, 24, 64)
    for signs in (1, np.where(LONG > 0, 1, -1)):
        assert rounding(SHORT * (1 - signs * np.exp(-z)), SHORT) == ""


def test_an_epsilon_in_a_logarithm_is_no_noise():
    p, y = GENERATOR.uniform(0.02, 0.98, 64), (LONG > 0).astype(float)
    epsilon = (-y / (p + 1e-8) + (1 - y) / (1 - p + 1e-8)) * p * (1 - p)
    assert rounding(p - y, epsilon) == ""


def test_noise_has_no_pattern_and_is_unknown():
    wrong = {k: 1 + 0.1 * GENERATOR.standard_normal(v.shape) for k, v in POINT.items()}
    assert diagnosis(lambda g: {k: v * wrong[k] for k, v in g.items()}) == "unknown"
