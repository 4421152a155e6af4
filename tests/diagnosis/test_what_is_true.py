"""The judge of diagnoses: true is what is so of the engine, false what is so of another one."""

from dataclasses import replace

import pytest
from truth import FALSE, NOT_KNOWN, RIGHT, VAGUE, judged

from gradcheck.checks.agreement import check_agreement
from gradcheck.diagnosis.explain import diagnose
from gradcheck.diagnosis.finding import UNKNOWN
from gradcheck.diagnosis.formula import BIAS
from gradcheck.mutants.registry import find_mutant
from gradcheck.outcomes.reasons import Kind
from gradcheck.problems.case import parse

NAMES = ("mean_missing", "slope_missing", "weights_transposed", "bias_averaged", "weight_decay",
         "last_row_zeroed", "two_columns_swapped", "one_weight_scaled_1e-3", "hidden_sign",
         "bias_from_first_example", "rounded_to_decimals")  # fmt: skip
SQUARE = parse("gc1:3-4-4-2:quadratic:mean:m6:float64:w1:generic:soft:s0")


def said_of(name, case=SQUARE):
    make, problem = find_mutant(name).make, case.problem()
    c = check_agreement(make(), problem).comparison
    return diagnose(make(), problem, c.engine, c.kind == Kind.FAILED)


@pytest.mark.by_day(2)
@pytest.mark.parametrize("name", NAMES)
def test_a_diagnosis_is_true_of_its_own_engine_and_of_no_other(name):
    said = said_of(name)
    assert judged(said, find_mutant(name).make, SQUARE)[0] in (RIGHT, VAGUE)
    for other in NAMES:
        if other != name:
            assert judged(said, find_mutant(other).make, SQUARE)[0] == FALSE, (name, other)


def test_a_pattern_in_another_row_is_false():
    said = said_of("last_row_zeroed")
    [finding] = said.findings
    [candidate] = finding.candidates
    assert candidate.says == "dC/dW_3 is 0 in row 1"
    elsewhere = replace(candidate, says="dC/dW_3 is 0 in row 0")
    wrong = replace(said, findings=(replace(finding, candidates=(elsewhere,)),))
    assert judged(wrong, find_mutant("last_row_zeroed").make, SQUARE)[0] == FALSE


def test_another_factor_than_told_is_false():
    said = said_of("one_weight_scaled_1e-3")
    [finding] = said.findings
    [candidate] = finding.candidates
    other = replace(candidate, says=candidate.says.replace("1 + 0.001", "1 + 0.002"))
    wrong = replace(said, findings=(replace(finding, candidates=(other,)),))
    make = find_mutant("one_weight_scaled_1e-3").make
    assert judged(said, make, SQUARE)[0] == VAGUE
    assert judged(wrong, make, SQUARE)[0] == FALSE


def test_unknown_is_true_where_the_block_is_wrong_and_false_where_more_is_or_nothing():
    told = said_of("bias_averaged")
    layer = told.findings[0].layer
    says = f"dC/db_{layer} is wrong in a way that nothing explains"
    finding = replace(told.findings[0], place=BIAS, kind=UNKNOWN, candidates=(), says=says)
    unknown = replace(told, findings=(finding,))
    assert judged(unknown, find_mutant("bias_averaged").make, SQUARE)[0] == NOT_KNOWN
    assert judged(unknown, find_mutant("mean_missing").make, SQUARE)[0] == FALSE
    assert judged(unknown, find_mutant("last_row_zeroed").right, SQUARE)[0] == FALSE


def test_nothing_is_true_of_a_right_engine():
    for name in NAMES[:4]:
        assert judged(said_of(name), find_mutant(name).right, SQUARE)[0] == FALSE
