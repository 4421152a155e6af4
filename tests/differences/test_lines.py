"""Lines count every forward pass, and put x back bit for bit."""

from typing import Any, NamedTuple

import numpy as np
import pytest

from gradcheck.differences.bounds import read_bounds
from gradcheck.differences.lines import BudgetSpentError, InputChangedError, Lines
from gradcheck.outcomes.ending import EndsCheckError
from gradcheck.pytree import structure_of

AXES = np.array([0, 2, 3])
OFFSETS = np.array([0.25, -0.5, 1.0])


class Pair(NamedTuple):
    w: Any
    b: Any


class Counted:
    """A function that counts its calls independently."""

    def __init__(self, f):
        self.f = f
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return self.f(x)


def total(p):
    return np.sum(p["a"] ** 2) + 3 * p["b"]


def point():
    return {"a": np.array([[-0.0, 1.5], [0.0, -2.0]]), "b": np.array(0.5)}


def bits(x):
    return [leaf.tobytes() for leaf in x.values()]


def test_values_and_offsets_along_axes():
    rise, t = Lines(total, point()).along_axes(AXES, OFFSETS)
    np.testing.assert_array_equal(t, OFFSETS)
    np.testing.assert_array_equal(rise, [0.0625, 0.25, -3.0])


def test_every_pass_is_counted():
    f = Counted(total)
    lines = Lines(f, point())
    assert (lines.forward_passes, f.calls) == (1, 1)
    lines.along_axes(AXES, OFFSETS)
    assert (lines.forward_passes, f.calls) == (4, 4)
    lines.along(lines.origin, np.ones(5), np.arange(3.0))
    assert (lines.forward_passes, f.calls) == (7, 7)


def test_x_and_the_private_point_stay_as_they_are_bit_for_bit():
    x = point()
    lines = Lines(total, x)
    lines.along_axes(np.arange(5), np.full(5, 0.3))
    lines.along(lines.origin, np.full(5, 0.1), np.arange(3.0))
    assert bits(x) == bits(point())
    assert bits(lines.point) == bits(point())
    assert lines.changed_leaf() is None


def failing(error, fail_at):
    def f(p):
        calls.append(1)
        if len(calls) >= fail_at:
            raise error
        return total(p)

    calls = []
    return f


@pytest.mark.parametrize("error", [ZeroDivisionError("1 / 0"), ValueError("math domain error")])
def test_an_exception_away_from_x_is_a_value_that_is_not_finite(error):
    lines = Lines(failing(error, 3), point())
    rise, _ = lines.along_axes(AXES, OFFSETS)
    np.testing.assert_array_equal(np.isnan(rise), [False, True, True])
    assert np.isnan(lines.along(lines.origin, np.full(5, 0.1), np.arange(3.0))).all()
    assert bits(lines.point) == bits(point())
    told = f"f raised {type(error).__name__}: {error} at 5 points near x, first with a[1,0] moved"
    assert told in str(lines.undefined)


def test_an_exception_at_x_is_the_callers_to_see():
    with pytest.raises(ZeroDivisionError):
        Lines(failing(ZeroDivisionError(), 1), point())


def test_an_exception_that_ends_the_check_does_so_and_x_is_restored():
    class GoneError(EndsCheckError):
        pass

    lines = Lines(failing(GoneError(), 3), point())
    with pytest.raises(GoneError):
        lines.along_axes(AXES, OFFSETS)
    assert bits(lines.point) == bits(point())


def test_f_is_given_a_fresh_copy_at_every_call():
    def f(p):
        seen.append(p["a"])
        return total(p)

    x, seen = point(), []
    lines = Lines(f, x)
    lines.along_axes(AXES, OFFSETS)
    lines.along(lines.origin, np.ones(5), np.arange(2.0))
    arrays = [x["a"], lines.point["a"], *seen]
    for i, a in enumerate(arrays):
        assert not any(np.shares_memory(a, b) for b in arrays[:i])
    assert [a[0, 0] for a in seen] == [0.0, 0.25, 0.0, 0.0, 0.0, 1.0]


