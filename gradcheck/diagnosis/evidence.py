"""Counts what a finding rests on: problems that were asked, answered, and that show the mistake.

A problem shows a mistake where the wrong value, told apart from the right one, is the engine's.
What is seen at one point only, or at points that are all alike, is no formula: any number is some
multiple of another one. A **point** is a value of (|z_l|, Y) for an error delta_l, and a value of
|D| for a block or the whole gradient.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.claims import ERRORS, B, W, above, how_many_hold, there, value_of
from gradcheck.diagnosis.finding import FORMULA, UNKNOWN
from gradcheck.diagnosis.formula import ANSWER, HIDDEN, OUTPUT, WEIGHT
from gradcheck.diagnosis.peel import answer_beside
from gradcheck.diagnosis.seen import blocks_of, terms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcheck.diagnosis.finding import Finding
    from gradcheck.diagnosis.seen import Seen
    from gradcheck.diagnosis.symbols import Symbols
    from gradcheck.problem import Array

POINTS = 3
"""So many different points make a formula: one gives any factor, two a factor and a term."""

ENOUGH = 3
"""So many different problems must show a mistake that is called sure."""

DIGITS = 6
"""Points that agree in so many digits are alike."""

Point = tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """What a finding rests on.

    Attributes:
        asked: different problems, the failing one among them.
        refused: those that were not answered.
        shown: those that show the mistake.
        points: how many different points they show it at.
    """

    asked: int = 1
    refused: int = 0
    shown: int = 1
    points: int = POINTS

    @property
    def is_formula(self) -> bool:
        """Whether the points differ enough for a formula to be told."""
        return self.points >= POINTS

    @property
    def is_enough(self) -> bool:
        """Whether enough problems show it for it to be called sure."""
        return self.shown >= ENOUGH

    def told(self) -> str:
        """Say how many problems show it."""
        if self.asked - self.refused == 1 and self.refused:
            return f"fits the one problem that was answered; {_were(self.refused)} refused"
        found = f"found on {self.shown} of {self.asked} problems asked"
        return f"{found}; {_were(self.refused)} refused" if self.refused else found


def _were(many: int) -> str:
    return f"{many} were" if many > 1 else "1 was"


def evidence(finding: Finding, seen: Sequence[Seen], *, refused: int, elsewhere: int) -> Evidence:
    """Count what the first candidate of a finding rests on.

    Args:
        finding: the first one on the backward path.
        seen: the answers to problems of the same structure, the failing one among them.
        refused: how many problems were not answered.
        elsewhere: how many problems of another structure are known to show the mistake.
    """
    points: set[Point] = set()
    shown = 0
    for one in seen:
        here = points_of(finding, one)
        shown += bool(here - points)  # the same points again are nothing new
        points |= here
    asked = len(seen) + refused + elsewhere
    return Evidence(asked, refused, shown + elsewhere, len(points) + POINTS * elsewhere)


def without_batch(finding: Finding, every: Sequence[Seen]) -> Finding:
    """Leave out formulas about the batch where no problem has examples that differ."""
    if finding.kind != FORMULA or any(_has_batch(seen) for seen in every):
        return finding
    kept = tuple(c for c in finding.candidates if not (c.formula and c.formula.of_batch))
    return replace(finding, candidates=kept)


def _has_batch(seen: Seen) -> bool:
    both = np.hstack([seen.symbols.X, seen.symbols.Y])
    return bool(np.any(both != both[0]))


def counterpart(seen: Seen, place: str) -> int:
    """Return the layer to look at in another structure: its output, or the highest wrong one.

    0 where there is none: all is right there, or what is wrong is above.
    """
    top = seen.symbols.L
    if place == OUTPUT:
        return top
    wrong = [k for k, pair in seen.wrong.items() if any(bool(block.any()) for block in pair)]
    highest = max(wrong, default=0)
    return highest if place != HIDDEN or highest < top else 0


def _at(seen: Seen, layer: int) -> bool:
    """Whether a layer is wrong."""
    return any(bool(block.any()) for block in seen.wrong[layer])


def held_elsewhere(
    finding: Finding, known: Evidence, more: Sequence[Seen]
) -> tuple[Finding, Evidence]:
    """Keep the formulas that hold on problems of another structure too, and count these.

    Where the engine is right on them nothing is learnt: some mistakes are of some sizes only. So it
    is of plain factors, which may depend on the sizes.

    Args:
        finding: whose candidates are looked at.
        known: what it rests on so far.
        more: answers to problems of another structure.
    """
    there = [(one, k) for one in more if (k := counterpart(one, finding.place)) and _at(one, k)]
    formulas = [c for c in finding.candidates if c.formula is not None]
    if not there or len(formulas) < len(finding.candidates):
        return finding, known
    kept = []
    for c in formulas:
        alone = [(replace(finding, layer=k, candidates=(c,)), one) for one, k in there]
        if all(how_many_hold((f,), one) for f, one in alone):
            kept.append((c, [points_of(f, one) for f, one in alone]))
    if not kept:
        return replace(finding, candidates=()), replace(known, points=0)
    points = [p for p in kept[0][1] if p]
    shown, apart = known.shown + len(points), known.points + len(frozenset().union(*points))
    counted = replace(known, asked=known.asked + len(more), shown=shown, points=apart)
    return replace(finding, candidates=tuple(c for c, _ in kept)), counted


def points_of(finding: Finding, seen: Seen) -> set[Point]:
    """Return the points of one problem at which a wrong value is seen and not the right one."""
    if finding.kind == UNKNOWN or how_many_hold((finding,), seen) < 1:
        return set()
    with np.errstate(all="ignore"):
        if finding.place == ANSWER:
            g, D, room = answer_beside(seen)
            return _alike(D[np.abs(g - D) > room])
        s = seen.symbols
        for layer in range(s.L, finding.layer, -1):
            delta = above(finding, s, layer, seen)
            if delta is None:
                return set()
            s = s.knowing(layer, delta, seen.g[layer][W])
        return _of_layer(finding, s, seen)


def _of_layer(finding: Finding, s: Symbols, seen: Seen) -> set[Point]:
    layer, candidate = finding.layer, finding.candidates[0]
    if finding.place in ERRORS:
        right = s.error(layer)
        wrong = value_of(there(candidate, s, layer, seen), finding.place, s, layer)
        pairs = zip(blocks_of(s, layer, wrong), blocks_of(s, layer, right), strict=True)
        terms = terms_of(s, layer, right)
        apart = [
            np.abs(x - y) > seen.room(layer, T) for (x, y), T in zip(pairs, terms, strict=True)
        ]
        units = np.hstack(apart).any(axis=1)
        where = (wrong != right) & units
        targets = s.Y if finding.place == OUTPUT else np.zeros_like(right)
        return _alike(np.abs(s.z[layer])[where], targets[where])
    s = s.knowing(layer, s.error(layer), seen.g[layer][W])
    which = W if finding.place == WEIGHT else B
    D = blocks_of(s, layer, s.delta[layer])[which]
    room = seen.room(layer, terms_of(s, layer, s.delta[layer])[which])
    return _alike(D[np.abs(seen.g[layer][which] - D) > room])


def _alike(*columns: Array) -> set[Point]:
    """Return the different points among rows of numbers."""
    rows = zip(*(np.abs(column).ravel().tolist() for column in columns), strict=True)
    return {tuple(f"{x:.{DIGITS}g}" for x in row) for row in rows}
