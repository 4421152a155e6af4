"""C20 is refuted by starts that settle above the global minimum, and by nothing else."""

import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c20_global_minimum as c20
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling
from reference_models import stacked_networks
from reference_models.sigmoid_network import value_and_grad


def near_the_solution(seed):
    """The weights written by hand, each network's moved by little."""
    W_1, b_1 = 6 * np.ones((2, 2)), -6 * np.array([0.5, 1.5])
    W_2, b_2 = 6 * np.array([[1.0, -1.0]]), np.array([-3.0])
    generator = np.random.default_rng(seed)
    return [
        (W + 0.1 * generator.standard_normal((8, *W.shape)), np.repeat(b[None], 8, axis=0))
        for W, b in ((W_1, b_1), (W_2, b_2))
    ]


def uphill(*batch):
    C, gradient = value_and_grad(*batch)
    return C, [(-dW, -db) for dW, db in gradient]


def without_biases(*batch):
    C, gradient = value_and_grad(*batch)
    return C, [(dW, 0 * db) for dW, db in gradient]


def test_the_claim_is_refuted(measured):
    evidence = measured(c20.CLAIM)
    assert ruling(evidence) == c20.CLAIM.expected == REFUTED
    infimum, convex, found, settled = evidence.findings
    assert infimum.holds
    assert convex.holds
    assert settled.holds
    assert settled.measured["stays"] >= 5
    assert found.measured["found"] + settled.measured["stays"] == c20.STARTS


def test_starts_near_a_solution_confirm_it(monkeypatch):
    monkeypatch.setattr(c20, "STEPS", 200)
    assert ruling(c20.measure(Settings(), starts=near_the_solution)) == CONFIRMED


@pytest.mark.parametrize("broken", [uphill, without_biases])
def test_a_wrong_gradient_misses_the_minimum_of_a_convex_loss(monkeypatch, broken):
    monkeypatch.setattr(c20, "STEPS", 100)
    found = c20.measure(Settings(), value_and_grad=broken).findings
    assert [finding.holds for finding in found[:3]] == [True, False, False]


def test_small_weights_do_not_come_near_the_infimum(monkeypatch):
    monkeypatch.setattr(c20, "STEPS", 1)
    monkeypatch.setattr(c20, "LARGE", 10.0)
    assert not c20.measure(Settings()).findings[0].holds


def test_networks_side_by_side_descend_as_each_does_alone():
    start = c20.random_starts(1)
    together = stacked_networks.losses(c20.descend(start, value_and_grad, 20), c20.X, c20.Y)
    for k in (0, 7, 39):
        alone = c20.descend([(W[[k]], b[[k]]) for W, b in start], value_and_grad, 20)
        assert stacked_networks.losses(alone, c20.X, c20.Y)[0] == pytest.approx(together[k], 1e-9)
