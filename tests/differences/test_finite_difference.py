"""Derivatives lie within their bounds, the bounds are not silly, and every pass is counted."""

import numpy as np
import pytest
from networks import complex_derivatives, loss

from gradcheck.differences.finite_difference import (
    difference_quotients,
    finite_difference,
    second_opinions,
)
from gradcheck.differences.lines import InputChangedError, Lines
from gradcheck.differences.noise import Noise, estimate_noise, given_noise
from gradcheck.differences.stencils import CENTRAL_2, CENTRAL_4, CENTRAL_8, FORWARD, STENCILS
from gradcheck.outcomes.estimate import Status
from gradcheck.problems.case import sample_cases
from gradcheck.splitmix64 import Stream

every_stencil = pytest.mark.parametrize("stencil", STENCILS, ids=lambda s: s.name)


def noise_of(lines, seed=0):
    return estimate_noise(lines, Stream(seed, "test"))


def differentiate(f, x, **options):
    """Estimate the gradient of a sum over coordinates."""
    lines = Lines(lambda v: np.sum(f(v)), x)
    noise = noise_of(lines)
    return finite_difference(lines, noise, **options), noise


def softplus(z):
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


# --- known derivatives ---------------------------------------------------------------------------

# f, f', x, and the most that bound / |f'| (the bound where f' = 0) may be in float64, float32
KNOWN = [
    (np.sin, np.cos, 1.0, 1e-9, 1e-3),
    (np.sin, np.cos, 0.0, 1e-9, 1e-3),
    (np.exp, np.exp, 1.0, 1e-9, 1e-3),
    (np.exp, np.exp, -20.0, 1e-9, 1e-3),
    (np.log, lambda x: 1 / x, 2.0**-10, 1e-9, 1e-3),
    (np.tanh, lambda x: 1 - np.tanh(x) ** 2, 0.5, 1e-9, 1e-3),
    (lambda x: 1 / x, lambda x: -1 / x**2, 2.0**-10, 1e-9, 1e-3),
    (lambda x: softplus(1000 * x), lambda x: 1000 * sigmoid(1000 * x), 2.0**-7, 1e-9, 1e-3),
    (lambda x: softplus(1000 * x), lambda x: 1000 * sigmoid(1000 * x), -(2.0**-9), 1e-9, 1e-2),
    (lambda x: x**2, lambda x: 2 * x, 1.5, 1e-12, 1e-3),
    (lambda x: x**4, lambda x: 4 * x**3, 1.25, 1e-11, 1e-3),
    (lambda x: x**9, lambda x: 9 * x**8, 1.25, 1e-10, 1e-3),
    (lambda x: x**9, lambda x: 9 * x**8, 0.0, 1e-100, 1e-20),
    (lambda x: x**2, lambda x: 2 * x, 0.0, 1e-14, 1e-5),
    (lambda x: np.sin(1e12 * x), lambda x: 1e12 * np.cos(1e12 * x), 2.0**-40, 1e-9, 1e-3),
    (lambda x: np.sin(1e-12 * x), lambda x: 1e-12 * np.cos(1e-12 * x), 2.0**40, 1e-9, 1e-3),
    (lambda x: 1e-9 * np.sin(x), lambda x: 1e-9 * np.cos(x), 1.0, 1e-9, 1e-3),
    (lambda x: 1e9 * np.sin(x), lambda x: 1e9 * np.cos(x), 1.0, 1e-9, 1e-3),
    (lambda x: 1e-300 * np.sin(x), lambda x: 1e-300 * np.cos(x), 1.0, 1e-4, np.inf),
    (lambda x: 1 + 1e-9 * np.sin(x), lambda x: 1e-9 * np.cos(x), 1.0, 1e-2, np.inf),
    (lambda x: 3 * x, lambda x: 3 + 0 * x, 1.7, 1e-12, 1e-3),
    (lambda x: 3 * x - 1, lambda x: 3 + 0 * x, 0.0, 1e-12, 1e-3),
    (lambda x: 3 * x, lambda x: 3 + 0 * x, 0.0, 1e-12, 1e-3),
    (lambda x: 2.5 + 0 * x, lambda x: 0 * x, 1.7, 1e-13, 1e-4),
    (lambda x: 0 * x, lambda x: 0 * x, 1.7, 1e-300, 1e-30),
    (lambda x: 0 * x, lambda x: 0 * x, 0.0, 1e-300, 1e-30),
]


