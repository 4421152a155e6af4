r"""The rounding of an engine's gradient, coordinate by coordinate, against the exact one.

Symbols, for one coordinate: g the engine's number, G the exact derivative, fl(G) the number of the
engine's dtype that is nearest to it, ulp(x) the spacing of that dtype at |x|, R the rounding bound
of the engine's class, B the width of the certified enclosure, s the deviation of independent
rounding errors (`gradcheck.rounding`).

    error in ulps       |g - fl(G)| / ulp(fl(G))          0: correctly rounded
    error over bound    |g - G| / (B + R)                 above 1: no rounding explains it
    smallest error seen (B + R) / |G|                     of this coordinate alone, relative
    usual               CALIBRATED s                      independent rounding errors stay below

A derivative that is exactly 0 has no relative error and no last place: it enters the error over
its bound, and nothing else.
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

from gradcheck.checks.agreement import STRICTEST
from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.engines.base import Engine, Unsupported
from gradcheck.outcomes.judging import CALIBRATED
from gradcheck.outcomes.reasons import Kind
from gradcheck.problem import DTYPES
from gradcheck.problems.case import Case, parse
from gradcheck.problems.strata import STRATA
from gradcheck.pytree import structure_of
from gradcheck.rounding import gradient_deviation
from gradcheck.writing.commands import replay_line

FloatArray = npt.NDArray[np.floating[Any]]

ALL = "all"
VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE", "UNSUPPORTED")
KINDS = {kind.name.lower(): kind for kind in Kind}
QUANTILES = {"median": 0.5, "p99": 0.99, "worst": 1.0}


@dataclass(frozen=True)
class Examined:
    """One case: what the check of agreement said, and every coordinate.

    Attributes:
        engine: as `gradcheck.engines.registry.find` takes it.
        case, verdict, reason, explanation: of the check.
        seconds: what the check took.
        g, exact, allowance, usual: one entry a coordinate; empty where nothing was compared.
        kind: one `Kind` a coordinate.
    """

    engine: str
    case: Case
    verdict: str
    reason: str
    explanation: str
    seconds: float
    g: FloatArray
    exact: FloatArray
    allowance: FloatArray
    usual: FloatArray
    kind: npt.NDArray[np.uint8]


def examine(engine_name: str, token: str, engine: Engine) -> Examined:
    """Check one case against the exact gradient."""
    case = parse(token)
    problem = case.problem()
    empty = np.empty(0)
    nothing = (empty, empty, empty, empty, np.empty(0, np.uint8))
    start = time.perf_counter()
    try:
        outcome = explained_agreement(engine, problem)
    except Unsupported as refusal:
        return Examined(engine_name, case, "UNSUPPORTED", refusal.why, "", 0.0, *nothing)
    seconds = time.perf_counter() - start
    reason = outcome.reason.value if outcome.reason else ""
    told = (engine_name, case, outcome.verdict.value, reason, outcome.explanation, seconds)
    c = outcome.comparison
    if c is None:
        return Examined(*told, *nothing)
    usual = CALIBRATED * gradient_deviation(problem, engine.info.arithmetic or STRICTEST)
    return Examined(*told, c.engine, c.oracle, c.allowance, usual, c.kind)


def ulps(g: FloatArray, exact: FloatArray, dtype: npt.DTypeLike) -> FloatArray:
    """Return how far numbers are from the correctly rounded ones, in units of their last place.

    Args:
        g: numbers of the dtype.
        exact: the exact values, to more digits than the dtype has, or correctly rounded to it.
        dtype: of float16, float32 or float64.

    >>> ulps(np.array([1.0, 1 + 2**-22]), np.array([1 + 2.0**-30, 1.0]), np.float32)
    array([0., 2.])
    """
    with np.errstate(over="ignore", invalid="ignore"):
        nearest = np.asarray(exact, np.float64).astype(dtype)
        last_place = np.spacing(np.abs(nearest)).astype(np.float64)
        off = np.abs(np.asarray(g, np.float64) - nearest.astype(np.float64)) / last_place
    return np.where(g == nearest, 0.0, np.where(np.isnan(off), np.inf, off))


def over_bound(g: FloatArray, exact: FloatArray, allowed: FloatArray) -> FloatArray:
    """Return |g - G| / allowed: 0 where both are 0, infinite where g is no number.

    Where the bound is infinite nothing was claimed, and NaN is returned.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        off = np.abs(g - exact)
        ratio = np.where(off == 0, 0.0, off / allowed)
    ratio[np.isnan(off)] = np.inf
    return np.where(np.isfinite(allowed), ratio, np.nan)


# ------------------------------------------------------------------------------------ coordinates


def coordinates(examined: Iterable[Examined]) -> pd.DataFrame:
    """Return one row a coordinate that was compared.

    Columns: engine, case (its place in `examined`), dtype, scale, coordinate, g, exact, allowance,
    usual, kind, and the three quantities of the module's text: ulps, ratio, seen.
    """
    parts = [_coordinates(i, one) for i, one in enumerate(examined) if one.g.size]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


