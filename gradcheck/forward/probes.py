"""Problems that tell forward passes apart, and the losses that an engine answers to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.forward.heads import CROSS_ENTROPY
from gradcheck.problem import DTYPES, Architecture, Problem, dtype_name
from gradcheck.problems.case import Case, largest_preactivation

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine

Recipe = tuple[tuple[int, ...], int, float, str]

GENERIC: tuple[Recipe, ...] = (
    ((3, 4, 2), 5, 1.0, "soft"),
    ((2, 3, 5, 3), 4, 2.0, "soft"),
    ((4, 5, 1), 7, 2.0, "soft"),
    ((5, 3), 6, 1.0, "soft"),
    ((4, 1), 3, 1.0, "soft"),
    ((3, 3, 3), 6, 2.0, "binary"),
    ((2, 4, 1), 9, 3.0, "binary"),
    ((3, 2), 2, 1.0, "binary"),
    ((3, 1), 8, 1.0, "binary"),
    ((4, 4), 3, 2.0, "one_hot"),
    ((3, 5, 4), 5, 1.0, "one_hot"),
    ((3, 2, 2), 1, 1.0, "soft"),
    ((2, 1), 1, 1.0, "binary"),
    ((3, 2, 1), 1, 1.0, "ones"),
    ((2, 2, 2), 1, 1.0, "zeros"),
)
"""Sizes, batch, weight scale and targets: numbers that differ from each other in every factor."""

ENOUGH = 6
"""With fewer answers than this, problems of the sizes of the one at hand are asked about too."""

AT_ONCE = 3
"""So many problems show whether the forward pass is another one at all."""

SEED = 31_013

SATURATED = (5.0, 10.0, 14.0, 16.0, 18.0, 20.0, 23.0, 26.0, 30.0, 34.0, 40.0, 60.0, 100.0, 200.0)
"""|z| of the networks of one unit whose output is wrong for certain."""


@dataclass(frozen=True, eq=False)
class Answer:
    """A problem, and the loss that the engine answers; z of a network of one unit, else 0."""

    problem: Problem
    loss: float
    z: float = 0.0


def asked(engine: Engine, problem: Problem) -> float | None:
    """Return an engine's loss, None where it gives none that is finite."""
    try:
        value: Any = engine.loss(problem)
        loss = float(value)
    except Exception:  # noqa: BLE001 - a name that is not found must not end the check
        return None
    return loss if np.isfinite(loss) else None


@dataclass
class Asking:
    """The engine's answers, asked for one by one.

    Attributes:
        engine: who is asked.
        problem: the one at hand, whose loss and reduction all have.
        calls: how often the engine was asked.
    """

    engine: Engine
    problem: Problem
    calls: int = field(default=0, init=False)

    def generic(self) -> Iterator[Answer]:
        """Yield the answers to random problems, those of the same sizes last."""
        many = 0
        for recipe in GENERIC:
            for answer in self._of(recipe):
                many += 1
                yield answer
        if many < ENOUGH:
            sizes, batch = self.problem.architecture.sizes, self.problem.batch
            for targets in ("soft", "binary", "one_hot", "zeros", "ones"):
                for m in dict.fromkeys((batch, 1, 2, 5)):
                    for scale in (1.0, 0.5):
                        yield from self._of((sizes, m, scale, targets))

    def saturated(self) -> Iterator[Answer]:
        """Yield the answers to networks of one unit whose output is wrong for certain."""
        network = self.problem.architecture
        if network.loss != CROSS_ENTROPY or not allows(self.engine, ((1, 1), 1, 1.0, "binary")):
            return
        for size in SATURATED:
            for z in (size, -size):
                problem = single(z, network.reduction, precision(self.engine, self.problem))
                yield from self._answer(problem, z)

    def _of(self, recipe: Recipe) -> Iterator[Answer]:
        if not allows(self.engine, recipe):
            return
        network = self.problem.architecture
        dtype = precision(self.engine, self.problem)
        problem = drawn(recipe, network.loss, network.reduction, dtype)
        if problem is not None:
            yield from self._answer(problem)

    def _answer(self, problem: Problem, z: float = 0.0) -> Iterator[Answer]:
        most = float(dict(self.engine.info.limits).get("max_preactivation", np.inf))
        if most < np.inf and largest_preactivation(problem) > most:
            return
        self.calls += 1
        loss = asked(self.engine, problem)
        if loss is not None:
            yield Answer(problem, loss, z)


def precision(engine: Engine, problem: Problem) -> str:
    """Return float64 if the engine computes in that, else the problem's own dtype."""
    own = dtype_name(problem.dtype)
    return "float64" if "float64" in engine.info.dtypes else own


def allows(engine: Engine, recipe: Recipe) -> bool:
    """Whether an engine's limits leave room for a problem."""
    sizes, batch, scale, targets = recipe
    limits = dict(engine.info.limits)
    n_parameters = sum((n + 1) * k for n, k in pairwise(sizes))
    needed: dict[str, float] = {
        "max_weight_scale": scale,
        "max_depth": len(sizes) - 1,
        "max_width": max(sizes),
        "max_outputs": sizes[-1],
        "max_batch": batch,
        "max_parameters": n_parameters,
    }
    kinds = limits.get("targets", targets)
    within = all(n <= limits.get(name, n) for name, n in needed.items())
    return within and targets in ((kinds,) if isinstance(kinds, str) else tuple(kinds))


def drawn(recipe: Recipe, loss: str, reduction: str, dtype: str) -> Problem | None:
    """Draw the problem of a recipe; None where there is none."""
    sizes, batch, scale, targets = recipe
    return problem_of(sizes, loss, reduction, batch, dtype, targets, SEED, scale)


@lru_cache(maxsize=320)
def problem_of(
    sizes: tuple[int, ...],
    loss: str,
    reduction: str,
    batch: int,
    dtype: str,
    targets: str,
    seed: int,
    scale: float = 1.0,
    corner: str = "generic",
) -> Problem | None:
    """Draw a problem; None where there is none, such as one-hot targets for one output."""
    try:
        return Case(
            sizes=sizes,
            loss=loss,
            reduction=reduction,
            batch=batch,
            dtype=dtype,
            targets=targets,
            weight_scale=scale,
            corner=corner,
            seed=seed,
        ).problem()
    except ValueError:
        return None


@lru_cache(maxsize=128)
def single(z: float, reduction: str, dtype: str) -> Problem:
    """Return the network of one unit with pre-activation z, and the target that z is wrong for."""
    half = np.array([z / 2]).astype(DTYPES[dtype])
    one = np.ones((1, 1), DTYPES[dtype])
    network = Architecture((1, 1), CROSS_ENTROPY, reduction)
    return Problem(network, (half[:, None],), (half,), one, one * (z < 0))