@pytest.mark.parametrize("case", range(len(KNOWN)))
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_a_known_derivative_lies_within_a_bound_that_is_not_silly(case, dtype):
    f, derivative, at, *largest = KNOWN[case]
    x = np.array([at], dtype=dtype)
    exact = float(derivative(np.longdouble(x[0])))
    estimate, noise = differentiate(f, x)
    bound = estimate.bound[0]
    assert Status(estimate.status[0]) == Status.RESOLVED
    assert abs(estimate.value[0] - exact) <= bound
    assert bound >= 1.5 * noise.bound / estimate.step[0]
    assert bound <= largest[dtype is np.float32] * (abs(exact) or 1)


@every_stencil
def test_each_stencil_keeps_within_its_bound(stencil):
    x = np.linspace(-2, 2, 9)
    estimate, _ = differentiate(lambda v: np.exp(np.sin(v)), x, stencil=stencil)
    error = np.abs(estimate.value - np.exp(np.sin(x)) * np.cos(x))
    assert np.all(error <= estimate.bound)
    assert np.all(estimate.bound <= {1: 1e-5, 2: 1e-7}.get(stencil.accuracy, 1e-8))


def test_bounds_fall_with_the_order_of_the_stencil():
    x = np.linspace(0.5, 1, 20)
    bounds = [np.median(differentiate(np.exp, x, stencil=s)[0].bound) for s in STENCILS[:4]]
    assert bounds == sorted(bounds, reverse=True)


def test_a_bound_never_falls_below_its_noise_term():
    """Planted noise of 1e-3 on functions whose stencils all agree."""
    for f in (lambda v: 2.5 + 0 * v, lambda v: 0 * v, lambda v: v, lambda v: v**2):
        lines = Lines(lambda v, f=f: np.sum(f(v)), np.array([0.5, -1.0]))
        for stencil in STENCILS:
            estimate = finite_difference(lines, Noise(1e-4, 1e-3, 2.0**-53, 0), stencil=stencil)
            assert np.all(estimate.bound >= float(stencil.noise_constant) * 1e-3 / estimate.step)


def test_noise_is_covered_when_it_is_large():
    random = np.random.default_rng(1)
    x = np.linspace(0.1, 2, 40)
    lines = Lines(lambda v: np.sum(np.sin(v)) + 1e-6 * random.standard_normal(), x)
    estimate = finite_difference(lines, given_noise(8e-6, lines))
    error = np.abs(estimate.value - np.cos(x))
    assert np.all(error <= estimate.bound)
    assert np.all(estimate.bound < 1e-2)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_an_array_may_hold_numbers_of_all_scales(dtype):
    x = np.array([1e-12, 1e12, 1.0, 0.0, -3e-5], dtype=dtype)
    w = np.array([1e12, 1e-12, 1.0, 1.0, 1e5], dtype=dtype)
    estimate, _ = differentiate(lambda v: np.sin(w * v), x)
    exact = w * np.cos(w.astype(float) * x)
    assert np.all(estimate.status == Status.RESOLVED)
    assert np.all(np.abs(estimate.value - exact) <= estimate.bound)
    assert np.all(estimate.bound <= (1e-8 if dtype is np.float64 else 1e-2) * np.abs(exact))


def test_waves_that_the_first_steps_jump_over_are_not_taken_for_agreement():
    """sin(a x + p) for a up to 1e5: no false agreement among hundreds of aliased stencils."""
    random, resolved = np.random.default_rng(7), 0
    for _ in range(150):
        a, p = 10 ** random.uniform(2, 5), random.uniform(0, 6)
        x = np.array([random.uniform(0.5, 2)])
        estimate, _ = differentiate(lambda v, a=a, p=p: np.sin(a * v + p), x)
        error = abs(estimate.value[0] - a * np.cos(a * x[0] + p))
        if estimate.status[0] == Status.RESOLVED:
            assert error <= estimate.bound[0] <= 1e-3 * a
            resolved += 1
    assert resolved >= 140


def test_a_function_without_values_nearby_is_undefined_there():
    estimate, _ = differentiate(lambda v: np.where(v == 1, 1.0, np.nan), np.array([1.0]))
    assert Status(estimate.status[0]) == Status.UNDEFINED
    assert estimate.bound[0] == np.inf


def test_a_function_that_ends_nearby_is_differentiated_within():
    with np.errstate(invalid="ignore"):
        estimate, _ = differentiate(np.sqrt, np.array([1e-6, 1.0]))
    assert np.all(np.abs(estimate.value - [500, 0.5]) <= estimate.bound)
    assert np.all(estimate.bound <= [1e-3, 1e-6])


# --- steps ---------------------------------------------------------------------------------------


def test_realised_steps_are_used():
    """x = 0.1 in float32 is moved by what it really moves: else f' of a linear f were 1e-3 off."""
    x = np.array([0.1], dtype=np.float32)
    lines = Lines(lambda v: 7 * float(v[0]), x)
    D = difference_quotients(lines, 1e-6, stencil=CENTRAL_2)
    assert D[0] == pytest.approx(7, rel=1e-9)
    planted = (7 * float(x[0] + np.float32(1e-6)) - 7 * float(x[0] - np.float32(1e-6))) / 2e-6
    assert abs(planted - 7) > 1e-2


