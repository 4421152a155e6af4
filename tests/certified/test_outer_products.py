"""Outer products in pairs of floats: the same floats as in balls, settled only for certain."""

import random
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from gradcheck.certified import outer_products
from gradcheck.certified.ball_network import ball_gradient, rounded_gradient
from gradcheck.certified.balls import round_uniquely
from gradcheck.certified.outer_products import Pairs, round_outer
from gradcheck.problems.case import Case


def dyadic_ball(generator, radius):
    """A ball whose middle is of up to 120 bits and often near the middle of two floats."""
    bits = generator.choice([1, 20, 26, 53, 54, 80, 110])
    n = generator.getrandbits(bits) * generator.choice([1, -1])
    exponent = generator.choice([-1074, -900, -300, 0, 5, 300, 880])
    middle = arb((n, exponent - max(n.bit_length(), 1)))
    return arb(middle, abs(middle) * radius) if generator.random() < 0.7 else middle


def vectors(seed, radius, count=40):
    generator = random.Random(seed)  # noqa: S311 - nothing secret
    return [[dyadic_ball(generator, radius) for _ in range(count)] for _ in range(2)]


def in_balls(x, y):
    """The products as balls, which hold every product of numbers of x and y."""
    return [a * b for a in x for b in y]


# --- against balls --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("radius_bits", [50, 56, 70, 100, 120])
def test_what_is_settled_is_the_float_that_the_balls_settle_on(seed, radius_bits):
    with ctx.workprec(300):
        x, y = vectors(seed, arb((1, -radius_bits)))
        mine, theirs = round_outer(x, y), round_uniquely(in_balls(x, y))
    assert (mine.settled == theirs.settled).all()
    assert np.array_equal(mine.value, theirs.value, equal_nan=True)
    assert np.array_equal(mine.bound == 0, theirs.bound == 0)
    assert np.array_equal(mine.bound, theirs.bound)
    assert (mine.bits <= theirs.bits).all()
    assert mine.settled.any()
    assert radius_bits > 56 or not mine.settled.all()


def test_a_product_half_way_between_two_floats_is_rounded_to_even_where_it_is_exact():
    odd = Fraction(2**53 - 1) * Fraction(2**27 + 1)  # 81 bits
    ties = [(arb(1 + 2.0**-27), arb(1 + 2.0**-26)), (arb(3), arb(2.0**52 + 1)), (arb(5), arb(0.1))]
    for a, b in ties:
        rounded = round_outer([a], [b])
        assert rounded.settled.all()
        assert rounded.value[0] == float(a) * float(b)
        exact = Fraction(float(a)) * Fraction(float(b))
        assert (rounded.bound[0] == 0) == (Fraction(rounded.value[0]) == exact)
    assert round_outer([arb(2.0**53 - 1)], [arb(2.0**27 + 1)]).value[0] == float(odd)


def test_a_ball_around_the_middle_of_two_floats_is_not_settled_nor_is_one_beside_it_too_wide():
    with ctx.workprec(200):
        middle = arb(1) + arb((1, -53))
        for offset, settled in ((0, False), (-99, False), (-98, True)):
            x = arb(middle + (arb((1, offset)) if offset else 0), arb((1, -99)))
            assert round_outer([x], [arb(1)]).settled[0] == settled


def test_a_power_of_two_has_the_nearer_float_below_it():
    with ctx.workprec(200):
        x = 1 - arb((1, -54)) - arb((1, -70))  # beyond a quarter of the spacing above 1
        rounded = round_outer([arb(x, arb((1, -90)))], [arb(1)])
        assert rounded.settled[0]
        assert rounded.value[0] == np.nextafter(1.0, 0)


def test_a_ball_that_reaches_half_way_below_a_power_of_two_is_not_settled():
    """The floats below 1 are half as far apart as those above."""
    with ctx.workprec(200):
        for inside, settled in (((1, -61), False), ((1, -56), True)):
            middle = 1 - arb((1, -54)) + arb(inside)  # rounds to 1
            for sign in (1, -1):
                rounded = round_outer([arb(sign * middle, arb((1, -60)))], [arb(1)])
                assert rounded.settled[0] == settled
                assert rounded.value[0] == sign or not settled


