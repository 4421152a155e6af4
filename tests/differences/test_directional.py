"""Directional derivatives with error bounds, and what random signs can miss."""

from itertools import product

import numpy as np
import pytest

from gradcheck.differences.directional import Direction, directional_derivative, norm_seen
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.splitmix64 import Stream


def wave(x):
    return float(np.sum(x**2) / 2 + np.sum(np.sin(3 * x)))


def wave_slope(x):
    return x + 3 * np.cos(3 * x)


def tower(x):
    return float(np.exp(np.mean(x)) * (1 + x[0] ** 2))


def tower_slope(x):
    slope = np.full(len(x), tower(x) / len(x))
    slope[0] += np.exp(np.mean(x)) * 2 * x[0]
    return slope


def point(n, seed=0):
    return np.asarray(Stream(seed, "x").normal(n)) + 0.1


def signs(n, seed):
    return Stream(seed, "v").signs(n)


def opened(f, x, seed=0):
    lines = Lines(f, x)
    return lines, estimate_noise(lines, Stream(seed, "noise"))


FUNCTIONS = pytest.mark.parametrize(
    ("f", "slope"), [(wave, wave_slope), (tower, tower_slope)], ids=["wave", "tower"]
)


# --- the bound ----------------------------------------------------------------------------------


@FUNCTIONS
@pytest.mark.parametrize("n", [1, 2, 30, 3000])
def test_the_derivative_is_within_its_bound(f, slope, n):
    x = point(n)
    lines, noise = opened(f, x)
    for seed in range(8):
        v = signs(n, seed) * (1 if seed % 2 else Stream(seed, "w").uniform(n))
        found = directional_derivative(lines, noise, v)
        assert abs(found.value - slope(x) @ v) <= found.bound
        assert found.bound <= 1e-6 * (1 + np.linalg.norm(slope(x)))
        assert not found.kink


@FUNCTIONS
def test_beside_a_gradient_the_deviation_is_what_that_gradient_is_off_by(f, slope):
    n = 200
    x = point(n)
    lines, noise = opened(f, x)
    g, v, all_of_it = slope(x), signs(n, 1), np.arange(n)
    right = Direction(lines, noise, g, all_of_it, v).pilot()
    assert abs(right.value) <= right.bound
    g[17] += 1e-3
    wrong = Direction(lines, noise, g, all_of_it, v).pilot()
    assert abs(wrong.value + 1e-3 * v[17]) <= wrong.bound < 1e-6


def test_the_realised_displacement_counts_in_float32():
    """Of h v = 1e-4 v_j, rounding x + h v to float32 leaves an error of 1e-4 of it."""
    x = (0.9 + point(20) / 100).astype(np.float32)
    lines, noise = opened(lambda x: float(np.sum(np.sin(300 * x.astype(float)))), x)
    g = 300 * np.cos(300 * lines.origin)
    for seed in range(5):
        v = Stream(seed, "v").uniform(20)
        found = Direction(lines, noise, g, np.arange(20), v).at(-14, 0.0)
        assert abs(found.value) <= found.storing <= 1e-6 * np.abs(g).sum()


def test_rounding_of_the_gradient_is_allowed_for():
    x = point(1000)
    lines, noise = opened(wave, x)
    found = Direction(lines, noise, wave_slope(x), np.arange(1000), signs(1000, 0)).pilot()
    assert found.storing >= 2.0**-53 * np.abs(wave_slope(x)).sum()


def test_the_noise_bounds_what_a_noisy_function_shows():
    generator = np.random.default_rng(0)
    x = point(50)
    lines, noise = opened(lambda x: wave(x) + 1e-6 * generator.standard_normal(), x)
    for seed in range(10):
        found = directional_derivative(lines, noise, signs(50, seed))
        assert abs(found.value - wave_slope(x) @ signs(50, seed)) <= found.bound
        assert found.bound >= 1e-6


# --- the cost -----------------------------------------------------------------------------------


def test_a_test_at_a_known_step_takes_four_passes_and_two_more_to_be_sure():
    x = point(100)
    lines, noise = opened(wave, x)
    pilot = directional_derivative(lines, noise, signs(100, 0))
    direction = Direction(lines, noise, wave_slope(x), np.arange(100), signs(100, 1))
    before = lines.forward_passes
    slope = direction.at(pilot.exponent, pilot.truncation)
    assert lines.forward_passes == before + 4
    sure = direction.refined(slope)
    assert lines.forward_passes == before + 6
    assert abs(slope.value) <= slope.bound
    assert abs(sure.value) <= sure.bound


