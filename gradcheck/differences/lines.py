"""The black box f along straight lines through x: counted, and x restored bit for bit.

Every oracle sees the function through this window alone, so none can do anything but forward
passes, and none can forget to count one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Array, FloatArray, IntArray, as_array, is_of_jax, like
from gradcheck.differences.batches import Stack, is_batched, numbers
from gradcheck.differences.bounds import Bounds
from gradcheck.outcomes.ending import ENDS_CHECK, EndsCheckError
from gradcheck.pytree import Structure, copy_of, originals_of, structure_of, with_leaves
from gradcheck.splitmix64 import Stream

MANY = "; weigh its outputs, lambda x: np.sum(w * f(x)), or use check_jacobian"
"""What to do with more than one number."""


class BudgetSpentError(EndsCheckError):
    """The next forward pass would exceed the budget; what was evaluated before stands."""


class InputChangedError(EndsCheckError):
    """The black box wrote to the point it was given."""


@dataclass
class Undefined:
    """Points near x at which f raised or was not finite.

    Attributes:
        count: how many.
        what: what happened at the first: "f raised ValueError: math domain error".
        where: the first on an axis: "x[2] moved by -1e-05"; empty where all coordinates moved.
    """

    count: int = 0
    what: str = ""
    where: str = ""

    def add(self, what: str, where: str, count: int = 1) -> None:
        """Record some points."""
        if not self.where:  # a place says more than a point with all coordinates moved
            self.what, self.where = what, where
        self.count += count

    def __str__(self) -> str:
        points = "1 point near x" if self.count == 1 else f"{self.count} points near x"
        first = f", first with {self.where}" if self.where else ""
        return f"{self.what} at {points}{first}: these count as not finite"


class Lines:
    """f on the lines through x, evaluated at a private copy of x.

    Args:
        f: the black box; takes x's structure and returns one real number, or is marked as batched.
        x: an array, or a dict, list or tuple of arrays; never changed.
        budget: the most forward passes that may be spent, or None.
        seed: draws the mantissas of steps.
        bounds: what x must never leave: f is not asked beyond, and NaN stands there.

    Attributes:
        point: the private point; f is given a fresh copy of it at every call.
        budget: the most forward passes that may be spent, or None.
        seed: draws the mantissas of steps.
        reserve: how many of these are kept for `again`.
        given: the leaves of the copy that was handed out last, as f got them.
        bounds: what x must never leave, or None.
        undefined: the points away from x where f raised (NaN stands there) or was not finite.
        forward_passes: how often f was evaluated.
        stack: copies of x for an f that takes many points at once, else None.
        value: f(x).
        origin: x as one vector.
        machine_epsilon: 2u of the array that holds each coordinate.
        dtype: the precision values and offsets are held in (float64, or longdouble where x is).
        is_short_of_jax: whether f(x) is an array of jax, shorter than those of x.
        value_bytes: the item size of the shortest format that holds f(x) and every value of f
            along a line, exactly.
        unit_roundoff: u of the least precise arithmetic seen: x's own or that of f's result.
    """

    def __init__(
        self,
        f: Callable[[Any], Any],
        x: Any,
        *,
        budget: int | None = None,
        seed: int = 0,
        bounds: Bounds | None = None,
    ) -> None:
        self._f = f
        self.budget, self.reserve = budget, 0
        self.seed = seed
        self._mantissas: dict[str, FloatArray] = {}
        self.bounds = bounds
        self.undefined, self._error = Undefined(), ""
        self.forward_passes = 0
        self._read_point(x)
        self._sides = self._all_sides()
        self.stack = Stack(x, self.structure) if is_batched(f) else None
        self._read_value(self._first())

    def _read_point(self, x: Any) -> None:
        """Copy x, and say what its numbers are."""
        self.structure: Structure = structure_of(x)
        self.point, leaves = copy_of(x)
        self._originals = originals_of(x)
        self._own = all(isinstance(leaf, np.ndarray) for leaf in self._originals)
        self._leaves: list[Array] = leaves
        self.given: list[Any] = leaves
        self._flat = [leaf.reshape(-1) for leaf in leaves]
        self._saved = [leaf.copy() for leaf in self._flat]
        long = any(leaf.dtype == np.longdouble for leaf in self.structure.leaves)
        self.dtype: npt.DTypeLike = np.longdouble if long else float
        parts = [leaf.astype(self.dtype) for leaf in self._flat]
        self.origin: FloatArray = np.concatenate(parts or [np.empty(0)])
        eps = [np.full(leaf.size, float(np.finfo(leaf.dtype).eps)) for leaf in self._flat]
        self.machine_epsilon: FloatArray = np.concatenate(eps or [np.empty(0)])
        bad = np.flatnonzero(~np.isfinite(self.origin))
        if bad.size:
            name = self.structure.name(int(bad[0]))
            raise ValueError(f"x must be finite, but {name} is {self.origin[bad[0]]}")

    def _read_value(self, first: Any) -> None:
        """Hold f(x) to its form, and say in what arithmetic f computes."""
        if first is None:
            raise TypeError("f(x) is None; it must return one real number: is a return missing?")
        self.value = self._number(first)
        self.value_bytes = bytes_of(np.array([self.value], dtype=self.dtype))
        result = as_array(first, "f(x)").dtype
        dtypes = {leaf.dtype for leaf in self.structure.leaves}
        shortest = min((dtype.itemsize for dtype in dtypes), default=0)
        self.is_short_of_jax = is_of_jax(first) and result.itemsize < shortest
        if result.kind == "f":
            dtypes.add(result)
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
            f(x + t e_j) - f(x), NaN beyond the bounds, and the realised offsets
            t = fl(x_j + offset) - x_j, as arrays like `coordinates`.
        """
        values, realised = np.full(len(offsets), np.nan, self.dtype), offsets.astype(self.dtype)
        inside = np.ones(len(offsets), dtype=bool)
        if self.bounds is not None:
            inside = self.bounds.hold(coordinates, self._moved(coordinates, offsets))
        js, to = coordinates[inside], offsets[inside]
        values[inside], realised[inside] = self._along_axes(js, to)
        self._note(values[inside], lambda i: f"{self._name_of(js[i])} moved by {to[i]:.3g}")
        return values, realised

    def _name_of(self, coordinate: Any) -> str:
        return self.structure.name(int(coordinate))

    def sides(self, coordinates: IntArray) -> IntArray:
        """Return where to move each coordinate: to both sides (0), or to that of 1 or -1 alone."""
        return self._sides[coordinates]

    @contextmanager
    def on_side(self, side: int) -> Iterator[None]:
        """Move coordinates to one side only, 1 or -1, until the block ends."""
        saved, self._sides = self._sides, np.full(self.size, side, dtype=np.intp)
        try:
            yield
        finally:
            self._sides = saved

    def room(self, coordinates: IntArray) -> FloatArray:
        """Return how far each coordinate may be moved to its sides."""
        if self.bounds is None:
            return np.full(len(coordinates), np.inf)
        return self.bounds.room(self.origin, self._sides)[coordinates]

    def _all_sides(self) -> IntArray:
        if self.bounds is None:
            return np.zeros(self.size, dtype=np.intp)
        size = np.empty(self.size)
        for leaf in self.structure.leaves:
            own = np.abs(self.origin[leaf.start : leaf.stop])
            size[leaf.start : leaf.stop] = float(np.max(own, initial=0.0)) or self.scale
        return self.bounds.sides(self.origin, size, self.machine_epsilon)

    def _along_axes(
        self, coordinates: IntArray, offsets: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
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
                values[i] = self._value() - self.value
                if self._own and self.given[position].reshape(-1)[k] != moved:
                    raise InputChangedError(self.structure.name(j))
            finally:
                flat[k] = saved
                self.given = self._leaves
            realised[i] = self._widen(moved) - self.origin[j]
        return values, realised

    def _moved(self, coordinates: IntArray, offsets: FloatArray) -> FloatArray:
        """Return fl(x_j + offset), rounded as the array of x_j is."""
        moved: FloatArray = self.origin[coordinates] + offsets
        for leaf in self.structure.leaves:
            inside = (leaf.start <= coordinates) & (coordinates < leaf.stop)
            moved[inside] = moved[inside].astype(leaf.dtype)
        return moved

    def again(self) -> Any:
        """Evaluate f at the private point once more, out of the reserve; returns its value."""
        self.reserve = max(self.reserve - 1, 0)
        if self.stack is None:
            return self._value()
        self.stack.write(self._private()[None])
        try:
            return self._at_once(self.stack, 1)[0]
        finally:
            self.stack.restore()

    def nearby(self, ulps: int) -> FloatArray:
        """Return a point whose coordinates are some ulps from those of x, within its bounds."""
        parts = [np.spacing(np.maximum(np.abs(s), np.finfo(s.dtype).tiny)) for s in self._saved]
        moves = ulps * np.concatenate([np.empty(0), *parts])
        if self.bounds is not None:
            moves = self.bounds.turned(self.origin, moves)
        return np.asarray(self.origin + moves)

    def hand_out(self) -> Any:
        """Return a fresh copy of the private point, in x's structure."""
        self.given = [leaf.copy() for leaf in self._leaves]
        if not self._own:
            pairs = zip(self._originals, self.given, strict=True)
            self.given = [like(original, leaf) for original, leaf in pairs]
        return with_leaves(self.point, self.given)

    def given_arrays(self) -> list[Array]:
        """Return the numbers of what was handed out last."""
        return [as_array(leaf, "x") for leaf in self.given]

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
        values = np.full(len(steps), np.nan, dtype=self.dtype)
        block = 1 if self.stack is None else self.stack.rows
        try:
            for i in range(0, len(steps), block):
                points: FloatArray = origin + steps[i : i + block, None] * direction
                asked = np.arange(i, i + len(points))
                points = self.realised(points)
                if self.bounds is not None:
                    inside = self.bounds.hold_all(points)
                    points, asked = points[inside], asked[inside]
                if not len(points):
                    continue
                if self.stack is not None:
                    self.stack.write(points)
                    values[asked] = self._at_once(self.stack, len(points))
                else:
                    self.move_to(points[0])
                    values[asked] = self._value()
                self._note(values[asked], lambda _: "")
                if self.value_bytes < values.itemsize:
                    self.value_bytes = max(self.value_bytes, bytes_of(values[asked]))
                for k, point in zip(asked.tolist(), points, strict=True):
                    seen(k, point)
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
        """Round numbers, one a coordinate, to the formats of x's arrays."""
        dtypes = {leaf.dtype for leaf in self.structure.leaves}
        if len(dtypes) == 1:
            return numbers.astype(dtypes.pop()).astype(numbers.dtype)
        for leaf in self.structure.leaves:
            if leaf.dtype != numbers.dtype:
                inside = (coordinates >= leaf.start) & (coordinates < leaf.stop)
                numbers[inside] = numbers[inside].astype(leaf.dtype)
        return numbers

    def move_to(self, vector: FloatArray) -> None:
        """Write a vector into the private point; `restore` takes it back."""
        for leaf, flat in zip(self.structure.leaves, self._flat, strict=True):
            flat[...] = vector[leaf.start : leaf.stop]

    def _private(self) -> FloatArray:
        return np.concatenate([flat.astype(self.dtype) for flat in self._flat] or [np.empty(0)])

    def restore(self) -> None:
        """Put x back into the private point and its copies, bit for bit."""
        if self.stack is not None:
            self.stack.restore()
        for flat, saved in zip(self._flat, self._saved, strict=True):
            flat[...] = saved
        self.given = self._leaves

    def changed_leaf(self) -> str | None:
        """Name the first array that was changed in the copy that was handed out last, if any."""
        given_arrays = self.given_arrays()
        for leaf, flat, given in zip(self.structure.leaves, self._flat, given_arrays, strict=True):
            if not _is_same(given.reshape(-1), flat):
                return leaf.name
        coordinate = None if self.stack is None else self.stack.changed()
        return None if coordinate is None else self.structure.leaf_of(coordinate).name

    def _along_axes_at_once(
        self, stack: Stack, coordinates: IntArray, offsets: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        values = np.empty(len(coordinates), dtype=self.dtype)
        moved = np.empty(len(coordinates), dtype=self.dtype)
        for start in range(0, len(coordinates), stack.rows):
            part = slice(start, start + stack.rows)
            js, to, at = coordinates[part], offsets[part], moved[part]
            entries = stack.entries(js)
            try:
                for one in entries:
                    i = one[1]
                    at[i] = stack.put(one, self.origin[js[i]] + to[i])
                values[part] = self._at_once(stack, len(js))
                for one in entries:
                    changed = one[1][stack.numbers(one) != at[one[1]]]
                    if changed.size:
                        raise InputChangedError(self.structure.name(int(js[changed[0]])))
            finally:
                stack.take_back(entries)
        if (coordinate := stack.changed()) is not None:
            raise InputChangedError(self.structure.name(coordinate))
        return values - self.value, moved - self.origin[coordinates]

    def _at_once(self, stack: Stack, count: int, first: int = 0) -> FloatArray:
        """Return f at points of the stack, NaN where it raises."""
        try:
            self._spend(count)
            return numbers(self._f(stack.points(count, first)), count, self.dtype)
        except Exception as error:
            if isinstance(error, ENDS_CHECK):
                raise
            if count == 1:
                return np.full(1, self._nothing(error), dtype=self.dtype)
        self.forward_passes -= count
        return np.concatenate([self._at_once(stack, 1, first + i) for i in range(count)])

    def _first(self) -> Any:
        if self.stack is None:
            self._spend(1)
            return self._f(self.hand_out())
        self._spend(1)
        result = self._f(self.stack.points(1))
        numbers(result, 1, self.dtype)
        return result

    def _value(self) -> Any:
        """Return f at the private point, NaN where it raises."""
        try:
            self._spend(1)
            return self._number(self._f(self.hand_out()))
        except Exception as error:
            if isinstance(error, ENDS_CHECK):
                raise
            return self._nothing(error)

    def _nothing(self, error: Exception) -> float:
        """Keep what f raised first, for messages; return NaN."""
        self._error = self._error or f"f raised {type(error).__name__}: {error}"
        return float("nan")

    def _note(self, values: FloatArray, where: Callable[[int], str]) -> None:
        """Record the points where f is not finite; the rest of the check goes on without them."""
        bad = np.flatnonzero(~np.isfinite(values))
        if bad.size:
            first = int(bad[0])
            self.undefined.add(self._error or f"f is {values[first]}", where(first), len(bad))

    def _spend(self, passes: int) -> None:
        if self.budget is not None and self.forward_passes + passes > self.budget - self.reserve:
            raise BudgetSpentError
        self.forward_passes += passes

    def _number(self, result: Any) -> Any:
        if self.dtype is float and isinstance(result, float):
            return result  # what most losses return, at no cost
        array = as_array(result, "f(x)")
        if array.size != 1 or array.dtype.kind not in "fiub":
            raise TypeError(
                f"f(x) returned {type(result).__name__} of shape {array.shape} and dtype "
                f"{array.dtype}; it must return one real number" + MANY * (array.size > 1)
            )
        return self._widen(array.reshape(()))

    def _widen(self, number: Any) -> Any:
        return np.longdouble(number) if self.dtype is np.longdouble else float(number)


def bytes_of(values: FloatArray) -> int:
    """Return the item size of the shortest format that holds all finite values exactly.

    >>> bytes_of(np.array([0.5, np.inf])), bytes_of(np.array([float(np.float32(0.1))]))
    (2, 4)
    """
    finite = values[np.isfinite(values)]
    with np.errstate(over="ignore"):
        for short in (np.float16, np.float32):
            if np.array_equal(finite.astype(short), finite):
                return int(np.dtype(short).itemsize)
    return values.dtype.itemsize


def _is_same(flat: FloatArray, saved: FloatArray) -> bool:
    """Whether two vectors hold the same numbers, each 0 with its sign."""
    return flat.tobytes() == saved.tobytes() or (  # else padding may differ, or which NaN it is
        np.array_equal(flat, saved, equal_nan=True)
        and np.array_equal(np.signbit(flat), np.signbit(saved))
    )
