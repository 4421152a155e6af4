"""The noise table finds planted noise, and the estimate covers the rounding of real networks."""

from functools import cache

import numpy as np
import pytest

from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import (
    STANDARD_DEVIATIONS,
    UNDERESTIMATE,
    estimate_noise,
    given_noise,
    line_noise,
    noise_beside_one,
    table_noise,
)
from gradcheck.problems.case import sample_cases
from gradcheck.splitmix64 import Stream
from reference_models import sigmoid_network

T = np.arange(7.0) - 3


def stream(seed=0):
    return Stream(seed, "test")


def generator(seed=0):
    return np.random.default_rng(seed)


# --- the difference table --------------------------------------------------------------------


@pytest.mark.parametrize("sigma", [1e-300, 1e-16, 1.0, 1e9])
@pytest.mark.parametrize("smooth", [lambda t: 0 * t, lambda t: t, lambda t: t**3])
def test_planted_gaussian_noise_is_found_within_a_factor_4(sigma, smooth):
    """In at least 90 of 100 tables; never more than 4 times too much where it settles."""
    estimates, settled = [], []
    for seed in range(100):
        samples = sigma * (30 * smooth(T) + generator(seed).standard_normal(7))
        estimate, state = table_noise(samples)
        settled += [estimate] * (state == "settled")
        estimates.append(estimate / sigma)
    assert len(settled) >= 80
    assert max(settled) <= 4 * sigma
    assert np.mean((np.array(estimates) > 1 / 4) & (np.array(estimates) < 4)) >= 0.9


def test_the_table_scales_with_its_samples():
    samples = generator(1).standard_normal(7)
    estimate, _ = table_noise(samples)
    for factor in (2.0**-900, 2.0**-40, 2.0**900):
        assert table_noise(samples * factor)[0] == pytest.approx(
            estimate * factor, rel=1e-12, abs=0
        )


def test_a_constant_has_no_noise():
    assert table_noise(np.full(7, 2.5)) == (0.0, "constant")
    assert table_noise(np.array([1.0, 1, 1, 1, 2, 2, 2])) == (0.0, "constant")


def test_a_polynomial_has_none_that_its_last_differences_show():
    assert table_noise(3 * T) == (0.0, "varies")
    assert table_noise(T**3) == (0.0, "varies")


def test_what_varies_wildly_counts_as_noise_in_full():
    estimate, _ = table_noise(np.array([0.0, 1, 5, -30, 100, -400, 1000]))
    assert estimate > 100


# --- the estimate ----------------------------------------------------------------------------


def noisy(sigma, seed=3):
    random = generator(seed)
    return lambda x: float(np.sum(np.sin(x)) + sigma * random.standard_normal())


@pytest.mark.parametrize("sigma", [1e-10, 1e-6, 1e-2])
def test_the_noise_of_a_function_is_bounded_but_not_by_much(sigma):
    for seed in range(20):
        noise = estimate_noise(Lines(noisy(sigma, seed), np.linspace(0.1, 1.0, 5)), stream(seed))
        assert sigma < noise.bound < 10 * STANDARD_DEVIATIONS * UNDERESTIMATE * sigma
        assert noise.level < noise.bound


def test_the_estimate_never_falls_below_the_rounding_of_f():
    u = 2.0**-53
    noise = estimate_noise(Lines(lambda _: 2.5, np.ones(3)), stream())
    assert noise.level == UNDERESTIMATE * (2.5 * u + np.finfo(float).tiny)
    assert estimate_noise(Lines(lambda _: 0.0, np.ones(3)), stream()).bound > 0


def test_single_precision_inside_is_seen():
    def f(x):
        return float(np.sum(np.sin(x.astype(np.float32)) + np.float32(1)))

    x = np.linspace(0.1, 1.0, 20)
    double = estimate_noise(Lines(lambda x: np.sum(np.sin(x) + 1), x), stream())
    assert double.bound < 1e-12
    assert estimate_noise(Lines(f, x), stream()).bound > 1e-7


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rounding_that_only_odd_bits_bring_about_is_seen(dtype):
    """sum(x) of numbers with trailing zeros is exact; of the numbers around them it is not."""
    x = np.array([200, 29, 25, 61], dtype=dtype)
    noise = estimate_noise(Lines(lambda x: np.exp(-np.sum(x, dtype=dtype)), x), stream())
    f = np.exp(-315.0) if dtype is np.float64 else np.exp(np.float32(-315))
    assert noise.bound >= 315 * np.finfo(dtype).eps / 2 * f


