"""No step is a whole number of periods of f, whatever people call a period."""

import numpy as np
import pytest

import gradcheck
from gradcheck import check_gradient

SEEDS = range(5)


def verdicts(f, gradient, x, **options):
    return {check_gradient(f, gradient, x, seed=s, **options).verdict.value for s in SEEDS}


def waves(x):
    """Of period 1 at 1000: every power of two above 1/2 is a whole number of them."""
    return float(np.sum(np.sin(2 * np.pi * x) + (x - 1000) / 2))


def right(x):
    return 2 * np.pi * np.cos(2 * np.pi * x) + 0.5


def wrong(x):
    return np.full_like(x, 0.5)


def test_waves_of_period_one():
    x = np.array([1000.0])
    assert verdicts(waves, right, x) == {"PASS"}
    assert verdicts(waves, wrong, x) == {"FAIL"}


def test_waves_of_period_one_along_directions():
    x = np.full(16, 1000.0)
    assert verdicts(waves, right, x, method="directional") == {"PASS"}
    assert verdicts(waves, wrong, x, method="directional") == {"FAIL"}


def test_waves_of_period_one_in_a_jacobian():
    def vector(x):
        return np.sin(2 * np.pi * x) + (x - 1000) / 2

    x = np.array([1000.0, 1016.0])
    for seed in SEEDS:
        checked = gradcheck.check_jacobian(vector, lambda x: np.diag(right(x)), x, seed=seed)
        assert checked.verdict.value == "PASS"
        checked = gradcheck.check_jacobian(vector, lambda x: np.diag(wrong(x)), x, seed=seed)
        assert checked.verdict.value == "FAIL"


def test_waves_of_period_one_in_a_hessian_vector_product():
    x, v = np.array([1000.0, 1016.0]), np.ones(2)

    def gradient(x):
        return 2 * np.pi * np.cos(2 * np.pi * (x + 0.125)) + x

    def product(x, v):
        return -4 * np.pi**2 * np.sin(2 * np.pi * (x + 0.125)) * v + v

    for seed in SEEDS:
        told = gradcheck.check_hessian_vector_product(gradient, product, x, v, seed=seed)
        assert told.verdict.value == "PASS"
        told = gradcheck.check_hessian_vector_product(gradient, lambda x, v: v, x, v, seed=seed)
        assert told.verdict.value == "FAIL"


@pytest.mark.parametrize("x", [4096.0, 1e4, 1e4 + 0.25, 1e5])
def test_sinc_far_out(x):
    def slope(p):
        u = p % 2  # exact: cos(pi p) and sin(pi p) without the rounding of pi p
        return np.cos(np.pi * u) / p - np.sin(np.pi * u) / (np.pi * p**2)

    at = np.array([x])
    assert verdicts(lambda p: float(np.sinc(p[0])), slope, at) == {"PASS"}
    assert verdicts(lambda p: float(np.sinc(p[0])), lambda p: 1.01 * slope(p), at) == {"FAIL"}


@pytest.mark.parametrize("k", [4, 8, 12, 16])
def test_linear_tables_of_a_power_of_two_of_cells(k):
    nodes = np.linspace(0, 1, 2**k + 1)
    values = np.exp(nodes)

    def slope(p):
        i = int(p[0] * 2**k)
        return np.array([(values[i + 1] - values[i]) * 2**k])

    def f(p):
        return float(np.interp(p[0], nodes, values))

    x = np.array([0.3])
    assert verdicts(f, slope, x) == {"PASS"}
    assert verdicts(f, lambda p: 1.01 * slope(p), x) == {"FAIL"}


@pytest.mark.parametrize("per_unit", [1000, 10240, 250000])
@pytest.mark.parametrize("x", [1.0, 3.75])
def test_decimal_frequencies(per_unit, x):
    """10240 = 10 x 2^10: a step of 2^-10 is ten periods."""
    w = 2 * np.pi * per_unit
    at = np.array([x])

    def f(p):
        return float(np.sin(w * p[0]) + p[0])

    assert "FAIL" not in verdicts(f, lambda p: w * np.cos(w * p) + 1, at)
    assert "PASS" not in verdicts(f, np.ones_like, at)


@pytest.mark.parametrize("x", [0.37, 0.5, 1.0])
def test_the_noise_of_a_fast_wave_is_that_of_its_argument(x):
    """sin(w x) with w = 2 pi 166788: w x is rounded by 1e-10, which a narrow table may not see."""
    w = 2 * np.pi * 166788
    at = np.array([x])
    assert verdicts(lambda p: float(np.sin(w * p[0])), lambda p: w * np.cos(w * p), at) == {"PASS"}
    assert verdicts(lambda p: float(np.sin(w * p[0])), np.zeros_like, at) == {"FAIL"}


@pytest.mark.parametrize("x", [1e17, 1e30, 1e100])
def test_where_an_ulp_spans_waves_nothing_is_decided(x):
    at = np.array([x])
    for engine in (np.zeros_like, lambda p: np.cos(p) / p, lambda p: -1 / p):
        assert verdicts(lambda p: float(np.sinc(p[0])), engine, at) == {"INCONCLUSIVE"}
        assert verdicts(lambda p: float(np.sin(p[0])), engine, at) == {"INCONCLUSIVE"}
