"""The cost ratio: counted exactly, timed with a spread, and its parts timed apart."""

import numpy as np
import pandas as pd
import pytest
from some import some

from gradcheck.studies.cost import Ratio, cost_ratio, gemm_flops_forward
from gradcheck.studies.report import forward_cost, tables
from gradcheck.studies.report.cost import ratio, ways
from gradcheck.studies.report.cost.ratio import LARGE_PASS, RATIO_BATCH
from gradcheck.studies.report.million import plain_passes
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings

SETTINGS = Settings(timing_seconds=1e-4)
LARGE = [
    sizes
    for sizes in Settings().ratio_networks
    if gemm_flops_forward(sizes, RATIO_BATCH) >= LARGE_PASS
]


def test_at_least_eight_large_architectures_from_2_to_2_9_are_weighed():
    ratios = sorted(cost_ratio(sizes) for sizes in LARGE)
    assert len(set(ratios)) == len(ratios) >= 8
    assert ratios[0] == 2.0
    assert 2.89 < ratios[-1] < 3.0
    assert max(np.diff(ratios)) < 0.2
    assert len(LARGE) < len(Settings().ratio_networks)  # small ones stand beside them


def test_a_ratio_lies_within_its_quartiles_and_time_is_no_result():
    row, timing = ratio.measure_ratio(Network((40, 30, 10), 16), SETTINGS)
    assert row["gemm_ratio"] == row["formula"] == 3 - 1200 / 1500
    assert not row["is_large"]
    assert timing["low"] <= timing["ratio"] <= timing["high"]
    assert 0 < timing["entries_share"] < 1.5  # timed apart, so it may come out above T
    assert not {"ratio", "seconds", "with_entries"} & row.keys()


def test_what_is_done_entry_by_entry_enters_as_the_formula_says(monkeypatch):
    """With E_f = T/4 and E_b = T/8 and w = 2.5: w - ((w - 1)/4 - 1/8) = 2.25."""

    class Taken:
        def ratio(self, numerator, denominator):
            assert denominator == 0
            median = {1: 2.3, 2: 0.25, 3: 0.125}[numerator]
            return Ratio(median, median - 0.1, median + 0.1)

    monkeypatch.setattr(ratio, "time_in_turns", lambda *_, **__: Taken())
    _, timing = ratio.measure_ratio(Network((8, 8, 8), 4), SETTINGS)
    assert timing["with_entries"] == 2.25
    assert (timing["ratio"], timing["low"], timing["high"]) == (2.3, 2.3 - 0.1, 2.3 + 0.1)


def test_the_parts_timed_apart_can_be_repeated_and_leave_finite_numbers():
    network = Network((6, 5, 4, 3), 7)
    network.gradient(network.parameters)
    expected = [layer.dW.copy() for layer in network.workspace.layers]
    for _ in range(50):
        ratio.entries_forward(network)
        ratio.entries_backward(network)
    for layer in some(network.workspace.layers):
        for array in some(layer):
            assert np.all(np.isfinite(array))
    again = network.gradient(network.parameters)
    for W, dW in zip(("W1", "W2", "W3"), expected, strict=True):
        np.testing.assert_array_equal(again[W], dW)


@pytest.fixture
def rows():
    row = {"sizes": [500, 500, 500, 1], "m": 8, "N": 501_501, "gemm_ratio": 2.499,
           "formula": 2.499, "flop_ratio": 2.49, "is_large": True}  # fmt: skip
    timing = {"ratio": 2.25, "low": 2.2, "high": 2.3, "with_entries": 2.3, "entries_share": 0.14}
    return [row, {**row, "sizes": [3, 1], "is_large": False}], [timing, timing]


def test_the_table_says_how_far_time_is_off_both_models(rows):
    results, timings = rows
    text = tables.ratios({"results": {"ratios": results}, "timings": {"ratios": timings}})
    line = next(line for line in text.splitlines() if "500-500-500-1" in line)
    assert "2.25 (2.20 to 2.30)" in line
    assert "-10%" in line
    assert "-2%" in line


def test_the_figure_shows_the_large_networks(rows):
    frame = ratio.ratio_frame(*rows)
    assert isinstance(frame, pd.DataFrame)
    (axes,) = ratio.ratio_figure(frame).axes
    (bars,) = axes.containers
    assert len(bars.lines[0].get_xdata()) == 1
    (axes,) = ratio.ratio_figure(frame.assign(is_large=False)).axes
    assert len(axes.containers[0].lines[0].get_xdata()) == 2


def test_twice_the_work_shows_in_the_ratio(monkeypatch):
    now = [0.0]

    class Lasting(Network):
        def loss(self, parameters):
            now[0] += 1.0
            return super().loss(parameters)

        def gradient(self, parameters):
            now[0] += 2.5
            return super().gradient(parameters)

    class Twice(Lasting):
        def gradient(self, parameters):
            return [super(Twice, self).gradient(parameters) for _ in range(2)][1]

    monkeypatch.setattr(ratio, "processor_clock", lambda: lambda: now[0])
    (_, right), (_, wrong) = (
        ratio.measure_ratio(network((40, 30, 10), 16), SETTINGS) for network in (Lasting, Twice)
    )
    assert (right["low"], right["ratio"], right["high"]) == (2.5, 2.5, 2.5)
    assert (wrong["low"], wrong["ratio"], wrong["high"]) == (5.0, 5.0, 5.0)


