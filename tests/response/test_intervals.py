"""Planted defects: each leaves the bound where it was planted, and what it gives there is said."""

import json
import math

import numpy as np
import pytest
from planted import log_loss, planted, sigmoid
from some import some

from gradcheck.engines.base import engine_from_callable
from gradcheck.engines.variants import CORRECT, WIDER
from gradcheck.mutants.registry import find_mutant
from gradcheck.response import Responses, curves, measure
from gradcheck.response.curve import ACTIVATION, DELTA, LOSS, SLOPE, WEIGHT
from gradcheck.response.intervals import intervals
from gradcheck.response.words import sentences
from gradcheck.rounding import ARITHMETICS
from gradcheck.verification.log import encode

STANDARD = "flushed"


def said(engine, model=STANDARD, dtypes=("float64",)):
    """What is said, without names."""
    return sentences(measure(engine, model, dtypes=dtypes).intervals)


def found(engine, quantity, y=None, model=STANDARD, dtype="float64", loss="cross_entropy"):
    return [
        i
        for curve in curves(engine, dtype)
        for i in intervals(curve, model)
        if i.quantity == quantity and i.loss == loss and y in (None, i.y)
    ]


# --- right engines --------------------------------------------------------------------------------


@pytest.mark.by_day(2)
@pytest.mark.parametrize("name", ["blas", "fused"])
def test_of_a_right_engine_nothing_is_said(name):
    responses = measure(CORRECT[name](), "cancellation_free")
    assert responses.is_within
    assert responses.sentences() == ()


@pytest.mark.parametrize("name", ["textbook_reversed"])
def test_of_a_textbook_engine_it_is_said_where_digits_are_lost(name):
    responses = measure(CORRECT[name](), "p_minus_y")
    assert responses.sentences() == ()
    assert len(responses.notes()) == 2
    assert responses.notes()[0].startswith("p - y (y = 1): no digit left where z_L > ")
    assert responses.notes()[1].startswith("a (1 - a): no digit left where z_l > ")
    assert not measure(CORRECT[name](), "cancellation_free").is_within


def test_a_sigmoid_of_tanh_is_within_absolute_accuracy_only():
    assert measure(CORRECT["tanh"](), "absolute_sigmoid").is_within
    (digits,) = [i for i in found(CORRECT["tanh"](), ACTIVATION, 1.0) if i.kind == "digits"]
    assert digits.low < -36
    assert -8 < digits.high < -4


# --- cut-offs -------------------------------------------------------------------------------------


def cut(t):
    return lambda z: np.where(z > t, 1, np.where(z < -t, 0, sigmoid(z))).astype(z.dtype)


@pytest.mark.by_day(2)
@pytest.mark.parametrize("t", [15, 19.0, 30.5])
def test_a_sigmoid_that_is_cut_off_is_0_and_1_beyond(t):
    texts = said(planted(sig=cut(t)))
    assert texts[0].startswith(
        f"delta_L is 0 where z_L < {-t:g} (y = 0) and z_L > {t:g} (y = 1); "
        "the exact value there is "
    )
    assert any(s.startswith(f"sigmoid'(z_l) is 0 where |z_l| > {t:g}; ") for s in texts)
    assert any(s.startswith(f"a_l is 0 where z_l < {-t:g}; ") for s in texts)


def test_an_interval_reaches_as_far_as_what_is_said_of_it():
    (interval,) = found(planted(sig=cut(15)), DELTA, 1.0)[1:]
    assert interval.high == np.inf
    assert interval.beyond[1] < 37  # p - y itself has no digit there


def test_a_slope_that_is_0_beyond_leaves_the_activation_alone():
    engine = planted(slope=lambda z, a: np.where(np.abs(z) > 20, 0, a * (1 - a)))
    texts = said(engine)
    assert [s.partition(";")[0] for s in texts] == ["sigmoid'(z_l) is 0 where |z_l| > 20"]
    assert texts[0].endswith("the exact value there is 2.1e-9 and less")


def test_a_cut_on_one_side_is_told_of_that_side():
    engine = planted(sig=lambda z: np.where(z < -12, 0, sigmoid(z)).astype(z.dtype))
    assert any(s.startswith("sigmoid'(z_l) is 0 where z_l < -12; ") for s in said(engine))


@pytest.mark.parametrize(
    ("kept", "told"), [(np.greater, "<= 0"), (np.greater_equal, "< 0"), (np.less, ">= 0")]
)
def test_a_mask_of_relu_ends_at_0_and_it_is_told_whether_with_it(kept, told):
    engine = planted(slope=lambda z, a: np.where(kept(z, 0), a * (1 - a), -0.0))
    assert any(s.startswith(f"sigmoid'(z_l) is 0 where z_l {told}; ") for s in said(engine))


