"""What is done to a whole right gradient at last: clipped, rounded, divided by its own size."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gradcheck.problem import Array

EPSILONS = (0.0, 1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
DECIMALS = range(1, 15)

Changed = tuple[str, str, "Array", "Array"]


def changed(g: Array, D: Array, dtype: np.dtype[np.floating]) -> Iterator[Changed]:
    """Yield what a right gradient D may have been turned into.

    Args:
        g: the engine's gradient, which parameters are read from.
        D: the right one.
        dtype: of the problem.

    Yields:
        A key, what is said, the changed gradient, and how far g may be from it beyond rounding.
    """
    exactly = np.zeros_like(D)
    with np.errstate(all="ignore"):
        for eps in EPSILONS:
            told = f"has each entry g divided by |g| + {eps:g}"
            yield "own size", told, D / (np.abs(D) + eps), exactly
    largest = float(np.abs(g).max(initial=0.0))
    if largest > 0 and np.sum(np.abs(D) > largest) > 1:
        told = f"has every entry clipped to [-{largest:.6g}, {largest:.6g}]"
        yield "entries clipped", told, np.clip(D, -largest, largest), exactly
    for d in DECIMALS:
        if np.allclose(g, np.round(g, d), rtol=2 * np.finfo(dtype).eps, atol=0) and g.any():
            half = np.full_like(D, 0.5 * 10.0**-d)
            yield "decimals", f"is rounded to {d} decimals", D, half
            break
    if dtype == np.float64 and np.array_equal(g, g.astype(np.float32)):
        spacing = np.abs(np.spacing(g.astype(np.float32))).astype(float)
        yield "in float32", "is rounded to float32", D, spacing
