"""C3 holds for right gradients; a gradient that is zero elsewhere is caught."""

import numpy as np
import pytest

from gradcheck.report.settings import Settings
from gradcheck.report.textbook.c03_minimum import CLAIM, measure
from gradcheck.report.textbook.claim import REFINED, REFUTED, ruling
from reference_models.sigmoid_network import value_and_grad


def holds(wrong):
    evidence = measure(Settings(), value_and_grad=wrong)
    assert ruling(evidence) == REFUTED
    return [finding.holds for finding in evidence.findings]


def decayed(parameters, X, Y):
    """A gradient with a weight decay that the loss does not have."""
    C, gradient = value_and_grad(parameters, X, Y)
    return C, [(dW + 1e-3 * W, db) for (dW, db), (W, _) in zip(gradient, parameters, strict=True)]


def without_bias(parameters, X, Y):
    C, gradient = value_and_grad(parameters, X, Y)
    return C, [(dW, 0 * db) for dW, db in gradient]


def pointed(parameters, X, Y):
    """A loss with a point at its minimum, where every slope is 1 or -1."""
    C = sum(np.abs(block).sum() for pair in parameters for block in pair)
    return C, [(np.where(W < 0, -1.0, 1.0), np.where(b < 0, -1.0, 1.0)) for W, b in parameters]


def test_the_claim_is_refined(measured):
    assert ruling(measured(CLAIM)) == REFINED


@pytest.mark.parametrize("wrong", [decayed, without_bias])
def test_a_gradient_that_vanishes_elsewhere_is_not_taken_for_the_derivative(wrong):
    falls, differences, around, _ = holds(wrong)
    assert falls
    assert not differences
    assert not around


def test_a_loss_without_a_derivative_at_its_minimum_refutes_it():
    assert not holds(pointed)[0]


def test_going_uphill_refutes_it():
    def uphill(*batch):
        C, gradient = value_and_grad(*batch)
        return C, [(-dW, -db) for dW, db in gradient]

    assert not holds(uphill)[0]


def test_the_norms_are_in_the_table_and_the_figure(measured):
    evidence = measured(CLAIM)
    (name,) = evidence.frames
    assert set(evidence.figures) == {name}
    assert CLAIM.look == f"figures/{name}.svg"
    norms = evidence.frames[name]["gradient_norm"]
    assert norms.iloc[-1] <= 1e-8 < norms.iloc[-2]
