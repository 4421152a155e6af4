"""One forward pass a weight: counted, timed in blocks, extrapolated, and run once."""

import numpy as np

from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.studies.report.million import plain_passes
from gradcheck.studies.report.million.plain_passes import Backprop, Passes, every_weight, sample
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings

SIZES = (6, 5, 1)


def test_every_weight_takes_one_pass_and_all_of_them_one_more():
    run = every_weight(SIZES, 1, difference_quotients)
    assert run.counted == 42
    np.testing.assert_array_equal(run.coordinates, np.arange(41))
    assert Backprop(SIZES, 1).worst(run) <= 1


def test_a_sample_is_drawn_without_repetition_and_in_blocks(monkeypatch):
    monkeypatch.setattr(plain_passes, "BLOCKS", 4)
    monkeypatch.setattr(plain_passes, "BLOCK", 5)
    run = sample(SIZES, 2, difference_quotients)
    sample.cache_clear()
    assert len(set(run.coordinates)) == len(run.D) == 20
    assert run.counted == 21
    assert len(run.seconds) == 4


def test_a_network_smaller_than_the_sample_is_taken_whole():
    run = sample((2, 3, 1), 3, difference_quotients)
    assert sorted(run.coordinates) == list(range(13))
    assert len(run.seconds) == 13


def test_the_same_passes_are_run_once():
    called = []

    def counted(lines, h, **options):
        called.append(h)
        return difference_quotients(lines, h, **options)

    assert every_weight(SIZES, 1, counted) is every_weight(SIZES, 1, counted)
    assert len(called) == 1
    assert every_weight(SIZES, 2, counted).counted == 42
    assert len(called) == 2


def test_the_seconds_of_a_pass_are_those_of_its_block():
    run = Passes(np.arange(5), np.zeros(5), 6, (4.0, 3.0), (2, 3))
    assert run.sample.seconds == (2.0, 1.0)
    assert run.taken == 7.0


def test_a_network_is_foretold_from_smaller_ones_alone(monkeypatch):
    settings = Settings(hidden=(2, 3, 4, 6, 8), longest_run=100)
    run = []
    monkeypatch.setattr(plain_passes, "MODELS", 2)
    monkeypatch.setattr(plain_passes, "FEWEST", 12)
    for way in ("sample", "every_weight"):
        monkeypatch.setattr(plain_passes, way, noted(getattr(plain_passes, way), run))
    told = plain_passes.foretold((6, 5, 1), settings)  # N = 41, as 8-4-1 has
    assert run == [
        ("sample", (6, 5, 1)),
        ("sample", (4, 2, 1)), ("every_weight", (4, 2, 1)),
        ("sample", (6, 3, 1)), ("every_weight", (6, 3, 1)),
    ]  # fmt: skip
    assert told.low < told.seconds < told.high
    run.clear()
    monkeypatch.setattr(plain_passes, "FEWEST", 13)  # of which 4-2-1 has no more
    assert plain_passes.foretold((6, 5, 1), settings).low is None
    run.clear()
    plain_passes.foretold((20, 30, 1), settings)
    assert [sizes for way, sizes in run if way == "every_weight"] == [(8, 4, 1), (12, 6, 1)]


def noted(function, run):
    def call(sizes, seed, differences):
        run.append((function.__name__, sizes))
        return function(sizes, seed, differences)

    return call


def test_a_wrong_entry_is_beyond_its_bound():
    def wrong(network, parameters):
        gradient = {k: g.copy() for k, g in Network.gradient(network, parameters).items()}
        gradient["W1"][2, 3] += 1e-4
        return gradient

    assert Backprop(SIZES, 1, wrong).worst(every_weight(SIZES, 1, difference_quotients)) > 1