def test_f_is_not_asked_beyond_the_bounds():
    def f(p):
        seen.append(p["b"].item())
        return total(p)

    seen = []
    x = point()
    bounds = read_bounds((0.25, 0.75), {"b": x["b"]}, structure_of({"b": x["b"]}))
    lines = Lines(lambda p: f({**p, "a": x["a"]}), {"b": x["b"]}, bounds=bounds)
    rise, _ = lines.along_axes(np.array([0, 0, 0]), np.array([-0.5, 0.25, 0.5]))
    np.testing.assert_array_equal(np.isnan(rise), [True, False, True])
    values = lines.along(lines.origin, np.ones(1), np.array([-1.0, 0.125, 1.0]))
    np.testing.assert_array_equal(np.isnan(values), [True, False, True])
    assert (min(seen), max(seen), lines.forward_passes) == (0.5, 0.75, 3)


def test_a_function_that_writes_where_it_is_moved_is_noticed():
    def f(p):
        p["a"][1, 0] = 0.0
        return total(p)

    lines = Lines(f, point())
    with pytest.raises(InputChangedError, match=r"a\[1,0\]"):
        lines.along_axes(np.array([0, 2]), np.array([0.5, 0.5]))


@pytest.mark.parametrize("value", [7.0, np.nan, 0.0])
def test_a_function_that_writes_elsewhere_is_named(value):
    """0.0 in place of -0.0 is a change too."""

    def f(p):
        p["a"][0, 0] = value
        return total(p)

    lines = Lines(f, point())
    assert lines.changed_leaf() == "a"
    lines.restore()
    assert lines.changed_leaf() is None
    assert bits(lines.point) == bits(point())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_x_that_is_not_finite_is_refused_before_f_is_asked(value):
    asked = []
    with pytest.raises(ValueError, match=rf"x must be finite, but x\[1\] is {value}"):
        Lines(asked.append, np.array([0.0, value]))
    assert not asked


def test_the_budget_is_never_exceeded():
    f = Counted(total)
    lines = Lines(f, point(), budget=3)
    with pytest.raises(BudgetSpentError):
        lines.along_axes(np.arange(5), np.full(5, 0.3))
    assert lines.forward_passes == f.calls == 3
    assert bits(lines.point) == bits(point())


def test_float32_points_move_in_float32_and_say_by_how_much():
    x = np.array([0.1], dtype=np.float32)
    f = Counted(lambda x: x[0])
    rise, t = Lines(f, x).along_axes(np.array([0]), np.array([1e-3]))
    realised = float(np.float32(float(x[0]) + 1e-3)) - float(x[0])
    assert t[0] == realised != 1e-3
    assert rise[0] == realised


def test_longdouble_points_keep_their_precision():
    x = np.array([1.0], dtype=np.longdouble)
    step = 2 * np.finfo(np.longdouble).eps
    rise, t = Lines(lambda x: x[0], x).along_axes(np.array([0]), np.array([step]))
    assert rise.dtype == t.dtype == np.longdouble
    assert rise[0] == t[0] == step


@pytest.mark.parametrize(
    ("x", "result", "u"),
    [
        (np.ones(1), 1.0, 2.0**-53),
        (np.ones(1, np.float32), np.float32(1), 2.0**-24),
        (np.ones(1), np.float32(1), 2.0**-24),
        (np.ones(1, np.float32), 1.0, 2.0**-24),
        (np.ones(1, np.float16), 1.0, 2.0**-11),
    ],
)
def test_the_unit_roundoff_is_that_of_the_least_precise_arithmetic(x, result, u):
    assert Lines(lambda _: result, x).unit_roundoff == u


