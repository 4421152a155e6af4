"""check_gradient on functions whose gradients are known, and on gradients that lie."""

import collections
import math
import warnings

import numpy as np
import pytest
from some import some

import gradcheck
from gradcheck.checks.gradient import GradientMismatch, _chosen, assert_gradient, check_gradient
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.pytree import structure_of

X = np.array([0.5, -1.25, 2.0])


def f(x):
    return float(np.sum(np.sin(x)))


def gradient(x):
    return np.cos(x)


def verdict(*args, **kwargs):
    outcome = check_gradient(*args, **kwargs)
    return outcome.verdict, outcome.reason


FAILS = Verdict.FAIL
PASSES = (Verdict.PASS, None)


# --- what passes --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("f", "gradient", "x"),
    [
        (lambda x: x @ x / 2, lambda x: 1 * x, np.array([1.0, -2.0, 3.0])),
        (lambda x: np.exp(x).sum(), np.exp, np.array([0.1, 5.0, -1.0])),
        (lambda x: x["a"] * np.sum(x["b"] ** 2),
         lambda x: {"b": 2 * x["a"] * x["b"], "a": np.sum(x["b"] ** 2)},
         {"a": np.array(1.5), "b": np.array([[1.0, 2.0], [3.0, 4.0]])}),
        (lambda x: x[0] @ x[1][0], lambda x: [x[1][0].copy(), (x[0].copy(),)],
         [np.array([1.0, 2.0]), (np.array([3.0, -4.0]),)]),
        (lambda x: float(np.prod(x)), lambda x: np.prod(x) / x, np.array([1e-3, 2.0, 1e3])),
    ],
    ids=["quadratic", "exp", "dict in another order", "nested", "product"],
)  # fmt: skip
def test_right_gradients_pass(f, gradient, x):
    assert verdict(f, gradient, x) == PASSES


@pytest.mark.parametrize("factor", [1e-12, 1e-9, 1.0, 1e9, 1e12])
def test_the_size_of_the_loss_does_not_matter(factor):
    def right(x):
        return factor * gradient(x)

    def wrong(x):
        return factor * gradient(x) * (1 + 1e-6)

    assert verdict(lambda x: factor * f(x), right, X) == PASSES
    assert verdict(lambda x: factor * f(x), wrong, X) == (FAILS, Reason.MISMATCH)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_the_scale_of_x_does_not_matter(factor):
    def scaled(x):
        return f(x / factor)

    assert verdict(scaled, lambda x: gradient(x / factor) / factor, X * factor) == PASSES


def test_float32_points_pass_at_their_own_resolution():
    outcome = check_gradient(lambda x: np.sum(np.sin(x)), np.cos, X.astype(np.float32))
    assert outcome.verdict is Verdict.PASS, str(outcome)
    assert outcome.resolution > np.finfo(np.float32).eps


def test_float16_points_are_never_falsely_accused_and_gross_errors_are_seen():
    x = X.astype(np.float16)
    assert verdict(lambda x: np.sum(np.sin(x)), np.cos, x) == PASSES
    assert verdict(lambda x: np.sum(np.sin(x)), lambda x: 100 * np.cos(x), x)[0] is FAILS


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("times", [1.5, 3, 10, 30, 100])
def test_no_error_above_the_stated_resolution_passes(dtype, times):
    x = X.astype(dtype)
    right = check_gradient(lambda x: np.sum(np.sin(x)), np.cos, x)
    assert right.verdict is Verdict.PASS
    factor = dtype(1 + times * right.resolution)
    for j in range(3):
        wrong = check_gradient(
            lambda x: np.sum(np.sin(x)),
            lambda x, j=j: np.where(np.arange(3) == j, factor * np.cos(x), np.cos(x)),
            x,
        )
        assert wrong.verdict is not Verdict.PASS, str(wrong)
        if times == 100:
            assert [d.name for d in wrong.discrepancies] == [f"x[{j}]"]


# --- gradients that lie -------------------------------------------------------------------------


class Counting:
    """A gradient that behaves differently from call to call."""

    def __init__(self, answer):
        self.calls, self.answer = 0, answer

    def __call__(self, x):
        self.calls += 1
        return self.answer(self.calls, x)


BUFFER = np.zeros(3)


def overwrites(x):
    np.cos(x, out=BUFFER)
    return BUFFER


def steps_x(x):
    x -= 0.1 * np.cos(x)
    return np.cos(x)


def nan_in_one(x):
    return np.where(x == X[1], np.nan, np.cos(x))


