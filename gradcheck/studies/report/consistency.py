"""Consistency: is the engine's gradient the derivative of its own loss, and do the bounds hold?

Every random case is checked in every coordinate (`gradcheck.checks.gradient`). What the differences
claim is held against the truth: their bound B must hold |D - f'|, f' from the complex step
(`truth`), for the problem's exact bits, float32 or float64.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gradcheck.engines.base import Engine, EngineInfo, Unsupported
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.judging import DEFAULT_RESOLUTION
from gradcheck.outcomes.reasons import Kind
from gradcheck.problems.case import Case, parse, sample_cases, strata_of
from gradcheck.problems.strata import STRATA
from gradcheck.studies.report.guard import find_guarded
from gradcheck.studies.report.progress import section_progress
from gradcheck.studies.report.section import Section
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.truth import complex_step
from gradcheck.studies.sweep import Result, check_case, for_each, sweep, worst_deviation
from gradcheck.writing.commands import replay_line

VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE", "UNSUPPORTED")
INCONCLUSIVE = ("vacuous", "kink", "noisy", "not_evaluated", "undefined")
CHUNK = 2
SMALL: dict[str, Any] = {"max_parameters": 60, "max_batch": 8, "max_width": 40}

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Examined:
    """One case: what the check said, and how its differences compare with the truth.

    Attributes:
        case, verdict, reason, counts, forward_passes: of the check.
        ratio: the largest deviation over its allowance, at `coordinate`; NaN where none compared.
        seen: the smallest relative error that would have been caught, per informative coordinate.
        coverage: |D - f'| / B, per coordinate that was given a bound.
        coverage_at: the coordinate where that is largest.
        right_beyond: coordinates beyond their bound where the engine is within its allowance of f'.
    """

    case: Case
    verdict: str
    reason: str
    counts: dict[str, int]
    forward_passes: int
    ratio: float
    coordinate: str
    seen: FloatArray
    coverage: FloatArray
    coverage_at: str
    right_beyond: int = 0


def measure(settings: Settings) -> Section:
    """Check random cases with the engine under test and, fewer, with the second derivation."""
    start = time.perf_counter()
    engine = find_guarded(settings.engine)
    cases = list(sample_cases(settings.problems, settings.seed, **supported(engine.info)))
    total = len(cases) + settings.chain_rule_problems
    examined: list[Examined] = []
    with section_progress("consistency", total) as advance:
        tokens = [case.token for case in cases]
        for one in for_each(
            settings.engine, tokens, examine, jobs=settings.jobs, find_engine=find_guarded
        ):
            examined.append(one)
            advance(1)
        second = []
        for result in _second_derivation(settings):
            second.append(result)
            advance(1)
    seconds = time.perf_counter() - start
    strata = by_stratum(examined)
    return Section(
        results=_results(settings, engine.info, examined, second),
        measured=_measured(settings, examined, second, strata),
        timings={"seconds": seconds},
        frames={"problems": problem_frame(examined), "strata": pd.DataFrame(strata)},
    )


def supported(info: EngineInfo) -> dict[str, Any]:
    """Return the limits of `sample_cases` that an engine's own account of itself sets."""
    dtypes = [name for name in STRATA["dtype"] if name in info.dtypes]
    named = {"dtypes": dtypes, "losses": info.losses, "reductions": info.reductions}
    return named | dict(info.limits)


def examine(engine_name: str, token: str, engine: Engine) -> Examined:
    """Check one case and hold the differences against the truth."""
    case = parse(token)
    try:
        outcome = check_case(engine_name, token, engine)
    except Unsupported as refusal:
        empty = np.empty(0)
        return Examined(case, "UNSUPPORTED", refusal.why, {}, 0, np.nan, "", empty, empty, "")
    reason = outcome.reason.value if outcome.reason else ""
    ratio, coordinate = worst_deviation(outcome)
    c = outcome.comparison
    coverage, at, right = (np.empty(0), "", 0) if c is None else _coverage(c, case)
    return Examined(
        case=case,
        verdict=outcome.verdict.value,
        reason=reason,
        counts=dict(outcome.counts),
        forward_passes=outcome.forward_passes,
        ratio=ratio,
        coordinate=coordinate,
        seen=np.empty(0) if c is None else c.smallest_error_seen(),
        coverage=coverage,
        coverage_at=at,
        right_beyond=right,
    )


def _coverage(c: Comparison, case: Case) -> tuple[FloatArray, str, int]:
    """Return |error| / bound wherever a bound was given, smaller steps agreeing or not.

    With it come the coordinate where that is largest, and how often it is above 1 with the engine
    within its allowance of the truth.
    """
    declined = np.isin(c.kind, (Kind.KINK, Kind.NOISY, Kind.NOT_EVALUATED, Kind.UNDEFINED))
    contested = (c.kind == Kind.NOISY) & (np.abs(c.engine - c.oracle) > c.allowance)
    claimed = np.flatnonzero(~declined | contested)
    if not claimed.size:
        return np.empty(0), "", 0
    truth = complex_step(case.problem(), claimed.tolist())
    error = np.abs(c.oracle[claimed] - truth)
    ratio = np.divide(error, c.bound[claimed], out=np.zeros_like(error), where=error > 0)
    is_right = np.abs(c.engine[claimed] - truth) <= c.allowance[claimed]
    at = c.structure.name(int(claimed[np.argmax(ratio)]))
    return ratio, at, int(np.sum((ratio > 1) & is_right))