@pytest.mark.parametrize("result", [2.5, np.float64(2.5), np.array(2.5), np.array([[2.5]]), [2.5]])
def test_one_real_number_in_any_dress_is_taken(result):
    assert Lines(lambda _: result, np.ones(2)).value == 2.5


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (np.ones(2), r"ndarray of shape \(2,\) and dtype float64; it must return one real number"),
        (np.empty(0), r"shape \(0,\)"),
        (1 + 0j, "complex of shape .* dtype complex128"),
        (np.complex64(1), "dtype complex64"),
    ],
)
def test_anything_else_is_refused(result, message):
    with pytest.raises(TypeError, match=message):
        Lines(lambda _: result, np.ones(2))


def test_the_structure_is_handed_to_f_as_it_came():
    x = Pair(np.array([1.0, 2.0]), [np.array(3.0)])
    lines = Lines(lambda p: p.w @ p.w + p.b[0], x)
    rise, _ = lines.along_axes(np.arange(3), np.ones(3))
    np.testing.assert_array_equal(rise, [3.0, 5.0, 1.0])


def test_an_empty_point_is_a_point_of_no_coordinates():
    assert Lines(lambda _: 1.0, {}).size == 0


def test_rises_say_how_far_rounding_took_the_point_elsewhere():
    x = np.array([0.9, 1.1, -0.3], dtype=np.float32)
    g, v, t = np.array([3.0, -7.0, 11.0]), np.array([1.0, -1.0, 1.0]), np.array([0.1, -0.3])
    lines = Lines(lambda x: float(g @ x.astype(float)), x)
    rises, drifts = lines.rises_along(v, t, g)
    assert np.all(np.abs(drifts) > 1e-9)
    np.testing.assert_allclose(rises, t * (g @ v) + drifts, rtol=1e-14)


def test_a_whole_number_of_no_array_has_the_roundoff_of_double_precision():
    lines = Lines(lambda _: 3, [])
    assert (lines.unit_roundoff, lines.tiny) == (2.0**-53, 0.0)


def test_each_coordinate_is_rounded_as_its_own_array_is():
    x = {"a": np.ones(2), "b": np.ones(2, np.float32), "c": np.ones(1)}
    lines = Lines(lambda _: 0.0, x)
    moved = lines._moved(np.arange(5), np.full(5, 2.0**-30))
    assert moved.tolist() == [1 + 2.0**-30] * 2 + [1.0] * 2 + [1 + 2.0**-30]


def test_the_room_at_a_bound_is_that_of_the_largest_number_of_its_array():
    """Steps at the size of 1 want 4 (2^-52)^(1/5) = 0.003, in float64."""
    x = {"first": np.array([8.0, 1.0]), "last": np.array([1.0, -8.0])}
    x |= {"small": np.array([1.0, 0.5]), "zeros": np.zeros(2), "none": np.zeros(0)}
    lower = {name: array - 0.01 for name, array in x.items()}
    lines = Lines(lambda _: 0.0, x, bounds=read_bounds((lower, None), x, structure_of(x)))
    assert lines.sides(np.arange(8)).tolist() == [1, 1, 1, 1, 0, 0, 1, 1]  # zeros are of scale 8
    assert (lines.room(np.arange(8)) == [np.inf] * 4 + [0.01] * 2 + [np.inf] * 2).tolist()


def test_numbers_are_rounded_to_the_formats_of_their_own_arrays():
    x = {"a": np.ones(2, np.float32), "b": np.ones(2), "c": np.ones(1, np.float16)}
    third = 1 / 3
    rounded = [np.float32(third)] * 2 + [third] * 2 + [np.float16(third)]
    lines = Lines(lambda _: 0.0, x)
    for some in (np.arange(5), np.array([4, 2, 1]), np.array([3])):
        found = lines.rounded(some, np.full(len(some), third))
        assert found.tolist() == [float(rounded[j]) for j in some]
    alone = Lines(lambda _: 0.0, {"a": x["a"]})
    assert alone.rounded(np.array([1]), np.array([third])).tolist() == [float(np.float32(third))]