def test_steps_have_irregular_mantissas_and_stay_within_the_scale_of_x():
    x = np.array([1e-3, 2.0, -0.5])
    lines = Lines(lambda v: np.sum(np.sin(3 * v)), x)
    estimate = finite_difference(lines, noise_of(lines))
    np.testing.assert_array_equal(2 * np.frexp(estimate.step)[0], lines.mantissas("steps", 3))
    assert np.all(estimate.step <= 2.0)


@pytest.mark.parametrize(("stencil", "order"), [(FORWARD, 1), (CENTRAL_2, 2), (CENTRAL_4, 4)])
def test_difference_quotients_converge_with_their_order(stencil, order):
    x = np.array([0.7, -1.1])
    lines = Lines(lambda v: np.sum(np.exp(v)), x)
    h = 2.0 ** -np.arange(3.0, 7.0)
    errors = [np.abs(difference_quotients(lines, t, stencil=stencil) - np.exp(x)) for t in h]
    slopes = np.polyfit(np.log(h), np.log(errors), 1)[0]
    np.testing.assert_allclose(slopes, order, atol=0.1)


# --- counting ------------------------------------------------------------------------------------


class Counted:
    def __init__(self, f):
        self.f = f
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return self.f(x)


def smooth(v):
    return float(np.sum(np.sin(3 * v)) + v[0] * v[-1])


@pytest.mark.parametrize("n", [1, 2, 7, 50])
def test_forward_differences_take_one_pass_a_coordinate_and_one_more_central_ones_two(n):
    f = Counted(smooth)
    lines = Lines(f, np.linspace(0.1, 1, n))
    difference_quotients(lines, 2.0**-20, stencil=FORWARD)
    assert f.calls == lines.forward_passes == n + 1
    difference_quotients(lines, 2.0**-20, stencil=CENTRAL_2)
    assert f.calls == lines.forward_passes == (n + 1) + 2 * n


@every_stencil
def test_evaluations_are_those_that_took_place(stencil):
    f = Counted(smooth)
    lines = Lines(f, np.linspace(0.1, 1, 12))
    noise = noise_of(lines)
    before = f.calls
    estimate = finite_difference(lines, noise, stencil=stencil)
    assert estimate.evaluations.sum() == f.calls - before
    assert before == 1 + noise.forward_passes
    assert f.calls == lines.forward_passes


def test_kinks_and_missing_steps_count_too():
    def g(v):
        return float(np.abs(v[0]) + (v[1] >= 0.5) + np.sqrt(v[2] ** 2 + 1e-6))

    f = Counted(g)
    lines = Lines(f, np.array([0.0, 0.5, 0.0]))
    noise = noise_of(lines)
    estimate = finite_difference(lines, noise)
    assert estimate.evaluations.sum() == f.calls - 1 - noise.forward_passes


def test_later_coordinates_start_where_the_pilots_ended():
    estimate, _ = differentiate(lambda v: np.sin(1e3 * v), np.linspace(0.5, 0.6, 60))
    assert np.median(estimate.evaluations) < estimate.evaluations[0]
    assert np.mean(estimate.evaluations[3:]) <= 20


def test_progress_tells_of_every_coordinate():
    told = []
    differentiate(np.sin, np.ones(30), progress=told.append)
    assert sum(told) == 30


def test_x_is_left_as_it_was():
    x = np.array([-0.0, 0.0, 1.5, 1e-300])
    before = x.tobytes()
    lines = Lines(smooth, x)
    finite_difference(lines, noise_of(lines))
    assert x.tobytes() == before == lines.point.tobytes()


def test_a_function_that_writes_to_its_argument_is_noticed():
    def f(v):
        value = smooth(v)
        v[1] = 0.25
        return value

    lines = Lines(smooth, np.array([0.3, 0.4]))
    noise = noise_of(lines)
    lines = Lines(f, np.array([0.3, 0.4]))
    with pytest.raises(InputChangedError, match=r"x\[1\]"):
        finite_difference(lines, noise)


