"""Stencils are exact: a table that breaks a moment condition does not exist."""

from fractions import Fraction
from math import factorial

import numpy as np
import pytest
from some import some

from gradcheck.differences.stencils import (
    CENTRAL_2,
    CENTRAL_4,
    CENTRAL_6,
    CENTRAL_8,
    FORWARD,
    ON_ONE_SIDE,
    STENCILS,
    Stencil,
)

every_stencil = pytest.mark.parametrize(
    "stencil", [*STENCILS, *ON_ONE_SIDE.values()], ids=lambda s: s.name
)


@every_stencil
def test_moments_are_0_but_the_first_is_1(stencil):
    p = stencil.accuracy
    assert [stencil.moment(q) for q in range(p + 1)] == [int(q == 1) for q in range(p + 1)]
    assert stencil.moment(p + 1) != 0


@every_stencil
def test_monomials_up_to_the_accuracy_are_differentiated_exactly(stencil):
    x, h = Fraction(3, 7), Fraction(1, 10)
    for n in range(stencil.accuracy + 1):
        terms = zip(stencil.weights, stencil.offsets, strict=True)
        assert sum(c * (x + k * h) ** n for c, k in terms) / h == n * x ** (n - 1) if n else True


@every_stencil
@pytest.mark.parametrize("by", [Fraction(1, 10**9), Fraction(-1, 3)])
def test_one_altered_weight_is_refused(stencil, by):
    for i in some(range(len(stencil.weights))):
        weights = list(stencil.weights)
        weights[i] += by
        with pytest.raises(ValueError, match=r"moment|weight is 0"):
            Stencil(stencil.name, stencil.accuracy, stencil.offsets, tuple(weights))


@every_stencil
def test_one_altered_offset_is_refused(stencil):
    last = stencil.offsets[-1]
    offsets = (*stencil.offsets[:-1], last + (1 if last > 0 else -1))
    with pytest.raises(ValueError, match="moment"):
        Stencil(stencil.name, stencil.accuracy, offsets, stencil.weights)


@every_stencil
def test_an_overstated_accuracy_is_refused(stencil):
    with pytest.raises(ValueError, match=f"moment {stencil.accuracy + 1} is"):
        Stencil(stencil.name, stencil.accuracy + 1, stencil.offsets, stencil.weights)


@pytest.mark.parametrize("stencil", STENCILS[1:], ids=lambda s: s.name)
def test_an_understated_accuracy_is_refused(stencil):
    with pytest.raises(ValueError, match="is understated"):
        Stencil(stencil.name, stencil.accuracy - 1, stencil.offsets, stencil.weights)


def test_tables_must_be_tables():
    half = Fraction(1, 2)
    with pytest.raises(ValueError, match="3 offsets and 2 weights"):
        Stencil("x", 2, (-1, 0, 1), (-half, half))
    with pytest.raises(ValueError, match="distinct offsets"):
        Stencil("x", 2, (1, 1), (-half, half))
    with pytest.raises(ValueError, match="a weight is 0"):
        Stencil("x", 2, (-1, 0, 1), (-half, Fraction(0), half))


@pytest.mark.parametrize(
    ("stencil", "C1", "C2"),
    [
        (FORWARD, Fraction(2), Fraction(1, 2)),
        (CENTRAL_2, Fraction(1), Fraction(1, 6)),
        (CENTRAL_4, Fraction(3, 2), Fraction(1, 30)),
        (CENTRAL_6, Fraction(11, 6), Fraction(1, 140)),
        (CENTRAL_8, Fraction(25, 12), Fraction(1, 630)),
    ],
)
def test_constants_of_the_error_model(stencil, C1, C2):
    assert stencil.noise_constant == C1
    assert stencil.truncation_constant == C2


@every_stencil
def test_truncation_is_its_constant_times_the_next_derivative(stencil):
    p, h = stencil.accuracy, Fraction(1, 8)
    terms = zip(stencil.weights, stencil.offsets, strict=True)
    at_0 = sum(c * (k * h) ** (p + 1) for c, k in terms) / h  # of x^(p+1), whose f' is 0 there
    assert abs(at_0) == stencil.truncation_constant * factorial(p + 1) * h**p


@every_stencil
def test_no_noise_exceeds_its_constants(stencil):
    generator = np.random.default_rng(0)
    k = np.array(sorted({*stencil.offsets, *(2 * k for k in stencil.offsets)}))
    c = dict(zip(stencil.offsets, map(float, stencil.weights), strict=True))
    D = np.array([c.get(int(i), 0.0) for i in k])
    doubled = np.array([c.get(int(i) // 2, 0.0) / 2 if i % 2 == 0 else 0.0 for i in k])
    A = float(stencil.disagreement_noise)
    noises = generator.choice([-1.0, 1.0], (500, len(k)))
    assert np.all(np.abs(noises @ (D - doubled)) <= A + 1e-12)
    worst = np.sign(D - doubled)
    assert worst @ (D - doubled) == pytest.approx(A)
    assert np.sign(D) @ D == pytest.approx(float(stencil.noise_constant))


@every_stencil
@pytest.mark.parametrize("noise", [1e-16, 1e-7])
@pytest.mark.parametrize("M", [1e-3, 1.0, 1e6])
def test_the_best_step_minimises_the_error_model(stencil, noise, M):
    h = stencil.best_step(noise, M)
    least = stencil.error_model(h, noise, M)
    assert all(stencil.error_model(h * t, noise, M) > least for t in (0.5, 0.9, 1.1, 2.0))
    p, C1 = stencil.accuracy, float(stencil.noise_constant)
    assert least == pytest.approx((p + 1) / p * C1 * noise / h, rel=1e-12, abs=0)


@every_stencil
def test_the_error_falls_with_the_stated_order(stencil):
    """Slope of log error against log h, from differences of exp in exact steps, is p."""
    x, errors = 0.5, []
    steps = np.array([0.1, 0.05])
    for h in steps:
        D = sum(
            float(c) * np.exp(np.longdouble(x + k * h))
            for c, k in zip(stencil.weights, stencil.offsets, strict=True)
        )
        errors.append(abs(float(D / h - np.exp(np.longdouble(x)))))
    order = np.log(errors[0] / errors[1]) / np.log(2)
    assert order == pytest.approx(stencil.accuracy, abs=0.35)  # nearer than half way to the next


@pytest.mark.parametrize("side", [-1, 1])
def test_a_one_sided_formula_asks_no_point_on_the_other_side(side):
    stencil = ON_ONE_SIDE[side]
    assert all(side * k >= 0 for k in some(stencil.offsets))
    assert stencil.mirrored().offsets == tuple(-k for k in stencil.offsets)
