"""What a screen along random signs says of the coordinates of an array."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from types import MappingProxyType

import numpy as np

from gradcheck.differences.directional import norm_seen
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.reasons import Kind
from gradcheck.pytree import Leaf


class Settled(Enum):
    """How far the screen of a block along random signs has come."""

    OPEN = "open"
    SCREENED = "screened"
    ONE_BY_ONE = "one by one"
    WIDESPREAD = "widespread"
    UNEXPLAINED = "unexplained"
    KINK = "kink"
    NOISY = "noisy"


UNSETTLED: Mapping[Settled, Kind] = MappingProxyType(
    {
        Settled.OPEN: Kind.NOT_EVALUATED,
        Settled.WIDESPREAD: Kind.NOT_EVALUATED,
        Settled.UNEXPLAINED: Kind.ANOMALOUS,
        Settled.NOISY: Kind.NOISY,
        Settled.KINK: Kind.KINK,
    }
)
"""What the coordinates of a block are that were not differentiated one by one."""

ESCAPE = 0.01
"""The probability for which the smallest error of many small entries is stated."""


@dataclass(frozen=True)
class Screened:
    """What random directions say of one block of coordinates.

    Attributes:
        leaf: the block: an array of x.
        directions: k, how many agreed since the last wrong coordinate was left out.
        threshold: tau, the largest error bound among these.
        state: how it ended.
        story: what was seen.
    """

    leaf: Leaf
    directions: int
    threshold: float
    state: Settled
    story: tuple[str, ...] = ()

    def told(self) -> str:
        """Say what is known of the block, and what is not."""
        name, k, tau = self.leaf.name, self.directions, self.threshold
        if not k:
            return f"{name}: no random direction was found to agree"
        norm = norm_seen(tau, k, ESCAPE)
        spread = (
            f"; errors spread over many, above {norm:.1g} in norm, with at most {ESCAPE:.0%}"
            if norm < np.inf
            else ""
        )
        return (
            f"{name}: {k} random directions agree; an error above {2 * tau:.1g} in one coordinate "
            "alone would have been seen; beside others it has escaped with probability at most "
            f"2^-{k} = {2.0**-k:.1g}{spread}"
        )


def stands_out(value: float, bound: float) -> bool:
    """Whether a deviation is beyond its bound; NaN is."""
    return not abs(value) <= bound


def screened(comparison: Comparison, blocks: tuple[Screened, ...]) -> Comparison:
    """Judge the coordinates that were screened along random signs, not along their axes.

    Args:
        comparison: that of the coordinates which were differentiated; the others are
            NOT_EVALUATED.
        blocks: what the screen says of each array.
    """
    c = comparison
    kind, bound, allowance = c.kind.copy(), c.bound.copy(), c.allowance.copy()
    k = []
    for block in blocks:
        part = np.arange(block.leaf.start, block.leaf.stop)
        rest = part[kind[part] == Kind.NOT_EVALUATED]
        if block.state in UNSETTLED:
            kind[rest] = UNSETTLED[block.state]
        elif block.state is Settled.SCREENED and rest.size:
            reach = 2 * block.threshold
            bound[rest] = allowance[rest] = reach
            largest = float(np.abs(c.engine[rest]).max())
            kind[rest] = Kind.SCREENED if reach <= c.resolution * largest else Kind.VACUOUS
            k.append(block.directions)
    return replace(c, kind=kind, bound=bound, allowance=allowance, directions=min(k, default=0))
