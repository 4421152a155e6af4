r"""Says in words what a fixed matrix does to a step, and what stands in the place of an array.

A step that is linear in the right error delta (m examples, n units) is one of

    delta' = delta M      units are mixed, M (n, n)
    delta' = P delta      examples are mixed, P (m, m)

and an array that was replaced by another one, X' for X, is told by what its entries have in common.
Every sentence holds of all numbers that are compared; what has no name is told entry by entry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcheck.patterns import blocks

if TYPE_CHECKING:
    from gradcheck.arrays import Array

DIGITS = 6
"""To so many digits numbers that were solved for are compared with simple ones."""

NEAR = 10.0**-DIGITS

CHANCE = 1e-2
"""How likely entries that are wrong for another reason may be those beyond some threshold."""

FEWEST = 6
"""So many different multiples of a step are not there by chance."""

GRIDS = (127, 128, 255, 256, 1000, 100, 10, 1024, 2.0**16, 2.0**8, 2.0**10, 2.0**12)
"""How many steps of a grid there are to 1, as programs have them."""


class Told(NamedTuple):
    """What is said of an array: a key, a sentence for all sizes, and one example of it."""

    key: str
    says: str
    detail: str = ""


# --- a matrix that mixes units or examples --------------------------------------------------------


def mixed(M: Array, one: str, what: str) -> Told | None:
    """Say what new unit j, sum_k unit_k M_kj, is; None if every unit is the same multiple.

    Args:
        M: the matrix.
        one: "unit" or "example".
        what: over what a mean is taken: "its units" or "the batch".
    """
    n = len(M)
    M = np.round(M, DIGITS) + 0.0
    if n < 2 or _is_multiple_of_one(M):
        return None
    if np.array_equal(M, np.diag(np.diag(M))):
        return _each(np.diag(M), one)
    told = _constant(M, what) or _running(M, one) or _ordered(M, one)
    return told or Told(f"{one}s mixed", f"has {one}s that are mixed with each other", _row(M, one))


def _is_multiple_of_one(M: Array) -> bool:
    return np.array_equal(M, M[0, 0] * np.eye(len(M)))


def _each(d: Array, one: str) -> Told:
    """Say by what each unit is multiplied."""
    n, odd = len(d), np.flatnonzero(d != 1)
    ends = {0: f"its first {one}", n - 1: f"its last {one}"}
    where = (ends.get(int(odd[0])) if len(odd) == 1 else None) or blocks.listed(one, odd)
    factors = {float(x) for x in d[odd]}
    if factors == {0.0}:
        return Told(f"{one}s zero", f"is 0 in {where}")
    if len(factors) == 1:
        return Told(f"{one}s scaled", f"has an extra factor {factors.pop():.6g} in {where}")
    shown = ", ".join(f"{x:.4g}" for x in d[: blocks.NAMED])
    more = ", ..." if n > blocks.NAMED else ""
    return Told(f"{one}s scaled", f"has another factor in each {one}", f"here {shown}{more}")


def _constant(M: Array, what: str) -> Told | None:
    """Recognise c times the mean that is added or subtracted, or stands for everything."""
    n = len(M)
    off = M[~np.eye(n, dtype=bool)]
    if not np.allclose(off, off[0], rtol=0, atol=NEAR):
        return None
    c, own = n * float(off.mean()), np.diag(M) - off.mean()
    if not np.allclose(own, own[0], rtol=0, atol=NEAR):
        return None
    own_factor = float(own[0])
    if abs(own_factor) <= NEAR:
        size = "" if abs(c - 1) <= n * NEAR else f"{c:.4g} times "
        return Told("mean for each", f"is {size}its mean over {what} everywhere")
    if abs(own_factor - 1) > NEAR:
        return None
    how = "has" if c > 0 else "lacks"
    size = "" if abs(abs(c) - 1) <= n * NEAR else f"{abs(c):.4g} times "
    where = "added" if c > 0 else "subtracted"
    return Told("mean " + where, f"{how} {size}its mean over {what}, which is {where}")


def _running(M: Array, one: str) -> Told | None:
    """Recognise that the units before, or after, are added to each."""
    ones = np.ones_like(M)
    for matrix, told in ((np.triu(ones), "before"), (np.tril(ones), "after")):
        if np.array_equal(M, matrix):
            return Told(f"{one}s added", f"has those of the {one}s {told} added in each {one}")
    return None


def _ordered(M: Array, one: str) -> Told | None:
    """Recognise that each unit is one of the right ones: another order, or some of them twice."""
    n = len(M)
    if not np.array_equal(M, M.astype(bool)) or not np.array_equal(M.sum(axis=0), np.ones(n)):
        return None
    source, own = M.argmax(axis=0), np.arange(n)
    moved = np.flatnonzero(source != own)
    if len(moved) == 2 and len(set(source.tolist())) == n:
        says = f"has entries swapped in {blocks.listed(one, moved)}"
        return Told(f"{one}s in another order", says)
    for shift, told in ((1, "before"), (-1, "after")):
        if np.array_equal(source, (own - shift) % n):
            return Told(f"{one}s shifted", f"has in each {one} that of the one {told}, cyclically")
    if np.array_equal(source, own[::-1]):
        return Told(f"{one}s reversed", f"has its {one}s in the reverse order")
    here = f"here {one} {int(moved[0])} has that of {one} {int(source[moved[0]])}"
    if len(set(source.tolist())) < n:
        return Told(f"{one}s repeated", f"has in some {one}s that of another {one}", here)
    return Told(f"{one}s in another order", f"has its {one}s in another order", here)


def _row(M: Array, one: str) -> str:
    """Tell the first unit that is no unit of its own."""
    j = int(np.flatnonzero((np.eye(len(M)) != M).any(axis=0))[0])
    parts = [f"{M[k, j]:.4g} times {one} {k}" for k in np.flatnonzero(M[:, j])[: blocks.NAMED]]
    return f"here {one} {j} is " + " + ".join(parts) if parts else f"here {one} {j} is 0"


# --- an array that stands for another one ---------------------------------------------------------

Pair = tuple["Array", "Array"]
"""What stands in the place of an array, and the array itself, of one shape."""


def replaced(pairs: Sequence[Pair], name: str) -> Told:
    """Say what stands in the place of an array, over several of them.

    Args:
        pairs: what does, which is not the array itself, and the array.
        name: of the array: "X", "W_2".
    """
    new, old = (np.concatenate([pair[k].ravel() for pair in pairs]) for k in (0, 1))
    wrong = np.abs(new - old) > NEAR * np.maximum(1.0, np.abs(old))
    told = _limited(new, old, wrong, name) or _on_a_grid(new, old, name) or _moved(pairs, name)
    if told:
        return told
    here = f"here {new[wrong][0]:.6g} in place of {old[wrong][0]:.6g}"
    values = np.unique(np.round(new[wrong], DIGITS)) + 0.0
    if len(values) == 1 and not wrong.all():
        return Told("array constant", f"has {values[0]:.6g} in place of some entries of {name}")
    some = "" if wrong.all() else " in some entries"
    return Told("array", f"has other numbers for {name}{some}", here)


def _limited(new: Array, old: Array, wrong: Array, name: str) -> Told | None:
    """Recognise a condition on the entries, beyond which they are a constant or a limit."""
    by_chance = len(CONDITIONS) / comb(len(wrong), int(wrong.sum()))
    if wrong.all() or by_chance > CHANCE:
        return None
    for key, (told, sign, size) in CONDITIONS.items():
        inside, outside = sign * size(old)[wrong], sign * size(old)[~wrong]
        if not inside.min() > outside.max():
            continue
        low, high = sorted((sign * float(outside.max()), sign * float(inside.min())))
        limit = f"t is between {low:.4g} and {high:.4g}"
        values = np.unique(np.round(new[wrong], DIGITS)) + 0.0
        if len(values) == 1:
            says = f"has {values[0]:.6g} for {name} where {told.format(name)}"
            return _clipped(new, old, name) or Told(f"array {key}", says, limit)
    return _clipped(new, old, name)


def _clipped(new: Array, old: Array, name: str) -> Told | None:
    low, high = float(new.min()), float(new.max())
    is_limit = [np.sum(np.isclose(new, end, rtol=0, atol=NEAR)) > 1 for end in (low, high)]
    if not np.allclose(new, np.clip(old, low, high), rtol=0, atol=NEAR) or not any(is_limit):
        return None
    ends = [
        f"{end + 0:.6g}" if is_one else ""
        for end, is_one in zip((low, high), is_limit, strict=True)
    ]
    if all(is_limit):
        return Told("array clipped", f"has {name} clipped to [{ends[0]}, {ends[1]}]")
    how = f"below {ends[0]}" if is_limit[0] else f"above {ends[1]}"
    return Told("array clipped", f"has {name} cut off {how}")


CONDITIONS: dict[str, tuple[str, int, Callable[[Array], Array]]] = {
    "large": ("|{}| > t", 1, np.abs),
    "small": ("|{}| < t", -1, np.abs),
    "above": ("{} > t", 1, lambda x: x),
    "below": ("{} < t", -1, lambda x: x),
}
"""Where an entry is wrong: beyond a threshold (1) or below one (-1)."""


def _on_a_grid(new: Array, old: Array, name: str) -> Told | None:
    """Recognise that all entries are the nearest multiples of one step, of several of them."""
    for steps in GRIDS:
        scaled, was = new * steps, old * steps
        on_it = np.abs(scaled - np.round(scaled)) <= NEAR * np.maximum(1.0, np.abs(scaled))
        is_near = bool(np.all(np.abs(scaled - was) <= 1 + NEAR))
        if on_it.all() and is_near and len(np.unique(np.round(np.abs(scaled)))) >= FEWEST:
            return Told("array on a grid", f"has {name} rounded to multiples of 1/{steps:g}")
    return None


def _moved(pairs: Sequence[Pair], name: str) -> Told | None:
    """Recognise the rows of an array in other places, its transpose, or another sign."""
    for key, says, other in (
        ("transposed", f"{name}^T for {name}", lambda x: x.T),
        ("reshaped", f"{name} read in the wrong order", lambda x: x.T.reshape(x.shape)),
        ("negative", f"-{name} for {name}", lambda x: -x),
        ("complement", f"1 - {name} for {name}", lambda x: 1 - x),
        ("sizes", f"|{name}| for {name}", np.abs),
        ("signs", f"sign({name}) for {name}", np.sign),
    ):
        if all(_is_close(new, other(old)) for new, old in pairs):
            return Told(f"array {key}", f"has {says}")
    for one in ("row", "column"):
        here = [_sources(*(x if one == "row" else x.T for x in pair)) for pair in pairs]
        source = next((s for s in here if s is not None), None)
        if source is not None and all(s is not None for s in here):
            j = int(np.flatnonzero(source != np.arange(len(source)))[0])
            told = f"here {one} {j} is {one} {int(source[j])} of it"
            return Told(f"array of {one}s", f"has {one}s of {name} in the place of others", told)
    return None


def _is_close(one: Array, other: Array) -> bool:
    return one.shape == other.shape and np.allclose(one, other, rtol=NEAR, atol=NEAR)


def _sources(new: Array, old: Array) -> Array | None:
    """Return which row of the old array each new row is; None where one is none of them."""
    near = np.all(np.isclose(new[:, None], old[None], rtol=NEAR, atol=NEAR), axis=2)
    own = np.arange(len(old))
    if len(old) < 2 or not near.any(axis=1).all() or near[own, own].all():
        return None
    source: Array = np.where(near[own, own], own, near.argmax(axis=1))
    return source
