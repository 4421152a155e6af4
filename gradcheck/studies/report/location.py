"""How few forward passes name a wrong weight of a large black box, and how they grow with N.

A sigmoid network n-h-1 is handed over as a black box of one vector: a loss, and a gradient in which
some coordinates are off by a relative error. They are drawn from those at least as large as the
median. `check_gradient(method="directional")` is asked; passes are counted by wrapping the loss.

    passes(N) = a + b log2 N,   N = 1e2, 1e3, ...

is fitted by least squares. Halving alone takes one test for each doubling of N (F. K. Hwang, "A
method for detecting all defective members in a population by group testing", J. Amer. Statist.
Assoc. 67 (1972), 605-608), and a test 4 passes once the step is known: b = 4.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gradcheck.checks.gradient import check_gradient
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Verdict
from gradcheck.splitmix64 import Stream
from gradcheck.studies.cost import counted_loss
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.progress import section_progress
from gradcheck.studies.report.section import Section
from gradcheck.studies.report.settings import Settings

BATCH = 8
ERRORS = (1.0, 1e-2, 1e-4)
"""Relative errors that are planted."""

LIMITS = {1: 160, 3: 350}
"""The most passes that naming so many wrong coordinates may take; 10 to 30 of them look for jumps
of f before the first is accused."""

GROWTH_SEEDS = 3
GROWTH_ERROR = 1e-2

Vector = npt.NDArray[np.float64]
Check = Callable[..., Outcome]


class BlackBox:
    """A network of N weights or a few more, with loss and gradient as functions of one vector.

    Args:
        N: how many weights, at least.
        seed: of weights, inputs and targets.
    """

    def __init__(self, N: int, seed: int) -> None:
        h = max(2, round(N**0.5))
        n = max(1, ceil((N - 1) / h - 2))  # N = n h + h + h + 1
        self.network = Network((n, h, 1), BATCH, seed)
        self.x = np.concatenate([array.reshape(-1) for array in self.network.parameters.values()])

    def loss(self, x: Vector) -> float:
        """Return the loss at the weights x."""
        return float(self.network.loss(self._split(x)))

    def gradient(self, x: Vector) -> Vector:
        """Return the gradient at the weights x."""
        return np.concatenate(
            [array.reshape(-1) for array in self.network.gradient(self._split(x)).values()]
        )

    def _split(self, x: Vector) -> dict[str, Any]:
        arrays = self.network.parameters
        ends = np.cumsum([0, *(array.size for array in arrays.values())])
        parts = (x[start:end] for start, end in pairwise(ends))
        return {
            k: part.reshape(a.shape) for (k, a), part in zip(arrays.items(), parts, strict=True)
        }

    def drawn(self, count: int, seed: int) -> npt.NDArray[np.int64]:
        """Draw coordinates from those at least as large as the median, in ascending order."""
        size = np.abs(self.gradient(self.x))
        large = np.flatnonzero(size >= np.median(size))
        return np.sort(large[Stream(seed, "planted").permutation(large.size)[:count]])


def hunt(
    N: int, count: int, error: float, seed: int, check: Check = check_gradient
) -> tuple[bool, bool, int]:
    """Plant errors in the gradient of a black box and have them sought.

    Args:
        N: weights of the network.
        count: wrong coordinates; 0 for a right gradient.
        error: what they are off by, relative.
        seed: of the network, of the places, and of the signs.
        check: seeks them.

    Returns:
        Whether exactly the wrong ones were named; whether the gradient FAILs; the passes.
    """
    box = BlackBox(N, seed)
    wrong = box.drawn(count, seed)

    def gradient(x: Vector) -> Vector:
        g = box.gradient(x)
        g[wrong] *= 1 + error
        return g

    loss = counted_loss(box.loss)
    outcome = check(loss, gradient, box.x, method="directional", seed=seed)
    named = sorted(int(found.name[2:-1]) for found in outcome.discrepancies)
    return named == wrong.tolist(), outcome.verdict is Verdict.FAIL, loss.cost.forward_passes


def measure(settings: Settings, check: Check = check_gradient) -> Section:
    """Seek one wrong coordinate, three and none in a large network; then one as N grows."""
    start = time.perf_counter()
    N, seeds, right = settings.location_size, settings.location_seeds, settings.location_right
    asked = [(count, error, seeds) for count in LIMITS for error in ERRORS] + [(0, 0.0, right)]
    total = sum(runs for *_, runs in asked) + len(settings.location_growth)
    with section_progress("location", total) as advance:
        rows, passes = [], []
        for count, error, runs in asked:
            row, spent = _planted(N, count, error, runs, check)
            rows.append(row)
            passes.append(spent)
            advance(runs)
        sizes, growth = [], []
        for size in settings.location_growth:
            sizes.append(BlackBox(size, 0).network.N)
            growth.append(_planted(size, 1, GROWTH_ERROR, GROWTH_SEEDS, check)[1]["mean"])
            advance(1)
    b, a = np.polyfit(np.log2(sizes), growth, 1)
    network = BlackBox(N, 0).network
    return Section(
        results={
            "network": list(network.sizes),
            "N": network.N,
            "batch": BATCH,
            "rows": rows,
            "growth": {"N": sizes, "networks": GROWTH_SEEDS, "error": GROWTH_ERROR},
        },
        measured={
            "passes": passes,
            "growth": {"passes": growth, "constant": float(a), "a_doubling": float(b)},
        },
        timings={"seconds": time.perf_counter() - start},
        frames={"location": pd.concat([pd.DataFrame(rows), pd.DataFrame(passes)], axis=1)},
    )


def _planted(
    N: int, count: int, error: float, seeds: int, check: Check
) -> tuple[dict[str, Any], dict[str, Any]]:
    runs = [hunt(N, count, error, seed, check) for seed in range(seeds)]
    named, failed, passes = zip(*runs, strict=True)
    limit = LIMITS.get(count, np.inf)
    row = {
        "wrong": count,
        "error": error,
        "runs": len(runs),
        "named": sum(named),
        "failed": sum(failed),
        "within": sum(n <= limit for n in passes),
    }
    spent = {"mean": np.mean(passes), "median": np.median(passes), "most": max(passes)}
    return row, {name: float(n) for name, n in spent.items()}
