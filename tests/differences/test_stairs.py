"""Staircases have no gradient that differences could see: nobody is accused by their treads."""

import numpy as np
import pytest

from gradcheck import check_gradient

SINES = np.sin(np.arange(0, 4, 1e-3))


def bisected(p):
    """The root m of m^3 + m = p, to 20 bits of 10."""
    low, high = 0.0, 10.0
    for _ in range(20):
        m = (low + high) / 2
        low, high = (m, high) if m**3 + m < p[0] else (low, m)
    return (low + high) / 2


def of_one(f):
    return lambda p: float(f(p[0]))


STAIRS = {
    "printed with 4 digits": (of_one(lambda x: f"{np.exp(x):.4g}"), np.exp),
    "printed with 6 digits": (of_one(lambda x: f"{np.sin(x):.6g}"), np.cos),
    "x rounded": (of_one(lambda x: np.round(x, 3)), np.ones_like),
    "float32 inside": (of_one(lambda x: np.exp(np.float32(x))), np.exp),
    "float16 inside": (of_one(lambda x: np.exp(np.float16(x))), np.exp),
    "result cut to float32": (of_one(lambda x: np.float32(np.exp(x))), np.exp),
    "quantised": (of_one(lambda x: np.floor(np.sin(x) * 256) / 256), np.cos),
    "x quantised": (of_one(lambda x: (np.floor(x * 256) / 256) ** 2), lambda p: 2 * p),
    "read off a table": (of_one(lambda x: SINES[int(x / 1e-3)]), np.cos),
    "whole numbers": (of_one(lambda x: int(1e6 * np.exp(x))), lambda p: 1e6 * np.exp(p)),
    "bisection": (bisected, lambda p: 1 / (3 * bisected(p) ** 2 + 1 + 0 * p)),
}


@pytest.mark.parametrize("name", STAIRS)
@pytest.mark.parametrize("x", [0.3, 0.70044, 1.30049, 2.71])
def test_the_gradient_of_what_is_meant_is_not_accused(name, x):
    f, slope = STAIRS[name]
    for seed in range(2):
        assert check_gradient(f, slope, np.array([x]), seed=seed).verdict.value != "FAIL"


@pytest.mark.parametrize("name", ["x rounded", "quantised", "x quantised", "read off a table"])
@pytest.mark.parametrize("engine", [lambda slope, p: slope(p), lambda _, p: 0 * p])
def test_a_wide_staircase_is_called_one_whatever_the_engine_says(name, engine):
    f, slope = STAIRS[name]
    told = check_gradient(f, lambda p: engine(slope, p), np.array([0.70044]))
    assert told.reason.value == "nondifferentiable"
    assert any("staircase along x[0]" in note for note in told.notes)


def test_a_jump_further_out_than_the_steps_is_nobodys_business():
    def f(p):
        return float(np.exp(p[0]) + (p[0] > 0.9))

    x = np.array([0.7])
    assert check_gradient(f, np.exp, x).verdict.value == "PASS"
    assert check_gradient(f, lambda p: 1.01 * np.exp(p), x).verdict.value == "FAIL"


def test_constant_parts_of_continuous_functions_are_no_staircases():
    """relu at -1e-3: f has the same bits near x and moves further out, without a jump."""
    told = check_gradient(lambda p: float(np.sum(np.maximum(p, 0))), lambda p: 1.0 * (p > 0),
                          np.array([-1e-3, 1.0]))  # fmt: skip
    assert not any("staircase" in note for note in told.notes)


@pytest.mark.parametrize("digits", [1, 2, 3])
@pytest.mark.parametrize("n", [5, 20])
def test_a_zero_is_right_on_the_treads_of_many_stairs(digits, n):
    random = np.random.default_rng(n)
    w, x = random.normal(size=n), random.uniform(-8, 8, size=n)

    def f(x):
        return float(w @ np.round(x, digits))

    assert check_gradient(f, lambda x: 0 * x, x).verdict.value == "INCONCLUSIVE"
    smooth = check_gradient(lambda x: float(w @ np.sin(x)), lambda x: 0 * x, x)
    assert smooth.verdict.value == "FAIL"  # a zero where there is a slope


@pytest.mark.parametrize("x", [-4.8269849, -4.3, -30.0, -5e3])
def test_a_zero_is_decided_however_the_steps_fall_beside_a_kink(x):
    outcome = check_gradient(
        lambda x: float(np.clip(x[0] + 3, 0, 6)), lambda x: 0 * x, np.array([x])
    )
    assert outcome.verdict.value == "PASS", str(outcome)


