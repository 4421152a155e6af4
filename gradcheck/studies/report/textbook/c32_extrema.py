r"""C32: where the derivative is 0, and the slope of a straight line.

At an extremum inside the domain of a differentiable f the derivative is 0 (Fermat): a maximum where
it goes from + to -, a minimum where it goes from - to +. For a cubic with roots r of f'

    f(x) = x^3/3 - (r_1 + r_2) x^2/2 + r_1 r_2 x,   f'(x) = (x - r_1)(x - r_2)

r_1 < r_2 is the maximum and r_2 the minimum. The converse fails at a double root, r_1 = r_2, and
where there is no derivative: |x| has its minimum there.

For f(x) = k x + c the quotient is k (x + h - x) / h = k at any h, if nothing is rounded. In float64
k x + c is, by at most u(|k x| + |k x + c|) to first order, and so is the quotient, by 2/h of that:
as h falls, the slope of a straight line is lost as any other.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding

CURVES = 50
LINES = 50
NEAR = Fraction(1, 64)
"""How far beside a root the curve is looked at: nearer than half the distance of two roots."""

H = tuple(Fraction(10) ** k for k in range(6, -13, -1))

Slope = Callable[[Fraction, Fraction, Fraction], Fraction]
Quotient = Callable[[Callable[[Any], Any], Any, Any], Any]


def slope(x: Fraction, r_1: Fraction, r_2: Fraction) -> Fraction:
    """Return f'(x) of the cubic."""
    return (x - r_1) * (x - r_2)


def quotient(f: Callable[[Any], Any], x: Any, h: Any) -> Any:
    """Return (f(x + h) - f(x)) / h."""
    return (f(x + h) - f(x)) / h


def measure(settings: Settings, slope: Slope = slope, quotient: Quotient = quotient) -> Evidence:
    """Look at cubics around the roots of their derivative, and at straight lines."""
    generator = np.random.default_rng(settings.seed)
    return Evidence(
        (
            _extrema(generator, slope),
            _straight(generator, quotient),
            _no_extremum(generator, slope, quotient),
            _rounded(generator, quotient),
        )
    )


def _cubic(x: Fraction, r_1: Fraction, r_2: Fraction) -> Fraction:
    return x**3 / 3 - (r_1 + r_2) * x**2 / 2 + r_1 * r_2 * x


def _kind(x: Fraction, r_1: Fraction, r_2: Fraction) -> str:
    """Return what the cubic has at x, from its values beside it."""
    here, left, right = (_cubic(x + side * NEAR, r_1, r_2) for side in (0, -1, 1))
    if here > max(left, right):
        return "maximum"
    return "minimum" if here < min(left, right) else "neither"


def _sign_change(x: Fraction, r_1: Fraction, r_2: Fraction, slope: Slope) -> str:
    """Return what the slope says of x."""
    left, here, right = (slope(x + side * NEAR, r_1, r_2) for side in (-1, 0, 1))
    if here == 0 and left > 0 > right:
        return "maximum"
    return "minimum" if here == 0 and left < 0 < right else "neither"


def _extrema(generator: np.random.Generator, slope: Slope) -> Finding:
    told = 0
    for a, b in generator.integers(1, 65, (CURVES, 2)).tolist():
        r_1, r_2 = Fraction(-a, 16), Fraction(b, 16)
        told += _kind(r_1, r_1, r_2) == "maximum" == _sign_change(r_1, r_1, r_2, slope)
        told += _kind(r_2, r_1, r_2) == "minimum" == _sign_change(r_2, r_1, r_2, slope)
    return Finding(
        "the derivative of {curves} random cubics is 0 at their maximum and their minimum, and its "
        "signs beside these tell which is which: {told} of {n}",
        told == 2 * CURVES,
        {"curves": CURVES, "told": told, "n": 2 * CURVES},
    )


def _line(k: Any, c: Any) -> Callable[[Any], Any]:
    return lambda x: k * x + c


def _straight(generator: np.random.Generator, quotient: Quotient) -> Finding:
    exact = 0
    for k, c, x in generator.integers(-999, 1000, (LINES, 3)).tolist():
        k_, c_, x_ = Fraction(k, 7), Fraction(c, 11), Fraction(x, 13)
        exact += all(quotient(_line(k_, c_), x_, h) == k_ for h in H)
    return Finding(
        "in rational arithmetic the quotient of {exact} of {lines} random straight lines is their "
        "slope, exactly, at every dx from 10^6 to 10^-12",
        exact == LINES,
        {"exact": exact, "lines": LINES},
    )


def _no_extremum(generator: np.random.Generator, slope: Slope, quotient: Quotient) -> Finding:
    roots = [Fraction(r, 16) for r in generator.integers(-64, 65, CURVES).tolist()]
    flat = sum(slope(r, r, r) == 0 and _kind(r, r, r) == "neither" for r in roots)
    sides = {float(quotient(abs, Fraction(0), h)) for h in (NEAR, -NEAR)}
    return Finding(
        "where both roots are one, {flat} of {curves} cubics have slope 0 and no extremum; and |x| "
        "has its minimum at 0, where the quotients from both sides are {sides}: no derivative",
        flat == CURVES and len(sides) == 2,
        {"flat": flat, "curves": CURVES, "sides": " and ".join(f"{s:g}" for s in sorted(sides))},
        contradicts=True,
    )


def _rounded(generator: np.random.Generator, quotient: Quotient) -> Finding:
    """The relative error of a straight line's slope in float64, largest over the lines."""
    k, c, x = generator.uniform(1, 2, (3, LINES))

    def worst(h: float) -> float:
        return float(np.max(np.abs(quotient(_line(k, c), x, h) / k - 1)))

    wide, narrow = worst(1.0), worst(1e-12)
    return Finding(
        "in float64 the slope of {lines} straight lines errs by up to {wide} of it at dx = 1, and "
        "by up to {narrow} at dx = 10^-12",
        narrow > 1e3 * wide,
        {"lines": LINES},
        {"wide": wide, "narrow": narrow},
        contradicts=True,
    )


CLAIM = Claim(
    id="C32",
    title="Derivatives tell minima and maxima",
    statement="The derivative tells at which point a minimum or a maximum lies; the slope of a "
    "straight line is exact at any dx",
    how="cubics with known roots of the derivative and straight lines, in rational arithmetic; "
    "straight lines in float64",
    precise="at an extremum inside the domain of a differentiable function the derivative is 0 and "
    "changes sign; it may be 0 where there is no extremum, and need not exist where there is one. "
    "The slope of a straight line is exact at any dx until numbers are rounded",
    source="Fermat's theorem on stationary points; Higham 2002, section 2.1",
    measure=measure,
    expected=REFINED,
)
