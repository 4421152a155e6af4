"""What fixed steps decide is right and within its bound; whatever hides something stays open."""

from fractions import Fraction

import numpy as np
import pytest
from networks import complex_derivatives, loss

import gradcheck
from gradcheck.differences import fixed_steps
from gradcheck.differences.bounds import read_bounds
from gradcheck.differences.fixed_steps import C1, RHO, THREE, TWO, fixed_step_differences
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise, estimate_noise
from gradcheck.differences.stencils import Stencil
from gradcheck.outcomes.estimate import Status
from gradcheck.problems.case import sample_cases
from gradcheck.pytree import structure_of
from gradcheck.splitmix64 import Stream

X = np.array([0.5, -1.25, 2.0, 0.75, -0.3])


def look(f, g, x=X, *, resolution=1e-6, seed=0, noise=None, coordinates=None, budget=None):
    """Look at f with the numbers g(x) under test; return the estimate and which are decided."""
    lines = Lines(f, x, seed=seed, budget=budget)
    eps = noise or estimate_noise(lines, Stream(seed, "test"))
    wanted = np.arange(lines.size) if coordinates is None else np.array(coordinates)
    g = np.asarray(g(x), dtype=float)
    estimate = fixed_step_differences(lines, eps, g, wanted, resolution=resolution)
    return estimate, estimate.status == Status.RESOLVED


def total(f):
    return lambda x: float(np.sum(f(x)))


# --- the formulas -------------------------------------------------------------------------------


def test_the_value_is_a_stencil_of_order_4_whose_noise_constant_is_c1():
    near, far = Fraction(16, 15), Fraction(-1, 15)
    weights = (-far / 8, -near / 2, near / 2, far / 8)
    stencil = Stencil("two steps", 4, (-RHO, -1, 1, RHO), weights)
    assert pytest.approx(float(stencil.noise_constant), rel=1e-15) == C1


@pytest.mark.parametrize(("rule", "order"), [(TWO, 3), (THREE, 5)])
def test_the_jump_vanishes_on_polynomials_and_its_noise_is_that_of_its_weights(rule, order):
    """J = sum_t a_t f(x + t): 0 for 1, t, ..., t^order; 1 for max(t, 0); sum |a_t| its noise."""
    a = {s * RHO**k: w / RHO**k for k, w in enumerate(rule.jump) for s in (1, -1)}
    a[0] = -sum(a.values())
    for q in range(order + 1):
        assert abs(sum(a[t] * t**q for t in a)) <= 1e-13 * RHO ** (q * (rule.steps - 1))
    assert sum(a[t] * max(t, 0) for t in a) == pytest.approx(1, rel=1e-13)
    assert sum(abs(w) for w in a.values()) <= rule.jump_noise * (1 + 1e-13)


@pytest.mark.parametrize("rule", [TWO, THREE])
def test_the_step_makes_the_bound_smallest_and_q_is_the_power_of_h_that_it_says(rule):
    """At L = 1, g = 1: N / h + 2 T h^p; f = t + t^(p + 1) has q = T h^p and L = 1."""
    N = C1 * 1e-15
    h = (N / (2 * rule.p * rule.T)) ** (1 / (rule.p + 1))
    bound = N / h + 2 * rule.T * h**rule.p
    assert bound == pytest.approx((rule.p + 1) / rule.p * N / h, rel=1e-12)
    for other in (0.9 * h, 1.1 * h):
        assert bound < N / other + 2 * rule.T * other**rule.p
    lines = Lines(lambda x: float(x[0] + x[0] ** (rule.p + 1)), np.zeros(1))
    screen = fixed_steps._Screen(lines, Noise(0.0, 0.0, 0.0, 0), np.ones(1), 1.0)
    seen = screen._differences(rule, np.zeros(1, dtype=int), np.full(1, 2.0**-6))
    assert seen.q[0] == pytest.approx(rule.T * 2.0 ** (-6 * rule.p), rel=1e-9)


# --- right gradients ----------------------------------------------------------------------------

