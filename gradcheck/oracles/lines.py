"""The black box f along straight lines through x: counted, and x restored bit for bit.

Every oracle sees the function through this window alone, so none can do anything but forward
passes, and none can forget to count one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.oracles.batches import Stack, is_batched, numbers
from gradcheck.splitmix64 import Stream
from gradcheck.structure import Structure, copy_of, structure_of

FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.intp]


class BudgetSpentError(Exception):
    """The next forward pass would exceed the budget; what was evaluated before stands."""


class InputChangedError(Exception):
    """The black box wrote to the point it was given."""


class Lines:
    """f on the lines through x, evaluated at a private copy of x.

    Args:
        f: the black box; takes x's structure and returns one real number, or is marked as batched.
        x: an array, or a dict, list or tuple of arrays; never changed.
        budget: the most forward passes that may be spent, or None.
        seed: draws the mantissas of steps.

    Attributes:
        point: the private copy that f is given.
        budget: the most forward passes that may be spent, or None.
        seed: draws the mantissas of steps.
        forward_passes: how often f was evaluated.
        stack: copies of x for an f that takes many points at once, else None.
        value: f(x).
        origin: x as one vector.
        machine_epsilon: 2u of the array that holds each coordinate.
        dtype: the precision values and offsets are held in (float64, or longdouble where x is).
        unit_roundoff: u of the least precise arithmetic seen: x's own or that of f's result.
    """

    def __init__(
        self, f: Callable[[Any], Any], x: Any, *, budget: int | None = None, seed: int = 0
    ) -> None:
        self._f = f
        self.budget = budget
        self.seed = seed
        self._mantissas: dict[str, FloatArray] = {}
        self.forward_passes = 0
        self.structure: Structure = structure_of(x)
        self.point, leaves = copy_of(x)
        self._flat = [leaf.reshape(-1) for leaf in leaves]
        self._saved = [leaf.copy() for leaf in self._flat]
        dtypes = {leaf.dtype for leaf in self.structure.leaves}
        self.dtype: npt.DTypeLike = np.longdouble if np.dtype(np.longdouble) in dtypes else float
        self.origin: FloatArray = (
            np.concatenate([leaf.astype(self.dtype) for leaf in self._flat])
            if self._flat
            else np.empty(0)
        )
        self.machine_epsilon: FloatArray = np.concatenate(
            [np.full(leaf.size, float(np.finfo(leaf.dtype).eps)) for leaf in self._flat]
            or [np.empty(0)]
        )
        self.stack = Stack(self.point, self.structure) if is_batched(f) else None
        first = self._first()
        result_dtype = np.asarray(first).dtype
        self.value = self._number(first)
        if result_dtype.kind == "f":
            dtypes.add(result_dtype)
        self.unit_roundoff = max((float(np.finfo(d).eps) / 2 for d in dtypes), default=2.0**-53)
        self.tiny = max((float(np.finfo(d).tiny) for d in dtypes), default=0.0)

    @property
    def size(self) -> int:
        """How many coordinates x has."""
        return self.structure.size

    @property
    def scale(self) -> float:
        """The largest |x_j|, or 1 where x is 0: a first guess of how far f may be moved."""
        return float(np.max(np.abs(self.origin), initial=0.0)) or 1.0

    def mantissas(self, purpose: str, count: int) -> FloatArray:
        """Return numbers c in [1, 2) with 23 random bits; steps of that purpose are c 2^e.

        A power of two is a whole number of periods of many a function that people write, and a
        whole number of cells of many a table; c 2^e is not.
        """
        known = self._mantissas.get(purpose)
        if known is None or len(known) < count:
            known = self._mantissas[purpose] = 1 + Stream(self.seed, purpose).uniform(count)
        return known[:count]

    def along_axes(
        self, coordinates: IntArray, offsets: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Evaluate f(x + t e_j) for every coordinate j with its offset.

        Returns:
            f(x + t e_j) - f(x), and the realised offsets t = fl(x_j + offset) - x_j, as
            arrays like `coordinates`.
        """
        if self.stack is not None:
            return self._along_axes_at_once(self.stack, coordinates, offsets)
        values = np.empty(len(coordinates), dtype=self.dtype)
        realised = np.empty(len(coordinates), dtype=self.dtype)
        leaf, position = None, -1
        for i, (j, offset) in enumerate(zip(coordinates.tolist(), offsets, strict=True)):
            if leaf is None or not leaf.start <= j < leaf.stop:
                leaf = self.structure.leaf_of(j)
                position = self.structure.leaves.index(leaf)
            flat, k = self._flat[position], j - leaf.start
            saved = flat[k]
            try:
                flat[k] = self.origin[j] + offset
                moved = flat[k]
                values[i] = self._number(self._evaluate()) - self.value
                if flat[k] != moved:
                    raise InputChangedError(self.structure.name(j))
            finally:
                flat[k] = saved
            realised[i] = self._widen(moved) - self.origin[j]
        return values, realised

    def along(self, origin: FloatArray, direction: FloatArray, steps: FloatArray) -> FloatArray:
        """Evaluate f(origin + t direction) for every step t; returns the values of f."""
        return self._visit(origin, direction, steps, lambda _i, _point: None)

    def rises_along(
        self, direction: FloatArray, steps: FloatArray, slope: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Evaluate f(x + t direction) for every step t, and by how far x went elsewhere.

        Args:
            direction: v, one entry a coordinate.
            steps: the ts.
            slope: g, one entry a coordinate.

        Returns:
            f(x + d) - f(x) for the realised displacements d = fl(x + t v) - x, and the drifts
            g (d - t v), which are what rounding x + t v adds to a function of slope g.
        """
        drifts = np.zeros(len(steps), dtype=self.dtype)

        def drift(i: int, point: FloatArray) -> None:
            drifts[i] = slope @ ((point - self.origin) - steps[i] * direction)

        return self._visit(self.origin, direction, steps, drift) - self.value, drifts

    def _visit(
        self,
        origin: FloatArray,
        direction: FloatArray,
        steps: FloatArray,
        seen: Callable[[int, FloatArray], None],
    ) -> FloatArray:
        """Return f(origin + t direction) for every t; `seen` gets each point as it was realised."""
        values = np.empty(len(steps), dtype=self.dtype)
        block = 1 if self.stack is None else self.stack.rows
        try:
            for i in range(0, len(steps), block):
                points: FloatArray = origin + steps[i : i + block, None] * direction
                if self.stack is not None:
                    self.stack.write(points)
                    values[i : i + block] = self._at_once(self.stack, len(points))
                else:
                    self.move_to(points[0])
                    values[i] = self._number(self._evaluate())
                for k, point in enumerate(self.realised(points)):
                    seen(i + k, point)
        finally:
            self.restore()
        return values

    def realised(self, points: FloatArray) -> FloatArray:
        """Round points, one a row, to the dtypes of x's arrays."""
        for leaf in self.structure.leaves:
            if leaf.dtype != points.dtype:
                part = slice(leaf.start, leaf.stop)
                points[:, part] = points[:, part].astype(leaf.dtype)
        return points

    def rounded(self, coordinates: IntArray, numbers: FloatArray) -> FloatArray:
        """Round numbers, one a coordinate, to the formats of x's arrays, in place."""
        for leaf in self.structure.leaves:
            if leaf.dtype != numbers.dtype:
                inside = (coordinates >= leaf.start) & (coordinates < leaf.stop)
                numbers[inside] = numbers[inside].astype(leaf.dtype)
        return numbers

    def move_to(self, vector: FloatArray) -> None:
        """Write a vector into the private point; `restore` takes it back."""
        for leaf, flat in zip(self.structure.leaves, self._flat, strict=True):
            flat[...] = vector[leaf.start : leaf.stop]

    def restore(self) -> None:
        """Put x back into the private point and its copies, bit for bit."""
        if self.stack is not None:
            self.stack.restore()
        for flat, saved in zip(self._flat, self._saved, strict=True):
            flat[...] = saved

    def changed_leaf(self) -> str | None:
        """Name the first array whose bits are no longer those of x, if any."""
        for leaf, flat, saved in zip(self.structure.leaves, self._flat, self._saved, strict=True):
            if not _is_same(flat, saved):
                return leaf.name
        return None if self.stack is None else self.stack.changed_leaf()

    def _along_axes_at_once(
        self, stack: Stack, coordinates: IntArray, offsets: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        values = np.empty(len(coordinates), dtype=self.dtype)
        moved = np.empty(len(coordinates), dtype=self.dtype)
        for start in range(0, len(coordinates), stack.rows):
            part = slice(start, start + stack.rows)
            js, to, at = coordinates[part], offsets[part], moved[part]
            entries = list(stack.entries(js))
            saved = [copies[index] for _, copies, index in entries]
            try:
                for i, copies, index in entries:
                    copies[index] = self.origin[js[i]] + to[i]
                    at[i] = copies[index]
                values[part] = self._at_once(stack, len(js))
                for i, copies, index in entries:
                    changed = np.flatnonzero(copies[index] != at[i])
                    if changed.size:
                        raise InputChangedError(self.structure.name(int(js[i[changed[0]]])))
            finally:
                for (_, copies, index), before in zip(entries, saved, strict=True):
                    copies[index] = before
        return values - self.value, moved - self.origin[coordinates]

    def _at_once(self, stack: Stack, count: int) -> FloatArray:
        """Return f at the first points of the stack."""
        self._spend(count)
        return numbers(self._f(stack.points(count)), count, self.dtype)

    def _first(self) -> Any:
        if self.stack is None:
            return self._evaluate()
        self._spend(1)
        result = self._f(self.stack.points(1))
        numbers(result, 1, self.dtype)
        return result

    def _evaluate(self) -> Any:
        self._spend(1)
        return self._f(self.point)

    def _spend(self, passes: int) -> None:
        if self.budget is not None and self.forward_passes + passes > self.budget:
            raise BudgetSpentError
        self.forward_passes += passes

    def _number(self, result: Any) -> Any:
        if self.dtype is float and isinstance(result, float):
            return result  # what most losses return, at no cost
        if np.size(result) != 1 or np.iscomplexobj(result):
            raise TypeError(
                f"f(x) returned {type(result).__name__} of shape {np.shape(result)} and dtype "
                f"{np.asarray(result).dtype}; it must return one real number"
            )
        return self._widen(np.asarray(result).reshape(()))

    def _widen(self, number: Any) -> Any:
        return np.longdouble(number) if self.dtype is np.longdouble else float(number)


def _is_same(flat: FloatArray, saved: FloatArray) -> bool:
    """Whether two vectors hold the same numbers, each 0 with its sign."""
    return flat.tobytes() == saved.tobytes() or (  # else padding may differ, or which NaN it is
        np.array_equal(flat, saved, equal_nan=True)
        and np.array_equal(np.signbit(flat), np.signbit(saved))
    )