@pytest.mark.parametrize(
    ("lie", "reason", "told"),
    [
        (np.sin, Reason.MISMATCH, "x[0]"),
        (lambda x: np.cos(x) * (1 + 1e-7), Reason.MISMATCH, "x[2]"),
        (nan_in_one, Reason.NONFINITE, "x[1] is nan"),
        (lambda x: np.cos(x)[:2], Reason.SHAPE, "(2,)"),
        (lambda x: np.cos(x)[:, None], Reason.SHAPE, "(3, 1)"),
        (lambda x: {"x": np.cos(x), "y": x + 0}, Reason.SHAPE, "a dict with the keys x, y"),
        (lambda x: np.array([1, 0, 0]), Reason.MISMATCH, "x[1]: engine 0"),
        (lambda x: "0.5", Reason.DTYPE, "the gradient of x is text ('0.5'), not an array of real"),
        (lambda x: np.cos(x).astype(np.float32), Reason.DTYPE, "float32"),
        (lambda x: np.cos(x) + 0j, Reason.DTYPE, "complex128"),
        (steps_x, Reason.INPUT_CHANGED, "gradient"),
        (lambda x: x, Reason.ALIASED, "view of x"),
        (overwrites, Reason.ALIASED, "overwrites"),
        (Counting(lambda n, x: np.cos(x) + 1e-3 * (n > 2)), Reason.NONDETERMINISTIC, "differ"),
    ],
    ids=lambda v: v.value if isinstance(v, Reason) else "",
)
def test_lies_are_found_and_named(lie, reason, told):
    outcome = check_gradient(f, lie, X)
    assert (outcome.verdict, outcome.reason) == (FAILS, reason), str(outcome)
    assert told in str(outcome)


def test_differences_in_the_last_bits_between_calls_are_noted_and_no_more():
    wobbly = Counting(lambda n, x: np.cos(x) * (1 + 2.0**-52 * n))
    outcome = check_gradient(f, wobbly, X)
    assert outcome.verdict is Verdict.PASS
    assert "differ within the allowance" in outcome.notes[0]


@pytest.mark.parametrize(("allowances", "reason"), [(0.4, None), (2.0, Reason.NONDETERMINISTIC)])
def test_two_calls_differ_by_no_more_than_the_allowance(allowances, reason):
    (allowance,) = check_gradient(f, gradient, X[:1]).comparison.allowance
    moved = Counting(lambda n, x: np.cos(x) + allowances * allowance * (n > 2))
    outcome = check_gradient(f, moved, X[:1])
    assert (outcome.verdict, outcome.reason) == (FAILS if reason else Verdict.PASS, reason)


class Layer:
    """Forward stores what backward uses, as in every course."""

    def __init__(self, slope):
        self.slope = slope

    def forward(self, x):
        self.x = x.copy()
        return f(x)

    def backward(self, _x):
        return self.slope(self.x)


@pytest.mark.parametrize("method", ["every-coordinate", "directional"])
def test_a_backward_that_uses_what_forward_stored_is_asked_after_it(method):
    right, wrong = Layer(np.cos), Layer(np.sin)
    assert verdict(right.forward, right.backward, X, method=method) == PASSES
    found = verdict(wrong.forward, wrong.backward, X, method=method)
    assert found == (FAILS, Reason.MISMATCH)


def test_the_calls_of_f_before_a_gradient_are_within_the_budget():
    right = Layer(np.cos)
    outcome = check_gradient(right.forward, right.backward, X, budget=60)
    assert outcome.forward_passes <= 60
    assert outcome.reason is not Reason.NONDETERMINISTIC


@pytest.mark.parametrize("method", ["every-coordinate", "directional"])
def test_a_function_may_remember_x_without_copying_it(method):
    trace = []

    def tracing(x):
        trace.append(x)
        return f(x)

    def cached(x):
        key = [i for i, old in enumerate(trace) if np.array_equal(old, x)]
        return np.cos(trace[key[0]])

    assert verdict(tracing, cached, X, method=method) == PASSES
    assert len({old.tobytes() for old in trace}) > 20


def test_a_loss_that_changes_its_argument_is_found():
    def rude(x):
        x += 1e-3
        return f(x)

    assert verdict(rude, gradient, X) == (FAILS, Reason.INPUT_CHANGED)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nothing_is_known_of_a_gradient_where_the_loss_is_not_finite(value):
    assert verdict(lambda x: value, gradient, X) == (Verdict.INCONCLUSIVE, Reason.DOMAIN)


# --- what cannot be decided ---------------------------------------------------------------------


KINKED = np.array([1.0, 0.0, -2.0])


@pytest.mark.parametrize(
    ("slope", "choice"),
    [
        (-1.0, "the left slope"),
        (0.0, "their mean"),
        (1.0, "the right slope"),
        (0.5, "a number betw"),
    ],
)
def test_a_slope_between_those_on_both_sides_of_a_kink_is_a_convention(slope, choice):
    outcome = check_gradient(
        lambda x: np.abs(x).sum(), lambda x: np.where(x == 0, slope, np.sign(x)), KINKED
    )
    assert outcome.verdict is Verdict.PASS, str(outcome)
    assert outcome.counts["subgradient"] == 1
    told = "x[1]: f has a kink at x, with slope -1 on the left and 1 on the right; the engine says"
    assert f"{told} {slope:.3g}, {choice}" in str(outcome)


