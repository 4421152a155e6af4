"""What was found on one problem is kept only as far as others of the same structure bear it out."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck.diagnosis.claims import confirmed, how_many_hold, located
from gradcheck.diagnosis.finding import UNKNOWN
from gradcheck.diagnosis.formula import BIAS, OUTPUT, WEIGHT
from gradcheck.diagnosis.formulas import LIBRARY
from gradcheck.diagnosis.peel import Guide, peel
from gradcheck.diagnosis.probes import others, seen_once, shuffled
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.registry import find_mutant
from gradcheck.problems.case import parse

CASE = parse("gc1:3-5-4-2:cross_entropy:mean:m6:float64:w1:generic:soft:s0")
PROBLEM = CASE.problem()
CLASS = "cancellation_free"


def engine(*names):
    return type("Several", tuple(find_mutant(name).make for name in names), {})()


def seen(wrong, case=CASE):
    return seen_once(wrong, case.problem(), CLASS)


def found(wrong, case=CASE):
    return peel(seen(wrong, case), Guide(LIBRARY)).findings


@pytest.mark.parametrize(
    "names",
    [("mean_missing",), ("slope_missing",), ("bias_sign",), ("two_columns_swapped",),
     ("dropout_mask",), ("mean_missing", "bias_sign", "slope_missing"), ("rounded_to_decimals",)],
)  # fmt: skip
def test_what_is_so_elsewhere_is_kept_whole(names):
    wrong = engine(*names)
    told = found(wrong)
    kept = confirmed(told, others(wrong, PROBLEM, CLASS))
    assert [f.names() for f in kept] == [f.names() for f in told]


@pytest.mark.parametrize("name", ["mean_missing", "bias_sign", "two_columns_swapped"])
def test_what_is_so_of_another_engine_is_not_kept(name):
    told = found(engine(name))
    for other in (engine("weight_decay"), engine("hidden_sign"), Backprop()):
        assert confirmed(told, others(other, PROBLEM, CLASS)) == ()


def test_the_first_findings_are_kept_if_those_after_them_are_not_so():
    both = found(engine("wrong_sign", "bias_forgotten"))
    assert [f.place for f in both] == [OUTPUT, BIAS, BIAS, BIAS]
    elsewhere = others(engine("wrong_sign", "bias_forgotten"), PROBLEM, CLASS)
    false = tuple(replace(f, place=WEIGHT) if f.layer == 1 else f for f in both)
    assert confirmed(false, elsewhere) == both[:3]


def test_a_wrong_error_is_not_so_where_the_bias_gradient_alone_is_wrong():
    wrong_error = found(engine("slope_missing"))
    assert how_many_hold(wrong_error, seen(engine("bias_without_slope"))) == 0
    assert how_many_hold(wrong_error, seen(engine("slope_missing"))) == len(wrong_error)


def test_another_candidate_takes_the_place_of_one_that_is_not_so():
    two = parse("gc1:1-1:cross_entropy:mean:m2:float64:w1:generic:soft:s0")
    told = found(engine("mean_missing"), two)
    assert {c.key for c in told[0].candidates} >= {"factor m", "factor 2"}
    three = [seen(engine("mean_missing"), replace(two, batch=3))]
    [kept] = confirmed(told, three)
    assert kept.candidates[0].key == "factor m"


def test_the_highest_wrong_layer_is_located_over_several_problems():
    every = others(engine("bias_sign"), PROBLEM, CLASS)
    told = located(every)
    assert (told.place, told.layer, told.kind) == (BIAS, 3, UNKNOWN)
    assert told.says == "dC/db_3 is wrong in a way that nothing explains"
    assert located(others(engine("slope_missing"), PROBLEM, CLASS)).layer == 2
    assert located(others(Backprop(), PROBLEM, CLASS)) is None


def test_a_shuffled_problem_has_the_same_numbers_in_other_places():
    case = parse("gc1:3-5-4-2:quadratic:mean:m6:float32:w1:duplicated_examples:soft:s0")
    problem = case.problem()
    other = shuffled(problem, 1, problem.dtype)
    assert other != problem
    for mine, its in zip(other.parameters.values(), problem.parameters.values(), strict=True):
        assert np.array_equal(np.sort(mine, axis=None), np.sort(its, axis=None))
    assert len(np.unique(other.inputs, axis=0)) == len(np.unique(problem.inputs, axis=0)) == 3
    assert shuffled(problem, 1, np.dtype(float)).dtype == np.float64
