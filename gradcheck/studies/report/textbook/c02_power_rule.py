r"""C2: the power rule d/dx x^n = n x^(n-1), derived from quotients in exact fractions.

Symbols: q(h) = ((x+h)^n - x^n) / h for a rational step h. By the binomial theorem, n = 1, 2, ...

    q(h) = n x^(n-1) + sum_{k=2..n} C(n,k) x^(n-k) h^(k-1),

a polynomial of degree n - 1 in h, whose limit at h = 0 is its value there. Its value at 0 follows
exactly from its values at n steps h_i (Lagrange): no h is neglected.

    p(0) = sum_i p(h_i) prod_{j != i} h_j / (h_j - h_i)

Exponent -n:   q(h) x^n (x+h)^n = (x^n - (x+h)^n) / h is such a polynomial, so lim q follows.
Exponent p/q:  with x = s^q and x + h = (s+k)^q the quotient is a ratio of two polynomials in k,

    ((s+k)^p - s^p)/k  over  ((s+k)^q - s^q)/k,   each with its limit as above.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import comb, prod
from typing import Any

import numpy as np

from gradcheck.checks.gradient import check_gradient
from gradcheck.outcomes.outcome import Outcome
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
from gradcheck.studies.report.textbook.witness import told
from reference_models.gates import power

Rule = Callable[[Any, Any], Any]

EXPONENTS = range(1, 13)
POINTS = tuple(Fraction(*pair) for pair in ((-7, 3), (-1, 1), (-2, 5), (1, 1000), (3, 4), (9, 2)))
ROOTS = (Fraction(1, 2), Fraction(3, 4), Fraction(3, 2), Fraction(5, 1))
NUMERATORS, DENOMINATORS = (-5, -3, -1, 1, 3, 5, 7), (2, 4, 8)
"""Denominators are powers of two: p/q and p/q - 1 are exact in float64, and so is s^q."""
REAL_EXPONENTS = (-3.0, -1.5, -0.7, 0.3, 0.5, 1.0, 2.0, 3.14159, 5.0)
REAL_POINTS = np.array([0.7, 0.9, 1.1, 1.6])
U = 2.0**-53


def power_rule(n: Any, x: Any) -> Any:
    """Return n x^(n-1), as the circuits' power gate has it."""
    return power.rules[0](1, None, x, n)


def measure(settings: Settings, rule: Rule = power_rule) -> Evidence:
    """Take the limits of exact quotients, then compare the rule with differences in float64."""
    return Evidence((_whole(rule), _negative(rule), _fractional(rule), _real(rule, settings)))


def _quotient(n: int, x: Fraction, h: Fraction) -> Fraction:
    return ((x + h) ** n - x**n) / h


def _limit(polynomial: Callable[[Fraction], Fraction], degree: int) -> Fraction:
    """Return p(0) of a polynomial from its values elsewhere."""
    h = [Fraction(1, i + 2) for i in range(degree + 1)]
    return sum(
        (polynomial(h_i) * prod(h_j / (h_j - h_i) for h_j in h if h_j != h_i) for h_i in h),
        Fraction(0),
    )


def _binomial(n: int, x: Fraction, h: Fraction) -> Fraction:
    """Return what q(h) keeps beside its limit: sum_{k=2..n} C(n,k) x^(n-k) h^(k-1)."""
    terms = (comb(n, k) * x ** (n - k) * h ** (k - 1) for k in range(2, n + 1))
    return sum(terms, Fraction(0))


