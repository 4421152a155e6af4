r"""Judging: the only place that compares a gradient with an oracle, and the only one that allows.

Symbols, for one coordinate: g the engine's number, D the oracle's, B the oracle's error bound,
u the unit roundoff of the engine's dtype, R and s the certain bound and the standard deviation of
the engine's rounding (rounding/), v the unit roundoff of the comparison itself.

    deviation  |g - D|
    allowance  B + u |g|             consistency: the error of finite differences, and the rounding
                                     that storing g takes
    allowance  (B + R) (1 + 4 v)     agreement: the width of the certified reference, and what
                                     rounding can do; four operations of the comparison

In consistency the engine may round beside its largest numbers, too: a backward pass that solves or
sums passes through them. With S the largest |D| that stands out, r = sqrt(n) u S is what n = 2^20
roundings add up to (zeros.py). An error of B + r is allowed where it is no mistake: where g has a
third of its digits right, deviation <= u^(1/3) |D|, or D is 0 within B. The allowance is B + r
there; beyond resolution |D| such a coordinate does not pass either, but is vacuous. So is one that
is off by no more than FEW roundings of the largest number of its own array: all of its digits may
be lost.

The coordinate FAILs unless deviation <= allowance. In agreement that is a proof: no engine of the
class that R was computed for returns g. One that does not fail is

    informative   allowance <= resolution |D|
    small         allowance <= resolution max |D| over its array: what could hide in it is
                  negligible beside its neighbours
    unchanged     neither, but g = 0 and f did not change by a bit however far x_j was moved, and
                  allowance <= resolution S, S the largest |D| of the whole gradient that stands
                  out of its allowance, if there is any
    small         also where no D of its array stands out of its allowance, g is no more than
                  rounding, and allowance <= resolution S (zeros.py)
    exact         neither, but g = D and B = 0: nothing hides in it, whatever was allowed
    subgradient   f has a kink at x, and D +- B holds the slopes D -+ J/2 on both sides
                  (one_sided.py): g is between them, which is a convention; outside it FAILs. Their
                  error is held to the resolution, too: allowance - |J|/2 <= resolution
                  (|D| + |J|/2); else the slopes do not settle
    vacuous       otherwise: the comparison could not have failed by enough to matter

and, in agreement, before all of these,

    anomalous     not (deviation + B <= CALIBRATED s): rounding errors that are independent are not
                  seen to be so large; ones that are not independent may be
    unresolved    it would not be vacuous if B were 0: the reference is too wide

and where the array was screened along random signs (locate.py), not along the axes,

    screened      2 tau <= resolution max |g| over its array: an error above 2 tau escapes k
                  directions with a probability of at most 2^-k; nothing more is known of this one

A vacuous or anomalous comparison, an unresolved reference, a kink, a missing step or an exhausted
budget is INCONCLUSIVE, never PASS. `resolution` is a power requirement, the relative error that
must not go unseen. It never enters the decision whether a coordinate fails.

CALIBRATED: errors that are sub-Gaussian with standard deviation s exceed z s with a probability of
at most 2 exp(-z^2 / 2). In n comparisons one does with a probability of at most p if
z = sqrt(2 log(2 n / p)) (Bonferroni); z grows so slowly with n that one value serves all sweeps.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import log, sqrt
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.outcomes.reasons import Kind
from gradcheck.outcomes.zeros import ROUNDINGS, judge_zeros, largest_shown
from gradcheck.pytree import Structure

UNIT = float(np.finfo(np.float64).eps) / 2
"""v, the unit roundoff of the comparison."""

DEFAULT_RESOLUTION: Mapping[int, float] = MappingProxyType({2: 0.5, 4: 0.1, 8: 1e-6})
"""Power asked of finite differences by the item size of x's least precise array, in bytes:
what they reach on nine of ten coordinates of a mild sigmoid network. Agreement is asked for no
less; it usually reaches 1e-12 in float64 and 1e-4 in float32, and says what it reached."""

FEW = 2**6
"""Roundings of the largest number of an array: those of a sum of 2^12 such (a random walk)."""

COMPARISONS, FALSE_ALARM = 1e9, 1e-6
"""Coordinates that all sweeps together compare, and the probability that one of them is called
anomalous although its rounding errors are independent."""

CALIBRATED = sqrt(2 * log(2 * COMPARISONS / FALSE_ALARM))
"""Standard deviations that independent rounding errors are not seen to exceed: 8.4."""


def compare(
    structure: Structure,
    gradient: FloatArray,
    estimate: Estimate,
    *,
    resolution: float,
    outputs: int = 1,
) -> Comparison:
    """Compare a gradient with an oracle's estimate, coordinate by coordinate.

    Args:
        structure: names and dtypes of the coordinates.
        gradient: the engine's gradient as one vector.
        estimate: the oracle's.
        resolution: the power requirement.
        outputs: how many outputs the gradient is of, one after the other.
    """
    u = np.concatenate(
        [np.full(leaf.size, np.finfo(leaf.dtype).eps / 2) for leaf in structure.leaves]
        or [np.empty(0)]
    )
    with np.errstate(invalid="ignore", over="ignore"):
        deviation = np.abs(gradient - estimate.value)
        allowance = estimate.bound + u * np.abs(gradient)
        size = np.where(estimate.status == Status.RESOLVED, np.abs(estimate.value), 0.0)
        r = sqrt(ROUNDINGS) * u * largest_shown(size, allowance, outputs)
        few = FEW * u * _largest_beside(structure, np.where(size > allowance, size, 0.0))
        excused = _excused(estimate, deviation, allowance, r, few, u)
        allowance = np.where(excused, estimate.bound + r, allowance)
        agrees = np.isfinite(gradient) & (deviation <= allowance)
        kind = _power(structure, size, allowance, resolution)
    unchanged = (estimate.reach > 0) & (gradient == 0) & (estimate.value == 0)
    kind = judge_zeros(
        structure, kind, size, allowance, gradient, u, unchanged, resolution, outputs
    )
    kind[(kind == Kind.VACUOUS) & _is_flat(estimate, gradient, allowance, resolution)] = Kind.SMALL
    kind[excused & (size > estimate.bound) & (deviation > resolution * size)] = Kind.VACUOUS
    interval = estimate.status == Status.INTERVAL
    kind[interval] = _between_slopes(estimate, allowance, resolution)[interval]
    kind[~agrees] = Kind.FAILED
    kind[(estimate.status == Status.KINK) | (estimate.status == Status.STAIRS)] = Kind.KINK
    unknown = ~np.isfinite(estimate.value) | np.isnan(estimate.bound)
    kind[(estimate.status == Status.NO_STEP) | unknown] = Kind.NOISY
    kind[estimate.status == Status.UNDEFINED] = Kind.UNDEFINED
    kind[estimate.status == Status.NOT_EVALUATED] = Kind.NOT_EVALUATED
    reach = float(estimate.reach[kind == Kind.UNCHANGED].min(initial=np.inf))
    jump = np.where(interval, estimate.jump, 0.0)
    D, B = estimate.value, estimate.bound
    seen = (structure, gradient, D, B, allowance, kind, resolution)
    return Comparison(*seen, reach=reach, jump=jump if jump.any() else None, rounding=r)


def agree(
    structure: Structure,
    gradient: FloatArray,
    reference: Estimate,
    rounding: FloatArray,
    deviation: FloatArray,
    *,
    resolution: float,
) -> Comparison:
    """Compare a gradient with the exact one, within what rounding can do.

    Where `rounding` is infinite the engine's dtype may overflow, and a number that is not finite
    proves nothing.

    Args:
        structure: names of the coordinates.
        gradient: the engine's gradient as one vector.
        reference: the exact gradient and the width of its enclosure.
        rounding: R, one entry a coordinate.
        deviation: s, one entry a coordinate.
        resolution: the power requirement.
    """
    g, D, B = gradient, reference.value, reference.bound
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(g - D)
        allowance = (B + rounding) * (1 + 4 * UNIT)
        agrees = (np.isfinite(g) & (off <= allowance)) | ~np.isfinite(rounding)
        usual = off + B <= CALIBRATED * deviation
        size = np.where(np.isfinite(D), np.abs(D), 0.0)
        kind = _power(structure, size, allowance, resolution)
        vacuous = kind == Kind.VACUOUS
        if vacuous.any():
            narrower = _power(structure, size, rounding, resolution)
            kind[vacuous & (narrower != Kind.VACUOUS)] = Kind.UNRESOLVED
            kind[(kind == Kind.VACUOUS) & (g == D) & (B == 0)] = Kind.EXACT
    kind[~usual & (kind != Kind.VACUOUS) & (kind != Kind.UNRESOLVED)] = Kind.ANOMALOUS
    kind[~agrees] = Kind.FAILED
    kind[~np.isfinite(D) | ~np.isfinite(B)] = Kind.UNRESOLVED
    return Comparison(structure, g, D, B, allowance, kind, resolution, "exact")


def is_within(gradient: FloatArray, value: FloatArray, allowance: FloatArray) -> bool:
    """Whether every coordinate is finite and within its allowance, which must be finite too."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(gradient - value)
    return bool(np.all(np.isfinite(allowance) & (off <= allowance * (1 + 4 * UNIT))))


