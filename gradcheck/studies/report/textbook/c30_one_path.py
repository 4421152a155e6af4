"""C30: one of several ways to a weight.

With d the local derivatives on the edges of a path (`reference_models.paths`),

    dC/dv = sum over all paths v -> ... -> C of the product of d along the path.

In 3-2-1 one path leads from each weight to the loss, and any choice is the sum. Where a layer above
has several neurons there are several, and the product along one is another number. All is in
rational arithmetic: an inequality is no rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np

from gradcheck.problems.case import Case
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from reference_models.paths import Graph, derivatives, neurons, paths

ONE_OUTPUT, SEVERAL = (3, 2, 1), ((3, 2, 2), (3, 2, 3, 1))
DRAWS = 5

ByChoice = Callable[[Graph, str], Any]


def by_one_path(graph: Graph, v: str) -> Any:
    """Return the product along the first path from v."""
    return next(iter(paths(graph, v))).product()


def measure(
    settings: Settings,
    by_choice: ByChoice = by_one_path,
    recursion: Callable[[Graph], dict[str, Any]] = derivatives,
) -> Evidence:
    """Compare the product along one path with the derivative."""
    return Evidence(
        (
            _single(settings.seed, by_choice, recursion),
            *(_several(sizes, settings.seed, by_choice, recursion) for sizes in SEVERAL),
        )
    )


def _first_layer(
    sizes: tuple[int, ...], seed: int, by_choice: ByChoice, recursion: Callable[[Graph], Any]
) -> list[tuple[int, Any, Any]]:
    """Return for the weights of layer 1: how many paths, what one gives, the derivative."""
    found = []
    for i in range(DRAWS):
        problem = Case(sizes=sizes, seed=seed + i).problem()
        parameters = list(zip(problem.weights, problem.biases, strict=True))
        rounded = neurons(parameters, problem.inputs[0], problem.targets[0])
        graph = {
            v: {s: Fraction(float(d)) for s, d in edges.items()} for v, edges in rounded.items()
        }
        every = recursion(graph)
        found += [
            (sum(1 for _ in paths(graph, v)), by_choice(graph, v), every[v])
            for v in graph
            if v.startswith("W1[")
        ]
    return found


def _single(seed: int, by_choice: ByChoice, recursion: Callable[[Graph], Any]) -> Finding:
    rows = _first_layer(ONE_OUTPUT, seed, by_choice, recursion)
    equal = sum(one == derivative for _, one, derivative in rows)
    most = max(count for count, _, _ in rows)
    return Finding(
        "in 3-2-1 {most} path leads from each weight of the first layer to the loss, and its "
        "product is the derivative, exactly, for {equal} of {n} weights",
        most == 1 and equal == len(rows) > 0,
        {"most": most, "equal": equal, "n": len(rows)},
    )


def _several(
    sizes: tuple[int, ...], seed: int, by_choice: ByChoice, recursion: Callable[[Graph], Any]
) -> Finding:
    rows = _first_layer(sizes, seed, by_choice, recursion)
    off = [
        float(abs(one - derivative) / abs(derivative)) for _, one, derivative in rows if derivative
    ]
    other = sum(one != derivative for _, one, derivative in rows)
    return Finding(
        "in {sizes} there are {paths}, and the product along one of them is another number for "
        "{other} of {n} weights, off by {median} of the derivative in the median",
        other == len(rows) > 0,
        {
            "sizes": "-".join(map(str, sizes)),
            "paths": min(count for count, _, _ in rows),
            "other": other,
            "n": len(rows),
        },
        {"median": float(np.median(off)) if off else np.inf},
        contradicts=True,
    )


CLAIM = Claim(
    id="C30",
    title="Of two paths choose any one",
    statement="Where two ways lead to a weight, choose any one path",
    how="in rational arithmetic, the product along one path against the derivative, for the "
    "weights of the first layer of 3-2-1, 3-2-2 and 3-2-3-1",
    precise="the products along all paths are to be added; in 3-2-1, one path leads to each "
    "weight, so there is nothing to choose",
    source="Nielsen 2015, chapter 2, the big picture; Griewank and Walther 2008, chapter 3",
    measure=measure,
    expected=REFINED,
)
