"""Factors of a loss, terms that are added to it, and what they are called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.arrays import Float64Array
from gradcheck.forward.networks import USUAL
from gradcheck.forward.values import gamma

if TYPE_CHECKING:
    from gradcheck.problem import Problem


@dataclass(frozen=True)
class Sizes:
    """What factors are made of: m examples, n_L outputs, n_0 inputs, L layers."""

    m: int
    n: int
    inputs: int
    depth: int

    @classmethod
    def of(cls, problem: Problem) -> Sizes:
        """Read them from a problem."""
        sizes = problem.architecture.sizes
        return cls(problem.batch, sizes[-1], sizes[0], len(sizes) - 1)


@dataclass(frozen=True)
class Scale:
    """A factor of the loss.

    Attributes:
        value: by the sizes.
        mean, total: what is said of it where a mean, or a sum, over the examples is meant.
    """

    value: Callable[[Sizes], float]
    mean: str
    total: str

    def says(self, reduction: str) -> str:
        """Say it in a clause."""
        return self.mean if reduction == "mean" else self.total


def _times(what: str, value: Callable[[Sizes], float], mean: str = "", total: str = "") -> Scale:
    told = f"the loss is {what} times the one that is meant"
    return Scale(value, mean or told, total or told)


SUM = "the loss is a sum where a mean is meant: it is m times the one that is meant"
MEAN = "the loss is a mean where a sum is meant: it is 1/m times the one that is meant"
OUTPUTS_TOO = "the loss is divided by m n_L, not by m"
ALL_ELEMENTS = "the loss is a mean over all m n_L elements where a sum is meant"
OUTPUTS_ALONE = "the loss is divided by n_L"
M_LESS_1 = "the loss is divided by m - 1, not by m"

SCALES: dict[str, Scale] = {
    USUAL: Scale(lambda _: 1.0, "", ""),
    "2": _times("2", lambda _: 2.0),
    "1/2": _times("1/2", lambda _: 0.5),
    "-1": _times("-1", lambda _: -1.0),
    "4": _times("4", lambda _: 4.0),
    "1/4": _times("1/4", lambda _: 0.25),
    "log 2": Scale(lambda _: 1 / np.log(2), *2 * ["the loss has logarithms to the base 2"]),
    "log 10": Scale(lambda _: 1 / np.log(10), *2 * ["the loss has logarithms to the base 10"]),
    "m": _times("m", lambda s: s.m, mean=SUM),
    "1/m": _times("1/m", lambda s: 1 / s.m, "the loss is divided by m twice", MEAN),
    "1/n": _times("1/n_L", lambda s: 1 / s.n, OUTPUTS_TOO, OUTPUTS_ALONE),
    "n": _times("n_L", lambda s: s.n),
    "1/mn": _times("1/(m n_L)", lambda s: 1 / (s.m * s.n), total=ALL_ELEMENTS),
    "mn": _times("m n_L", lambda s: s.m * s.n),
    "m/n": _times("m/n_L", lambda s: s.m / s.n, "the loss is divided by n_L, not by m"),
    "m/(m-1)": _times("m/(m - 1)", lambda s: s.m / (s.m - 1) if s.m > 1 else np.inf, mean=M_LESS_1),
    "1/(m-1)": _times("1/(m - 1)", lambda s: 1 / (s.m - 1) if s.m > 1 else np.inf),
    "1/inputs": _times("1/n_0", lambda s: 1 / s.inputs),
    "m/inputs": _times("m/n_0", lambda s: s.m / s.inputs, "the loss is divided by n_0, not by m"),
    "inputs": _times("n_0", lambda s: s.inputs),
    "m inputs": _times("m n_0", lambda s: s.m * s.inputs),
    "1/L": _times("1/L", lambda s: 1 / s.depth),
    "1/2m": _times("1/(2 m)", lambda s: 0.5 / s.m),
    "1/2n": _times("1/(2 n_L)", lambda s: 0.5 / s.n, "the loss is divided by 2 m n_L, not by m"),
    "2/n": _times("2/n_L", lambda s: 2 / s.n),
    "1/2mn": _times("1/(2 m n_L)", lambda s: 0.5 / (s.m * s.n)),
    "2/m": _times("2/m", lambda s: 2 / s.m),
    "2m": _times("2 m", lambda s: 2 * s.m),
    "m/2": _times("m/2", lambda s: s.m / 2),
    "-m": _times("-m", lambda s: -s.m),
    "-1/m": _times("-1/m", lambda s: -1 / s.m),
    "-1/n": _times("-1/n_L", lambda s: -1 / s.n),
}


def fitted_scale(key: str, low: float, high: float) -> str:
    """Say that a loss is c times one whose factor has a name."""
    c = plain_number(low, high)
    what = c if not key else f"{c} {key.replace('n', 'n_L')}"
    return f"the loss is {what} times the one that is meant"


FREE = (USUAL, "m", "1/m", "1/n", "1/mn")
"""Factors that another one, which is fitted, may stand beside."""

BESIDE_TERMS = (USUAL, "2", "1/2", "4", "-1", "m", "1/m", "1/n", "1/mn", "m/(m-1)", "2/n")
"""Factors that a term may stand beside."""


@dataclass(frozen=True)
class Term:
    """Something that is added to the loss, times a fitted number.

    Attributes:
        value: what is multiplied.
        says: what it is called, after the number.
        halves: the number is told as twice itself, over 2.
        is_constant: it does not depend on the parameters.
    """

    value: Callable[[Problem], float]
    says: str
    halves: bool = False
    is_constant: bool = False

    def told(self, low: float, high: float) -> str:
        """Say it, the number being in an interval."""
        if self.is_constant:
            told = f"{plain_number(low, high)} {self.says}".strip()
            return f"a constant, {told}, is added to the loss"
        c = f"{plain_number(2 * low, 2 * high)}/2" if self.halves else plain_number(low, high)
        return f"the loss has a term {c} {self.says}"


def _squares(problem: Problem) -> float:
    return sum(float(np.sum(np.asarray(W, np.float64) ** 2)) for W in problem.weights)


def _all_squares(problem: Problem) -> float:
    arrays = problem.biases
    return _squares(problem) + sum(float(np.sum(np.asarray(b, np.float64) ** 2)) for b in arrays)


def _sizes_of(problem: Problem) -> float:
    return sum(float(np.sum(np.abs(np.asarray(W, np.float64)))) for W in problem.weights)


def _norms(problem: Problem) -> float:
    return sum(float(np.sqrt(np.sum(np.asarray(W, np.float64) ** 2))) for W in problem.weights)


def _means(problem: Problem) -> float:
    return sum(float(np.mean(np.asarray(W, np.float64) ** 2)) for W in problem.weights)


def _without_first(problem: Problem) -> float:
    return sum(float(np.sum(np.asarray(W, np.float64)[:, 1:] ** 2)) for W in problem.weights)


def _last_squares(problem: Problem) -> float:
    return float(np.sum(np.asarray(problem.weights[-1], np.float64) ** 2))


def _first_squares(problem: Problem) -> float:
    return float(np.sum(np.asarray(problem.weights[0], np.float64) ** 2))


TERMS: tuple[Term, ...] = (
    Term(_squares, "sum W^2", halves=True),
    Term(lambda p: _squares(p) / p.batch, "sum W^2 / m", halves=True),
    Term(_all_squares, "sum of W^2 and b^2", halves=True),
    Term(lambda p: _all_squares(p) / p.batch, "sum of W^2 and b^2, / m", halves=True),
    Term(_sizes_of, "sum |W|"),
    Term(lambda p: _sizes_of(p) / p.batch, "sum |W| / m"),
    Term(_norms, "sum of the norms of W_l"),
    Term(_means, "sum of the means of W_l^2", halves=True),
    Term(_without_first, "sum W^2 without the first column of W_l", halves=True),
    Term(
        lambda p: _without_first(p) / p.batch,
        "sum W^2 / m without the first column of W_l",
        halves=True,
    ),
    Term(_last_squares, "sum W_L^2", halves=True),
    Term(_first_squares, "sum W_1^2", halves=True),
    Term(lambda _: 1.0, "", is_constant=True),
    Term(lambda p: float(p.batch), "m", is_constant=True),
)


def term_error(problem: Problem, value: float, u: float) -> float:
    """Bound what rounding does to a term: a sum of as many terms as there are parameters."""
    return 2 * gamma(problem.architecture.n_parameters + 8, u) * abs(value)


def plain_number(low: float, high: float) -> str:
    """Return the simplest number of an interval: a small fraction, else the fewest digits.

    >>> plain_number(0.3333333333333, 0.3333333333334), plain_number(0.0099999, 0.0100001)
    ('1/3', '0.01')
    """
    told = shortest(low, high)
    simple = Fraction((low + high) / 2).limit_denominator(16)
    is_long = len(told.strip("-0.").partition("e")[0]) > 4
    return str(simple) if is_long and simple and low <= float(simple) <= high else told


def shortest(low: float, high: float) -> str:
    """Return the decimals of an interval with the fewest digits.

    >>> shortest(0.0099999, 0.0100001)
    '0.01'
    """
    middle = (low + high) / 2
    every = (f"{middle:.{digits}g}" for digits in range(1, 17))
    return next((told for told in every if low <= float(told) <= high), f"{middle:.17g}")


def reduced(problem: Problem, total: Float64Array) -> Float64Array:
    """Return what is meant of a sum over all examples: the sum, or the mean."""
    return total / problem.batch if problem.architecture.reduction == "mean" else total