@pytest.mark.parametrize("exponent", [-900, -990, -1010])
def test_a_product_whose_rounding_error_underflows_is_not_called_exact(exponent):
    """(1 + v)^2 2^e, v = 2^-52: the error v^2 2^e of its float is no float from 2^-970 down."""
    x = arb(np.ldexp(1 + 2.0**-52, exponent // 2))
    with ctx.workprec(200):
        rounded = round_outer([x], [x])
    assert rounded.settled[0]
    assert rounded.value[0] == np.ldexp(1 + 2.0**-51, exponent)
    assert rounded.bound[0] == np.spacing(rounded.value[0]) / 2


def test_zero_is_exact_beside_any_finite_ball_and_nothing_beside_one_that_is_not():
    x = [arb(0), arb(1, 1e-30)]
    y = [arb(0), arb(3, 1e-20), arb(0, 1), arb("nan"), arb("inf")]
    rounded = round_outer(x, y)
    first = slice(0, 3)
    assert rounded.value[first].tolist() == [0, 0, 0]
    assert rounded.bound[first].tolist() == [0, 0, 0]
    assert np.isposinf(rounded.bits[first]).all()
    assert rounded.settled[first].all()
    assert not rounded.settled[3:5].any()
    assert np.isnan(rounded.value[3:5]).all()
    assert rounded.settled[5]
    assert (rounded.value[5], rounded.bound[5], rounded.bits[5]) == (0, 0, np.inf)
    assert not np.signbit(rounded.value[rounded.value == 0]).any()


def test_a_radius_that_underflows_does_not_make_a_ball_a_number():
    tiny = arb(0, arb((1, -1200)))
    pairs = Pairs.of([tiny, arb(0), arb(1, arb((1, -1200))), arb(0.5)])
    assert pairs.is_float.tolist() == [False, True, False, True]
    assert round_outer([tiny], [arb(1)]).bound[0] > 0


# --- the error of the pairs -----------------------------------------------------------------------


def test_the_middle_of_a_product_is_within_its_bound_and_no_tighter_than_a_hundredth():
    generator = random.Random(3)  # noqa: S311 - nothing secret
    with ctx.workprec(400):
        x, y = ([arb(generator.getrandbits(400)) / 3 for _ in range(60)] for _ in range(2))
        X, Y = Pairs.of(x), Pairs.of(y)
        w, t, d = outer_products._products(X, Y)
        errors = np.array(
            [
                float(abs(a * b - float(w[i, j]) - float(t[i, j])).upper())
                for i, a in enumerate(x)
                for j, b in enumerate(y)
            ]
        ).reshape(w.shape)
    assert (errors <= d).all()
    assert (errors / d).max() > 0.05


def test_a_bound_that_forgets_the_second_float_is_seen(monkeypatch):
    def forgetful(X, Y):
        return true(X._replace(l=0 * X.l), Y)

    true = outer_products._products
    with ctx.workprec(300):
        x, y = vectors(0, arb((1, -100)))
        right = round_uniquely(in_balls(x, y)).value
        monkeypatch.setattr(outer_products, "_products", forgetful)
        assert not np.array_equal(round_outer(x, y).value, right, equal_nan=True)


# --- of gradients ---------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("corner", [None, "zero_weights", "zero_feature"])
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_a_gradient_of_one_example_is_that_of_its_balls(loss, corner, scale):
    changes = {} if corner is None else {"corner": corner}
    problem = Case(sizes=(60, 50, 40, 2), loss=loss, weight_scale=scale, **changes).problem()
    rounded = rounded_gradient(problem, precision=128)
    with ctx.workprec(128):
        balls, loss_ball = ball_gradient(problem, precision=128)[::-1]
        expected = round_uniquely([*balls, loss_ball])
    assert rounded.settled.tolist() == expected.settled.tolist()
    assert np.array_equal(rounded.value, expected.value)
    assert np.array_equal(rounded.bound, expected.bound)
    assert (rounded.bits <= expected.bits).all()
    assert rounded.bits.min() >= min(100, expected.bits.min() - 4)


def test_no_ball_is_made_for_a_weight_of_a_single_example(monkeypatch):
    problem = Case(sizes=(100, 90, 1)).problem()
    counts = []

    def counted(balls):
        counts.append(len(balls))
        return round_uniquely(balls)

    monkeypatch.setattr("gradcheck.certified.ball_network.round_uniquely", counted)
    monkeypatch.setattr("gradcheck.certified.outer_products.round_uniquely", counted)
    rounded = rounded_gradient(problem, precision=128)
    assert len(rounded.value) == 9000 + 90 + 90 + 1 + 1
    assert sum(counts) == 90 + 90 + 1 + 1  # biases, the second layer, the loss