def test_a_floor_is_a_constant():
    engine = planted(sig=lambda z: np.maximum(sigmoid(z), 1e-4).astype(z.dtype))
    (interval,) = found(engine, ACTIVATION, 1.0)
    assert (interval.kind, interval.number) == ("kept", pytest.approx(1e-4))
    assert interval.low == -np.inf
    assert interval.high == pytest.approx(np.log(1e-4 / (1 - 1e-4)), rel=1e-3)


# --- clips ----------------------------------------------------------------------------------------


def test_a_clipped_z_keeps_the_slope_that_it_has_at_the_clip():
    def slope(z, a):
        z = np.clip(z, -20, 20)
        return sigmoid(z) * sigmoid(-z)

    texts = said(planted(slope=slope))
    assert [s.partition(";")[0] for s in texts] == [
        "sigmoid'(z_l) keeps its value 2.061e-9 of |z_l| = 20 where |z_l| > 20"
    ]


def test_clips_that_differ_by_sign_are_told_apart():
    engine = planted(sig=lambda z: sigmoid(np.clip(z, -10, 14)))
    low, high = found(engine, ACTIVATION, 1.0)
    assert (low.kind, low.low, round(low.high)) == ("kept", -np.inf, -10)
    assert (high.kind, round(high.low), high.high) == ("kept", 14, np.inf)


@pytest.mark.by_day(2)
@pytest.mark.parametrize(("name", "end"), [("clipped_1e-7", "16.12"), ("clipped_1e-12", "27.63")])
def test_the_gradient_of_a_clipped_loss_is_0_beyond_the_clip(name, end):
    texts = said(WIDER[name]())
    assert (
        f"delta_L is 0 where z_L > {end} (y = 0) and z_L < -{end} (y = 1); "
        "the exact value there is 1 in size"
    ) in texts
    assert any(f"the loss keeps its value {end} of |z_L| = {end} " in s for s in texts)


# --- single points --------------------------------------------------------------------------------


def test_exactly_0_is_an_interval_of_one_point():
    engine = planted(residual=lambda p, y, z: np.where(z == 0, -0.5 - y, p - y))
    assert [i.is_point and i.low == 0 for i in found(engine, DELTA)] == [True, True]
    assert said(engine) == ("delta_L is -1/2 - y where z_L is exactly 0; expected 1/2 - y",)


def test_what_jax_did_at_0_is_told_as_a_function_of_y():
    engine = planted(residual=lambda p, y, z: np.where(z == 0, -y, p - y))
    assert said(engine) == ("delta_L is -y where z_L is exactly 0; expected 1/2 - y",)


def test_nan_at_0_is_told():
    engine = planted(slope=lambda z, a: a * (1 - a) * z / z)
    assert "sigmoid'(z_l) is NaN where z_l is exactly 0; the exact value is 0.25" in said(engine)


def test_a_dead_zone_is_told_on_both_sides():
    engine = planted(slope=lambda z, a: np.where(np.abs(z) < 0.5, 0, a * (1 - a)))
    texts = said(engine)
    assert texts[0].startswith("sigmoid'(z_l) is 0 where -0.5 < z_l < 0.5; ")


# --- no numbers -----------------------------------------------------------------------------------


def test_an_overflow_to_nan_is_told_in_the_precision_where_it_happens():
    def ratio(z):
        with np.errstate(all="ignore"):
            return np.exp(z) / (1 + np.exp(z))

    texts = said(planted(sig=ratio), dtypes=("float64", "float32"))
    assert any("is NaN where z_l > 709.8, in float64" in s for s in texts)
    assert any("is NaN where z_l > 88.7" in s and "in float32" in s for s in texts)


def test_what_is_raised_is_told_where():
    def by_math(z):
        return np.vectorize(lambda x: 1 / (1 + math.exp(-x)))(z).astype(z.dtype)

    texts = said(planted(sig=by_math))
    told = "delta_L is not given (the engine raises OverflowError) where "
    assert any(s.startswith(f"{told}z_L < -709.8") for s in texts)


# --- functions ------------------------------------------------------------------------------------


def test_a_factor_is_told():
    texts = said(planted(slope=lambda z, a: 0.25 * a * (1 - a)))
    assert any(s.startswith("sigmoid'(z_l) is 0.25 times the exact value where ") for s in texts)


def test_a_shift_is_told():
    texts = said(planted(slope=lambda z, a: a * (1 - a) + 1e-3))
    assert any(
        s.startswith("sigmoid'(z_l) is 0.001 too large where z_l is any number") for s in texts
    )


