"""Names the likely mistake behind wrong coordinates, from the pattern they make.

Symbols: g the engine's gradient, D the oracle's with bound B, over the failed coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from gradcheck import blocks
from gradcheck.verdict import Comparison, FloatArray, Kind

CHANCE = 0.01
"""Probability of taking a ratio for a whole number that is none."""

KNOWN_RATIOS: Mapping[float, str] = MappingProxyType(
    {
        -1.0: "the sign is wrong",
        2.0: "a factor 1/2 is missing (or a factor 2 too many)",
        0.5: "a factor 2 is missing (or a factor 1/2 too many)",
    }
)


RESOLVED = 2e-2
"""A ratio that is known less well than to this much of itself is none."""

UNKNOWN = "unknown"

FEWEST = 8
"""Deviations whose signs must differ, to be taken for noise."""

Mask = np.typing.NDArray[np.bool_]


def likely_mistake(comparison: Comparison, *, otherwise: str = UNKNOWN) -> str:
    """Return what the failed coordinates have in common.

    First what holds of all of them (zeros, one ratio, a lower precision), then of one array (its
    transpose, a permutation, zeros or a ratio in some rows), and which arrays hold them.

    Args:
        comparison: of a gradient with an oracle.
        otherwise: what is returned where nothing shows.
    """
    failed = comparison.kind == Kind.FAILED
    if not failed.any():
        return ""
    with np.errstate(all="ignore"):  # engines return numbers of any size
        found = (
            _zero(comparison, failed)
            or _ratio(comparison, failed)
            or _transposed(comparison)
            or _in_one_array(comparison, failed)
            or _precision(comparison, failed)
        )
    where = _confined(comparison, failed)
    return "; ".join(part for part in (found, where) if part) or otherwise


def _zero(c: Comparison, failed: Mask) -> str:
    return "every wrong coordinate is exactly 0" if not c.engine[failed].any() else ""


def _ratio(c: Comparison, failed: Mask) -> str:
    """Recognise g = r D for one number r: every interval [D - B, D + B] r must hold its g."""
    if failed.sum() < 2:
        return ""
    g, D, B = c.engine[failed], c.oracle[failed], c.allowance[failed]
    size = np.abs(D)
    best = int(np.argmin(np.divide(B, size, out=np.full_like(B, np.inf), where=size > 0)))
    if not np.isfinite(g[best]) or D[best] == 0:
        return ""
    r = g[best] / D[best]
    doubt = abs(r) * B[best] / abs(D[best])
    if not doubt <= RESOLVED * max(abs(r), 1.0):
        return ""
    if not np.all(np.abs(g - r * D) <= abs(r) * B + doubt * np.abs(D)):
        return ""
    return _meaning(r, doubt)


def _meaning(r: float, doubt: float) -> str:
    """Say what a constant ratio r, known to within `doubt`, usually comes from."""
    told = f"engine = {r:.8g} x the derivative in every wrong coordinate"
    for known, meaning in KNOWN_RATIOS.items():
        if abs(r - known) <= doubt:
            return f"{told}: {meaning}"
    if abs(r) > 1.5 and _is_whole(r, doubt):
        return f"{told}: a sum where a mean is meant?"
    if r**2 > 0 and abs(r) < 1 / 1.5 and _is_whole(1 / r, doubt / r**2):
        return f"{told}, 1/{round(1 / r)}: a mean taken twice, or over the wrong axis?"
    return told


def _is_whole(number: float, doubt: float) -> bool:
    """Whether it is a whole number within its doubt, which any number would be if that were wide.

    A number that is not whole comes as near to one as `doubt` with probability 2 doubt.
    """
    return bool(2 * doubt <= CHANCE) and abs(number - round(number)) <= doubt


def _transposed(c: Comparison) -> str:
    """Recognise a matrix that is the transpose of the right one."""
    for leaf in c.structure.leaves:
        if len(leaf.shape) != 2 or min(leaf.shape) < 2:
            continue
        part = slice(leaf.start, leaf.stop)
        if not np.any(c.kind[part] == Kind.FAILED):
            continue
        g = c.engine[part].reshape(leaf.shape)
        D, B = (a[part].reshape(leaf.shape) for a in (c.oracle, c.allowance))
        for turned in (g.reshape(leaf.shape[::-1]).T, g.T if g.shape[0] == g.shape[1] else g):
            if np.all(np.abs(turned - D) <= B):
                return f"{leaf.name} holds the transpose of its derivative"
    return ""


def _in_one_array(c: Comparison, failed: Mask) -> str:
    """Look for a pattern inside the one array that holds all wrong coordinates."""
    wrong = [x for x in c.structure.leaves if failed[x.start : x.stop].any()]
    if len(wrong) != 1 or len(wrong[0].shape) not in (1, 2):
        return ""
    leaf = wrong[0]
    shape = (leaf.shape[0], leaf.size // max(leaf.shape[0], 1))
    part = slice(leaf.start, leaf.stop)
    g, D, B = (a[part].reshape(shape) for a in (c.engine, c.oracle, c.allowance))
    names = ("row", "column") if len(leaf.shape) == 2 else ("entry", "")
    with np.errstate(all="ignore"):
        found = blocks.pattern(g, D, B, failed[part].reshape(shape), names)
    return f"{leaf.name} {found[1]}" if found else ""


def _precision(c: Comparison, failed: Mask) -> str:
    """Recognise numbers that are those of a shorter format, or that deviate as if they had been."""
    if any(leaf.dtype != np.float64 for leaf in c.structure.leaves):
        return ""
    g, D = c.engine[failed].astype(np.float64), c.oracle[failed]
    for dtype in (np.float16, np.float32):
        with np.errstate(all="ignore"):
            short = g.astype(dtype)
            near = np.abs(g - D) <= np.abs(np.spacing(short)).astype(float) + c.allowance[failed]
        if np.array_equal(short.astype(np.float64), g) and np.all(near) and g.any():
            return f"every wrong coordinate is rounded to {dtype.__name__}"
    return _noise(g, D)


def _noise(g: FloatArray, D: FloatArray) -> str:
    """Recognise relative errors of both signs and of the size of float32 rounding."""
    if len(g) < FEWEST or not np.all(D):
        return ""
    relative = (g - D) / np.abs(D)
    few, signs = len(g) // 4, int(np.sum(relative > 0))
    size = float(np.median(np.abs(relative))) / float(np.finfo(np.float32).eps)
    if few <= signs <= len(g) - few and 1 / 32 <= size <= 32:
        return "the deviations have both signs and the size of rounding to float32"
    return ""


def _confined(c: Comparison, failed: Mask) -> str:
    """Name the arrays that hold all wrong coordinates, if others are right."""
    wrong = [x.name for x in c.structure.leaves if failed[x.start : x.stop].any()]
    if len(wrong) == len(c.structure.leaves):
        return ""
    whole = all(failed[x.start : x.stop].all() for x in c.structure.leaves if x.name in wrong)
    told = f"only {', '.join(wrong)} {'wholly' if whole else 'partly'} wrong"
    leaf = next(x for x in c.structure.leaves if x.name == wrong[0])
    if whole or len(wrong) > 1 or len(leaf.shape) != 2:
        return told
    place = blocks.place(failed[leaf.start : leaf.stop].reshape(leaf.shape), ("row", "column"))
    return f"{told} ({place})" if place else told
