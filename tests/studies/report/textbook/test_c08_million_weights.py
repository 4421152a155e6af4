"""C8 holds for one pass a weight; the whole run is tried on a network of a few weights."""

from itertools import count

import numpy as np
import pytest

from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.studies.report.million import plain_passes, ways
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c08_million_weights as c08
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFINED, REFUTED, ruling


def from_scratch(lines, h, *, stencil, coordinates):
    """Evaluates C(w) again for every weight."""
    for _ in range(len(coordinates)):
        lines.along(lines.origin, np.zeros(lines.size), np.zeros(1))
    return difference_quotients(lines, h, stencil=stencil, coordinates=coordinates)


def wrong_gradient(network, parameters):
    return {name: 1.001 * g for name, g in Network.gradient(network, parameters).items()}


@pytest.fixture(autouse=True)
def afresh():
    """Forget what was run with other numbers of blocks."""
    for remembered in (plain_passes.sample, plain_passes.every_weight):
        remembered.cache_clear()
    yield
    for remembered in (plain_passes.sample, plain_passes.every_weight):
        remembered.cache_clear()


@pytest.fixture
def small(monkeypatch):
    """A network of 20 x 30 + 30 weights, and a sample of 40 of them."""
    monkeypatch.setattr(c08, "SIZES", (20, 30, 1))
    monkeypatch.setattr(plain_passes, "BLOCKS", 5)
    monkeypatch.setattr(plain_passes, "BLOCK", 8)
    monkeypatch.setattr(plain_passes, "LONG_BLOCK", 100)


def test_it_takes_the_passes_that_the_section_on_a_million_weights_has_run(small):
    way = ways.plain(c08.SIZES, Settings(hidden=(2, 3), run_the_million=True))
    c08.measure(Settings(seed=1, run_the_million=True))
    found = plain_passes.every_weight.cache_info()
    assert (found.misses, found.hits) == (1, 1)
    assert way.results["holds"]


def test_the_claim_is_refined(monkeypatch):
    ticks = (0.125 * n + 2.0**-10 * n**2 for n in count())  # each block takes a little longer
    monkeypatch.setattr(plain_passes.time, "perf_counter", lambda: next(ticks))
    monkeypatch.setattr(plain_passes, "BLOCK", 2)
    evidence = c08.measure(Settings())
    assert ruling(evidence) == REFINED
    size, sample, by_layers = evidence.findings
    assert by_layers.holds
    assert by_layers.results == {"differences": 2_000_000, "passes": 1_000_001}
    assert by_layers.measured["equivalents"] < 20
    assert size.results["N"] == 1_000_000
    assert sample.results == {"n": 40, "passes": 41, "total": 1_000_001}
    assert sample.timings["one"] > 0


def test_a_small_network_is_no_million(small):
    evidence = c08.measure(Settings())
    assert [finding.holds for finding in evidence.findings] == [False, True, True]
    assert ruling(evidence) == REFUTED


def test_the_whole_run_counts_every_pass(small):
    whole = c08.measure(Settings(run_the_million=True)).findings[3]
    assert whole.holds
    assert whole.results == {"N": 661, "passes": 662}
    assert whole.timings["seconds"] > 0


@pytest.mark.parametrize(
    ("broken", "by_layers"),
    [({"differences": from_scratch}, True), ({"gradient": wrong_gradient}, False)],
    ids=["passes", "gradient"],
)
def test_more_passes_or_a_wrong_gradient_refute_it(small, broken, by_layers):
    found = c08.measure(Settings(run_the_million=True), **broken).findings
    assert [finding.holds for finding in found] == [False, False, by_layers, False]


def test_it_is_confirmed_where_differences_by_layers_take_as_many_passes(small, monkeypatch):
    monkeypatch.setattr(c08, "MILLION", 661)

    def as_many(*arguments, layered=ways.layered, **names):
        row = layered(*arguments, **names)
        row.measured["forward_pass_equivalents"] = 662.0
        return row

    assert ruling(c08.measure(Settings())) == REFINED
    monkeypatch.setattr(ways, "layered", as_many)
    assert ruling(c08.measure(Settings())) == CONFIRMED


def test_one_wrong_derivative_of_all_is_seen_by_the_whole_run(small):
    def one_wrong(network, parameters):
        gradient = {k: g.copy() for k, g in Network.gradient(network, parameters).items()}
        gradient["b2"][0] *= 1.001
        return gradient

    assert not c08.measure(Settings(run_the_million=True), gradient=one_wrong).findings[3].holds
