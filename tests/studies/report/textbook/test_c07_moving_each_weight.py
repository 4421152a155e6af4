"""C7 holds where every weight is moved once, and by backprop's right derivatives."""

import numpy as np
import pytest

from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c07_moving_each_weight as c07
from gradcheck.studies.report.textbook.c07_moving_each_weight import CLAIM, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling


def from_scratch(lines, h, *, stencil, coordinates=None):
    """Evaluates C(w) again for every weight."""
    for _ in range(lines.size):
        lines.along(lines.origin, np.zeros(lines.size), np.zeros(1))
    return difference_quotients(lines, h, stencil=stencil, coordinates=coordinates)


def next_weight(lines, h, *, stencil, coordinates=None):
    """Moves e_{j+1} for e_j."""
    return np.roll(difference_quotients(lines, h, stencil=stencil), -1)


def weights_only(lines, h, *, stencil, coordinates=None):
    """Leaves the last bias out."""
    D = difference_quotients(lines, h, stencil=stencil, coordinates=np.arange(lines.size - 1))
    return np.append(D, 0.0)


def without_biases(network, parameters):
    gradient = network.gradient(parameters)
    return {name: g * (0 if name.startswith("b") else 1) for name, g in gradient.items()}


def test_the_claim_is_confirmed(measured):
    assert ruling(measured(CLAIM)) == CONFIRMED


def test_the_counts_stand_in_the_findings(measured):
    forward, central, backprop = measured(CLAIM).findings
    assert forward.results["N"] == central.results["N"] == "31, 97, 951"
    assert forward.results["passes"] == "32, 98, 952"
    assert central.results["passes"] == "62, 194, 1902"
    assert backprop.results == {"forward": 1.0, "backward": 1.0}


@pytest.fixture
def few(monkeypatch):
    """The two networks of less than 100 parameters."""
    monkeypatch.setattr(c07, "NETWORKS", c07.NETWORKS[:2])


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("differences", [from_scratch, next_weight, weights_only])
def test_other_differences_refute_it(differences):
    assert ruling(measure(Settings(), differences=differences)) == REFUTED


@pytest.mark.usefixtures("few")
def test_a_gradient_off_by_a_thousandth_refutes_it():
    def wrong(network, parameters):
        return {name: 1.001 * g for name, g in Network.gradient(network, parameters).items()}

    assert ruling(measure(Settings(), gradient=wrong)) == REFUTED


@pytest.mark.usefixtures("few")
def test_a_gradient_without_biases_refutes_it():
    assert ruling(measure(Settings(), gradient=without_biases)) == REFUTED


def test_forward_passes_hidden_in_the_loss_refute_it():
    def wasteful(network, parameters):
        Network.loss(network, parameters)
        return Network.loss(network, parameters)

    evidence = measure(Settings(), loss=wasteful)
    assert ruling(evidence) == REFUTED
    assert evidence.findings[0].results["passes"].startswith(f"{2 * 32}, ")


@pytest.mark.usefixtures("few")
def test_forward_passes_hidden_in_backprop_refute_it():
    def wasteful(network, parameters):
        for _ in range(300):
            network.loss(parameters)
        return Network.gradient(network, parameters)

    evidence = measure(Settings(), gradient=wasteful)
    assert [finding.holds for finding in evidence.findings] == [True, True, False]
    assert evidence.findings[-1].results["forward"] == 301
