"""Black boxes that take many points at once: one leading axis more, one value a point.

`batched(f)` says of f that it takes x's structure with arrays of shape (K, *shape) and returns
its K values as one vector. Points go through in blocks of at most `BLOCK_BYTES`; each of them is
one forward pass.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Array, FloatArray, IntArray, as_array, like
from gradcheck.pytree import Structure, leaves_of, originals_of, with_leaves

BLOCK_BYTES = 2**20
"""What the points of one call may take: a mebibyte fits the caches of most machines."""


ROWS = 512
"""The most points of one call: enough for what a call costs by itself to be shared."""


class Batched:
    """A function of many points at once; what `batched` returns.

    Args:
        f: takes x's structure with one more leading axis, returns one number a point.
    """

    batched = True

    def __init__(self, f: Callable[[Any], Any]) -> None:
        self._f = f

    def __call__(self, stacked: Any) -> Any:
        """Evaluate f at every point of the stack."""
        return self._f(stacked)


def batched(f: Callable[[Any], Any]) -> Batched:
    """Mark f as a function that takes many points at once.

    Args:
        f: takes x's structure, each array with one more leading axis of length K; returns K real
            numbers.

    Raises:
        TypeError: f cannot be called.

    >>> import gradcheck
    >>> squares = gradcheck.batched(lambda X: np.sum(X**2, axis=1))
    >>> gradcheck.check_gradient(squares, lambda x: 2 * x, np.array([1.0, 3.0])).verdict.value
    'PASS'
    """
    if not callable(f):
        raise TypeError(f"f must be callable, got {type(f).__name__}")
    return Batched(f)


def is_batched(f: Callable[[Any], Any]) -> bool:
    """Whether f carries the mark: an attribute `batched` that is True."""
    return getattr(f, "batched", False) is True


def references(arrays: list[Array], position: int) -> int:
    """Return how many references there are to an array of a list."""
    return sys.getrefcount(arrays[position])


ALONE = references([np.empty(0)], 0)
"""References to an array that only its list knows."""


Entries: TypeAlias = tuple[int, IntArray, IntArray]
"""An array k, rows i and columns, such that x_(j_i) stands at [i, columns] of its memory."""


class Stack:
    """Copies of a point, each of which may be moved: what a batched f is given.

    f may keep what it is given. Memory that somebody else holds is not written to again: there is
    new memory then.

    Args:
        x: the point, which says what the structure is.
        structure: that of x.

    Attributes:
        rows: how many copies: as many as `BLOCK_BYTES` hold, at least 1 and at most `ROWS`.
    """

    def __init__(self, x: Any, structure: Structure) -> None:
        self._x, self._structure = x, structure
        self._saved = [leaf.reshape(-1).copy() for leaf in leaves_of(x)]
        size = max(1, sum(leaf.nbytes for leaf in self._saved))
        self.rows = min(max(1, BLOCK_BYTES // size), ROWS)
        self._written = 0
        self._changed: int | None = None
        self._memory = [self._copies(k) for k in range(len(self._saved))]
        self._starts = np.array([leaf.start for leaf in structure.leaves])

    def points(self, count: int, first: int = 0) -> Any:
        """Return copies in x's structure, with one more leading axis."""
        rows = slice(first, first + count)
        originals = originals_of(self._x)
        stacked = []
        for memory, leaf, original in zip(
            self._memory, self._structure.leaves, originals, strict=True
        ):
            given = memory[rows].reshape(count, *leaf.shape)
            is_plain = isinstance(original, list | tuple | float)
            stacked.append(given if is_plain else like(original, given))
        return with_leaves(self._x, stacked)

    def entries(self, coordinates: IntArray) -> list[Entries]:
        """Find coordinates j_i in the arrays of x; row i is to hold the point moved along j_i."""
        self._own_memory()
        leaf_of = np.searchsorted(self._starts, coordinates, side="right") - 1
        found = []
        for k in np.unique(leaf_of).tolist():
            i = np.flatnonzero(leaf_of == k)
            found.append((k, i, coordinates[i] - self._starts[k]))
        return found

    def put(self, entries: Entries, numbers: FloatArray) -> FloatArray:
        """Write numbers to the entries; return them as the format of the array holds them."""
        k, i, columns = entries
        self._memory[k][i, columns] = numbers
        return self.numbers(entries)

    def numbers(self, entries: Entries) -> FloatArray:
        """Return what stands at the entries."""
        k, i, columns = entries
        return self._memory[k][i, columns]

    def take_back(self, entries: list[Entries]) -> None:
        """Put x back into the entries that were written to, if f has let go of them."""
        for k, i, columns in entries:
            if references(self._memory, k) > ALONE:
                besides = self._memory[k] != self._saved[k]
                besides[i, columns] = False
                self._note_changes(k, besides)
        self._own_memory()
        for k, i, columns in entries:
            self._memory[k][i, columns] = self._saved[k][columns]

    def write(self, points: FloatArray) -> None:
        """Write points, one a row, to the first copies."""
        self._own_memory()
        self._written = max(self._written, len(points))
        for leaf, memory in zip(self._structure.leaves, self._memory, strict=True):
            memory[: len(points)] = points[:, leaf.start : leaf.stop]

    def restore(self) -> None:
        """Put x back into the copies that were written to."""
        self._own_memory()
        for saved, memory in zip(self._saved, self._memory, strict=True):
            memory[: self._written] = saved
        self._written = 0

    def changed(self) -> int | None:
        """Return the first coordinate that f was seen to change in some copy, if any."""
        for k, (saved, memory) in enumerate(zip(self._saved, self._memory, strict=True)):
            self._note_changes(k, memory != saved)
        return self._changed

    def _note_changes(self, k: int, different: npt.NDArray[np.bool_]) -> None:
        if not different.any():
            return
        columns = different.any(axis=0) & ~np.isnan(self._saved[k])
        if columns.any() and self._changed is None:
            self._changed = self._structure.leaves[k].start + int(np.argmax(columns))

    def _own_memory(self) -> None:
        """Leave memory to whoever holds it besides; take copies of x instead.

        Who keeps an array, or a view of it, adds to the references of the array that owns it.
        """
        for k in range(len(self._saved)):
            if references(self._memory, k) > ALONE:
                self._memory[k] = self._copies(k)

    def _copies(self, k: int) -> Array:
        """Return copies of an array of x, in memory of their own: a view would not be counted."""
        return np.repeat(self._saved[k][None], self.rows, axis=0)


def numbers(result: Any, count: int, dtype: npt.DTypeLike) -> FloatArray:
    """Hold the answer of a batched f to its form.

    Raises:
        TypeError: it is not one real number a point.
    """
    values = as_array(result, "f(x)")
    if values.shape != (count,) or values.dtype.kind not in "fiu":
        raise TypeError(
            f"f is marked as batched and returned {type(result).__name__} of shape {values.shape} "
            f"and dtype {values.dtype} for {count} points; it must return one real number for each"
        )
    return values.astype(dtype)
