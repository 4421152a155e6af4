"""One forward pass a weight: counted, timed in blocks, extrapolated, and run once."""

import numpy as np
import pytest

from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.report.forward_cost import Network
from gradcheck.report.million import plain_passes
from gradcheck.report.million.plain_passes import Backprop, Passes, every_weight, sample

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


def test_seconds_are_extrapolated_with_an_interval_of_the_blocks():
    blocks = tuple(10 * t for t in (1.0, 2.0, 3.0, 2.0))
    run = Passes(np.arange(40), np.zeros(40), 41, blocks)
    middle, low, high = run.seconds_for(100)
    half = 100 * 2.09 * np.std([1, 2, 3, 2], ddof=1) / 2
    assert (middle, low, high) == pytest.approx((200, 200 - half, 200 + half))


def test_a_wrong_entry_is_beyond_its_bound():
    def wrong(network, parameters):
        gradient = {k: g.copy() for k, g in Network.gradient(network, parameters).items()}
        gradient["W1"][2, 3] += 1e-4
        return gradient

    assert Backprop(SIZES, 1, wrong).worst(every_weight(SIZES, 1, difference_quotients)) > 1
