"""Limits and epsilons are fitted: the interval that gives all numbers, or the number itself."""

import re
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from test_missing_formulas import engine, residual, some, told

from gradcheck.diagnosis.families import FAMILIES
from gradcheck.diagnosis.formula import HIDDEN, OUTPUT
from gradcheck.diagnosis.peel import _fits
from gradcheck.diagnosis.probes import seen_once
from gradcheck.diagnosis.thresholds import deviations, fitted, narrowed, options, told_limit
from gradcheck.mutants.backprop import Backprop, sigmoid, sigmoid_prime
from gradcheck.problems.case import parse

CROSS = "gc1:3-4-5-2:cross_entropy:mean:m6:float64:w10:generic:soft:s1"
SQUARES = CROSS.replace("cross_entropy", "quadratic")
HARD = CROSS.replace("soft", "binary")
MILD = "gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s0"
CLASS = "cancellation_free"
LIMIT = 7.0
BETWEEN = re.compile(r"between ([0-9.e+-]+) and ([0-9.e+-]+)")


def z(b):
    return b.z[b.L]


def error(value):
    """An engine whose delta_L is that, over M."""
    return engine(output_error=lambda b: value(b) / b.M, arithmetic="p_minus_y")


def slope_below(value):
    return engine(slope=lambda b, k: value(b.z[k]))


def by_a(b, one, other):
    """The chain rule with other derivatives -Y / one + (1 - Y) / other by a_L."""
    return (-b.Y / one + (1 - b.Y) / other) * sigmoid_prime(z(b))


STEPS = {
    "delta_3 is 0 where |z_3| is beyond":
        (CROSS, error(lambda b: np.where(np.abs(z(b)) > LIMIT, 0, residual(b)))),
    "delta_3 is 0 where z_3 is beyond":
        (CROSS, error(lambda b: np.where(z(b) > LIMIT, 0, residual(b)))),
    "delta_3 is 0 where -z_3 is beyond":
        (CROSS, error(lambda b: np.where(-z(b) > LIMIT, 0, residual(b)))),
    "delta_3 has 0 or 1 for a_3 where |z_3| is beyond":
        (CROSS, error(lambda b: np.where(np.abs(z(b)) > LIMIT, z(b) > 0, b.a[b.L]) - b.Y)),
    "delta_3 has 0 or 1 for a_3 where z_3 is beyond":
        (SQUARES, engine(residual=lambda b: np.where(z(b) > LIMIT, 1 - b.Y, Backprop.residual(b)))),
    "delta_2 is 0 where |z_2| is beyond":
        (CROSS, slope_below(lambda z: np.where(np.abs(z) > LIMIT, 0, sigmoid_prime(z)))),
    "delta_2 has 1 for sigmoid'(z_2) where z_2 is beyond":
        (CROSS, slope_below(lambda z: np.where(z > LIMIT, 1, sigmoid_prime(z)))),
}  # fmt: skip


def all_told(token, wrong, most=2):
    """What is said of the first problems where something is beyond a limit."""
    every = (told(token.replace(":s1", f":s{seed}"), wrong) for seed in range(1, 9))
    return list(islice(filter(None, every), most))


@pytest.mark.parametrize("name", some(STEPS))
def test_the_interval_of_a_limit_has_the_limit_in_it(name):
    every = all_told(*STEPS[name])
    assert len(every) == 2
    for said in every:
        first = said.partition("; expected")[0]
        assert name in first, said
        low, high = map(float, BETWEEN.search(first).groups())
        assert low <= LIMIT < high


@pytest.mark.parametrize("label", [0, 1])
def test_a_limit_for_one_label_only_is_told_with_the_label(label):
    hit = lambda b: (np.abs(z(b)) > LIMIT) & (label == b.Y)  # noqa: E731
    token = HARD.replace(":s1", ":s4")
    said = told(token, error(lambda b: np.where(hit(b), 0, Backprop.residual(b))))
    assert re.search(rf"delta_3 is 0 where .* and Y = {label}( \(or so\))?; expected", said), said


def clip(b, low, high):
    return np.clip(b.a[b.L], low, high)


def clipped_chain(b, e):
    a = clip(b, e, 1 - e)
    return by_a(b, a, 1 - a)


def clipped_squares(b, e):
    a = clip(b, e, 1 - e)
    return residual(b) * a * (1 - a)


