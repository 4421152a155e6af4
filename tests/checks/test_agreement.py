"""Agreement: the gradient of the loss that was meant, to within rounding and no more."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks import agreement
from gradcheck.engines.base import EngineInfo, Unsupported, engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, parse, sample_cases
from gradcheck.problems.strategies import problems
from gradcheck.rounding import gradient_deviation

REFERENCE = find("reference")
check_agreement = agreement.check_agreement
PROBLEM = parse("gc1:4-5-3-2:cross_entropy:mean:m6:float64:w1:generic:soft:s1").problem()


def engine(change):
    """The reference with its gradient, a list of [W, b] pairs of writable arrays, changed."""

    def value_and_grad(problem):
        value, gradient = REFERENCE.value_and_grad(problem)
        pairs = [[np.array(W), np.array(b)] for W, b in gradient]
        change(pairs)
        return value, [tuple(pair) for pair in pairs]

    return engine_from_callable(value_and_grad, "changed")


def scaled(factor):
    def change(pairs):
        for pair in pairs:
            for part in pair:
                np.multiply(part, factor, out=part)

    return engine(change)


@given(problems(max_parameters=200))
def test_the_reference_engines_never_fail(problem):
    assert check_agreement(REFERENCE, problem).verdict is not Verdict.FAIL


def test_the_reference_passes_and_says_what_it_would_have_seen():
    outcome = check_agreement(REFERENCE, PROBLEM)
    assert outcome.verdict is Verdict.PASS
    assert 0 < outcome.resolution < 1e-11
    assert (outcome.forward_passes, outcome.backward_passes) == (0, 3)
    assert outcome.notes == ()


@pytest.mark.parametrize("error", [1e-3, 1e-6, 1e-9, 1e-12])
def test_a_wrong_factor_fails_in_float64(error):
    assert check_agreement(scaled(1 + error), PROBLEM).verdict is Verdict.FAIL


def test_a_wrong_factor_fails_in_float32():
    outcome = check_agreement(scaled(np.float32(1 + 1e-4)), PROBLEM.astype("float32"))
    assert outcome.verdict is Verdict.FAIL


@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("layer", range(3))
def test_one_wrong_coordinate_is_named(layer, part):
    def change(pairs):
        pairs[layer][part].flat[1] *= 1 + 1e-11

    outcome = check_agreement(engine(change), PROBLEM)
    name = f"W{layer + 1}[0,1]" if part == 0 else f"b{layer + 1}[1]"
    assert [d.name for d in outcome.discrepancies] == [name]
    assert outcome.discrepancies[0].witness == "exact"


def test_deltas_rounded_to_float32_inside_a_float64_engine_fail():
    def through_float32(pairs):
        for pair in pairs:
            for part in pair:
                part[...] = part.astype(np.float32)

    assert check_agreement(engine(through_float32), PROBLEM).verdict is Verdict.FAIL


def test_a_saturated_gradient_of_zero_fails_where_differences_see_nothing():
    problem = Case(sizes=(1, 1), corner="saturated", targets="ones", seed=1).problem()
    exact = certified_gradient(problem).gradient
    assert 0 < np.abs(exact).max() < 1e-12 or np.abs(exact).max() > 0.4
    assert check_agreement(scaled(0.0), problem).verdict is Verdict.FAIL


def test_a_stationary_point_passes_because_zero_is_the_exact_answer():
    problem = Case(sizes=(3, 4, 1), batch=2, corner="stationary", targets="half").problem()
    outcome = check_agreement(REFERENCE, problem)
    assert (outcome.verdict, outcome.counts["exact"]) == (Verdict.PASS, 21)

    def almost(pairs):  # a residual of 1/2 - 1/2, which may round
        pairs[1][1][...] = 1e-30

    assert check_agreement(engine(almost), problem).reason is Reason.VACUOUS

    def behind_zeros(pairs):  # (delta_2 0) * slope, which may not
        pairs[0][0][...] = 1e-30

    assert check_agreement(engine(behind_zeros), problem).verdict is Verdict.FAIL


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_not_finite_fails(number):
    def change(pairs):
        pairs[1][0][0, 0] = number

    outcome = check_agreement(engine(change), PROBLEM)
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, Reason.NONFINITE)


def test_an_overflow_that_the_dtype_allows_proves_nothing():
    case = Case(sizes=(2, 3, 1), dtype="float16", weight_scale=300.0, seed=3)
    huge = case.problem()
    problem = type(huge)(
        huge.architecture,
        tuple(np.full_like(W, 60000) for W in huge.weights),
        huge.biases,
        np.full_like(huge.inputs, 60000),
        huge.targets,
    )

    def nothing_finite(problem):
        nan = [(np.full_like(W, np.nan), np.full_like(b, np.nan)) for W, b in
               zip(problem.weights, problem.biases, strict=True)]  # fmt: skip
        return np.nan, nan

    outcome = check_agreement(engine_from_callable(nothing_finite, "nan"), problem)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)


def test_the_deviation_within_a_wider_format_and_that_of_the_last_rounding_add_up():
    """A saturated output, p - y: float64 loses of 1 what float32 loses of 2e-9."""
    problem = Problem(
        Architecture((1, 1)), (np.array([[20.0]], np.float32),), (np.zeros(1, np.float32),),
        np.ones((1, 1), np.float32), np.ones((1, 1), np.float32),
    )  # fmt: skip
    own = gradient_deviation(problem)
    within = gradient_deviation(problem.astype("float64"), "p_minus_y")
    assert (np.minimum(own, within) > np.maximum(own, within) / 30).all()
    found = agreement.Bounds(problem, "p_minus_y", "float64").deviation
    np.testing.assert_allclose(found, np.sqrt(own**2 + within**2), rtol=1e-12, atol=0)


def test_a_loss_that_is_not_the_one_meant_is_noted():
    def other_loss(problem):
        value, gradient = REFERENCE.value_and_grad(problem)
        return value * 1.001, gradient

    outcome = agreement.check_agreement(engine_from_callable(other_loss, "other"), PROBLEM)
    assert outcome.verdict is Verdict.PASS
    assert "the one that is meant" in outcome.notes[0]


@pytest.mark.parametrize(
    ("loss", "allowed", "is_told"),
    [
        (1.5, 0.5, False),
        (0.5, 0.5, False),
        (1.6, 0.5, True),
        (0.4, 0.5, True),
        (np.nan, 0.5, True),
        (np.inf, 0.5, True),
        (np.nan, np.inf, False),  # it may overflow
        (np.inf, np.inf, False),
        (2.0, np.nan, False),
    ],
)
def test_a_loss_is_another_one_beyond_what_rounding_explains(loss, allowed, is_told):
    exact = SimpleNamespace(loss=1.0, loss_bound=0.125)
    told = agreement._about_the_loss(loss, exact, PROBLEM, SimpleNamespace(loss=allowed - 0.125))
    assert bool(told) is is_told
    assert agreement._about_the_loss(None, exact, PROBLEM, None) == "the engine returns no loss"


def test_manners_are_held_to_as_well():
    def views(problem):
        value, _ = REFERENCE.value_and_grad(problem)
        return value, list(zip(problem.weights, problem.biases, strict=True))

    assert check_agreement(engine_from_callable(views, "v"), PROBLEM).reason is Reason.ALIASED


def test_what_cannot_be_asked_is_said():
    with pytest.raises(ValueError, match=r"resolution=2 must be between 0 and 1"):
        check_agreement(REFERENCE, PROBLEM, resolution=2)
    with pytest.raises(TypeError, match="longdouble"):
        check_agreement(REFERENCE, PROBLEM.astype(np.longdouble))

    def refuses(problem):
        raise Unsupported("soft targets")

    with pytest.raises(Unsupported, match="soft targets"):
        check_agreement(engine_from_callable(refuses, "r"), PROBLEM)


def test_an_engine_is_held_to_the_class_that_it_declares():
    tanh = scaled(1 + 1e-12)
    tanh.info = EngineInfo("declared", "1", ("float64",), ("cross_entropy",), ("mean",),
                           arithmetic="bfloat16")  # fmt: skip
    outcome = check_agreement(tanh, PROBLEM)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)
    assert outcome.model == "bfloat16"


@pytest.mark.nightly
def test_two_thousand_sampled_problems_never_fail():
    for name in ("reference", "chain-rule"):
        found = find(name)
        limits = {} if name == "reference" else {"max_parameters": 300}
        for case in sample_cases(2000, 99, **limits):
            assert check_agreement(found, case.problem()).verdict is not Verdict.FAIL, case.token


def test_a_problem_whose_weights_are_written_to_is_bounded_anew():
    parameters = {name: np.array(array) for name, array in PROBLEM.parameters.items()}
    problem = PROBLEM.with_parameters(parameters)
    before = check_agreement(REFERENCE, problem).comparison.allowance
    for array in parameters.values():
        array[...] = 4 * array
    after = check_agreement(REFERENCE, problem).comparison.allowance
    np.testing.assert_array_equal(
        after, check_agreement(REFERENCE, PROBLEM.with_parameters(parameters)).comparison.allowance
    )
    assert (before != after).any()
