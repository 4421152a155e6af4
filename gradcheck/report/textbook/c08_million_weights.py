"""C8: a network of a million weights by forward differences, one forward pass a weight.

One weight is moved in place, the loss evaluated, the weight put back. The error of each quotient is
bounded as in `curvature`. The passes are timed in `BLOCKS` blocks at places drawn at random; with
t the mean seconds of a pass over the blocks and s their standard deviation, all N + 1 passes take

    (N + 1) (t +- 2.09 s / sqrt(BLOCKS))

where 2.09 is Student's 97.5 % point for 19 degrees of freedom: 95 % at the load of the sample.
With the setting `run_the_million` all of them are run.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.cost import counted_loss, forward_difference_passes, time_call
from gradcheck.oracles.finite_difference import difference_quotients
from gradcheck.oracles.lines import Lines
from gradcheck.oracles.noise import estimate_noise
from gradcheck.oracles.stencils import FORWARD
from gradcheck.report.forward_cost import Network
from gradcheck.report.progress import section_progress
from gradcheck.report.settings import Settings
from gradcheck.report.textbook.claim import Claim, Evidence, Finding
from gradcheck.report.textbook.curvature import (
    forward_difference_bounds,
    second_derivative_bounds,
)
from gradcheck.splitmix64 import Stream

SIZES = (1000, 1000, 1)
MILLION = 10**6
STEP = 2.0**-20
BLOCKS, BLOCK = 20, 60
STUDENT = 2.09
LONG_BLOCK = 1000
"""Coordinates between two reports of progress in the full run."""

Array = npt.NDArray[Any]
Differences = Callable[..., Array]
Gradient = Callable[[Network, dict[str, Any]], dict[str, Any]]


class _Subject:
    """The network, its gradient by backprop as one vector, and the bound of each difference."""

    def __init__(self, seed: int, gradient: Gradient) -> None:
        self.network = Network(SIZES, 1, seed)
        parameters = self.network.parameters
        self.gradient = np.concatenate(
            [array.reshape(-1) for array in gradient(self.network, parameters).values()]
        )
        noise = estimate_noise(Lines(self.network.loss, parameters), Stream(seed, "noise"))
        arrays = iter(parameters.values())
        pairs = list(zip(arrays, arrays, strict=True))
        M = second_derivative_bounds(pairs, self.network.X)
        self.bound = forward_difference_bounds(M, STEP, noise.bound)

    def worst(self, coordinates: Array, D: Array) -> float:
        """Return the largest deviation of differences from backprop, in units of its bound."""
        deviation = np.abs(D - self.gradient[coordinates])
        return float(np.max(deviation / self.bound[coordinates]))


def measure(
    settings: Settings,
    differences: Differences = difference_quotients,
    gradient: Gradient = Network.gradient,
) -> Evidence:
    """Run and time a sample of the passes, or all of them as well."""
    subject = _Subject(settings.seed, gradient)
    weights = subject.network.N - sum(SIZES[1:])
    findings = [
        Finding(
            "the network {sizes} has {weights:,} weights and {biases:,} biases, N = {N:,}",
            weights >= MILLION,
            {
                "sizes": "-".join(map(str, SIZES)),
                "weights": weights,
                "biases": sum(SIZES[1:]),
                "N": subject.network.N,
            },
        ),
        _sample(subject, differences, settings.seed),
    ]
    if settings.run_the_million:
        findings.append(_all(subject, differences))
    return Evidence(tuple(findings))


def _sample(subject: _Subject, differences: Differences, seed: int) -> Finding:
    network = subject.network
    places = Stream(seed, "places").permutation(network.N)[: BLOCKS * BLOCK]
    loss = counted_loss(network.loss)
    lines = Lines(loss, network.parameters)
    D, per_pass = [], []
    for block in places.reshape(BLOCKS, BLOCK):
        start = time.perf_counter()
        D.append(differences(lines, STEP, stencil=FORWARD, coordinates=block))
        per_pass.append((time.perf_counter() - start) / BLOCK)
    passes, n = loss.cost.forward_passes, places.size
    worst = subject.worst(places, np.concatenate(D))
    relative = float(np.median(subject.bound[places]) / np.median(np.abs(np.concatenate(D))))
    total = forward_difference_passes(network.N)
    mean = float(np.mean(per_pass))
    half = STUDENT * float(np.std(per_pass, ddof=1)) / BLOCKS**0.5
    backprop = time_call(lambda: network.gradient(network.parameters), repeats=3)
    return Finding(
        "{n:,} derivatives by forward differences, at random places, took {passes:,} forward "
        "passes: one each and one for all, so that all N take {total:,}. They deviate from "
        "backprop by at most {worst} of their bound, the median bound being {relative} of the "
        "median derivative. A forward pass took {one:seconds}; extrapolated, all take "
        "{seconds:seconds} ({low:seconds} to {high:seconds}), backprop {backprop:seconds}",
        passes == n + 1 and worst <= 1,
        {"n": n, "passes": passes, "total": total},
        {"worst": worst, "relative": relative},
        {
            "one": mean,
            "seconds": total * mean,
            "low": total * (mean - half),
            "high": total * (mean + half),
            "backprop": backprop.median,
        },
    )


def _all(subject: _Subject, differences: Differences) -> Finding:
    network = subject.network
    loss = counted_loss(network.loss)
    everything = np.arange(network.N)
    D = []
    with section_progress("every weight of a million", network.N) as advance:
        start = time.perf_counter()
        lines = Lines(loss, network.parameters)
        for first in range(0, network.N, LONG_BLOCK):
            block = everything[first : first + LONG_BLOCK]
            D.append(differences(lines, STEP, stencil=FORWARD, coordinates=block))
            advance(len(block))
        elapsed = time.perf_counter() - start
    passes, worst = loss.cost.forward_passes, subject.worst(everything, np.concatenate(D))
    return Finding(
        "all {N:,} derivatives were then computed: {passes:,} forward passes in {seconds:seconds}; "
        "they deviate from backprop by at most {worst} of their bound",
        passes == forward_difference_passes(network.N) and worst <= 1,
        {"N": network.N, "passes": passes},
        {"worst": worst},
        {"seconds": elapsed},
    )


CLAIM = Claim(
    id="C8",
    statement="With a million weights that is a million and one forward passes for one example",
    how="a network of a million weights: a random sample of the passes run and timed, the rest "
    "extrapolated with a 95 % interval; with --full all of them are run",
    precise="it is one forward pass for each weight and each bias, and one more",
    source="Nielsen 2015, chapter 2",
    measure=measure,
)