@pytest.mark.parametrize("slope", [7.0, 1 + 1e-6, -1 - 1e-6, -100.0])
def test_a_slope_outside_of_those_on_both_sides_of_a_kink_is_wrong(slope):
    outcome = check_gradient(
        lambda x: np.abs(x).sum(), lambda x: np.where(x == 0, slope, np.sign(x)), KINKED
    )
    assert (outcome.verdict, outcome.reason) == (FAILS, Reason.SUBGRADIENT)
    assert "slope -1 on the left and 1 on the right; outside of both" in str(outcome)


def test_slopes_at_a_kink_are_held_to_the_resolution():
    """In float32 they are known to 2 in 1,000: an error of 1 in 1,000 goes unseen."""
    outcome = check_gradient(
        lambda x: np.float32(np.abs(x[0]) + np.float32(100.0)),
        lambda x: np.array([1.001]),
        np.array([0.0]),
        resolution=1e-6,
    )
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NONDIFFERENTIABLE)


@pytest.mark.parametrize(
    ("f", "x", "low", "high"),
    [
        (lambda x: np.maximum(x, 0) @ np.array([3.0, 1.0]), [0.0, 1.0], [0, 1], [3, 1]),
        (lambda x: np.exp(np.max(x)), [0.5, 0.5], [0, 0], [np.exp(0.5)] * 2),
        (lambda x: np.sort(x) @ np.array([1.0, 2.0, 4.0]), [1.0, 1.0, -1.0], [2, 2, 1], [4, 4, 1]),
        (lambda x: np.where(x < 0, 0.01, 1.0) @ np.sin(x), [0.0, 1.0], [0.01, 0.54], [1, 0.55]),
    ],
    ids=["relu", "max of equals", "sort of equals", "leaky"],
)
def test_ties_and_kinks_of_all_kinds_have_intervals(f, x, low, high):
    x, low, high = np.array(x), np.array(low, float), np.array(high, float)
    kink = high - low > 0.1
    smooth = gradcheck.check_gradient(f, lambda x: x * 0 + 0.5, x).comparison.oracle
    for share in (0.0, 0.3, 1.0):
        g = np.where(kink, low + share * (high - low), smooth)
        assert verdict(f, lambda x, g=g: g.copy(), x) == PASSES, share
    for share in (-0.1, 1.1):
        g = np.where(kink, low + share * (high - low), smooth)
        assert verdict(f, lambda x, g=g: g.copy(), x) == (FAILS, Reason.SUBGRADIENT)


def test_a_wrong_slope_elsewhere_is_a_mismatch_beside_a_kink_too():
    found = verdict(
        lambda x: np.abs(x).sum(), lambda x: np.where(x == 0, 7, 2 * np.sign(x)), KINKED
    )
    assert found == (FAILS, Reason.MISMATCH)


def test_a_cusp_stays_undecided():
    found = verdict(lambda x: np.sqrt(np.abs(x)).sum(), np.zeros_like, np.zeros(1))
    assert found == (Verdict.INCONCLUSIVE, Reason.NONDIFFERENTIABLE)


def test_a_kink_is_not_settled_beyond_the_budget():
    outcome = check_gradient(
        lambda x: np.abs(x).sum(), np.sign, np.zeros(1), method="every-coordinate", budget=90
    )
    assert outcome.forward_passes <= 90
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.BUDGET)


def test_a_stationary_point_is_decided_beside_the_derivatives_around_it():
    outcome = check_gradient(lambda x: x @ x, lambda x: 2 * x, np.zeros(3))
    assert outcome.verdict is Verdict.PASS
    assert outcome.counts["small"] == 3
    assert "0 as far as" in outcome.detail


def switch(p):
    """Only w[0] and b count: w[1] is masked, unused is not used at all."""
    return float(np.sin(p["w"][0]) + np.maximum(p["b"], 0).sum())


def switched(p):
    return {"w": np.array([np.cos(p["w"][0]), 0.0]), "b": (p["b"] > 0) + 0.0, "unused": p["b"] * 0}


SWITCHES = {"w": np.array([0.5, 1.5]), "b": np.array([-1.0, 2.0]), "unused": np.ones(2)}


def test_what_f_does_not_depend_on_is_decided():
    outcome = check_gradient(switch, switched, SWITCHES)
    assert outcome.verdict is Verdict.PASS, str(outcome)
    assert (
        outcome.counts["informative"] + outcome.counts["unchanged"] + outcome.counts["small"] == 6
    )


@pytest.mark.parametrize("by", [1e-7, 1e-3])
@pytest.mark.parametrize("name", ["w", "b", "unused"])
def test_what_is_not_zero_there_fails(name, by):
    def wrong(p):
        g = switched(p)
        g[name] = g[name] + by * (g[name] == 0)
        return g

    assert verdict(switch, wrong, SWITCHES) == (FAILS, Reason.MISMATCH)