NUMBERS = {
    "a_2 (1 - a_2) + {e} in its denominator":
        lambda b, e: residual(b) * sigmoid_prime(z(b)) / (sigmoid_prime(z(b)) + e),
    "a_2 + e and 1 - a_2 + e, e = {e}, in the denominators of dC/da_2":
        lambda b, e: by_a(b, b.a[b.L] + e, sigmoid(-z(b)) + e),
    "a_2 + {e} in the denominator of -Y / a_2":
        lambda b, e: by_a(b, b.a[b.L] + e, sigmoid(-z(b))),
    "1 - a_2 + {e} in the denominator of (1 - Y) / (1 - a_2)":
        lambda b, e: by_a(b, b.a[b.L], sigmoid(-z(b)) + e),
    "a_2 + {e} for a_2 in the denominators of dC/da_2":
        lambda b, e: by_a(b, b.a[b.L] + e, sigmoid(-z(b)) - e),
}  # fmt: skip


@pytest.mark.parametrize("name", some(NUMBERS))
@pytest.mark.parametrize("e", some([3e-5, 1e-7, 1e-8, 0.02]))
def test_an_epsilon_is_solved_for(name, e):
    said = told(MILD, error(lambda b: NUMBERS[name](b, e)))
    assert said.startswith(f"layer 2: delta_2 has {name.format(e=f'{e:.4g}')}"), said


@pytest.mark.parametrize("e", some([2.0**-52, 2.0**-23, float(np.float32(1e-7)), 1e-12]))
def test_the_smallest_epsilons_are_found_where_units_are_saturated(e):
    wrong = error(lambda b: NUMBERS["a_2 (1 - a_2) + {e} in its denominator"](b, e))
    said = told(MILD.replace("w1:", "w30:").replace(":s0", ":s2"), wrong)
    assert f"a_2 (1 - a_2) + {e:.4g} in its denominator" in said, said


def rounded_logarithms(b, e):
    a = b.a[b.L]
    return ((1 - b.Y) / (1 - a + e) - b.Y / (a + e)) * a * (1 - a)


def test_an_epsilon_that_saturated_units_leave_open_is_told_as_such():
    """1 - a is 0, and so is the whole, whatever e is."""
    at = "gc1:1-1:cross_entropy:mean:m1:float64:w30:generic:zeros:s4"
    said = told(at, error(lambda b: rounded_logarithms(b, 1e-8)))
    name = "a_1 + e and 1 - a_1 + e, e = a number that this problem does not tell, e.g. 1e-07, in"
    assert name in said, said


CLIPS = {
    "a_3 clipped to [{e}, 1 - {e}];": (CROSS, lambda b, e: clip(b, e, 1 - e) - b.Y),
    "a_3 clipped to [{e}, 1];": (CROSS, lambda b, e: clip(b, e, 1) - b.Y),
    "a_3 clipped to [0, 1 - {e}];": (CROSS, lambda b, e: clip(b, 0, 1 - e) - b.Y),
    "a_3 clipped to [{e}, 1 - {e}] in its denominator": (CROSS, clipped_chain),
    "a_3 clipped to [{e}, 1 - {e}] in sigmoid'(z_3)": (SQUARES, clipped_squares),
}


@pytest.mark.parametrize("name", some(CLIPS))
@pytest.mark.parametrize("e", [1e-3, 0.0123])
def test_where_a_is_clipped_is_solved_for(name, e):
    token, value = CLIPS[name]
    [said] = all_told(token, error(lambda b: value(b, e)), most=1)
    assert said.startswith(f"layer 3: delta_3 has {name.format(e=f'{e:.4g}')}"), said


def test_a_clipped_slope_is_told_by_z_by_a_or_by_its_floor_whichever_is_a_usual_number():
    for value, name in (
        (lambda z: sigmoid_prime(np.clip(z, -5, 5)), "z_2 clipped to [-5, 5] in sigmoid'(z_2)"),
        (lambda z: np.maximum(sigmoid_prime(z), 0.01), "max(sigmoid'(z_2), 0.01) for"),
        (lambda z: sigmoid_prime(np.clip(z, -np.log(999), np.log(999))), "a_2 clipped to [0.001,"),
    ):
        assert f"delta_2 has {name}" in told(CROSS, slope_below(value))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("a_2 - Y clipped to [-0.25, 0.25]", lambda b: np.clip(residual(b), -0.25, 0.25)),
        ("a_2 - Y clipped to [-0.37, 0.37]", lambda b: np.clip(residual(b), -0.37, 0.37)),
    ],
)
def test_a_clipped_residual_is_named(name, value):
    assert told(MILD, error(value)).startswith(f"layer 2: delta_2 has {name}")