def _whole(rule: Rule) -> Finding:
    """Whole n: the limit, and what the quotient at a step keeps beside it."""
    pairs = [(n, x) for n in EXPONENTS for x in POINTS]
    h = Fraction(1, 1000)

    def limit(n: int, x: Fraction) -> Fraction:
        return _limit(lambda t: _quotient(n, x, t), n - 1)

    limits = sum(limit(n, x) == rule(n, x) for n, x in pairs)
    rests = sum(_quotient(n, x, h) - rule(n, x) == _binomial(n, x, h) for n, x in pairs)
    return Finding(
        "n = {first} to {last} at {points} points, in fractions: {limits} of {pairs} limits are "
        "n x^(n-1), and {rests} of {pairs} quotients at h = {h} keep beside it exactly the terms "
        "of the binomial theorem that have a factor h",
        limits == rests == len(pairs),
        {
            "first": EXPONENTS[0],
            "last": EXPONENTS[-1],
            "points": len(POINTS),
            "pairs": len(pairs),
            "limits": limits,
            "rests": rests,
            "h": str(h),
        },
    )


def _negative(rule: Rule) -> Finding:
    """Negative n: the limit of q(h) x^n (x+h)^n, divided by x^(2n)."""
    pairs = [(n, x) for n in EXPONENTS for x in POINTS]

    def limit(n: int, x: Fraction) -> Fraction:
        cleared = _limit(lambda h: _quotient(-n, x, h) * (x * (x + h)) ** n, n - 1)
        return cleared / x ** (2 * n)

    limits = sum(limit(n, x) == rule(-n, x) for n, x in pairs)
    return Finding(
        "n = {first} to {last} likewise: {limits} of {pairs} limits are n x^(n-1)",
        limits == len(pairs),
        {"first": -EXPONENTS[0], "last": -EXPONENTS[-1], "limits": limits, "pairs": len(pairs)},
    )


def _fractional(rule: Rule) -> Finding:
    """Exponents p/q: the rule in float64 against the exact limit.

    Its power is within one unit in the last place, its product within half of one, and the limit
    is rounded once to be compared: 2 u + u + u.
    """
    worst, cases = 0.0, 0
    for p in NUMERATORS:
        for q in DENOMINATORS:
            for s in ROOTS:
                limit = float(_limit_in_roots(p, q, s))
                found = float(rule(p / q, float(s**q)))
                worst = max(worst, abs(found - limit) / (4 * U * abs(limit)))
                cases += 1
    return Finding(
        "n = p/q, p = {least} to {most}, q = 2, 4, 8, at x = s^q: n x^(n-1) in float64 deviates "
        "from the {cases} exact limits by at most {worst} of what its rounding allows",
        worst <= 1,
        {"least": min(NUMERATORS), "most": max(NUMERATORS), "cases": cases},
        {"worst": worst},
    )


def _limit_in_roots(p: int, q: int, s: Fraction) -> Fraction:
    """Return the limit of ((s+k)^p - s^p) / ((s+k)^q - s^q) at k = 0."""
    if p > 0:
        rise = _limit(lambda k: _quotient(p, s, k), p - 1)
    else:
        cleared = _limit(lambda k: _quotient(p, s, k) * (s * (s + k)) ** -p, -p - 1)
        rise = cleared / s ** (-2 * p)
    return rise / _limit(lambda k: _quotient(q, s, k), q - 1)


def _real(rule: Rule, settings: Settings) -> Finding:
    def outcome(n: float) -> Outcome:
        return check_gradient(
            lambda x: np.sum(x**n),
            lambda x: np.asarray(rule(n, x)),
            REAL_POINTS,
            seed=settings.seed,
        )

    outcomes = [outcome(n) for n in REAL_EXPONENTS]
    found = told(outcomes)
    return Finding(
        "n = {exponents} in float64: {n} derivatives deviate from differences with error bounds "
        "by at most {worst} of their allowance; a relative error of {seen} would have been seen",
        found.passed,
        {"exponents": ", ".join(f"{n:g}" for n in REAL_EXPONENTS), "n": found.n},
        {"worst": found.worst, "seen": found.seen},
    )


CLAIM = Claim(
    id="C2",
    title="Power rule from the difference quotient",
    statement="Power rule: d/dx x^n = n x^(n-1), derived from the difference quotient",
    how="the quotient in exact fractions, its limit taken exactly, for positive, negative and "
    "fractional n; real n against differences with error bounds",
    source="Newton 1669; the derivation by the binomial theorem is in every calculus text",
    measure=measure,
)
