"""f may change on the scale of x by less than its noise, and by nothing further out."""

import numpy as np
import pytest

from gradcheck import check_gradient, check_jacobian
from gradcheck.checks.contract import Layout, UnderTest
from gradcheck.differences.bounds import Bounds
from gradcheck.differences.lines import BudgetSpentError, Lines
from gradcheck.differences.own_scale import _own_scale, far_beyond, goes_away
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.pytree import structure_of


def quotient(p):
    """1 + a z / b, in the format of p, as the first terms of 1F1(a, b, z)."""
    a, b, z = p
    return p.dtype.type(1) + a * z / b


def slopes_of_quotient(p):
    a, b, z = p
    return np.array([z / b, -a * z / b**2, a / b], dtype=p.dtype)


def step(p):
    """1 + x tanh(y / x): y may be 0, beside an x that says how fast f changes."""
    return p.dtype.type(1) + p[0] * np.tanh(p[1] / p[0])


def slopes_of_step(p):
    t = np.tanh(p[1] / p[0])
    return np.array([t - p[1] / p[0] * (1 - t * t), 1 - t * t], dtype=p.dtype)


HIDDEN = [(np.float32, 1e-6), (np.float32, 1e-9), (np.float64, 1e-15), (np.float64, 1e-18)]


def drawn(dtype, scale, seed, size):
    return (scale * np.random.default_rng(seed).exponential(size=size)).astype(dtype)


@pytest.mark.parametrize(("dtype", "scale"), HIDDEN)
def test_a_right_slope_that_noise_hides_is_not_accused(dtype, scale):
    with np.errstate(all="ignore"):
        for seed in range(5):
            x = drawn(dtype, scale, seed, 3)
            told = check_gradient(quotient, slopes_of_quotient, x, seed=seed)
            assert told.verdict.value != "FAIL", str(told)
            for y in (x[:2], np.array([x[0], 0], dtype=dtype)):
                told = check_gradient(step, slopes_of_step, y, seed=seed)
                assert told.verdict.value != "FAIL", str(told)


def test_nor_a_jacobian():
    with np.errstate(all="ignore"):
        for seed in range(4):
            x = drawn(np.float32, 1e-6, seed, 3)
            told = check_jacobian(
                lambda p: np.array([p[0] + 2, quotient(p)], dtype=p.dtype),
                lambda p: np.array([[1, 0, 0], slopes_of_quotient(p)], dtype=p.dtype),
                x,
                seed=seed,
            )
            assert told.verdict.value != "FAIL", str(told)


@pytest.mark.parametrize("scale", [1e-2, 1e-6, 1e-9, 1e-16, 1e-30])
@pytest.mark.parametrize("factor", [0.0, -1.0, 1.0001])
def test_a_slope_that_does_not_go_away_is_accused(scale, factor):
    def f(p):
        return float(np.sum(1 / (1 + np.exp(-p))))

    def wrong(p):
        right = np.exp(-p) / (1 + np.exp(-p)) ** 2
        return factor * right

    for seed in range(2):
        x = drawn(np.float64, scale, seed, 3)
        assert check_gradient(f, wrong, x, seed=seed).verdict.value == "FAIL"


def test_where_f_shows_the_scale_of_x_a_slope_that_goes_away_is_accused():
    """A mistake for small numbers alone: differences near x see it."""

    def wrong(p):
        return np.where(np.abs(p) < 1e-7, 1.01, 1.0) * np.cos(p)

    def f(p):
        return float(np.sum(1 + np.sin(p)))

    told = check_gradient(f, wrong, np.array([1.7e-9, 2.2e-8]))
    assert sorted(d.name for d in told.discrepancies) == ["x[0]", "x[1]"]


def test_other_numbers_of_the_same_gradient_are_accused():
    def wrong(p):
        return slopes_of_quotient(p) * np.array([1.0, 1.0, 1.5], dtype=p.dtype)

    told = check_gradient(
        lambda p: p.dtype.type(quotient(p) + 3 * p[0]),
        lambda p: wrong(p) + np.array([5, 0, 0], dtype=p.dtype),
        np.array([1e-6, 2e-6, 1.5e-6], dtype=np.float32),
    )
    assert "x[0]" in [d.name for d in told.discrepancies]
    assert "x[1]" not in [d.name for d in told.discrepancies]


# --- the parts ------------------------------------------------------------------------------------


def estimate_of(steps, value=0.0):
    found = Estimate.empty(len(steps))
    found.step[:], found.value[:], found.bound[:] = steps, value, 2.0**-30
    found.status[:] = Status.RESOLVED
    return found


def test_the_scale_of_a_zero_is_the_largest_number_of_its_array_wherever_that_stands():
    x = {"a": np.array([0.0, -0.25, 0.5]), "b": np.array([-0.75, 0.25, 0.0]), "c": np.zeros(2)}
    lines = Lines(lambda _: 0.0, x | {"none": np.zeros(0), "d": np.array([-4.0])})
    scales = np.array([0.5, 0.25, 0.5, 0.75, 0.25, 0.75, 4, 4, 4])  # c has no number but 0
    for some in (np.arange(9), np.array([0]), np.array([7, 5, 1])):
        np.testing.assert_array_equal(_own_scale(lines, some), scales[some])


