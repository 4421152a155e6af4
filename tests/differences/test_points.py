"""Points on the axes are evaluated once each, whatever asks for them."""

import numpy as np
import pytest

from gradcheck.differences.lines import Lines
from gradcheck.differences.points import AxisPoints, exponents_below
from gradcheck.differences.stencils import CENTRAL_2, CENTRAL_4, CENTRAL_8, FORWARD, STENCILS

X = np.array([0.5, -1.25, 2.0])
ROWS = np.arange(3)


@pytest.fixture
def seen():
    return []


@pytest.fixture
def points(seen):
    def f(x):
        seen.append(x.tobytes())
        return np.sum(np.sin(x))

    return AxisPoints(Lines(f, X), ROWS)


def test_no_point_is_evaluated_twice(points, seen):
    for e in (-3, -4, -2, -3, -6):
        for stencil in STENCILS:
            points.derivative(stencil, np.full(3, e))
    assert len(seen) == len(set(seen))
    assert points.evaluations.sum() == len(seen) - 1  # the one is f(x)


def test_a_step_of_half_the_size_reuses_every_other_point(points):
    points.derivative(CENTRAL_4, np.full(3, -3))
    np.testing.assert_array_equal(points.evaluations, 4)
    points.derivative(CENTRAL_4, np.full(3, -4))
    np.testing.assert_array_equal(points.evaluations, 6)
    points.derivative(CENTRAL_2, np.full(3, -3))
    np.testing.assert_array_equal(points.evaluations, 6)


def test_each_row_has_its_own_step_and_its_own_count(points):
    points.derivative(CENTRAL_2, np.array([-3, -5]), np.array([0, 2]))
    np.testing.assert_array_equal(points.evaluations, [2, 0, 2])
    points.derivative(CENTRAL_2, np.array([-3, -4, -5]))
    np.testing.assert_array_equal(points.evaluations, [2, 2, 2])


@pytest.mark.parametrize("stencil", [FORWARD, CENTRAL_2, CENTRAL_4, CENTRAL_8])
def test_the_derivative_is_the_stencils_sum(points, stencil):
    h = points.steps(np.full(3, -4))
    D, _ = points.derivative(stencil, np.full(3, -4))
    terms = zip(stencil.weights, stencil.offsets, strict=True)
    expected = sum(float(c) * np.sin(X + k * h) for c, k in terms) / h
    np.testing.assert_allclose(D, expected, rtol=1e-12)


def test_growth_is_how_much_larger_f_became():
    points = AxisPoints(Lines(lambda x: x[0] ** 2, np.array([1.0])), np.array([0]))
    h = points.steps(np.array([0]))[0]
    assert points.derivative(CENTRAL_2, np.array([0]))[1] == pytest.approx((1 + h) ** 2 - 1)
    assert points.derivative(FORWARD, np.array([-1]))[1] == pytest.approx((1 + h / 2) ** 2 - 1)


# --- mantissas -----------------------------------------------------------------------------------


def total(x):
    return float(np.sum(x))


def test_every_axis_every_seed_and_every_opinion_has_a_mantissa_of_its_own():
    drawn = [
        AxisPoints(Lines(total, X, seed=seed), ROWS, purpose).mantissas
        for seed in range(3)
        for purpose in ("steps", "second opinions")
    ]
    c = np.concatenate(drawn)
    assert len(set(c.tolist())) == c.size
    assert np.all((c >= 1) & (c < 2))
    assert np.all(c * 2.0**23 % 1 == 0)


def test_the_mantissa_of_an_axis_does_not_depend_on_what_else_is_asked_for():
    lines = Lines(total, X)
    alone = AxisPoints(lines, np.array([2])).mantissas
    np.testing.assert_array_equal(alone, AxisPoints(lines, ROWS).mantissas[2:])


def test_exponents_below_gives_the_largest_step_within_a_size():
    c = np.array([1.0, 1.5, 1.999])
    for size in (1e-300, 0.7, 1.5, 3.0, 1e300):
        e = exponents_below(np.full(3, size), c)
        assert np.all(np.ldexp(c, e) <= size)
        assert np.all(np.ldexp(c, e + 1) > size)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble])
@pytest.mark.parametrize("at", [1.0, 0.1, -1.999, 1000.3])
def test_offsets_within_x_are_exact_and_symmetric(dtype, at):
    """t_(-k) = -t_k, within an ulp of k h: the even moments of a stencil are exactly 0."""
    x = np.array([at], dtype=dtype)
    ulp = np.spacing(abs(x[0])).astype(float)
    points = AxisPoints(Lines(total, x), np.array([0]))
    for e in range(int(np.log2(ulp)), int(np.log2(abs(at))) - 2):
        h = points.steps(np.array([e]))[0]
        for k in (1, 2, 3):
            (up,), (down,) = (points.rise(s * k, np.array([e]))[1] for s in (1, -1))
            assert down == -up
            assert abs(up - k * h) <= ulp


def test_long_steps_are_realised_to_the_bit():
    """Where h >= 2^24 ulp(x_j), r_k = 0."""
    points = AxisPoints(Lines(total, np.array([0.7])), np.array([0]))
    for e in range(-28, -2):
        for k in (-2, -1, 1, 2):
            assert points.rise(k, np.array([e]))[1][0] == k * points.steps(np.array([e]))[0]


def test_rounded_offsets_leave_what_the_derivation_says():
    """x^3 is differentiated exactly but for 6 h ulp(x), what the rounding of short steps leaves."""
    x = np.array([1.25], dtype=np.float32)
    points = AxisPoints(Lines(lambda x: float(x[0]) ** 3 - 1.25**3, x), np.array([0]))
    left = []
    for e in range(-17, -3):
        D, _ = points.derivative(CENTRAL_4, np.array([e]))
        allowed = 6 * points.steps(np.array([e]))[0] * float(np.spacing(x[0]))
        left.append(abs(D[0] - 3 * 1.25**2) / allowed)
    assert 0.01 < max(left) <= 1  # rounding is at work, and no more than that


def test_offsets_are_the_realised_ones_beyond_x():
    x = np.array([2.0**-40])
    points = AxisPoints(Lines(total, x), np.array([0]))
    for k in (-2, -1, 1, 2):
        _, t = points.rise(k, np.array([0]))
        assert t[0] == (x[0] + k * points.steps(np.array([0]))[0]) - x[0]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("levels", "changes_at", "reach", "more"),
    [
        ((-5,), np.inf, -5, 0),  # nothing further out changed f
        ((-5, 2), np.inf, 2, 0),
        ((-5, 5), np.inf, 5, 0),
        ((-5, 5), 17.0, 16.0, 2),  # far is 16: f is asked there
        ((-5, 5), 15.0, 0.0, 2),
        ((-5, 3), 5.0, 0.0, 0),  # f changed nearer than that
        ((-5,), 0.01, 0.0, 0),
        ((4, 5), 31.0, 4, 0),
    ],
)
def test_f_is_still_as_far_as_it_was_seen_or_asked_at_a_quarter(
    levels, changes_at, reach, more, sign
):
    points = AxisPoints(
        Lines(lambda x: float(abs(x[0] - 64.0 * sign) > changes_at), [64.0 * sign]), np.arange(1)
    )
    for e in levels:
        points.derivative(CENTRAL_2, np.array([e]))
    seen = points.evaluations[0]
    expected = points.steps(np.array([reach]))[0] if isinstance(reach, int) else reach
    assert points.unchanged().tolist() == [expected]
    assert points.evaluations[0] == seen + more
