"""Sweeps: many problems against one engine, one result a problem.

An engine is named (`gradcheck.engines.registry`), so that worker processes can find it.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import TypeVar

import numpy as np

from gradcheck.checks.consistency import check_consistency
from gradcheck.engines.base import Engine, Unsupported
from gradcheck.engines.registry import find
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Kind
from gradcheck.problems.case import parse
from gradcheck.writing.commands import replay_line

T = TypeVar("T")

CHUNK = 4
"""Cases handed to a worker at once."""


@dataclass(frozen=True)
class Result:
    """What came of one problem.

    Attributes:
        token: the case.
        verdict: "PASS", "FAIL", "INCONCLUSIVE" or "UNSUPPORTED".
        reason: why not PASS, else "".
        counts: coordinates by kind.
        worst: the largest |deviation| / allowance over the compared coordinates.
        worst_at: the coordinate of `worst`.
        forward_passes, backward_passes: what the check cost.
    """

    token: str
    verdict: str
    reason: str
    counts: dict[str, int]
    worst: float
    worst_at: str
    forward_passes: int
    backward_passes: int


def check_case(engine_name: str, token: str, engine: Engine | None = None) -> Outcome:
    """Check one case; the outcome's `repeat` is the command that does it again."""
    outcome = check_consistency(engine or find(engine_name), parse(token).problem())
    return replace(outcome, repeat=replay_line(token, engine_name))


def sweep(engine_name: str, tokens: Iterable[str], *, jobs: int = 1) -> Iterator[Result]:
    """Check every case, in order; results come as they are ready.

    Args:
        engine_name: as `gradcheck.engines.registry.find` takes it.
        tokens: the cases.
        jobs: worker processes; 1 works in this one.
    """
    return for_each(engine_name, tokens, _result, jobs=jobs)


def for_each(
    engine_name: str,
    tokens: Iterable[str],
    examine: Callable[[str, str, Engine], T],
    *,
    jobs: int = 1,
    find_engine: Callable[[str], Engine] = find,
) -> Iterator[T]:
    """Examine every case, in order, by as many processes as asked for.

    Args:
        engine_name: as `find_engine` takes it; every worker finds its own.
        tokens: the cases.
        examine: takes the engine's name, a token and the engine; a function of a module.
        jobs: worker processes; 1 works in this one.
        find_engine: finds the engine by its name.
    """
    if jobs == 1:
        engine = find_engine(engine_name)
        for token in tokens:
            yield examine(engine_name, token, engine)
        return
    pool = ProcessPoolExecutor(jobs, initializer=_start, initargs=(engine_name, find_engine))
    try:
        yield from pool.map(partial(_work, examine), tokens, chunksize=CHUNK)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


_worker: list[tuple[str, Engine]] = []


def _start(engine_name: str, find_engine: Callable[[str], Engine]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent answers for all
    _worker[:] = [(engine_name, find_engine(engine_name))]


def _work(examine: Callable[[str, str, Engine], T], token: str) -> T:
    engine_name, engine = _worker[0]
    return examine(engine_name, token, engine)


def _result(engine_name: str, token: str, engine: Engine) -> Result:
    try:
        outcome = check_case(engine_name, token, engine)
    except Unsupported as refusal:
        return Result(token, "UNSUPPORTED", refusal.why, {}, float("nan"), "", 0, 0)
    worst, worst_at = worst_deviation(outcome)
    return Result(
        token=token,
        verdict=outcome.verdict.value,
        reason=outcome.reason.value if outcome.reason else "",
        counts=dict(outcome.counts),
        worst=worst,
        worst_at=worst_at,
        forward_passes=outcome.forward_passes,
        backward_passes=outcome.backward_passes,
    )


def worst_deviation(outcome: Outcome) -> tuple[float, str]:
    """Return the largest |deviation| / allowance of the compared coordinates, and where."""
    c = outcome.comparison
    if c is None:
        return float("nan"), ""
    compared = np.flatnonzero(np.isin(c.kind, (Kind.FAILED, Kind.INFORMATIVE, Kind.SMALL)))
    if not compared.size:
        return float("nan"), ""
    ratio = np.abs(c.engine - c.oracle)[compared] / c.allowance[compared]
    at = int(np.argmax(ratio))
    return float(ratio[at]), c.structure.name(int(compared[at]))
