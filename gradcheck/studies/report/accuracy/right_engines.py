r"""Is a right engine ever accused? Every right engine on the same problems, held to its own class.

Symbols, for one coordinate: g the engine's number, G the exact derivative, B the width of its
enclosure, R the rounding bound of the class that the engine declares.

    beyond    not (|g - G| <= B + R),   where B + R is finite

The engines are the reference and all of `gradcheck.engines.variants.CORRECT`: orders of summation,
forms of the sigmoid, of its slope and of the residual. Exact gradient and bounds are computed once
a problem and class.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.certified.gradient import certified_gradient
from gradcheck.engines.base import Engine
from gradcheck.engines.variants import CORRECT
from gradcheck.problems.case import Case, parse, sample_cases
from gradcheck.problems.strata import STRATA
from gradcheck.rounding import gradient_bound
from gradcheck.studies.report.accuracy.errors import FloatArray, coordinate_name, over_bound
from gradcheck.studies.report.settings import Settings
from gradcheck.writing.commands import replay_line

LISTED = 10
SEEDS_ON = 3
"""Added to the seed of the report: problems that no other measurement has."""

VARIANTS = "py:gradcheck.engines.variants:"


@dataclass(frozen=True)
class Held:
    """One right engine on one problem.

    Attributes:
        engine: as `gradcheck.engines.registry.find` takes it.
        arithmetic: the class that it declares.
        case: the problem.
        coordinates: how many have a finite bound.
        unbounded: how many have none, because the dtype may overflow there.
        beyond: how many are beyond it.
        worst: the largest error over its bound, at the coordinate `at`.
    """

    engine: str
    arithmetic: str
    case: Case
    coordinates: int
    unbounded: int
    beyond: int
    worst: float
    at: int


def tokens(settings: Settings) -> list[str]:
    """Draw the problems."""
    cases = sample_cases(settings.right_engine_problems, settings.seed + SEEDS_ON)
    return [case.token for case in cases]


def hold_right_engines(engine_name: str, token: str, engine: Engine) -> list[Held]:
    """Hold a right engine, and all right variants that take the problem, to their bounds."""
    case = parse(token)
    problem = case.problem()
    exact = certified_gradient(problem)
    allowed: dict[str, FloatArray] = {}
    engines = {engine_name: engine} | {VARIANTS + name: make() for name, make in CORRECT.items()}
    held = []
    for name, one in engines.items():
        if case.dtype not in one.info.dtypes or case.loss not in one.info.losses:
            continue
        arithmetic = one.info.arithmetic
        if arithmetic not in allowed:
            allowed[arithmetic] = exact.bound + gradient_bound(problem, arithmetic)
        _, layers = one.value_and_grad(problem)
        g = np.concatenate([np.ravel(part) for pair in layers for part in pair]).astype(float)
        held.append(
            _held(name, arithmetic, case, over_bound(g, exact.gradient, allowed[arithmetic]))
        )
    return held


def _held(name: str, arithmetic: str, case: Case, ratio: FloatArray) -> Held:
    claimed = ~np.isnan(ratio)
    at = int(np.argmax(np.where(claimed, ratio, -1.0)))
    return Held(
        engine=name,
        arithmetic=arithmetic,
        case=case,
        coordinates=int(claimed.sum()),
        unbounded=int(np.sum(~claimed)),
        beyond=int(np.sum(claimed & ~(ratio <= 1))),
        worst=float(ratio[at]) if claimed.any() else 0.0,
        at=at,
    )


def numbers(held: Iterable[Held]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the counts, and the worst error over bound, with its place, of all and of each."""
    every = list(held)
    accused = [one for one in every if one.beyond]
    results = {
        "engines": len({one.engine for one in every}),
        "problems": len({one.case.token for one in every}),
        "coordinates": sum(one.coordinates for one in every),
        "by_dtype": {
            dtype: sum(one.coordinates for one in every if one.case.dtype == dtype)
            for dtype in STRATA["dtype"]
        },
        "unbounded": sum(one.unbounded for one in every),
        "beyond": sum(one.beyond for one in every),
        "accused": [_place(one) for one in accused[:LISTED]],
    }
    measured = {
        "worst": _place(max(every, key=lambda one: one.worst)) if every else None,
        "by_engine": [
            _engine(name, [one for one in every if one.engine == name])
            for name in dict.fromkeys(one.engine for one in every)
        ],
    }
    return results, measured


def _engine(name: str, own: list[Held]) -> dict[str, Any]:
    return {
        "engine": name,
        "arithmetic": own[0].arithmetic,
        "coordinates": sum(one.coordinates for one in own),
        "beyond": sum(one.beyond for one in own),
        "worst": {
            dtype: max((one.worst for one in own if one.case.dtype == dtype), default=None)
            for dtype in STRATA["dtype"]
        },
        "at": _place(max(own, key=lambda one: one.worst)),
    }


def _place(one: Held) -> dict[str, Any]:
    token = one.case.token
    return {
        "engine": one.engine,
        "ratio": one.worst,
        "token": token,
        "coordinate": coordinate_name(one.case, one.at),
        "replay": replay_line(token, one.engine),
    }
