"""Every wrong gate and every wrong sweep is caught; the right circuit is not."""

import pytest

from gradcheck.check import check_gradient
from gradcheck.mutants.circuit import ROWS, SETTINGS, WRONG_GATES, WRONG_SWEEPS
from gradcheck.verdict import Verdict
from reference_models.node import GATES

WRONG = WRONG_GATES | WRONG_SWEEPS


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_derivative_fails_and_the_right_one_passes(name):
    wrong = WRONG[name]
    assert check_gradient(*wrong.black_box()).verdict is Verdict.FAIL
    assert check_gradient(*wrong.right()).verdict is Verdict.PASS


@pytest.mark.parametrize("name", WRONG_GATES)
def test_only_the_input_with_the_wrong_rule_is_wrong(name):
    wrong = WRONG_GATES[name]
    outcome = check_gradient(*wrong.black_box())
    assert {d.name.partition("[")[0] for d in outcome.discrepancies} == {"xy"[wrong.number]}


def test_every_gate_of_the_table_is_put_into_a_circuit():
    assert SETTINGS.keys() == GATES.keys()


@pytest.mark.parametrize("gate", SETTINGS)
def test_every_derivative_of_a_gate_is_wrong_in_several_ways(gate):
    wrong = [w.number for w in WRONG_GATES.values() if w.gate == gate]
    assert set(wrong) == set(range(len(SETTINGS[gate].gate.rules)))
    assert len(wrong) >= 2


def test_no_two_wrong_gates_have_one_name():
    assert len(WRONG_GATES) == len(ROWS)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_gate_says_what_is_wrong_and_what_is_expected(name):
    assert WRONG[name].mistake.endswith(".")
    assert "; expected " in WRONG[name].equation
