r"""Finds the forward pass that gives an engine's losses.

Symbols: C the engine's loss of a problem, V a sum over examples and outputs that a candidate gives,
E its bound, M the number of examples, or 1 where a sum is meant, s a factor by the sizes of the
problem (scales.py), T a term.

    C = s V / M                 |C - s V / M| <= s E / M
    C = c s V / M               c between C M / (s (V + E)) and C M / (s (V - E))
    C = s V / M + lambda T      lambda between (C - s V / M - s E / M) / T and (... + s E / M) / T

on every problem; c and lambda in the intersection of the intervals of all of them. The whole
library is tried on three problems, and what is left on all others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Float64Array, IntArray
from gradcheck.forward.heads import HEADS, SIGMOID, Head, with_epsilons
from gradcheck.forward.networks import NETWORKS, USUAL, Network
from gradcheck.forward.probes import AT_ONCE, Answer
from gradcheck.forward.scales import (
    BESIDE_TERMS,
    FREE,
    SCALES,
    TERMS,
    Sizes,
    Term,
    fitted_scale,
    shortest,
    term_error,
)
from gradcheck.forward.tables import evaluated, may_be_meant, table, unit
from gradcheck.forward.values import K_FUNCTIONS
from gradcheck.problem import Problem

FACTOR, CONSTANT, TERM, FORM = "factor", "constant", "term", "form"
"""A factor or a constant leaves the loss as it is, a term is added to it; a form is another
function of the same outputs."""

NETWORK, UNKNOWN = "network", "unknown"
"""Other outputs."""

FEWEST = 2
"""So many problems, and one more where a number is fitted, must show that the loss is another one:
one number alone is explained by anything."""

FEW = 2
"""So many departures a fitted number may stand beside."""

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Candidate:
    """A forward pass, a factor and a term, by what they are."""

    network: Network
    head: Head
    scale: str = USUAL
    is_fitted: bool = False
    term: Term | None = None

    def departures(self, loss: str) -> int:
        """Count what is not as it is meant."""
        added = 2 * self.is_fitted + bool(self.scale) + (self.term is not None)
        return self.network.departures + self.head.departures(loss) + added


@dataclass(frozen=True)
class Found:
    """A candidate that gives the engine's loss everywhere, with the interval of what was fitted."""

    candidate: Candidate
    low: float
    high: float
    loss: str
    reduction: str

    def error(self, problem: Problem) -> float:
        """Return the bound of what rounding does to it; terms err by less than they are told."""
        c = self.candidate
        _, error = evaluated(problem, c.network, c.head)
        s = SCALES[c.scale].value(Sizes.of(problem)) * (self.high if c.is_fitted else 1.0)
        T = 0.0 if c.term is None else self.high * c.term.value(problem)
        found = abs(s) * float(error) + term_error(problem, T, unit(problem))
        return found if np.isfinite(found) else np.inf

    @property
    def is_fitted(self) -> bool:
        """Whether a number was fitted."""
        return self.candidate.is_fitted or self.candidate.term is not None

    @property
    def kind(self) -> str:
        """Say what kind of another loss it is."""
        c = self.candidate
        if c.network != Network() or c.head.output != SIGMOID:
            return NETWORK
        if c.head.departures(self.loss):
            return CONSTANT if c.head.form == "kl" else FORM
        if c.term is not None:
            return CONSTANT if c.term.is_constant else TERM
        return FACTOR

    @property
    def says(self) -> str:
        """Say what it is, in a clause."""
        c = self.candidate
        parts = [*c.network.says, *c.head.says(self.loss)]
        is_one = not c.scale and self.low <= 1 <= self.high
        if c.is_fitted and not is_one:
            parts.append(fitted_scale(c.scale, self.low, self.high))
        elif c.scale and not c.is_fitted:
            parts.append(SCALES[c.scale].says(self.reduction))
        if c.term is not None:
            parts.append(c.term.told(self.low, self.high))
        return " and ".join(parts)


def explained(answers: Sequence[Answer], loss: str) -> Found | None:
    """Return the one candidate nearest to what is meant that gives every answer."""
    most = most_of(answers)
    heads = _heads_within(most)
    pruning = [a for a in answers if not a.z][:AT_ONCE]
    if not pruning:
        return None
    cells = Cells.of(pruning, heads)
    least = 0 if most is None else 1  # what is bounded is not the loss that is meant
    nearest = _nearest(_scaled(cells, pruning), answers, loss, least)
    if not nearest or nearest[0].candidate.departures(loss) > 1:
        simple = cells.simple(loss)
        more = [*_factored(simple, pruning), *_added(simple, pruning)]
        nearest = _nearest([*(f.candidate for f in nearest), *more], answers, loss, least)
    if not nearest or nearest[0].candidate.departures(loss) == 0:
        return None
    if most is None and len(_telling(answers)) < (nearest[0].is_fitted + FEWEST):
        return None
    accurate = [found for found in nearest if _fits(found.candidate, answers, floor=0.0)]
    first, *others = accurate or nearest
    return None if any(_may_not_be(first, other, answers) for other in others) else first


