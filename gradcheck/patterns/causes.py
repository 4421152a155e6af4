r"""Causes that the numbers of any black box show, beyond what holds of every gradient.

Symbols: g the engine's gradient, D the oracle's, A the allowance, d = g - D, x the point; over the
coordinates whose D is known.

    d = c x             a penalty c/2 |x|^2 is in the gradient and not in f, or the other way round
    d = c               a constant is added
    one d != 0          one entry is off by a factor
    g_ij = 2 D_ij, D_ij / 2, D_ij + D_ji, ...    a symmetric argument is counted twice or once
    g = D to k digits   the engine's numbers are rounded

Each is told only where it explains every wrong coordinate, and where coordinates of at least
`DIFFERENT` sizes show it: two numbers fit any line.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from gradcheck.arrays import FloatArray
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.reasons import Kind
from gradcheck.patterns.diagnose import DIFFERENT, RESOLVED, Mask, different, likely_mistake

DIGITS = 8
"""Digits, or decimals, that an engine's numbers may be rounded to for it to be told."""

COMPARED = (Kind.FAILED, Kind.INFORMATIVE, Kind.SMALL, Kind.EXACT, Kind.UNCHANGED, Kind.VACUOUS)


def likely_cause(
    comparison: Comparison, x: FloatArray | None = None, *, otherwise: str = "unknown"
) -> str:
    """Return what the wrong coordinates of a black box have in common.

    Args:
        comparison: of a gradient with differences.
        x: the point, in the order of the gradient; None where there is none to compare with.
        otherwise: what is returned where nothing shows.
    """
    decay = () if x is None else (partial(_proportional_to_x, x=x),)
    also = (*decay, _constant, _rounded)
    first = (_one_entry, _symmetric)
    return likely_mistake(comparison, otherwise=otherwise, first=first, also=also)


def _fit(c: Comparison, inside: Mask, by: FloatArray) -> tuple[float, bool]:
    """Return the c of d = c by, taken where it is known best, and whether it explains all d."""
    d, A, s = (v[inside] for v in (c.engine - c.oracle, c.allowance, by))
    with np.errstate(all="ignore"):
        doubts = np.where(s != 0, A / np.abs(s), np.inf)
        best = int(np.argmin(doubts))
        factor, doubt = float(d[best] / s[best]), float(doubts[best])
        fits = np.abs(d - factor * s) <= A + doubt * np.abs(s)
    known = np.isfinite(factor) and doubt <= RESOLVED * abs(factor)
    return factor, bool(known and fits.all())


def _proportional_to_x(c: Comparison, failed: Mask, x: FloatArray) -> str:
    """Recognise d = c x: a penalty on x that only one of f and its gradient has."""
    if different(np.abs(x[failed])) < DIFFERENT:
        return ""
    factor, fits = _fit(c, failed, x)
    if not fits:
        return ""
    told = f"engine = derivative {factor:+.6g} x in every wrong coordinate: "
    penalty = f"{abs(factor) / 2:.6g} |x|^2 (weight decay)"
    if factor > 0:
        return f"{told}a penalty {penalty} is in the gradient and not in f"
    return f"{told}the gradient of a penalty {penalty} in f is missing"


def _constant(c: Comparison, failed: Mask) -> str:
    """Recognise d = c, in the whole of an array or in the wrong coordinates alone."""
    if different(np.abs(c.oracle[failed])) < DIFFERENT:
        return ""
    constant, fits = _fit(c, failed, np.ones(len(failed)))
    return f"engine = derivative {constant:+.6g} in every wrong coordinate" if fits else ""


def _one_entry(c: Comparison, failed: Mask) -> str:
    """Recognise one wrong coordinate among many right ones, and tell its factor."""
    compared = int(np.isin(c.kind, COMPARED).sum())
    if failed.sum() != 1 or compared < 1 + DIFFERENT:
        return ""
    j = int(np.flatnonzero(failed)[0])
    g, D, A = float(c.engine[j]), float(c.oracle[j]), float(c.allowance[j])
    told = f"only {c.structure.name(j)} of {compared} is wrong"
    if g == 0:
        return f"{told}: it is 0"
    if not RESOLVED * abs(D) >= A:
        return told
    if abs(g + D) <= A:
        return f"{told}: it has the wrong sign"
    return f"{told}: it is {g / D:.6g} x its derivative"


def _symmetric(c: Comparison, failed: Mask) -> str:
    """Recognise a square array whose two triangles are counted once or twice."""
    for leaf in c.structure.leaves:
        part = slice(leaf.start, leaf.stop)
        n = leaf.shape[0] if leaf.shape else 0
        if leaf.shape != (n, n) or n < 2 or not failed[part].any():
            continue
        if not np.isin(c.kind[part], COMPARED).all() or failed.sum() != failed[part].sum():
            continue
        g, D, A = (v[part].reshape(n, n) for v in (c.engine, c.oracle, c.allowance))
        for formula, meaning in _counted(D):
            if np.all(np.abs(formula - 2 * D) <= 2 * (A + A.T)):
                continue  # a factor 2, symmetric or not
            if np.all(np.abs(g - formula) <= 2 * (A + A.T)):
                return f"{leaf.name} {meaning}"
    return ""


def _counted(D: FloatArray) -> list[tuple[FloatArray, str]]:
    """Return what a symmetric argument may be counted as, with what it is called."""
    diagonal = np.diag(np.diag(D))
    once = "a symmetric argument is counted once, not twice"
    twice = "a symmetric argument is counted twice"
    return [
        (2 * D - diagonal, f"has twice its derivative off the diagonal: {twice}"),
        ((D + diagonal) / 2, f"has half of its derivative off the diagonal: {once}"),
        (D + D.T - diagonal, f"is D + D^T - diag D, D its derivative: {twice}"),
        (D + D.T, f"is D + D^T, D its derivative: {twice}"),
        ((D + D.T) / 2, "is (D + D^T) / 2, D its derivative: it is taken for symmetric"),
        (np.tril(D), f"has the lower triangle of its derivative alone: {once}"),
        (np.triu(D), f"has the upper triangle of its derivative alone: {once}"),
    ]


def _rounded(c: Comparison, failed: Mask) -> str:
    """Recognise numbers that are their derivatives to a few decimals or digits."""
    g, D, A = c.engine[failed], c.oracle[failed], c.allowance[failed]
    if different(np.abs(g)) < DIFFERENT:
        return ""
    rules: list[tuple[str, Callable[[float, int], float], Callable[[float, int], float]]] = [
        ("decimals", round, lambda _, k: 0.5 * 10.0**-k),
        ("digits", lambda v, k: float(f"{v:.{k}g}"), lambda v, k: 10.0 ** (_magnitude(v) - k) / 2),
    ]
    for unit, rounding, error in rules:
        for k in range(DIGITS + 1):
            if unit == "digits" and k == 0:
                continue
            short = all(rounding(v, k) == v for v in g.tolist())
            near = np.abs(g - D) <= A + np.array([error(v, k) for v in D.tolist()])
            if short and near.all():
                told = f"{k} {unit}" if k else "whole numbers"
                return f"every wrong coordinate is its derivative rounded to {told}"
    return ""


def _magnitude(v: float) -> int:
    """Return m with 10^(m - 1) <= |v| < 10^m."""
    return int(np.floor(np.log10(abs(v)))) + 1 if v else 0
