"""A jump of f is found however far apart two of them are; smooth functions have none."""

import numpy as np
import pytest

from gradcheck.differences.jumps import NO_JUMP, jump_near, least_jump, noise_of_jump
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import STANDARD_DEVIATIONS, Noise, estimate_noise
from gradcheck.differences.stencils import CENTRAL_4
from gradcheck.splitmix64 import Stream

SILENT = Noise(level=1e-16, bound=1e-15, unit_roundoff=2.0**-53, forward_passes=0)


def search(f, x, h, noise=SILENT):
    return jump_near(Lines(lambda v: float(f(v[0])), np.array([x])), noise, 0, h)


@pytest.mark.parametrize("h", [1e-9, 1e-7, 1e-4])
@pytest.mark.parametrize("distance", [4, 30, 1000])
@pytest.mark.parametrize("side", [-1, 1])
def test_a_step_is_found_where_it_is(h, distance, side):
    d = 0.7 + side * distance * h
    jump = search(lambda x: 1e-8 * (side * x >= side * d) + 3 * x, 0.7, h)
    assert jump.size == pytest.approx(1e-8, rel=1e-3)
    assert jump.at == pytest.approx(distance * h, rel=1e-6)
    assert not jump.flat


@pytest.mark.parametrize(
    ("f", "x"),
    [
        (np.sin, 0.7),
        (np.exp, 1.0),
        (lambda x: np.sin(1e4 * x), 0.7),
        (lambda x: np.sin(2.0**20 * x), 0.5),
        (lambda x: abs(x - 0.7001), 0.7),
        (lambda x: np.maximum(x, 0.70001) ** 2, 0.7),
        (lambda x: np.sqrt(np.abs(x - 0.701)), 0.7),
    ],
)
def test_smooth_functions_waves_and_kinks_have_none(f, x):
    lines = Lines(lambda v: float(f(v[0])), np.array([x]))
    noise = estimate_noise(lines, Stream(0, "test"))
    assert jump_near(lines, noise, 0, 2.0**-14).size <= noise.bound


def test_a_jump_that_is_too_small_to_matter_is_none_and_one_that_matters_is_found():
    def f(v):
        return float(1e-8 * (v[0] >= 0.701) + np.sin(v[0]))

    lines = Lines(f, np.array([0.7]))
    assert jump_near(lines, SILENT, 0, 1e-5, 1e-9).size == pytest.approx(1e-8, rel=1e-3)
    assert jump_near(lines, SILENT, 0, 1e-5, 1e-4).size == 0


@pytest.mark.parametrize(("excess", "step"), [(1e-3, 1e-4), (2.0, 1e-8)])
def test_twice_the_least_jump_widens_the_noise_term_by_the_excess(excess, step):
    J = 2 * float(least_jump(np.array(excess), np.array(step)))
    C1 = float(CENTRAL_4.noise_constant)
    assert C1 * noise_of_jump(SILENT, J).bound / step == pytest.approx(excess)


def test_a_staircase_is_flat_until_it_jumps():
    jump = search(lambda x: np.round(x, 3), 0.7004, 1e-6)
    assert jump.flat
    assert jump.size == pytest.approx(1e-3)
    assert jump.at == pytest.approx(1e-4, rel=0.1)


def test_the_rounding_of_terms_that_cancel_is_a_jump():
    """exp(x) is rounded to whole ulps of 1, 1e5 ulps of x: f falls along -x between two of them."""
    jump = search(lambda x: np.exp(x) - 1 - x, 1e-5, 1e-18, Noise(1e-27, 1e-26, 2.0**-53, 0))
    assert 2.0**-53 <= jump.size <= 2.0**-51
    assert not jump.flat


def test_a_constant_and_a_function_that_ends_nearby_have_none():
    assert search(lambda x: 2.5, 0.7, 1e-6) == NO_JUMP
    assert search(lambda x: 1.0 if x == 0.7 else np.nan, 0.7, 1e-6) == NO_JUMP


def test_a_jump_makes_noise_larger_and_never_smaller():
    larger = noise_of_jump(SILENT, 1e-3)
    assert larger.level == 1e-3
    assert larger.bound == STANDARD_DEVIATIONS * 1e-3
    assert noise_of_jump(SILENT, 1e-20) == SILENT
