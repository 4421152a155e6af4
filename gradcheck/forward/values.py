r"""Numbers with a bound of their error, for functions that nobody has analysed one by one.

    z = a W^T + b        dz = da |W|^T + gamma_{n+2} ((|a| + da) |W|^T + |b|)
    a = phi(z)           da = K dz + 16 u (1 + |a|)
    C = sum_k t_k(p)     dC = max(|t_k(p + dp) - t_k(p)|, |t_k(p - dp) - t_k(p)|) + 16 u |t_k|

K is a number that |phi'| does not exceed: of the sigmoid, 1/4 or sigma(z + dz). phi is made of at
most four functions (exp, log1p, tanh, a quotient) of relative error 4 u each, whose results
1 + |a| bounds. A term t of the loss is
monotone or convex in p: over an interval its largest deviation is at one of the ends. A sum of N
terms in any order errs by gamma_N times the sum of their sizes (Higham 2002, section 3.1). All
bounds are doubled: the engine errs, and so does the evaluation here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np

from gradcheck.arrays import Float64Array

Value: TypeAlias = tuple[Float64Array, Float64Array]
"""A number and the bound of its error, entry by entry."""

K_FUNCTIONS = 16
"""Roundings of four functions of 4 u each."""


def gamma(n: float, u: float) -> float:
    """Return n u / (1 - n u), infinite where that says nothing."""
    return n * u / (1 - n * u) if n * u < 1 else np.inf


def affine(a: Value, W: Float64Array, b: Float64Array, u: float) -> Value:
    """Return a W^T + b."""
    x, d = a
    size = np.abs(W).T
    error = d @ size + gamma(W.shape[1] + 2, u) * ((np.abs(x) + d) @ size + np.abs(b))
    return x @ W.T + b, error


def smooth(
    phi: Callable[[Float64Array], Float64Array],
    slope: float | Float64Array,
    z: Value,
    u: float,
    floor: float = 1.0,
) -> Value:
    """Return phi(z), |phi'| <= slope; with floor 0, of relative accuracy."""
    a = phi(z[0])
    return a, slope * z[1] + K_FUNCTIONS * u * (floor + np.abs(a))


def total(
    terms: Callable[[Float64Array, Float64Array], Sequence[Float64Array]],
    p: Value,
    y: Float64Array,
    u: float,
) -> tuple[Float64Array, Float64Array]:
    """Return the sum of all terms over examples and outputs, the last two axes."""
    x, d = p
    middle, up, down = (terms(each, y) for each in (x, x + d, x - d))
    value, error, size = np.zeros(1), np.zeros(1), np.zeros(1)
    for t, high, low in zip(middle, up, down, strict=True):
        moved = np.maximum(np.abs(high - t), np.abs(low - t)) + K_FUNCTIONS * u * np.abs(t)
        value = value + _sum(t)
        error = error + _sum(moved)
        size = size + _sum(np.abs(t))
    error = 2 * (error + gamma(x.shape[-1] * x.shape[-2] * len(middle) + 8, u) * (size + error))
    return value, np.where(np.isfinite(error), error, np.inf)


def _sum(t: Any) -> Float64Array:
    return np.asarray(np.sum(t, axis=(-2, -1)), np.float64)