def _may_not_be(found: Found, other: Found, answers: Sequence[Answer]) -> bool:
    """Whether another candidate that is as near speaks against the first one.

    It is another function, or another network that the loss does not tell apart, which a single
    layer never does.
    """
    is_deep = any(answer.problem.architecture.depth > 1 for answer in answers)
    is_another = is_deep and found.candidate.network != other.candidate.network
    return is_another or _differ(found, other, answers)


def _nearest(
    left: Iterable[Candidate], answers: Sequence[Answer], loss: str, least: int
) -> list[Found]:
    """Return the candidates with the fewest departures, but so many, that give every answer."""
    nearest: list[Found] = []
    apart = ((candidate.departures(loss), candidate) for candidate in left)
    for _, candidate in sorted((c for c in apart if c[0] >= least), key=lambda c: c[0]):
        if nearest and candidate.departures(loss) > nearest[0].candidate.departures(loss):
            break
        found = _fits(candidate, answers)
        if found is not None:
            nearest.append(found)
    return nearest


def _telling(answers: Sequence[Answer]) -> list[Answer]:
    """Return the answers that are not the loss that is meant, for certain."""
    return [answer for answer in answers if not may_be_meant(answer)]


def _heads_within(most: tuple[float, float] | None) -> tuple[Head, ...]:
    """Return the heads that bound -log p as the engine does, that of the fitted epsilon first."""
    if most is None:
        return tuple(head for head in HEADS if head.bound is None)
    low, high = most
    fitted = with_epsilons([float(shortest(float(np.exp(-high)), float(np.exp(-low))))])
    return (*fitted, *(h for h in HEADS if h.bound is None or low <= h.bound <= high))


@dataclass(frozen=True)
class Cells:
    """Pairs of a head and a network, and what they give on a few problems.

    Attributes:
        heads: what `head` counts.
        head, network: which they are.
        values, errors: V / M and its bound, one row a problem, one column a pair.
    """

    heads: Sequence[Head]
    head: IntArray
    network: IntArray
    values: Float64Array
    errors: Float64Array

    @classmethod
    def of(cls, answers: Sequence[Answer], heads: Sequence[Head]) -> Cells:
        """Return all pairs."""
        tables = [table(answer.problem, heads) for answer in answers]
        head, network = np.divmod(np.arange(len(heads) * len(NETWORKS)), len(NETWORKS))
        values, errors = (np.array(each) for each in zip(*tables, strict=True))
        return cls(heads, head, network, values, errors)

    def only(self, chosen: IntArray | Mask) -> Cells:
        """Return some of them."""
        return Cells(
            self.heads,
            self.head[chosen],
            self.network[chosen],
            self.values[:, chosen],
            self.errors[:, chosen],
        )

    def simple(self, loss: str) -> Cells:
        """Return those with at most FEW departures from what is meant."""
        of_heads = np.array([head.departures(loss) for head in self.heads])
        of_networks = np.array([network.departures for network in NETWORKS])
        return self.only(of_heads[self.head] + of_networks[self.network] <= FEW)

    def candidates(self, **how: Any) -> Iterator[Candidate]:
        """Yield them as candidates."""
        for head, network in zip(self.head.tolist(), self.network.tolist(), strict=True):
            yield Candidate(NETWORKS[network], self.heads[head], **how)


def _scaled(cells: Cells, answers: Sequence[Answer]) -> Iterator[Candidate]:
    """Yield what gives a few answers with a factor that has a name."""
    for key in SCALES:
        left = cells
        for i, answer in enumerate(answers):
            s = SCALES[key].value(Sizes.of(answer.problem))
            off = np.abs(answer.loss - s * left.values[i])
            left = left.only(np.isfinite(left.values[i]) & (off <= abs(s) * left.errors[i]))
        yield from left.candidates(scale=key)


def _factored(cells: Cells, answers: Sequence[Answer]) -> Iterator[Candidate]:
    """Yield what gives them with a factor that is fitted."""
    for key in FREE:
        bounds = [
            _factor(cells.values[i], cells.errors[i], answer, key)
            for i, answer in enumerate(answers)
        ]
        yield from cells.only(_meet(bounds)).candidates(scale=key, is_fitted=True)


def _added(cells: Cells, answers: Sequence[Answer]) -> Iterator[Candidate]:
    """Yield what gives them with a term, whose weight is fitted."""
    for key in BESIDE_TERMS:
        for term in TERMS:
            bounds = [
                _lambda(cells.values[i], cells.errors[i], answer, key, term)
                for i, answer in enumerate(answers)
            ]
            yield from cells.only(_meet(bounds)).candidates(scale=key, term=term)