def beyond(gradient: FloatArray, value: FloatArray, allowance: FloatArray) -> FloatArray:
    """Return the deviation where it is beyond the allowance, NaN elsewhere."""
    with np.errstate(invalid="ignore", over="ignore"):
        off = np.abs(gradient - value)
    return np.where(off <= allowance * (1 + 4 * UNIT), np.nan, off)


def _excused(
    estimate: Estimate,
    deviation: FloatArray,
    allowance: FloatArray,
    r: FloatArray,
    few: FloatArray,
    u: FloatArray,
) -> npt.NDArray[np.bool_]:
    """Tell where more than the allowance is the rounding of larger numbers, and no mistake."""
    size, B = np.abs(estimate.value), estimate.bound
    no_mistake = (deviation <= np.cbrt(u) * size) | (size <= B) | (deviation <= few)
    is_beyond = (deviation > allowance) & (deviation <= B + r)
    return np.asarray(is_beyond & no_mistake & (estimate.status == Status.RESOLVED))


def _between_slopes(
    estimate: Estimate, allowance: FloatArray, resolution: float
) -> npt.NDArray[np.uint8]:
    """Tell slopes that settle on both sides of x from ones with too large an error."""
    half = np.abs(estimate.jump) / 2
    settles = allowance - half <= resolution * (np.abs(estimate.value) + half)
    return np.where(settles, Kind.SUBGRADIENT, Kind.KINK).astype(np.uint8)