def test_arrays_of_different_scales_are_each_moved_by_their_own_ulps():
    def f(p):
        return np.sin(1e12 * p["small"][0]) + np.sin(1e-12 * p["large"][0])

    x = {"small": np.array([1e-12]), "large": np.array([1e12])}
    assert estimate_noise(Lines(f, x), stream()).bound < 1e-13


def test_passes_are_counted():
    calls = []
    lines = Lines(lambda x: calls.append(1) or float(np.sum(np.sin(x))), np.ones(4))
    noise = estimate_noise(lines, stream())
    assert noise.forward_passes == len(calls) - 1 == lines.forward_passes - 1


def test_the_point_is_put_back():
    x = np.array([-0.0, 1.5, 1e-300])
    lines = Lines(lambda x: np.sum(np.cos(x)), x)
    estimate_noise(lines, stream())
    assert lines.changed_leaf() is None


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_function_that_is_not_finite_nearby_keeps_the_floor(value):
    lines = Lines(lambda x: 1.0 if x[0] == 1 else value, np.ones(1))
    assert 0 < estimate_noise(lines, stream()).bound < 1e-13


def test_a_table_never_moves_x_far():
    seen = []

    def f(x):
        seen.append(float(x[0]))
        return 1.0

    for dtype in (np.float32, np.float64):
        estimate_noise(Lines(f, np.ones(1, dtype)), stream())
    assert 1 - 2.0**-5 < min(seen) < 1 < max(seen) < 1 + 2.0**-5


def test_rounding_of_terms_that_cancel_at_x_alone_is_seen():
    """(a - y)^2 with a = y is 0 and exact at x, and of relative noise u a / |a - y| elsewhere."""

    def f(x):
        return np.sum((1 / (1 + np.exp(-x)) - y) ** 2)

    x = np.array([0.4, -1.3, 2.2])
    y = 1 / (1 + np.exp(-x))
    noise = estimate_noise(Lines(f, x), stream())
    assert noise.unit_roundoff > 100 * 2.0**-53
    for seed in range(20):
        moved = x * (1 + 1e-3 * generator(seed).standard_normal(3))
        error = abs(float(f(moved) - f(np.longdouble(moved))))
        assert error <= noise.bound_at(f(moved)) < 1e-8 * f(moved)


def test_noise_grows_with_f():
    noise = estimate_noise(Lines(lambda x: x[0] ** 2, np.array([1.0])), stream())
    assert noise.bound_at(np.array([0.0])) == noise.bound
    assert noise.bound_at(np.array([1e6])) >= 1e6 * 2.0**-53
    assert noise.level_at(np.array([1e6])) >= 1e6 * 2.0**-53


def test_noise_given_by_the_caller_is_level_and_bound_and_costs_no_pass():
    lines = Lines(noisy(1e-6), np.ones(3))
    noise = given_noise(1e-3, lines)
    assert noise.level == noise.bound == 1e-3
    assert (noise.forward_passes, lines.forward_passes) == (0, 1)


def test_the_noise_of_any_function_along_a_line():
    lines = Lines(lambda _: 0.0, np.ones(3))
    random = generator(5)

    def sample(origin, direction, steps):
        return np.array([origin @ origin + 1e-3 * random.standard_normal() for _ in steps])

    assert 1e-4 < line_noise(lines, stream(), sample) < 1e-2


def test_a_constant_table_is_widened_and_an_exactly_linear_one_is_not():
    """Wider tables would take a kink farther away for noise."""
    lines = Lines(lambda _: 0.0, np.ones(1))
    spacings = []

    def steps_of(size):
        def sample(origin, direction, steps):
            spacings.append(abs(direction[0]))
            points = origin[0] + steps * direction[0]
            return size * np.round(points / size) if size else points

        return sample

    assert line_noise(lines, stream(), steps_of(0.0)) == 0
    assert len(spacings) == 1
    spacings.clear()
    assert line_noise(lines, stream(), steps_of(2.0**-40)) > 0
    assert len(spacings) > 1
    assert spacings[1] > 2**6 * spacings[0]


