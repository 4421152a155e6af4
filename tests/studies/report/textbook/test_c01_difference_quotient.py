"""C1 holds for the quotients of the textbook and for no quotient that is off by anything."""

import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c01_difference_quotient import (
    CLAIM,
    central_quotient,
    forward_quotient,
    measure,
)
from gradcheck.studies.report.textbook.claim import REFINED, REFUTED, ruling


def one_percent_long(f, x, h):
    return (f(x + h) - f(x)) / (h + h / 100)


def backward(f, x, h):
    return (f(x) - f(x - h)) / h


def of_two_steps(f, x, h):
    return forward_quotient(f, x, 2 * h)


def off_centre(f, x, h):
    return (f(x + 2 * h) - f(x - h)) / (3 * h)


def kept_alive(f, x, h):
    """The quotient at a step that never falls below 2^-20: no rounding, and no limit."""
    return forward_quotient(f, x, max(h, type(h)(2.0**-20)))


def test_the_claim_is_refined(measured):
    assert ruling(measured(CLAIM)) == REFINED


@pytest.mark.parametrize("forward", [one_percent_long, backward, of_two_steps, kept_alive])
def test_a_wrong_forward_quotient_refutes_it(forward):
    assert ruling(measure(Settings(), forward=forward)) == REFUTED


@pytest.mark.parametrize("central", [forward_quotient, off_centre])
def test_a_wrong_central_quotient_refutes_it(central):
    assert ruling(measure(Settings(), central=central)) == REFUTED


def test_a_central_quotient_is_no_forward_one():
    found = measure(Settings(), forward=central_quotient).findings
    assert [finding.holds for finding in found] == [False, False, True, False, True, True]


def test_the_best_steps_are_those_of_the_literature_to_an_order_of_magnitude(measured):
    """sqrt(u) = 1.1e-8 for forward and u^(1/3) = 4.8e-6 for central quotients."""
    _, _, _, forward, central, _ = measured(CLAIM).findings
    assert abs(np.log10(forward.measured["best"] / 1.1e-8)) < 0.5
    assert abs(np.log10(central.measured["best"] / 4.8e-6)) < 0.5


def test_its_table_has_every_step_of_both_curves(measured):
    evidence = measured(CLAIM)
    (frame,) = evidence.frames.values()
    assert set(frame["quotient"]) == {"forward", "central"}
    assert list(evidence.figures) == list(evidence.frames)
    assert CLAIM.look == f"figures/{next(iter(evidence.figures))}.svg"