def test_a_step_is_checked_with_eight_passes_that_are_asked_for_at_once(monkeypatch):
    lines, noise = opened(wave, point(100))
    pilot = directional_derivative(lines, noise, signs(100, 0))
    direction = Direction(lines, noise, wave_slope(point(100)), np.arange(100), signs(100, 1))
    asked, along = [], lines.rises_along
    monkeypatch.setattr(lines, "rises_along", lambda v, t, g: asked.append(t) or along(v, t, g))
    slope = direction.checked(pilot.exponent)
    assert [len(t) for t in asked] == [8]
    assert slope.exponent == pilot.exponent
    assert abs(slope.value) <= slope.bound


def test_a_pilot_takes_about_twenty_passes():
    for n in (10, 1000):
        lines, noise = opened(wave, point(n))
        before = lines.forward_passes
        directional_derivative(lines, noise, signs(n, 0))
        assert lines.forward_passes - before <= 30


def test_a_step_too_large_for_a_direction_is_halved_until_its_truncation_drowns():
    x = point(10)
    lines, noise = opened(wave, x)
    direction = Direction(lines, noise, wave_slope(x), np.arange(10), signs(10, 0))
    coarse = direction.at(-3, 0.0)
    assert not abs(coarse.value) <= coarse.bound
    sure = direction.refined(coarse)
    assert sure.exponent < -3
    assert abs(sure.value) <= sure.bound


def test_the_rest_of_a_direction_is_the_whole_less_a_part():
    x = point(40)
    lines, noise = opened(wave, x)
    g, v = wave_slope(x) + 1e-2, signs(40, 0)
    parts = np.arange(10), np.arange(10, 40), np.arange(40)
    left, right, whole = (Direction(lines, noise, g, part, v[part]).at(-7, 1e-9) for part in parts)
    rest = whole.less(left)
    assert abs(rest.value - right.value) <= rest.bound
    assert rest.bound >= left.bound


# --- kinks --------------------------------------------------------------------------------------


def test_a_kink_along_a_direction_is_told_from_a_bend():
    x = point(20)
    x[3] = 0.0
    lines, noise = opened(lambda x: float(np.abs(x).sum()), x)
    assert directional_derivative(lines, noise, signs(20, 0)).kink
    away = signs(20, 0)
    away[3] = 0
    assert not directional_derivative(lines, noise, away).kink


def test_what_is_not_finite_is_not_bounded():
    lines, noise = opened(lambda x: float(np.sum(x)) if np.all(x == 1) else np.nan, np.ones(4))
    found = directional_derivative(lines, noise, signs(4, 0))
    assert not np.isfinite(found.bound)


# --- what signs can miss ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "e", [(5.0, -5.0), (5.0, 5.0, 5.0), (5.0, 1.0, -2.0, 0.5), (2.1, -2.1, 2.1, 2.1, 0.3, -0.1)]
)
def test_an_error_above_2_tau_is_missed_by_at_most_half_of_the_signs(e):
    tau = 1.0
    missed = [abs(np.dot(v, e)) <= 2 * tau for v in product((-1, 1), repeat=len(e))]
    assert np.mean(missed) <= 1 / 2


def test_an_error_that_is_alone_is_missed_by_no_signs_and_one_that_cancels_by_half():
    assert not any(abs(np.dot(v, (0, 2.1))) <= 2 for v in product((-1, 1), repeat=2))
    assert np.mean([abs(np.dot(v, (9, -9))) <= 2 for v in product((-1, 1), repeat=2)]) == 1 / 2


@pytest.mark.parametrize("theta", [0.0, 0.3, 0.7])
@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_many_small_errors_are_seen_as_often_as_paley_and_zygmund_say(theta, n):
    for seed in range(5):
        e = Stream(seed, "e").normal(n)
        sums = np.array(list(product((-1, 1), repeat=n))) @ e
        seen = np.mean(np.abs(sums) > theta * np.linalg.norm(e))
        assert seen >= (1 - theta**2) ** 2 / 3


def test_the_norm_seen_solves_its_equation():
    for k, miss in ((20, 0.01), (50, 1e-4), (12, 0.05)):
        theta = 2 * 0.5 / norm_seen(0.5, k, miss)
        assert (1 - (1 - theta**2) ** 2 / 3) ** k == pytest.approx(miss)
    assert norm_seen(0.5, 3, 0.01) == np.inf
    assert norm_seen(0.5, 0, 0.01) == np.inf