@pytest.mark.parametrize("f", [lambda x: 3.0, lambda x: float(np.maximum(-x, 0).sum())])
def test_a_gradient_of_nothing_but_zeros_is_decided(f):
    x = np.array([1.0, 2.0])
    outcome = check_gradient(f, np.zeros_like, x)
    assert outcome.verdict is Verdict.PASS, str(outcome)
    assert "f does not change by a bit when x moves by up to" in outcome.detail
    assert verdict(f, lambda x: 1e-6 * x, x) == (FAILS, Reason.MISMATCH)


@pytest.mark.parametrize("f", [lambda x: float(f"{np.exp(x[0]):.4g}"), lambda x: round(x[0], 3)])
def test_a_staircase_is_not_taken_for_a_constant(f):
    found = verdict(f, np.zeros_like, np.array([1.2344]))
    assert found == (Verdict.INCONCLUSIVE, Reason.NONDIFFERENTIABLE)


def test_a_zero_that_hides_a_slope_below_the_last_bit_of_f_is_not_passed_beside_others():
    def f(x, size=1e16):
        return size + 0.01 * x[0] + 1e3 * x[1]

    def judged(f, slope):
        return verdict(f, lambda x: np.array([slope, 1e3]), np.array([1.0, 1.0]))

    for slope in (0.0, 0.01):
        assert judged(f, slope) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)
    assert judged(lambda x: f(x, 1e12), 0.01) == PASSES  # small beside 1e3, in all digits of f
    assert judged(lambda x: f(x, 1e12), 0.0)[0] is Verdict.INCONCLUSIVE


def test_a_noisy_loss_is_vacuous_and_a_large_error_in_it_still_fails():
    generator = np.random.default_rng(0)

    def noisy(x):
        return f(x) + 1e-4 * generator.standard_normal()

    assert verdict(noisy, gradient, X)[0] is Verdict.INCONCLUSIVE
    assert verdict(noisy, lambda x: 3 * gradient(x), X) == (FAILS, Reason.MISMATCH)


def test_no_coordinates_is_no_pass():
    assert verdict(lambda x: 1.0, lambda x: x.copy(), np.zeros(0)) == (
        Verdict.INCONCLUSIVE,
        Reason.VACUOUS,
    )


def test_the_budget_is_kept_and_what_it_left_undecided_is_said():
    calls = collections.Counter()

    def counted(x):
        calls["f"] += 1
        return float(np.sum(np.sin(x)))

    x = np.linspace(0.1, 1.0, 40)
    outcome = check_gradient(counted, np.cos, x, method="every-coordinate", budget=100)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.BUDGET)
    assert calls["f"] == outcome.forward_passes <= 100
    assert 0 < outcome.counts["informative"] < 40
    assert verdict(counted, np.cos, x, budget=5) == (Verdict.INCONCLUSIVE, Reason.BUDGET)


def test_a_budget_that_ends_before_an_accusation_is_confirmed_accuses_nobody():
    full = check_gradient(f, np.sin, X[:1])
    assert full.verdict is FAILS
    outcomes = [check_gradient(f, np.sin, X[:1], budget=n) for n in range(1, full.forward_passes)]
    undecided = {(o.verdict, o.reason, o.counts.get("failed", 0)) for o in outcomes}
    assert undecided == {(Verdict.INCONCLUSIVE, Reason.BUDGET, 0)}
    told = [o for o in outcomes if "before that could be confirmed" in " ".join(o.notes)]
    assert told
    assert all(o.counts["not_evaluated"] == 1 for o in told)


def test_a_smaller_demand_decides_what_a_larger_one_leaves_open():
    def coarse(x):
        return float(np.float32(f(x)))

    assert verdict(coarse, gradient, X, resolution=1e-6)[0] is Verdict.INCONCLUSIVE
    assert verdict(coarse, gradient, X, resolution=0.01) == PASSES


# --- words --------------------------------------------------------------------------------------


def test_a_sum_that_cancels_what_is_asked_is_to_be_weighed():
    def softmax(x):
        e = np.exp(x - x.max())
        return e / e.sum()

    outcome = check_gradient(lambda x: softmax(x).sum(), np.zeros_like, np.array([0.1, 0.7, -1.3]))
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "Weigh the outputs at random, f = lambda x: np.sum(w * F(x))" in str(outcome)


def test_what_is_small_is_said_where_it_is_printed_and_times_over_stands_once():
    x = np.array([1.0, 2.0, 1e-5])
    told = str(check_gradient(lambda x: x @ x / 2, lambda x: x * [2.0, 2.0, 1.0], x))
    assert told.count("times over") == 1
    w = np.array([1.0, 1.0, 1e-9])
    right = str(check_gradient(lambda x: np.sum(np.sin(w * x)), lambda x: w * np.cos(w * x), X))
    assert "1 small (an error in them would be negligible)" in right


