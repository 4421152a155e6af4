"""TensorFlow's gradients against the certified ones. Seen in TensorFlow 2.21.0, Keras 3.15.1."""

import numpy as np
import pytest
from library_contract import (
    at_logit,
    cases_for,
    check_contract,
    check_derivatives,
    residual_at,
    worst_of,
)

from gradcheck.engines.base import Unsupported
from gradcheck.engines.tensorflow_adapter import Probabilities, TensorFlow, Textbook
from gradcheck.problems.case import Case

pytest.importorskip("tensorflow")


@pytest.mark.parametrize("make", [TensorFlow, Probabilities, Textbook])
def test_the_contract_is_kept(make):
    check_contract(make())


def test_the_gradient_is_that_of_the_engines_own_loss():
    check_derivatives(TensorFlow(), "gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s3")


def test_the_logits_form_belongs_to_the_class_flushed():
    engine = TensorFlow()
    worst, at = worst_of(engine, cases_for(engine, 120), "flushed")
    assert worst <= 1, at


def test_subnormal_numbers_are_flushed_to_zero():
    assert residual_at(TensorFlow(), -90.0, 0.0, "float32") == 0  # e^-90 = 8.2e-40
    assert residual_at(TensorFlow(), -87.0, 0.0, "float32") > 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("z", "y"), [(17.0, 0.0), (40.0, 0.0), (-17.0, 1.0), (-800.0, 1.0)])
def test_from_probabilities_the_residual_is_0_where_it_is_1(z, y, dtype):
    """Keras clips p to [1e-7, 1 - 1e-7]: from |z| = 16.1 on the loss is constant."""
    assert residual_at(Probabilities(), z, y, dtype) == 0
    assert residual_at(TensorFlow(), z, y, dtype) == pytest.approx(1 - 2 * y)


def test_from_probabilities_the_loss_ends_at_minus_log_of_1e_7():
    assert Probabilities().loss(at_logit(40.0, 0.0)) == pytest.approx(-np.log(1e-7))
    assert TensorFlow().loss(at_logit(40.0, 0.0)) == 40


@pytest.mark.parametrize(
    ("z", "y", "dtype"),
    [
        (37.0, 0.0, "float64"),
        (40.0, 1.0, "float64"),
        (-800.0, 1.0, "float64"),
        (17.0, 0.0, "float32"),
    ],
)
def test_the_textbook_form_is_nan_at_saturation(z, y, dtype):
    assert np.isnan(residual_at(Textbook(), z, y, dtype))
    assert np.isfinite(residual_at(TensorFlow(), z, y, dtype))


def test_what_is_not_supported_is_told():
    with pytest.raises(Unsupported, match="dtype float16; tensorflow takes float32, float64"):
        TensorFlow().loss(Case(dtype="float16").problem())
    with pytest.raises(Unsupported, match="loss quadratic; tensorflow-textbook takes cross_ent"):
        Textbook().value_and_grad(Case(loss="quadratic").problem())