def test_once_a_line_has_shown_its_noise_the_others_take_one_table_each():
    lines = Lines(noisy(1e-6), np.ones(3))
    assert estimate_noise(lines, stream()).forward_passes == 3 * 7 + 1


# --- coverage --------------------------------------------------------------------------------


@cache
def errors_over_bounds(count, seed):
    """|f - f in longdouble| over the bound, as far around x as stencils go, for random networks."""
    ratios = []
    for case in sample_cases(
        count, seed, dtypes=("float32", "float64"), max_parameters=60, max_batch=8
    ):
        problem = case.problem()
        network, exact = problem.architecture, problem.astype(np.longdouble)
        options = {"cost": network.loss, "reduction": network.reduction}

        def loss(p, at, network=network, options=options):
            pairs = [(p[W].astype(at.dtype), p[b].astype(at.dtype)) for W, b in names(network)]
            return sigmoid_network.loss(pairs, at.inputs, at.targets, **options)

        lines = Lines(lambda p, at=problem, loss=loss: loss(p, at), problem.parameters)
        noise = estimate_noise(lines, stream())
        random = generator(case.seed)
        for size in (1e-4, 1e-3, 1e-2):
            p = {
                name: (v * (1 + size * random.standard_normal(v.shape))).astype(v.dtype)
                for name, v in problem.parameters.items()
            }
            computed, true = loss(p, problem), loss(p, exact)
            growth = max(0.0, abs(float(computed)) - abs(lines.value))
            error = float(abs(np.longdouble(computed) - true))
            ratios.append(error / float(noise.bound_at(np.array(growth))))
    return np.array(ratios)


def names(network):
    return zip(network.weight_names, network.bias_names, strict=True)


def check_coverage(ratios):
    assert np.mean(ratios <= 1) >= 0.999, f"worst error over bound {ratios.max():.3g}"


def test_the_bound_covers_the_rounding_of_random_networks():
    check_coverage(errors_over_bounds(200, seed=20))


def test_an_estimate_1000_times_too_small_is_noticed():
    with pytest.raises(AssertionError, match="worst error over bound"):
        check_coverage(1e3 * errors_over_bounds(200, seed=20))


@pytest.mark.nightly
def test_the_bound_covers_the_rounding_of_many_random_networks():
    check_coverage(errors_over_bounds(5000, seed=12))


@pytest.mark.parametrize("x", [0.0, 1e-9, -3e-12])
@pytest.mark.parametrize("f", [lambda x: np.log(1 + x**2), np.cos, lambda x: 1e-3 * x + (1 + x**3)])
def test_the_rounding_of_1_and_a_power_of_x_shows_beside_1(f, x):
    lines = Lines(lambda v: float(f(v[0]) - f(0.0)), np.array([x]))
    assert 2e-17 <= noise_beside_one(lines, 0, 0.0) <= 2.3e-16


def test_noise_beside_1_that_would_be_too_little_to_matter_is_not_sought():
    lines = Lines(lambda v: float(np.log(1 + v[0] ** 2) + v[0]), np.array([1e-9]))
    for narrow, least in ((0.0, 1e-5), (1e-5, 0.0)):
        before = lines.forward_passes
        assert noise_beside_one(lines, 0, narrow, least) == 0
        assert lines.forward_passes == before + 2
    assert 2e-17 <= noise_beside_one(lines, 0, 0.0, 1e-18) <= 2.3e-16
    far = Lines(lambda v: float(np.log(1 + v[0] ** 2)), np.array([0.5]))
    assert noise_beside_one(far, 0, 0.0) == 0
    assert far.forward_passes == 1  # no table is wider than x


@pytest.mark.parametrize(
    "f",
    [
        np.sin,
        lambda x: np.sin(2.0**30 * x) / 2.0**40,
        lambda x: abs(x - 1.1e-8) + x,
        lambda x: np.expm1(1e4 * x),
        lambda x: 0.0,
    ],
    ids=["sin", "wave", "kink", "steep", "constant"],
)
def test_functions_without_jumps_have_no_noise_beside_1(f):
    lines = Lines(lambda v: float(f(v[0])), np.array([1e-9]))
    assert noise_beside_one(lines, 0, 1e-20) <= 1e-19
