"""Every wrong gate and every wrong sweep is caught; the right circuit is not."""

from functools import cache

import pytest

from gradcheck.checks.gradient import check_gradient
from gradcheck.mutants.circuit import ROWS, SETTINGS, WRONG_GATES, WRONG_SWEEPS
from gradcheck.outcomes.reasons import Verdict
from reference_models.node import GATES

WRONG = WRONG_GATES | WRONG_SWEEPS


@cache
def outcome_of(name):
    return check_gradient(*WRONG[name].black_box())


@cache
def outcome_of_right(setting):
    """The circuit with the right rules, which is one for all mistakes of a gate."""
    return check_gradient(*WRONG[setting].right())


FIRST = {wrong.gate: name for name, wrong in reversed(WRONG_GATES.items())}
"""Of every gate the name of one mistake."""


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_derivative_fails_and_the_right_one_passes(name):
    one = FIRST[WRONG_GATES[name].gate] if name in WRONG_GATES else name
    assert outcome_of(name).verdict is Verdict.FAIL
    assert outcome_of_right(one).verdict is Verdict.PASS


@pytest.mark.parametrize("name", WRONG_GATES)
def test_only_the_input_with_the_wrong_rule_is_wrong(name):
    accused = {d.name.partition("[")[0] for d in outcome_of(name).discrepancies}
    assert accused == {"xy"[WRONG_GATES[name].number]}


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
