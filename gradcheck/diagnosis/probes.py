"""Problems that tell mistakes apart, and what the engine answers to them."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.case import Case
from gradcheck.diagnosis.seen import Frame, Seen
from gradcheck.problem import dtype_name

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine
    from gradcheck.problem import Array, Problem

RICH = (6, 6, 6, 3)
"""Equal neighbours, unequal ones, and several outputs."""

BATCH, OTHER_BATCH = 5, 4
"""Other numbers than all widths, fewer examples than a unit has weights; the second one where the
problem itself has as many as the first."""

MOST = 64
"""So many problems are remembered."""

SEEDS = (20_011, 20_021)


def rich(engine: Engine, problem: Problem) -> Problem | None:
    """Return a small random problem on which few mistakes look alike, within the engine's limits.

    Loss and reduction are those of the problem that failed; None where the limits forbid it.
    """
    info, network = engine.info, problem.architecture
    limits = dict(info.limits)
    depth = min(len(RICH) - 1, int(limits.get("max_depth", 8)))
    width, outputs = int(limits.get("max_width", 99)), int(limits.get("max_outputs", 99))
    sizes = (*(min(n, width) for n in RICH[:depth]), min(RICH[-1], width, outputs))
    return _case(
        sizes,
        network.loss,
        network.reduction,
        min(BATCH if problem.batch != BATCH else OTHER_BATCH, int(limits.get("max_batch", BATCH))),
        _precision(info.dtypes, problem),
        _targets(limits.get("targets")),
        SEEDS[0],
    )


def alike(engine: Engine, problem: Problem) -> Problem | None:
    """Return a random problem of the same sizes and batch, on which nothing is saturated."""
    network, info = problem.architecture, engine.info
    return _case(
        network.sizes,
        network.loss,
        network.reduction,
        problem.batch,
        _precision(info.dtypes, problem),
        _targets(dict(info.limits).get("targets")),
        SEEDS[1],
    )


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
"""Of the problems of `_case`, which live as long as this module remembers them."""


def frame_of(problem: Problem, arithmetic: str, *, keep: bool = False) -> Frame:
    """Return the frame of a problem; keep it for the next time if it is one of `_case`."""
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


@lru_cache(maxsize=MOST)
def _case(
    sizes: tuple[int, ...],
    loss: str,
    reduction: str,
    batch: int,
    dtype: str,
    targets: str,
    seed: int,
) -> Problem | None:
    try:
        return Case(
            sizes=sizes,
            loss=loss,
            reduction=reduction,
            batch=batch,
            dtype=dtype,
            targets=targets,
            seed=seed,
        ).problem()
    except ValueError:  # one_hot targets and one output, for instance
        return None
