"""The losses of many networks, in calls of a library that takes many at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from gradcheck.arrays import Array
from gradcheck.problem import Problem

FEW = 4
"""Fewer networks are evaluated one by one: a call for many costs as much by itself."""

BYTES = 2**20
"""What their parameters, or their activations in one layer, may take: a mebibyte."""

MOST = 64
"""Enough for what a call costs by itself to be shared."""


def networks_at_once(problem: Problem) -> int:
    """Return as many networks of the problem's architecture as one call takes, at least 1.

    Args:
        problem: says layer sizes, batch and dtype.

    >>> from gradcheck.problems.case import Case
    >>> networks_at_once(Case(sizes=(3, 4, 1)).problem())
    64
    >>> networks_at_once(Case(sizes=(100, 97, 1), batch=8).problem())
    13
    """
    network = problem.architecture
    numbers = max(network.n_parameters, problem.batch * max(network.sizes[1:]))
    return max(1, min(MOST, BYTES // (numbers * problem.dtype.itemsize)))


def in_parts(
    problem: Problem,
    stacked: Mapping[str, Array],
    one: Callable[[Problem], float],
    many: Callable[[dict[str, Array]], Any],
) -> Array:
    """Return the losses at many parameters, each one forward pass, in parts of bounded size.

    Args:
        problem: says all but the parameters.
        stacked: arrays by name, W1, b1, ..., WL, bL, with one more leading axis.
        one: computes one loss.
        many: computes those of a part of `stacked`.
    """
    K, part = len(stacked["b1"]), networks_at_once(problem)
    found = np.empty(K, problem.dtype)
    for start in range(0, K, part):
        some = {name: array[start : start + part] for name, array in stacked.items()}
        count = min(part, K - start)
        found[start : start + count] = (
            many(some) if count >= FEW else [one(_network(problem, some, k)) for k in range(count)]
        )
    return found


def _network(problem: Problem, stacked: Mapping[str, Array], k: int) -> Problem:
    return problem.with_parameters({name: array[k] for name, array in stacked.items()})