def test_along_directions_only_the_least_is_said_of_how_many_are_wrong():
    x = np.linspace(0.1, 1.0, 4000).reshape(40, 100)
    outcome = check_gradient(lambda x: np.sin(x).sum(), np.sin, x, method="directional")
    assert outcome.detail.startswith("at least ")
    assert "were not compared, and may be wrong too" in outcome.detail
    assert "only" not in outcome.diagnosis


class Drifting:
    """f that keeps state: every call is a little larger."""

    def __init__(self, by):
        self.calls, self.by = 0, by

    def __call__(self, x):
        self.calls += 1
        return f(x) + self.by * self.calls


@pytest.mark.parametrize("answer", [np.cos, np.sin])
def test_a_function_that_keeps_state_decides_nothing(answer):
    outcome = check_gradient(Drifting(1e-3), answer, X)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NOISE)
    assert "at the same x: f is random or keeps state" in outcome.detail


def test_a_random_function_is_called_so_and_its_noise_is_mentioned():
    generator = np.random.default_rng(0)
    told = str(check_gradient(lambda x: f(x) + 1e-4 * generator.standard_normal(), np.sin, X))
    assert told.startswith("FAIL")
    assert "at the same x: f is random or keeps state; that counts as noise" in told
    assert "is taken to be uncertain by" in told
    assert "if f solves, integrates or samples inside" in told


def test_a_slight_deviation_may_be_that_of_a_solver_and_a_large_one_is_not():
    def newton(x):
        y = 1.0
        while abs(step := (y**3 + y - x[0]) / (3 * y * y + 1)) > 1e-4:
            y -= step
        return y

    def implicit(x):
        return 1 / (3 * newton(x) ** 2 + 1) * np.ones(1)

    told = "no coordinate is off by more than 1e-03 of itself: if f solves, integrates or samples"
    assert told in str(check_gradient(newton, implicit, np.array([3.0])))
    assert told not in str(check_gradient(newton, lambda x: 2 * implicit(x), np.array([3.0])))
    assert verdict(newton, implicit, np.array([3.0]), noise=1e-4, resolution=0.5) == PASSES


def test_where_the_budget_ends_it_is_said_how_much_would_do():
    x = np.linspace(0.1, 1.0, 400)
    told = str(check_gradient(f, gradient, x, method="every-coordinate", budget=100))
    assert "about 2000 forward passes decide 400 coordinates of most functions, 12000" in told


def test_the_line_that_repeats_a_check_names_its_bounds():
    told = str(check_gradient(f, gradient, X, bounds=(-9, 9), seed=3))
    assert "check_gradient(f, gradient, x, bounds=bounds, method='auto', seed=3)" in told


# --- the edge of the domain ---------------------------------------------------------------------


def root(x):
    return sum(math.sqrt(v) for v in x)


@pytest.mark.parametrize(
    ("x", "told"),
    [
        ([1e-3, 2.0], PASSES),
        ([1e-9, 2.0], PASSES),
        ([1e-300, 1.0], (Verdict.INCONCLUSIVE, Reason.VACUOUS)),
    ],
    ids=["inside", "close", "very close"],
)
def test_a_loss_that_raises_beyond_the_end_of_its_domain_is_checked_inside(x, told):
    outcome = check_gradient(root, lambda x: 0.5 / np.sqrt(x), np.array(x), resolution=1e-3)
    assert (outcome.verdict, outcome.reason) == told, str(outcome)


def test_at_the_end_of_the_domain_it_is_said_what_happened():
    def f(x):
        return math.sqrt(x[0]) ** 3 + x[1]

    def g(x):
        return np.array([1.5 * math.sqrt(x[0]), 1.0])

    outcome = check_gradient(f, g, np.array([0.0, 2.0]))
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.DOMAIN)
    assert "pass bounds=" in str(outcome)
    assert "f raised ValueError: " in str(outcome)
    assert "first with x[0] moved by -" in str(outcome)


def test_a_warning_made_an_error_is_no_more_than_a_point_outside_the_domain():
    def f(x):
        if not x[0] > 0.99:
            warnings.warn("invalid value encountered", RuntimeWarning, stacklevel=1)
        return float(np.sum(x**2))

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert verdict(f, lambda x: 2 * x, np.array([1.0, 2.0])) == PASSES


def test_the_gradient_is_called_a_few_ulps_from_x_and_may_raise_there():
    def strict(x):
        assert np.all(x <= 1.0)
        return np.cos(x)

    for x in (0.999, 1.0):
        outcome = check_gradient(f, strict, np.array([0.5, x]))
        assert outcome.verdict is Verdict.PASS
        assert any("raised AssertionError 16 ulps from x" in n for n in outcome.notes) == (x == 1.0)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_point_that_is_not_finite_is_refused_by_name(value):
    with pytest.raises(ValueError, match=r"x must be finite, but w\[1\] is (nan|inf)"):
        check_gradient(lambda p: 0.0, lambda p: p, {"w": np.array([0.0, value])})


