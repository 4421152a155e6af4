"""Curves of engines whose answers are known: what is asked, what is recorded, and at what cost."""

import numpy as np
import pytest
from some import some

from gradcheck.engines.base import (
    EngineDiedError,
    EngineInfo,
    Unsupported,
    engine_from_callable,
)
from gradcheck.engines.variants import CORRECT
from gradcheck.response import Curve, curves
from gradcheck.response.curve import ACTIVATION, DELTA, LOSS, SLOPE, WEIGHT
from gradcheck.response.grid import NARROW, between, grid, least
from gradcheck.response.sweep import Network

DTYPES = ("float64", "float32")


def of(engine, dtype="float64", **how):
    return {(c.quantity, c.loss, c.y): c for c in curves(engine, dtype, **how)}


def changed(change, **claims):
    """A right engine whose answer is changed: `change(z_1, loss, gradient)`."""
    right = CORRECT["blas"]()

    def value_and_grad(problem):
        loss, gradient = right.value_and_grad(problem)
        z = float((problem.inputs @ problem.weights[0].T + problem.biases[0])[0, 0])
        return change(z, loss, gradient)

    for name, value in claims.items():
        setattr(value_and_grad, name, value)
    return engine_from_callable(value_and_grad, "changed")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("y", [0.0, 1.0])
def test_z_is_reached_without_rounding(dtype, y):
    for z in some(grid(dtype)):
        problem = Network(2, "cross_entropy", "mean", y, dtype).problem(z)
        reached = problem.inputs @ problem.weights[0].T + problem.biases[0]
        assert reached.dtype == dtype
        assert reached.item() == z


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_grid_has_0_and_both_signs_and_reaches_800(dtype):
    z = np.array(grid(dtype))
    assert 0.0 in z
    assert np.array_equal(z, -z[::-1])
    assert z.max() == 800
    assert z[z > 0].min() == least(dtype)


@pytest.mark.by_day(3)  # of two and two: each once
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["naive", "exp_ratio"])
def test_a_right_engine_stays_within_its_bound_everywhere(name, dtype):
    for curve in some(curves(CORRECT[name](), dtype)):
        assert not curve.is_beyond("cancellation_free").any(), curve.quantity


@pytest.mark.by_day(2)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ["textbook"])
def test_a_textbook_engine_stays_within_the_bound_of_p_minus_y(name, dtype):
    measured = curves(CORRECT[name](), dtype)
    assert not any(curve.is_beyond("p_minus_y").any() for curve in some(measured))
    assert any(curve.is_beyond("cancellation_free").any() for curve in measured)


def test_every_label_and_loss_has_its_curves():
    kinds = {
        (quantity, loss, y)
        for loss in ("cross_entropy", "quadratic")
        for y in (0.0, 1.0)
        for quantity in (DELTA, WEIGHT, LOSS)
    }
    hidden = {
        (quantity, *at)
        for quantity in (SLOPE, ACTIVATION)
        for at in (("cross_entropy", 1.0), ("quadratic", 0.0))
    }
    assert of(CORRECT["blas"]()).keys() == kinds | hidden


def test_curves_hold_what_the_engine_answers():
    curve = of(changed(lambda z, c, g: (c, [(W, 3 * b) for W, b in g])))[DELTA, "cross_entropy", 0]
    normal = np.abs(curve.z) < 700
    right = 1 / (1 + np.exp(-curve.z[normal]))
    assert np.allclose(curve.exact[normal], right, rtol=1e-12)
    assert np.allclose(curve.value[normal], 3 * right, rtol=1e-12)


def test_the_hidden_slope_does_not_depend_on_the_error_above():
    def doubled(z, loss, gradient):
        return loss, [(2 * W, 2 * b) for W, b in gradient]

    curve = of(changed(doubled))[SLOPE, "cross_entropy", 1.0]
    assert not curve.is_beyond("cancellation_free").any()


def test_a_threshold_is_found_to_its_relative_width():
    def cut(z, loss, gradient):
        return loss, [(W * (z < 15.3), b * (z < 15.3)) for W, b in gradient]

    curve = of(changed(cut))[DELTA, "cross_entropy", 0.0]
    first = int(np.argmax((curve.value == 0) & (curve.z > 0)))
    assert curve.z[first - 1] < 15.3 <= curve.z[first]
    assert curve.z[first] - curve.z[first - 1] <= 2 * NARROW * 15.3


def test_exactly_0_is_told_from_its_neighbours():
    def special(z, loss, gradient):
        return loss, [(W - (z == 0), b - (z == 0)) for W, b in gradient]

    curve = of(changed(special))[DELTA, "cross_entropy", 0.0]
    assert curve.z[curve.is_beyond("cancellation_free")].tolist() == [0.0]


