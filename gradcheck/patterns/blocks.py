"""Patterns in one block: what its wrong entries have in common, as an observation.

Symbols: g the block as the engine has it, D as it should be, both with one row a unit.

A pattern is seen on one problem. `Pattern.holds` says whether it is so on another one too.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcheck.arrays import Array

Holds = Callable[["Array", "Array", "Array"], bool]
"""Whether a block g, with D and the room of another problem, has the same pattern."""


class Pattern(NamedTuple):
    """What the wrong entries of a block have in common: a key, what is said, where it is so."""

    key: str
    says: str
    holds: Holds


LARGE = 1e3
"""Beyond such a factor two numbers are better told each."""

MOST_ROWS = 64
"""Permutations of more rows are not looked for."""

GRIDS = (100, 127, 128, 255, 256, 1000, 1024, 4096, 10**4, 2**15, 2**16, 10**5, 10**6, 2**20)
"""How many steps of a grid there are to 1, as programs have them."""

FEWEST = 6
"""So many different multiples of a step are not there by chance."""

LAST_BITS = 2.0**-20
"""How near to a whole number a multiple is, in float32 too."""

NAMED = 6
"""Longer lists of rows or columns are shortened."""


def pattern(
    g: Array, D: Array, room: Array, wrong: Array, names: tuple[str, str]
) -> Pattern | None:
    """Return the pattern of a block, or None.

    Args:
        g: the engine's block.
        D: the expected one.
        room: how far an entry may be from the expected one.
        wrong: which entries are not as expected.
        names: what rows and columns are called.
    """
    if not wrong.any():
        return None
    return (
        _one(g, D, room, wrong, names)
        or _zeros(g, wrong, names)
        or _permuted(g, D, room, names[0])
        or _transposed_pattern(g, D, room, names[1])
        or _ratio(g, D, room, wrong, names)
        or _on_a_grid(g, D)
        or _confined(wrong, names)
    )


def place(wrong: Array, names: tuple[str, str]) -> str:
    """Name the rows, or the columns, that hold the wrong entries, if others are right."""
    rows, columns = (np.flatnonzero(wrong.any(axis=axis)) for axis in (1, 0))
    parts = []
    if len(rows) < wrong.shape[0]:
        parts.append(listed(names[0], rows))
    if len(columns) < wrong.shape[1]:
        parts.append(listed(names[1], columns))
    return ", ".join(parts)


def _several(name: str) -> str:
    """Return the plural: rows, columns, entries."""
    return "entries" if name == "entry" else f"{name}s"


def listed(name: str, numbers: Sequence[int] | Array) -> str:
    """Name some rows, columns, units or examples."""
    every = [int(k) for k in numbers]
    if len(every) == 1:
        return f"{name} {every[0]}"
    if len(every) > 2 and every == list(range(every[0], every[-1] + 1)):
        return f"{_several(name)} {every[0]} to {every[-1]}"
    shown = ", ".join(map(str, every[:NAMED]))
    return f"{_several(name)} {shown}" + (", ..." if len(every) > NAMED else "")


def _span(wrong: Array) -> Array:
    """Mark the entries in rows and in columns that hold wrong ones: what `place` names."""
    return np.outer(wrong.any(axis=1), wrong.any(axis=0))


def _right_outside(span: Array) -> Holds:
    """Nothing wrong outside; of an array of another shape, which has no such entries, true."""
    return lambda g, D, room: g.shape != span.shape or bool(np.all((np.abs(g - D) <= room)[~span]))


def _factor_inside(span: Array, r: float, doubt: float) -> Holds:
    """One factor r, known to within a doubt, inside; nothing wrong outside."""

    def holds(g: Array, D: Array, room: Array) -> bool:
        if g.shape != span.shape:
            return True
        off = np.abs(g - r * D) <= (1 + abs(r)) * room + doubt * np.abs(D)
        return bool(np.all(off[span])) and _right_outside(span)(g, D, room)

    return holds


def _one(g: Array, D: Array, room: Array, wrong: Array, names: tuple[str, str]) -> Pattern | None:
    if wrong.sum() != 1 or g.size == 1:
        return None
    i, j = (int(k[0]) for k in np.nonzero(wrong))
    where = f"{names[0]} {i}" + (f", {names[1]} {j}" if names[1] and g.shape[1] > 1 else "")
    if g[i, j] == 0:
        return Pattern("zero entries", f"is 0 in {where}", _factor_inside(wrong, 0.0, 0.0))
    if not abs(g[i, j]) <= LARGE * abs(D[i, j]):
        told = f"{g[i, j]:.6g} in place of {D[i, j]:.6g}"
        says = f"has one wrong entry in {where}, {told}"
        return Pattern("entry", says, _right_outside(wrong))
    r = float(g[i, j] / D[i, j])
    doubt = float((1 + abs(r)) * room[i, j] / abs(D[i, j]))
    says = f"has one wrong entry in {where}, {told_factor(r)} times what it should be"
    return Pattern("entry", says, _factor_inside(wrong, r, doubt))


def _zeros(g: Array, wrong: Array, names: tuple[str, str]) -> Pattern | None:
    if g[wrong].any():
        return None
    where, span = place(wrong, names), _span(wrong)
    if where and not g[span].any():
        return Pattern("zero entries", f"is 0 in {where}", _factor_inside(span, 0.0, 0.0))

    def holds(g: Array, D: Array, room: Array) -> bool:
        return not g[~(np.abs(g - D) <= room)].any()

    return Pattern("zero entries", "is 0 in every wrong entry", holds)


def _permuted(g: Array, D: Array, room: Array, name: str) -> Pattern | None:
    """Recognise the right rows in another order."""
    if not 2 <= len(g) <= MOST_ROWS or not name:
        return None
    is_row = np.all(np.abs(g[:, None] - D[None]) <= room[None], axis=2)
    unique = bool(np.all(is_row.sum(axis=1) == 1) and np.all(is_row.sum(axis=0) == 1))
    if not unique or np.all(np.diag(is_row)):
        return None
    source = is_row.argmax(axis=1)

    def holds(g: Array, D: Array, room: Array) -> bool:
        return len(g) != len(source) or bool(np.all(np.abs(g - D[source]) <= room[source]))

    return Pattern("permuted", _told_order(source, name), holds)


def _told_order(source: Array, name: str) -> str:
    """Say in which order the rows `source` of D stand."""
    moved, n = np.flatnonzero(source != np.arange(len(source))), len(source)
    shift = int(source[0])
    if shift and np.array_equal(source, (np.arange(n) + shift) % n) and n > 2:
        by = n - shift if shift > n // 2 else -shift
        return f"is shifted in its {name}s, by {by}"
    if len(moved) == 2:
        return f"has entries swapped in {listed(name, moved)}"
    return f"has entries in another order of {name}s"


def _transposed_pattern(g: Array, D: Array, room: Array, name: str) -> Pattern | None:
    """Recognise the right columns in another order."""
    found = _permuted(g.T, D.T, room.T, name) if g.shape[1] > 1 else None
    if found is None:
        return None
    holds = found.holds
    return found._replace(holds=lambda g, D, room: holds(g.T, D.T, room.T))


def _ratio(g: Array, D: Array, room: Array, wrong: Array, names: tuple[str, str]) -> Pattern | None:
    """Recognise one factor in all wrong entries, two at least, and say where they are."""
    where = place(wrong, names)
    if wrong.sum() < 2 or not where or not np.all(D[wrong]):
        return None
    best = int(np.argmin((room / np.abs(np.where(D == 0, 1e-300, D)))[wrong]))
    r = float((g[wrong] / D[wrong])[best])
    doubt = float((1 + abs(r)) * (room[wrong] / np.abs(D[wrong]))[best])
    holds = _factor_inside(_span(wrong), r, doubt)
    if not holds(g, D, room):
        return None
    return Pattern("ratio of some", f"has an extra factor {told_factor(r)} in {where}", holds)


def _on_a_grid(g: Array, D: Array) -> Pattern | None:
    """Recognise numbers that are all rounded to multiples of one step."""
    for steps in GRIDS:
        if _is_rounded(g, D, steps) and len(np.unique(np.abs(g))) >= FEWEST:
            holds = partial(_is_of_grid, steps)
            return Pattern("on a grid", f"is rounded to multiples of 1/{steps}", holds)
    return None


def _is_rounded(g: Array, D: Array, steps: int) -> bool:
    """Whether all numbers are multiples of 1 / steps, and none is a whole step off."""
    k = g * steps
    is_multiple = np.abs(k - np.round(k)) <= LAST_BITS * np.maximum(1.0, np.abs(k))
    return bool(np.all(is_multiple & (np.abs(k - D * steps) <= 1)))


def _is_of_grid(steps: int, g: Array, D: Array, _room: Array) -> bool:
    return _is_rounded(g, D, steps)


def _confined(wrong: Array, names: tuple[str, str]) -> Pattern | None:
    where = place(wrong, names)
    if not where:
        return None
    return Pattern("confined", f"is wrong in {where} only", _right_outside(_span(wrong)))


def told_factor(r: float) -> str:
    """Write a factor; one near 1 by its distance from 1."""
    return f"1 {'+' if r > 1 else '-'} {abs(r - 1):.3g}" if 0 < abs(r - 1) < 1e-3 else f"{r:.6g}"