def test_an_epsilon_in_a_denominator_departs_where_it_matters():
    def residual(p, y, z):
        return (p - y) / np.maximum(p * (1 - p), 1e-12) * p * (1 - p)

    (interval,) = found(planted(residual=residual), DELTA, 1.0)[:1]
    assert interval.kind == "departs"
    assert interval.low == -np.inf
    assert interval.high == pytest.approx(np.log(1e-12), rel=1e-3)


def test_a_slope_of_the_wrong_function_is_wrong_nearly_everywhere():
    wrong, constant = found(planted(slope=lambda z, a: a * (1 + a)), SLOPE)
    assert wrong.kind == "other"
    assert wrong.low < -30
    assert (constant.kind, constant.high) == ("constant", np.inf)
    assert constant.number == pytest.approx(2)


def test_dc_dw_that_is_not_as_delta_is_told():
    right = planted()

    def value_and_grad(problem):
        loss, gradient = right.value_and_grad(problem)
        z = float((problem.inputs @ problem.weights[0].T + problem.biases[0])[0, 0])
        return loss, [(W * (z < 9), b) for W, b in gradient]

    value_and_grad.losses = ("cross_entropy",)
    engine = engine_from_callable(value_and_grad, "W")
    assert found(engine, DELTA) == []
    assert found(engine, WEIGHT)
    assert any(s.startswith("dC/dW_L is 0 where z_L > 9") for s in said(engine))


@pytest.mark.parametrize(
    ("W", "b", "told"), [(1, -1, "dC/db_L"), (-1, -1, "delta_L"), (-1, 1, "dC/dW_L")]
)
def test_delta_is_told_where_both_derivatives_show_it_else_the_one_that_does(W, b, told):
    right = planted()

    def value_and_grad(problem):
        loss, gradient = right.value_and_grad(problem)
        one_unit = len(gradient) == 1
        return loss, [(W * dW, b * db) for dW, db in gradient] if one_unit else gradient

    value_and_grad.losses = ("cross_entropy",)
    told_of = some(said(engine_from_callable(value_and_grad, "signs")))
    assert {s.partition(" ")[0] for s in told_of} == {told}


# --- the loss -------------------------------------------------------------------------------------


def test_a_loss_that_is_not_finite_is_a_note():
    responses = measure(planted(loss=log_loss), dtypes=("float64",))
    assert responses.is_within
    assert responses.notes()[-1] == (
        "the loss is not finite beyond |z_L| = 36.74 in float64: NaN where z_L < -745.1 (y = 0) "
        "and z_L > 36.74 (y = 1), infinite where z_L > 36.74 (y = 0) and z_L < -745.1 (y = 1)"
    )


def test_a_loss_that_is_kept_is_told():
    engine = planted(loss=lambda p, y, z: np.minimum(np.logaddexp(0, z) - y * z, 10))
    (interval,) = found(engine, LOSS, 1.0)
    assert (interval.kind, interval.number, interval.low) == ("kept", 10, -np.inf)
    assert interval.high == pytest.approx(-10, rel=1e-3)


# --- mutants of the registry ----------------------------------------------------------------------


@pytest.mark.by_day(2)
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("pre_activations_clipped", "sigmoid'(z_l) keeps its value 2.061e-9 of |z_l| = 20"),
        ("saturated_slope_zero", "sigmoid'(z_l) is 0 where |z_l| > 20"),
        ("saturated_branch_swapped", "sigmoid'(z_l) is 1 where z_l > 20"),
        ("saturated_output_zero", "delta_L (cross-entropy) is 0 where z_L > 36.74 (y = 0)"),
        ("flush_to_zero", "delta_L (cross-entropy) is 0 where z_L < -13.81"),
    ],
)
def test_mutants_that_are_wrong_for_large_z_are_described(name, told):
    assert any(s.startswith(told) for s in said(find_mutant(name).make()))


# --- JSON -----------------------------------------------------------------------------------------


def test_responses_survive_json():
    responses = measure(planted(sig=cut(15)), dtypes=("float64",))
    again = Responses.from_json(json.loads(encode({"kind": "response", **responses.to_json()})))
    assert again.sentences() == responses.sentences()
    assert again.notes() == responses.notes()
    assert [c.quantity for c in again.curves] == [c.quantity for c in responses.curves]


def test_a_right_engine_leaves_no_curves_in_the_record():
    assert measure(CORRECT["blas"]()).to_json()["curves"] == []


@pytest.mark.by_day(2)
@pytest.mark.parametrize("model", ["tf32", "bfloat16"])
def test_every_model_has_bounds(model):
    assert model in ARITHMETICS
    assert measure(CORRECT["textbook"](), model, dtypes=("float32",)).is_within
