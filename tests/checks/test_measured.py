"""The model found for an engine is the narrowest that explains its answers, and excuses no bug."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import textbook_engines
from some import some

from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.measured import (
    allowed_models,
    errs_as_predicted,
    half_saturated,
    half_saturated_layers,
    loss_model,
    may_be_infinite,
)
from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.engines.base import engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.engines.variants import CORRECT
from gradcheck.outcomes.reasons import Kind, Reason, Verdict
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, parse, sample_cases
from gradcheck.rounding import ARITHMETICS, models_up_to

MODELS = list(ARITHMETICS)


def engine(name):
    return engine_from_callable(getattr(textbook_engines, name), name)


def one_unit(z, y, dtype=np.float64, loss="cross_entropy"):
    W, one = np.array([[z]], dtype), np.ones((1, 1), dtype)
    architecture = Architecture((1, 1), loss)
    return Problem(architecture, (W,), (np.zeros(1, dtype),), one, y * one)


def models_found(name, count, **limits):
    """The models of an engine's outcomes over random cases, none of which may FAIL."""
    under_test, found = engine(name), set()
    for case in sample_cases(count, 3, max_parameters=200, **limits):
        outcome = check_agreement(under_test, case.problem())
        assert outcome.verdict is not Verdict.FAIL, (case.token, outcome)
        found.add(outcome.model)
    return found


def hidden_biases_lack_the_slope(problem):
    """p - y, and in hidden layers dC/db = sum_i dC/da in place of sum_i delta."""
    a, activations = problem.inputs, [problem.inputs]
    for W, b in zip(problem.weights, problem.biases, strict=True):
        a = 1 / (1 + np.exp(-(a @ W.T + b)))
        activations.append(a)
    delta = activations[-1] - problem.targets
    pairs = [(delta.T @ activations[-2], delta.sum(0))]
    for layer in range(len(problem.weights) - 1, 0, -1):
        up, a = delta @ problem.weights[layer], activations[layer]
        delta = up * a * (1 - a)
        pairs.insert(0, (delta.T @ activations[layer - 1], up.sum(0)))
    return 0.0, pairs


# --- which model ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "widest"),
    [
        ("textbook", "p_minus_y"),
        ("textbook_log", "p_minus_y"),
        ("any_order", "p_minus_y"),
        ("tanh", "absolute_sigmoid"),
    ],
)
@pytest.mark.parametrize("count", [20, pytest.param(40, marks=pytest.mark.nightly)])
def test_a_right_engine_is_explained_by_the_narrowest_model_that_holds_it(name, widest, count):
    found = models_found(name, count)
    assert found <= set(models_up_to(widest))
    assert widest in found
    assert "cancellation_free" in found  # where nothing is saturated


def test_an_engine_without_cancellation_needs_no_wider_model():
    reference = find("reference")
    undeclared = engine_from_callable(reference.value_and_grad, "undeclared")
    cases = list(sample_cases(40, 4, max_parameters=200))
    outcomes = [check_agreement(undeclared, case.problem()) for case in cases]
    assert {outcome.model for outcome in outcomes} == {"cancellation_free"}
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    assert verdicts[Verdict.FAIL] == 0
    assert verdicts[Verdict.PASS] >= 36


@pytest.mark.parametrize("name", CORRECT)
def test_no_right_variant_is_accused_though_it_declares_nothing(name):
    variant = CORRECT[name]()
    undeclared = engine_from_callable(variant.value_and_grad, name)
    dtypes = [dtype for dtype in variant.info.dtypes if dtype != "float16"]
    passed, losses = 0, variant.info.losses
    for case in sample_cases(8, 5, max_parameters=100, dtypes=dtypes, losses=losses):
        outcome = check_agreement(undeclared, case.problem())
        assert outcome.verdict is not Verdict.FAIL, case.token
        passed += outcome.verdict is Verdict.PASS
    assert passed >= 6


# --- what no model excuses ------------------------------------------------------------------------


def excused(outcome, model):
    """Whether a model allows the numbers, and more than could be decided by them."""
    told = (Verdict.INCONCLUSIVE, Reason.VACUOUS, model)
    return (outcome.verdict, outcome.reason, outcome.model) == told


def test_the_digits_that_p_minus_y_loses_are_excused_only_if_it_loses_them():
    at = one_unit(40.0, 1)
    assert excused(check_agreement(engine("textbook"), at), "p_minus_y")
    assert check_agreement(engine("residual_0_beyond_37"), at).verdict is Verdict.FAIL


def test_a_cut_off_is_no_sigmoid_of_absolute_accuracy():
    at = one_unit(-41.0, 0)
    assert excused(check_agreement(engine("tanh"), at), "absolute_sigmoid")
    assert check_agreement(engine("sigmoid_0_below_minus_40"), at).verdict is Verdict.FAIL


