r"""Finds the wrong coordinates of a gradient by adaptive group testing along random signs.

Symbols: N coordinates in blocks (the arrays of x) of n each, g the gradient under test,
e = g - grad f, v random signs, T_S = sum_(j in S) v_j e_j the deviation along the signs of a set S
(directional.py), tau_S its error bound.

**Screen.** Each block is tested along `DIRECTIONS` random signs. A test that does not stand out
of its bound is clean. One that does is measured again with a truncation of its own; if it still
stands out, the block is hunted through, what is found is left out, and fresh signs are drawn:
wrong coordinates that cancel under some signs do not under half of the others.

**Hunt**, all with the same signs, so that T_S = T_L + T_R and one test tells two halves apart:

    position  U_S = sum_(j in S) nu_j v_j e_j,  0 < nu_j < 1 increasing with j. One wrong
              coordinate has nu_j = U_S / T_S within (tau_U + tau_T) / |T_S|: the set I of such j
              holds it if it is alone. T_I = T_S confirms it, at 8 forward passes a factor
              |T_S| / tau; where that is less than 2^3, or it is not alone, halving is cheaper.
    halving   T_L is measured, T_R = T_S - T_L, and each half that stands out is hunted through:
              4 forward passes a factor 2 (Hwang 1972, generalised binary splitting, with sums for
              answers).

A set found by its position costs log N / log(|T| / tau) tests, by halving log2 N. Finding the way
uses the likely level of the noise; a coordinate that is reached is differentiated on its own, at
several steps, before it is called wrong.

**Wholly wrong blocks** leave many sets standing at once. Once there are `MANY`, and whenever
they have doubled, `DRAWN` of their coordinates are drawn at random and tested alone. If most are
wrong, no further one is sought: with a share s of wrong ones that has a probability of at most
4 s^3. Where they have doubled `DOUBLINGS` times and no coordinate is wrong alone, many small
errors add up to one that shows: that is said, and nobody is accused.

Source: F. K. Hwang, "A method for detecting all defective members in a population by group
testing", J. Amer. Statist. Assoc. 67 (1972), 605-608.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.directional import Direction, Slope
from gradcheck.differences.lines import BudgetSpentError, Lines
from gradcheck.differences.noise import Noise
from gradcheck.differences.screening import Screened, Settled, stands_out
from gradcheck.outcomes.reasons import Kind
from gradcheck.pytree import Leaf
from gradcheck.splitmix64 import Stream

Kinds = npt.NDArray[np.uint8]
Confirm = Callable[[IntArray], Kinds]

DIRECTIONS = 20
"""k of the miss probability 2^-k = 1e-6 of a PASS."""

AFTERWARDS = 3
"""Clean directions after the last coordinate named: others of a gradient that has failed already
are missed with probability 2^-3."""

PILOTS = 3
"""Directions of each block that look at their own truncation."""

SMALL = 5
"""Coordinates that cost less to differentiate one by one than to screen or to hunt through."""

WORTHWHILE = 8
"""The least factor by which a position must narrow a set: it costs two tests, halving three."""

MANY = 4
"""Sets standing at once, of which every one holds a wrong coordinate."""

DOUBLINGS = 3
"""How often they may double before the hunt is given up."""

DRAWN, MOST = 4, 3
"""Coordinates drawn from them, and how many must be wrong to call the block so."""

NAMED_AT_MOST = 10
"""Wrong coordinates sought in one block."""

CONTRADICTIONS = 2
"""Coordinates of a block that stand out in a group and not alone, before it is given up."""


@dataclass
class _Block:
    """What is known of one array of x."""

    leaf: Leaf
    rest: IntArray
    exponent: int | None = None
    truncation: float = 0.0
    drawn: int = 0
    clean: int = 0
    threshold: float = 0.0
    named: int = 0
    contradictions: int = 0
    state: Settled = Settled.OPEN
    story: list[str] = field(default_factory=list)


def locate(
    lines: Lines,
    noise: Noise,
    gradient: FloatArray,
    confirm: Confirm,
    stream: Stream,
    *,
    progress: Callable[[int], None] | None = None,
) -> tuple[Screened, ...]:
    """Screen a gradient along random signs, and find its wrong coordinates.

    Args:
        lines: the black box at x.
        noise: the noise of one evaluation.
        gradient: g, one entry a coordinate.
        confirm: differentiates coordinates on their own; returns their kinds.
        stream: draws the signs.
        progress: called with the number of coordinates just settled.

    Returns:
        What came of each block. Where the budget of `lines` runs out, the rest is OPEN.
    """
    hunter = _Hunter(lines, noise, gradient, confirm, stream)
    with suppress(BudgetSpentError):
        hunter.run(progress or (lambda _: None))
    return tuple(
        Screened(b.leaf, b.clean, b.threshold, b.state, tuple(b.story)) for b in hunter.blocks
    )


class _Hunter:
    """The screen of all blocks, and the hunt through one."""

    def __init__(
        self,
        lines: Lines,
        noise: Noise,
        gradient: FloatArray,
        confirm: Confirm,
        stream: Stream,
    ) -> None:
        self.lines, self.noise, self.gradient = lines, noise, gradient
        self._confirm, self._stream = confirm, stream
        self._failed = False
        self.blocks = [
            _Block(leaf, np.arange(leaf.start, leaf.stop))
            for leaf in lines.structure.leaves
            if leaf.size
        ]

    def run(self, progress: Callable[[int], None]) -> None:
        """Test every block once, then again, until each is settled."""
        for block in self.blocks:
            at_bounds = block.rest[self.lines.sides(block.rest) != 0]
            if len(block.rest) <= SMALL or len(at_bounds) == len(block.rest):
                self._one_by_one(block, block.rest)
                block.state = Settled.ONE_BY_ONE
                progress(block.leaf.size)
            elif at_bounds.size:  # which no signs can move both ways
                self._one_by_one(block, at_bounds)
        while open_ones := [b for b in self.blocks if b.state is Settled.OPEN]:
            for block in open_ones:
                self._test(block)
                wanted = AFTERWARDS if self._failed else DIRECTIONS
                if block.state is Settled.OPEN and (block.clean >= wanted or not block.rest.size):
                    block.state = Settled.SCREENED
                if block.state is not Settled.OPEN:
                    progress(block.leaf.size)

    def _test(self, block: _Block) -> None:
        """Draw signs for a block; hunt through it if it stands out."""
        v = np.zeros(self.lines.size)
        v[block.rest] = self._stream.signs(len(block.rest))
        direction = self._direction(block.rest, v)
        if block.drawn < PILOTS and not self._failed:
            T = direction.pilot() if block.exponent is None else direction.checked(block.exponent)
            lowest = T.exponent if block.exponent is None else min(T.exponent, block.exponent)
            block.exponent, block.truncation = lowest, max(block.truncation, T.truncation)
        elif block.exponent is None:
            T = direction.pilot()
            block.exponent, block.truncation = T.exponent, T.truncation
        else:
            T = direction.at(block.exponent, block.truncation)
            if stands_out(T.value, T.bound):
                T = direction.refined(T)
        block.drawn += 1
        if T.kink:
            block.state = Settled.KINK
            block.story.append(f"the slope of f jumps at x along random signs of {block.leaf.name}")
        elif not np.isfinite(T.value) or not np.isfinite(T.bound):
            block.state = Settled.NOISY
        elif not stands_out(T.value, T.bound):
            block.clean += 1
            block.threshold = max(block.threshold, T.bound)
        else:
            self._hunt(block, v, T)

    def _hunt(self, block: _Block, v: FloatArray, T: Slope) -> None:
        """Follow a deviation to the coordinates that make it."""
        before = len(block.rest)
        block.clean, block.threshold = 0, 0.0
        queue, draw_at = deque([(block.rest, T)]), MANY
        try:
            while queue and block.state is Settled.OPEN:
                S, T_S = self._narrow(*queue[0], v)
                halves = [] if len(S) == 1 else self._halves(S, T_S, v)
                if len(S) == 1 and S[0] in block.rest:
                    self._one_by_one(block, S)
                queue.popleft()
                queue.extend(halves)
                if len(queue) >= draw_at:
                    self._draw(block, np.concatenate([S for S, _ in queue]), v, T)
                    draw_at *= 2
                if draw_at > MANY * 2**DOUBLINGS:
                    break
        except BudgetSpentError:
            standing = self._told([S for S, _ in queue])
            block.story.append(f"{self._deviation(block, T)}: something is wrong in {standing}, "
                               "but the budget was spent before it was found")  # fmt: skip
            raise
        if queue and block.state is Settled.OPEN:
            block.state = Settled.UNEXPLAINED
            block.story.append(
                f"{self._deviation(block, T)}: many small errors in "
                f"{self._told([S for S, _ in queue])} add up, each too small to be seen alone"
            )
        elif len(block.rest) == before and block.state is Settled.OPEN:
            block.state = Settled.UNEXPLAINED
            block.story.append(f"{self._deviation(block, T)}, but no set of its coordinates does")

    def _deviation(self, block: _Block, T: Slope) -> str:
        off, bound = abs(T.value), T.bound
        return f"{block.leaf.name} is off by {off:.3g} along random signs (bound {bound:.1g})"

    def _told(self, sets: list[IntArray]) -> str:
        first, last = min(int(S[0]) for S in sets), max(int(S[-1]) for S in sets)
        name = self.lines.structure.name
        return name(first) if first == last else f"{name(first)} to {name(last)}"

    def _narrow(self, S: IntArray, T: Slope, v: FloatArray) -> tuple[IntArray, Slope]:
        """Shrink a set to the positions where one wrong coordinate must be, if it is alone."""
        while len(S) > 1:
            doubt = 2 * T.likely / max(abs(T.value) - T.likely, 1e-300)
            if not len(S) * doubt <= len(S) / WORTHWHILE:
                break
            nu = (np.arange(len(S)) + 0.5) / len(S)
            U = self._measured(S, v, T, nu)
            centre = U.value / T.value
            doubt = (U.likely + abs(centre) * T.likely) / (abs(T.value) - T.likely)
            first = int(np.ceil(len(S) * (centre - doubt) - 0.5))
            last = int(np.floor(len(S) * (centre + doubt) - 0.5))
            inside = S[max(first, 0) : max(last + 1, 0)]
            if not 0 < len(inside) <= max(1, len(S) // WORTHWHILE):
                break
            part = self._measured(inside, v, T)
            if stands_out(part.value - T.value, part.likely + T.likely):
                break
            S, T = inside, part
        return S, T

    def _halves(self, S: IntArray, T: Slope, v: FloatArray) -> list[tuple[IntArray, Slope]]:
        """Return the halves of a set that stand out; one is measured, the other is the rest."""
        middle = len(S) // 2
        left = self._measured(S[:middle], v, T)
        both = ((S[:middle], left), (S[middle:], T.less(left)))
        return [(half, part) for half, part in both if stands_out(part.value, part.likely)]

    def _draw(self, block: _Block, standing: IntArray, v: FloatArray, T: Slope) -> None:
        """Test a few coordinates of the sets that stand, each alone: is the block wholly wrong?"""
        drawn = standing[self._stream.permutation(len(standing))[:DRAWN]]
        alone = [self._measured(drawn[i : i + 1], v, T) for i in range(len(drawn))]
        suspects = drawn[[stands_out(part.value, part.likely) for part in alone]]
        if len(suspects) < MOST:
            return
        wrong = self._one_by_one(block, suspects)
        if wrong >= MOST:
            block.state = Settled.WIDESPREAD
            block.story.append(
                f"{wrong} of {len(drawn)} coordinates drawn at random from "
                f"{self._told([np.sort(standing)])} are wrong: errors are widespread there, and "
                "were not sought one by one"
            )

    def _one_by_one(self, block: _Block, coordinates: IntArray) -> int:
        """Differentiate coordinates on their own and leave them out; return how many are wrong."""
        kinds = self._confirm(coordinates)
        if np.any(kinds == Kind.NOT_EVALUATED):
            raise BudgetSpentError
        wrong = int(np.sum(kinds == Kind.FAILED))
        block.rest = np.setdiff1d(block.rest, coordinates, assume_unique=True)
        block.named += wrong
        self._failed = self._failed or wrong > 0
        alone = len(coordinates) == 1 and not self.lines.sides(coordinates).any()
        block.contradictions += int(alone and wrong == 0)
        if block.named >= NAMED_AT_MOST:
            block.state = Settled.WIDESPREAD
            block.story.append(
                f"{block.named} coordinates of {block.leaf.name} are wrong; no more were sought"
            )
        elif block.contradictions >= CONTRADICTIONS:
            block.state = Settled.UNEXPLAINED
            block.story.append(
                f"coordinates of {block.leaf.name} stand out in groups, and differences along "
                "each of them do not say so"
            )
        return wrong

    def _measured(
        self, S: IntArray, v: FloatArray, T: Slope, nu: FloatArray | float = 1.0
    ) -> Slope:
        return self._direction(S, v, nu).at(T.exponent, T.truncation)

    def _direction(self, S: IntArray, v: FloatArray, nu: FloatArray | float = 1.0) -> Direction:
        return Direction(self.lines, self.noise, self.gradient, S, v[S] * nu)
