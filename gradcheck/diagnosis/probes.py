"""Problems that tell mistakes apart, and what the engine answers to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gradcheck.diagnosis.seen import Frame, Seen
from gradcheck.forward.probes import problem_of
from gradcheck.problem import DTYPES, Problem, dtype_name
from gradcheck.splitmix64 import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcheck.arrays import Array
    from gradcheck.engines.base import Engine

RICH = (7, 7, 7, 3)
"""Equal neighbours, unequal ones, and several outputs: primes, that factors be told apart."""

BATCH, OTHER_BATCH = 5, 4
"""Other numbers than all widths, fewer examples than a unit has weights; the second one where the
problem itself has as many as the first."""

MOST = 64
"""So many frames are remembered."""

SEEDS = (20_011, 20_021, 20_023)
ORDERS = (20_029, 20_047)
DRAWN = 20_101

STEEPER = (10.0, 20.0, 40.0, 100.0)
"""Weight scales of problems that are asked where no other one of the same sizes is wrong."""

MANY = (
    (1.0, "generic", "binary", BATCH),
    (4.0, "generic", "", BATCH),
    (16.0, "generic", "binary", BATCH),
    (16.0, "generic", "", BATCH),
    (1.0, "saturated", "binary", 1),
    (1.0, "saturated", "", 1),
    (1.0, "zero_preactivations", "binary", 1),
    (1.0, "zero_preactivations", "", 1),
)
"""Weight scales, corners, targets and batches of further problems rich in shapes: z of many sizes,
and 0. One example where all activations are alike: of one, delta_l can be solved for."""

STEEP = 3.0
"""Weight scale of a second problem of the same sizes: slopes differ more from 1/4 there."""


def rich(engine: Engine, problem: Problem, targets: str = "") -> Problem | None:
    """Return a small random problem on which few mistakes look alike, within the engine's limits.

    Loss and reduction are those of the problem that failed; None where the limits forbid it.
    """
    return _rich(engine, problem, targets, SEEDS[0], _batch(problem))


def _rich(
    engine: Engine,
    problem: Problem,
    targets: str,
    seed: int,
    batch: int,
    scale: float = 1.0,
    corner: str = "generic",
) -> Problem | None:
    info, network = engine.info, problem.architecture
    limits = dict(info.limits)
    depth = min(len(RICH) - 1, int(limits.get("max_depth", 8)))
    width, outputs = int(limits.get("max_width", 99)), int(limits.get("max_outputs", 99))
    sizes = (*(min(n, width) for n in RICH[:depth]), min(RICH[-1], width, outputs))
    return problem_of(
        sizes,
        network.loss,
        network.reduction,
        min(batch, int(limits.get("max_batch", BATCH))),
        _precision(info.dtypes, problem),
        targets or _targets(limits.get("targets")),
        seed,
        scale,
        corner,
    )


def _batch(problem: Problem) -> int:
    return BATCH if problem.batch != BATCH else OTHER_BATCH


def rich_answers(engine: Engine, problem: Problem, arithmetic: str) -> list[Seen]:
    """Ask about problems rich in shapes whose numbers are of many sizes, and some special ones."""
    seen = []
    limits = dict(engine.info.limits)
    for seed, (scale, corner, targets, batch) in enumerate(MANY, start=SEEDS[2]):
        kind = "" if "targets" in limits else targets
        probe = _rich(engine, problem, kind, seed, batch, scale, corner)
        if probe is not None and (told := seen_on(engine, probe, arithmetic)) is not None:
            seen.append(told)
    return seen


def has_hard_targets(problem: Problem) -> bool:
    """Whether all targets are 0 or 1."""
    return bool(np.all((problem.targets == 0) | (problem.targets == 1)))


def ask(
    engine: Engine, problem: Problem, make: Callable[..., Problem | None], arithmetic: str
) -> tuple[Seen | None, bool]:
    """Ask about a problem; with targets of 0 and 1 where others are refused.

    Args:
        engine: what is asked.
        problem: where it failed.
        make: `rich` or `alike`.
        arithmetic: the class that is allowed.

    Returns:
        What was seen, and whether there was anything to ask.
    """
    probe = make(engine, problem)
    seen = None if probe is None else seen_on(engine, probe, arithmetic)
    if seen is None and probe is not None and has_hard_targets(problem):
        other = make(engine, problem, "binary")
        seen = None if other is None else seen_on(engine, other, arithmetic)
    return seen, probe is not None


def alike(engine: Engine, problem: Problem, targets: str = "") -> Problem | None:
    """Return a random problem of the same sizes and batch, on which nothing is saturated."""
    return _of_the_same_sizes(engine, problem, targets, SEEDS[1])


def steep(engine: Engine, problem: Problem, targets: str = "") -> Problem | None:
    """Return another problem of the same sizes and batch, with larger weights."""
    return _of_the_same_sizes(engine, problem, targets, SEEDS[2], STEEP)


def drawn(engine: Engine, problem: Problem, number: int) -> Problem | None:
    """Return one of many random problems of the same sizes and batch, mild and steeper in turn."""
    return _of_the_same_sizes(engine, problem, "", DRAWN + number, STEEP if number % 2 else 1.0)


def _of_the_same_sizes(
    engine: Engine, problem: Problem, targets: str, seed: int, scale: float = 1.0
) -> Problem | None:
    network, info = problem.architecture, engine.info
    return problem_of(
        network.sizes,
        network.loss,
        network.reduction,
        problem.batch,
        _precision(info.dtypes, problem),
        targets or _targets(dict(info.limits).get("targets")),
        seed,
        scale,
    )


@dataclass(frozen=True)
class Answers:
    """What an engine answers to problems of one structure, and how many it does not answer."""

    seen: list[Seen]
    refused: int

    def and_also(self, other: Answers) -> Answers:
        """Return these and others."""
        return Answers([*self.seen, *other.seen], self.refused + other.refused)


def others(engine: Engine, problem: Problem, arithmetic: str) -> list[Seen]:
    """Return the engine's answers to problems of the same structure and of other numbers."""
    return ask_others(engine, problem, arithmetic).seen


