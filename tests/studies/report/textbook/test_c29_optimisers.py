"""Every method comes to the minimum with a right gradient, and none with a wrong one."""

import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c29_optimisers as c29
from gradcheck.studies.report.textbook.c29_optimisers import BATCH, CLAIM, bfgs, measure, momentum
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling
from reference_models import sigmoid_network


def altered(change):
    def value_and_grad(parameters, X, Y):
        C, g = sigmoid_network.value_and_grad(parameters, X, Y)
        return C, [(change(dW), db) for dW, db in g]

    return value_and_grad


def test_the_claim_is_confirmed(measured):
    assert ruling(measured(CLAIM)) == CONFIRMED


@pytest.mark.parametrize(
    "change",
    [lambda dW: dW + 0.01, lambda dW: dW * 0, lambda dW: dW * [1, 1, 0]],
    ids=["a constant added", "weights left out", "one weight left out"],
)
def test_a_wrong_gradient_refutes_it(change, monkeypatch):
    monkeypatch.setattr(c29, "MOST", 300)
    evidence = measure(Settings(), altered(change))
    assert ruling(evidence) == REFUTED
    assert [finding.holds for finding in evidence.findings[:3]] == [False, False, False]


def test_a_gradient_that_is_wrong_for_batches_refutes_it_for_sgd():
    def value_and_grad(parameters, X, Y):
        C, g = sigmoid_network.value_and_grad(parameters, X, Y)
        return C, [(dW if len(X) > BATCH else -dW, db) for dW, db in g]

    evidence = measure(Settings(), value_and_grad)
    assert ruling(evidence) == REFUTED
    assert [finding.holds for finding in evidence.findings] == [True, True, True, False]


@pytest.mark.parametrize("descend", [lambda f, x: momentum(f, x, 0.1, 0.9), bfgs])
def test_a_quadratic_comes_to_its_minimum(descend):
    H = np.diag([1.0, 10.0])
    end = descend(lambda x: (float(x @ H @ x) / 2, H @ x), np.array([3.0, -2.0]))
    np.testing.assert_allclose(end.theta, 0, atol=1e-8)  # |x| <= |g| / 1, the least curvature
    assert end.gradients < 1000
