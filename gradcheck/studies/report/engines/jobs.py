"""What a worker does with an engine, one job at a time, and what it sends back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from gradcheck.engines.base import MalformedAnswerError, UnansweredError, Unsupported
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problems.case import parse
from gradcheck.studies.cost import Timing, time_call
from gradcheck.studies.report.engines.neuron import Curve, curve
from gradcheck.verification.guarded import Guarded, RaisedError
from gradcheck.verification.property import finding_of, judged
from gradcheck.verification.signature import label

FloatArray = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Judged:
    """One property of the engine on one network.

    Attributes:
        property: "agreement" or "consistency".
        token: the network.
        verdict: with "UNSUPPORTED" among them.
        reason: why not PASS.
        label: the class that explains a FAIL, or "".
        coordinates: how many were compared.
        coordinate: the worst one's name, "" where none was compared.
        times: its deviation over its allowance; infinite where the gradient is not finite.
        g, exact: every derivative of the engine, where the exact one is not 0; agreement only.
    """

    property: str
    token: str
    verdict: str
    reason: str
    label: str
    coordinates: int
    coordinate: str
    times: float
    g: FloatArray
    exact: FloatArray


@dataclass(frozen=True)
class Timed:
    """Seconds for one loss and for loss and gradient together."""

    token: str
    loss: Timing
    gradient: Timing


class Job(Protocol):
    """Something to do with an engine; pickled on its way to the worker."""

    def do(self, engine: Guarded) -> object:
        """Do it.

        Raises:
            EngineUnusableError: the engine cannot be used any more.
        """


@dataclass(frozen=True)
class Judge:
    """Examine a property on a network."""

    property: str
    token: str

    def do(self, engine: Guarded) -> Judged:
        """Examine it."""
        case = parse(self.token)
        try:
            outcome = judged(engine, self.property, case.problem(), case)
        except Unsupported as refusal:
            untold = Outcome(Verdict.INCONCLUSIVE, None, refusal.why)
            return judgement(self, untold, "UNSUPPORTED")
        return judgement(self, outcome, outcome.verdict.value)


@dataclass(frozen=True)
class Saturate:
    """Measure one curve of the saturated neuron."""

    dtype: str
    target: int

    def do(self, engine: Guarded) -> Curve | None:
        """Measure it; None where the engine does not take it."""
        try:
            return curve(engine, self.dtype, self.target)
        except Unsupported:
            return None


@dataclass(frozen=True)
class Clock:
    """Time loss and gradient of a network."""

    token: str
    timing_seconds: float

    def do(self, engine: Guarded) -> Timed | None:
        """Time them; None where the engine does not take the network, or fails there."""
        problem = parse(self.token).problem()
        try:
            loss, gradient = (
                time_call(lambda: call(problem), minimum_seconds=self.timing_seconds)  # noqa: B023 - called at once
                for call in (engine.loss, engine.value_and_grad)
            )
        except (Unsupported, RaisedError, MalformedAnswerError, UnansweredError):
            return None
        return Timed(self.token, loss, gradient)


def judgement(job: Judge, outcome: Outcome, verdict: str) -> Judged:
    """Take from an outcome what the comparison tells."""
    finding = finding_of(job.property, outcome)
    worst = finding["worst"]
    g, exact = _compared(job, outcome)
    broken = outcome.reason in (Reason.NONFINITE, Reason.RAISED)
    return Judged(
        property=job.property,
        token=job.token,
        verdict=verdict,
        reason=finding["reason"],
        label=label(finding) if verdict == "FAIL" else "",
        coordinates=sum(outcome.counts.values()),
        coordinate=worst["name"] if worst else "",
        times=np.inf if broken else float(worst["times"]) if worst else np.nan,
        g=g,
        exact=exact,
    )


def lost(job: Judge, told: str) -> Judged:
    """Return what stands for a network at which the engine died or was silent."""
    return judgement(job, Outcome(Verdict.FAIL, Reason.RAISED, told), "FAIL")


def _compared(job: Judge, outcome: Outcome) -> tuple[FloatArray, FloatArray]:
    c = outcome.comparison
    if job.property != "agreement" or c is None:
        return np.empty(0), np.empty(0)
    known = c.oracle != 0
    return c.engine[known], c.oracle[known]