PROBABILITIES = np.array([0.0, 1e-9, 0.25, 1 - 1e-7, 1.0])


class Fenced:
    """sum exp(p) (1 + p) on [0, 1]; a point outside is an error of the caller."""

    def __init__(self, factor=1.0):
        self.factor = factor

    def f(self, p):
        assert np.all((p >= 0) & (p <= 1))
        return float(np.sum(np.exp(p) * (1 + p)))

    def gradient(self, p):
        assert np.all((p >= 0) & (p <= 1))
        return np.exp(p) * (2 + p) * np.where(np.arange(5) % 2, 1.0, self.factor)


@pytest.mark.parametrize("method", ["every-coordinate", "directional"])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), (np.zeros(5), np.ones(5)), [0, np.ones(5)]])
def test_bounds_are_never_left(bounds, method):
    fenced, wrong = Fenced(), Fenced(1 + 1e-5)
    options = {"bounds": bounds, "method": method}
    outcome = check_gradient(fenced.f, fenced.gradient, PROBABILITIES, **options)
    assert outcome.verdict is Verdict.PASS, str(outcome)
    assert not outcome.notes, str(outcome)
    outcome = check_gradient(wrong.f, wrong.gradient, PROBABILITIES, **options)
    assert {d.name for d in outcome.discrepancies} == {"x[0]", "x[2]", "x[4]"}, str(outcome)


def test_bounds_are_never_left_along_random_signs():
    x = np.where(np.arange(40) % 7, np.linspace(0.1, 0.9, 40), 1.0)

    def f(p):
        assert np.all((p >= 0) & (p <= 1))
        return float(np.sum(np.exp(p)))

    options = {"bounds": (0, 1), "method": "directional"}
    outcome = check_gradient(f, np.exp, x, **options)
    assert (outcome.verdict, outcome.counts["screened"]) == (Verdict.PASS, 34), str(outcome)
    for j in (7, 8):
        wrong = check_gradient(f, lambda x, j=j: np.exp(x) + (np.arange(40) == j), x, **options)
        assert [d.name for d in wrong.discrepancies] == [f"x[{j}]"], str(wrong)


def test_bounds_are_never_left_by_batched_functions_in_float32():
    def f(P):
        assert np.all((P >= 0) & (P <= 1))
        return np.sum(np.exp(P.astype(float)), axis=1)

    x = PROBABILITIES.astype(np.float32)
    outcome = check_gradient(gradcheck.batched(f), np.exp, x, bounds=(0, 1))
    assert outcome.verdict is Verdict.PASS, str(outcome)
    assert verdict(gradcheck.batched(f), lambda x: 2 * np.exp(x), x, bounds=(0, 1))[0] is FAILS


def test_bounds_open_the_end_of_a_domain():
    def f(x):
        return math.sqrt(x[0]) ** 3 + x[1] ** 2

    def g(x):
        return np.array([1.5 * math.sqrt(x[0]), 2 * x[1]])

    right = check_gradient(f, g, np.array([0.0, 2.0]), bounds=(0, None))
    assert (right.verdict, right.counts["informative"]) == (Verdict.INCONCLUSIVE, 1)
    wrong = check_gradient(f, lambda x: g(x) + (x == 0), np.array([0.0, 2.0]), bounds=(0, None))
    assert [d.name for d in wrong.discrepancies] == ["x[0]"], str(wrong)


# --- which method -------------------------------------------------------------------------------


def test_auto_takes_every_coordinate_where_the_budget_suffices_and_directions_where_not():
    x = np.linspace(0.1, 1.0, 40)
    for budget, method in ((None, "every-coordinate"), (10**5, "every-coordinate"),
                           (300, "directional")):  # fmt: skip
        outcome = check_gradient(f, gradient, x, budget=budget)
        assert (outcome.verdict, outcome.method) == (Verdict.PASS, method)
        told = any("auto chose directional" in note for note in outcome.notes)
        assert told == (method == "directional")


def vectors(*sizes):
    return structure_of([np.zeros(n) for n in sizes])


def test_auto_takes_directions_for_many_coordinates_unless_a_resolution_is_asked_for():
    assert _chosen(vectors(2**15 - 1), None, None) == "every-coordinate"
    assert _chosen(vectors(2**15), None, None) == "directional"
    assert _chosen(vectors(2**15), None, 1e-6) == "every-coordinate"
    assert _chosen(vectors(2**15), 1000, 1e-6) == "directional"
    assert _chosen(vectors(2**15), 2**20, None) == "every-coordinate"


def test_auto_takes_every_coordinate_of_few_whatever_the_budget_is():
    for budget in (1, 100, 10**4):
        assert _chosen(vectors(20), budget, None) == "every-coordinate"
        assert _chosen(vectors(2) if budget < 100 else vectors(20, 20), budget, None) == (
            "every-coordinate"
        )
    assert _chosen(vectors(21), 500, None) == "directional"