def test_clipped_flushed_and_scaled_errors_are_named():
    def changed(value):
        return engine(output_error=lambda b: value(Backprop.output_error(b)))

    def scaled(d):
        return d * np.minimum(1, 0.1 / np.linalg.norm(d, axis=1, keepdims=True))

    for value, name in (
        (lambda d: np.clip(d, -0.05, 0.05), "is clipped to [-0.05, 0.05]|a_2 - Y clipped to"),
        (lambda d: np.where(np.abs(d) < 0.02, 0, d), "is 0 where it is below a limit between"),
        (lambda d: np.where(np.abs(d) > 0.05, 0, d), "is 0 where it is beyond a limit between"),
        (scaled, "has each example scaled to a norm of 0.1 at most"),
    ):
        said = told(MILD, changed(value))
        assert re.search("|".join(map(re.escape, name.split("|"))), said), said


@pytest.mark.parametrize(("e", "f"), some([(1e-7, 1e-8), (1e-8, 1e-7), (1e-12, 1e-6)]))
def test_a_clip_that_is_not_symmetric_is_found(e, f):
    token = "gc1:3-4-5:cross_entropy:mean:m6:float64:w100:generic:soft:s1"
    said = told(token, error(lambda b: clip(b, e, 1 - f) - b.Y))
    assert said.startswith(f"layer 2: delta_2 has a_2 clipped to [{e:g}, 1 - {f:g}]; exp"), said


@pytest.mark.parametrize(("r", "name"), some([(0, "0"), (-1, "-1"), (1.5, "1.5")]))
def test_one_wrong_entry_of_the_weights_on_the_way_back_is_found(r, name):
    def passed_down(b, k):
        W = b.W[k + 1].copy()
        W[1, 2] *= r if k == 2 else 1
        return b.delta[k + 1] @ W

    said = told(CROSS.replace("w10", "w1"), engine(passed_down=passed_down))
    told_so = f"delta_2 has W_3 with one wrong entry, [1, 2], {name} times it; expected"
    assert said.startswith(f"layer 2: {told_so}"), said


# --- with the digits that engines have ------------------------------------------------------------


def by_logarithms(b):
    """As everybody writes it: 1 - a has few digits where a is near 1."""
    a = 1 / (1 + np.exp(-z(b)))
    return (-b.Y / (a + 1e-8) + (1 - b.Y) / (1 - a + 1e-8)) * a * (1 - a)


@pytest.mark.by_day(2)
@pytest.mark.parametrize(
    "token",
    [
        "gc1:6-12-2:cross_entropy:mean:m11:float64:w30:generic:soft:s3865822113",
        "gc1:4-2-1-6-5:cross_entropy:sum:m12:float64:w10:generic:one_hot:s2223704800",
        "gc1:2-6-5:cross_entropy:mean:m3:float32:w30:generic:soft:s2029130982",
        "gc1:1-5-1-1:cross_entropy:mean:m5:float64:w30:generic:half:s756254428",
        "gc1:2-5-5:cross_entropy:sum:m4:float64:w3:zero_weights:zeros:s4091231577",
    ],
)
def test_an_epsilon_is_found_where_1_minus_a_has_few_digits(token):
    said = told(token, error(by_logarithms))
    assert "a + e and 1 - a" in re.sub(r"_[0-9]", "", said.partition("; expected")[0]), said
    assert "e = 1e-08" in said


def test_a_formula_that_is_infinite_explains_nothing():
    seen = seen_of(error(by_logarithms), HARD)
    s = seen.symbols.right()
    infinite = np.full_like(s.delta[s.L], np.inf)
    assert not seen.fits(s.L, 0, infinite.T @ s.a[s.L - 1])
    assert not _fits(s, s.L, infinite[None], seen).any()


# --- the fit itself -------------------------------------------------------------------------------


def seen_of(wrong, token=CROSS):
    return seen_once(wrong, parse(token).problem(), CLASS)


def family(key, place=OUTPUT):
    return next(f for f in FAMILIES if (f.key, f.place) == (key, place))


ZERO = family("0 where saturated")


