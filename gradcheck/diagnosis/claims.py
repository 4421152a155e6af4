"""Holds what was found on one problem to the engine's answers to others of the same structure.

Findings are a model of the engine: each says what one step gives. On another problem the model goes
down the backward path as `peel` does, with every step right but those that are claimed wrong, and
the engine's blocks must be those of the model, within the room.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.factors import FACTOR, known_factors
from gradcheck.diagnosis.finding import FORMULA, UNKNOWN, Candidate, Finding
from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT
from gradcheck.diagnosis.peel import answer_beside
from gradcheck.diagnosis.seen import blocks_of, terms_of
from gradcheck.diagnosis.thresholds import again, narrowed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcheck.arrays import Array
    from gradcheck.diagnosis.seen import Pair, Seen
    from gradcheck.diagnosis.symbols import Symbols

Findings = tuple[Finding, ...]

W, B = 0, 1
ERRORS = (OUTPUT, HIDDEN)

DIVIDED = re.compile(r"divided by (n|[0-9]+)")


def confirmed(findings: Findings, others: Sequence[Seen]) -> Findings:
    """Return the findings, from the first on, that every other problem bears out.

    Of the first one those candidates are kept that they bear out. Something must be wrong in its
    layer on one of them at least.

    Args:
        findings: in the order of the backward path.
        others: what the engine answers to problems of the same structure.
    """
    first, *rest = findings
    if first.candidates:
        first = _with_limits(first, others)
        if not first.candidates:
            return ()
    if not any(_is_wrong(first.layer, seen) for seen in others):
        return ()
    each = [replace(first, candidates=(c,)) for c in first.candidates] or [first]
    told = [_that_holds((one, *rest), others) for one in each]
    kept = [one for one in told if one]
    if not kept:
        return ()
    best = kept[0]
    also = [c for one in kept for c in one[0].candidates]
    return (replace(best[0], candidates=tuple(also)), *best[1:])


def _that_holds(told: Findings, others: Sequence[Seen]) -> Findings:
    """Cut findings off until those that are left hold without the others."""
    while told:
        many = min((how_many_hold(told, seen) for seen in others), default=len(told))
        if many == len(told):
            break
        told = told[:many]
    return told


def _is_wrong(layer: int, seen: Seen) -> bool:
    pairs = [seen.wrong[layer]] if layer else seen.wrong.values()
    return any(bool(wrong.any()) for pair in pairs for wrong in pair)


def located(every: Sequence[Seen]) -> Finding | None:
    """Say which blocks of the highest wrong layer are wrong, over several problems."""
    wrong = {
        (layer, k)
        for seen in every
        for layer, pair in seen.wrong.items()
        for k in (W, B)
        if pair[k].any()
    }
    if not wrong:
        return None
    top = max(layer for layer, _ in wrong)
    place = OUTPUT if top == every[0].symbols.L else HIDDEN
    told = f"delta_{top}, dC/dW_{top} or dC/db_{top}"
    if (top, B) not in wrong:
        place, told = WEIGHT, f"dC/dW_{top}"
    elif (top, W) not in wrong:
        place, told = BIAS, f"dC/db_{top}"
    return Finding(place, top, UNKNOWN, says=f"{told} is wrong in a way that nothing explains")


def how_many_hold(findings: Findings, seen: Seen) -> int:
    """Count the findings that hold on another problem, up to the first that does not.

    What cannot be seen there holds.
    """
    with np.errstate(all="ignore"):
        if findings[0].place == ANSWER:
            return _answer_holds(findings[0], seen) * len(findings)
        return _down(findings, seen)


def _down(findings: Findings, seen: Seen) -> int:
    s, first = seen.symbols, findings[0]
    number = {(f.place, f.layer): n for n, f in enumerate(findings)}
    for layer in range(s.L, min(f.layer for f in findings) - 1, -1):
        if layer > first.layer:
            delta = above(first, s, layer, seen)
            if delta is None:
                return 0
            s = s.knowing(layer, delta, seen.g[layer][W])
            continue
        n = number.get((OUTPUT if layer == s.L else HIDDEN, layer))
        claimed = None if n is None else findings[n]
        delta = s.error(layer) if claimed is None else _error(claimed, s, layer, seen)
        if n is not None and claimed is not None and delta is None:
            return len(findings) if claimed.kind == UNKNOWN else n
        assert delta is not None  # noqa: S101  (for the type checker)
        s = s.knowing(layer, delta, seen.g[layer][W])
        for which, place in ((W, WEIGHT), (B, BIAS)):
            m = number.get((place, layer))
            if m is not None and not _block_holds(findings[m], s, layer, which, seen):
                return m
            if m is None and not _follows(s, layer, which, seen):
                if n is not None:
                    return n
                if layer == first.layer:
                    return 0
    return len(findings)


def _follows(s: Symbols, layer: int, which: int, seen: Seen) -> bool:
    """Whether a block is delta_l^T a_{l-1}, or sum_i delta_l."""
    delta = s.delta[layer]
    value, terms = blocks_of(s, layer, delta), terms_of(s, layer, delta)
    return seen.fits(layer, which, value[which], terms[which])


def _both_follow(s: Symbols, layer: int, delta: Array, seen: Seen) -> bool:
    known = s.knowing(layer, delta)
    return all(_follows(known, layer, which, seen) for which in (W, B))


def above(first: Finding, s: Symbols, layer: int, seen: Seen) -> Array | None:
    """Return delta_l above the first finding: right, or wrong by the same formula; else None."""
    right = s.error(layer)
    if _both_follow(s, layer, right, seen):
        return right
    if first.kind != FORMULA:
        return None
    if first.place == HIDDEN and layer < s.L:
        delta = value_of(there(first.candidates[0], s, layer, seen), first.place, s, layer)
        return delta if _both_follow(s, layer, delta, seen) else None
    if first.place in (WEIGHT, BIAS):
        which, known = (W, B)[first.place == BIAS], s.knowing(layer, right)
        same = _block_holds(first, known, layer, which, seen)
        return right if same and _follows(known, layer, 1 - which, seen) else None
    return None


def _error(claimed: Finding, s: Symbols, layer: int, seen: Seen) -> Array | None:
    """Return delta_l as it is claimed to be, if one block at least is what it gives."""
    if claimed.kind == UNKNOWN:
        return None
    delta = value_of(there(claimed.candidates[0], s, layer, seen), claimed.place, s, layer)
    known = s.knowing(layer, delta)
    fits = _follows(known, layer, W, seen) or _follows(known, layer, B, seen)
    return delta if fits else None


def there(candidate: Candidate, s: Symbols, layer: int, seen: Seen) -> Candidate:
    """Return a candidate with the limit that fits another problem, of the interval it has."""
    if candidate.formula is None or candidate.formula.span is None:
        return candidate
    return replace(candidate, formula=again(candidate.formula, s, layer, seen))


def _with_limits(first: Finding, others: Sequence[Seen]) -> Finding:
    """Narrow the limits of candidates by other problems; leave out what has none left."""
    kept = []
    for c in first.candidates:
        if c.formula is None or c.formula.span is None:
            kept.append(c)
        elif (formula := narrowed(c.formula, first.layer, others)) is not None:
            kept.append(replace(c, formula=formula, says=formula.told(first.layer)))
    return replace(first, candidates=tuple(kept))


def _block_holds(claimed: Finding, s: Symbols, layer: int, which: int, seen: Seen) -> bool:
    delta, g = s.delta[layer], seen.g[layer][which]
    D, T = (pair[which] for pair in _both(s, layer, delta))
    room = seen.room(layer, T)
    if claimed.kind == UNKNOWN:
        return True
    candidate = claimed.candidates[0]
    if candidate.holds is not None:
        return candidate.holds(g, D, room)
    value = np.reshape(value_of(candidate, claimed.place, s, layer), g.shape)
    spread = candidate.doubt * (np.abs(value - D) if candidate.formula else np.abs(D))
    room = seen.room(layer, np.maximum(seen.either_way(layer, T), np.abs(value)))
    return bool(np.all(np.abs(g - value) <= room + spread))


def _both(s: Symbols, layer: int, delta: Array) -> tuple[Pair, Pair]:
    return blocks_of(s, layer, delta), terms_of(s, layer, delta)


def value_of(candidate: Candidate, place: str, s: Symbols, layer: int) -> Array:
    """Return what a step gives by a candidate: delta_l, or the block of a place."""
    if place in ERRORS:
        right = s.error(layer)
    else:
        right = blocks_of(s, layer, s.delta[layer])[W if place == WEIGHT else B]
    if candidate.value is not None:
        return np.asarray(candidate.value(s, layer))
    if candidate.formula is None:
        return _factor(candidate, place, s, layer) * right
    value = candidate.formula.value(s, layer)
    if value is None:
        return right
    value = np.reshape(value, right.shape)
    return right + candidate.c * value if candidate.formula.is_term else value


def _factor(candidate: Candidate, place: str, s: Symbols, layer: int) -> float:
    """Return a factor by its meaning there, else by its number."""
    key = candidate.key
    if divisor := DIVIDED.fullmatch(key):
        return s.m / (s.n(layer) if divisor[1] == "n" else float(divisor[1]))
    if key != FACTOR:
        for known in known_factors(s, layer, place):
            if known.key == key:
                return known.value
    return {"factor m": float(s.m), "factor 1/m": 1 / s.m}.get(key, candidate.c)


def _answer_holds(first: Finding, seen: Seen) -> bool:
    """Whether a whole gradient was changed in the same way: one where that shows is not right."""
    holds = first.candidates[0].holds if first.candidates else None
    return holds is None or holds(*answer_beside(seen))
