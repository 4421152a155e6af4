r"""Sensitivity: how small an error of one derivative is still seen.

Symbols, for one coordinate: g the engine's number, G the exact derivative, A what rounding
explains, fl rounding to the engine's dtype.

    delta = min { 2^k : not (|fl(g (1 + 2^k)) - G| <= A) }

is the smallest power of two by which that number alone, in an otherwise right gradient, may be off
and FAIL. The targets are those that the project has set itself; the network 20-30-10-1 with 16
examples is the one they were first measured on.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gradcheck.certified.gradient import certified_gradient
from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.exact import TESTS
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problems.case import parse
from gradcheck.problems.strata import STRATA
from gradcheck.rounding import gradient_bound
from gradcheck.studies.report.accuracy.errors import ALL, FloatArray
from gradcheck.studies.report.accuracy.mistakes import Float32Deltas, Scaled
from gradcheck.studies.report.settings import Settings

TARGETS = {"float64": 1e-12, "float32": 1e-4}
"""Relative errors of one derivative that are to be seen at the median, at weight scale 1."""

POWERS = range(20, -61, -1)
NETWORK = "gc1:20-30-10-1:cross_entropy:mean:m16:{dtype}:w1:generic:binary:s{seed}"


def smallest_planted(
    g: FloatArray, exact: FloatArray, allowance: FloatArray, dtype: Any
) -> FloatArray:
    """Return delta of every coordinate, infinite where not even 2^20 is seen.

    >>> one = np.ones(1)
    >>> float(np.log2(smallest_planted(one, one, 1e-13 * one, np.float64)[0]))
    -43.0
    """
    found = np.full(len(g), np.inf)
    seen = np.ones(len(g), dtype=bool)
    for k in POWERS:
        with np.errstate(over="ignore", invalid="ignore"):
            planted = (g * (1 + 2.0**k)).astype(dtype).astype(np.float64)
            seen &= ~(np.abs(planted - exact) <= allowance)
        found[seen] = 2.0**k
    return found


def planted(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the median of delta by dtype, at weight scale 1 and at all.

    Args:
        frame: coordinates of a right engine, as `errors.coordinates` has them.
    """
    found = []
    for dtype in STRATA["dtype"]:
        for scale in ("1", ALL):
            chosen = (frame["dtype"] == dtype) & (frame["exact"] != 0) & (frame["g"] != 0)
            part = frame[chosen & ((frame["scale"] == scale) | (scale == ALL))]
            if part.empty:
                continue
            g, exact, allowance = (
                part[name].to_numpy(np.float64) for name in ("g", "exact", "allowance")
            )
            delta = smallest_planted(g, exact, allowance, np.dtype(dtype))
            middle = float(np.quantile(delta, 0.5, method="higher"))
            found.append(
                {"dtype": dtype, "scale": scale, "coordinates": len(part), "median": middle}
            )
    return found


def by_seed(settings: Settings) -> list[dict[str, Any]]:
    """Return the median of bound over |G| of the network 20-30-10-1, seed by seed."""
    found = []
    for dtype, target in TARGETS.items():
        medians = {seed: _median(dtype, seed) for seed in range(1, settings.sensitivity_seeds + 1)}
        worst = max(medians, key=lambda seed: medians[seed])
        found.append(
            {
                "dtype": dtype,
                "target": target,
                "seeds": len(medians),
                "within": sum(value <= target for value in medians.values()),
                "smallest": min(medians.values()),
                "largest": medians[worst],
                "token": NETWORK.format(dtype=dtype, seed=worst),
                "medians": list(medians.values()),
            }
        )
    return found


def _median(dtype: str, seed: int) -> float:
    problem = parse(NETWORK.format(dtype=dtype, seed=seed)).problem()
    exact = certified_gradient(problem)
    allowance = gradient_bound(problem) + exact.bound
    return float(np.median(allowance / np.abs(exact.gradient)))


def precision_loss(settings: Settings) -> list[dict[str, Any]]:
    """Count how often two losses of precision inside a float64 engine are caught."""
    networks = [
        NETWORK.format(dtype="float64", seed=seed)
        for seed in range(1, settings.sensitivity_seeds + 1)
    ]
    deltas, scaled = Float32Deltas(), Scaled()
    lattice = TESTS["lattice"]
    cases = lattice.cases(scaled.info, "float64", settings.seed)
    problems = [parse(token).problem() for token in networks]
    through_float32 = [check_agreement(deltas, p) for p in problems]
    on_lattice = [lattice.check(scaled, case) for case in cases]
    return [
        _caught("deltas that pass through float32 in a float64 engine", "agreement",
                networks, [outcome.verdict for outcome in through_float32]),
        _caught("a float64 gradient times 1 + 1e-12", "lattice, bit for bit",
                [case.token for case in cases], [outcome.verdict for outcome in on_lattice]),
    ]  # fmt: skip


def _caught(what: str, test: str, tokens: list[str], verdicts: list[Verdict]) -> dict[str, Any]:
    missed = [t for t, v in zip(tokens, verdicts, strict=True) if v is not Verdict.FAIL]
    return {
        "what": what,
        "test": test,
        "problems": len(tokens),
        "caught": len(tokens) - len(missed),
        "missed": missed,
    }