def _is_flat(
    estimate: Estimate, gradient: FloatArray, allowance: FloatArray, resolution: float
) -> npt.NDArray[np.bool_]:
    """Tell where x is a stationary point as far as can be seen, and that is far.

    D and g are 0 within the allowance, and what could hide in it is within the resolution of what
    derivatives are at a step's distance.
    """
    zero = (np.abs(estimate.value) <= allowance) & (np.abs(gradient) <= allowance)
    return np.asarray(zero & (allowance <= resolution * estimate.secant))


def _power(
    structure: Structure, size: FloatArray, allowance: FloatArray, resolution: float
) -> npt.NDArray[np.uint8]:
    """Tell informative, small and vacuous coordinates apart."""
    largest = _largest_beside(structure, size)
    kind = np.full(len(size), Kind.VACUOUS, dtype=np.uint8)
    kind[allowance <= resolution * largest] = Kind.SMALL
    kind[allowance <= resolution * size] = Kind.INFORMATIVE
    return kind


def _largest_beside(structure: Structure, size: FloatArray) -> FloatArray:
    """Return the largest size in the array of each coordinate."""
    largest = np.zeros(len(size))
    for leaf in structure.leaves:
        largest[leaf.start : leaf.stop] = size[leaf.start : leaf.stop].max(initial=0.0)
    return largest


def contested(comparison: Comparison, failed: IntArray, opinions: list[Estimate]) -> IntArray:
    """Return the failed coordinates that some opinion does not accuse.

    They are neither wrong nor right: the steps do not agree on them.

    Args:
        comparison: the comparison whose failed coordinates were looked at again.
        failed: which were.
        opinions: estimates at smaller steps, one entry for each of these, in their order.
    """
    g = comparison.engine[failed]
    accused = np.ones(len(failed), dtype=bool)
    for opinion in opinions:
        known = np.isfinite(opinion.value) & np.isfinite(opinion.bound)
        with np.errstate(invalid="ignore", over="ignore"):
            accused &= known & ~(np.abs(g - opinion.value) <= opinion.bound)
    return failed[~accused]
