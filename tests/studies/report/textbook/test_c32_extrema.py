"""Extrema are where the slope changes its sign, and a straight line has one slope."""

from fractions import Fraction

import pytest
from ruled import ruled

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c32_extrema import CLAIM, measure, quotient, slope
from gradcheck.studies.report.textbook.claim import REFINED, REFUTED, ruling


def found(**broken):
    return ruled(measure(Settings(), **broken))


def test_the_claim_is_refined(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == REFINED
    assert all(finding.holds for finding in evidence.findings)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda x, r_1, r_2: -slope(x, r_1, r_2),
        lambda x, r_1, r_2: x - r_1,
        lambda x, r_1, r_2: slope(x, r_1, r_2) + Fraction(1, 10**6),
        lambda x, r_1, r_2: abs(slope(x, r_1, r_2)),
    ],
    ids=["sign", "one root", "shifted", "size alone"],
)
def test_another_slope_refutes_it(wrong):
    ruled, holds = found(slope=wrong)
    assert (ruled, holds[:2]) == (REFUTED, [False, True])


def test_a_quotient_that_misses_the_slope_refutes_it():
    def central_by_h(f, x, h):
        return (f(x + h) - f(x - h)) / h

    ruled, holds = found(quotient=central_by_h)
    assert (ruled, holds[:2]) == (REFUTED, [True, False])


def test_quotients_of_a_smooth_or_unrounded_world_contradict_less():
    def unrounded(f, x, h):
        return quotient(f, x, h) if isinstance(h, Fraction) else quotient(f, x, 1.0)

    assert found(quotient=unrounded) == (REFINED, [True, True, True, False])

    def both_sides(f, x, h):
        return (f(x + h) - f(x - h)) / (2 * h)

    assert found(quotient=both_sides) == (REFINED, [True, True, False, True])