def test_far_is_an_eighth_of_a_step_beyond_x_or_its_array():
    x = {"a": np.array([0.5, -0.25, 0.0]), "b": np.zeros(1)}
    lines = Lines(lambda _: 0.0, x)
    for steps, far in (
        ([4.0, 2.0, 4.0, 4.0], []),
        ([4.01, 2.01, 4.01, 4.01], [0, 1, 2, 3]),
        ([4.01, np.nan, 4.0, 4.01], [0, 3]),
    ):
        assert far_beyond(lines, estimate_of(steps), np.arange(4)).tolist() == far
    assert far_beyond(lines, estimate_of([9.0] * 4), np.array([1, 3])).tolist() == [1, 3]


@pytest.mark.parametrize(
    ("there", "gone"), [(1.0, True), (2.9, True), (3.1, False), (5.0, False), (np.nan, False)]
)
def test_a_slope_goes_away_where_it_is_nearer_to_the_differences(there, gone):
    lines, asked = Lines(lambda _: 0.0, np.array([2.0**-30])), []

    def moved(j, t):
        asked.append((j, t))
        return there + 7 * np.sign(t) if abs(t) == 1 else 5.0  # the other side takes that back

    assert goes_away(lines, estimate_of([8.0], 1.0), np.array([5.0]), 0, moved) == gone
    assert asked[:2] == [(0, 1.0), (0, -1.0)]
    near = [t * 2.0**-37 for t in (2, -2, 1, -1)]
    assert [t for _, t in asked[2:]] == (near if gone else [])


@pytest.mark.parametrize("other", range(4))
@pytest.mark.parametrize(
    ("there", "gone"), [(3.1, True), (50.0, True), (2.9, False), (-5.0, False)]
)
def test_a_slope_is_to_stay_on_the_scale_of_x(other, there, gone):
    lines, seen = Lines(lambda _: 0.0, np.array([1e-9])), []

    def moved(_, t):
        if abs(t) == 1:
            return 1.0
        seen.append(t)
        return there if len(seen) == other + 1 else 5.0

    assert goes_away(lines, estimate_of([8.0], 1.0), np.array([5.0]), 0, moved) == gone


def test_digits_that_the_derivative_has_lost_are_no_hidden_slope():
    """By k, of (x^k - 1) / k: its terms cancel, in float32 to the last digit."""
    accused = 0
    with np.errstate(all="ignore"):
        for seed in range(6):
            x = drawn(np.float32, 1e-6, seed, 6)

            def f(k):
                return np.float32(np.sum((np.float32(1e-6) ** k - 1) / k) + 90)

            def wrong(k):
                y = np.float32(1e-6) ** k
                return (y * np.float32(np.log(1e-6)) / k - (y - 1) / k**2).astype(np.float32)

            told = check_gradient(f, wrong, x, seed=seed)
            assert told.verdict.value != "PASS"
            accused += told.verdict.value == "FAIL"
    assert accused >= 4


@pytest.mark.parametrize(("lo", "hi", "asked"), [(0, 1, [1]), (-2, 0, [-1]), (-0.9, 0.9, [])])
def test_within_bounds_it_is_asked_where_there_is_room(lo, hi, asked):
    x = np.array([0.0])
    lines = Lines(lambda _: 0.0, x, bounds=Bounds(np.array([lo]), np.array([hi])))
    seen = []

    def moved(_, t):
        seen.append(t)
        return 0.0 if abs(t) == 1 else 1.0

    assert goes_away(lines, estimate_of([8.0], 0.0), np.array([1.0]), 0, moved) == bool(asked)
    assert seen[:1] == asked
    assert {np.sign(t) for t in seen} == set(asked)


# --- the derivative elsewhere ---------------------------------------------------------------------


def under_test(f, derivative, x, shape=(), **options):
    structure = structure_of(x)
    lines = Lines(f, x, **options)
    return UnderTest(
        lines, derivative, Layout("d(x)", "d", structure, shape), structure, np.ones(1)
    )


def test_the_derivative_is_asked_elsewhere_after_f_and_x_is_as_before():
    called = []
    x = np.array([1.0, 2.0], dtype=np.float32)

    def f(p):
        called.append(("f", p.tolist()))
        return 0.0

    def rows(p):
        called.append(("d", p.tolist()))
        return np.array([[1, 2], [3, 4]], dtype=np.float32)

    test = under_test(f, rows, x, (2,))
    called.clear()
    assert [test.moved(j, 0.5, k) for k in (0, 1) for j in (0, 1)] == [1, 2, 3, 4]
    assert called[:2] == [("f", [1.5, 2.0]), ("d", [1.5, 2.0])]
    assert called[2:4] == [("f", [1.0, 2.5]), ("d", [1.0, 2.5])]
    assert test.backward_passes == 4
    assert (test.lines.forward_passes, test.lines.reserve) == (5, 0)
    assert test.lines.point.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("answer", [None, np.ones(3), "text"])
def test_an_answer_elsewhere_that_is_none_is_nothing(answer):
    def moody(p):
        if p[0] > 1:
            raise ValueError
        return answer

    for derivative in (moody, lambda _: answer):
        test = under_test(lambda _: 0.0, derivative, np.array([1.0]))
        assert np.isnan(test.moved(0, 0.5))
        assert test.lines.point.tolist() == [1.0]


def test_a_budget_that_is_spent_ends_it():
    test = under_test(lambda _: 0.0, lambda p: p, np.array([1.0]), budget=2)
    assert test.moved(0, 0.5) == 1.5
    with pytest.raises(BudgetSpentError):
        test.moved(0, 0.5)
    assert test.lines.point.tolist() == [1.0]