BUDGETED = {
    "smooth": (np.sin, np.cos),
    "kinks": (lambda x: np.sin(x) + 1e-3 * np.abs(x - 1e-3), lambda x: np.cos(x) + 1e-3),
    "waves": (
        lambda x: np.sin(x) + 1e-9 * np.sin(1e6 * x),
        lambda x: np.cos(x) + 1e-3 * np.cos(1e6 * x),
    ),
    "noise": (lambda x: np.sin(x) + 1e-12 * np.sin(1e15 * x), np.cos),
}


@pytest.mark.parametrize("n", [1, 10, 30])
@pytest.mark.parametrize("name", BUDGETED)
def test_more_budget_never_decides_less(n, name):
    f, derivative = BUDGETED[name]
    x = np.linspace(0.1, 1.0, n)
    decided = False
    for budget in (8, 30, 60, 120, 160, 250, 500, 900, 2000):
        found = verdict(lambda x: float(np.sum(f(x))), derivative, x, budget=budget)[0]
        assert found is Verdict.PASS or not (decided or found is FAILS)
        decided = found is Verdict.PASS
    assert decided or name == "noise"


def test_eight_passes_decide_one_coordinate_where_the_noise_is_known():
    def one(x):
        return float(np.sin(x[0]))

    known = check_gradient(one, np.cos, np.array([0.5]), noise=1e-12, budget=8)
    assert known.verdict is Verdict.PASS
    assert 1e-12 < known.resolution < 1e-6
    estimated = check_gradient(one, np.cos, np.array([0.5]), budget=39)
    assert estimated.verdict is Verdict.PASS


def test_a_screened_coordinate_claims_no_derivative_of_its_own():
    x = np.linspace(0.1, 1.0, 40)
    every = check_gradient(f, gradient, x, method="every-coordinate")
    screened = check_gradient(f, gradient, x, method="directional")
    assert (every.miss_probability, screened.miss_probability) == (0, 2.0**-20)
    assert "screened" not in every.counts
    assert screened.counts["screened"] == 40
    assert screened.to_frame()["oracle"].isna().all()
    assert "escaped with probability at most 2^-20" in str(screened)
    assert screened.resolution < 1e-6 * 40**0.5


def test_a_resolution_that_directions_do_not_reach_is_not_passed():
    x = np.linspace(0.1, 1.0, 40)
    found = verdict(f, gradient, x, method="directional", resolution=1e-14)
    assert found == (Verdict.INCONCLUSIVE, Reason.VACUOUS)


def test_a_located_coordinate_carries_the_difference_along_its_own_axis():
    x = np.linspace(0.1, 1.0, 40)

    def wrong(x):
        g = np.cos(x)
        g[7] *= 1.01
        return g

    (found,) = check_gradient(f, wrong, x, method="directional").discrepancies
    assert found.name == "x[7]"
    assert found.oracle == pytest.approx(np.cos(x[7]), abs=found.bound)


def test_a_bound_of_the_rounding_is_asked_before_a_located_coordinate_is_accused():
    x = np.linspace(0.1, 1.0, 40)

    def wrong(x):
        return np.cos(x) + 1e-3 * (np.arange(40) == 7)

    known = {"method": "directional", "rounding": lambda x: 1e-2}
    assert verdict(f, wrong, x, method="directional")[0] is FAILS
    assert verdict(f, wrong, x, **known)[0] is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("lie", [nan_in_one, steps_x, lambda x: x, overwrites])
def test_manners_are_asked_for_along_directions_too(lie):
    for method in ("every-coordinate", "directional"):
        assert verdict(f, lie, X, method=method)[0] is FAILS


# --- manners ------------------------------------------------------------------------------------


def test_the_cost_is_what_an_independent_counter_says():
    calls = collections.Counter()

    def counted_f(x):
        calls["f"] += 1
        return f(x)

    def counted_gradient(x):
        calls["gradient"] += 1
        return gradient(x)

    outcome = check_gradient(counted_f, counted_gradient, X)
    assert (outcome.forward_passes, outcome.backward_passes) == (calls["f"], calls["gradient"])


def test_x_is_never_changed():
    x = {"w": np.array([0.1, -0.0, 3.0]), "b": np.array(2.0, dtype=np.float32)}
    before = {k: v.tobytes() for k, v in x.items()}
    for v in x.values():
        v.flags.writeable = False
    check_gradient(
        lambda p: np.sin(p["w"]).sum() * p["b"],
        lambda p: {"w": np.cos(p["w"]) * p["b"], "b": np.sin(p["w"]).sum().astype(np.float32)},
        x,
    )
    assert {k: v.tobytes() for k, v in x.items()} == before


