"""The library of forward passes, evaluated on a problem."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from gradcheck.arrays import Float64Array
from gradcheck.forward.heads import FORMS, HEADS, SIGMOID, Head, targets_of
from gradcheck.forward.networks import NETWORKS, Network, last
from gradcheck.forward.probes import Answer
from gradcheck.forward.scales import reduced
from gradcheck.problem import Problem

MANY = 512
MOST = 24
"""So many tables are remembered, of 2 MB each."""


def unit(problem: Problem) -> float:
    """Return u of a problem's dtype."""
    return float(np.finfo(problem.dtype).eps) / 2


def evaluated(
    problem: Problem, network: Network, head: Head, *, u: float | None = None, floor: float = 1.0
) -> tuple[Float64Array, Float64Array]:
    """Return V / M of one candidate, with its bound; with floor 0, of an accurate sigmoid."""
    u = unit(problem) if u is None else u
    value, error = head.of(last(problem, network, u), targets_of(problem), u, floor)
    return reduced(problem, value.reshape(())), reduced(problem, error.reshape(()))


def may_be_meant(answer: Answer) -> bool:
    """Whether an engine's loss is the one that is meant, within the rounding of any form."""
    value, error = meant_by(answer.problem)
    return bool(abs(answer.loss - value) <= error)


def meant_by(problem: Problem) -> tuple[float, float]:
    """Return the loss that is meant, with the bound of an engine that declares nothing."""
    return _tables().meant(problem)


class Tables:
    """What all pairs of a head and a network give, for the problems that everybody is asked."""

    def __init__(self) -> None:
        self._last: dict[int, tuple[Problem, Float64Array, Float64Array]] = {}
        self._known: dict[tuple[int, int], tuple[Problem, Float64Array, Float64Array]] = {}
        self._meant: dict[int, tuple[Problem, float, float]] = {}

    def meant(self, problem: Problem) -> tuple[float, float]:
        """Return the loss that is meant, with its bound."""
        known = self._meant.get(id(problem))
        if known is None or known[0] is not problem:
            if len(self._meant) >= MANY:
                self._meant.clear()
            loss = problem.architecture.loss
            value, error = evaluated(problem, Network(), Head(SIGMOID, loss, FORMS[loss].terms))
            known = self._meant[id(problem)] = problem, float(value), float(error)
        return known[1:]

    def of(self, problem: Problem, heads: tuple[Head, ...]) -> tuple[Float64Array, Float64Array]:
        """Return V / M and its bound, network by network for each head."""
        key = id(problem), id(heads)
        known = self._known.get(key)
        if known is None or known[0] is not problem:
            if len(self._known) >= MOST:
                self._last.clear()
                self._known.clear()
            known = self._known[key] = problem, *self._evaluated(problem, heads)
        return known[1:]

    def _evaluated(
        self, problem: Problem, heads: tuple[Head, ...]
    ) -> tuple[Float64Array, Float64Array]:
        z, d = self._networks(problem)
        y, u = targets_of(problem), unit(problem)
        rows = [head.of((z, d), y, u) for head in heads]
        values, errors = (np.concatenate(each) for each in zip(*rows, strict=True))
        return reduced(problem, values), reduced(problem, errors)

    def _networks(self, problem: Problem) -> tuple[Float64Array, Float64Array]:
        known = self._last.get(id(problem))
        if known is None or known[0] is not problem:
            found = [last(problem, network, unit(problem)) for network in NETWORKS]
            z, d = (np.array(each) for each in zip(*found, strict=True))
            known = self._last[id(problem)] = problem, z, d
        return known[1:]


@lru_cache(maxsize=1)
def _tables() -> Tables:
    return Tables()


def table(problem: Problem, heads: Sequence[Head]) -> tuple[Float64Array, Float64Array]:
    """Return V / M and its bound for all pairs of a head and a network."""
    fixed, n = _tables().of(problem, HEADS), len(NETWORKS)
    place = {id(head): i for i, head in enumerate(HEADS)}
    fresh = tuple(head for head in heads if id(head) not in place)
    kept = [place[id(head)] for head in heads if id(head) in place]
    rows = [each.reshape(-1, n)[kept].reshape(-1) for each in fixed]
    if not fresh:
        return rows[0], rows[1]
    more = Tables().of(problem, fresh)
    return np.concatenate([more[0], rows[0]]), np.concatenate([more[1], rows[1]])
