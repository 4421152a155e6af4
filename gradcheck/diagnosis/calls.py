"""Names what is kept between calls: answers to one problem that differ, or that belong to another.

Symbols: g_1, g_2, ... the answers to calls in a row, G_1, G_2, ... the right gradients.

Each thing that is said has evidence of its own: a gradient of the call before is in every answer
with one factor; an answer depends on the call before if it is the same after the same call and
another one after another; units are dropped if whole units are 0 that are not 0 in the next call;
noise is in most entries, of both signs. Last bits that differ are no such thing.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.probes import alike, answer, frame_of
from gradcheck.diagnosis.seen import arithmetic_of, in_blocks
from gradcheck.problem import dtype_name
from gradcheck.problems.case import Case

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.seen import Frame
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Problem

CALLS, MEMORY_CALLS = 5, 6
"""How often one problem is asked, and two problems are asked in turn."""

EXPECTED = "expected the gradient of the problem that is given, each time"
KEPT = f"all layers: the answer depends on the calls before; {EXPECTED}"
DIFFERS = f"all layers: answers to one problem differ from call to call; {EXPECTED}"
BITS = "all layers: last bits differ from call to call, as those of sums in any order do"

MOST_BY_CHANCE = 8
"""So many different numbers are not those of another problem by chance."""

MOST = 0.7
"""Share of the entries that noise is seen in: 1 - 2^-4 of them in five calls, on the average."""

CLOSE, LEAST = 1e-5, 1e-3
"""How well a factor must fit, and how large one must be."""


@dataclass(frozen=True)
class Call:
    """One answer g, what is right, and how far rounding may take it from that."""

    g: Array
    right: Array
    bound: Array

    @property
    def is_right(self) -> bool:
        """Whether the answer is right."""
        return bool(np.all(np.abs(self.g - self.right) <= 2 * self.bound))

    def differs(self, other: Call) -> Array:
        """Which entries are others than those of another answer to the same problem."""
        return np.asarray(np.abs(self.g - other.g) > 4 * self.bound)


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
    calls = [Call(g, frame.right, frame.bound) for g in answers]
    if all(np.array_equal(a.g, b.g) for a, b in pairwise(calls)):
        return told_of_memory(engine, problem) or KEPT
    if not any(x.differs(y).any() for x, y in pairwise(calls)):
        return BITS
    told = _added(calls) or _some_calls(calls)
    if not told and all(np.array_equal(a.g, b.g) for a, b in pairwise(calls[1:])):
        told = "the answer depends on the call before, something is kept between calls"
    told = told or _dropped(calls, frame) or _noise(calls)
    return f"all layers: {told}; {EXPECTED}" if told else DIFFERS


def _added(calls: list[Call]) -> str:
    """Recognise that every answer has the one before added, with one factor."""
    kept = [_factor(after.g - after.right, before.g) for before, after in pairwise(calls)]
    c = kept[0] or 0.0
    if not (abs(c) > LEAST and all(k is not None and abs(k - c) <= CLOSE for k in kept)):
        return ""
    if abs(c - 1) <= CLOSE:
        return "the gradient of the call before is added, it is not set to 0 between calls"
    return f"{c:.4g} times the gradient of the call before is added"


def _some_calls(calls: list[Call]) -> str:
    """Recognise that answers are right, or one and the same multiple of that."""
    right = [call.is_right for call in calls]
    others = [_factor(call.g, call.right) for call in calls if not call.is_right]
    factors = {f"{r:.4g}" for r in others if r is not None}
    if not any(right) or None in others or len(factors) != 1 or factors == {"1"}:
        return ""
    return f"some calls return {factors.pop()} times the gradient"


def _dropped(calls: list[Call], frame: Frame) -> str:
    """Recognise whole units that are 0 in one call and not in another, though they never are."""
    dead = [_dead_units(call, frame) for call in calls]
    if len({mask.tobytes() for mask in dead}) < 2:
        return ""
    return "some units are 0 in one call and not in the next, as with dropout left on"


def _dead_units(call: Call, frame: Frame) -> Array:
    """Which units have an error of 0: their row of dC/dW_l and their entry of dC/db_l are 0."""
    problem = frame.symbols.problem
    g, is_0 = (
        in_blocks(problem, call.g),
        in_blocks(problem, np.asarray(np.abs(call.right) <= 4 * call.bound)),
    )
    masks = []
    for layer, pair in g.items():
        zero = np.hstack(pair) == 0
        masks.append(np.all(zero, axis=1) & ~np.all(np.hstack(is_0[layer]), axis=1))
    return np.concatenate(masks)


def _noise(calls: list[Call]) -> str:
    """Recognise noise: several entries differ in every call, to both sides of the right ones."""
    off = np.array([call.g - call.right for call in calls])
    spread, size = np.std(off, axis=0), np.abs(calls[0].right)
    shows = (spread > 4 * calls[0].bound) & (size > 0)
    off, relative = off[:, shows], spread[shows] / size[shows]
    moves = np.all(off[1:] != off[:-1], axis=0)
    both = moves & (off > 0).any(axis=0) & (off < 0).any(axis=0)
    if not (len(relative) >= MOST_BY_CHANCE and np.mean(both) >= MOST):
        return ""
    return f"the answer has random noise of relative size {np.median(relative):.1g}"


def _factor(x: Array, y: Array) -> float | None:
    """Return c with x = c y, None if there is none."""
    size = float(y @ y)
    if not size > 0:
        return None
    c = float(x @ y) / size
    return c if float(np.abs(x - c * y).max()) <= CLOSE * float(np.abs(y).max()) else None


# --- what is kept ---------------------------------------------------------------------------------

WIDTH, MOST_LAYERS, BATCH = 4, 3, 6
"""Shapes that the engine is asked about for this only."""

FIRST, SECOND = 20_051, 20_063


def keeps_something(engine: Engine, problem: Problem, g: Array, allowance: Array) -> str:
    """Say whether an answer is also that to another problem, or another one the next times; or "".

    Args:
        engine: what has answered.
        problem: to which.
        g: its answer.
        allowance: how far another answer may be from it.
    """
    other = alike(engine, problem)
    elsewhere = None if other is None else answer(engine, other)
    if elsewhere is not None and g.any() and np.array_equal(g, elsewhere):
        told = told_of_memory(engine, problem)
        if told or len(np.unique(np.abs(g))) >= MOST_BY_CHANCE:
            return told or KEPT
    again = [answer(engine, problem) for _ in range(2)]
    differs = any(h is not None and bool(np.any(np.abs(h - g) > allowance)) for h in again)
    return (told_of_memory(engine, problem) or DIFFERS) if differs else ""


def told_of_memory(engine: Engine, problem: Problem) -> str:
    """Say whether answers depend on the calls before; "" where they do not.

    Two problems of the same shapes are asked in turn: one, two, one, two, two, two.
    """
    first, second = (_of_shapes(problem, seed) for seed in (FIRST, SECOND))
    order = (first, second, first, second, second, second)
    g = [answer(engine, asked) for asked in order]
    if any(x is None for x in g):
        return ""
    arithmetic = arithmetic_of(engine.info.arithmetic, problem)
    frames = {id(p): frame_of(p, arithmetic) for p in (first, second)}
    calls = [
        Call(np.asarray(x), frames[id(p)].right, frames[id(p)].bound)
        for x, p in zip(g, order, strict=True)
    ]
    told = _kept(calls, first, frames[id(second)])
    return told and f"{told}; {EXPECTED}" if told.startswith("all") else told


def _is_of_one_problem(g: Array) -> bool:
    """Whether a gradient has numbers that are not 0, 1 or -1: other problems have others."""
    return bool(np.any((g != 0) & (np.abs(g) != 1)))


def _kept(calls: list[Call], first: Problem, frame: Frame) -> str:
    """Say what six answers to two problems in turn have of each other."""
    one, two, _, again, twice, thrice = calls
    if all(np.array_equal(call.g, one.g) for call in calls):
        told = "all layers: the first answer for matrices of these shapes is kept"
        return told * _is_of_one_problem(one.g)
    if all(_has_inputs_of_before(call.g, first, frame) for call in (two, again)):
        return "layer 1: dC/dW_1 has X of an earlier call; expected dC/dW_1 = delta_1^T X"
    same = [two, again, twice, thrice]
    if not any(x.differs(y).any() for x in same for y in same):
        return ""
    told = _added(calls) or _some_calls(calls)
    is_after = np.array_equal(two.g, again.g) and np.array_equal(twice.g, thrice.g)
    if not told and is_after:
        told = "the answer depends on the call before, something is kept between calls"
    told = told or _dropped(same, frame) or _noise(same)
    return f"all layers: {told or 'answers to one problem differ from call to call'}"


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
