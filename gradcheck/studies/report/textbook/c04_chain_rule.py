r"""C4: the chain rule (F(g(x)))' = F'(g(x)) g'(x).

For polynomials it can be shown without error: with whole coefficients the composite is multiplied
out and differentiated term by term, and its coefficients are compared with those of the product
F'(g(x)) g'(x). All other functions are compared with differences of the composite.

A composite of several functions f_1(f_2(...f_n(x))) has the derivative

    f_1'(x_1) f_2'(x_2) ... f_n'(x_n),   x_n = x,   x_{i-1} = f_i(x_i).
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradcheck.checks.gradient import check_gradient
from gradcheck.outcomes.outcome import Outcome
from gradcheck.splitmix64 import Stream
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
from gradcheck.studies.report.textbook.witness import told
from reference_models.activations import sigmoid, sigmoid_prime, softplus


class Function(NamedTuple):
    """A function with its local derivative.

    Attributes:
        name: how it is written.
        value: f.
        slope: f'.
    """

    name: str
    value: Callable[[Any], Any]
    slope: Callable[[Any], Any]


FUNCTIONS = (
    Function("sigmoid", sigmoid, sigmoid_prime),
    Function("softplus", softplus, sigmoid),
    Function("tanh", np.tanh, lambda x: 1 / np.cosh(x) ** 2),
    Function("sin", np.sin, np.cos),
    Function("exp(-x)", lambda x: np.exp(-x), lambda x: -np.exp(-x)),
    Function("x^3", lambda x: x**3, lambda x: 3 * x**2),
)
POINTS = np.array([-0.9, 0.4, 1.2])
DEGREE, COEFFICIENT = 4, 9
POLYNOMIALS = 100

ChainRule = Callable[[Sequence[Function], Any], Any]
Coefficients = list[int]


def chain_rule(functions: Sequence[Function], x: Any) -> Any:
    """Multiply the local derivatives of f_1(f_2(...f_n(x))), each at the point it stands at."""
    product = 1
    for f in reversed(functions):
        product, x = product * f.slope(x), f.value(x)
    return product


def measure(settings: Settings, rule: ChainRule = chain_rule) -> Evidence:
    """Compare polynomials exactly; pairs and triples of functions with differences."""
    pairs = list(itertools.product(FUNCTIONS, repeat=2))
    triples = list(itertools.permutations(FUNCTIONS, 3))[::4]
    return Evidence(
        (
            _polynomials(rule, settings.seed),
            _against_differences("F(g(x))", pairs, rule, settings.seed),
            _against_differences("F(g(h(x)))", triples, rule, settings.seed),
        )
    )


# --- polynomials ----------------------------------------------------------------------------------


class Polynomial:
    """A polynomial with whole coefficients a_0, a_1, ...; exact."""

    def __init__(self, coefficients: Sequence[int]) -> None:
        self.a = [int(a) for a in coefficients]

    def __mul__(self, other: Polynomial | int) -> Polynomial:
        """Multiply out."""
        b = other.a if isinstance(other, Polynomial) else [other]
        product = [0] * (len(self.a) + len(b) - 1)
        for (i, a_i), (j, b_j) in itertools.product(enumerate(self.a), enumerate(b)):
            product[i + j] += a_i * b_j
        return Polynomial(product)

    __rmul__ = __mul__

    def __add__(self, constant: int) -> Polynomial:
        """Add a constant."""
        return Polynomial([self.a[0] + constant, *self.a[1:]])

    def __call__(self, x: Polynomial) -> Polynomial:
        """Return the composite, by Horner's scheme."""
        value = Polynomial([0])
        for a in reversed(self.a):
            value = value * x + a
        return value

    def derivative(self) -> Polynomial:
        """Differentiate term by term."""
        return Polynomial([i * a for i, a in enumerate(self.a)][1:])

    def trimmed(self) -> Coefficients:
        """Return the coefficients without zeros at the end."""
        n = max((i for i, a in enumerate(self.a) if a), default=-1)
        return self.a[: n + 1]

    def as_function(self) -> Function:
        """Return it with its local derivative."""
        return Function(f"polynomial {self.a}", self, self.derivative())


def _polynomials(rule: ChainRule, seed: int) -> Finding:
    stream = Stream(seed, "polynomials")
    x = Polynomial([0, 1])
    equal = 0
    for _ in range(POLYNOMIALS):
        F, g = (
            Polynomial(stream.integers(-COEFFICIENT, COEFFICIENT + 1, DEGREE + 1).tolist())
            for _ in range(2)
        )
        by_rule = rule([F.as_function(), g.as_function()], x)
        equal += F(g(x)).derivative().trimmed() == by_rule.trimmed()
    return Finding(
        "{n} pairs of random polynomials of degree {degree} with whole coefficients: {equal} "
        "derivatives of the composite, multiplied out, have exactly the coefficients of "
        "F'(g(x)) g'(x)",
        equal == POLYNOMIALS,
        {"n": POLYNOMIALS, "degree": DEGREE, "equal": equal},
    )


# --- differences ----------------------------------------------------------------------------------


def _against_differences(
    form: str, composites: Sequence[Sequence[Function]], rule: ChainRule, seed: int
) -> Finding:
    found = told(_checked(functions, rule, seed) for functions in composites)
    return Finding(
        "{composites} composites {form} of {names} at {points} points: {n} derivatives deviate "
        "from differences with error bounds by at most {worst} of their allowance; a relative "
        "error of {seen} would have been seen",
        found.passed,
        {
            "composites": len(composites),
            "form": form,
            "names": ", ".join(f.name for f in FUNCTIONS),
            "points": len(POINTS),
            "n": found.n,
        },
        {"worst": found.worst, "seen": found.seen},
    )


def _checked(functions: Sequence[Function], rule: ChainRule, seed: int) -> Outcome:
    def composite(x: npt.NDArray[np.float64]) -> Any:
        for f in reversed(functions):
            x = f.value(x)
        return np.sum(x)

    return check_gradient(composite, lambda x: np.asarray(rule(functions, x)), POINTS, seed=seed)


CLAIM = Claim(
    id="C4",
    title="Chain rule for a composite",
    statement="Chain rule for a composite: (F(g(x)))' = F'(g(x)) g'(x)",
    how="polynomials multiplied out and differentiated term by term, exactly; pairs and triples of "
    "other functions against differences of the composite",
    source="Goodfellow, Bengio and Courville 2016, section 6.5.2",
    measure=measure,
)
