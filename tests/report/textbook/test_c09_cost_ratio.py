"""C9 holds by exact counts; a gradient that computes more, or less, refutes it."""

import numpy as np
import pytest

from gradcheck.report.settings import Settings
from gradcheck.report.textbook import c09_cost_ratio as c09
from gradcheck.report.textbook.claim import REFINED, REFUTED, ruling
from reference_models import sigmoid_network

right = sigmoid_network.value_and_grad


def forward_twice(parameters, X, Y, *, out):
    """Runs the forward pass again for the gradient."""
    sigmoid_network.loss(parameters, X, Y, out=out)
    return right(parameters, X, Y, out=out)


def with_respect_to_inputs(parameters, X, Y, *, out):
    """Hands the error down one layer too far."""
    result = right(parameters, X, Y, out=out)
    np.matmul(out.layers[0].delta, parameters[0][0])
    return result


def weights_only(parameters, X, Y, *, out):
    value, gradient = right(parameters, X, Y, out=out)
    return value, [(dW,) for dW, _ in gradient]


@pytest.fixture
def quick():
    return Settings(timing_seconds=1e-4)


@pytest.fixture
def few(monkeypatch):
    monkeypatch.setattr(c09, "ARCHITECTURES", ((30, 1), (64, 30, 10), (200, 100, 1)))
    monkeypatch.setattr(c09, "BATCH", 32)
    monkeypatch.setattr(c09, "DEPTHS", (1, 2, 4))


def test_the_claim_is_refined(measured):
    evidence = measured(c09.CLAIM)
    assert ruling(evidence) == REFINED
    (frame,) = evidence.frames.values()
    assert len(frame) == len(c09.ARCHITECTURES) >= 12
    assert set(frame["flop_ratio"][frame["layers"] == 1]) == {2.0}
    assert frame["flop_ratio"].between(2, 3, inclusive="left").all()
    assert list(evidence.figures) == list(evidence.frames)
    assert c09.CLAIM.look == f"figures/{next(iter(evidence.figures))}.svg"


@pytest.mark.parametrize("value_and_grad", [forward_twice, with_respect_to_inputs])
def test_more_matrix_products_refute_it(few, quick, value_and_grad):
    evidence = c09.measure(quick, value_and_grad)
    assert ruling(evidence) == REFUTED
    whole, counted, deep, _, batch_one = (finding.holds for finding in evidence.findings)
    assert (whole, counted, deep, batch_one) == (True, False, False, False)


def test_a_gradient_without_biases_refutes_it(few, quick):
    assert not c09.measure(quick, weights_only).findings[0].holds


@pytest.mark.parametrize(("seconds", "holds"), [(2.5, True), (25.0, False)])
def test_a_gradient_of_the_right_flops_that_takes_too_long_refutes_it(
    few, quick, monkeypatch, seconds, holds
):
    now = [0.0]

    def lasting(seconds, function):
        def timed(*given, out):
            now[0] += seconds
            return function(*given, out=out)

        return timed

    monkeypatch.setattr(c09, "processor_clock", lambda: lambda: now[0])
    monkeypatch.setattr(sigmoid_network, "loss", lasting(1.0, sigmoid_network.loss))
    findings = c09.measure(quick, lasting(seconds, right)).findings
    whole, counted, deep, time, batch_one = findings
    assert (whole.holds, counted.holds, deep.holds, batch_one.holds) == (True,) * 4
    assert time.holds is holds


@pytest.mark.parametrize(
    ("sizes", "short"),
    [("30-1", "30-1"), ("20-30-10-1", "20-30-10-1"), ("8-8-8-8-8-8-1", "6 x 8, 1")],
)
def test_long_names_are_shortened(sizes, short):
    assert c09._short(sizes) == short