def ask_others(engine: Engine, problem: Problem, arithmetic: str) -> Answers:
    """Ask the engine about problems of the same structure and of other numbers.

    Two are drawn anew, a mild and a steeper one. Two have the numbers of the problem itself in
    other places, for mistakes that show where units are saturated, weights zero, and the like; in
    float64 if the engine is wrong there too.
    """
    asked = [ask(engine, problem, make, arithmetic) for make in (alike, steep)]
    seen = [s for s, was_asked in asked if was_asked]
    wide = DTYPES[_precision(engine.info.dtypes, problem)]
    for dtype in dict.fromkeys((wide, problem.dtype)):
        mixed = [shuffled(problem, seed, dtype) for seed in ORDERS]
        seen += [seen_once(engine, p, arithmetic) for p in mixed]
        if any(s is not None and s.is_wrong for s in seen):
            break
    answered = [s for s in seen if s is not None]
    return Answers(answered, len(seen) - len(answered))


def further(engine: Engine, problem: Problem, arithmetic: str) -> Answers:
    """Ask about problems of the same structure with |z| of many sizes, as limits have to show."""
    network, info = problem.architecture, engine.info
    targets = dict(info.limits).get("targets")
    drawn = [
        problem_of(
            network.sizes,
            network.loss,
            network.reduction,
            problem.batch,
            _precision(info.dtypes, problem),
            "binary" if has_hard_targets(problem) and targets is None else _targets(targets),
            seed,
            scale,
        )
        for seed, scale in enumerate(STEEPER, start=SEEDS[2] + 1)
    ]
    seen = [seen_on(engine, p, arithmetic) for p in drawn if p is not None]
    answered = [s for s in seen if s is not None]
    return Answers(answered, len(seen) - len(answered))


def shuffled(problem: Problem, seed: int, dtype: np.dtype[Any]) -> Problem:
    """Return a problem of the same numbers: those of each array are put into another order.

    Columns of inputs stay together, and rows with their targets: examples that are equal stay so.

    Args:
        problem: whose numbers are taken.
        seed: of the order.
        dtype: of the new problem.
    """
    stream = Stream(seed, "shuffled")

    def mixed(array: Array) -> Array:
        return array.astype(dtype).ravel()[stream.permutation(array.size)].reshape(array.shape)

    weights, biases = (tuple(map(mixed, arrays)) for arrays in (problem.weights, problem.biases))
    examples = stream.permutation(problem.batch)
    features = stream.permutation(problem.inputs.shape[1])
    inputs = problem.inputs.astype(dtype)[examples][:, features]
    targets = problem.targets.astype(dtype)[examples]
    return Problem(problem.architecture, weights, biases, inputs, targets)


def widened(engine: Engine, problem: Problem) -> Problem:
    """Return the same numbers in float64, if the engine computes in that."""
    if "float64" not in engine.info.dtypes or problem.dtype == np.float64:
        return problem
    arrays = (problem.weights, problem.biases)
    weights, biases = (tuple(x.astype(np.float64) for x in each) for each in arrays)
    inputs, targets = (x.astype(np.float64) for x in (problem.inputs, problem.targets))
    return Problem(problem.architecture, weights, biases, inputs, targets)


def seen_once(engine: Engine, problem: Problem, arithmetic: str) -> Seen | None:
    """Ask the engine about a problem that will not be asked about again."""
    gradient = answer(engine, problem)
    return None if gradient is None else Seen.of(frame_of(problem, arithmetic), gradient)


def answer(engine: Engine, problem: Problem) -> Array | None:
    """Return the engine's gradient as one vector, None where it gives none that could be used."""
    try:
        _, layers = engine.value_and_grad(problem)
        parts = [np.asarray(part) for pair in layers for part in pair]
        shapes = [part.shape for part in problem.parameters.values()]
        if [part.shape for part in parts] != shapes:
            return None
        vector = np.concatenate([np.ravel(part) for part in parts]).astype(np.float64)
    except Exception:  # noqa: BLE001  a diagnosis that fails must not end the check
        return None
    return vector if np.isfinite(vector).all() else None


def seen_on(engine: Engine, problem: Problem, arithmetic: str) -> Seen | None:
    """Ask the engine about a problem."""
    gradient = answer(engine, problem)
    return None if gradient is None else Seen.of(frame_of(problem, arithmetic, keep=True), gradient)


_frames: dict[tuple[int, str], Frame] = {}
"""Of the problems of `problem_of`."""


def frame_of(problem: Problem, arithmetic: str, *, keep: bool = False) -> Frame:
    """Return the frame of a problem; keep it for the next time if it is one of `problem_of`."""
    key = (id(problem), arithmetic)
    if keep and key in _frames and _frames[key].symbols.problem is problem:
        return _frames[key]
    with np.errstate(all="ignore"):
        frame = Frame.of(problem, arithmetic)
    if keep:
        if len(_frames) >= MOST:
            _frames.clear()
        _frames[key] = frame
    return frame


def _precision(dtypes: tuple[str, ...], problem: Problem) -> str:
    own = dtype_name(problem.dtype)
    return "float64" if "float64" in dtypes and own != "float16" else own


def _targets(supported: tuple[str, ...] | None) -> str:
    return "soft" if supported is None or "soft" in supported else supported[0]
