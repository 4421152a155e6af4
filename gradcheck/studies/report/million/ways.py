r"""Four ways to check one gradient: what each takes, what it sees, and which wrong entry it names.

Symbols: g the gradient by backprop, w the median of |g_j|, D_j the derivative as a way finds it,
A_j what it allows |g_j - D_j| to be.

    resolution   A_j / w             the smallest error of entry j that is seen
    deviation    |g_j - D_j| / A_j   at most 1 in every entry of a right gradient
    planted      `PLANTED` w         added to one entry drawn at random, which is to be named

A_j is the bound of the forward differences (`textbook.curvature`); the bound of the layered ones
(`studies.layered.bound`), or of the certified gradient, and what rounding can do in backprop
(`gradcheck.rounding`); twice the threshold of a test along random signs
(`gradcheck.differences.locate`).
"""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import dataclass
from typing import Any

import numpy as np

from gradcheck.arrays import FloatArray
from gradcheck.certified.gradient import Certified, certified_gradient
from gradcheck.checks.agreement import STRICTEST, check_agreement
from gradcheck.checks.gradient import check_gradient
from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.engines.base import engine_from_callable
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.outcomes.judging import compare
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problem import Gradient as Layers
from gradcheck.problem import Problem
from gradcheck.rounding import gradient_bound
from gradcheck.studies.cost import CountedFunction, counted_loss, counted_value_and_grad
from gradcheck.studies.layered.difference import layered_differences
from gradcheck.studies.report.million import plain_passes
from gradcheck.studies.report.million.plain_passes import Gradient
from gradcheck.studies.report.million.subject import Backprop, Subject
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings

RESOLUTION = 1e-6
"""What `compare` is asked for. It tells entries that are compared apart, and accuses none."""

SHOWN = 5
"""The most names of wrong entries that are kept."""


@dataclass(frozen=True)
class Row:
    """What came of one way, in the three groups of a section (`report.section`)."""

    results: dict[str, Any]
    measured: dict[str, Any]
    timings: dict[str, Any]


def plain(sizes: tuple[int, ...], settings: Settings, gradient: Gradient = Network.gradient) -> Row:
    """Take one plain forward pass a weight and one more, for one example.

    Args:
        sizes: n_0, n_1, n_2.
        settings: the seed, and whether all passes are run; else a sample, and the seconds of all
            are foretold.
        gradient: backprop.
    """
    whole, seed = settings.run_the_million, settings.seed
    subject = Subject(sizes, 1, seed, gradient)
    backprop = plain_passes.Backprop(sizes, seed, gradient)
    told = plain_passes.foretold(sizes, settings)  # before the run that it foretells
    passes = plain_passes.every_weight if whole else plain_passes.sample
    run = passes(sizes, seed, difference_quotients)
    D = np.full(subject.network.N, np.nan)
    D[run.coordinates] = run.D
    right, wrong = (_held(subject, g, D, backprop.bound) for g in (subject.right, subject.wrong))
    names, worst = _names(wrong) if whole else None, backprop.worst(run)
    row = _row("plain", subject, right.allowance, worst, names)
    is_counted = run.counted == len(run.coordinates) + 1
    row.results.update(forward_passes=run.counted, whole=whole)
    row.results["holds"] = is_counted and worst <= 1 and names in (None, [subject.planted])
    row.timings.update(told.to_json())
    if whole:
        row.timings["seconds"] = run.taken
    return row


def layered(subject: Subject, *, threads: int = 1) -> Row:
    """Compute all 2N central differences by the layered oracle.

    Args:
        subject: what is differentiated.
        threads: how many share the work.
    """
    start = time.perf_counter()
    estimate = layered_differences(subject.problem, threads=threads)
    elapsed = time.perf_counter() - start
    bound = estimate.bound + gradient_bound(subject.problem, STRICTEST)
    right, wrong = (
        _held(subject, g, estimate.value, bound) for g in (subject.right, subject.wrong)
    )
    names, worst = _names(wrong), _worst(right)
    row = _row("layered", subject, right.allowance, worst, names)
    row.results.update(differences=int(estimate.evaluations.sum()), threads=threads)
    row.results["holds"] = worst <= 1 and names == [subject.planted]
    row.measured["forward_pass_equivalents"] = estimate.forward_pass_equivalents
    row.timings["seconds"] = elapsed
    return row


