"""C25 is refuted where single examples reach a loss with less work, and by nothing else."""

import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c25_after_every_sample as c25
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling
from reference_models.sigmoid_network import value_and_grad


@pytest.fixture
def short(monkeypatch):
    """One rate each and goals that are soon reached."""
    one = {1: (0.1,), 32: (1.0,), 0: (3.0,)}
    monkeypatch.setattr(c25, "RATES", {"breast cancer": one, "digits": one})
    monkeypatch.setattr(c25, "GOALS", {"breast cancer": 0.1, "digits": 2.5})
    monkeypatch.setattr(c25, "MOST_EPOCHS", {1: 1, 32: 10, 0: 60})


def deaf(theta, X, Y, **buffers):
    """No gradient of single examples."""
    C, gradient = value_and_grad(theta, X, Y, **buffers)
    return C, [((len(X) > 1) * dW, (len(X) > 1) * db) for dW, db in gradient]


def one_by_one(theta, X, Y):
    """The gradient of a batch from as many passes as it has examples."""
    each = [value_and_grad(theta, X[i : i + 1], Y[i : i + 1])[1] for i in range(len(X))]
    means = [
        np.mean([g[k][part] for g in each], axis=0) for k in range(len(theta)) for part in (0, 1)
    ]
    return 0.0, list(zip(means[::2], means[1::2], strict=True))


def uphill(*batch, **buffers):
    C, gradient = value_and_grad(*batch, **buffers)
    return C, [(-dW, -db) for dW, db in gradient]


def test_the_claim_is_refuted(measured):
    evidence = measured(c25.CLAIM)
    assert ruling(evidence) == c25.CLAIM.expected == REFUTED
    assert [finding.holds for finding in evidence.findings] == [True, True, False, False, False]
    frame = evidence.frames["c25_to_a_common_loss"]
    reached = frame[frame["reached"]].groupby(["data", "batch_size"])["examples"].min()
    for name, factor in (("digits", 20), ("breast cancer", 2)):
        assert reached[name][1] * factor < reached[name][reached[name].index.max()]


def test_single_examples_that_teach_nothing_confirm_it(short):
    assert ruling(c25.measure(Settings(timing_seconds=1e-4), value_and_grad=deaf)) == CONFIRMED


def test_it_is_confirmed_where_no_training_gets_there(short, monkeypatch):
    monkeypatch.setattr(c25, "MOST_EPOCHS", dict.fromkeys(c25.MOST_EPOCHS, 1))
    evidence = c25.measure(Settings(timing_seconds=1e-4), value_and_grad=uphill)
    assert [finding.holds for finding in evidence.findings] == [True] * 5
    assert "without getting there" in evidence.findings[2].measured["single"]


def test_passes_one_by_one_are_no_big_pass():
    study = c25.breast_cancer(1)
    assert not c25._one_pass(study, one_by_one, Settings(timing_seconds=1e-4)).holds


@pytest.mark.parametrize(("reached", "examples", "best"), [(True, 5, 0), (False, 5, 1)])
def test_what_gets_there_is_better_than_what_does_not(reached, examples, best):
    runs = [
        c25.Training(1, 0.1, reached, 5, examples, 0.0),
        c25.Training(1, 0.2, reached, 7, 7, 0.0),
        c25.Training(2, 0.2, True, 1, 2, 0.0),
    ]
    assert c25._best(runs, 1) is runs[best]
    runs.append(c25.Training(1, 0.3, True, 90, 90, 0.0))
    assert c25._best(runs, 1).reached


def wasteful(theta, X, Y, **buffers):
    """A backprop that passes single examples forward and backward 500 times."""
    for _ in range(499 if len(X) == 1 else 0):
        value_and_grad(theta, X, Y, **buffers)
    return value_and_grad(theta, X, Y, **buffers)


def test_work_that_hides_in_the_passes_of_single_examples_is_counted():
    study = c25.breast_cancer(1)
    runs = [c25.Training(B, 0.1, True, 9, 9 * B, 0.0) for B in (1, 32, len(study.X))]
    assert not c25._work(study, runs, value_and_grad).holds
    assert c25._work(study, runs, wasteful).holds


@pytest.mark.parametrize("B", [1, 32])
def test_flops_are_those_of_every_product(B):
    assert c25._flops(c25.breast_cancer(1), B, value_and_grad) == 2 * 30 + 2 * 30
    M = 64 * 30 + 30 * 10
    assert c25._flops(c25.digits(1), B, value_and_grad) == 6 * M - 2 * 64 * 30