COLUMNS = ("engine", "case", "dtype", "scale", "coordinate", "g", "exact", "allowance", "usual",
           "kind", "ulps", "ratio", "seen")  # fmt: skip


def _coordinates(i: int, one: Examined) -> pd.DataFrame:
    exact, zero = one.exact, one.exact == 0
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        seen = one.allowance / np.abs(exact)
    columns = (
        one.engine,
        i,
        one.case.dtype,
        f"{one.case.weight_scale:g}",
        np.arange(exact.size),
        one.g,
        exact,
        one.allowance,
        one.usual,
        one.kind,
        np.where(zero, np.nan, ulps(one.g, exact, DTYPES[one.case.dtype])),
        over_bound(one.g, exact, one.allowance),
        np.where(zero, np.nan, seen),
    )
    return pd.DataFrame(dict(zip(COLUMNS, columns, strict=True)))


# ----------------------------------------------------------------------------------------- numbers


def rows(examined: list[Examined], frame: pd.DataFrame) -> Iterator[dict[str, Any]]:
    """Yield the numbers of every engine, dtype and weight scale, and of all scales together."""
    for engine in dict.fromkeys(one.engine for one in examined):
        for dtype in STRATA["dtype"]:
            own = frame[(frame["engine"] == engine) & (frame["dtype"] == dtype)]
            if own.empty:
                continue
            yield {"engine": engine, "dtype": dtype, "scale": ALL, **_numbers(examined, own)}
            for scale in STRATA["scale"]:
                part = own[own["scale"] == scale]
                if not part.empty:
                    numbers = _numbers(examined, part)
                    yield {"engine": engine, "dtype": dtype, "scale": scale, **numbers}


def _numbers(examined: list[Examined], part: pd.DataFrame) -> dict[str, Any]:
    kind = part["kind"].to_numpy()
    off = part["ulps"].to_numpy(np.float64)
    return {
        "problems": int(part["case"].nunique()),
        "coordinates": len(part),
        "exactly_zero": int(np.sum(part["exact"].to_numpy() == 0)),
        "rounded": int(np.sum(off == 0)),
        "kinds": {name: int(np.sum(kind == value)) for name, value in KINDS.items()},
        **{name: _quantiles(examined, part, name) for name in ("ulps", "ratio", "seen")},
    }


def _quantiles(examined: list[Examined], part: pd.DataFrame, column: str) -> dict[str, Any] | None:
    """Return observed values that half, or 99 %, do not exceed, and where the worst stands."""
    known = part[part[column].notna()]
    if known.empty:
        return None
    values = known[column].to_numpy(np.float64)
    quantiles = {
        name: float(np.quantile(values, q, method="higher")) for name, q in QUANTILES.items()
    }
    at = known.iloc[int(np.argmax(values))]
    return {**quantiles, "at": place(examined[int(at["case"])], int(at["coordinate"]))}


def place(one: Examined, coordinate: int) -> dict[str, str]:
    """Return token, coordinate and the command that repeats a case."""
    token = one.case.token
    return {
        "token": token,
        "coordinate": coordinate_name(one.case, coordinate),
        "replay": replay_line(token, one.engine),
    }


def coordinate_name(case: Case, coordinate: int) -> str:
    """Name a coordinate of a case."""
    return structure_of(case.problem().parameters).name(coordinate)


def engines(examined: list[Examined]) -> list[dict[str, Any]]:
    """Count problems, coordinates and verdicts, with their reasons, of every engine."""
    found = []
    for engine in dict.fromkeys(one.engine for one in examined):
        own = [one for one in examined if one.engine == engine]
        verdicts = Counter(one.verdict for one in own)
        reasons = Counter(
            f"{one.verdict} {one.reason}" for one in own if one.verdict in ("FAIL", "INCONCLUSIVE")
        )
        found.append(
            {
                "engine": engine,
                "problems": len(own),
                "coordinates": sum(one.g.size for one in own),
                "verdicts": {name: verdicts[name] for name in VERDICTS},
                "reasons": dict(sorted(reasons.items())),
            }
        )
    return found


def failures(examined: list[Examined], most: int = 10) -> list[dict[str, Any]]:
    """Return the failures, those without a comparison first, then the furthest off."""
    failed = [_failure(one) for one in examined if one.verdict == "FAIL"]
    return sorted(failed, key=lambda one: -np.inf if one["ratio"] is None else -one["ratio"])[:most]


def _failure(one: Examined) -> dict[str, Any]:
    told = {"engine": one.engine, "reason": one.reason, "explanation": one.explanation}
    token = one.case.token
    if not one.g.size:
        again = replay_line(token, one.engine)
        return {**told, "ratio": None, "token": token, "coordinate": "", "replay": again}
    ratio = np.nan_to_num(over_bound(one.g, one.exact, one.allowance), nan=0.0, posinf=np.inf)
    worst = int(np.argmax(ratio))
    return {**told, "ratio": float(ratio[worst]), **place(one, worst)}
