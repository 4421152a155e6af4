"""The response curves of an engine as the log has them, and when they are measured."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from gradcheck.checks.measured import STANDARD, model_where_half_saturated
from gradcheck.outcomes.reasons import Reason
from gradcheck.problems.case import Case
from gradcheck.response import measure
from gradcheck.response.responses import STANDARD as USUAL
from gradcheck.rounding import ARITHMETICS, models_up_to

if TYPE_CHECKING:
    from gradcheck.engines.base import EngineInfo
    from gradcheck.verification.guarded import Guarded

Record: TypeAlias = dict[str, Any]

RESPONSE = "response curves"
"""The property of the task that has no case: what the engine gives for one unit."""

STRICTEST = next(iter(ARITHMETICS))
UNSEEN = (Reason.RAISED.value, Reason.SHAPE.value, Reason.DTYPE.value)
"""Failures of which the curves say nothing."""


def responses_of(engine: Guarded) -> Record:
    """Measure the response curves; they are held to the model that the engine declares or shows."""
    with np.errstate(all="ignore"):  # engines return numbers of any size
        return dict(measure(engine, model_of(engine)).to_json())


def model_of(engine: Guarded) -> str:
    """Return the declared model, else the one of half saturated units, from the usual one on."""
    if engine.info.arithmetic:
        return engine.info.arithmetic
    shown = model_where_half_saturated(engine, _any_problem(engine.info), STANDARD)
    return shown if USUAL in models_up_to(shown or STRICTEST) else USUAL


def is_worth_measuring(records: Iterable[Record]) -> bool:
    """Whether the curves have something to explain: a failure, lost digits, a loss not finite."""
    cases = (record for record in records if record["kind"] == "case")
    return any(_is_to_explain(finding) for case in cases for finding in case["findings"])


def _is_to_explain(finding: Record) -> bool:
    failed = finding["verdict"] == "FAIL" and finding["reason"] not in UNSEEN
    lost = finding["model"] not in ("", STRICTEST)
    return failed or lost or finding["reason"] == Reason.NONFINITE.value


def _any_problem(info: EngineInfo) -> Any:
    dtype = next(name for name in ("float64", "float32", *info.dtypes) if name in info.dtypes)
    case = Case(sizes=(1, 1), dtype=dtype, loss=info.losses[0], reduction=info.reductions[0])
    return case.problem()
