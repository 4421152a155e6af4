r"""Wrong errors with a place or several numbers in them, which are looked for.

one entry of W_{l+1}     delta_l = (delta_{l+1} (W_{l+1} + (r - 1) W_ij E_ij)) * sigmoid'(z_l): the
error of unit j alone is wrong; r is solved for, for every i
two epsilons             a_L clipped to [e, 1 - f], e and f usual numbers that differ
"""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.formula import HIDDEN, OUTPUT, Formula
from gradcheck.diagnosis.seen import blocks_of, terms_of
from gradcheck.diagnosis.symbols import sigmoid
from gradcheck.diagnosis.thresholds import Search
from gradcheck.patterns.blocks import told_factor

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.formula import Value
    from gradcheck.diagnosis.seen import Seen
    from gradcheck.diagnosis.symbols import Symbols

EPSILONS = (1e-7, 1e-8, 1e-12, 1e-15, 1e-6, 1e-10, 2.0**-52, 1e-16, 2.0**-23, 1e-5)

LARGEST = 1e3
"""Larger factors of one weight are no mistakes that anybody makes."""


# --- one entry ------------------------------------------------------------------------------------


def entry_scaled(i: int, j: int, r: float) -> Value:
    """delta_l with W_ij of the layer above taken r times."""

    def value(s: Symbols, layer: int) -> Array | None:
        W = s.W[layer + 1]
        if i >= W.shape[0] or j >= W.shape[1]:
            return None
        changed = W.copy()
        changed[i, j] *= r
        return (s.delta[layer + 1] @ changed) * s.s(layer)

    return value


def one_entry(s: Symbols, layer: int, seen: Seen) -> Formula | None:
    """Look for the one entry of W_{l+1} that is wrong."""
    right, W = s.error(layer), s.W[layer + 1]
    g, room = np.hstack(seen.g[layer]), seen.room(layer, np.hstack(terms_of(s, layer, right)))
    off = g - np.hstack(blocks_of(s, layer, right))
    wrong = np.flatnonzero((np.abs(off) > room).any(axis=1))
    if len(wrong) != 1 or W.size == 1:
        return None
    j = int(wrong[0])
    A = np.hstack([s.a[layer - 1], np.ones((s.m, 1))])
    paths = s.delta[layer + 1] * s.s(layer)[:, j : j + 1] * W[:, j]
    found = [(i, x) for i, x in enumerate(paths.T @ A) if _fits(off[j], x, room[j])]
    if len(found) != 1:
        return None
    i, x = found[0]
    r = 1 + float(x @ off[j]) / float(x @ x)
    if not abs(r) <= LARGEST:
        return None
    r = float(np.round(r)) if abs(r - np.round(r)) < 1e-6 else r
    says = f"delta_{{l}} has W_{{up}} with one wrong entry, [{i}, {j}], {told_factor(r)} times it"
    return Formula("one entry of W", HIDDEN, says, entry_scaled(i, j, r))


def _fits(off: Array, x: Array, room: Array) -> bool:
    squares = float(x @ x)
    if not (np.isfinite(squares) and squares > 0):
        return False
    c = float(x @ off) / squares
    return bool(np.all(np.abs(off - c * x) <= room * (1 + abs(c))))


# --- two epsilons ---------------------------------------------------------------------------------


def clipped(e: float, f: float) -> Value:
    """(a_L - Y) / M [* sigmoid'(z_L)] with a_L clipped to [e, 1 - f]."""

    def value(s: Symbols, layer: int) -> Array:
        z = np.clip(s.z[layer], np.log(e / (1 - e)), np.log((1 - f) / f))
        return ((1 - s.Y) * sigmoid(z) - s.Y * sigmoid(-z)) * s.top

    return value


def two_epsilons(s: Symbols, layer: int, seen: Seen) -> Formula | None:
    """Look for the usual numbers e and f between which a_L is clipped."""
    z, right = s.z[layer], s.error(layer)
    if not (z.max() > -np.log(2 * max(EPSILONS)) and -z.min() > -np.log(2 * max(EPSILONS))):
        return None
    for e, f in permutations(EPSILONS, 2):
        value = clipped(e, f)
        delta = value(s, layer)
        assert delta is not None  # noqa: S101  (for the type checker)
        if np.array_equal(delta, right):
            continue
        made, terms = blocks_of(s, layer, delta), terms_of(s, layer, delta)
        if all(seen.fits(layer, k, made[k], terms[k]) for k in (0, 1)):
            says = f"delta_{{l}} has a_{{l}} clipped to [{e:.4g}, 1 - {f:.4g}]"
            return Formula("clipped unevenly", OUTPUT, says, value)
    return None


SEARCHES = (
    Search("one entry of W", HIDDEN, "delta_{l} has W_{up} with one wrong entry", one_entry),
    Search("clipped unevenly", OUTPUT, "delta_{l} has a_{l} clipped to [e, 1 - f]", two_epsilons),
)
FORMULAS = {
    place: tuple(one.formula() for one in SEARCHES if one.place == place)
    for place in (OUTPUT, HIDDEN)
}