def test_no_tread_is_sought_beyond_the_bounds():
    low, high = -6.0, -4.25

    def f(x):
        assert np.all((low <= x) & (x <= high))
        return float(np.round(x, 2).sum() + np.maximum(x + 3, 0).sum())

    x = np.array([-4.3, -5.1, -5.9])
    outcome = check_gradient(f, lambda x: 0 * x, x, bounds=(low, high))
    assert outcome.verdict.value == "INCONCLUSIVE"
    assert not any("raised" in note for note in outcome.notes)


def test_no_budget_ends_between_an_accusation_and_the_search_for_treads():
    def f(x):
        return float(np.round(np.exp(x[0]), 3))

    for budget in range(90, 130):
        told = check_gradient(f, lambda x: 0 * x, np.array([1.0]), budget=budget)
        assert told.verdict.value == "INCONCLUSIVE", f"budget={budget}: {told}"


@pytest.mark.parametrize("bounds", [(1 - 1e-7, 1 + 1e-7), (0.9999, 1.0001), (1.0, 1.001), (0, 1)])
def test_nobody_is_accused_on_a_tread_between_bounds(bounds):
    def f(x):
        return float(f"{np.exp(x[0]):.4g}")

    told = check_gradient(f, np.exp, np.array([1.0]), bounds=bounds)
    assert told.verdict.value == "INCONCLUSIVE", str(told)
    wrong = check_gradient(lambda x: float(np.exp(x[0])), np.sin, np.array([1.0]), bounds=bounds)
    assert wrong.verdict.value == "FAIL", str(wrong)


def test_many_stairs_along_many_axes_are_no_noise():
    random = np.random.default_rng(0)
    w, x = random.standard_normal(100), 5 * random.standard_normal(100)
    told = check_gradient(lambda x: float(w @ np.trunc(3 * x)), np.zeros_like, x)
    assert (told.verdict.value, told.reason.value) == ("INCONCLUSIVE", "nondifferentiable")


def hinge(p):
    """A loss that compares its target with 1: a target that is moved is none."""
    y, target = p
    return float(np.sum(np.where(target == 1, y, np.maximum(0, 1 - y) * (target == -1))))


def of_hinge(p):
    y, target = p
    return np.where(target == 1, 1.0, -1.0 * (y < 1) * (target == -1)), 0 * target


def test_a_jump_at_x_itself_is_no_noise():
    x = (np.array([0.3, -0.4, 0.9, 2.0]), np.array([1.0, -1.0, 1.0, 1.0]))
    told = check_gradient(hinge, of_hinge, x)
    assert (told.verdict.value, told.reason.value) == ("INCONCLUSIVE", "nondifferentiable")
    assert "f jumps at x itself along 4 coordinates, x[1][0] first" in told.notes


@pytest.mark.parametrize("p", [1, 0.5, 0.1])
def test_what_is_steep_at_x_does_not_jump_there(p):
    told = check_gradient(lambda x: float(np.sum(np.abs(x) ** p)), np.zeros_like, np.zeros(2))
    assert not [note for note in told.notes if "jumps at x" in note]


@pytest.mark.parametrize("at", [3.3, -7.458315, -3.114499, 6.6644855, 9.0])
def test_treads_of_few_roundings_in_float32_accuse_no_zero(at):
    """3 decimals of a number near 9 are 2^10 of its roundings; a tread may end beside x."""
    x = np.array([at], dtype=np.float32)
    told = check_gradient(lambda p: np.float32(1.3) * np.round(p[0], 3), np.zeros_like, x)
    assert told.verdict.value == "INCONCLUSIVE", str(told)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_zero_is_wrong_where_f_has_no_treads(dtype):
    x = np.array([3.3, -7.458315], dtype=dtype)
    told = check_gradient(lambda p: np.sum(np.sin(p) + p), np.zeros_like, x)
    assert told.verdict.value == "FAIL"


@pytest.mark.parametrize("seed", range(12))
def test_stairs_of_one_rounding_through_which_a_slope_is_seen_are_decided_by_every_seed(seed):
    """The bounds are looked at once more, at longer steps, before f is said to be a staircase."""
    x = np.array([5.09179331e-07, -4.96580105e-08, 1.40267255e-06, 1.35140583e-06])

    def f(x):
        return float(np.sum(1 - np.cos(x)))

    assert check_gradient(f, np.sin, x, seed=seed).verdict.value == "PASS"
    for factor in (1.0001, 0.0, -1.0):
        told = check_gradient(f, lambda x, k=factor: k * np.sin(x), x, seed=seed)
        assert told.verdict.value != "PASS"
