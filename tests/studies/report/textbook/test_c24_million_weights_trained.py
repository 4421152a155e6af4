"""C24 is refined where good weights are found in two passes a step and better ones are left."""

import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c24_million_weights_trained as c24
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFINED, REFUTED, ruling
from reference_models import sigmoid_network
from reference_models.sigmoid_network import value_and_grad
from reference_models.training import stochastic_gradient_descent

SMALL = Settings(hidden=(2, 3), million_epochs=2)


def test_the_claim_is_refined(measured):
    evidence = measured(c24.CLAIM)
    assert ruling(evidence) == c24.CLAIM.expected == REFINED
    assert all(finding.holds for finding in evidence.findings)


def test_the_network_has_a_million_weights():
    n_0, n_1, k = c24.SIZES
    assert (n_0 + 1) * n_1 + (n_1 + 1) * k == 1_000_060


def uphill(*batch, **buffers):
    C, gradient = value_and_grad(*batch, **buffers)
    return C, [(-dW, -db) for dW, db in gradient]


def wasteful(theta, X, Y, **buffers):
    for _ in range(2):
        sigmoid_network.loss(theta, X, Y)
    return value_and_grad(theta, X, Y, **buffers)


def without_labels(theta, X, Y, **buffers):
    """The loss of rows whose labels are dealt anew."""
    return value_and_grad(theta, X, np.ascontiguousarray(np.roll(Y, 1, axis=0)), **buffers)


class Stopping:
    """A gradient that vanishes as the first training ends."""

    def __init__(self):
        self.left = 2 * 43

    def __call__(self, *batch, **buffers):
        self.left -= 1
        C, gradient = value_and_grad(*batch, **buffers)
        return C, gradient if self.left >= 0 else [(0 * dW, 0 * db) for dW, db in gradient]


@pytest.mark.usefixtures("small_claims")
@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ({"value_and_grad": uphill}, [False, False, True, True, False]),
        ({"value_and_grad": wasteful}, [True, True, False, True, True]),
        ({"value_and_grad": without_labels}, [True, False, True, True, False]),
    ],
)
def test_what_each_wrong_part_breaks(broken, expected):
    evidence = c24.measure(SMALL, **broken)
    assert ruling(evidence) == REFUTED
    assert [finding.holds for finding in evidence.findings] == expected


@pytest.mark.usefixtures("small_claims")
def test_a_network_too_small_refutes_it(monkeypatch):
    monkeypatch.setattr(c24, "MILLION", 10**6)
    assert not c24.measure(SMALL).findings[0].holds


@pytest.mark.usefixtures("small_claims")
def test_it_is_confirmed_of_a_training_that_nothing_improves():
    assert ruling(c24.measure(SMALL, value_and_grad=Stopping())) == CONFIRMED


@pytest.mark.usefixtures("small_claims")
def test_two_trainings_for_one_are_counted():
    def twice(*args, **names):
        stochastic_gradient_descent(*args, **names)
        return stochastic_gradient_descent(*args, **names)

    assert [f.holds for f in c24.measure(SMALL, train=twice).findings] == [
        True,
        True,
        False,
        True,
        True,
    ]