def _meet(bounds: Sequence[tuple[Float64Array, Float64Array]]) -> Mask:
    """Whether intervals, one a problem, have a number in common that is not 0."""
    low, high = (np.array(each) for each in zip(*bounds, strict=True))
    below, above = low.max(axis=0), high.min(axis=0)
    narrow = np.isfinite(low) & np.isfinite(high)  # what rounding could turn into anything is not
    found: Mask = (below <= above) & ((below > 0) | (above < 0)) & (narrow.sum(axis=0) >= 2)
    return found


def _factor(
    value: Float64Array, error: Float64Array, answer: Answer, key: str
) -> tuple[Float64Array, Float64Array]:
    """Return the interval of c."""
    s = SCALES[key].value(Sizes.of(answer.problem))
    one, other = answer.loss / (s * (value + error)), answer.loss / (s * (value - error))
    known = np.abs(value) > error
    low = np.where(known, np.minimum(one, other), -np.inf)
    return low, np.where(known, np.maximum(one, other), np.inf)


def _lambda(
    value: Float64Array, error: Float64Array, answer: Answer, key: str, term: Term
) -> tuple[Float64Array, Float64Array]:
    """Return the interval of lambda."""
    s = SCALES[key].value(Sizes.of(answer.problem))
    T = term.value(answer.problem)
    rest = answer.loss - s * value
    relative = term_error(answer.problem, 1.0, unit(answer.problem))
    allowed = abs(s) * error + relative * (np.abs(rest) + abs(answer.loss))
    low, high = (rest - allowed) / T, (rest + allowed) / T
    unknown = np.isnan(low) | np.isnan(high) | (T <= 0)
    return np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high)


def _fits(candidate: Candidate, answers: Sequence[Answer], floor: float = 1.0) -> Found | None:
    """Hold a candidate to all answers; with floor 0, made of a sigmoid of relative accuracy."""
    low, high = -np.inf, np.inf
    network, head, key = candidate.network, candidate.head, candidate.scale
    for answer in answers:
        value, error = evaluated(answer.problem, network, head, floor=floor)
        if np.isnan(value):
            return None
        if candidate.term is not None:
            one, other = _lambda(value, error, answer, key, candidate.term)
        elif candidate.is_fitted:
            one, other = _factor(value, error, answer, key)
        else:
            s = SCALES[key].value(Sizes.of(answer.problem))
            if not abs(answer.loss - s * value) <= abs(s) * error:
                return None
            continue
        low, high = max(low, float(one)), min(high, float(other))
        if not low <= high:
            return None
    network_of = answers[0].problem.architecture
    return Found(candidate, low, high, network_of.loss, network_of.reduction)


def _differ(found: Found, other: Found, answers: Sequence[Answer]) -> bool:
    """Whether two candidates are two functions, which float64 tells apart on some problem."""
    for answer in answers:
        (a, da), (b, db) = (_value(each, answer.problem) for each in (found, other))
        if not abs(a - b) <= da + db and not (np.isinf(a) and a == b):
            return True
    return False


def _value(found: Found, problem: Problem) -> tuple[float, float]:
    c = found.candidate
    value, error = evaluated(problem, c.network, c.head, u=2.0**-53, floor=0.0)
    s = SCALES[c.scale].value(Sizes.of(problem))
    s *= (found.low + found.high) / 2 if c.is_fitted else 1
    doubt = abs(s * float(value)) * (found.high - found.low) if c.is_fitted else 0.0
    if c.term is not None:
        T = c.term.value(problem)
        added = (found.low + found.high) / 2 * T
        return s * float(value) + added, abs(s) * float(error) + (found.high - found.low) * abs(T)
    return s * float(value), abs(s) * float(error) + doubt


def most_of(answers: Sequence[Answer]) -> tuple[float, float] | None:
    """Return what -log p does not exceed, an interval, if losses of saturated units stay the same.

    A logarithm of 4 u relative error, of a sum.
    """
    for sign in (-1, 1):  # 1 - eps is rounded, eps is not
        at = {answer.z: abs(answer.loss) for answer in answers}  # some have the wrong sign
        far, near = at.get(sign * 200.0), at.get(sign * 100.0)
        if far is not None and far == near and 0 < far < 100.5:
            return _about(far, answers)
        nearer = at.get(sign * 60.0)
        if near is not None and near == nearer and 0 < near < 59.5:
            return _about(near, answers)
    return None


def _about(loss: float, answers: Sequence[Answer]) -> tuple[float, float]:
    u = unit(answers[0].problem)
    return loss * (1 - K_FUNCTIONS * u), loss * (1 + K_FUNCTIONS * u)
