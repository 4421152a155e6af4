"""Names what is kept between calls: answers to one problem that differ, or that belong to another.

Symbols: g_1, g_2, ... the answers to one problem asked again and again, G its right gradient.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.case import Case
from gradcheck.diagnosis.probes import alike, answer, frame_of
from gradcheck.diagnosis.seen import arithmetic_of
from gradcheck.problem import dtype_name

if TYPE_CHECKING:
    from gradcheck.diagnosis.seen import Frame
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Array, Problem

CALLS = 5
EXPECTED = "expected the gradient of the problem that is given, each time"
CLOSE, LEAST = 1e-5, 1e-3
"""How well a factor must fit, and how large one must be."""


def told_of_calls(engine: Engine, problem: Problem) -> str:
    """Say what two calls with the same arguments differ by.

    Args:
        engine: whose answers differ.
        problem: where they do.
    """
    asked = [answer(engine, problem) for _ in range(CALLS)]
    answers = [g for g in asked if g is not None]
    if len(answers) < CALLS:
        return ""
    frame = frame_of(problem, arithmetic_of(engine.info.arithmetic, problem))
    return f"all layers: {_difference(answers, frame)}; {EXPECTED}"


def _difference(answers: list[Array], frame: Frame) -> str:
    G = frame.right
    pairs = list(pairwise(answers))
    kept = [_factor(after - G, before) for before, after in pairs]
    c = kept[0] or 0.0
    if abs(c) > LEAST and all(k is not None and abs(k - c) <= CLOSE for k in kept):
        if abs(c - 1) <= CLOSE:
            return "the gradient of the call before is added, it is not set to 0 between calls"
        return f"{c:.4g} times the gradient of the call before is added"
    right = [_is_right(g, frame) for g in answers]
    factors = {f"{r:.4g}" for g in answers if (r := _factor(g, G)) is not None}
    if any(right) and not all(right) and len(factors) == 2:
        return f"some calls return {max(factors, key=float)} times the gradient"
    if all(np.array_equal(a, b) for a, b in pairs[1:]):
        return "the answer depends on the call before, something is kept between calls"
    zeros = [g == 0 for g in answers]
    if any(not np.array_equal(a, b) for a, b in pairwise(zeros)):
        return "some units are 0 in one call and not in the next, as with dropout left on"
    spread = np.std(answers, axis=0) / np.maximum(np.abs(np.mean(answers, axis=0)), 1e-300)
    return f"the answer has random noise of relative size {np.median(spread):.1g}"


def _factor(x: Array, y: Array) -> float | None:
    """Return c with x = c y, None if there is none."""
    size = float(y @ y)
    if not size > 0:
        return None
    c = float(x @ y) / size
    return c if float(np.abs(x - c * y).max()) <= CLOSE * float(np.abs(y).max()) else None


def _is_right(g: Array, frame: Frame) -> bool:
    return bool(np.all(np.abs(g - frame.right) <= 2 * frame.bound))


# --- what is kept ---------------------------------------------------------------------------------

WIDTH, MOST_LAYERS, BATCH = 4, 3, 6
"""Shapes that the engine is asked about for this only."""

FIRST, SECOND = 20_051, 20_063


def keeps_something(engine: Engine, problem: Problem, g: Array, allowance: Array) -> bool:
    """Whether an answer is also that to another problem, or another one the next times.

    Args:
        engine: what has answered.
        problem: to which.
        g: its answer.
        allowance: how far another answer may be from it.
    """
    other = alike(engine, problem)
    elsewhere = None if other is None else answer(engine, other)
    if elsewhere is not None and g.any() and np.array_equal(g, elsewhere):
        return True
    again = [answer(engine, problem) for _ in range(2)]
    return any(h is not None and bool(np.any(np.abs(h - g) > allowance)) for h in again)


def told_of_memory(engine: Engine, problem: Problem) -> str:
    """Say whether answers depend on the calls before; "" where they do not.

    Two problems of the same shapes are asked in turn.
    """
    first, second = (_of_shapes(problem, seed) for seed in (FIRST, SECOND))
    g = [answer(engine, asked) for asked in (first, second, first, second, second)]
    if any(x is None for x in g):
        return ""
    one, two, again, twice, thrice = (np.asarray(x) for x in g)
    if np.array_equal(one, two):
        return f"all layers: the first answer for matrices of these shapes is kept; {EXPECTED}"
    frame = frame_of(second, arithmetic_of(engine.info.arithmetic, second))
    if _has_inputs_of_before(two, first, frame):
        return "layer 1: dC/dW_1 has X of an earlier call; expected dC/dW_1 = delta_1^T X"
    if np.array_equal(one, again) and np.array_equal(two, twice) and np.array_equal(two, thrice):
        return ""
    return f"all layers: {_difference([two, twice, thrice], frame)}; {EXPECTED}"


def _of_shapes(problem: Problem, seed: int) -> Problem:
    network = problem.architecture
    return Case(
        sizes=(*[WIDTH] * min(network.depth, MOST_LAYERS), network.sizes[-1]),
        loss=network.loss,
        reduction=network.reduction,
        batch=BATCH,
        dtype=dtype_name(problem.dtype),
        seed=seed,
    ).problem()


def _has_inputs_of_before(g: Array, before: Problem, frame: Frame) -> bool:
    """Whether dC/dW_1 = delta_1^T X with the X of the problem asked before."""
    s = frame.symbols.right()
    stale = s.delta[1].T @ before.inputs.astype(np.float64)
    size = stale.size
    room = 1e3 * frame.bound[:size] + 64 * np.finfo(before.dtype).eps * np.abs(stale).max()
    return bool(np.all(np.abs(g[:size] - stale.ravel()) <= room))
