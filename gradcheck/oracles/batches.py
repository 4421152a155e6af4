"""Black boxes that take many points at once: one leading axis more, one value a point.

`batched(f)` says of f that it takes x's structure with arrays of shape (K, *shape) and returns
its K values as one vector. Points go through in blocks of at most `BLOCK_BYTES`; each of them is
one forward pass.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Array, as_array, like
from gradcheck.structure import Structure, leaves_of, originals_of, with_leaves

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.intp]

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


class Stack:
    """Copies of a point, each of which may be moved: what a batched f is given.

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
        self._copies = [np.tile(leaf, (self.rows, 1)) for leaf in self._saved]
        self._given, self._rows = self._copies, slice(None)
        self._memory = [np.empty((0, leaf.size), leaf.dtype) for leaf in self._saved]
        self._starts = np.array([leaf.start for leaf in structure.leaves])

    def points(self, count: int, first: int = 0) -> Any:
        """Return fresh copies in x's structure, with one more leading axis."""
        self.take_back()
        rows = slice(first, first + count)
        self._given = [self._fresh(k, count) for k in range(len(self._copies))]
        for given, copies in zip(self._given, self._copies, strict=True):
            given[...] = copies[rows]
        self._rows = rows
        parts = zip(self._given, self._structure.leaves, originals_of(self._x), strict=True)
        stacked = [
            given.reshape(count, *leaf.shape)
            if isinstance(original, list | tuple | float)
            else like(original, given.reshape(count, *leaf.shape))
            for given, leaf, original in parts
        ]
        return with_leaves(self._x, stacked)

    def _fresh(self, position: int, count: int) -> Array:
        """Return memory that nobody holds: what was handed out last, unless f has kept any of it.

        Who keeps an array, or a view of it, adds to the references of the array that owns it.
        """
        if references(self._memory, position) > ALONE or len(self._memory[position]) < count:
            size = max(count, len(self._memory[position]))
            self._memory[position] = np.empty_like(
                self._copies[position], shape=(size, self._saved[position].size)
            )
        return self._memory[position][:count]

    def entries(self, coordinates: IntArray) -> Iterator[tuple[IntArray, Array, Any]]:
        """Yield, array by array, rows i, copies and index, such that copies[index] are x_(j_i)."""
        leaf_of = np.searchsorted(self._starts, coordinates, side="right") - 1
        for position in np.unique(leaf_of).tolist():
            i = np.flatnonzero(leaf_of == position)
            start = self._starts[position]
            yield i, self._copies[position], (i, coordinates[i] - start)

    def changed_row(self) -> int | None:
        """Return the first row that f changed in what it was handed, if any."""
        for copies, given in zip(self._copies, self._given, strict=True):
            same = copies[self._rows] == given
            if not same.all():
                same |= np.isnan(given)
                if not same.all():
                    return int(np.argmin(same.all(axis=1)))
        return None

    def write(self, points: FloatArray) -> None:
        """Write points, one a row, to the first copies."""
        self._written = max(self._written, len(points))
        for leaf, copy in zip(self._structure.leaves, self._copies, strict=True):
            copy[: len(points)] = points[:, leaf.start : leaf.stop]

    def restore(self) -> None:
        """Put x back into the copies that were written to."""
        for saved, copy in zip(self._saved, self._copies, strict=True):
            copy[: self._written] = saved
        self._written = 0
        self.take_back()

    def take_back(self) -> None:
        """Forget what was handed out: it is no copy of x."""
        self._given, self._rows = self._copies, slice(None)

    def changed_leaf(self) -> str | None:
        """Name the first array that was changed in what was handed out last, if any."""
        for leaf, copies, given in zip(
            self._structure.leaves, self._copies, self._given, strict=True
        ):
            if not np.array_equal(copies[self._rows], given, equal_nan=True):
                return leaf.name
        return None


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
