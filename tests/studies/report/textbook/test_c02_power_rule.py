"""C2 holds for n x^(n-1) and for no rule near it."""

from fractions import Fraction

import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c02_power_rule import CLAIM, measure, power_rule
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling

WRONG = {
    "exponent not lowered": lambda n, x: n * x**n,
    "factor forgotten": lambda n, x: x ** (n - 1),
    "factor lowered too": lambda n, x: (n - 1) * x ** (n - 1),
    "exponent raised": lambda n, x: n * x ** (n + 1),
    "right for n above 0 only": lambda n, x: abs(n) * x ** (n - 1),
    "off by 1e-12": lambda n, x: n * x ** (n - 1) * (1 + Fraction(1, 10**12)),
}


def test_the_claim_is_confirmed(measured):
    assert ruling(measured(CLAIM)) == CONFIRMED


@pytest.mark.parametrize("rule", WRONG.values(), ids=WRONG)
def test_another_rule_refutes_it(rule):
    assert ruling(measure(Settings(), rule=rule)) == REFUTED


def test_a_rule_that_is_right_for_positive_exponents_only_is_told_so():
    found = measure(Settings(), rule=WRONG["right for n above 0 only"]).findings
    assert [finding.holds for finding in found] == [True, False, False, False]


def test_fractional_exponents_are_held_to_their_rounding():
    def rounded_away(n, x):
        right = power_rule(n, x)
        return right if isinstance(right, Fraction) else right * (1 + 2.0**-49)

    found = measure(Settings(), rule=rounded_away).findings
    assert [finding.holds for finding in found] == [True, True, False, True]
