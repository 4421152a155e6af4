"""The slope of a power law is recovered with its error, and a wrong slope is seen."""

import numpy as np
import pytest

from gradcheck.studies.report.fits import fit_power_law

x = np.logspace(0, 4, 30)


@pytest.mark.parametrize("exponent", [-1.0, 0.0, 1.0, 2.0, 8.0])
def test_an_exact_power_law_has_its_exponent_and_no_error(exponent):
    law = fit_power_law(x, 3 * x**exponent)
    assert law.exponent == pytest.approx(exponent, abs=1e-12)
    assert law.standard_error < 1e-12
    assert law.factor == pytest.approx(3, rel=1e-10)


def test_the_standard_error_is_the_spread_of_the_exponents_over_noisy_data():
    generator = np.random.default_rng(0)
    laws = [fit_power_law(x, x**2 * np.exp(0.1 * generator.normal(size=30))) for _ in range(400)]
    spread = np.std([law.exponent for law in laws])
    log_x = np.log(x)
    exact = 0.1 / np.sqrt(np.sum((log_x - log_x.mean()) ** 2))
    # of 400 laws: a spread is known to 1 / sqrt(800) = 3.5 %, a mean to the spread over 20
    assert spread == pytest.approx(exact, rel=0.15)
    assert np.mean([law.standard_error for law in laws]) == pytest.approx(exact, rel=0.15)
    assert np.mean([law.exponent for law in laws]) == pytest.approx(2, abs=4 * exact / 20)


def test_a_wrong_exponent_is_not_identified():
    law = fit_power_law(x, x**1.6)
    assert not law.identifies(1)
    assert law.identifies(2)


def test_an_exponent_is_not_identified_when_its_errors_reach_half_way_to_the_next():
    noisy = x * np.exp(3 * np.random.default_rng(1).normal(size=30))
    assert not fit_power_law(x, noisy).identifies(1)
    assert fit_power_law(x, x).identifies(1, bend=0.4)
    assert not fit_power_law(x, x).identifies(1, bend=0.6)


@pytest.mark.parametrize(
    ("x", "y", "told"),
    [
        ([1, 2], [1, 2], "at least 3 points, got 2"),
        ([1, 2, 0], [1, 2, 3], "positive and finite"),
        ([1, 2, 3], [1, np.nan, 3], "positive and finite"),
        ([2, 2, 2], [1, 2, 3], "all x are 2"),
    ],
)
def test_points_without_a_slope_are_refused(x, y, told):
    with pytest.raises(ValueError, match=told):
        fit_power_law(x, y)
