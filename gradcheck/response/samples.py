"""What the samples of a curve are: numbers or not, and runs of equal ones."""

from __future__ import annotations

from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from gradcheck.response.curve import Curve

OTHER, NAN, INFINITE = "other", "nan", "inf"

SAME = 16
"""Numbers so many units apart count as one: quotients of derivatives are rounded."""

FLAT = 3
"""So many equal numbers in a row are a constant, where the exact ones differ."""

WIDE, WIDE_SHARE, LEAST_WIDE = 2.5, 0.1, 0.25
"""A constant is kept for so long a part of the z axis, or for that share of z where z is small;
digits that are lost leave shorter steps: e^-z changes by a factor 12 in WIDE. So do tables."""


def kinds_of(curve: Curve) -> npt.NDArray[np.object_]:
    """Return of every sample OTHER for a number, NAN, "inf", "-inf", or what was raised."""
    kinds = np.full(len(curve.z), OTHER, object)
    kinds[np.isnan(curve.value)] = NAN
    kinds[curve.value == inf] = INFINITE
    kinds[curve.value == -inf] = f"-{INFINITE}"
    for i, told in enumerate(curve.told):
        if told:
            kinds[i] = told
    return kinds


def flat_runs(curve: Curve) -> npt.NDArray[np.intp]:
    """Number the runs of equal values where the exact ones differ, from 1; 0 elsewhere.

    A run of zeros counts however short it is; one of another constant must be long.
    """
    u = float(np.finfo(curve.dtype).eps) / 2
    z, v, e = curve.z, curve.value, curve.exact
    with np.errstate(all="ignore"):
        room = np.where(np.isfinite(v), SAME * u * np.abs(v), np.nan)
        starts = [0]
        numbers, rooms = v.tolist(), room.tolist()
        for i in range(1, len(v)):
            if not abs(numbers[i] - numbers[starts[-1]]) <= rooms[starts[-1]]:
                starts.append(i)
        found = np.zeros(len(v), np.intp)
        for number, (start, end) in enumerate(pairwise([*starts, len(v)]), start=1):
            if end - start < FLAT or not (v[start] == 0 or _is_wide(z[start:end])):
                continue
            run = e[start:end]
            if np.ptp(run) > 4 * SAME * u * np.abs(run).max():
                found[start:end] = number
    return found


def _is_wide(z: npt.NDArray[np.float64]) -> bool:
    return bool(np.ptp(z) >= max(LEAST_WIDE, min(WIDE, WIDE_SHARE * np.abs(z).max())))
