"""C3 holds for right gradients; a gradient that is zero elsewhere is caught."""

import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c03_minimum import CLAIM, H_LEAST, lowest, measure
from gradcheck.studies.report.textbook.claim import REFINED, REFUTED, ruling
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
    zero, around, descended, _ = holds(wrong)
    assert (zero, around, descended) == (wrong is without_bias, True, False)


def test_a_millionth_is_seen_where_the_values_are_lowest():
    def off(parameters, X, Y):
        C, gradient = value_and_grad(parameters, X, Y)
        return C, [(dW, db + 1e-6) for dW, db in gradient]

    assert holds(off) == [False, True, True, False]


def test_a_gradient_that_is_small_everywhere_is_not_taken_for_one_that_vanishes_there():
    def tiny(parameters, X, Y):
        C, gradient = value_and_grad(parameters, X, Y)
        return C, [(1e-7 * dW, 1e-7 * db) for dW, db in gradient]

    assert not holds(tiny)[0]


def test_a_loss_without_a_derivative_at_its_minimum_refutes_it():
    assert not holds(pointed)[0]


def test_going_uphill_refutes_it():
    def uphill(*batch):
        C, gradient = value_and_grad(*batch)
        return C, [(-dW, -db) for dW, db in gradient]

    assert not holds(uphill)[2]


def test_values_alone_lead_to_the_lowest_point():
    """A narrow valley across the axes, whose bottom is known."""
    bottom = np.array([0.3, -1.7, 2.2])

    def loss(x):
        u = x - bottom
        return u @ u + 20 * (u[0] - u[1] + u[2]) ** 2

    x, taken = lowest(loss, np.zeros(3))
    assert np.max(np.abs(x - bottom)) <= 3**0.5 * 61 * H_LEAST / 2
    assert all(loss(x + way) >= loss(x) for e in np.eye(3) for way in (H_LEAST * e, -H_LEAST * e))
    assert taken < 5000


def test_the_norms_are_in_the_table_and_the_figure(measured):
    evidence = measured(CLAIM)
    (name,) = evidence.frames
    assert set(evidence.figures) == {name}
    assert CLAIM.look == f"figures/{name}.svg"
    norms = evidence.frames[name]["gradient_norm"]
    assert norms.iloc[-1] <= 1e-8 < norms.iloc[-2]