RIGHT = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "cubic": (lambda x: x**3 - x, lambda x: 3 * x**2 - 1),
    "linear": (lambda x: 3 * x, lambda x: 3 + 0 * x),
    "waves shorter than x": (lambda x: np.sin(1e3 * x), lambda x: 1e3 * np.cos(1e3 * x)),
    "waves longer than x": (lambda x: np.sin(1e-3 * x), lambda x: 1e-3 * np.cos(1e-3 * x)),
    "log": (lambda x: np.log(np.abs(x)), lambda x: 1 / x),
    "large constant": (lambda x: np.sin(x) + 1e3, np.cos),
    "tiny": (lambda x: 1e-200 * np.sin(x), lambda x: 1e-200 * np.cos(x)),
    "huge": (lambda x: 1e200 * np.sin(x), lambda x: 1e200 * np.cos(x)),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("seed", range(5))
def test_a_right_gradient_is_decided_at_any_seed_within_its_bound(name, seed):
    f, derivative = RIGHT[name]
    estimate, decided = look(total(f), derivative, seed=seed)
    assert decided.sum() >= 4  # one of the waves' derivatives is small beside the others
    exact = derivative(X.astype(np.longdouble))
    assert np.all((np.abs(estimate.value - exact) <= estimate.bound)[decided])
    assert np.all((estimate.bound <= 1e-6 * np.abs(exact))[decided])


@pytest.mark.parametrize("error", [0.0, 1e-4, 1e-2])
def test_float32_points_are_left_to_the_search_which_sees_more(error):
    x = X.astype(np.float32)
    f, g = (lambda x: np.sum(np.sin(x))), (lambda x: (1 + error) * np.cos(x))
    estimate, decided = look(f, g, x, resolution=0.1)
    assert not decided.any()
    assert not estimate.evaluations.any()


def test_scales_may_differ_between_the_coordinates_of_an_array():
    w = 10.0 ** np.arange(-2, 3)
    estimate, decided = look(total(lambda x: np.sin(w * x)), lambda x: w * np.cos(w * x), X / w)
    assert decided.sum() >= 4
    error = np.abs(estimate.value - w * np.cos(X))
    assert np.all(error[decided] <= estimate.bound[decided])


def test_four_passes_a_coordinate_are_all_that_is_spent():
    lines = Lines(total(np.sin), np.linspace(0.1, 1.4, 200))
    eps, before = estimate_noise(lines, Stream(0, "test")), lines.forward_passes
    estimate = fixed_step_differences(
        lines, eps, np.cos(lines.origin), np.arange(200), resolution=1e-6
    )
    assert np.all(estimate.status == Status.RESOLVED)
    assert np.all(estimate.evaluations == 4)
    assert lines.forward_passes - before == 4 * 200


def test_a_second_look_is_taken_where_f_varies_faster_than_x_suggests():
    estimate, decided = look(total(lambda x: np.sin(1e4 * x)), lambda x: 1e4 * np.cos(1e4 * x))
    assert decided.sum() >= 3
    assert 8 in estimate.evaluations


# --- the bound ----------------------------------------------------------------------------------


def decided_errors(count, seed):
    """Errors over bounds of what fixed steps decide on random networks, and the share of it."""
    ratios, decided = [], []
    options = {"max_parameters": 40, "max_width": 10, "max_batch": 6}
    for case in sample_cases(count, seed, dtypes=("float64",), **options):
        problem = case.problem()
        exact = complex_derivatives(problem)
        lines = Lines(lambda p, problem=problem: loss(p, problem), problem.parameters)
        eps = estimate_noise(lines, Stream(case.seed, "test"))
        wanted = np.arange(lines.size)
        estimate = fixed_step_differences(lines, eps, exact, wanted, resolution=1e-6)
        known = estimate.status == Status.RESOLVED
        decided.append(known)
        ratios.append((np.abs(estimate.value - exact) / estimate.bound)[known])
    return np.concatenate(ratios), np.concatenate(decided)


def test_errors_on_random_networks_are_far_below_the_bound():
    ratios, decided = decided_errors(30, seed=2)
    assert decided.mean() > 0.3  # the others are small: units are saturated at random scales
    assert np.median(ratios) < 0.1  # errors near the bound would be accepted by selection alone
    assert ratios.max() <= 1


@pytest.mark.nightly
def test_errors_on_many_random_networks_are_far_below_the_bound():
    ratios, _ = decided_errors(3000, seed=4)
    assert np.quantile(ratios, 0.999) < 0.5


