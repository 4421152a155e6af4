"""The networks that engines are compared on: the same ones, as far as each engine takes them.

One list is drawn for all. What an engine does not take of a case (dtype, loss, reduction, targets)
is replaced by the first it does take, so that shapes, weights and inputs stay the same; a case that
is still too much for it is replaced by the next of a list drawn within its limits.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gradcheck.engines.base import EngineInfo
from gradcheck.problem import LOSSES, REDUCTIONS
from gradcheck.problems.case import Case, sample_cases
from gradcheck.problems.corners import REQUIRED_TARGETS
from gradcheck.verification.plan import SMALL, examined_dtypes, limits_of, smaller
from gradcheck.verification.shrink import is_supported

LARGE = {"max_parameters": 2000}
TIMED = Case(sizes=(64, 32, 10), batch=64)
"""A network of middle size: 2,410 parameters."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is measured of every engine. The same extent gives the same problems.

    Attributes:
        agreement: networks whose exact gradient the engine is held to.
        consistency: networks, small ones, whose loss is differentiated numerically.
        seed: of both.
        timing_seconds: the shortest a timed sample may last.
        timeout: seconds for one job: a network, or one curve of the saturated neuron.
    """

    agreement: int = 60
    consistency: int = 12
    seed: int = 1
    timing_seconds: float = 0.02
    timeout: float = 120.0


def agreement_cases(info: EngineInfo, extent: Extent) -> Iterator[Case]:
    """Yield the networks whose exact gradient the engine is held to."""
    cases = sample_cases(extent.agreement, extent.seed, max_parameters=LARGE["max_parameters"])
    limits = _at_most(limits_of(info, examined_dtypes(info, "")), LARGE)
    return _fitted_each(list(cases), info, sample_cases(extent.agreement, extent.seed, **limits))


def consistency_cases(info: EngineInfo, extent: Extent) -> Iterator[Case]:
    """Yield the small networks whose loss is differentiated numerically."""
    seed = extent.seed + 1
    cases = sample_cases(
        extent.consistency,
        seed,
        max_parameters=SMALL["max_parameters"],
        max_batch=SMALL["max_batch"],
    )
    limits = smaller(limits_of(info, examined_dtypes(info, "")))
    return _fitted_each(list(cases), info, sample_cases(extent.consistency, seed, **limits))


def timed_case(info: EngineInfo) -> Case:
    """Return the network whose gradient is timed, in the engine's first precision and loss."""
    return _chosen(TIMED, info)


def _fitted_each(cases: Sequence[Case], info: EngineInfo, own: Iterator[Case]) -> Iterator[Case]:
    for case in cases:
        yield fitted(case, info) or next(own)


def fitted(case: Case, info: EngineInfo) -> Case | None:
    """Replace what an engine does not take by the first it does; None where that is not enough."""
    try:
        chosen = _chosen(case, info)
    except ValueError:  # targets and corner rule each other out
        return None
    return chosen if is_supported(chosen, info) else None


def _chosen(case: Case, info: EngineInfo) -> Case:
    allowed = info.limits.get("targets", [case.targets])
    targets = [allowed] if isinstance(allowed, str) else list(allowed)
    corner = case.corner
    if REQUIRED_TARGETS.get(corner, targets[0]) not in targets:
        corner = "generic"
    return replace(
        case,
        dtype=_first(case.dtype, examined_dtypes(info, "")),
        loss=_first(case.loss, [name for name in LOSSES if name in info.losses]),
        reduction=_first(case.reduction, [name for name in REDUCTIONS if name in info.reductions]),
        targets=_first(case.targets, targets),
        corner=corner,
    )


def _first(wanted: str, known: Sequence[str]) -> str:
    return wanted if wanted in known else known[0]


def _at_most(limits: Any, most: dict[str, int]) -> Any:
    return limits | {name: min(n, limits.get(name, n)) for name, n in most.items()}
