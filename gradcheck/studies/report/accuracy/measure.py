"""Agreement of the engine and of both reference models with the exact gradient, as a section."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import mean, median
from typing import Any, TypeVar

import pandas as pd

from gradcheck.engines.base import Engine
from gradcheck.problems.case import sample_cases
from gradcheck.studies.report.accuracy import errors, naming, planting, right_engines
from gradcheck.studies.report.accuracy.errors import Examined
from gradcheck.studies.report.consistency import SMALL, supported
from gradcheck.studies.report.guard import find_guarded
from gradcheck.studies.report.progress import section_progress
from gradcheck.studies.report.section import Section
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.sweep import for_each

T = TypeVar("T")

REFERENCE, SECOND = "reference", "chain-rule"


def measure(settings: Settings) -> Section:
    """Measure errors, power, false alarms and names over random problems."""
    start = time.perf_counter()
    examined = _examine(settings)
    frame = errors.coordinates(examined)
    rows = list(errors.rows(examined, frame))
    held = _each(settings, "right engines", REFERENCE, right_engines.tokens(settings),
                 right_engines.hold_right_engines)  # fmt: skip
    beyond, worst = right_engines.numbers(one for part in held for one in part)
    named = naming.numbers(
        _each(settings, "classes", REFERENCE, naming.jobs(settings), naming.name_class)
    )
    caught = planting.precision_loss(settings)
    return Section(
        results={
            "engines": errors.engines(examined),
            "right_engines": beyond,
            "precision_loss": caught,
            "bugs": named.pop("bugs"),
        },
        measured={
            "rows": rows,
            "failures": errors.failures(examined),
            "right_engines": worst,
            "planted": planting.planted(frame[frame["engine"] == REFERENCE]),
            "by_seed": planting.by_seed(settings),
            "ladder": named,
        },
        timings={"seconds": time.perf_counter() - start, "checks": _seconds(examined)},
        frames={"accuracy": flat(rows)},
    )


def _examine(settings: Settings) -> list[Examined]:
    """Check the engine and the reference on the same draw, the second derivation on small ones."""
    examined: list[Examined] = []
    for name in dict.fromkeys((settings.engine, REFERENCE, SECOND)):
        limits = supported(find_guarded(name).info)
        count = settings.accuracy_problems
        if name == SECOND:
            limits, count = limits | SMALL, settings.accuracy_chain_rule_problems
        cases = sample_cases(count, settings.seed + 2, **limits)
        tokens = [case.token for case in cases]
        examined += _each(settings, f"accuracy of {name}", name, tokens, errors.examine)
    return examined


def _each(
    settings: Settings,
    title: str,
    engine: str,
    items: list[str],
    examine: Callable[[str, str, Engine], T],
) -> list[T]:
    found = []
    with section_progress(title, len(items)) as advance:
        for one in for_each(engine, items, examine, jobs=settings.jobs, find_engine=find_guarded):
            found.append(one)
            advance(1)
    return found


def _seconds(examined: list[Examined]) -> list[dict[str, Any]]:
    """Return what one check took, by engine."""
    found = []
    for engine in dict.fromkeys(one.engine for one in examined):
        taken = [o.seconds for o in examined if o.engine == engine and o.verdict != "UNSUPPORTED"]
        if taken:
            found.append({"engine": engine, "median": median(taken), "mean": mean(taken)})
    return found


def flat(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return the rows as a table, a column a number."""
    return pd.DataFrame(
        {
            **{name: value for name, value in row.items() if not isinstance(value, dict)},
            **row["kinds"],
            **{
                f"{quantity}_{name}": value
                for quantity in ("ulps", "ratio", "seen")
                for name, value in _spread(row[quantity]).items()
            },
        }
        for row in rows
    )


def _spread(quantiles: dict[str, Any] | None) -> dict[str, Any]:
    if quantiles is None:
        return {}
    at = quantiles["at"]
    return {
        **{name: quantiles[name] for name in errors.QUANTILES},
        "token": at["token"],
        "coordinate": at["coordinate"],
        "replay": at["replay"],
    }
