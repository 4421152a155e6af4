"""Is the class of an engine recognised, and is a bug ever taken for a class?

Engines of wider classes (`gradcheck.engines.variants.WIDER`) declare nothing here, so that they are
held to the strictest class, and FAIL where their rounding shows. A FAIL is *distinguishable* if no
class narrower than the engine's own explains the value: only there can the ladder
(`gradcheck.checks.ladder`) name it, and should. The bugs are those of `mistakes`; no class is to be
named wherever one FAILs.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.ladder import explain, rungs
from gradcheck.engines.base import Engine, EngineInfo
from gradcheck.engines.variants import WIDER
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problem import LOSSES, Gradient, Problem
from gradcheck.problems.case import parse, sample_cases
from gradcheck.problems.strata import STRATA
from gradcheck.studies.report.accuracy.mistakes import MISTAKES
from gradcheck.studies.report.settings import Settings

CLIPPED = "clipped loss"
MAX_PARAMETERS = 300
SEEDS_ON = 5
"""Added to the seed of the report: problems that no other measurement has."""


class Undeclared:
    """An engine that does not say which class it is of."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself, but for the class."""
        return replace(self._engine.info, arithmetic="")

    def loss(self, problem: Problem) -> float:
        """Compute the engine's own loss."""
        return self._engine.loss(problem)

    def value_and_grad(self, problem: Problem) -> tuple[float | None, Gradient]:
        """Compute the loss and the gradient."""
        return self._engine.value_and_grad(problem)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()


@dataclass(frozen=True)
class Named:
    """One engine on one problem.

    Attributes:
        engine: its name in WIDER or MISTAKES.
        token: the problem.
        failed: whether it FAILs with a mismatch.
        distinguishable: whether no narrower class explains the value.
        label: what the ladder named, "" if nothing.
    """

    engine: str
    token: str
    failed: bool
    distinguishable: bool
    label: str


def jobs(settings: Settings) -> list[str]:
    """Return the draws, each as a name in WIDER or MISTAKES, a space, and a token."""
    wider = [
        f"{name} {case.token}"
        for name, make in WIDER.items()
        for case in sample_cases(
            settings.ladder_draws, settings.seed + SEEDS_ON, **_limits(make().info)
        )
    ]
    wrong = [
        f"{name} {case.token}"
        for i, name in enumerate(MISTAKES)
        for case in sample_cases(
            settings.mistake_draws,
            settings.seed + SEEDS_ON + 1 + i,
            losses=LOSSES,
            max_parameters=MAX_PARAMETERS,
        )
    ]
    return wider + wrong


def _limits(info: EngineInfo) -> dict[str, Any]:
    dtypes = [name for name in STRATA["dtype"] if name in info.dtypes]
    return {"dtypes": dtypes, "losses": info.losses, "max_parameters": MAX_PARAMETERS}


def own_class(name: str) -> str:
    """Return the label that the ladder should give an engine of WIDER."""
    return WIDER[name]().info.arithmetic or CLIPPED


def name_class(_engine_name: str, job: str, _engine: Engine) -> Named:
    """Check one draw; the engine is the one that the job names."""
    name, _, token = job.partition(" ")
    engine: Engine = Undeclared(WIDER[name]()) if name in WIDER else MISTAKES[name]()
    problem = parse(token).problem()
    outcome = check_agreement(engine, problem, require="strict")
    failed = outcome.verdict is Verdict.FAIL and outcome.reason is Reason.MISMATCH
    if not failed or outcome.comparison is None:
        return Named(name, token, failed=False, distinguishable=False, label="")
    g = outcome.comparison.engine
    label = explain(engine, problem, g).label
    if name in MISTAKES:
        return Named(name, token, failed=True, distinguishable=False, label=label)
    own = own_class(name)
    narrower = takewhile(lambda rung: rung.label != own, rungs(problem))
    shows = not any(rung.explains(problem, g) for rung in narrower)
    return Named(name, token, failed=True, distinguishable=shows, label=label)


def numbers(named: list[Named]) -> dict[str, Any]:
    """Return how often engines of wider classes, and bugs, were named, and every wrong name."""
    classes = [_wider(name, [one for one in named if one.engine == name]) for name in WIDER]
    bugs = [one for one in named if one.engine in MISTAKES and one.failed]
    called = [one for one in bugs if one.label]
    return {
        "classes": classes,
        "distinguishable": sum(row["distinguishable"] for row in classes),
        "named": sum(row["named"] for row in classes),
        "bugs": {
            "mistakes": len(MISTAKES),
            "draws": sum(one.engine in MISTAKES for one in named),
            "failed": len(bugs),
            "called_a_class": len(called),
            "which": [{"mistake": b.engine, "label": b.label, "token": b.token} for b in called],
        },
    }


def _wider(name: str, own: list[Named]) -> dict[str, Any]:
    label = own_class(name)
    told = [one for one in own if one.distinguishable]
    wrong = [one for one in told if one.label != label]
    return {
        "engine": name,
        "label": label,
        "draws": len(own),
        "failed": sum(one.failed for one in own),
        "distinguishable": len(told),
        "named": len(told) - len(wrong),
        "wrong": [{"label": one.label, "token": one.token} for one in wrong],
    }
