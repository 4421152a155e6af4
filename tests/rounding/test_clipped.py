"""The clipped cross-entropy: engines that compute its gradient stay within its bound."""

from functools import cache, partial
from itertools import product

import numpy as np
import pytest
from some import some

from gradcheck.certified.gradient import certified_gradient
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import parse, sample_cases
from gradcheck.rounding import ARITHMETICS, clipped, gradient, gradient_bound
from gradcheck.rounding.bounded import Bounded

EPSILONS = (1e-7, 1e-12, 1e-3)
DTYPES = ("float32", "float64")
SEED = 5


# ----------------------------------------------------------------------------------------- engines


def naive_sigmoid(z):
    return 1 / (1 + np.exp(-z))


def tanh_sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def difference(p, y, one):
    return p - y


def sum_of_quotients(p, y, one):
    return ((one - y) / (one - p) - y / p) * (p * (one - p))


def one_quotient(p, y, one):
    return (p - y) / (p * (one - p)) * (p * (one - p))


def clip_points(epsilon, dtype, *, in_dtype):
    """epsilon and 1 - epsilon, the latter computed in the dtype or rounded to it."""
    low = dtype.type(epsilon)
    return low, dtype.type(1) - low if in_dtype else dtype.type(1 - epsilon)


def passed(p, low, high, ties):
    """The derivative of the clip: 1 inside, 0 outside, at the clip points what the engine likes."""
    inside = (low < p) & (p < high)
    return np.where((p == low) | (p == high), ties, inside).astype(p.dtype)


def engine(problem, epsilon, sigmoid, form, ties=1, *, in_dtype=True, M_first=False):
    """Backpropagation of the clipped loss in the problem's dtype."""
    one, a, s = problem.dtype.type(1), [problem.inputs], []
    with np.errstate(all="ignore"):
        for W, b in zip(problem.weights, problem.biases, strict=True):
            a.append(sigmoid(a[-1] @ W.T + b))
            s.append(a[-1] * (one - a[-1]))
        low, high = clip_points(epsilon, problem.dtype, in_dtype=in_dtype)
        q = np.clip(a[-1], low, high)
        M = problem.dtype.type(problem.batch if problem.architecture.reduction == "mean" else 1)
        delta = form(q, problem.targets, one) * passed(a[-1], low, high, ties)
        delta = delta * (one / M) if M_first else delta / M
        found = []
        for i in reversed(range(len(s))):
            found += [delta.sum(axis=0), (delta.T @ a[i]).ravel()]
            if i:
                delta = (delta @ problem.weights[i]) * s[i - 1]
    return np.concatenate([g.astype(np.float64) for g in found[::-1]])


ENGINES = {
    "p - y": partial(engine, sigmoid=naive_sigmoid, form=difference),
    "p - y, ties clipped": partial(
        engine, sigmoid=naive_sigmoid, form=difference, ties=0, in_dtype=False
    ),
    "two quotients": partial(engine, sigmoid=naive_sigmoid, form=sum_of_quotients, M_first=True),
    "two quotients of tanh, ties halved": partial(
        engine, sigmoid=tanh_sigmoid, form=sum_of_quotients, ties=0.5, in_dtype=False
    ),
    "one quotient": partial(engine, sigmoid=tanh_sigmoid, form=one_quotient),
}


# ------------------------------------------------------------------------------------- measurement


@cache
def tokens(count=120):
    limits = {"max_parameters": 50, "max_width": 10, "max_batch": 10, "losses": ("cross_entropy",)}
    return [c.token for c in sample_cases(count, SEED, dtypes=DTYPES, **limits)]


@cache
def problem_of(token):
    return parse(token).problem()


@cache
def exact(token, epsilon):
    return certified_gradient(problem_of(token), clip=epsilon)


@cache
def bound_of(token, epsilon):
    return gradient_bound(problem_of(token), "absolute_sigmoid", clip=epsilon)


def ratio(found, token, epsilon, bound):
    """The greatest error over bound."""
    certified = exact(token, epsilon)
    error = np.abs(found - certified.gradient) + certified.bound
    assert not np.isnan(bound).any()
    return np.divide(error, bound, out=np.where(error > 0, np.inf, 0.0), where=bound > 0).max()


# --------------------------------------------------------------------------------------- the bound