def test_what_is_raised_is_recorded():
    def picky(z, loss, gradient):
        if z > 100:
            raise OverflowError("math range error")
        return loss, gradient

    curve = of(changed(picky))[DELTA, "quadratic", 1.0]
    assert {t for t, z in zip(curve.told, curve.z, strict=True) if z > 100} == {
        "raises OverflowError"
    }
    assert curve.is_beyond("p_minus_y").tolist() == (curve.z > 100).tolist()


def test_what_is_refused_is_no_deviation():
    def picky(z, loss, gradient):
        if z > 100:
            raise Unsupported("large numbers")
        return loss, gradient

    curve = of(changed(picky))[DELTA, "quadratic", 1.0]
    assert "refused: large numbers" in curve.told
    assert not curve.is_beyond("p_minus_y").any()


def test_an_engine_that_refuses_everything_is_asked_four_times():
    calls = []

    def refuses(problem):
        calls.append(problem)
        raise Unsupported("this")

    assert curves(engine_from_callable(refuses, "refuses"), "float64", depths=(1,)) == ()
    assert len(calls) == 4 * 4


def test_an_engine_that_dies_is_asked_no_more():
    calls = []

    def dies(problem):
        calls.append(problem)
        if len(calls) == 9:
            raise EngineDiedError("signal 11")
        return CORRECT["blas"]().value_and_grad(problem)

    measured = curves(engine_from_callable(dies, "dies"), "float64")
    assert len(calls) == 9
    assert [len(c.z) for c in measured] == [8, 8, 8]


def test_limits_are_respected():
    shallow = changed(lambda z, c, g: (c, g), losses=("quadratic",), limits={"max_depth": 1})
    assert {key[:2] for key in of(shallow)} == {
        (DELTA, "quadratic"),
        (WEIGHT, "quadratic"),
        (LOSS, "quadratic"),
    }
    assert curves(changed(lambda z, c, g: (c, g), dtypes=("float64",)), "float32") == ()


@pytest.mark.parametrize(
    ("limits", "farthest"), [({"max_preactivation": 30}, 30), ({"max_weight_scale": 10}, 60)]
)
def test_z_stays_within_the_limits_of_an_engine(limits, farthest):
    limited = changed(lambda z, c, g: (c, g), limits=limits, losses=("cross_entropy",))
    assert all(
        farthest / 2 < np.abs(c.z).max() <= farthest for c in some(curves(limited, "float64"))
    )


@pytest.mark.parametrize(
    ("kinds", "labels"), [(("ones",), {1.0}), (("binary",), {0.0, 1.0}), (("soft",), set())]
)
def test_labels_are_those_of_the_targets_that_an_engine_takes(kinds, labels):
    limited = changed(lambda z, c, g: (c, g), limits={"targets": kinds})
    assert {c.y for c in curves(limited, "float64")} == labels


def test_a_loss_that_is_none_is_no_deviation():
    class Lossless:
        info = EngineInfo("lossless", "1", ("float64",), ("cross_entropy",), ("mean",))

        def value_and_grad(self, problem):
            return None, CORRECT["blas"]().value_and_grad(problem)[1]

    assert not of(Lossless())[LOSS, "cross_entropy", 1.0].is_beyond("cancellation_free").any()


def test_calls_are_counted_and_limited():
    calls = []

    def counted(z, loss, gradient):
        calls.append(z)
        return loss, [(W * np.sin(z), b * np.sin(z)) for W, b in gradient]

    measured = curves(changed(counted), "float64", most_calls=130, depths=(1,))
    assert len(calls) == sum(c.calls for c in measured if c.quantity == DELTA)
    assert all(c.calls <= 130 for c in some(measured))


@pytest.mark.parametrize("bracket", [(0.0, 1.0), (-800.0, -1.0), (15.0, 16.0), (-1e-300, 1e-300)])
def test_halving_ends(bracket):
    low, high = bracket
    steps = 0
    while (middle := between(low, high, "float64")) is not None:
        assert low < middle < high
        high = middle
        steps += 1
    assert steps < 40


def test_a_curve_survives_json():
    curve = of(CORRECT["textbook"](), depths=(1,))[DELTA, "quadratic", 1.0]
    again = Curve.from_json(curve.to_json())
    assert np.array_equal(again.value, curve.value, equal_nan=True)
    assert (again.quantity, again.told, again.calls) == (curve.quantity, curve.told, curve.calls)
