"""C21 is refined where backprop returns a gradient and others do the rest."""

import numpy as np

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c21_finding_weights as c21
from gradcheck.studies.report.textbook.c29_optimisers import End, momentum
from gradcheck.studies.report.textbook.claim import REFINED, REFUTED, ruling
from reference_models.sigmoid_network import value_and_grad


def test_the_claim_is_refined(measured):
    evidence = measured(c21.CLAIM)
    assert ruling(evidence) == c21.CLAIM.expected == REFINED
    assert all(finding.holds for finding in evidence.findings)
    assert evidence.findings[1].results["same"] == 3 + 1 + 64 * 30 + 30 + 30 * 10 + 10


def holds(**broken):
    return [finding.holds for finding in c21.measure(Settings(), **broken).findings]


def updating(theta, X, Y):
    """A backprop that makes a step as well."""
    C, gradient = value_and_grad(theta, X, Y)
    for (W, b), (dW, db) in zip(theta, gradient, strict=True):
        np.subtract(W, 1e-3 * dW, out=W)
        np.subtract(b, 1e-3 * db, out=b)
    return C, gradient


def shifted(theta, X, Y):
    C, gradient = value_and_grad(theta, X, Y)
    return C, [(dW, db + 1e-6) for dW, db in gradient]


def test_a_backprop_that_updates_its_weights_is_seen():
    assert not holds(value_and_grad=updating)[1]


def test_a_wrong_gradient_ends_elsewhere():
    evidence = c21.measure(Settings(), value_and_grad=shifted)
    assert ruling(evidence) == REFUTED
    assert [finding.holds for finding in evidence.findings] == [False, True, False, False]


def test_an_update_that_does_not_arrive_is_seen(monkeypatch):
    monkeypatch.setattr(c21, "bfgs", lambda value, theta: End(theta, 1))
    assert holds() == [True, True, False, True]


def test_differences_at_too_long_a_step_end_elsewhere(monkeypatch):
    monkeypatch.setattr(c21, "H", 2.0**-4)
    assert holds() == [True, True, True, False]


def test_a_search_that_stops_early_finds_no_minimum(monkeypatch):
    def stops(value, theta, rate, beta):
        end = momentum(value, theta, rate, 0.9)
        return End(end.theta + 1e-5, end.gradients)

    monkeypatch.setattr(c21, "momentum", stops)
    assert not holds()[0]
