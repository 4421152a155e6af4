"""Points on the axes are evaluated once each, whatever asks for them."""

import numpy as np
import pytest

from gradcheck.oracles.lines import Lines
from gradcheck.oracles.points import AxisPoints
from gradcheck.oracles.stencils import CENTRAL_2, CENTRAL_4, CENTRAL_8, FORWARD, STENCILS

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
    h = 2.0**-4
    D, _ = points.derivative(stencil, np.full(3, -4))
    terms = zip(stencil.weights, stencil.offsets, strict=True)
    expected = sum(float(c) * np.sin(X + k * h) for c, k in terms) / h
    np.testing.assert_allclose(D, expected, rtol=1e-12)


def test_growth_is_how_much_larger_f_became():
    points = AxisPoints(Lines(lambda x: x[0] ** 2, np.array([1.0])), np.array([0]))
    assert points.derivative(CENTRAL_2, np.array([1]))[1] == 3.0**2 - 1
    assert points.derivative(FORWARD, np.array([-1]))[1] == 1.5**2 - 1


def test_offsets_are_the_realised_ones():
    x = np.array([0.1], dtype=np.float32)
    points = AxisPoints(Lines(lambda x: 3 * float(x[0]), x), np.array([0]))
    _, t = points.rise(3, np.array([-29]))
    assert t[0] == 2.0**-27  # where 0.1f + 3/4 ulp rounds to
    for e in range(-26, 0):
        D, _ = points.derivative(CENTRAL_4, np.array([e]))
        assert D[0] == pytest.approx(3.0, rel=1e-9 if e > -20 else 1e-6)
