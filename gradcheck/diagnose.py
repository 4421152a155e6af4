"""Names the likely mistake behind wrong coordinates, from the pattern they make.

Symbols: g the engine's gradient, D the oracle's with bound B, over the failed coordinates.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np

from gradcheck.verdict import Comparison, Kind

CHANCE = 0.01
"""Probability of taking a ratio for a whole number that is none."""

KNOWN_RATIOS: Mapping[float, str] = MappingProxyType(
    {
        -1.0: "the sign is wrong",
        2.0: "a factor 1/2 is missing (or a factor 2 too many)",
        0.5: "a factor 2 is missing (or a factor 1/2 too many)",
    }
)


def likely_mistake(comparison: Comparison) -> str:
    """Return what the failed coordinates have in common, or "" where nothing shows."""
    failed = comparison.kind == Kind.FAILED
    if not failed.any():
        return ""
    found = _zero(comparison, failed) or _ratio(comparison, failed) or _transposed(comparison)
    where = _confined(comparison, failed)
    return "; ".join(part for part in (found, where) if part)


def _zero(c: Comparison, failed: np.typing.NDArray[np.bool_]) -> str:
    return "every wrong coordinate is exactly 0" if not c.engine[failed].any() else ""


def _ratio(c: Comparison, failed: np.typing.NDArray[np.bool_]) -> str:
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
    if 0 < r**2 and abs(r) < 1 / 1.5 and _is_whole(1 / r, doubt / r**2):
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


def _confined(c: Comparison, failed: np.typing.NDArray[np.bool_]) -> str:
    """Name the arrays that hold all wrong coordinates, if others are right."""
    wrong = [x.name for x in c.structure.leaves if failed[x.start : x.stop].any()]
    if len(wrong) == len(c.structure.leaves):
        return ""
    whole = all(failed[x.start : x.stop].all() for x in c.structure.leaves if x.name in wrong)
    return f"only {', '.join(wrong)} {'wholly' if whole else 'partly'} wrong"
