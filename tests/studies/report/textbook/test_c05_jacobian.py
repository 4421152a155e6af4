"""C5 holds for rows by backward passes, in their order, one an output."""

import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c05_jacobian import CLAIM, jacobian_by_rows, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling


def upside_down(circuit, values, wrt):
    return [block[::-1] for block in jacobian_by_rows(circuit, values, wrt)]


def one_entry_off(circuit, values, wrt):
    J = jacobian_by_rows(circuit, values, wrt)
    J[-1][3, 3] *= 1 + 1e-6
    return J


def twice(circuit, values, wrt):
    """The right rows, at twice the price."""
    jacobian_by_rows(circuit, values, wrt)
    return jacobian_by_rows(circuit, values, wrt)


def test_the_claim_is_confirmed(measured):
    assert ruling(measured(CLAIM)) == CONFIRMED


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (upside_down, [False, False, False]),
        (one_entry_off, [False, True, False]),
        (twice, [True, False, True]),
    ],
)
@pytest.mark.usefixtures("small_claims")
def test_what_wrong_rows_break(rows, expected):
    evidence = measure(Settings(), rows=rows)
    assert [finding.holds for finding in evidence.findings] == expected
    assert ruling(evidence) == REFUTED
