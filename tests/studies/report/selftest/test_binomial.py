"""Exact confidence limits, against tables and against their own definition."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.studies.report.selftest.binomial import at_least, limits


@pytest.mark.parametrize(
    ("k", "n", "low", "high"),
    [
        (0, 10, 0.0, 0.3084971),
        (1, 10, 0.0025286, 0.4450161),
        (5, 10, 0.1870860, 0.8129140),
        (10, 10, 0.6915029, 1.0),
        (15, 20, 0.5089541, 0.9134285),
    ],
)
def test_the_limits_are_those_of_tables(k, n, low, high):
    assert limits(k, n) == pytest.approx((low, high), abs=1e-7)


def test_nothing_in_n_trials_has_the_limit_that_has_a_closed_form():
    # (1 - p)^n = alpha / 2
    for n in (1, 5, 40, 200):
        assert limits(0, n)[1] == pytest.approx(1 - 0.025 ** (1 / n), rel=1e-12)
        assert limits(n, n)[0] == pytest.approx(0.025 ** (1 / n), rel=1e-12)


@given(st.integers(1, 60), st.data())
def test_at_the_limits_the_tails_are_half_of_what_is_left(n, data):
    k = data.draw(st.integers(0, n))
    low, high = limits(k, n, confidence=0.9)
    assert low <= k / n <= high
    if k > 0:
        assert at_least(k, n, low) == pytest.approx(0.05, rel=1e-9)
    if k < n:
        assert 1 - at_least(k + 1, n, high) == pytest.approx(0.05, rel=1e-9)


@pytest.mark.parametrize(("n", "p"), [*product((5, 20), (0.1, 0.5, 0.97))])
def test_the_limits_hold_p_as_often_as_they_say(n, p):
    held = sum(
        at_least(k, n, p) - at_least(k + 1, n, p)
        for k in range(n + 1)
        if limits(k, n)[0] <= p <= limits(k, n)[1]
    )
    assert held >= 0.95


@pytest.mark.parametrize(
    ("k", "n", "confidence", "told"),
    [(0, 0, 0.95, "n at least 1"), (3, 2, 0.95, "k=3 of n=2"), (-1, 2, 0.95, "k=-1"),
     (1, 2, 1.0, "confidence=1.0")],
)  # fmt: skip
def test_a_share_of_nothing_is_refused(k, n, confidence, told):
    with pytest.raises(ValueError, match=told):
        limits(k, n, confidence=confidence)
