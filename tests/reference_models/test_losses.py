"""Values and residuals against 60-digit decimal arithmetic, saturated on both sides.

Error bounds in units of u, from the worst of the leaf functions in any dtype (sigma 6 u, sigma'
8 u, softplus 8 u, held by the tests of activations): 1 - y, the product and the sum add one
rounding each.

    cross-entropy   value     8 + 3 = 11 u of the value, a sum of positive terms
    a - y                     6 + 3 = 9 u of |1-y| sigma(z) + |y| sigma(-z) =: S
    quadratic       value     |d| 9 u S + (9 u S)^2 / 2 + 2 u d^2 with d = a - y
                    residual  (9 + 8 + 1) u S sigma'(z)
"""

from decimal import Decimal, localcontext

import numpy as np
import pytest

from reference_models.activations import decay
from reference_models.losses import LOSSES, REDUCTIONS, divisor, loss_named

REAL_DTYPES = [np.float16, np.float32, np.float64, np.longdouble]
TARGETS = [0.0, 1.0, 0.3]


def decimal(number):
    numerator, denominator = number.as_integer_ratio()
    return Decimal(numerator) / Decimal(denominator)


def log1p(e):
    t = e / (2 + e)
    return (1 + e).ln() if e > Decimal("1e-3") else 2 * sum(t**k / k for k in range(1, 21, 2))


def truths(z, y, u):
    """(value, its bound, residual, its bound) of both losses at one point."""
    z, y = decimal(z), decimal(y)
    e = (-abs(z)).exp()
    p, q = (1 / (1 + e), e / (1 + e)) if z >= 0 else (e / (1 + e), 1 / (1 + e))
    slope, d, S = p * q, (1 - y) * p - y * q, (1 - y) * p + y * q
    C = (1 - y) * (max(z, Decimal(0)) + log1p(e)) + y * (max(-z, Decimal(0)) + log1p(e))
    difference_error = 9 * u * S
    yield C, 11 * u * C, d, difference_error
    value_error = abs(d) * difference_error + difference_error**2 / 2 + 2 * u * d * d
    yield d * d / 2, value_error, d * slope, 18 * u * S * slope


@pytest.mark.parametrize("dtype", REAL_DTYPES)
@pytest.mark.parametrize("y", TARGETS)
def test_no_digit_is_lost_up_to_a_million(dtype, y):
    """The few operations on subnormal numbers err by eta each: 8 eta."""
    info = np.finfo(dtype)
    largest = min(1e6, float(info.max))
    grid = [0.0, 1e-3, 0.7, 3.0, 9.0, 17.0, 37.0, 90.0, 700.0, 745.0, 1e4, largest]
    u, eta = decimal(info.eps) / 2, decimal(info.smallest_subnormal)
    for z in [*map(dtype, grid), *(-dtype(z) for z in grid)]:
        with localcontext() as context, np.errstate(over="raise", invalid="raise", divide="raise"):
            context.prec, context.Emin, context.Emax = 60, -999999999, 999999999
            for loss, exact in zip(
                (LOSSES["cross_entropy"], LOSSES["quadratic"]), truths(z, dtype(y), u), strict=True
            ):
                C, C_error, r, r_error = exact
                value, residual = loss.value(z, dtype(y)), loss.residual(z, dtype(y))
                assert value.dtype == residual.dtype == dtype
                assert abs(decimal(value) - C) <= C_error + 8 * eta
                assert abs(decimal(residual) - r) <= r_error + 8 * eta


def test_the_worst_logits_have_these_values():
    cross_entropy = LOSSES["cross_entropy"]
    for z in (1e6, -1e6):
        right, wrong = float(z > 0), float(z < 0)
        assert cross_entropy.value(z, right) == 0.0
        assert cross_entropy.value(z, wrong) == 1e6
        assert cross_entropy.residual(z, right) == 0.0
        assert cross_entropy.residual(z, wrong) == np.sign(z)
        assert cross_entropy.residual(z, 0.3) == (1 - 0.3 if z > 0 else -0.3)
        assert LOSSES["quadratic"].residual(z, wrong) == 0.0  # sigma' underflows


def test_a_saturated_right_answer_still_has_a_gradient():
    """dC/dz = -sigma(-z) for y = 1: a - 1 would have rounded to 0 at z = 40."""
    residual = LOSSES["cross_entropy"].residual(40.0, 1.0)
    assert abs(residual + np.exp(-40.0)) <= 9 * 2.0**-53 * np.exp(-40.0)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("dtype", [*REAL_DTYPES, np.complex128])
def test_buffers_change_no_bit(loss, dtype):
    z = np.linspace(-20, 20, 41).astype(dtype)
    y = np.resize([0.0, 1.0, 0.3], 41).astype(dtype)
    given_z, given_y = z.copy(), y.copy()
    for function in (loss.value, loss.residual):
        out, e = np.empty_like(z), decay(z)
        scratch = (np.empty_like(z), np.empty_like(z))
        assert function(z, y, e=e, out=out, scratch=scratch) is out
        np.testing.assert_array_equal(out, function(z, y))
        np.testing.assert_array_equal(e, decay(z))
    np.testing.assert_array_equal(z, given_z)
    np.testing.assert_array_equal(y, given_y)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_e_that_is_handed_in_is_the_e_that_is_used(loss):
    """At z = 0 every value and residual depends on e: half of it is not the same."""
    z, y = np.zeros(3), np.array([0.0, 1.0, 0.3])
    for function in (loss.value, loss.residual):
        np.testing.assert_array_equal(function(z, y, e=np.ones(3)), function(z, y))
        assert not np.any(function(z, y, e=np.full(3, 0.5)) == function(z, y))


@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
def test_the_residual_is_the_complex_step_of_the_value(loss):
    """Each of the at most 60 complex roundings is relative to S (times sigma' if quadratic)."""
    h, u = 1e-30, 2.0**-53
    for z in np.linspace(-50, 50, 201):
        for y in TARGETS:
            S = (1 - y) / (1 + np.exp(-z)) + y / (1 + np.exp(z))
            slope = 1.0 if loss.name == "cross_entropy" else 1 / (2 + 2 * np.cosh(z))
            step = loss.value(complex(z, h), complex(y)).imag / h
            assert abs(step - loss.residual(z, y)) <= 60 * u * S * slope


def test_unknown_names_are_refused_by_name():
    with pytest.raises(ValueError, match=r"cost='hinge' .* cross_entropy, quadratic"):
        loss_named("hinge")
    with pytest.raises(ValueError, match=r"reduction='none' must be one of mean, sum"):
        divisor("none", 3)
    assert [divisor(reduction, 3) for reduction in REDUCTIONS] == [3, 1]


def test_a_loss_is_frozen():
    with pytest.raises(AttributeError):
        LOSSES["quadratic"].name = "other"
