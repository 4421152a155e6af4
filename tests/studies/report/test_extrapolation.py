"""Seconds that are foretold lie in their interval, also where the machine changes its pace."""

import numpy as np
import pytest

from gradcheck.studies.report.extrapolation import Sample
from gradcheck.studies.report.student import student


@pytest.mark.parametrize(
    ("nu", "confidence", "t"),
    [(1, 0.95, 12.7062), (2, 0.95, 4.3027), (3, 0.99, 5.8409), (4, 0.95, 2.7764),
     (5, 0.9, 2.0150), (19, 0.95, 2.0930), (200, 0.95, 1.9719)],
)  # fmt: skip
def test_quantiles_are_those_of_the_tables(nu, confidence, t):
    assert student(nu, confidence) == pytest.approx(t, abs=1e-4)


def test_no_degrees_of_freedom_are_refused():
    with pytest.raises(ValueError, match="nu=0"):
        student(0)


def test_the_formula_is_the_one_that_stands_above_it():
    sample, missed = Sample((1.0, 2.0, 3.0, 2.0)), (0.1, 0.3, 0.2)
    e = np.std([1, 2, 3, 2], ddof=1) / (2 * 2)
    half = np.sqrt((student(2) * 0.1) ** 2 * (1 + 1 / 3) + (student(3) * e) ** 2)
    found = sample.foretell(100, missed)
    middle = 200 * np.exp(0.2)
    assert (found.seconds, found.low, found.high) == pytest.approx(
        (middle, middle * np.exp(-half), middle * np.exp(half))
    )
    assert sample.missed(100, 400.0) == pytest.approx(np.log(2))
    alone = sample.alone(100)
    assert (alone.low, alone.high) == pytest.approx(
        (200 * np.exp(-student(3) * e), 200 * np.exp(student(3) * e))
    )


def test_without_networks_that_were_run_there_is_no_interval():
    found = Sample((1.0, 2.0)).foretell(10, (0.1,))
    assert (found.seconds, found.low, found.high) == (15.0, None, None)
    assert not found.holds(15.0)


def test_one_block_has_no_error_of_its_own():
    assert Sample((2.0,)).error == 0.0


RUNS, K, B = 500, 5, 20
NOISE, DRIFT = 0.02, 0.06
"""Spread of the blocks of a sample, and of the pace from a sample to a run, both known."""


def drawn(generator, n):
    """Seconds that n networks' samples and runs took; a pass takes 1 s but for noise and drift."""
    samples = [Sample(tuple(np.exp(NOISE * generator.normal(size=B)))) for _ in range(n)]
    taken = 1000 * 1.05 * np.exp(DRIFT * generator.normal(size=n))
    return samples, taken


def test_held_out_runs_lie_in_the_interval_and_not_in_that_of_the_standard_error_alone():
    generator, held, alone = np.random.default_rng(0), 0, 0
    for _ in range(RUNS):
        samples, taken = drawn(generator, K + 1)
        missed = [s.missed(1000, T) for s, T in zip(samples[:K], taken[:K], strict=True)]
        held += samples[K].foretell(1000, missed).holds(taken[K])
        alone += samples[K].alone(1000).holds(taken[K])
    # 95 %, on the wide side as the sample enters twice; 4 standard errors of 500 draws are 4 %
    assert 0.91 <= held / RUNS < 1
    assert alone / RUNS < 0.2


# One machine, one example, networks 2h-h-1: N, seconds of one loss (median), of all N + 1 passes.
LOSSES = ((33_025, 21.63e-6, 0.9469), (65_885, 23.67e-6, 2.4034), (131_585, 32.72e-6, 4.8561),
          (262_813, 52.15e-6, 13.569), (525_313, 84.42e-6, 49.634))  # fmt: skip
HELD_OUT = (1_049_801, (137e-6, 138e-6, 139e-6), 155.206)
"""N, seconds of one loss (median between quartiles), of all N + 1 passes."""


def test_the_largest_network_held_out_lies_in_the_interval_and_was_missed_before():
    N, blocks, taken = HELD_OUT
    missed = [Sample((t,)).missed(n + 1, T) for n, t, T in LOSSES]
    sample = Sample(blocks)
    assert sample.foretell(N + 1, missed).holds(taken)
    assert not sample.alone(N + 1).holds(taken)
    assert taken > (N + 1) * blocks[2]  # nor by the quartiles