def test_forward_passes_hidden_in_a_gradient_are_counted():
    class Wasteful(Network):
        def gradient(self, parameters):
            for _ in range(300):
                self.loss(parameters)
            return super().gradient(parameters)

    (right, _), (wrong, _) = (
        forward_cost._measure_network(network((8, 4, 1), 1), SETTINGS)
        for network in (Network, Wasteful)
    )
    assert (right["backprop_forward_passes"], wrong["backprop_forward_passes"]) == (1, 301)
    assert right["gemm_as_formula"]
    assert not wrong["gemm_as_formula"]


# --- ways to take differences ---------------------------------------------------------------------

SIZES = (8, 4, 1)
N = 41


def measured(settings=SETTINGS):
    return forward_cost._measure_network(Network(SIZES, 1), settings)[0]


def test_every_way_takes_its_passes_and_agrees_with_backprop():
    row = measured()
    assert (row["forward_difference_passes"], row["batched_passes"]) == (N + 1, N + 1)
    assert (row["central_difference_passes"], row["layered_differences"]) == (2 * N, 2 * N)
    assert (row["copies"], row["passes_as_formula"], row["gemm_as_formula"]) == (N, True, True)
    assert row["agree"]
    # of one layer each weight changes one output, of two all that lies above
    assert 2 < row["layered_work"] < 2 * N


def test_a_batch_of_one_copy_is_none(monkeypatch):
    monkeypatch.setattr(ways, "BLOCK_BYTES", 8 * N)
    row = measured()
    assert (row["copies"], row["batched_passes"], row["batched_flops"]) == (1, None, None)


def test_differences_in_batches_are_those_of_one_copy_at_a_time():
    one = plain_passes.every_weight(SIZES, 1, forward_cost.difference_quotients)
    batched = ways.in_batches(Network(SIZES, 1))
    # both round the loss below 1 a few times, and divide by the step
    np.testing.assert_allclose(batched.D, one.D, rtol=0, atol=2**-48 / forward_cost.STEP)


def once_more(function):
    def twice(*arguments, **names):
        function(*arguments, **names)
        return function(*arguments, **names)

    return twice


def off(function):
    def wrong(*arguments, **names):
        estimate = function(*arguments, **names)
        estimate.value[5] *= 1 + 1e-9
        return estimate

    return wrong


def test_passes_of_a_batch_that_are_made_twice_are_counted(monkeypatch):
    monkeypatch.setattr(ways, "_losses", once_more(ways._losses))
    assert not measured()["gemm_as_formula"]
    monkeypatch.undo()
    monkeypatch.setattr(ways, "difference_quotients", once_more(ways.difference_quotients))
    assert not measured()["passes_as_formula"]


def test_a_wrong_difference_of_any_way_disagrees(monkeypatch):
    monkeypatch.setattr(ways, "layered_differences", off(ways.layered_differences))
    assert not measured()["agree"]
    monkeypatch.undo()
    right = ways.difference_quotients
    monkeypatch.setattr(ways, "difference_quotients", lambda *a, **b: 1.001 * right(*a, **b))
    assert not measured()["agree"]


def test_extrapolated_seconds_enter_no_fit():
    rows = [{"N": n} for n in (10, 100, 1000, 10**6)]
    timings = [
        {
            "forward_pass": {"median": 1e-5 * (1 + n / 1e4)},
            "forward_differences": {"seconds": 1e-5 * n, "extrapolated": False},
        }
        for n in (10, 100, 1000, 10**6)
    ]
    timings[3]["forward_differences"] = {"seconds": 1e9, "extrapolated": True}
    found = forward_cost._growth(rows, timings)
    assert found["below"]["points"] == 3
    assert found["below"]["exponent"] == pytest.approx(1)
    assert found["above"]["points"] == 0
    timings[3]["forward_differences"]["extrapolated"] = False
    assert forward_cost._growth(rows, timings)["above"]["points"] == 1


def test_a_loss_is_not_copied_for_every_pass():
    given = []

    def loss(parameters):
        given.append(parameters["W1"])
        return float(np.sum(parameters["W1"] ** 2))

    lines = plain_passes.InPlace(loss, {"W1": np.ones(3)})
    D = forward_cost.difference_quotients(lines, 2.0**-20, stencil=forward_cost.CENTRAL_2)
    assert all(W is given[0] for W in some(given))
    np.testing.assert_allclose(D, 2, rtol=1e-8)
    np.testing.assert_array_equal(lines.point["W1"], 1)


def test_the_largest_run_stands_beside_what_was_foretold_of_it():
    told = {"seconds": 3.0, "low": 2.0, "high": 4.0, "alone": {"low": 2.9, "high": 3.1}}
    rows = [{"N": 10}, {"N": 20}, {"N": 30}]
    seconds = ((1.0, False), (5.0, False), (9.0, True))
    timings = [
        {"forward_differences": {"seconds": t, "extrapolated": e}, "foretold": told}
        for t, e in seconds
    ]
    assert forward_cost._foretold(rows, timings) == {"N": 20, "taken": 5.0, **told}
    assert all("foretold" not in t for t in some(timings))
