"""Float32 engines with inputs of products rounded to TF32 or bfloat16 give what is emulated."""

from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from some import some

from gradcheck.certified.gradient import certified_gradient
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, parse, sample_cases
from gradcheck.rounding import gradient_bound
from gradcheck.rounding.bounded import Bounded
from gradcheck.rounding.rounded_products import (
    FORMATS,
    RoundedProducts,
    emulated_gradient,
    round_to_format,
)

SEED = 9
DROPPED = {"tf32": 13, "bfloat16": 16}
"""Bits that are cut from float32."""


# ----------------------------------------------------------------------------------------- engines


def to_nearest(x, dropped):
    """Cut the last bits of float32, to nearest even, by whole numbers."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    half = (1 << (dropped - 1)) - 1 + ((bits >> dropped) & 1)
    return ((bits + half) >> dropped << dropped).astype(np.uint32).view(np.float32)


def truncated(x, dropped):
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    return (bits >> dropped << dropped).view(np.float32)


def at_once(x, y):
    return x @ y


def forwards(x, y):
    return np.add.accumulate(x[:, :, None] * y[None], axis=1)[:, -1]


def backwards(x, y):
    return forwards(x[:, ::-1], y[::-1])


def in_blocks(x, y):
    n = (x.shape[1] + 1) // 2
    return (
        forwards(x[:, :n], y[:n]) + forwards(x[:, n:], y[n:]) if n < x.shape[1] else forwards(x, y)
    )


def stable_sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def naive_sigmoid(z):
    return 1 / (1 + np.exp(-z))


def tanh_sigmoid(z):
    return (1 + np.tanh(z / 2)) / 2


def engine(problem, arithmetic, dot=at_once, sigmoid=stable_sigmoid, cut=to_nearest, scale=1.0):
    """Backpropagation in float32, inputs of matrix products cut."""

    def times(x, y):
        return dot(cut(x, DROPPED[arithmetic]), cut(y, DROPPED[arithmetic]))

    a, s = [problem.inputs], []
    with np.errstate(all="ignore"):
        for W, b in zip(problem.weights, problem.biases, strict=True):
            a.append(sigmoid(times(a[-1], W.T) + b))
            s.append(a[-1] * (1 - a[-1]))
        delta = a[-1] - problem.targets
        delta = delta * s[-1] if problem.architecture.loss == "quadratic" else delta
        M = problem.batch if problem.architecture.reduction == "mean" else 1
        delta = delta / np.float32(M) * np.float32(scale)
        found = []
        for i in reversed(range(len(s))):
            found += [delta.sum(axis=0), times(delta.T, a[i]).ravel()]
            if i:
                delta = times(delta, problem.weights[i]) * s[i - 1]
    assert all(g.dtype == np.float32 for g in some(found))
    return np.concatenate([g.astype(np.float64) for g in found[::-1]])


ENGINES = {
    "at once": {},
    "forwards, naive": {"dot": forwards, "sigmoid": naive_sigmoid},
    "backwards, tanh": {"dot": backwards, "sigmoid": tanh_sigmoid},
    "in blocks": {"dot": in_blocks},
}


# ------------------------------------------------------------------------------------- measurement


@cache
def tokens(count=100):
    cases = sample_cases(count, SEED, dtypes=("float32",), max_parameters=150, max_batch=12)
    return [case.token for case in cases]


@cache
def problem_of(token):
    return parse(token).problem()


@cache
def emulated(token, arithmetic):
    return emulated_gradient(problem_of(token), arithmetic)


def ratio(found, token, arithmetic):
    """The greatest distance over bound."""
    gradient, bound = emulated(token, arithmetic)
    distance = np.abs(found - gradient)
    assert not np.isnan(bound).any()
    return np.divide(
        distance, bound, out=np.where(distance > 0, np.inf, 0.0), where=bound > 0
    ).max()


# --------------------------------------------------------------------------------------- the bound


@pytest.mark.parametrize("arithmetic", FORMATS)
@pytest.mark.parametrize("name", ENGINES)
def test_every_summation_order_and_sigmoid_lies_within_the_bound(name, arithmetic):
    ratios = [
        (ratio(engine(problem_of(t), arithmetic, **ENGINES[name]), t, arithmetic), t)
        for t in tokens()
    ]
    worst, token = max(ratios)
    assert worst <= 1, f"{name}: distance / bound = {worst:.3g} at {token}"
    assert worst > 1e-2, f"{name}: distance / bound = {worst:.3g}: the bound says nothing"


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_the_bound_is_many_times_sharper_than_that_of_the_class(arithmetic):
    ratios = []
    for token in tokens():
        _, bound = emulated(token, arithmetic)
        wide = gradient_bound(problem_of(token), arithmetic)
        known = (bound > 0) & np.isfinite(wide)
        ratios.append(wide[known] / bound[known])
    assert np.median(np.concatenate(ratios)) > {"tf32": 20, "bfloat16": 150}[arithmetic]


def test_the_emulated_gradient_is_one_that_its_class_may_give():
    for arithmetic in FORMATS:
        for token in some(tokens()[::4]):
            certified = certified_gradient(problem_of(token))
            gradient, bound = emulated(token, arithmetic)
            distance = np.abs(gradient - certified.gradient)
            wide = gradient_bound(problem_of(token), arithmetic)
            assert (distance <= wide + bound).all()


# --------------------------------------------------------------------------------- planted defects


def fraction_outside(run, arithmetic):
    chosen = [t for t in tokens() if parse(t).corner == "generic" and parse(t).weight_scale <= 10]
    assert len(chosen) > 30
    return np.mean([not ratio(run(problem_of(t)), t, arithmetic) <= 1 for t in chosen])


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_the_exact_gradient_lies_outside(arithmetic):
    assert fraction_outside(lambda p: certified_gradient(p).gradient, arithmetic) > 0.9


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_a_delta_too_large_by_a_thousandth_lies_outside(arithmetic):
    assert fraction_outside(lambda p: engine(p, arithmetic, scale=1.001), arithmetic) > 0.9


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_inputs_that_are_truncated_lie_outside(arithmetic):
    assert fraction_outside(lambda p: engine(p, arithmetic, cut=truncated), arithmetic) > 0.9


def test_one_format_lies_outside_the_bound_of_the_other():
    assert fraction_outside(lambda p: engine(p, "tf32"), "bfloat16") > 0.9
    assert fraction_outside(lambda p: engine(p, "bfloat16"), "tf32") > 0.9


def test_a_bound_that_takes_every_rounded_input_for_certain_is_exceeded(monkeypatch):
    def certain(rounding, x):
        return Bounded(round_to_format(x.x, rounding.R_u), np.zeros_like(x.x))

    monkeypatch.setattr(RoundedProducts, "rounded", certain)
    ratios = []
    for token in tokens():
        gradient, bound = emulated_gradient(problem_of(token), "tf32")
        for changes in ENGINES.values():
            distance = np.abs(engine(problem_of(token), "tf32", **changes) - gradient)
            ratios.append((distance > bound).any())
    assert any(ratios)


# ------------------------------------------------------------------------------------ the rounding


@pytest.mark.parametrize("arithmetic", FORMATS)
def test_numbers_are_rounded_as_by_cutting_bits_subnormals_included(arithmetic):
    bits = np.random.default_rng(0).integers(0, 0x7F000000, 20000, dtype=np.uint32)
    bits[:3000] >>= 8  # small and subnormal
    bits[3000:6000] &= np.uint32(0xFFFFFFFF << (DROPPED[arithmetic] - 1) & 0xFFFFFFFF)  # half way
    x = bits.view(np.float32)
    x = np.concatenate([x, -x])
    expected = to_nearest(x, DROPPED[arithmetic]).astype(np.float64)
    found = round_to_format(x.astype(np.float64), FORMATS[arithmetic].u_g)
    assert np.array_equal(found, expected)
    assert (found != x).mean() > 0.5


def test_numbers_between_those_of_float32_are_rounded_once():
    above_half_way = 1 + 2.0**-8 + 2.0**-40  # float32 would make it a tie, and even
    x = np.array([above_half_way, 2.0**128, -3.4e38, np.inf, 0.0])
    found = round_to_format(x, 2.0**-8)
    assert found.tolist() == [1 + 2.0**-7, np.inf, -np.inf, np.inf, 0.0]


def test_an_interval_that_rounds_to_one_number_is_certain_another_is_a_unit_wide():
    rounding = RoundedProducts.to("bfloat16", Case(dtype="float32").problem())
    x = np.array([1.0, 1 + 2.0**-8, 1 + 2.0**-9, 1.0])
    d = np.array([2.0**-10, 2.0**-20, 2.0**-20, 0.0])
    found = rounding.rounded(Bounded(x, d))
    assert found.x.tolist() == [1, 1, 1, 1]
    assert found.d.tolist() == [0, 2.0**-7, 0, 0]


def test_two_numbers_are_multiplied_as_fractions_say():
    x, y = np.float32(1 / 3), np.float32(0.7)
    near = [Fraction(float(round_to_format(np.float64(v), 2.0**-8))) for v in (x, y)]
    problem = Problem(
        Architecture((1, 1), "cross_entropy", "sum"),
        (np.zeros((1, 1), np.float32),),
        (np.zeros(1, np.float32),),
        x[None, None],
        np.float32([[0.5]]) - np.float32([[0.2]]),
    )
    delta = Fraction(0.5) - Fraction(float(problem.targets[0, 0]))
    gradient, _ = emulated_gradient(problem, "bfloat16")
    rounded_delta = Fraction(float(round_to_format(np.float64(delta), 2.0**-8)))
    assert gradient[0] == float(rounded_delta * near[0])
    assert gradient[1] == float(delta)  # the bias has no product


# ------------------------------------------------------------------------------------------- edges


def test_only_float32_and_formats_that_round_are_taken():
    problem = Case(dtype="float32").problem()
    with pytest.raises(
        ValueError, match="arithmetic='p_minus_y'; it must be one of tf32, bfloat16"
    ):
        emulated_gradient(problem, "p_minus_y")
    with pytest.raises(TypeError, match="arithmetic=8"):
        emulated_gradient(problem, 8)
    with pytest.raises(TypeError, match="problem has dtype float64; engines that round to tf32"):
        emulated_gradient(problem.astype(np.float64), "tf32")


def test_numbers_beyond_the_format_leave_nothing_known():
    big = np.full((1, 1), 3.4e38, np.float32)  # rounds to infinity
    one = np.ones((1, 1), np.float32)
    problem = Problem(Architecture((1, 1)), (big,), (np.zeros(1, np.float32),), one, one)
    _, bound = emulated_gradient(problem, "bfloat16")
    assert np.isposinf(bound).all()


@pytest.mark.nightly
@pytest.mark.parametrize("arithmetic", FORMATS)
def test_engines_lie_within_the_bound_in_a_long_search(arithmetic):
    for case in sample_cases(3000, SEED + 1, dtypes=("float32",), max_parameters=800):
        gradient, bound = emulated_gradient(case.problem(), arithmetic)
        for name, changes in ENGINES.items():
            distance = np.abs(engine(case.problem(), arithmetic, **changes) - gradient)
            assert (distance <= bound).all(), f"{name} at {case.token}"