@pytest.mark.parametrize("rule", [TWO, THREE])
@pytest.mark.parametrize("name", RIGHT)
def test_the_bound_holds_for_whatever_number_is_under_test(name, rule, monkeypatch):
    """Everything is decided that has a finite bound: no selection by g makes errors small."""
    f, derivative = RIGHT[name]
    monkeypatch.setattr(fixed_steps, "BALANCE", np.inf)
    for factor in (0.1, 1.0, 10.0):
        lines = Lines(total(f), X)
        eps = estimate_noise(lines, Stream(1, "test"))
        screen = fixed_steps._Screen(lines, eps, factor * derivative(X), 1.0)
        screen._size, screen._lengths[:] = 2.0, 2.0
        j = np.arange(len(X))
        seen = screen._differences(rule, j, screen._steps(rule, j))
        exact = derivative(X.astype(np.longdouble))
        assert np.all(np.abs(seen.value - exact) <= seen.bound)


def test_the_bound_never_falls_below_its_noise_term():
    noise = Noise(1e-10, 1e-9, 2.0**-53, 0)
    estimate, decided = look(total(lambda x: 3 * x), lambda x: 3 + 0 * x, noise=noise,
                             resolution=0.5)  # fmt: skip
    assert decided.any()
    assert np.all((estimate.bound >= C1 * 1e-9 / estimate.step)[decided])


# --- wrong numbers and hidden features ----------------------------------------------------------


@pytest.mark.parametrize("factor", [1.01, 1 + 1e-4, 1 + 1e-5, 0.0, -1.0, np.nan, np.inf, 1e300])
def test_a_wrong_number_is_left_open_and_its_neighbours_are_decided(factor):
    def wrong(x):
        return np.where(np.arange(5) == 1, factor * np.cos(x), np.cos(x))

    _, decided = look(total(np.sin), wrong)
    assert decided.tolist() == [True, False, True, True, True]


def hidden(feature):
    """f and the derivative of f without the feature."""
    return total(lambda x: np.sin(x) + feature(x)), np.cos


HIDDEN = {
    "a kink at x": lambda x: 1e-3 * np.abs(x - X),
    "a small kink at x": lambda x: 1e-8 * np.abs(x - X),
    "a wave": lambda x: 1e-3 * np.sin(1e7 * x),
    "a ripple": lambda x: 1e-10 * np.sin(1e9 * x),
    "a bump at x": lambda x: 1e-6 * np.tanh((x - X) / 1e-8),
    "a wave of period 2^-17": lambda x: 2.0**-20 * np.sin(2 * np.pi * (x - X) * 2.0**17),
    "a wave of period 1e-5": lambda x: 1e-7 * np.sin(2 * np.pi * (x - X) * 1e5),
    "steps throughout": lambda x: np.round(x, 5) - x,
}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", HIDDEN)
def test_a_number_that_forgets_a_feature_is_left_open(name, seed):
    _, decided = look(*hidden(HIDDEN[name]), seed=seed)
    assert not decided.any()


@pytest.mark.parametrize(
    ("limit", "name"),
    [("jump", "a small kink at x"), ("balance", "a ripple near the noise")],
)
def test_it_is_the_jump_and_the_balance_that_leave_features_open(limit, name, monkeypatch):
    features = {**HIDDEN, "a ripple near the noise": lambda x: 1e-13 * np.sign(x) * np.sin(1e9 * x)}
    f, g = hidden(features[name])
    assert not look(f, g)[1].any()
    monkeypatch.setattr(fixed_steps.Rule, "jump_noise", np.inf)  # sees even parts of ripples too
    if limit == "balance":
        assert not look(f, g)[1].all()
        monkeypatch.setattr(fixed_steps, "BALANCE", np.inf)
    assert look(f, g)[1].any()


def test_steps_that_are_powers_of_two_would_be_whole_periods(monkeypatch):
    f, g = hidden(HIDDEN["a wave of period 2^-17"])
    monkeypatch.setattr(Lines, "mantissas", lambda self, purpose, count: np.ones(count))
    assert look(f, g)[1].any()


