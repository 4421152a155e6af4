"""Every checker is given the same two functions of one vector."""

import numpy as np
import pytest
from some import some

from gradcheck.engines.reference import vectorised
from gradcheck.problem import gradient_as_dict
from gradcheck.problems.case import Case
from gradcheck.studies.report.selftest.black_box import BlackBox, Planted


@pytest.fixture(params=["float64", "float32"])
def problem(request):
    return Case(sizes=(3, 4, 2), batch=3, dtype=request.param, seed=4).problem()


def test_the_vector_holds_the_parameters_in_order(problem):
    box = BlackBox(vectorised(), problem)
    assert box.x.shape == (26,)
    assert box.x.dtype == problem.dtype
    for name, array in some(box.parameters(box.x).items()):
        assert np.array_equal(array, problem.parameters[name])


def test_loss_and_gradient_are_the_engines(problem):
    engine = vectorised()
    box = BlackBox(engine, problem)
    value, layers = engine.value_and_grad(problem)
    assert box.loss(box.x) == engine.loss(problem) == value
    flat = np.concatenate([a.ravel() for a in gradient_as_dict(layers).values()])
    assert np.array_equal(box.gradient(box.x), flat)
    assert box.gradient(box.x).dtype == problem.dtype


def test_a_scale_that_is_a_power_of_two_rounds_nothing(problem):
    plain = BlackBox(vectorised(), problem)
    for scale in (2.0**-20, 2.0**20):
        box = BlackBox(vectorised(), problem, scale)
        assert box.loss(box.x) == scale * plain.loss(plain.x)
        assert np.array_equal(box.gradient(box.x) / box.x.dtype.type(scale), plain.gradient(box.x))


def test_many_points_at_once_are_the_points_one_by_one(problem):
    box = BlackBox(vectorised(), problem, 2.0**20)
    points = np.stack([box.x, box.x * box.x.dtype.type(0.5)])
    one_by_one = [box.loss(point) for point in points]
    assert box.losses(points) == pytest.approx(one_by_one, rel=1e-5)


@pytest.mark.parametrize("j", [0, 11, 12, 25])
def test_one_derivative_is_wrong_by_as_much_as_was_said(problem, j):
    right = BlackBox(vectorised(), problem)
    wrong = BlackBox(Planted(vectorised(), j, 0.25), problem)
    off = np.flatnonzero(wrong.gradient(wrong.x) != right.gradient(right.x))
    assert off.tolist() == [j]
    assert wrong.gradient(wrong.x)[j] == pytest.approx(1.25 * right.gradient(right.x)[j], rel=1e-6)
    assert wrong.loss(wrong.x) == right.loss(right.x)


def test_an_error_beyond_the_gradient_is_refused(problem):
    with pytest.raises(IndexError, match="coordinate=26 is not one of the gradient's"):
        Planted(vectorised(), 26, 1.0).value_and_grad(problem)
