r"""What the claims about derivatives are held against.

**Differences.** A formula is compared with central differences at a step and with an error bound
of their own (`gradcheck.differences.finite_difference`); `told` puts many comparisons into the few
numbers that a finding states.

**Rounding.** Two derivations of one gradient differ by rounding alone. For one example, with
the symbols of `reference_models.paths` and u the unit roundoff, let S_v be the sum over all paths
from v to C of |product of the local derivatives|, P_v their number, and dz_l the largest error of
a computed z_l:

    dz_l <= |W_l| da_{l-1} + gamma_{n+1} (|W_l| (a_{l-1} + da_{l-1}) + |b_l|)
    da_l <= a_l (expm1(dz_l) + 4 u exp(dz_l))                       da_0 = 0

|d log sigma/dz|, |d log sigma'/dz| and, for targets 0 and 1, |d log(a - y)/dz| are at most 1, so
that every factor of a path is within exp(dz_l + 12 u), the last one within exp(2 dz_L + 24 u), and

    |error of dC/dv|  <=  S_v expm1( sum_l dz_l + dz_L + K u ),   K = (14 + n) L + 24 + P_v

with 2 L for the products on a path and n L + P_v for the additions, n the largest layer. Rigorous
for every order of summation (Higham 2002, chapter 3; Griewank and Walther 2008, chapter 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradcheck.differences.finite_difference import finite_difference
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.outcomes.estimate import Estimate
from gradcheck.outcomes.judging import DEFAULT_RESOLUTION, compare
from gradcheck.outcomes.outcome import Outcome, outcome_of
from gradcheck.outcomes.reasons import Kind, Verdict
from gradcheck.pytree import structure_of
from gradcheck.splitmix64 import Stream
from reference_models.activations import sigmoid
from reference_models.edges import Parameters
from reference_models.paths import Graph, derivatives

Array = npt.NDArray[Any]
U = 2.0**-53


# --- differences ----------------------------------------------------------------------------------


def differences(f: Callable[[Array], Any], x: Array, *, seed: int) -> tuple[Array, Array]:
    """Return df/dx by differences and its error bound, both in the shape of x.

    Where no step was found the bound is infinite.
    """
    lines = Lines(f, x)
    estimate = finite_difference(lines, estimate_noise(lines, Stream(seed, "noise")))
    bound = np.where(estimate.status == 0, estimate.bound, np.inf)
    return estimate.value.reshape(x.shape), bound.reshape(x.shape)


def held_against(value: Array, bound: Array, formula: Array) -> Outcome:
    """Compare a formula with a known value, entry by entry, by the rules of `gradcheck.outcomes`.

    Args:
        value: the numbers known.
        bound: how far they may be off, with what the formula may lose.
        formula: the numbers under test.
    """
    structure = structure_of(value)
    known = Estimate.empty(value.size)
    known.value, known.bound = value.reshape(-1), bound.reshape(-1)
    known.status[:] = 0
    asked = DEFAULT_RESOLUTION[8]
    if formula.shape != value.shape:
        formula = np.full(value.shape, np.nan)  # which no allowance holds
    return outcome_of(compare(structure, formula.reshape(-1), known, resolution=asked))


class Told(NamedTuple):
    """What many comparisons come to.

    Attributes:
        passed: every one ended in PASS.
        n: numbers compared.
        worst: the largest deviation, in units of its allowance.
        seen: the relative error that would have been seen in every informative number.
    """

    passed: bool
    n: int
    worst: float
    seen: float


def told(outcomes: Iterable[Outcome]) -> Told:
    """Put outcomes together. Nothing compared is nothing passed."""
    outcomes = list(outcomes)
    worst, seen, n = [0.0], [0.0], 0
    for comparison in (outcome.comparison for outcome in outcomes):
        if comparison is None:
            worst.append(np.inf)
            continue
        n += comparison.structure.size
        deviation = np.abs(comparison.engine - comparison.oracle)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(deviation == 0, 0.0, deviation / comparison.allowance)
        worst.append(float(np.max(np.nan_to_num(ratio, nan=np.inf), initial=0.0)))
        if np.any(comparison.kind == Kind.INFORMATIVE):
            seen.append(float(comparison.smallest_error_seen().max()))
    passed = n > 0 and all(outcome.verdict is Verdict.PASS for outcome in outcomes)
    return Told(passed, n, max(worst), max(seen))


# --- rounding -------------------------------------------------------------------------------------


def rounding_bounds(graph: Graph, parameters: Parameters, x: Array) -> dict[str, float]:
    """Return the bound on the error of dC/dv for every node v of a network's graph.

    Args:
        graph: `reference_models.paths.neurons` of the same arguments, for targets 0 and 1.
        parameters: (W_l, b_l) per layer, in float64.
        x: the example.
    """
    S = derivatives({v: {s: abs(float(d)) for s, d in e.items()} for v, e in graph.items()})
    P = derivatives({v: dict.fromkeys(e, 1) for v, e in graph.items()})
    dz = _errors_of_z(parameters, x)
    L, n = len(parameters), max(max(W.shape) for W, _ in parameters)
    K = (14 + n) * L + 24
    return {v: float(S[v] * np.expm1(sum(dz) + dz[-1] + (K + P[v]) * U)) for v in graph}


def _errors_of_z(parameters: Parameters, x: Array) -> list[float]:
    """Return the largest dz_l of each layer."""
    a, da = np.abs(x), np.zeros_like(x)
    value, largest = x, []
    for W, b in parameters:
        n = W.shape[1] + 2
        size = np.abs(W) @ (a + da) + np.abs(b)
        dz = np.abs(W) @ da + n * U / (1 - n * U) * size
        value = sigmoid(W @ value + b)
        a, da = value, value * (np.expm1(dz) + 4 * U * np.exp(dz))
        largest.append(float(np.max(dz)))
    return largest


def worst_ratio(pairs: Iterable[tuple[float, float]]) -> float:
    """Return the largest |deviation| / allowance; NaN, or a deviation where none is allowed: inf.

    >>> worst_ratio([(1.0, 2.0), (0.0, 0.0)]), worst_ratio([(float("nan"), 1.0)]), worst_ratio([])
    (0.5, inf, inf)
    """
    worst = [_ratio(abs(deviation), allowance) for deviation, allowance in pairs]
    return max(worst, default=np.inf)


def _ratio(deviation: float, allowance: float) -> float:
    if deviation == 0 <= allowance:
        return 0.0
    ratio = deviation / allowance if allowance > 0 else np.inf
    return ratio if ratio >= 0 else np.inf
