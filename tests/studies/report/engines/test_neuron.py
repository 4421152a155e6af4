"""The saturated neuron: right engines are right everywhere, wrong ones are found where known."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck.engines.base import engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.studies.report.engines.neuron import LOGITS, SHOWN, curve, error_at, neuron
from gradcheck.verification.guarded import Guarded


def with_residual(residual):
    """An engine of one neuron with dC/db = residual(z, y)."""

    def value_and_grad(problem):
        z, y = problem.weights[0], problem.targets
        g = np.asarray(residual(z.astype(np.float64), y), problem.dtype)
        return 0.0, [(g, g.ravel())]

    return Guarded(engine_from_callable(value_and_grad, "residual"))


def sigma(z):
    return 1 / (1 + np.exp(-z))


def test_the_neuron_has_the_logit_asked_for():
    problem = neuron(-36, 1, "float32")
    z = problem.inputs @ problem.weights[0].T + problem.biases[0]
    assert z == -36
    assert problem.targets == 1
    assert z.dtype == np.float32


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("target", [0, 1])
def test_the_reference_is_right_at_every_logit(dtype, target):
    found = curve(find("reference"), dtype, target)
    assert len(found.errors) == len(LOGITS)
    assert not any(found.wrong)
    normal = [e for e, z in zip(found.errors, LOGITS, strict=True) if abs(z) < 80]
    assert max(normal) < 16 * np.finfo(dtype).eps


def test_a_loss_that_clips_probabilities_is_wrong_where_they_are_clipped():
    eps = 1e-7

    def residual(z, y):
        p = sigma(z)
        return np.where((p < eps) | (p > 1 - eps), 0.0, p - y)

    found = curve(with_residual(residual), "float64", 0)
    wrong = [z for z, is_wrong in zip(LOGITS, found.wrong, strict=True) if is_wrong]
    assert wrong == [z for z in LOGITS if abs(z) > 16]
    assert found.errors[LOGITS.index(20)] == found.errors[LOGITS.index(-20)] == 1


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_is_wrong_and_stays_what_it_is(broken):
    def residual(z, y):
        return np.where(np.abs(z) > 36, broken, sigma(z) - y)

    found = curve(with_residual(residual), "float64", 0)
    assert np.array_equal(found.errors[LOGITS.index(40)], broken, equal_nan=True)
    assert found.wrong[LOGITS.index(40)]
    assert not found.wrong[LOGITS.index(10)]


def test_a_residual_of_which_no_digit_is_left_is_allowed_to_be_0():
    engine = with_residual(lambda z, y: sigma(z) - y)
    neuron_at_90 = neuron(90, 1, "float64")  # p = 1 = y in float64; the exact residual is -8e-40
    assert error_at(engine, neuron_at_90) == (1, True)
    engine.engine.info = replace(engine.info, arithmetic="p_minus_y")
    assert error_at(engine, neuron_at_90) == (1, False)


def test_an_engine_that_raises_has_no_gradient():
    def raises(problem):
        raise ZeroDivisionError

    error, wrong = error_at(
        Guarded(engine_from_callable(raises, "raises")), neuron(1, 0, "float64")
    )
    assert np.isnan(error)
    assert wrong


def test_the_logits_of_the_table_are_measured():
    assert set(SHOWN) <= set(LOGITS)
