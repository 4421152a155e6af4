"""C9 holds by exact counts; a gradient that computes more, or less, refutes it."""

import numpy as np
import pytest

from gradcheck.engines.installed import NotInstalledError
from gradcheck.studies.cost import Ratio, count_flops, gemm_flops_backward, gemm_flops_forward
from gradcheck.studies.report.cost import parts
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c09_cost_ratio as c09
from gradcheck.studies.report.textbook import engines_timed
from gradcheck.studies.report.textbook.claim import REFINED, REFUTED, ruling
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
    monkeypatch.setattr(c09, "ENGINES", ())


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
    holds = [finding.holds for finding in evidence.findings]
    whole, counted, deep, _bounded, _time, furthest, _engines, batch_one = holds
    assert (whole, counted, deep, furthest, batch_one) == (True, False, False, False, False)


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
    findings = list(c09.measure(quick, lasting(seconds, right)).findings)
    time = findings.pop(4)
    assert [finding.holds for finding in findings] == [True] * 7
    assert time.holds is holds


@pytest.mark.parametrize(
    ("sizes", "short"),
    [("30-1", "30-1"), ("20-30-10-1", "20-30-10-1"), ("8-8-8-8-8-8-1", "6 x 8, 1")],
)
def test_long_names_are_shortened(sizes, short):
    assert c09._short(sizes) == short


def test_a_gradient_that_computes_the_loss_thrice_is_beyond_the_bound(few, quick):
    def thrice(parameters, X, Y, *, out):
        for _ in range(2):
            sigmoid_network.loss(parameters, X, Y, out=out)
        return right(parameters, X, Y, out=out)

    bounded = c09.measure(quick, thrice).findings[3]
    assert not bounded.holds
    assert bounded.results["most"] > 4


def test_the_networks_furthest_from_their_flops_are_named():
    rows = [
        {"sizes": "8-7-6", "time_ratio": 3.0, "flop_ratio": 2.0},
        {"sizes": "5-4", "time_ratio": 1.0, "flop_ratio": 2.0},
        {"sizes": "6-4", "time_ratio": 2.1, "flop_ratio": 2.0},
        {"sizes": "3-1", "time_ratio": 9.0, "flop_ratio": 2.0, "arithmetic_rules": False},
    ]
    rows = [{"arithmetic_rules": True, "exact": True, **row} for row in rows]
    found = c09._furthest(rows, Settings(timing_seconds=1e-4))
    told = found.timings
    assert (told["least"], told["most"]) == ("5-4", "8-7-6")
    assert (told["least_time"], told["most_time"]) == (1.0, 3.0)
    assert min(told["least_parts"], told["most_parts"]) > 1
    assert found.results == {"n": 3}
    assert found.holds
    rows[2]["exact"] = False
    assert not c09._furthest(rows, Settings(timing_seconds=1e-4)).holds


# --- parts and other engines ----------------------------------------------------------------------


def test_the_products_by_themselves_are_those_of_the_formulas():
    network = Network((7, 6, 5), 4)
    for function, expected in (
        (parts.forward_products, gemm_flops_forward),
        (parts.backward_products, gemm_flops_backward),
    ):
        _, flops = count_flops(function, network)
        assert (flops.gemm, flops.elementwise) == (expected((7, 6, 5), 4), 0)


def test_parts_add_up_as_the_formula_says(monkeypatch):
    class Taken:
        def ratio(self, numerator, denominator):
            assert denominator == 0
            return Ratio({2: 0.75, 3: 0.125}[numerator], 0, 9)

        def median(self, function):
            return {1: 2e-6, 2: 4e-6}[function]

    monkeypatch.setattr(parts, "time_in_turns", lambda *_, **__: Taken())
    found = parts.parts(Network((10, 10), 5), 1e-4)
    assert found == pytest.approx((1000 / 2e-6 / 1e9, 1000 / 4e-6 / 1e9, 1.875))


def test_engines_that_are_installed_are_timed_and_others_left_out(monkeypatch):
    network = Network((4, 3, 1), 8)
    told = engines_timed.ratios(("reference",), network, 1e-4)
    name, _version, median, low, _to, high = told.split()
    assert name == "reference"
    assert float(low.strip("(")) <= float(median) <= float(high.strip(")"))

    def missing(name):
        raise NotInstalledError(name)

    monkeypatch.setattr(engines_timed, "describe", missing)
    assert engines_timed.ratios(("reference",), network, 1e-4) == engines_timed.NONE
