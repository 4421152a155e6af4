"""This project's checks as contenders.

Three of them see any function: every coordinate along its own axis, with fixed steps first or, to
show what these save, a search for every step; or all along random signs. Two know that the network
is one of ours: its differences reuse what a moved weight cannot change, or its gradient is compared
with the exact one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from gradcheck.arrays import Array
from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.examine import default_resolution, differentiate
from gradcheck.checks.gradient import check_gradient
from gradcheck.differences.batches import batched
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.engines.base import Engine
from gradcheck.outcomes.judging import agree, compare
from gradcheck.outcomes.outcome import Outcome, outcome_of
from gradcheck.outcomes.reasons import Kind
from gradcheck.problem import Problem, gradient_as_dict
from gradcheck.pytree import structure_of
from gradcheck.rounding import gradient_bound
from gradcheck.splitmix64 import Stream
from gradcheck.studies.bench.contender import (
    ANY,
    CERTAIN,
    ESTIMATED,
    NETWORK,
    Answer,
    Contender,
    Prepare,
    Run,
    Tick,
)
from gradcheck.studies.bench.subject import Subject, WrongEngine, as_vector
from gradcheck.studies.layered.difference import layered_differences
from gradcheck.studies.peers.base import Passes, Planted

LAYERED, CERTIFIED, DIRECTIONAL, AXES, AXES_AT_ONCE, SEARCHED = (
    "ours: layered",
    "ours: certified",
    "ours: directional",
    "ours: every coordinate",
    "ours: every coordinate, batched",
    "ours: every step searched, batched",
)


def contenders() -> list[Contender]:
    """Return the checks of this project."""
    axes = "4 or 6 passes a coordinate, a search for its step where these do not decide"
    found: list[tuple[str, str, str, str, Prepare]] = [
        (LAYERED, NETWORK, CERTAIN, "central differences of every coordinate that recompute only "
         "what a moved weight changes, with a certain bound; allowed besides is the rounding bound "
         "of backprop", layered),
        (CERTIFIED, NETWORK, CERTAIN, "check_agreement: the exact gradient in ball arithmetic; "
         "allowed is the rounding bound of backprop", certified),
        (DIRECTIONAL, ANY, ESTIMATED, "check_gradient(method=\"directional\"): 20 random "
         "directions an array, group testing where one deviates",
         partial(black_box, "directional")),
        (AXES, ANY, ESTIMATED, f"check_gradient(method=\"every-coordinate\"): {axes}",
         partial(black_box, "every-coordinate")),
        (AXES_AT_ONCE, ANY, ESTIMATED, "the same of a function marked by gradcheck.batched: many "
         "points a call", partial(black_box, "every-coordinate", at_once=True)),
        (SEARCHED, ANY, ESTIMATED, "what that would be without fixed steps: 4th-order central "
         "differences, a search for the step of every coordinate", searched),
    ]  # fmt: skip
    return [
        Contender(
            name,
            ours=True,
            block=block,
            bound=bound,
            written_in="numpy",
            settings=settings,
            version=f"gradcheck {sys.modules['gradcheck'].__version__}",
            every_coordinate=name in {AXES, AXES_AT_ONCE, SEARCHED},
            slow_to_fail=False,
            prepare=prepare,
            forward=partial(forward, name),
        )
        for name, block, bound, settings, prepare in found
    ]


def forward(name: str, subject: Subject) -> Passes:
    """Prepare forward passes of the function that a check is given."""
    problem, engine = subject.problem, subject.engine
    parameters = problem.parameters

    def of_arrays(n: int) -> None:
        for _ in range(n):
            engine.loss(problem.with_parameters(parameters))

    def of_the_network(n: int) -> None:
        for _ in range(n):
            engine.loss(problem)

    return of_the_network if name in (LAYERED, CERTIFIED) else of_arrays


def black_box(
    method: str, subject: Subject, tick: Tick, planted: Planted | None, *, at_once: bool = False
) -> Run:
    """Prepare a check of the loss as a function of its arrays."""
    problem, engine = subject.problem, engine_of(subject, planted)

    def loss(parameters: Mapping[str, Array]) -> float:
        tick(1)
        return engine.loss(problem.with_parameters(parameters))

    def gradient(parameters: Mapping[str, Array]) -> dict[str, Array]:
        return gradient_as_dict(engine.value_and_grad(problem.with_parameters(parameters))[1])

    f: Callable[[Any], Any] = _losses(subject, tick) if at_once else loss
    parameters = problem.parameters

    def run() -> Answer:
        outcome = check_gradient(f, gradient, parameters, method=method)
        return _answer(outcome, outcome.forward_passes)

    return run


def searched(subject: Subject, tick: Tick, planted: Planted | None) -> Run:
    """Prepare the check of every coordinate that searches for every step."""
    problem, engine = subject.problem, engine_of(subject, planted)
    names = structure_of(problem.parameters)
    asked = default_resolution(names)

    def run() -> Answer:
        lines = Lines(_losses(subject, tick), problem.parameters)
        g = as_vector(engine.value_and_grad(problem)[1])
        eps = estimate_noise(lines, Stream(0, "check"))
        estimate = differentiate(
            lines, eps, g, names=names, resolution=asked, notes=[], suspected=True
        )
        outcome = outcome_of(compare(names, g, estimate, resolution=asked))
        return _answer(outcome, lines.forward_passes)

    return run


def _losses(subject: Subject, tick: Tick) -> Callable[[Any], Any]:
    def losses(stacked: Mapping[str, Array]) -> Any:
        tick(len(stacked["W1"]))
        return subject.engine.losses(subject.problem, stacked)  # type: ignore[attr-defined]  # it has them

    return batched(losses)


def layered(subject: Subject, tick: Tick, planted: Planted | None) -> Run:
    """Prepare the check by layered differences; its passes are operations over those of a pass."""
    engine, names = engine_of(subject, planted), structure_of(subject.problem.parameters)
    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))

    def run() -> Answer:
        problem = subject.at(subject.x.copy())
        g = as_vector(engine.value_and_grad(problem)[1])
        estimate = layered_differences(problem, threads=threads)
        tick(round(estimate.forward_pass_equivalents))
        R = gradient_bound(problem, engine.info.arithmetic)
        unlimited = np.full(g.size, np.inf)  # nothing is called anomalous: the bounds are certain
        asked = default_resolution(names)
        return _answer(outcome_of(agree(names, g, estimate, R, unlimited, resolution=asked)))

    return run


def certified(subject: Subject, _tick: Tick, planted: Planted | None) -> Run:
    """Prepare the comparison with the exact gradient, which takes no forward pass of the engine.

    The weights are a fresh copy each time, so that no bound of an earlier call is remembered.
    """
    engine = engine_of(subject, planted)

    def run() -> Answer:
        problem: Problem = subject.at(subject.x.copy())
        return _answer(check_agreement(engine, problem))

    return run


def engine_of(subject: Subject, planted: Planted | None) -> Engine:
    """Return the reference engine, or one with the planted error."""
    return subject.engine if planted is None else WrongEngine(subject, planted)


def _answer(outcome: Outcome, own_count: float | None = None) -> Answer:
    return Answer(outcome.verdict.value, _worst(outcome), own_count)


def _worst(outcome: Outcome) -> int | None:
    """Return the position of the coordinate that the outcome names first."""
    if outcome.comparison is None or not outcome.discrepancies:
        return None
    name, names = outcome.discrepancies[0].name, outcome.comparison.structure
    failed = np.flatnonzero(outcome.comparison.kind == Kind.FAILED)
    return next(int(j) for j in failed if names.name(int(j)) == name)
