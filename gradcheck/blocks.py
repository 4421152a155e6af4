"""Patterns in one block: what its wrong entries have in common, as an observation.

Symbols: g the block as the engine has it, D as it should be, both with one row a unit.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gradcheck.problem import Array

LARGE = 1e3
"""Beyond such a factor two numbers are better told each."""

MOST_ROWS = 64
"""Permutations of more rows are not looked for."""

NAMED = 6
"""Longer lists of rows or columns are shortened."""


def pattern(
    g: Array, D: Array, room: Array, wrong: Array, names: tuple[str, str]
) -> tuple[str, str] | None:
    """Return the key of a pattern and what is said of the block, or None.

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
        _one(g, D, wrong, names)
        or _zeros(g, wrong, names)
        or _permuted(g, D, room, names[0])
        or _transposed_pattern(g, D, room, names[1])
        or _ratio(g, D, room, wrong, names)
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


def listed(name: str, numbers: Sequence[int] | Array) -> str:
    """Name some rows, columns, units or examples."""
    every = [int(k) for k in numbers]
    if len(every) == 1:
        return f"{name} {every[0]}"
    if len(every) > 2 and every == list(range(every[0], every[-1] + 1)):
        return f"{name}s {every[0]} to {every[-1]}"
    shown = ", ".join(map(str, every[:NAMED]))
    return f"{name}s {shown}" + (", ..." if len(every) > NAMED else "")


def _one(g: Array, D: Array, wrong: Array, names: tuple[str, str]) -> tuple[str, str] | None:
    if wrong.sum() != 1 or g.size == 1:
        return None
    i, j = (int(k[0]) for k in np.nonzero(wrong))
    where = f"{names[0]} {i}" + (f", {names[1]} {j}" if names[1] and g.shape[1] > 1 else "")
    if g[i, j] == 0:
        return "zero entries", f"is 0 in {where}"
    if not abs(g[i, j]) <= LARGE * abs(D[i, j]):
        told = f"{g[i, j]:.6g} in place of {D[i, j]:.6g}"
        return "entry", f"has one wrong entry in {where}, {told}"
    r = told_factor(float(g[i, j] / D[i, j]))
    return "entry", f"has one wrong entry in {where}, {r} times what it should be"


def _zeros(g: Array, wrong: Array, names: tuple[str, str]) -> tuple[str, str] | None:
    if g[wrong].any():
        return None
    where = place(wrong, names)
    return "zero entries", f"is 0 in {where}" if where else "is 0 in every wrong entry"


def _permuted(g: Array, D: Array, room: Array, name: str) -> tuple[str, str] | None:
    """Recognise the right rows in another order."""
    if not 2 <= len(g) <= MOST_ROWS or not name:
        return None
    is_row = np.all(np.abs(g[:, None] - D[None]) <= room[None], axis=2)
    unique = bool(np.all(is_row.sum(axis=1) == 1) and np.all(is_row.sum(axis=0) == 1))
    if not unique or np.all(np.diag(is_row)):
        return None
    source = is_row.argmax(axis=1)
    moved = np.flatnonzero(source != np.arange(len(g)))
    shift = int(source[0])
    if shift and np.array_equal(source, (np.arange(len(g)) + shift) % len(g)) and len(g) > 2:
        by = len(g) - shift if shift > len(g) // 2 else -shift
        return "permuted", f"is shifted in its {name}s, by {by}"
    if len(moved) == 2:
        return "permuted", f"has entries swapped in {listed(name, moved)}"
    return "permuted", f"has entries in another order of {name}s"


def _transposed_pattern(g: Array, D: Array, room: Array, name: str) -> tuple[str, str] | None:
    """Recognise the right columns in another order."""
    return _permuted(g.T, D.T, room.T, name) if g.shape[1] > 1 else None


def _ratio(
    g: Array, D: Array, room: Array, wrong: Array, names: tuple[str, str]
) -> tuple[str, str] | None:
    """Recognise one factor in all wrong entries, two at least, and say where they are."""
    where = place(wrong, names)
    if wrong.sum() < 2 or not where or not np.all(D[wrong]):
        return None
    best = int(np.argmin((room / np.abs(np.where(D == 0, 1e-300, D)))[wrong]))
    r = float((g[wrong] / D[wrong])[best])
    if not np.all(np.abs(g - r * D)[wrong] <= (1 + abs(r)) * room[wrong]):
        return None
    return "ratio of some", f"has an extra factor {told_factor(r)} in {where}"


def _confined(wrong: Array, names: tuple[str, str]) -> tuple[str, str] | None:
    where = place(wrong, names)
    return ("confined", f"is wrong in {where} only") if where else None


def told_factor(r: float) -> str:
    """Write a factor; one near 1 by its distance from 1."""
    return f"1 {'+' if r > 1 else '-'} {abs(r - 1):.3g}" if 0 < abs(r - 1) < 1e-3 else f"{r:.6g}"
