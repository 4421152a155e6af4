"""The leaf functions against 60-digit decimal arithmetic, over |z| <= 1e6 with its tails.

Error bounds, in units of the unit roundoff u = eps / 2, to first order, -|z| being exact. Let exp
be within k_e u and log1p within k_l u:

    e = exp(-|z|)                                                               k_e
    sigma = exp(min(z, 0)) / (1 + e): condition with respect to e at most 1,
        one addition, one division                                              k_e + 2
    sigma' = e / (1+e)^2: condition |1-e|/(1+e) <= 1; the addition counts
        twice, one square, one division                                         k_e + 4
    softplus: log1p(e) has condition at most 1, one addition                    k_e + k_l + 1

One unit in the last place is at most 2 u. numpy's vectorised float32 exp documents 2.52 units and
a relative error of 2.1264e-7 = 3.57 u; its float32 log1p was measured, over all float32 numbers,
within 3.4 u.

Where a result is subnormal, an operation errs by up to eta, the smallest subnormal number, and
only e, log1p and the division can: 3 eta.
"""

from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from some import some

from reference_models.activations import (
    decay,
    log1p,
    negative_part,
    positive_part,
    sigmoid,
    sigmoid_from_decay,
    sigmoid_prime,
    sigmoid_prime_from_decay,
    softplus,
)

REAL_DTYPES = [np.float16, np.float32, np.float64, np.longdouble]
FUNCTIONS = [sigmoid, sigmoid_prime, softplus]


def roundings(function, dtype):
    """The bound derived above, in units of u."""
    k_e, k_l = (3.57, 3.4) if dtype == np.float32 else (2, 2)
    return {sigmoid: k_e + 2, sigmoid_prime: k_e + 4, softplus: k_e + k_l + 1}[function]


def points(dtype):
    """z of either sign: the middle, the tails, the powers of two, the last before underflow."""
    largest = min(1e6, float(np.finfo(dtype).max))
    underflow = float(-np.log(np.finfo(dtype).smallest_subnormal))
    generator = np.random.default_rng(7)
    positive = np.concatenate(
        [
            generator.uniform(0, 20, 400),
            generator.uniform(0, min(2 * underflow, largest), 400),
            10.0 ** generator.uniform(-6, np.log10(largest), 200),
            2.0 ** np.arange(-12, 15),
            underflow * np.linspace(0.9, 1.02, 40),
            [0.0, 36.74, 88.7, 745.2, largest],
        ]
    )
    return np.concatenate([positive, -positive]).astype(dtype)


def decimal(number):
    numerator, denominator = number.as_integer_ratio()
    return Decimal(numerator) / Decimal(denominator)


def truth(function, z):
    """The function at 60 digits; each digit lost in 1 + e^-|z| would need |z| > 138."""
    z = decimal(z)
    e = (-abs(z)).exp()
    if function is sigmoid:
        return (e if z < 0 else 1) / (1 + e)
    if function is sigmoid_prime:
        return e / (1 + e) ** 2
    # log(1 + e) = 2 artanh(e / (2 + e)), which loses nothing for small e
    t = e / (2 + e)
    log1p = (1 + e).ln() if e > Decimal("1e-3") else 2 * sum(t**k / k for k in range(1, 21, 2))
    return max(z, Decimal(0)) + log1p


def errors(function, computed, z):
    """|computed - truth| beyond 3 eta, in units of u |truth|."""
    info = np.finfo(z.dtype)
    u, eta = decimal(info.eps) / 2, decimal(info.smallest_subnormal)
    with localcontext() as context:
        context.prec, context.Emin, context.Emax = 60, -999999999, 999999999
        for value, point in zip(computed, z, strict=True):
            exact = truth(function, point)
            beyond = max(abs(decimal(value) - exact) - 3 * eta, Decimal(0))
            yield float(beyond / (u * exact))


@pytest.mark.parametrize("dtype", REAL_DTYPES)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_value_is_within_its_counted_roundings(function, dtype):
    z = points(dtype)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        computed = function(z)
    assert computed.dtype == dtype
    worst = max(errors(function, computed, z))
    assert worst <= roundings(function, dtype)