@pytest.mark.parametrize("name", ENGINES)
@pytest.mark.parametrize("epsilon", EPSILONS)
def test_no_engine_exceeds_the_bound(name, epsilon):
    ratios, numbers = [], 0
    for token in tokens():
        found = ENGINES[name](problem_of(token), epsilon)
        if np.isfinite(found).all():  # 1 - epsilon may be 1, and quotients NaN
            ratios.append((ratio(found, token, epsilon, bound_of(token, epsilon)), token))
            numbers += found.size
        else:
            assert "quotient" in name
    assert len(ratios) > 0.7 * len(tokens())
    assert "quotient" in name or len(ratios) == len(tokens())
    worst, token = max(ratios)
    assert worst <= 1, f"{name}: error / bound = {worst:.3g} at {token}, epsilon = {epsilon}"
    assert worst > 1e-2, f"{name}: error / bound = {worst:.3g}: the bound says nothing"


def test_the_cases_are_of_all_weight_scales():
    scales = np.array([parse(token).weight_scale for token in tokens()])
    assert (scales <= 1).sum() > 20
    assert (scales >= 100).sum() > 20


def test_the_cases_reach_both_sides_of_the_clip_points_and_the_strip_between():
    kinds = {"clipped": 0, "either": 0, "inside": 0}
    for token, epsilon in product(tokens(), EPSILONS):
        problem = problem_of(token)
        rounding = gradient.Worst.of(problem, "absolute_sigmoid")
        with np.errstate(all="ignore"):
            last = gradient.forward(problem, rounding)[-1]
            y = problem.targets.astype(float)
            r = clipped.clipped_residual(last, y, epsilon, rounding)
            full = clipped.residual(last, y, rounding)
        zero = (r.x == 0) & (r.d == 0)
        either = ~zero & (r.d >= np.abs(full.x)) & (r.d > 2 * full.d)
        kinds["clipped"] += zero.sum()
        kinds["either"] += either.sum()
        kinds["inside"] += (~zero & ~either).sum()
    assert min(kinds.values()) > 100, kinds


def test_the_bound_differs_little_from_the_exact_loss_where_nothing_is_clipped():
    ratios = []
    for token in tokens()[::3]:
        problem = problem_of(token)
        p = certified_gradient(problem, clip=1e-3).gradient
        if np.array_equal(p, certified_gradient(problem).gradient):
            free = gradient_bound(problem, "absolute_sigmoid")
            ratios.append(np.median(bound_of(token, 1e-3) / free))
    assert len(ratios) > 10
    assert 1 <= np.median(ratios) < 3


# --------------------------------------------------------------------------------- planted defects


def clipped_but_not_stopped(p, y, one):
    return p - y + one / 1000


def test_a_residual_off_by_a_thousandth_lies_outside():
    wrong = partial(engine, sigmoid=naive_sigmoid, form=clipped_but_not_stopped)
    outside = [
        not ratio(wrong(problem_of(t), 1e-7), t, 1e-7, bound_of(t, 1e-7)) <= 1
        for t in tokens()
        if np.abs(exact(t, 1e-7).gradient).max() > 0.01
    ]
    assert np.mean(outside) > 0.9


def test_the_exact_loss_lies_outside_the_bound_of_the_clipped_one_and_the_other_way_round():
    W, b = (np.array([[4.0]]),), (np.zeros(1),)
    saturated = Problem(Architecture((1, 1)), W, b, np.array([[10.0]]), np.array([[0.0]]))
    plain, clipped_one = certified_gradient(saturated), certified_gradient(saturated, clip=1e-7)
    assert clipped_one.gradient.tolist() == [0, 0]
    assert clipped_one.bound.tolist() == [0, 0]
    apart = np.abs(plain.gradient - clipped_one.gradient)
    assert (apart > gradient_bound(saturated, "absolute_sigmoid", clip=1e-7)).all()
    assert (apart > gradient_bound(saturated, "absolute_sigmoid")).all()


def test_another_epsilon_lies_outside():
    wrong = partial(engine, sigmoid=naive_sigmoid, form=difference)
    outside = [
        not ratio(wrong(problem_of(t), 1e-2), t, 1e-3, bound_of(t, 1e-3)) <= 1 for t in tokens()
    ]
    assert np.mean(outside) > 0.05


def test_a_bound_without_the_strip_around_the_clip_points_is_exceeded(monkeypatch):
    def decided(last, y, clip, rounding):
        r = clipped.residual(last, y, rounding)
        inside = (last.a.x > clip) & (last.b > clip)
        return Bounded(np.where(inside, r.x, 0), np.where(inside, r.d, 0))

    monkeypatch.setattr(gradient, "clipped_residual", decided)
    ratios = []
    for token, epsilon in product(tokens(), EPSILONS):
        bound = gradient_bound(problem_of(token), "absolute_sigmoid", clip=epsilon)
        ratios.append(ratio(ENGINES["p - y"](problem_of(token), epsilon), token, epsilon, bound))
    assert max(ratios) > 1