@pytest.mark.parametrize("budget", [60, 200, 500])
def test_what_the_budget_leaves_is_not_evaluated(budget):
    f = Counted(smooth)
    lines = Lines(f, np.linspace(0.1, 1, 100), budget=budget)
    order = np.random.default_rng(0).permutation(100)
    estimate = finite_difference(lines, noise_of(lines), coordinates=order)
    assert f.calls == lines.forward_passes == budget
    left = estimate.status == Status.NOT_EVALUATED
    assert left.sum() > 0
    assert np.all(estimate.bound[left] == np.inf)
    assert np.all(np.isnan(estimate.value[left]))
    done = ~left
    exact = 3 * np.cos(3 * lines.origin)
    exact[[0, -1]] += lines.origin[[-1, 0]]
    assert np.all(np.abs(estimate.value - exact)[done] <= estimate.bound[done])
    assert budget < 200 or done.sum() > 0


def test_only_the_coordinates_asked_for_are_evaluated():
    wanted = np.array([7, 2, 5])
    estimate, _ = differentiate(np.sin, np.linspace(0.1, 1, 10), coordinates=wanted)
    np.testing.assert_array_equal(np.flatnonzero(estimate.evaluations), [2, 5, 7])
    assert np.all(estimate.status[wanted] == Status.RESOLVED)


def test_second_opinions_are_given_at_smaller_steps_of_their_own_with_wider_bounds():
    x = np.linspace(0.1, 1, 5)
    lines = Lines(lambda v: np.sum(np.sin(v)), x)
    noise = noise_of(lines)
    first = finite_difference(lines, noise)
    wanted = np.array([1, 4])
    for opinion, factor in zip(
        second_opinions(lines, noise, wanted, first.step[wanted]), (8, 64), strict=True
    ):
        ratio = first.step[wanted] / opinion.step
        assert np.all((ratio >= factor) & (ratio < 2 * factor))
        assert np.all(np.log2(ratio) % 1 != 0)
        assert np.all(opinion.bound > first.bound[wanted])
        assert np.all(np.abs(opinion.value - np.cos(x[wanted])) <= opinion.bound)


def test_named_structures_are_differentiated_in_order():
    x = {"W": np.array([[0.5, 1.0]]), "b": [np.array(0.25), np.array([2.0], np.float32)]}
    lines = Lines(lambda p: np.sum(p["W"] ** 3) + np.exp(p["b"][0]) * float(p["b"][1][0]) ** 2, x)
    estimate = finite_difference(lines, noise_of(lines), stencil=CENTRAL_8)
    exact = [0.75, 3.0, 4 * np.exp(0.25), 4 * np.exp(0.25)]
    assert np.all(np.abs(estimate.value - exact) <= estimate.bound)


# --- coverage over random networks ---------------------------------------------------------------


def errors_over_bounds(count, seed):
    """|D - f'| over the bound in every coordinate, f' by the complex step of the same bits."""
    ratios = []
    for case in sample_cases(
        count,
        seed,
        dtypes=("float32", "float64"),
        max_parameters=40,
        max_width=10,
        max_batch=6,
    ):
        problem = case.problem()
        lines = Lines(lambda p, problem=problem: loss(p, problem), problem.parameters)
        estimate = finite_difference(lines, noise_of(lines, case.seed))
        assert np.all(estimate.status == Status.RESOLVED), case.token
        error = np.abs(estimate.value - complex_derivatives(problem))
        ratios.append(error / estimate.bound)
    return np.concatenate(ratios)


def check_coverage(ratios):
    assert np.mean(ratios <= 1) >= 0.999, f"worst error over bound {ratios.max():.3g}"


@pytest.fixture(scope="module")
def ratios():
    return errors_over_bounds(30, seed=1)


def test_bounds_cover_the_error_on_random_networks(ratios):
    check_coverage(ratios)


def test_bounds_1000_times_too_small_are_noticed(ratios):
    with pytest.raises(AssertionError, match="worst error over bound"):
        check_coverage(1000 * ratios)


def test_bounds_are_not_silly_on_random_networks(ratios):
    """An error is not below 1e-4 of its bound all the time: the median is."""
    assert np.median(ratios[ratios > 0]) > 1e-4


@pytest.mark.nightly
def test_bounds_cover_the_error_on_many_random_networks():
    check_coverage(errors_over_bounds(5000, seed=3))


@pytest.mark.parametrize(("stencil", "p"), [(FORWARD, 1), (CENTRAL_2, 2), (CENTRAL_4, 4)])
def test_differences_of_a_network_are_the_plain_formula(stencil, p):
    """Their errors are about h^p, in units of the range of derivatives: orders are 2^10 apart."""
    problem = next(iter(sample_cases(1, 5, dtypes=("float64",), max_parameters=20))).problem()
    lines = Lines(lambda p: loss(p, problem), problem.parameters)
    D = difference_quotients(lines, 2.0**-10, stencil=stencil)
    exact = complex_derivatives(problem)
    assert 2.0 ** (-10 * p - 2) < np.abs(D - exact).max() / np.ptp(exact) < 2.0 ** (-10 * p + 2)
