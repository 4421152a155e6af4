"""Balls: exact numbers go in bit for bit, and a float comes out only where it is the nearest."""

import random
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from gradcheck.certified.balls import (
    SMALLEST,
    entrywise,
    exact_matrix,
    require_bits,
    round_uniquely,
)


def dice(seed):
    return random.Random(seed)  # noqa: S311 - nothing secret, and getrandbits goes beyond 64


def exactly(fraction):
    """A dyadic fraction as a ball of radius 0."""
    return arb((fraction.numerator, 1 - fraction.denominator.bit_length()))


def dyadic(generator):
    """A random dyadic fraction, often half way between two floats, often subnormal, or beyond."""
    bits = generator.choice([1, 20, 53, 54, 55, 80, 120])
    mantissa = generator.getrandbits(bits) * generator.choice([1, -1])
    if generator.random() < 0.5:
        mantissa = mantissa * 2**60 + generator.choice([-1, 0, 1])
    size = generator.choice([-1074, -1070, -1022, -500, 0, 500, 1000])
    return Fraction(mantissa) * Fraction(2) ** (size - mantissa.bit_length() + 5)


def relative_ball(midpoint, bits):
    return arb(midpoint, abs(midpoint) * arb((1, -bits)))


# --- exact numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
def test_numbers_enter_bit_for_bit_whatever_the_precision(dtype):
    X = (np.random.default_rng(0).normal(size=(5, 3)) / 3).astype(dtype)
    X[0] = [np.finfo(dtype).max, np.finfo(dtype).smallest_subnormal, -0.0]
    X[1, 0] = np.nextafter(dtype(1), dtype(2))
    with ctx.workprec(10):
        balls = exact_matrix(X).entries()
    for number, ball in zip(X.ravel(), balls, strict=True):
        assert ball.is_exact()
        assert ball == exactly(Fraction(*number.as_integer_ratio()))


def test_a_transposed_array_keeps_its_rows():
    X = np.arange(6.0).reshape(2, 3)
    assert exact_matrix(X.T).tolist() == [[0, 3], [1, 4], [2, 5]]


def test_entrywise_pairs_the_entries():
    A, B = exact_matrix(np.array([[1.0, 2.0]])), exact_matrix(np.array([[3.0, 5.0]]))
    assert entrywise(arb.__sub__, A, B).tolist() == [[-2, -3]]


# --- rounding -------------------------------------------------------------------------------------


def test_exact_balls_round_to_nearest_ties_to_even_subnormals_included():
    generator = dice(0)
    fractions = [dyadic(generator) for _ in range(2000)]
    with ctx.workprec(200):
        rounded = round_uniquely([exactly(x) for x in fractions])
    assert rounded.settled.all()
    assert rounded.value.tolist() == [float(x) for x in fractions]


def test_the_bound_holds_and_is_0_only_where_the_float_is_the_number():
    generator = dice(1)
    fractions = [dyadic(generator) for _ in range(2000)]
    with ctx.workprec(200):
        rounded = round_uniquely([exactly(x) for x in fractions])
    for x, value, bound in zip(fractions, rounded.value, rounded.bound, strict=True):
        assert abs(Fraction(value) - x) <= Fraction(bound)
        assert (bound == 0) == (Fraction(value) == x)


@pytest.mark.parametrize("bits", [20, 50, 53, 54, 60, 100])
def test_what_is_settled_is_the_nearest_float_to_every_number_of_the_ball(bits):
    generator = dice(bits)
    with ctx.workprec(150):
        fractions = [x for x in (dyadic(generator) for _ in range(1000)) if x]
        balls = [relative_ball(exactly(x), bits) for x in fractions]
        rounded = round_uniquely(balls)
        assert (rounded.bits >= bits - 2).all()
        assert (rounded.bits <= bits).all()
    radius = Fraction(2) ** -bits
    for x, value, settled, bound in zip(
        fractions, rounded.value, rounded.settled, rounded.bound, strict=True
    ):
        ends = x - abs(x) * radius, x + abs(x) * radius
        assert not settled or float(ends[0]) == float(ends[1]) == value
        assert all(abs(Fraction(value) - end) <= Fraction(bound) for end in ends)
    assert not rounded.settled.all()  # numbers half way between two floats are among them
    assert (rounded.settled.mean() > 0.5) == (bits > 53)


def test_a_ball_below_half_the_smallest_float_is_0_but_not_exactly():
    with ctx.workprec(64):
        value, bound, bits, settled = round_uniquely([arb(0), arb(0, arb((1, -1100)))])
    assert value.tolist() == [0, 0]
    assert not np.signbit(value).any()
    assert bound.tolist() == [0, SMALLEST]
    assert bits.tolist() == [np.inf, 0]
    assert settled.all()


@pytest.mark.parametrize(
    "ball",
    [arb("nan"), arb("inf"), 1 / arb(0, 1), arb((1, 1024)), arb((-1, 5000)), arb("1e400", 1)],
)
def test_nothing_finite_known_is_nan_with_an_infinite_bound(ball):
    value, bound, _, settled = round_uniquely([ball])
    assert np.isnan(value[0])
    assert bound[0] == np.inf
    assert not settled[0]


def test_a_radius_that_reaches_the_ends_of_float64_is_not_settled():
    value, bound, _, settled = round_uniquely([arb(1, arb((1, 1000)))])
    assert value[0] == 1
    assert 2.0**1000 <= bound[0] < np.inf
    assert not settled[0]


# --- edges ----------------------------------------------------------------------------------------


def test_bad_precisions_are_named():
    with pytest.raises(TypeError, match=r"precision=1.5; it must be a whole number of bits"):
        require_bits("precision", 1.5)
    with pytest.raises(ValueError, match="max_precision=64; it must be at least 128 bits"):
        require_bits("max_precision", 64, 128)
    assert require_bits("precision", np.int64(64)) == 64