def test_a_bound_without_the_division_is_exceeded(monkeypatch):
    narrow_ratios = []
    for z, y in product(np.linspace(-6, 6, 161, dtype=np.float32), (0.0, 0.3, 1.0)):
        arrays = (np.array([[z]]),), (np.zeros_like(z[None]),), np.ones_like(z[None, None])
        problem = Problem(Architecture((1, 1)), *arrays, np.full((1, 1), y, np.float32))
        found = ENGINES["one quotient"](problem, 1e-7)
        error = abs(found[1] - certified_gradient(problem, clip=1e-7).gradient[1])
        assert error <= gradient_bound(problem, "absolute_sigmoid", clip=1e-7)[1]
        with monkeypatch.context() as patch:
            patch.setattr(clipped, "division_error", lambda *_: np.zeros((1, 1)))
            narrow = gradient_bound(problem, "p_minus_y", clip=1e-7)[1]
        narrow_ratios.append(error / narrow)
    assert max(narrow_ratios) > 1


# ------------------------------------------------------------------------------- the clip points


def at_the_clip_point(epsilon, dtype, ulps, y, upper):
    """One neuron whose bias puts sigma(z) within a few units of a clip point."""
    z = np.log(epsilon) - np.log1p(-epsilon)
    z = dtype(-z if upper else z)
    z = z + ulps * np.spacing(z)
    arrays = (np.zeros((1, 1), dtype),), (np.array([z], dtype),), np.ones((1, 1), dtype)
    return Problem(Architecture((1, 1)), *arrays, np.full((1, 1), y, dtype))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("upper", [False, True])
def test_near_a_clip_point_both_answers_are_covered(dtype, epsilon, upper):
    answers = set()
    for ulps, y in product(range(-4, 5), (0.0, 1.0)):
        problem = at_the_clip_point(epsilon, dtype, ulps, y, upper)
        certified = certified_gradient(problem, clip=epsilon)
        bound = gradient_bound(problem, "absolute_sigmoid", clip=epsilon)
        free = certified_gradient(problem).gradient
        for answer in (np.zeros(2), free / 2, free):
            assert (np.abs(answer - certified.gradient) <= bound).all()
        answers.add(bool(certified.gradient[1]))
        for run in ENGINES.values():
            found = run(problem, epsilon)
            if np.isfinite(found).all():
                assert (np.abs(found - certified.gradient) <= bound).all()
    assert answers == {False, True}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_few_hundred_roundings_away_it_is_decided(dtype):
    u = np.finfo(dtype).eps
    for side in (-1, 1):
        problem = at_the_clip_point(1e-3, dtype, 0, 1.0, upper=False)
        moved = problem.biases[0] + dtype(side * 1e5 * u)
        problem = Problem(
            problem.architecture, problem.weights, (moved,), problem.inputs, problem.targets
        )
        bound = gradient_bound(problem, "absolute_sigmoid", clip=1e-3)[1]
        underflow = 100 * np.finfo(dtype).tiny  # of the sum
        assert bound < underflow if side < 0 else u < bound < 100 * u


@pytest.mark.nightly
def test_no_engine_exceeds_the_bound_in_a_long_search():
    limits = {"max_parameters": 300, "losses": ("cross_entropy",), "dtypes": DTYPES}
    for case, epsilon in product(sample_cases(2000, SEED + 1, **limits), EPSILONS):
        problem = case.problem()
        certified = certified_gradient(problem, clip=epsilon)
        bound = gradient_bound(problem, "absolute_sigmoid", clip=epsilon)
        for name, run in ENGINES.items():
            found = run(problem, epsilon)
            if np.isfinite(found).all():
                error = np.abs(found - certified.gradient) + certified.bound
                assert (error <= bound).all(), f"{name} at {case.token}, epsilon = {epsilon}"


# ------------------------------------------------------------------------------------------- edges


@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_every_class_has_a_bound_and_wider_classes_a_wider_one(arithmetic):
    for token in some(tokens()[:30]):
        bound = gradient_bound(problem_of(token), arithmetic, clip=1e-7)
        assert not np.isnan(bound).any()
        assert (bound >= gradient_bound(problem_of(token), "cancellation_free", clip=1e-7)).all()


def test_an_epsilon_below_the_dtype_is_zero_there_and_covered():
    for token in some(t for t in tokens()[:60] if problem_of(t).dtype == np.float32):
        found = ENGINES["p - y"](problem_of(token), 1e-60)
        bound = gradient_bound(problem_of(token), "absolute_sigmoid", clip=1e-60)
        assert ratio(found, token, 1e-60, bound) <= 1


def test_no_clip_leaves_the_bound_as_it_is():
    for token in some(tokens()[:20]):
        problem = problem_of(token)
        assert np.array_equal(
            gradient_bound(problem, "p_minus_y", clip=None), gradient_bound(problem, "p_minus_y")
        )
