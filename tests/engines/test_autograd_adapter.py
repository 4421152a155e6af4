"""Autograd's gradients against the certified ones. What is said of versions was seen in 1.9.1."""

import numpy as np
import pytest
from library_contract import (
    cases_for,
    check_contract,
    check_derivatives,
    residual_at,
    residual_errors,
    worst_of,
)

from gradcheck.engines.autograd_adapter import Autograd, LogAddExp, Textbook
from gradcheck.engines.base import Unsupported
from gradcheck.problems.case import Case

pytest.importorskip("autograd")

# Rounding log(1 + e^z) to u |z| adds the relative error (|z| + 2) u to sigma(z), whose own is
# k_s u = 4 u. From |z| = 37 on, z - log(1 + e^z) is 0 and errs by e^-|z| < u.
LOG_OF_SUM = 1 + (37 + 2) / 4

LARGE = np.arange(32.1, 36, 0.5)


@pytest.mark.parametrize("make", [Autograd, LogAddExp, Textbook])
def test_the_contract_is_kept(make):
    check_contract(make())


@pytest.mark.parametrize("make", [Autograd, LogAddExp, Textbook])
def test_the_gradient_is_that_of_the_engines_own_loss(make):
    check_derivatives(make(), "gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s3")


def test_the_logits_form_belongs_to_the_class_p_minus_y():
    engine = Autograd()
    worst, at = worst_of(engine, cases_for(engine, 120), "p_minus_y")
    assert worst <= 1, at


def test_logaddexp_belongs_to_it_but_for_the_logarithm_of_a_sum():
    engine = LogAddExp()
    worst, at = worst_of(engine, cases_for(engine, 120), "p_minus_y")
    assert worst <= LOG_OF_SUM, at


def test_logaddexp_costs_the_residual_digits():
    """exp(z - log(1 + e^z)) errs by up to u |z|; the residual is about 1 here."""
    errors = residual_errors(LogAddExp(), LARGE, 0.0)
    assert max(errors) > 14
    assert (errors <= LARGE + 2).all()
    assert (residual_errors(Autograd(), LARGE, 0.0) <= 7).all()


@pytest.mark.parametrize("y", [0.0, 0.25, 1.0])
def test_where_z_is_0_the_kinks_of_the_parts_cancel(y):
    assert residual_at(Autograd(), 0.0, y) == 0.5 - y
    assert residual_at(LogAddExp(), 0.0, y) == 0.5 - y


@pytest.mark.parametrize(
    ("z", "y", "dtype", "found"),
    [
        (36.0, 0.0, "float64", 1.04),
        (37.0, 0.0, "float64", np.inf),
        (-40.0, 1.0, "float64", -np.inf),
        (17.0, 0.0, "float32", 0.695),
        (20.0, 0.0, "float32", np.inf),
    ],
)
def test_the_textbook_form_is_wrong_and_then_infinite_at_saturation(z, y, dtype, found):
    """The slope of tanh is 1 / cosh^2, accurate where 1 - p is not: their errors do not cancel.

    The exact residual is 1, up to sign, in every row.
    """
    assert residual_at(Textbook(), z, y, dtype) == pytest.approx(found, rel=1e-2)
    assert residual_at(Autograd(), z, y, dtype) == pytest.approx(1 - 2 * y)


def test_the_textbook_form_is_nan_where_the_loss_is_0():
    assert np.isnan(residual_at(Textbook(), -40.0, 0.0))
    assert residual_at(Autograd(), -40.0, 0.0) == pytest.approx(np.exp(-40))


def test_what_is_not_supported_is_told():
    with pytest.raises(Unsupported, match="dtype float16; autograd takes float32, float64"):
        Autograd().loss(Case(dtype="float16").problem())
    with pytest.raises(Unsupported, match="loss quadratic; autograd-textbook takes cross_entropy"):
        Textbook().value_and_grad(Case(loss="quadratic").problem())
