"""Measures one engine, and gathers the numbers as `report.json` has them.

NaN and infinity, which JSON has no word for, are the strings "NaN" and "Infinity": here they are
what was found. `timings` apart, an engine's numbers follow from extent, engine and versions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import isinf, isnan
from typing import Any

import numpy as np

from gradcheck.engines.base import EngineInfo
from gradcheck.problem import DTYPES, Problem
from gradcheck.problems.case import parse
from gradcheck.studies.report.accuracy.errors import QUANTILES, ulps
from gradcheck.studies.report.engines import draw
from gradcheck.studies.report.engines.draw import Extent
from gradcheck.studies.report.engines.jobs import Clock, Job, Judge, Judged, Saturate, Timed, lost
from gradcheck.studies.report.engines.neuron import LOGITS, TARGETS, Curve, neuron
from gradcheck.studies.report.engines.worker import Lost, Run
from gradcheck.studies.report.progress import section_progress
from gradcheck.verification.plan import DTYPES as PRECISIONS
from gradcheck.writing.commands import replay_line

Numbers = dict[str, Any]

VERDICTS = ("PASS", "FAIL", "INCONCLUSIVE", "UNSUPPORTED")
MEASURED, ENDED, NOT_INSTALLED, UNUSABLE = "measured", "ended early", "not installed", "unusable"
PATH = re.compile(r"(?<![\w.])/(?:[^\s/'\":,;]+/)+")


@dataclass
class Measured:
    """An engine's numbers.

    Attributes:
        numbers: as JSON has them.
        rows: one a network and property.
        cases: the saturated neurons that the numbers name, by file name.
    """

    numbers: Numbers
    rows: list[Numbers] = field(default_factory=list)
    cases: dict[str, Problem] = field(default_factory=dict)


def jobs(info: EngineInfo, extent: Extent) -> list[Job]:
    """List what is done with an engine, the quick things that say most first."""
    every: list[Job] = [Judge("agreement", c.token) for c in draw.agreement_cases(info, extent)]
    every += [Judge("consistency", c.token) for c in draw.consistency_cases(info, extent)]
    if "cross_entropy" in info.losses:
        dtypes = [name for name in PRECISIONS if name in info.dtypes]
        every += [Saturate(dtype, target) for dtype in dtypes for target in TARGETS]
    return [*every, Clock(draw.timed_case(info).token, extent.timing_seconds)]


def measure(spec: str, extent: Extent) -> Measured:
    """Measure an engine; one that is missing or dies is told, and raises nothing."""

    def plan(info: EngineInfo) -> Sequence[Job]:
        return jobs(info, extent)

    run = Run(spec, plan, extent.timeout)
    done: list[tuple[Job, object]] = []
    most = extent.agreement + extent.consistency + len(PRECISIONS) * len(TARGETS) + 1
    with section_progress(spec, most) as advance:
        for result in run.results():
            done.append(result)
            advance(1)
    if run.info is None or run.missing is not None:
        assert run.missing is not None  # noqa: S101 - who has said nothing is missing
        state = UNUSABLE if run.missing.installed else NOT_INSTALLED
        return Measured({"spec": spec, "state": state, "why": without_paths(run.missing.why)})
    return gather(spec, run.info, run.ended, done)


def gather(spec: str, info: EngineInfo, ended: str, done: Sequence[tuple[Job, object]]) -> Measured:
    """Gather what came of the jobs.

    Args:
        spec: names the engine.
        info: what it says of itself.
        ended: why not all jobs were done, or "".
        done: jobs with their results.
    """
    every = list(_judgements(done))
    curves = [result for _, result in done if isinstance(result, Curve)]
    agreement = [one for one in every if one.property == "agreement"]
    measured = Measured({}, [_row(spec, one) for one in every])
    measured.numbers = {
        "spec": spec,
        "state": ENDED if ended else MEASURED,
        "why": without_paths(ended),
        "name": info.name,
        "version": info.version,
        "language": info.language,
        "arithmetic": info.arithmetic,
        "dtypes": list(info.dtypes),
        "losses": list(info.losses),
        "agreement": counted(spec, agreement),
        "consistency": counted(spec, [one for one in every if one.property == "consistency"]),
        "ulps": rounding(spec, agreement),
        "saturation": [_curve(one) for one in curves],
        "saturated_worst": _worst_neuron(spec, info, curves, measured.cases),
        "lost": [
            {"job": _named(job), "why": without_paths(result.why)}
            for job, result in done
            if isinstance(result, Lost)
        ],
        "timings": next((_timed(spec, r) for _, r in done if isinstance(r, Timed)), None),
    }
    return measured


def counted(spec: str, judgements: Sequence[Judged]) -> Numbers:
    """Count verdicts, reasons and explanations; name the worst network."""
    verdicts = Counter(one.verdict for one in judgements)
    failed = [one for one in judgements if one.verdict == "FAIL"]
    reasons = Counter(one.reason for one in judgements if one.verdict in ("FAIL", "INCONCLUSIVE"))
    labels = Counter(one.label for one in failed)
    compared = [one for one in judgements if not isnan(one.times)]
    worst = max(compared, key=lambda one: one.times, default=None)
    return {
        "problems": len(judgements),
        "coordinates": sum(one.coordinates for one in judgements),
        "verdicts": {name: verdicts[name] for name in VERDICTS},
        "reasons": dict(sorted(reasons.items())),
        "explanations": dict(labels.most_common()),
        "worst": None if worst is None else _place(spec, worst, worst.times),
    }


def rounding(spec: str, judgements: Sequence[Judged]) -> Numbers | None:
    """Return quantiles of the errors in ulps, and the network of the largest."""
    known = [one for one in judgements if one.g.size]
    if not known:
        return None
    off = [ulps(one.g, one.exact, DTYPES[parse(one.token).dtype]) for one in known]
    values = np.concatenate(off)
    worst = known[int(np.argmax([part.max() for part in off]))]
    found = {name: float(np.quantile(values, q, method="higher")) for name, q in QUANTILES.items()}
    place = _place(spec, worst, found["worst"])
    return {name: told(value) for name, value in found.items()} | {
        "coordinates": int(values.size),
        "at": {name: place[name] for name in ("value", "token", "replay")},
    }


def _judgements(done: Sequence[tuple[Job, object]]) -> Iterator[Judged]:
    for job, result in done:
        if isinstance(result, Judged):
            yield result
        elif isinstance(job, Judge) and isinstance(result, Lost):
            yield lost(job, result.why)


def _place(spec: str, one: Judged, value: float) -> Numbers:
    return {
        "value": told(value),
        "reason": one.reason,
        "coordinate": one.coordinate,
        "token": one.token,
        "replay": replay_line(one.token, spec),
    }


def _row(spec: str, one: Judged) -> Numbers:
    return {
        "engine": spec,
        "property": one.property,
        "token": one.token,
        "verdict": one.verdict,
        "reason": one.reason,
        "explanation": one.label,
        "coordinates": one.coordinates,
        "worst_coordinate": one.coordinate,
        "worst_deviation_over_allowance": one.times,
    }


def _curve(one: Curve) -> Numbers:
    return {
        "dtype": one.dtype,
        "target": one.target,
        "errors": [told(value) for value in one.errors],
        "wrong": [z for z, wrong in zip(LOGITS, one.wrong, strict=True) if wrong],
    }


def _worst_neuron(
    spec: str, info: EngineInfo, curves: Sequence[Curve], cases: dict[str, Problem]
) -> Numbers | None:
    """Return the mildest neuron that is wrong, else the one of the largest relative error."""
    points = [
        (wrong, abs(z), error, z, one)
        for one in curves
        for z, error, wrong in zip(LOGITS, one.errors, one.wrong, strict=True)
    ]
    if not points:
        return None
    failing = [point for point in points if point[0]]
    if failing:
        _, _, error, z, one = min(failing, key=lambda point: point[1])
    else:
        _, _, error, z, one = max(points, key=lambda point: point[2])
    name = f"neuron-{one.dtype}-y{one.target}-z{z}.json"
    reduction = "mean" if "mean" in info.reductions else info.reductions[0]
    cases[name] = neuron(z, one.target, one.dtype, reduction)
    return {
        "value": told(error),
        "wrong": bool(failing),
        "z": z,
        "target": one.target,
        "dtype": one.dtype,
        "token": f"cases/{name}",
        "replay": replay_line(f"cases/{name}", spec),
    }


def _timed(spec: str, timed: Timed) -> Numbers:
    loss, gradient = timed.loss, timed.gradient
    return {
        "loss": loss.median,
        "gradient": gradient.median,
        "ratio": gradient.median / loss.median,
        "low": gradient.q25 / loss.q75,
        "high": gradient.q75 / loss.q25,
        "token": timed.token,
        "replay": replay_line(timed.token, spec),
    }


def _named(job: Job) -> str:
    match job:
        case Judge():
            return f"{job.property} of {job.token}"
        case Saturate():
            return f"the saturated neuron, {job.dtype}, target {job.target}"
        case _:
            return "timing"


def told(value: float) -> float | str:
    """Write a number as JSON has it, what is none in words.

    >>> told(0.5), told(float("nan")), told(float("inf"))
    (0.5, 'NaN', 'Infinity')
    """
    return "NaN" if isnan(value) else "Infinity" if isinf(value) else float(value)


def without_paths(text: str) -> str:
    """Leave the folders out of what an engine or the system has said.

    >>> without_paths("ProcessEngine('/home/me/bin/python /opt/x/engine.py') is refused")
    "ProcessEngine('python engine.py') is refused"
    """
    return " ".join(PATH.sub("", text).split())
