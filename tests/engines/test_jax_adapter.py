"""JAX's gradients against the certified ones. What is said of versions was seen in 0.10.2."""

import numpy as np
import pytest
from library_contract import (
    FEW_SHAPES,
    at_logit,
    cases_for,
    check_contract,
    check_derivatives,
    check_losses,
    moved,
    residual_at,
    residual_errors,
    worst_of,
)

from gradcheck.engines.base import Unsupported
from gradcheck.engines.jax_adapter import Jax, Log1p, Textbook
from gradcheck.problems.case import Case

jax = pytest.importorskip("jax")

LARGE = np.arange(32.1, 36, 0.5)


@pytest.mark.parametrize("make", [Jax, Textbook])
def test_the_contract_is_kept(make):
    check_contract(make())


def test_the_gradient_is_that_of_the_engines_own_loss():
    check_derivatives(Jax(), "gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s3")


@pytest.mark.parametrize("make", [Jax, Textbook])
def test_many_losses_at_once_are_the_single_ones_to_rounding(make):
    engine = make()
    check_losses(engine, cases_for(engine, 20, shapes=FEW_SHAPES))


def test_many_losses_are_compiled_once_however_many_they_are():
    engine, problem = Jax(), Case(sizes=(3, 4, 1), batch=2).problem()
    for K in (1, 3, 4, 5, 64, 70, 150):
        stacked = moved(problem, K)
        alone = [
            engine.loss(problem.with_parameters({name: a[k] for name, a in stacked.items()}))
            for k in range(K)
        ]
        np.testing.assert_allclose(engine.losses(problem, stacked), alone, rtol=1e-14)
    assert engine._losses._cache_size() == 1
    engine.close()
    assert engine._losses._cache_size() == 0


def test_the_logits_form_belongs_to_the_class_log_sum():
    engine = Jax()
    assert engine.info.arithmetic == "log_sum"
    worst, at = worst_of(engine, cases_for(engine, 120, shapes=FEW_SHAPES), "log_sum")
    assert worst <= 1, at


def test_the_quadratic_loss_belongs_to_the_class_flushed():
    engine = Jax()
    cases = [c for c in cases_for(engine, 120, shapes=FEW_SHAPES) if c.loss == "quadratic"]
    worst, at = worst_of(engine, cases, "flushed")
    assert worst <= 1, at


def test_log_of_sum_costs_the_residual_digits():
    """exp(z - log(1 + e^z)) errs by up to u |z|; the residual is about 1 here."""
    errors = residual_errors(Jax(), LARGE, 0.0)
    assert max(errors) > 14
    assert (errors <= LARGE + 2).all()


def test_subnormal_numbers_are_flushed_to_zero():
    assert residual_at(Jax(), -90.0, 0.0, "float32") == 0  # e^-90 = 8.2e-40
    assert residual_at(Jax(), -87.0, 0.0, "float32") > 0


@pytest.mark.parametrize(("y", "found"), [(0.0, 0.0), (0.25, -0.25), (1.0, -1.0)])
def test_the_formula_with_log1p_takes_the_slope_of_the_absolute_value_at_0_for_1(y, found):
    """The residual where z is exactly 0 is -y instead of 1/2 - y; right on both sides of it."""
    assert residual_at(Log1p(), 0.0, y) == found
    assert residual_at(Jax(), 0.0, y) == 0.5 - y
    assert residual_at(Log1p(), 1e-9, y) == pytest.approx(0.5 - y, abs=1e-8)
    assert residual_at(Log1p(), -1e-9, y) == pytest.approx(0.5 - y, abs=1e-8)


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
    assert np.isfinite(residual_at(Jax(), z, y, dtype))


def test_float64_is_switched_on_for_the_call_alone():
    before = jax.config.jax_enable_x64
    engine = Jax()
    exact = np.log1p(np.exp(0.1))
    assert engine.loss(at_logit(0.1, 0.0)) == pytest.approx(exact, rel=1e-15)
    engine.value_and_grad(at_logit(0.1, 0.0))
    assert jax.config.jax_enable_x64 == before
    assert jax.numpy.ones(1).dtype == ("float64" if before else "float32")


def test_nothing_is_compiled_twice_for_one_architecture_and_batch():
    engine = Jax()
    for seed in range(3):
        engine.loss(Case(sizes=(2, 1), batch=2, seed=seed).problem())
    assert engine._loss._cache_size() == 1
    engine.close()
    assert engine._loss._cache_size() == 0


def test_what_is_not_supported_is_told():
    with pytest.raises(Unsupported, match="dtype float16; jax takes float32, float64"):
        Jax().loss(Case(dtype="float16").problem())
    with pytest.raises(Unsupported, match="loss quadratic; jax-textbook takes cross_entropy"):
        Textbook().value_and_grad(Case(loss="quadratic").problem())
    with pytest.raises(Unsupported, match="loss quadratic; jax-textbook takes cross_entropy"):
        Textbook().losses(Case(loss="quadratic").problem(), {})
