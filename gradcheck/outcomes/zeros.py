r"""Zeros: derivatives that nothing of their own array is large enough to be judged beside.

Symbols: g the engine's number, D the derivative and A the allowance of a coordinate; S the largest
|D| with |D| > A of its output, or of all outputs where that output has none; u the unit roundoff of
x; reach how far x_j was moved.

A parameter that f does not use has derivative 0, and so have a relu that is off, what a mask
leaves out, a bias before a batch norm. There |D| is 0 or what rounding makes of it, and so are its
neighbours: A <= resolution |D| holds for none. Where the whole array is so, and g is no more than
n = 2^20 roundings of numbers of size S add up to, |g| <= sqrt(n) u S, what could hide in it is at
most A: negligible where A <= resolution S.

Where f did not change by a bit at any step, to about the size of x, the computed f is constant
there and its derivative is 0 to the last digit; it is still asked for A <= resolution S, since f
may be too large to show the change: 10^20 + x. Where nothing stands out, S does not exist, and the
statement about the reach is all there is.
"""

from __future__ import annotations

from math import sqrt

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import BoolArray, FloatArray
from gradcheck.outcomes.reasons import Kind
from gradcheck.pytree import Structure

ROUNDINGS = 2**20
"""n: independent roundings add up to about their square root (a random walk)."""


def judge_zeros(
    structure: Structure,
    kind: npt.NDArray[np.uint8],
    size: FloatArray,
    allowance: FloatArray,
    gradient: FloatArray,
    u: FloatArray,
    unchanged: BoolArray,
    resolution: float,
    outputs: int = 1,
) -> npt.NDArray[np.uint8]:
    """Decide what is vacuous beside its own array only.

    Args:
        structure: names and places of the coordinates.
        kind: as judged beside each array.
        size: |D|, 0 where there is none.
        allowance: A.
        gradient: g.
        u: the unit roundoff of each coordinate.
        unchanged: where the engine says 0 and f did not change by a bit.
        resolution: the power requirement.
        outputs: how many outputs the gradient is of, one after the other.
    """
    vacuous = kind == Kind.VACUOUS
    if not vacuous.any():
        return kind
    with np.errstate(invalid="ignore"):
        shown = np.where(size > allowance, size, 0.0)
    S = largest_shown(size, allowance, outputs)
    negligible = allowance <= resolution * S
    rounding = np.abs(gradient) <= sqrt(ROUNDINGS) * u * S
    found = kind.copy()
    found[vacuous & negligible & rounding & _in_zero_arrays(structure, shown)] = Kind.SMALL
    found[vacuous & unchanged & (negligible | (S == 0))] = Kind.UNCHANGED
    return found


def largest_shown(size: FloatArray, allowance: FloatArray, outputs: int = 1) -> FloatArray:
    """Return S, one entry a coordinate: of its own output, or of all where that shows none.

    Args:
        size: |D|, 0 where there is none.
        allowance: A.
        outputs: how many outputs the gradient is of, one after the other.
    """
    with np.errstate(invalid="ignore"):
        shown = np.where(size > allowance, size, 0.0)
    if not shown.size:
        return shown
    S = np.repeat(shown.reshape(outputs, -1).max(axis=1, initial=0.0), len(shown) // outputs)
    return np.where(S > 0, S, shown.max(initial=0.0))


def _in_zero_arrays(structure: Structure, shown: FloatArray) -> BoolArray:
    """Whether nothing stands out of its allowance in the array of each coordinate."""
    zero = np.ones(len(shown), dtype=bool)
    for leaf in structure.leaves:
        zero[leaf.start : leaf.stop] = not shown[leaf.start : leaf.stop].any()
    return zero