def test_a_right_layer_has_no_limit():
    seen = seen_of(Backprop())
    s = seen.symbols.right()
    assert [fitted(f.formula(), s, s.L, seen) for f in FAMILIES if f.place == OUTPUT] == [
        None
    ] * sum(f.place == OUTPUT for f in FAMILIES)


def test_all_limits_of_the_interval_give_the_numbers_and_none_outside_does():
    seen = seen_of(STEPS["delta_3 is 0 where |z_3| is beyond"][1])
    s = seen.symbols.right()
    low, high = fitted(ZERO.formula(), s, s.L, seen).span
    sizes = np.abs(s.z[s.L])
    assert np.any(sizes == low)
    assert np.any(sizes == high)
    inside = np.array([low, (low + high) / 2, high * (1 - 1e-12)])
    assert np.all(deviations(ZERO, s, s.L, seen, inside) <= 1)
    assert np.all(deviations(ZERO, s, s.L, seen, np.array([low * (1 - 1e-12), high])) > 1)


def test_many_sizes_are_searched_in_rounds():
    token = "gc1:2-3-4:cross_entropy:mean:m40:float64:w10:generic:soft:s1"
    seen = seen_of(STEPS["delta_3 is 0 where |z_3| is beyond"][1], token)
    s = seen.symbols.right()
    low, high = fitted(ZERO.formula(), s, s.L, seen).span
    assert low <= LIMIT < high
    assert high - low < 1


def test_other_problems_narrow_a_limit_and_contradict_a_false_one():
    wrong = STEPS["delta_3 is 0 where |z_3| is beyond"][1]
    seen = [seen_of(wrong, CROSS.replace(":s1", f":s{k}")) for k in range(1, 9)]
    s = seen[0].symbols.right()
    first = fitted(ZERO.formula(), s, s.L, seen[0])
    low, high = narrowed(first, s.L, seen[1:]).span
    assert first.span[0] <= low <= LIMIT < high <= first.span[1]
    assert high - low < first.span[1] - first.span[0]
    other = error(lambda b: np.where(np.abs(z(b)) > 2, 0, residual(b)))
    others = [seen_of(other, CROSS.replace(":s1", f":s{k}")) for k in (3, 4)]
    assert narrowed(first, s.L, others) is None


def test_a_problem_that_is_right_narrows_a_limit_from_below():
    wrong = STEPS["delta_3 is 0 where |z_3| is beyond"][1]
    seen = seen_of(wrong)
    s = seen.symbols.right()
    wide = replace(fitted(ZERO.formula(), s, s.L, seen), span=(0.0, 50.0))
    right = seen_of(wrong, CROSS.replace("w10", "w1"))
    assert not right.is_wrong
    low, _ = narrowed(wide, s.L, [right]).span
    assert low == np.abs(right.symbols.z[s.L]).max()


def test_options_are_the_limits_that_a_problem_tells_apart():
    s = seen_of(Backprop()).symbols.right()
    sizes = np.sort(np.abs(s.z[s.L]).ravel())
    formula = ZERO.at(2.0, (sizes[1], sizes[4]))
    values = [option.value(s, s.L) for option in options(formula, s, s.L)]
    assert [int(np.sum(v == 0)) for v in values] == [sizes.size - k for k in (2, 3, 4)]


def test_a_limit_is_told_as_an_interval_a_number_or_with_an_example():
    assert told_limit((14.2, 15.9), 15.0, is_step=True) == (
        "a limit between 14.2 and 15.9, e.g. 15"
    )
    assert told_limit((14.2, 14.9), 14.5678, is_step=True) == "a limit between 14.2 and 14.9"
    assert told_limit((0.0, 3.0), 1.0, is_step=True) == "a limit below 3, e.g. 1"
    assert told_limit((14.21, 14.22), 14.215, is_step=True) == "14.21"
    assert told_limit((0.9e-8, 1.1e-8), 1e-8, is_step=False) == "1e-08"


@pytest.mark.parametrize("place", [OUTPUT, HIDDEN])
def test_every_family_has_shape_and_number_of_the_limits(place):
    for loss in (CROSS, SQUARES):
        s = seen_of(Backprop(), loss).symbols.right()
        layer = s.L if place == OUTPUT else 2
        shapes = {
            f.delta(s, layer, np.full((3, 1, 1), 0.01)).shape
            for f in FAMILIES
            if f.place == place and f.delta(s, layer, np.full((3, 1, 1), 0.01)) is not None
        }
        assert shapes == {(3, *s.z[layer].shape)}
