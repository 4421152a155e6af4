"""Conventions: what an engine says where the slope of f jumps, in words."""

from __future__ import annotations

import numpy as np

from gradcheck.outcomes.comparison import Comparison, one_sided
from gradcheck.outcomes.reasons import Kind


def conventions(comparison: Comparison) -> list[str]:
    """Say which of the one-sided slopes an engine chose at kinks, each choice once.

    L and R are the centre of the interval less and plus half of the jump.
    """
    c = comparison
    rows = np.flatnonzero(c.kind == Kind.SUBGRADIENT)
    if c.jump is None or not rows.size:
        return []
    chosen: dict[str, list[int]] = {}
    for j in rows.tolist():
        chosen.setdefault(_choice(c, j, float(c.jump[j])), []).append(j)
    return [_told(c, choice, at, float(c.jump[at[0]])) for choice, at in chosen.items()]


def _choice(c: Comparison, j: int, jump: float) -> str:
    """Name the slope that g is: within an eighth of the jump, to be told from its neighbours."""
    position = (float(c.engine[j]) - float(c.oracle[j])) / jump
    for at, name in ((-1 / 2, "the left slope"), (1 / 2, "the right slope"), (0.0, "their mean")):
        if abs(position - at) <= 1 / 8:
            return name
    return "a number between them"


def _told(c: Comparison, choice: str, at: list[int], jump: float) -> str:
    j, more = at[0], f" (and {len(at) - 1} more)" if len(at) > 1 else ""
    L, R = one_sided(float(c.oracle[j]), float(c.bound[j]), jump)
    return (
        f"{c.structure.name(j)}{more}: f has a kink at x, with slope {L:.3g} on the left and "
        f"{R:.3g} on the right; the engine says {float(c.engine[j]):.3g}, {choice}: a convention, "
        "allowed"
    )
