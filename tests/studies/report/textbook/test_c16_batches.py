"""C16 holds for epochs that are passes and for gradients that are right, batch by batch."""

import dataclasses

import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import curves
from gradcheck.studies.report.textbook.c16_batches import CLAIM, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling
from reference_models import training
from reference_models.datasets import load_digits
from reference_models.sigmoid_network import value_and_grad
from reference_models.training import batches, stochastic_gradient_descent


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Few epochs and 400 digits: enough to learn something."""
    data = load_digits()
    few = dataclasses.replace(data, inputs=data.inputs[:400], labels=data.labels[:400])
    monkeypatch.setattr(curves, "load_digits", lambda: few)
    monkeypatch.setattr(curves, "EPOCHS", dict(zip(curves.KINDS, (8, 24, 200), strict=True)))
    curves.curves.cache_clear()
    yield
    curves.curves.cache_clear()


def with_replacement(*args, **keywords):
    """As many iterations of as many examples, but drawn anew each time: no pass over the set."""

    def drawn(m, batch_size, *, seed, epoch):
        dealt = batches(m, batch_size, seed=seed, epoch=epoch)
        rng = np.random.default_rng([seed, epoch])
        return [rng.integers(m, size=len(rows)) for rows in dealt]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training, "batches", drawn)
        return stochastic_gradient_descent(*args, **keywords)


def by_full_batches(theta, X, Y, reduction="mean"):
    """Divides by 32 whatever the size of the batch: wrong where the last one is smaller."""
    C, gradient = value_and_grad(theta, X, Y, reduction=reduction)
    share = len(X) / 32 if 1 < len(X) < 32 else 1
    return C, [(share * dW, share * db) for dW, db in gradient]


def slightly_off(theta, X, Y, reduction="mean"):
    """A relative error of 1e-6 for single examples only."""
    C, gradient = value_and_grad(theta, X, Y, reduction=reduction)
    factor = 1 + 1e-6 if len(X) == 1 else 1
    return C, [(factor * dW, factor * db) for dW, db in gradient]


def last_layer_alone(theta, X, Y, reduction="mean"):
    """Leaves the hidden layer as it was drawn: the loss falls, and few digits are told right."""
    C, gradient = value_and_grad(theta, X, Y, reduction=reduction)
    return C, [*((0 * dW, 0 * db) for dW, db in gradient[:-1]), gradient[-1]]


def a_tenth(theta, X, Y, reduction="mean"):
    C, gradient = value_and_grad(theta, X, Y, reduction=reduction)
    return C, [(0.1 * dW, 0.1 * db) for dW, db in gradient]


def uphill(theta, X, Y, reduction="mean"):
    C, gradient = value_and_grad(theta, X, Y, reduction=reduction)
    return C, [(-dW, -db) for dW, db in gradient]


def test_the_claim_is_confirmed(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == CONFIRMED
    (name,) = evidence.frames
    assert CLAIM.look == f"figures/{name}.svg"
    assert set(evidence.figures) == {name}


def findings(**broken):
    evidence = measure(Settings(), **broken)
    assert ruling(evidence) == REFUTED
    return [finding.holds for finding in evidence.findings]


def test_what_is_no_pass_over_the_examples_is_no_epoch():
    assert findings(train=with_replacement) == [False, True, True, True, True, True]


@pytest.mark.parametrize(
    "wrong", [pytest.param(by_full_batches, marks=pytest.mark.nightly), slightly_off]
)
def test_gradients_of_batches_that_are_wrong_do_not_add_up_and_do_not_pass(wrong):
    assert findings(value_and_grad=wrong)[:4] == [True, False, False, False]


def test_going_uphill_learns_nothing():
    epochs, *_, checked, cancer, images = findings(value_and_grad=uphill)
    assert (epochs, checked, cancer, images) == (True, False, False, False)


@pytest.mark.parametrize(
    "mediocre", [last_layer_alone, pytest.param(a_tenth, marks=pytest.mark.nightly)]
)
def test_learning_little_is_not_enough(mediocre):
    """Both bring the loss down, and tell more digits right than guessing does."""
    assert not findings(value_and_grad=mediocre)[-1]
