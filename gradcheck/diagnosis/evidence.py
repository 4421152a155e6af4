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
from gradcheck.diagnosis.factors import FACTOR
from gradcheck.diagnosis.finding import FORMULA, UNKNOWN
from gradcheck.diagnosis.formula import ANSWER, HIDDEN, OUTPUT, WEIGHT
from gradcheck.diagnosis.peel import answer_beside
from gradcheck.diagnosis.seen import blocks_of, terms_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcheck.arrays import Array
    from gradcheck.diagnosis.claims import Findings
    from gradcheck.diagnosis.finding import Candidate, Finding
    from gradcheck.diagnosis.seen import Seen
    from gradcheck.diagnosis.symbols import Symbols

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
        is_varied: whether they have units of both signs of z_l.
    """

    asked: int = 1
    refused: int = 0
    shown: int = 1
    points: int = POINTS
    is_varied: bool = True

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


NUMBERS = (FACTOR, "factor 2", "factor 1/2", "sign", "zero")
"""Factors that are the same numbers whatever the sizes."""

Shown = tuple["Findings", "Seen"]
"""A finding as it is on one problem, with what else is wrong in its layer there."""


def evidence(
    findings: Findings, seen: Sequence[Seen], refused: int, far: Sequence[Shown]
) -> Evidence:
    """Count what the first candidate of a finding rests on.

    Args:
        findings: the first one on the backward path, and what else is wrong in its layer.
        seen: the answers to problems of the same structure, the failing one among them.
        refused: how many problems were not answered.
        far: the same mistake on problems of another structure.
    """
    every = [*((findings, one) for one in seen), *far]
    return _counted(every, Evidence(len(every) + refused, refused, 0, 0, is_varied=False))


def _counted(every: Sequence[Shown], known: Evidence) -> Evidence:
    """Add problems to what is known; one that shows points that are known already adds nothing."""
    points: set[Point] = set()
    shown, signs = 0, set()
    for findings, one in every:
        here = points_of(findings, one)
        shown += bool(here - points)
        points |= here
        if here:
            signs |= set(
                np.sign(one.symbols.z[findings[0].layer or one.symbols.L]).ravel().tolist()
            )
    return replace(
        known,
        shown=known.shown + shown,
        points=known.points + len(points),
        is_varied=known.is_varied or {-1.0, 1.0} <= signs,
    )


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
    finding: Finding,
    beside: Findings,
    known: Evidence,
    more: Sequence[Seen],
    *,
    is_general: bool,
) -> tuple[Finding, Evidence]:
    """Keep the formulas that hold on problems of another structure too, and count these.

    Where the engine is right on them nothing is learnt: some mistakes are of some sizes only. So it
    is of plain numbers, which may depend on the sizes, unless one of another structure has them,
    and of factors with a meaning, which may have none there.

    Args:
        finding: whose candidates are looked at.
        beside: what else is wrong in its layer.
        known: what it rests on so far.
        more: answers to problems of another structure.
        is_general: whether one of another structure is known to show it.
    """
    there = [(one, k) for one in more if (k := counterpart(one, finding.place)) and _at(one, k)]
    if finding.place == OUTPUT:
        there = [(_with_residuals_rounded(one), k) for one, k in there]
    if not there or not (is_general or all(c.formula for c in finding.candidates)):
        return finding, known
    kept: list[tuple[Candidate, list[Shown]]] = []
    for c in finding.candidates:
        told = (replace(finding, candidates=(c,)), *beside)
        every = [(_in_layer(told, k), one) for one, k in there]
        is_meant = c.formula is None and c.key not in NUMBERS
        if is_meant or all(how_many_hold(f, one) for f, one in every):
            kept.append((c, every))
    if not kept:
        return replace(finding, candidates=()), replace(known, points=0)
    counted = _counted(kept[0][1], replace(known, asked=known.asked + len(more)))
    return replace(finding, candidates=tuple(c for c, _ in kept)), counted


def _with_residuals_rounded(seen: Seen) -> Seen:
    """Let numbers of layer L be off by the rounding of a_L - t, t any target, |t| <= 1.

    Where a unit is saturated nothing else may be left of the wrong error, while the right one is 1.
    """
    s = seen.symbols
    operands = np.broadcast_to(2 * np.abs(s.top), s.Y.shape)
    room = max(float(seen.room(s.L, T).max()) for T in terms_of(s, s.L, operands))
    return replace(seen, least=seen.least + room)


def _in_layer(findings: Findings, layer: int) -> Findings:
    return tuple(replace(f, layer=layer) for f in findings)


def points_of(findings: Findings, seen: Seen) -> set[Point]:
    """Return the points of one problem at which the first wrong value is seen, not the right one.

    Args:
        findings: the first one on the backward path, and what else is wrong in its layer.
        seen: the answer to the problem.
    """
    finding = findings[0]
    if finding.kind == UNKNOWN or how_many_hold(findings, seen) < 1:
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
