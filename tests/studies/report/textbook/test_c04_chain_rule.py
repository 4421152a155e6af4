"""C4 holds for the product of local derivatives, each at its own point, and for no other."""

import math

import pytest
from some import some

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c04_chain_rule import CLAIM, Polynomial, chain_rule, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling


def all_at_x(functions, x):
    """F'(x) g'(x)."""
    return math.prod((f.slope(x) for f in functions), start=1)


def outer_alone(functions, x):
    """F'(g(x))."""
    for f in reversed(functions[1:]):
        x = f.value(x)
    return functions[0].slope(x)


def in_the_wrong_order(functions, x):
    """g'(F(x)) F'(x)."""
    return chain_rule(list(reversed(functions)), x)


def of_two_at_most(functions, x):
    """Forgets the innermost of three functions."""
    return chain_rule(functions[:2], x if len(functions) < 3 else functions[2].value(x))


def test_the_claim_is_confirmed(measured):
    assert ruling(measured(CLAIM)) == CONFIRMED


@pytest.mark.by_day(3)
@pytest.mark.parametrize("rule", [all_at_x, outer_alone, in_the_wrong_order])
def test_another_rule_refutes_every_finding(rule):
    evidence = measure(Settings(), rule=rule)
    assert ruling(evidence) == REFUTED
    assert not any(finding.holds for finding in some(evidence.findings))


def test_a_rule_for_two_functions_fails_for_three():
    found = measure(Settings(), rule=of_two_at_most).findings
    assert [finding.holds for finding in found] == [True, True, False]


def test_polynomials_are_multiplied_out():
    """(1 + x)^2 after x^2 - 1 is x^4, whose derivative is 4 x^3."""
    composite = Polynomial([1, 2, 1])(Polynomial([-1, 0, 1]))
    assert composite.trimmed() == [0, 0, 0, 0, 1]
    assert composite.derivative().trimmed() == [0, 0, 0, 4]
    assert Polynomial([3]).derivative().trimmed() == []
