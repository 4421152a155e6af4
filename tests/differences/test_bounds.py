"""Bounds: read in any dress, held coordinate by coordinate, and told where they cannot be."""

import numpy as np
import pytest

from gradcheck.differences.bounds import Bounds, read_bounds
from gradcheck.differences.finite_difference import finite_difference
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.outcomes.estimate import Status
from gradcheck.pytree import structure_of
from gradcheck.splitmix64 import Stream

X = {"w": np.array([[0.0, 0.5], [1.0, 2.0]]), "b": np.array(0.25, dtype=np.float32)}


def read(bounds, x=X):
    return read_bounds(bounds, x, structure_of(x))


def test_numbers_none_and_structures_are_bounds():
    assert read(None) is None
    for bounds in [(0, 2), [0.0, np.float64(2)], ({"w": np.zeros((2, 2)), "b": np.array(0.0)}, 2)]:
        found = read(bounds)
        np.testing.assert_array_equal(found.lower, np.zeros(5))
        np.testing.assert_array_equal(found.upper, np.full(5, 2.0))
    assert (read((None, 2)).lower == -np.inf).all()
    assert (read((0, None)).upper == np.inf).all()


def test_arrays_are_taken_by_name_whatever_their_order():
    lower = {"b": np.array(0.25), "w": np.array([[0.0, -1.0], [-2.0, -3.0]])}
    np.testing.assert_array_equal(read((lower, None)).lower, [0.0, -1.0, -2.0, -3.0, 0.25])


def test_a_bound_is_rounded_as_its_array_is():
    x = np.array([0.1], dtype=np.float32)
    assert read((0, 0.1), x).upper[0] == float(np.float32(0.1)) > 0.1


@pytest.mark.parametrize(
    ("bounds", "told"),
    [
        (3, r"bounds must be a pair \(lo, hi\)"),
        ((1, 2, 3), r"bounds must be a pair"),
        ((0, np.nan), r"bounds\[1\] is nan at w"),
        ((np.zeros(2), 2), r"bounds\[0\] is an array of shape \(2,\), but must be a dict, like x"),
        (
            ({"w": 0.0, "b": 0.0}, 2),
            r"bounds\[0\] has arrays of shapes \{'w': \(\), .*but x has \{'w",
        ),
        ((0.1, 2), r"x must be within bounds, but w\[0,0\] = 0.0 is below lo = 0.1"),
        ((None, 1), r"x must be within bounds, but w\[1,1\] = 2.0 is above hi = 1.0"),
        ((3, 2), r"bounds: lo = 3.0 is above hi = 2.0 at w\[0,0\]"),
    ],
)
def test_what_is_no_bound_is_said(bounds, told):
    with pytest.raises(ValueError, match=told):
        read(bounds)


def test_a_side_is_taken_only_where_both_have_no_room():
    bounds = Bounds(np.zeros(4), np.ones(4))
    x = np.array([0.0, 1e-6, 0.5, 1.0])
    sides = bounds.sides(x, np.ones(4), np.full(4, 2.0**-52))
    assert sides.tolist() == [1, 1, 0, -1]
    np.testing.assert_array_equal(bounds.room(x, sides), [1.0, 1 - 1e-6, 0.5, 1.0])


@pytest.mark.parametrize(
    ("side", "room"),
    [(0, [0.25, 0.25, np.inf]), (-1, [0.25, 0.75, np.inf]), (1, [0.75, 0.25, np.inf])],
)
def test_the_room_is_that_of_the_side_or_the_lesser_of_both(side, room):
    bounds = Bounds(np.array([0.0, 0.0, -np.inf]), np.array([1.0, 1.0, np.inf]))
    x = np.array([0.25, 0.75, 0.5])
    assert bounds.room(x, np.full(3, side)).tolist() == room


def test_a_line_of_samples_is_moved_inside():
    bounds = Bounds(np.zeros(3), np.ones(3))
    origin, reach = np.array([0.0, 0.5, 1.0]), np.full(3, 2.0**-10)
    fitted = bounds.fit(origin, reach)
    np.testing.assert_array_equal(fitted, [2.0**-8, 0.5, 1 - 2.0**-8])


@pytest.mark.parametrize("size", [1.0, 3.0])
def test_the_room_that_is_wanted_is_four_steps_of_the_fifth_root_of_epsilon(size):
    eps, room = 2.0**-50, size * 2.0**-8
    wide, narrow = room * (1 + 1e-9), room * (1 - 1e-9)
    lower = np.array([wide, narrow, 9, narrow, 9, wide])
    upper = np.array([wide, 9, narrow, narrow, wide, 9])
    bounds = Bounds(-lower, upper)
    sides = bounds.sides(np.zeros(6), np.full(6, size), np.full(6, eps))
    assert sides.tolist() == [0, 1, -1, 1, 0, 0]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("lower", "upper", "origin", "fitted"),
    [
        (0.0, 100.0, 3.0, 4.0),
        (0.0, 100.0, 3.5, 4.5),  # by a whole reach, where half of it would do
        (0.0, 100.0, 4.0, 4.0),
        (0.0, 100.0, 1.9, 4.9),
        (0.0, 100.0, 96.0, 96.0),
        (0.0, 100.0, 96.5, 95.5),
        (0.0, 100.0, 98.1, 95.1),
        (-np.inf, 100.0, 98.1, 95.1),
        (0.0, np.inf, 1.9, 4.9),
    ],
)
def test_a_line_is_moved_by_whole_reaches_and_no_further(lower, upper, origin, fitted, sign):
    bounds = Bounds(np.array([lower]), np.array([upper]))
    assert bounds.fit(np.array([origin]), np.array([sign * 1.0])) == pytest.approx(fitted)


@pytest.mark.parametrize("x", [0.0, 1e-12, 1e-5, 0.3, 1 - 1e-9, 1.0])
@pytest.mark.parametrize(
    ("f", "slope"), [(np.exp, np.exp), (np.sin, np.cos), (lambda t: t**1.5, lambda t: 1.5 * t**0.5)]
)
def test_one_sided_differences_hold_the_derivative_within_their_bound(f, slope, x):
    def fenced(v):
        assert 0 <= v[0] <= 1
        return float(f(v[0]))

    at = np.array([x])
    lines = Lines(fenced, at, bounds=read((0, 1), at))
    estimate = finite_difference(lines, estimate_noise(lines, Stream(0, "test")))
    if estimate.status[0] == Status.RESOLVED:
        assert abs(estimate.value[0] - slope(x)) <= estimate.bound[0]
    assert (estimate.status[0] == Status.RESOLVED) or f not in (np.exp, np.sin)
    assert not lines.undefined.count


def test_a_coordinate_that_its_bounds_hold_fast_has_no_derivative():
    x = np.array([0.5, 0.5])
    bounds = read((np.array([0.5, 0.0]), np.array([0.5, 1.0])), x)
    lines = Lines(lambda v: float(np.sum(np.exp(v))), x, bounds=bounds)
    estimate = finite_difference(lines, estimate_noise(lines, Stream(0, "test")))
    assert estimate.status.tolist() == [Status.UNDEFINED, Status.RESOLVED]