@pytest.mark.nightly
def test_every_float32_is_within_its_counted_roundings():
    """All 2^-20 <= |z| <= 110; float64, accurate to 2^-29 of these units, serves as truth."""
    u, eta = 2.0**-24, 2.0**-149
    first, last = (int(np.float32(z).view(np.int32)) for z in (2.0**-20, 110))
    for start in some(range(first, last, 2**22)):
        bits = np.arange(start, min(start + 2**22, last), dtype=np.int32)
        for z in (bits.view(np.float32), -bits.view(np.float32)):
            for function in FUNCTIONS:
                exact = function(z.astype(np.float64))
                error = np.abs(function(z) - exact) - 3 * eta
                assert np.all(error <= roundings(function, np.float32) * u * exact)


def test_the_comparison_finds_lost_digits():
    z = np.linspace(-40, 40, 101)
    a = sigmoid(z)
    with np.errstate(over="ignore", divide="ignore"):
        lossy = {sigmoid: (1 + np.tanh(z / 2)) / 2, sigmoid_prime: a * (1 - a)}
        lossy[softplus] = np.log(1 + np.exp(z))
    for function, values in lossy.items():
        assert not max(errors(function, values, z)) <= roundings(function, z.dtype)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("dtype", [*REAL_DTYPES, np.complex128])
def test_scalars_and_arrays_give_the_same_bits_in_the_same_dtype(function, dtype):
    z = np.array([-1000.0, -3.5, -1e-3, 0.0, 0.25, 7.0, 1000.0]).astype(dtype)
    scalars = [function(z_i) for z_i in z]
    assert all(type(scalar) is dtype for scalar in some(scalars))
    if np.dtype(dtype).kind == "f":
        ulp = np.spacing(np.abs(function(z)))
        assert np.all(np.abs(np.array(scalars) - function(z)) <= ulp)  # SIMD and scalar loops
    else:
        np.testing.assert_array_equal(np.array(scalars), function(z))


@given(st.floats(-1e6, 1e6))
def test_sigma_of_z_and_of_minus_z_add_up_to_one(z):
    one = Fraction(float(sigmoid(z))) + Fraction(float(sigmoid(-z)))
    assert abs(one - 1) <= 4 * Fraction(1, 2**53)  # 4 u relative to each of two that sum to 1


def test_the_values_at_zero_are_exact():
    for dtype in REAL_DTYPES:
        assert sigmoid(dtype(0)) == 0.5
        assert sigmoid_prime(dtype(0)) == 0.25


@pytest.mark.parametrize("dtype", [*REAL_DTYPES, np.complex128])
def test_buffers_receive_what_is_returned_and_change_no_bit(dtype):
    z = np.linspace(-30, 30, 61).astype(dtype)
    out, e, scratch = (np.empty_like(z) for _ in range(3))
    assert sigmoid(z, out=out, e=e, scratch=scratch) is out
    np.testing.assert_array_equal(out, sigmoid(z))
    np.testing.assert_array_equal(e, decay(z))
    np.testing.assert_array_equal(scratch, 1.0 + e)
    assert sigmoid_from_decay(z, e, out=out, scratch=scratch) is out
    np.testing.assert_array_equal(out, sigmoid(z))
    one_plus_e = scratch.copy()
    assert sigmoid_prime_from_decay(e, one_plus_e=scratch, out=out, scratch=scratch) is out
    np.testing.assert_array_equal(out, sigmoid_prime(z))
    assert sigmoid_prime_from_decay(e, one_plus_e=one_plus_e, out=out, scratch=scratch) is out
    np.testing.assert_array_equal(out, sigmoid_prime(z))
    assert sigmoid_prime_from_decay(e, out=e, scratch=scratch) is e
    np.testing.assert_array_equal(e, sigmoid_prime(z))
    assert sigmoid_prime(z, out=out, scratch=scratch) is out
    np.testing.assert_array_equal(out, sigmoid_prime(z))
    assert softplus(z, out=out, scratch=scratch) is out
    np.testing.assert_array_equal(out, softplus(z))
    assert sigmoid(z.copy(), out=out, e=e, scratch=e) is out
    np.testing.assert_array_equal(out, sigmoid(z))