def test_the_same_seed_gives_the_same_outcome():
    options = {"noise": 1e-9, "budget": 900, "resolution": 1e-3, "seed": 3}
    first, second = (str(check_gradient(f, np.sin, X, **options)) for _ in range(2))
    assert first == second
    told = ", ".join(f"{name}={value}" for name, value in options.items())
    assert f"gradcheck.check_gradient(f, gradient, x, method='auto', {told})" in first


def test_assert_gradient_raises_the_whole_story():
    assert_gradient(f, gradient, X)
    with pytest.raises(GradientMismatch) as caught:
        assert_gradient(f, lambda x: -gradient(x), X)
    story = str(caught.value)
    for part in ("x[0]", "engine", "allowed", "the sign is wrong", "forward", "check_gradient("):
        assert part in story
    assert caught.value.outcome.verdict is FAILS
    assert isinstance(caught.value, AssertionError)


def test_assert_gradient_does_not_let_the_undecided_pass():
    with pytest.raises(GradientMismatch, match="INCONCLUSIVE"):
        assert_gradient(lambda x: np.sqrt(np.abs(x)).sum(), np.sign, np.zeros(1))


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"method": "magic"}, "method='magic' is not one of auto, every-coordinate, directional"),
        ({"noise": 0.0}, "noise=0.0 must be"),
        ({"noise": float("nan")}, "noise=nan must be"),
        ({"noise": "1e-9"}, "noise='1e-9' must be"),
        ({"seed": -1}, "seed=-1 must be a whole number"),
        ({"seed": 1.5}, "seed=1.5 must be a whole number"),
        ({"seed": True}, "seed=True must be a whole number"),
        ({"budget": 10.5}, "budget=10.5 must be .* a whole number"),
        ({"budget": 0}, "budget=0 must be at least 1"),
        ({"resolution": 1.0}, "resolution=1.0 must be between"),
        ({"resolution": float("nan")}, "resolution=nan must be between"),
    ],
)
def test_bad_arguments_are_named(options, told):
    with pytest.raises(ValueError, match=told):
        check_gradient(f, gradient, X, **options)


def test_integer_points_and_vector_losses_are_refused():
    with pytest.raises(TypeError, match="dtype int64"):
        check_gradient(f, gradient, np.array([1, 2]))
    with pytest.raises(TypeError, match="one real number"):
        check_gradient(np.sin, gradient, X)
    with pytest.raises(TypeError, match="one real number"):
        check_gradient(lambda x: 1j * f(x), gradient, X)


def test_noise_given_by_the_caller_widens_the_allowance():
    known = check_gradient(f, gradient, X)
    told = check_gradient(f, gradient, X, noise=1e-12)
    assert told.comparison.bound.max() > 10 * known.comparison.bound.max()


def test_the_public_names_are_all_there():
    for name in some(gradcheck.__all__):
        assert getattr(gradcheck, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = gradcheck.nothing


# --- what it costs ------------------------------------------------------------------------------


def _quadratic(n):
    A = np.random.default_rng(n).standard_normal((n, n))
    return (lambda x: float(x @ A @ x)), (lambda x: (A + A.T) @ x)


def _layers(n):
    W = np.random.default_rng(n).standard_normal((8, n)) / math.sqrt(n)
    return (
        lambda x: float(np.sum(np.tanh(W @ np.sin(x)))),
        lambda x: np.cos(x) * (W.T @ (1 - np.tanh(W @ np.sin(x)) ** 2)),
    )


SMOOTH = {
    "sum of sines": lambda n: (f, gradient),
    "quadratic form": _quadratic,
    "logistic": lambda n: (
        lambda x: float(np.sum(np.logaddexp(0, x))),
        lambda x: 1 / (1 + np.exp(-x)),
    ),
    "log of a sum": lambda n: (
        lambda x: float(np.log(np.sum(np.exp(x)))),
        lambda x: np.exp(x) / np.sum(np.exp(x)),
    ),
    "layers": _layers,
    "exp of a sum": lambda n: (
        lambda x: float(np.exp(np.sum(x) / n)),
        lambda x: np.full(n, np.exp(np.sum(x) / n) / n),
    ),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize(("n", "most"), [(20, 6), (100, 5.5), (1000, 5)])
def test_a_right_gradient_of_a_smooth_function_costs_few_passes_a_coordinate(n, most, name):
    loss, right = SMOOTH[name](n)
    x = np.random.default_rng(3).standard_normal(n)
    outcome = check_gradient(loss, right, x)
    assert outcome.verdict is Verdict.PASS, str(outcome)
    assert outcome.forward_passes <= most * n


@pytest.mark.parametrize("name", SMOOTH)
def test_the_verdict_on_a_right_gradient_does_not_depend_on_the_seed(name):
    loss, right = SMOOTH[name](7)
    x = np.random.default_rng(5).standard_normal(7)
    assert {verdict(loss, right, x, seed=seed) for seed in range(25)} == {PASSES}
