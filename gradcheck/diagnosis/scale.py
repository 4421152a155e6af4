"""What is done to a whole right gradient at last: clipped, rounded, divided by its own size."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from gradcheck.arrays import Array

EPSILONS = (0.0, 1e-12, 1e-10, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3)
DECIMALS = range(1, 15)


class Changed(NamedTuple):
    """What a right gradient may have been turned into.

    Attributes:
        key: names it.
        says: what is said.
        value: turns any right gradient into the changed one.
        slack: of entries that are rounded, how far from the right ones they may be.
        is_round: of a gradient, whether its entries are rounded in this way.
    """

    key: str
    says: str
    value: Callable[[Array], Array]
    slack: Callable[[Array], Array] | None = None
    is_round: Callable[[Array], bool] | None = None


def changed(g: Array, D: Array, dtype: np.dtype[np.floating]) -> Iterator[Changed]:
    """Yield what a right gradient D may have been turned into.

    Args:
        g: the engine's gradient, which parameters are read from.
        D: the right one.
        dtype: of the problem.
    """
    for eps in EPSILONS:
        told = f"has each entry g divided by |g| + {eps:g}"
        yield Changed("own size", told, partial(_by_own_size, eps))
    largest = float(np.abs(g).max(initial=0.0))
    if largest > 0 and np.sum(np.abs(D) > largest) > 1:
        told = f"has every entry clipped to [-{largest:.6g}, {largest:.6g}]"
        yield Changed("entries clipped", told, partial(_clipped, largest))
    lost, kept = np.abs(D[g == 0]), np.abs(D[g != 0])
    if np.sum(lost > 0) > 1 and len(kept) and lost.max() < kept.min():
        t = _between(float(lost.max()), float(kept.min()))
        told = f"has every entry that is smaller than {t:.4g} or so made 0"
        yield Changed("small entries", told, partial(_without_small, t))
    eps = 2 * float(np.finfo(dtype).eps)
    for d in DECIMALS:
        decimals = _to_decimals(d, eps)
        if decimals.is_round is not None and decimals.is_round(g) and g.any():
            yield decimals
            break
    if dtype == np.float64 and _is_float32(g):
        told = "is rounded to float32"
        yield Changed("in float32", told, _in_float32, _spacing, _is_float32)


def _to_decimals(d: int, eps: float) -> Changed:
    def rounded(D: Array) -> Array:
        return np.round(D, d)

    def half(D: Array) -> Array:
        return np.full_like(D, 0.5 * 10.0**-d)

    def is_round(g: Array) -> bool:
        return bool(np.allclose(g, np.round(g, d), rtol=eps, atol=0))

    return Changed("decimals", f"is rounded to {d} decimals", rounded, half, is_round)


def _by_own_size(eps: float, D: Array) -> Array:
    with np.errstate(all="ignore"):
        return D / (np.abs(D) + eps)


def _clipped(largest: float, D: Array) -> Array:
    return np.clip(D, -largest, largest)


def _between(low: float, high: float) -> float:
    """Return a power of ten between two numbers, else their geometric mean."""
    power = 10.0 ** np.floor(np.log10(high))
    return float(power if power > low else np.sqrt(low * high))


def _without_small(t: float, D: Array) -> Array:
    return np.where(np.abs(D) < t, 0.0, D)


def _in_float32(D: Array) -> Array:
    return D.astype(np.float32).astype(float)


def _spacing(D: Array) -> Array:
    return np.abs(np.spacing(D.astype(np.float32))).astype(float)


def _is_float32(g: Array) -> bool:
    return bool(np.array_equal(g, g.astype(np.float32)))