def _second_derivation(settings: Settings) -> Iterator[Result]:
    cases = sample_cases(settings.chain_rule_problems, settings.seed + 1, **SMALL)
    return sweep("chain-rule", [case.token for case in cases], jobs=settings.jobs)


# --- numbers --------------------------------------------------------------------------------------


def _results(
    settings: Settings, info: EngineInfo, examined: list[Examined], second: list[Result]
) -> dict[str, Any]:
    return {
        "engine": {"spec": settings.engine, "name": info.name, "version": info.version},
        "problems": len(examined),
        "coordinates": sum(one.case.architecture.n_parameters for one in examined),
        "verdicts": _verdicts([one.verdict for one in examined]),
        "chain_rule": {
            "problems": len(second),
            "coordinates": sum(sum(result.counts.values()) for result in second),
            "verdicts": _verdicts([result.verdict for result in second]),
        },
    }


def _measured(
    settings: Settings,
    examined: list[Examined],
    second: list[Result],
    strata: list[dict[str, Any]],
) -> dict[str, Any]:
    worst = max(
        (result for result in second if result.worst_at), key=lambda r: r.worst, default=None
    )
    dtypes = [name for name in STRATA["dtype"] if any(o.case.dtype == name for o in examined)]
    return {
        "forward_passes": sum(one.forward_passes for one in examined),
        "by_dtype": [
            _of_dtype(settings.engine, name, [o for o in examined if o.case.dtype == name])
            for name in dtypes
        ],
        "by_stratum": strata,
        "failures": _failures(settings.engine, examined),
        "chain_rule_worst": worst
        and {
            "ratio": worst.worst,
            "token": worst.token,
            "coordinate": worst.worst_at,
            "replay": replay_line(worst.token, "chain-rule"),
        },
    }


def _failures(engine: str, examined: list[Examined]) -> list[dict[str, Any]]:
    """Return the failures, those without a comparison first, then the furthest off; ten at most."""
    failed = [one for one in examined if one.verdict == "FAIL"]
    failed.sort(key=lambda one: -one.ratio if one.coordinate else -np.inf)
    return [{"reason": one.reason, **_worst_record(engine, one)} for one in failed[:10]]


def _of_dtype(engine: str, dtype: str, examined: list[Examined]) -> dict[str, Any]:
    compared = [one for one in examined if one.coordinate]
    seen = np.concatenate([one.seen for one in examined])
    coverage = np.concatenate([one.coverage for one in examined])
    covered = [one for one in examined if one.coverage_at]
    loosest = max(covered, key=lambda one: float(one.coverage.max()), default=None)
    return {
        "dtype": dtype,
        "resolution": DEFAULT_RESOLUTION[np.dtype(dtype).itemsize],
        **_counts(examined),
        "worst": _worst_record(engine, max(compared, key=lambda o: o.ratio)) if compared else None,
        "seen": _quantiles(seen, {"smallest": 0.0, "median": 0.5, "largest": 1.0}),
        "coverage": {
            "coordinates": coverage.size,
            "held": int(np.sum(coverage <= 1)),
            "right_beyond": sum(one.right_beyond for one in examined),
            "quantiles": _quantiles(coverage, {"median": 0.5, "p99": 0.99, "worst": 1.0}),
            "worst": loosest and {"token": loosest.case.token, "coordinate": loosest.coverage_at},
        },
    }


def _counts(examined: list[Examined]) -> dict[str, Any]:
    kinds: Counter[str] = Counter()
    for one in examined:
        kinds.update(one.counts)
    undecided = sum(kinds[name] for name in INCONCLUSIVE)
    return {
        "problems": len(examined),
        "verdicts": _verdicts([one.verdict for one in examined]),
        "coordinates": kinds.total(),
        "failed": kinds["failed"],
        "informative": kinds["informative"],
        "small": kinds["small"] + kinds["unchanged"],
        "inconclusive": undecided,
    }


def by_stratum(examined: list[Examined]) -> list[dict[str, Any]]:
    """Count problems, verdicts and kinds of coordinates in every stratum that was reached."""
    rows = []
    for kind, values in STRATA.items():
        for value in values:
            members = [one for one in examined if strata_of(one.case)[kind] == value]
            if members:
                counts = _counts(members)
                rows.append({"kind": kind, "value": value, **counts.pop("verdicts"), **counts})
    return rows


def problem_frame(examined: list[Examined]) -> pd.DataFrame:
    """Return one row a problem."""
    return pd.DataFrame(
        {
            "token": one.case.token,
            "verdict": one.verdict,
            "reason": one.reason,
            **{kind.name.lower(): one.counts.get(kind.name.lower(), 0) for kind in Kind},
            "worst_deviation_over_allowance": one.ratio,
            "worst_coordinate": one.coordinate,
            "worst_true_error_over_bound": one.coverage.max(initial=0.0),
            "forward_passes": one.forward_passes,
        }
        for one in examined
    )


def _verdicts(names: Iterable[str]) -> dict[str, int]:
    counted = Counter(names)
    return {name: counted[name] for name in VERDICTS}


def _worst_record(engine: str, one: Examined) -> dict[str, Any]:
    return {
        "ratio": one.ratio,
        "token": one.case.token,
        "coordinate": one.coordinate,
        "replay": replay_line(one.case.token, engine),
    }


def _quantiles(numbers: FloatArray, wanted: dict[str, float]) -> dict[str, float] | None:
    if not numbers.size:
        return None
    return {name: float(np.quantile(numbers, q)) for name, q in wanted.items()}
