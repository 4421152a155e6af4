"""C8: a network of a million weights and biases by forward differences, one forward pass for each.

999-999-1 has 999 999 + 999 weights and 999 + 1 biases, N = 1,000,000. A sample of the N + 1 passes
is run and timed (`million.plain_passes`); with the setting `run_the_million` all of them are run.
The error of each quotient is bounded as in `curvature`.

What one weight changes is its own neuron and what lies above it. Differences that compute no more
than that (`studies.layered.difference`) take no N + 1 passes.
"""

from __future__ import annotations

import numpy as np

from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.studies.cost import forward_difference_passes, time_call
from gradcheck.studies.report.million import plain_passes, ways
from gradcheck.studies.report.million.plain_passes import Backprop, Differences, Gradient
from gradcheck.studies.report.million.subject import Subject
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding

SIZES = (999, 999, 1)
MILLION = 10**6


def measure(
    settings: Settings,
    differences: Differences = difference_quotients,
    gradient: Gradient = Network.gradient,
) -> Evidence:
    """Run and time a sample of the passes, or all of them as well."""
    backprop = Backprop(SIZES, settings.seed, gradient)
    N, biases = backprop.network.N, sum(SIZES[1:])
    findings = [
        Finding(
            "the network {sizes} has {weights:,} weights and {biases:,} biases, N = {N:,}",
            N == MILLION,
            {
                "sizes": "-".join(map(str, SIZES)),
                "weights": N - biases,
                "biases": biases,
                "N": N,
            },
        ),
        _sample(backprop, differences, settings.seed),
        _by_layers(settings.seed, gradient),
    ]
    if settings.run_the_million:
        findings.append(_all(backprop, differences, settings.seed))
    return Evidence(tuple(findings))


def _sample(backprop: Backprop, differences: Differences, seed: int) -> Finding:
    network, run = backprop.network, plain_passes.sample(SIZES, seed, differences)
    n, worst = len(run.coordinates), backprop.worst(run)
    relative = float(np.median(backprop.bound[run.coordinates]) / np.median(np.abs(run.D)))
    total = forward_difference_passes(network.N)
    timing = time_call(lambda: network.gradient(network.parameters), repeats=3)
    return Finding(
        "{n:,} derivatives by forward differences, at random places, took {passes:,} forward "
        "passes: one each and one for all, so that all N take {total:,}. They deviate from "
        "backprop by at most {worst} of their bound, the median bound being {relative} of the "
        "median derivative. A forward pass took {one:seconds}, backprop {backprop:seconds}",
        run.counted == n + 1 and worst <= 1,
        {"n": n, "passes": run.counted, "total": total},
        {"worst": worst, "relative": relative},
        {"one": run.sample.mean, "backprop": timing.median},
    )


def _by_layers(seed: int, gradient: Gradient) -> Finding:
    row = ways.layered(Subject(SIZES, 1, seed, gradient))
    passes = forward_difference_passes(row.results["N"])
    equivalents = row.measured["forward_pass_equivalents"]
    return Finding(
        "where what a weight does not change is not computed again, all {differences:,} central "
        "differences take the work of {equivalents} forward passes, not of {passes:,}; backprop "
        "deviates from them by at most {worst} of their bound",
        row.results["holds"] and equivalents < passes,
        {"differences": row.results["differences"], "passes": passes},
        {"equivalents": equivalents, "worst": row.measured["deviation"]},
        contradicts=True,
    )


def _all(backprop: Backprop, differences: Differences, seed: int) -> Finding:
    N, run = backprop.network.N, plain_passes.every_weight(SIZES, seed, differences)
    worst = backprop.worst(run)
    return Finding(
        "all {N:,} derivatives were then computed: {passes:,} forward passes in {seconds:seconds}; "
        "they deviate from backprop by at most {worst} of their bound",
        run.counted == forward_difference_passes(N) and worst <= 1,
        {"N": N, "passes": run.counted},
        {"worst": worst},
        {"seconds": run.taken},
    )


CLAIM = Claim(
    id="C8",
    title="A million weights: 1,000,001 passes",
    statement="With a million weights that is a million and one forward passes for one example",
    how="a network of exactly a million weights and biases: a random sample of the passes run and "
    "timed, with --full all of them (the section on a million weights says what all of them "
    "take); and its differences by layers",
    precise="it is, if each weight takes a pass of its own; differences that compute again what "
    "the weight changes, and nothing else, take the work of far fewer",
    source="Nielsen 2015, chapter 2",
    measure=measure,
    expected=REFINED,
)