def memory_of_layered(subject: Subject) -> int:
    """Run the layered oracle again; return the most bytes it held, its result included."""
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        layered_differences(subject.problem)
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def certified(subject: Subject) -> Row:
    """Hold the gradient to the exact one."""
    start = time.perf_counter()
    exact = certified_gradient(subject.problem)
    right, counted = _agreement(subject, subject.right, exact)
    elapsed = time.perf_counter() - start
    wrong, _ = _agreement(subject, subject.wrong, exact)
    comparison = _compared(right)
    names = [d.name for d in wrong.discrepancies]
    row = _row("certified", subject, comparison.allowance, _worst(comparison), names)
    passes = counted.cost.forward_passes
    is_right = right.verdict is Verdict.PASS and names == [subject.planted]
    row.results.update(forward_passes=passes, verdict=right.verdict.value)
    row.results["holds"] = is_right and right.backward_passes == counted.cost.backward_passes
    row.measured["rounds"] = exact.forward_passes
    row.timings["seconds"] = elapsed
    return row


def directional(subject: Subject) -> Row:
    """Screen the wrong gradient along random signs, and find what is wrong with it."""
    loss = counted_loss(subject.network.loss)

    def gradient(parameters: dict[str, Any]) -> dict[str, Any]:
        return subject.shaped(subject.wrong(parameters))

    start = time.perf_counter()
    outcome = check_gradient(loss, gradient, subject.network.parameters, method="directional")
    elapsed = time.perf_counter() - start
    names = [d.name for d in outcome.discrepancies]
    row = _row("directional", subject, _compared(outcome).allowance, None, names)
    passes = loss.cost.forward_passes
    row.results["verdict"] = outcome.verdict.value
    row.results["holds"] = names == [subject.planted] and outcome.forward_passes == passes
    row.measured["forward_passes"] = passes
    row.timings["seconds"] = elapsed
    return row


# --- comparisons ----------------------------------------------------------------------------------


def _held(subject: Subject, backprop: Backprop, D: FloatArray, bound: FloatArray) -> Comparison:
    """Compare backprop with derivatives; those that are NaN are not compared."""
    estimate = Estimate.empty(len(D))
    estimate.value[:], estimate.bound[:] = D, bound
    estimate.status[np.isfinite(D)] = Status.RESOLVED
    g = backprop(subject.network.parameters)
    return compare(subject.structure, g, estimate, resolution=RESOLUTION)


def _agreement(
    subject: Subject, backprop: Backprop, exact: Certified
) -> tuple[Outcome, CountedFunction[[Problem], tuple[float, Layers]]]:
    """Check agreement; return the passes of the engine as well, counted."""

    def value_and_grad(problem: Problem) -> tuple[float, Layers]:
        arrays = list(subject.shaped(backprop(problem.parameters)).values())
        value = float(subject.network.loss(problem.parameters))
        return value, list(zip(arrays[::2], arrays[1::2], strict=True))

    counted = counted_value_and_grad(value_and_grad)
    engine = engine_from_callable(counted, "backprop")
    outcome = check_agreement(engine, subject.problem, require="strict", exact=exact)
    return outcome, counted


def _compared(outcome: Outcome) -> Comparison:
    if outcome.comparison is None:
        raise ValueError(f"the gradient could not be compared: {outcome}")
    return outcome.comparison


def _names(comparison: Comparison) -> list[str]:
    return [d.name for d in comparison.discrepancies()]


def _worst(comparison: Comparison) -> float:
    """Return the largest deviation; NaN where some entry has none."""
    off = np.abs(comparison.engine - comparison.oracle)
    return float(np.max(off / comparison.allowance))


def _row(
    way: str, subject: Subject, A: FloatArray, deviation: float | None, names: list[str] | None
) -> Row:
    return Row(
        results={
            "way": way,
            "sizes": list(subject.network.sizes),
            "N": subject.network.N,
            "batch": subject.network.m,
            "planted": subject.planted,
            "named": None if names is None else names[:SHOWN],
            "wrong": None if names is None else len(names),
        },
        measured={
            "deviation": deviation,
            "resolution": {
                "median": float(np.median(A)) / subject.unit,
                "worst": float(np.max(A)) / subject.unit,
            },
        },
        timings={"forward_pass": subject.forward_pass()},
    )
