"""The quotient is three lines long, and its lines are the ones that are run."""

import numpy as np

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c28_few_lines import CLAIM, H, derivative, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling


def found(broken):
    evidence = measure(Settings(), broken)
    assert ruling(evidence) == REFUTED
    return [finding.holds for finding in evidence.findings]


def test_the_claim_is_confirmed(measured):
    assert ruling(measured(CLAIM)) == CONFIRMED


def test_longer_code_refutes_it():
    def longer(C, w, e):
        here = C(w)
        there = C(w + H * e)
        rise = there - here
        return rise / H

    assert found(longer) == [False, True, True]


def test_a_quotient_without_its_division_refutes_it():
    def undivided(C, w, e):
        return C(w + H * e) - C(w)

    assert found(undivided) == [True, False, True]


def test_a_step_that_is_too_wide_refutes_it():
    def coarse(C, w, e):
        return (C(w + 0.1 * e) - C(w)) / 0.1

    assert found(coarse) == [True, False, True]


def test_a_quotient_better_than_our_own_check_refutes_what_is_said_beside_it():
    known = {}

    def better(C, w, e):
        h = 1e-3  # Richardson, three times
        D = [[(C(w + h / 2**k * e) - C(w - h / 2**k * e)) / (2 * h / 2**k)] for k in range(4)]
        for n in range(1, 4):
            for k in range(n, 4):
                D[k].append(D[k][n - 1] + (D[k][n - 1] - D[k - 1][n - 1]) / (4**n - 1))
        known[len(known)] = D[-1][-1]
        return D[-1][-1]

    assert found(better) == [False, True, False]
    assert np.all(np.isfinite(list(known.values())))


def test_the_lines_shown_are_those_of_the_quotient(measured):
    assert "return (C(w + h * e) - C(w)) / h" in measured(CLAIM).findings[0].results["code"]
    assert derivative(lambda w: float(w @ w), np.ones(1), np.ones(1)) == 2 + H
