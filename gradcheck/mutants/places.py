"""Places where some mistakes show, as predicates over problems; n_l are the widths, a_0 = X."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from gradcheck.mutants.backprop import Backprop
from gradcheck.problem import Problem

Predicate = Callable[[Problem], bool]


def widths(problem: Problem) -> tuple[int, ...]:
    """n_0, n_1, ..., n_L."""
    return problem.architecture.sizes


def has_square_layer(problem: Problem) -> bool:
    """Some W_l has as many rows as columns, two at least."""
    return any_square(widths(problem))


def has_square_upper_layer(problem: Problem) -> bool:
    """The same among l = 2..L."""
    return any_square(widths(problem)[1:])


def any_square(sizes: Sequence[int]) -> bool:
    """Whether two neighbours are equal, and not 1."""
    return any(n == before > 1 for before, n in pairwise(sizes))


def has_equal_neighbours(problem: Problem) -> bool:
    """Some layers l and l+1, l >= 1, are equally wide."""
    return any(n == before for before, n in pairwise(widths(problem)[1:]))


def has_equal_hidden_neighbours(problem: Problem) -> bool:
    """Some hidden layers l and l+1 are equally wide."""
    return any(n == before for before, n in pairwise(widths(problem)[1:-1]))


def has_width(fits: Callable[[int], bool], first: int = 1) -> Predicate:
    """Some n_l, l >= first, fits."""

    def predicate(problem: Problem) -> bool:
        return any(map(fits, widths(problem)[first:]))

    return predicate


def has_hidden_width(fits: Callable[[int], bool]) -> Predicate:
    """Some hidden n_l fits."""

    def predicate(problem: Problem) -> bool:
        return any(map(fits, widths(problem)[1:-1]))

    return predicate


def has_fan_in(fits: Callable[[int], bool], first: int = 1) -> Predicate:
    """Some n_{l-1}, l >= first, fits."""

    def predicate(problem: Problem) -> bool:
        return any(map(fits, widths(problem)[first - 1 : -1]))

    return predicate


def batch_of(fits: Callable[[int], bool]) -> Predicate:
    """The number of examples fits."""

    def predicate(problem: Problem) -> bool:
        return fits(problem.batch)

    return predicate


def pre_activations(problem: Problem) -> dict[int, np.ndarray]:
    """z_1, ..., z_L."""
    engine = Backprop()
    with np.errstate(all="ignore"):
        engine.forward(problem)
    return engine.z


def hidden_beyond(limit: float) -> Predicate:
    """Some hidden |z| is larger than the limit."""

    def predicate(problem: Problem) -> bool:
        hidden = list(pre_activations(problem).values())[:-1]
        return any(bool(np.any(np.abs(z) > limit)) for z in hidden)

    return predicate


def output_beyond(limit: float) -> Predicate:
    """Some |z_L| is larger than the limit."""

    def predicate(problem: Problem) -> bool:
        z = pre_activations(problem)[problem.architecture.depth]
        return bool(np.any(np.abs(z) > limit))

    return predicate


def has_duplicates(problem: Problem) -> bool:
    """Two examples are equal, targets and all."""
    examples = np.hstack([problem.inputs, problem.targets])
    return len(np.unique(examples, axis=0)) < len(examples)


def has_soft_targets(problem: Problem) -> bool:
    """Some target is neither 0 nor 1."""
    return bool(np.any((problem.targets > 0) & (problem.targets < 1)))


def targets_differ(problem: Problem) -> bool:
    """The examples do not all have the same targets."""
    return bool(np.any(problem.targets != problem.targets[0]))