@pytest.mark.parametrize("dtype", REAL_DTYPES)
def test_the_numerator_of_sigma_is_the_exponential_of_the_negative_part(dtype):
    """max(e, sgn z) = exp(min(z, 0)), bit for bit, also at both zeros, infinities and NaN."""
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, np.finfo(dtype).smallest_subnormal]
    z = np.concatenate([points(dtype), np.array(special, dtype)])
    e = decay(z)
    expected = np.exp(np.minimum(z, dtype(0))) / (e + dtype(1))
    np.testing.assert_array_equal(sigmoid(z), expected)
    np.testing.assert_array_equal(sigmoid_from_decay(z, e), expected)


@pytest.mark.parametrize("dtype", [*REAL_DTYPES, np.complex128])
def test_softplus_of_minus_z_needs_no_second_exponential(dtype):
    """softplus(-z) = -min(z, 0) + log1p(e) with the e of z."""
    z = np.linspace(-30, 30, 62).astype(dtype)
    np.testing.assert_array_equal(log1p(decay(z)) - negative_part(z), softplus(-z))
    np.testing.assert_array_equal(positive_part(z) + log1p(decay(z)), softplus(z))


def test_nan_is_not_hidden():
    for function in FUNCTIONS:
        assert np.isnan(function(np.float64("nan")))


# Complex arguments.


@given(st.floats(-1e6, 1e6))
def test_the_complex_step_of_each_function_is_its_derivative(z):
    """Im f(z + ih) / h. softplus' = sigma, sigma' as above.

    Real and imaginary part of exp are each within 2 u of a product of two factors of 2 u; the
    complex division (Smith 1962) is a dozen operations. Terms of opposite sign cancel by at most
    a factor 3, as e <= 1. Counted generously: 40 u.
    """
    h = 1e-30
    u = 2.0**-53
    for function, derivative in ((softplus, sigmoid), (sigmoid, sigmoid_prime)):
        step = function(complex(z, h)).imag / h
        expected = float(derivative(z))
        underflow = 40 * 5e-324 / h  # where h f' is subnormal
        assert abs(step - expected) <= 40 * u * expected + underflow


@given(st.floats(-30, 30), st.floats(-3, 3))
def test_e_is_even_and_serves_both_signs_also_on_the_imaginary_axis(x, y):
    """sigma(z) + sigma(-z) = 1 from one e; the bound as for complex functions below."""
    for z in (np.complex128(complex(x, y)), np.complex128(complex(0.0, y))):
        e = decay(z)
        assert e == decay(-z)
        nearness = 1 / abs(1 + e)
        total = sigmoid_from_decay(z, e) + sigmoid_from_decay(-z, e)
        assert abs(total - 1) <= 80 * 2.0**-53 * nearness * (1 + nearness)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_complex_functions_continue_the_real_ones(function):
    z = points(np.float64)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        continued = function(z.astype(np.complex128))
    np.testing.assert_array_equal(continued.imag, 0.0)
    assert (
        max(errors(function, continued.real, z)) <= roundings(function, np.float64) + 8
    )  # complex division


@given(st.floats(-30, 30), st.floats(-3, 3))
def test_complex_functions_satisfy_their_definitions_off_the_axis(x, y):
    """exp(softplus) = 1 + exp(z) and sigma (1 + exp(-z)) = 1 away from the poles.

    Both sides carry at most 40 operations' rounding, magnified by |log| and by the nearness of
    the pole, 1 / |1 + exp(-z)|.
    """
    z = complex(x, y)
    u = 2.0**-53
    nearness = (1 + np.exp(-x)) / abs(1 + np.exp(-z))
    assert abs(sigmoid(z) * (1 + np.exp(-z)) - 1) <= 40 * u * nearness * (1 + abs(z))
    lhs, rhs = np.exp(softplus(z)), 1 + np.exp(z)
    nearness = (1 + np.exp(x)) / abs(rhs)
    assert abs(lhs - rhs) <= 40 * u * abs(rhs) * nearness * (1 + abs(z))


def test_small_complex_softplus_keeps_its_digits():
    """For e -> 0, log(1 + e) = e: forming 1 + e first would return 0."""
    z = complex(-100.0, 0.5)
    e = np.exp(z)
    assert abs(softplus(z) - e) <= 8 * 2.0**-53 * abs(e)
