"""PyTorch's gradients against the certified ones. What is said of versions was seen in 2.13.0."""

import numpy as np
import pytest
from library_contract import (
    at_logit,
    cases_for,
    check_contract,
    check_derivatives,
    check_losses,
    moved,
    residual_at,
    worst_of,
)

from gradcheck.checks.consistency import check_consistency
from gradcheck.engines.base import Unsupported
from gradcheck.engines.torch_adapter import Probabilities, Textbook, Torch
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problems.case import Case

pytest.importorskip("torch")


@pytest.mark.parametrize("make", [Torch, Probabilities, Textbook])
def test_the_contract_is_kept(make):
    check_contract(make())


@pytest.mark.parametrize("make", [Torch, Probabilities, Textbook])
def test_the_gradient_is_that_of_the_engines_own_loss(make):
    check_derivatives(make(), "gc1:3-4-2:cross_entropy:mean:m5:float64:w1:generic:soft:s3")


@pytest.mark.parametrize("make", [Torch, Probabilities, Textbook])
def test_many_losses_at_once_are_the_single_ones_to_rounding(make):
    engine = make()
    check_losses(engine, cases_for(engine, 60))


def test_a_wrong_last_digit_in_many_losses_breaks_the_contract():
    class Off(Torch):
        def losses(self, problem, stacked):
            return super().losses(problem, stacked) * (1 + 1e-10)

    with pytest.raises(AssertionError):
        check_losses(Off(), [Case(sizes=(3, 4, 1), batch=2)])


def test_the_losses_of_many_parts_are_in_order():
    engine, problem = Torch(), Case(sizes=(3, 4, 1), batch=2).problem()
    stacked = moved(problem, 150)
    alone = [
        engine.loss(problem.with_parameters({name: array[k] for name, array in stacked.items()}))
        for k in range(150)
    ]
    np.testing.assert_allclose(engine.losses(problem, stacked), alone, rtol=1e-14)


def test_differences_are_taken_of_many_losses_at_once():
    engine, asked = Torch(), []
    many = engine.losses

    def counted(problem, stacked):
        asked.append(len(stacked["b1"]))
        return many(problem, stacked)

    engine.losses = counted
    problem = Case(sizes=(4, 5, 1), batch=3).problem()
    outcome = check_consistency(engine, problem)
    assert outcome.verdict is Verdict.PASS
    assert sum(asked) > 0.9 * outcome.forward_passes
    assert max(asked) > 10


def test_the_logits_form_belongs_to_the_class_p_minus_y():
    engine = Torch()
    worst, at = worst_of(engine, cases_for(engine, 120), "p_minus_y")
    assert worst <= 1, at


def test_its_slope_and_residual_cancel():
    engine = Torch()
    worst, _ = worst_of(engine, cases_for(engine, 40), "cancellation_free")
    assert worst > 1


@pytest.mark.parametrize("make", [Probabilities, Textbook])
def test_the_other_forms_belong_to_it_where_nothing_is_saturated(make):
    engine = make()
    cases = [case for case in cases_for(engine, 120, dtypes=["float64"]) if is_mild(case)]
    assert len(cases) >= 20
    worst, at = worst_of(engine, cases, "p_minus_y")
    assert worst <= 1, at


def is_mild(case):
    return case.weight_scale <= 1 and case.corner != "saturated"


@pytest.mark.parametrize(
    ("z", "y", "dtype", "found"),
    [
        (28.0, 0.0, "float64", 0.691),
        (33.0, 0.0, "float64", 0.00466),
        (37.0, 0.0, "float64", 0.0),
        (-30.0, 1.0, "float64", -0.0936),
        (-40.0, 1.0, "float64", -4.25e-06),
        (17.0, 0.0, "float32", 0.0),
        (-40.0, 1.0, "float32", -4.25e-06),
    ],
)
def test_from_probabilities_the_residual_is_lost_where_it_is_1(z, y, dtype, found):
    """binary_cross_entropy divides by max(p (1 - p), 1e-12), and its logarithms end at -100.

    The exact residual is 1, up to sign, in every row.
    """
    assert residual_at(Probabilities(), z, y, dtype) == pytest.approx(found, rel=1e-2)
    assert residual_at(Torch(), z, y, dtype) == pytest.approx(1 - 2 * y)


def test_from_probabilities_the_loss_ends_at_100():
    assert Probabilities().loss(at_logit(800.0, 0.0)) == 100
    assert Torch().loss(at_logit(800.0, 0.0)) == 800


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
    assert np.isfinite(residual_at(Torch(), z, y, dtype))


def test_what_is_not_supported_is_told():
    with pytest.raises(Unsupported, match="dtype longdouble; torch takes float16, float32"):
        Torch().loss(Case(dtype="longdouble").problem())
    with pytest.raises(Unsupported, match="loss quadratic; torch-textbook takes cross_entropy"):
        Textbook().value_and_grad(Case(loss="quadratic").problem())
    with pytest.raises(Unsupported, match="loss quadratic; torch-textbook takes cross_entropy"):
        Textbook().losses(Case(loss="quadratic").problem(), {})