def test_a_value_that_overflows_to_zero_is_not_excused_by_its_smallness():
    reference = find("reference")

    def overflows(problem):
        value, [*rest, (W, b)] = reference.value_and_grad(problem)
        return value, [*rest, tuple(np.where(np.abs(x) < 1e-150, 0, x) for x in (W, b))]

    at = one_unit(-425.0, 0)  # e^-425 = 2.7e-185
    outcome = check_agreement(engine_from_callable(overflows, "overflows"), at)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.model == ""


@pytest.mark.parametrize("count", [12, pytest.param(40, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("name", ["kept_in_float64", "kept_in_longdouble"])
def test_an_engine_may_keep_its_numbers_in_a_wider_format(name, count):
    found = models_found(name, count, dtypes=["float32"], corners=["saturated", "generic"])
    assert found <= {"cancellation_free", "p_minus_y"}
    at = one_unit(46.0, 1, np.float32)
    outcome = check_agreement(engine(name), at)
    assert (outcome.verdict is not Verdict.FAIL, outcome.model) == (True, "p_minus_y")
    u = float(np.finfo(np.float64).eps) / 2
    assert outcome.comparison.allowance[1] < 10 * u  # of the wider format


def test_a_wider_format_excuses_no_more_than_its_own_rounding():
    at = one_unit(20.5, 1, np.float32)  # e^-20.5 = 1.3e-9, less than float32 rounds 1 by
    assert check_agreement(engine("kept_in_float64"), at).verdict is Verdict.PASS
    assert check_agreement(engine("cut_off_at_20"), at).verdict is Verdict.FAIL


def test_a_mistake_is_not_excused_by_any_model():
    for case in sample_cases(40, 6, max_parameters=100, corners=["saturated"]):
        outcome = check_agreement(engine("cut_at_15"), case.problem())
        if outcome.verdict is Verdict.FAIL:
            return
    pytest.fail("the cut-off was not seen")


def test_an_engine_that_takes_no_single_unit_is_asked_about_its_own_sizes():
    under_test = engine("only_its_own_sizes")
    problem = Case(sizes=(3, 4, 2), weight_scale=30.0, seed=1).problem()
    outcome = check_agreement(under_test, problem)
    assert (outcome.verdict is not Verdict.FAIL, outcome.model) == (True, "p_minus_y")
    assert errs_as_predicted(under_test, problem, "p_minus_y")[0]
    assert not errs_as_predicted(under_test, problem, "absolute_sigmoid")[0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("probes", [half_saturated, half_saturated_layers])
def test_probes_are_half_saturated(probes, dtype):
    problem = Case(sizes=(3, 4, 2), dtype=dtype).problem()
    u = np.finfo(dtype).eps / 2
    for _, probe in some(probes(problem, (1, -1), u)):
        z = np.concatenate([np.asarray(b, float) for b in probe.biases])
        z = np.append(z, np.asarray(probe.weights[0], float).sum())
        assert u**0.85 < np.exp(-np.abs(z).max()) < u**0.4
        assert probe.dtype == dtype


# --- what is required -----------------------------------------------------------------------------


def test_a_requirement_moves_the_line():
    at = one_unit(20.0, 1)
    assert check_agreement(engine("textbook"), at).model == "p_minus_y"
    strict = explained_agreement(engine("textbook"), at, require="strict")
    assert (strict.verdict, strict.reason) == (Verdict.FAIL, Reason.MISMATCH)
    assert strict.explanation.startswith("p_minus_y: ")
    tanh = one_unit(-30.0, 0)
    assert excused(check_agreement(engine("tanh"), tanh), "absolute_sigmoid")
    assert check_agreement(engine("tanh"), tanh, require="flushed").verdict is Verdict.FAIL


def test_a_declared_model_binds_whatever_else_is_allowed():
    assert allowed_models("cancellation_free", None) == ("cancellation_free",)
    assert allowed_models("cancellation_free", "standard") == ("cancellation_free",)
    assert allowed_models("bfloat16", "strict") == ("cancellation_free",)
    assert allowed_models("bfloat16", None) == ("bfloat16",)
    assert allowed_models("", None) == models_up_to("standard") == tuple(MODELS[:5])


def test_what_is_no_model_is_refused_by_name():
    with pytest.raises(ValueError, match="require='strictest'; it must be one of strict, standard"):
        models_up_to("strictest")
    with pytest.raises(ValueError, match="arithmetic='exact'"):
        allowed_models("exact", None)


# --- the loss -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("textbook", "p_minus_y"),
        ("textbook_log", "p_minus_y"),
        ("nan_loss", ""),
    ],
)
def test_the_loss_has_the_narrowest_model_that_explains_it(name, model):
    found = loss_model(engine(name), one_unit(1.0, 0))
    assert MODELS.index(found or "bfloat16") <= MODELS.index(model or "bfloat16")
    assert (found == "") == (model == "")


def test_the_loss_of_the_reference_is_free_of_cancellation():
    assert loss_model(find("reference"), one_unit(1.0, 0)) == "cancellation_free"


def test_a_loss_may_be_infinite_only_where_an_output_rounds_to_0_or_1():
    for z in (40.0, -40.0):
        assert may_be_infinite(one_unit(z, 0))
        assert may_be_infinite(one_unit(z, 1))  # 0 log 0
    assert not may_be_infinite(one_unit(20.0, 0))
    assert not may_be_infinite(one_unit(40.0, 0, loss="quadratic"))
    token = "gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0"
    assert not may_be_infinite(parse(token).problem())


def test_an_engine_that_is_wrong_in_hidden_layers_is_not_accused_where_there_is_none():
    wrong = engine_from_callable(hidden_biases_lack_the_slope, "wrong")
    saturated = one_unit(39.0, 1.0)  # p rounds to 1, p - y to 0
    assert check_agreement(wrong, saturated).verdict is Verdict.INCONCLUSIVE
    deep = parse("gc1:1-1-1:cross_entropy:sum:m1:float64:w1:generic:binary:s0").problem()
    assert check_agreement(wrong, deep).verdict is Verdict.FAIL
    assert check_agreement(wrong, one_unit(2.0, 1.0)).verdict is Verdict.PASS


def factor_of_float32(problem):
    """The textbook, and every number has m float32(1 / m) for a factor."""
    (loss, pairs), m = textbook_engines.textbook(problem), problem.batch
    c = float(np.float32(1) / np.float32(m)) * m
    return loss, [(c * dW, c * db) for dW, db in pairs]


def test_what_rounding_explains_is_no_evidence_of_what_else_is_wrong():
    third = engine_from_callable(factor_of_float32, "third")
    all_saturated = "gc1:1-1:cross_entropy:mean:m3:float64:w30:constant_feature:binary:s4"
    outcome = check_agreement(third, parse(all_saturated).problem())
    assert outcome.verdict is Verdict.FAIL
    assert "shown at smaller weights" in outcome.notes[-1]
    deviation = outcome.comparison.engine / outcome.comparison.oracle - 1
    assert deviation == pytest.approx(2.0**-25, rel=1e-6)  # 3 float32(1 / 3) - 1, not 0 for 1e-20

    one_saturated = "gc1:1-2:cross_entropy:mean:m3:float64:w1:saturated:binary:s0"
    outcome = check_agreement(third, parse(one_saturated).problem())
    assert outcome.verdict is Verdict.FAIL
    wrong = outcome.comparison.kind == Kind.FAILED
    assert 0 < wrong.sum() < wrong.size  # 0 for 1e-18 is p - y
    assert np.all(outcome.comparison.engine[wrong] != 0)


def soft_targets_are_cut_off(problem):
    """The textbook, with int(y) for y."""
    return textbook_engines.textbook(replace(problem, targets=np.floor(problem.targets)))


def test_what_rounding_explains_accuses_nobody_of_what_hidden_units_do_elsewhere():
    wrong = engine_from_callable(soft_targets_are_cut_off, "wrong")
    W, one = np.array([[39.0]]), np.ones((1, 1))
    deep = Problem(Architecture((1, 1, 1)), (W, W), (np.zeros(1), np.zeros(1)), one, one)
    outcome = check_agreement(wrong, deep)  # p - y is 0, and so is all below, as it may be
    assert np.all(outcome.comparison.engine == 0)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)
    assert outcome.model == ""
    soft = replace(deep, weights=(W / 39, W / 39), targets=one / 4)
    assert check_agreement(wrong, soft).verdict is Verdict.FAIL


def hidden_units_in_a_chain_are_negated(problem):
    """The textbook, and -dC/dW_1 in a chain of single units, as half saturated ones are asked."""
    loss, pairs = textbook_engines.textbook(problem)
    if problem.architecture.sizes == (1, 1, 1):
        pairs = [(-pairs[0][0], pairs[0][1]), *pairs[1:]]
    return loss, pairs


def test_what_one_model_excuses_no_other_one_accuses():
    wrong = engine_from_callable(hidden_units_in_a_chain_are_negated, "wrong")
    token = "gc1:3-7-1:cross_entropy:mean:m1:float64:w10:generic:binary:s2149763870"
    outcome = check_agreement(wrong, parse(token).problem())
    assert outcome.reason is Reason.VACUOUS
    assert outcome.detail.startswith("rounding explains these numbers, but not ")  # was a PASS
