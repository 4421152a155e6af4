"""Where z is asked about: from -800 to 800, close where functions usually break."""

from __future__ import annotations

import numpy as np

FARTHEST = 800.0

ORDINARY = (0.01, 0.1, 0.3, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16)
"""Where every sigmoid has digits in float32."""

EDGES = {
    # sigma rounds to 1 (16.6, 17.3); e^z is infinite, e^-z is subnormal (87.3, 88.7); 0 (103.97)
    "float32": (16.7, 17.4, 19, 21, 23, 25, 28, 31, 36, 41, 50, 60, 75, 87, 88, 89, 95, 103.5,
                104.5, 150, 250, 400, 600, 709.5, 720, 750,
                FARTHEST),
    # sigma rounds to 1 (36.04, 36.7, 37.4); e^z is infinite, e^-z is subnormal (709.8, 708.4); 0
    # (745.1); and what happens in float32
    "float64": (17, 18, 19, 21, 23, 25.5, 28, 31, 34, 36, 36.5, 37, 37.5, 41, 46, 52, 60, 70, 80,
                88, 89, 103, 105, 120, 150, 200, 300, 400, 500, 600, 700, 709.5, 710, 740, 746,
                FARTHEST),
}  # fmt: skip

NARROW = 2.0**-12
"""Relative width down to which the ends of intervals are sought."""

APART = 4.0
"""Numbers of one sign whose ratio is greater are halved in their logarithms."""


def grid(dtype: str) -> list[float]:
    """Return where z is asked about first, in order, every number of the dtype."""
    close = (least(dtype), 2.0**-40, 2.0**-20)
    positive = [float(np.dtype(dtype).type(z)) for z in (*close, *ORDINARY, *EDGES[dtype])]
    return sorted({0.0, *positive, *(-z for z in positive)})


def least(dtype: str) -> float:
    """Return the least z but 0: twice the smallest normal number, so that z / 2 is normal."""
    return 2 * float(np.finfo(dtype).tiny)


def between(low: float, high: float, dtype: str) -> float | None:
    """Return a number of the dtype to halve (low, high) with, None where it is narrow enough."""
    size = max(abs(low), abs(high))
    if size <= APART * least(dtype) or high - low <= NARROW * size:
        return None
    if 0 in (low, high):
        middle = _signed(low + high, np.sqrt(least(dtype)) * np.sqrt(size))
    elif low * high > 0 and not 1 / APART <= low / high <= APART:
        middle = _signed(low, np.sqrt(abs(low)) * np.sqrt(abs(high)))
    else:
        middle = (low + high) / 2
    z = float(np.dtype(dtype).type(middle))
    return z if low < z < high else None


def _signed(like: float, size: float) -> float:
    return float(np.copysign(size, like))