def test_a_step_nearby_makes_the_steps_shorter():
    estimate, decided = look(total(lambda x: np.sin(x) + 1e-8 * (x > X + 1e-6)), np.cos)
    assert decided.all()
    assert np.all(4 * estimate.step < 1e-6)


# --- what is not asked --------------------------------------------------------------------------


def test_an_array_of_which_no_pilot_is_decided_is_not_looked_at_further():
    x = np.linspace(0.1, 1.4, 100)
    estimate, decided = look(total(np.sin), lambda x: 2 * np.cos(x), x)
    assert not decided.any()
    assert np.count_nonzero(estimate.evaluations) == 3


def test_three_steps_decide_where_two_do_not_reach_the_resolution():
    """f is so large beside its slope that no two steps are tried."""
    estimate, decided = look(total(lambda x: np.sin(x) + 2e4), np.cos)
    assert decided.all()
    assert np.all(estimate.evaluations == 6)
    assert np.all(np.abs(estimate.value - np.cos(X)) <= estimate.bound)


def test_numbers_that_the_noise_hides_are_not_looked_at():
    def small(x):
        return np.array([1.0, 1e-12, 1.0, 0.0, 1.0]) * np.cos(x)

    estimate, decided = look(lambda x: float(small(x) / np.cos(x) @ np.sin(x)), small)
    assert decided.tolist() == [True, False, True, False, True]
    assert estimate.evaluations[[1, 3]].tolist() == [0, 0]


def test_a_resolution_that_fixed_steps_do_not_reach_costs_nothing():
    estimate, decided = look(total(np.sin), np.cos, resolution=1e-12)
    assert not decided.any()
    assert not estimate.evaluations.any()


def test_a_function_without_values_nearby_or_without_noise_to_speak_of_decides_nothing():
    def ends(x):
        return 1.0 if np.array_equal(x, X) else np.nan

    noise = Noise(1e-16, 1e-15, 2.0**-53, 0)
    assert not look(ends, np.cos, noise=noise)[1].any()
    for bound in (np.nan, np.inf):
        assert not look(total(np.sin), np.cos, noise=Noise(bound, bound, 0.0, 0))[1].any()


def test_what_the_budget_leaves_is_open():
    x = np.linspace(0.1, 1.4, 40)
    lines = Lines(total(np.sin), x, budget=100)
    eps = estimate_noise(lines, Stream(0, "test"))
    estimate = fixed_step_differences(lines, eps, np.cos(x), np.arange(40), resolution=1e-6)
    decided = estimate.status == Status.RESOLVED
    assert 3 < decided.sum() < 20
    assert lines.forward_passes <= 100


def test_only_the_coordinates_asked_for_are_looked_at():
    estimate, decided = look(total(np.sin), np.cos, coordinates=[3, 1])
    assert decided.tolist() == [False, True, False, True, False]
    assert (estimate.evaluations > 0).tolist() == decided.tolist()


def test_bounds_of_x_are_never_left_and_near_a_bound_nothing_is_decided():
    asked = []

    def f(x):
        asked.append(x.copy())
        return float(np.sum(np.sin(x)))

    lo, hi = np.array([0.5, -2, 2 - 1e-5, -2, -2]), np.full(5, 2.0 + 1e-5)
    structure = structure_of(X)
    lines = Lines(f, X, bounds=read_bounds((lo, hi), X, structure))
    noise = Noise(1e-16, 1e-15, 2.0**-53, 0)
    estimate = fixed_step_differences(lines, noise, np.cos(X), np.arange(5), resolution=1e-6)
    assert (estimate.status == Status.RESOLVED).tolist() == [False, True, False, True, True]
    assert np.all(np.array(asked) >= lo)
    assert np.all(np.array(asked) <= hi)


def test_all_points_of_an_array_go_to_f_in_few_calls():
    calls = []

    def many(stack):
        calls.append(len(stack))
        return np.sum(np.sin(stack), axis=1)

    x = np.linspace(0.1, 1.4, 100)
    noise = Noise(1e-15, 1e-14, 2.0**-53, 0)
    _, decided = look(gradcheck.batched(many), np.cos, x, noise=noise)
    assert decided.all()
    assert calls == [1, 4 * 3, 4 * 97]
