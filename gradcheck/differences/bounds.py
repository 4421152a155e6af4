"""Bounds that x must never leave: lo <= x <= hi, coordinate by coordinate.

Symbols: room_- = x_j - lo_j and room_+ = hi_j - x_j, how far x_j may be moved; eps the spacing of
the numbers of its array next to 1.

Central differences of order p reach 4 h on both sides, where h is about eps^(1/(p+1)) times the
largest |x| of the array (Shi et al. 2022: the best step grows like that root of the noise). Where
the nearer bound leaves no room for that, the formula is taken on the side with more room.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray, as_array
from gradcheck.pytree import Structure, arrays_like, leaves_of

ORDER = 4
"""p, the order of the formulas that are used near a bound."""

REACH = 4
"""What central differences of order p at the steps h and 2 h reach, in h."""


@dataclass(frozen=True)
class Bounds:
    """The lowest and the highest point, one entry a coordinate."""

    lower: FloatArray
    upper: FloatArray

    def hold(self, coordinates: IntArray, values: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether each value is within the bounds of its coordinate."""
        inside = (self.lower[coordinates] <= values) & (values <= self.upper[coordinates])
        return np.asarray(inside)

    def hold_all(self, points: FloatArray) -> npt.NDArray[np.bool_]:
        """Whether every coordinate of each point, one a row, is within its bounds."""
        return np.asarray(np.all((self.lower <= points) & (points <= self.upper), axis=-1))

    def sides(self, x: FloatArray, size: FloatArray, eps: FloatArray) -> IntArray:
        """Return 0 where central differences have room, else the side with more of it: -1 or 1.

        Args:
            x: one entry a coordinate, as below.
            size: the largest |x| of its array.
            eps: the spacing of the numbers of its array next to 1.
        """
        below, above = x - self.lower, self.upper - x
        wanted = REACH * eps ** (1 / (ORDER + 1)) * size
        onward = np.where(above >= below, 1, -1)
        return np.where(np.minimum(below, above) >= wanted, 0, onward).astype(np.intp)

    def room(self, x: FloatArray, sides: IntArray) -> FloatArray:
        """Return how far x may be moved on the side that is used, or on both."""
        below, above = x - self.lower, self.upper - x
        one = np.where(sides > 0, above, below)
        return np.asarray(np.where(sides == 0, np.minimum(below, above), one))

    def turned(self, x: FloatArray, moves: FloatArray) -> FloatArray:
        """Turn moves that would leave the bounds to the other side, or leave them out."""
        all_of_x = np.arange(len(x))
        back = np.where(self.hold(all_of_x, x - moves), -moves, 0.0)
        return np.asarray(np.where(self.hold(all_of_x, x + moves), moves, back))

    def fit(self, origin: FloatArray, reach: FloatArray) -> FloatArray:
        """Move an origin by multiples of `reach` until origin +- 4 reach is inside."""
        low, high = origin - 4 * np.abs(reach), origin + 4 * np.abs(reach)
        with np.errstate(invalid="ignore"):
            up = np.where(low < self.lower, np.ceil((self.lower - low) / np.abs(reach)), 0.0)
            down = np.where(high > self.upper, np.ceil((high - self.upper) / np.abs(reach)), 0.0)
        return np.asarray(origin + (up - down) * np.abs(reach))


def read_bounds(bounds: Any, x: Any, structure: Structure) -> Bounds | None:
    """Read (lo, hi), each a number, None (no bound) or a structure like x.

    Raises:
        ValueError: no pair, not like x, a NaN, lo above hi, or an x that is not between them.
    """
    if bounds is None:
        return None
    if not isinstance(bounds, tuple | list) or len(bounds) != 2:
        raise ValueError(
            "bounds must be a pair (lo, hi), each of them a number, None for no bound, or arrays "
            "in the structure of x"
        )
    lower = _side(bounds[0], structure, "bounds[0]", -np.inf)
    upper = _side(bounds[1], structure, "bounds[1]", np.inf)
    origin = np.concatenate([np.empty(0), *(leaf.reshape(-1) for leaf in leaves_of(x))])
    for wrong, told in (
        (lower > upper, "bounds: lo = {lo!r} is above hi = {hi!r} at {name}"),
        (lower > origin, "x must be within bounds, but {name} = {x!r} is below lo = {lo!r}"),
        (origin > upper, "x must be within bounds, but {name} = {x!r} is above hi = {hi!r}"),
    ):
        for j in np.flatnonzero(wrong)[:1].tolist():
            x_j, lo, hi = (float(v[j]) for v in (origin, lower, upper))
            raise ValueError(told.format(lo=lo, hi=hi, x=x_j, name=structure.name(j)))
    return Bounds(lower, upper)


def _side(given: Any, structure: Structure, name: str, none: float) -> FloatArray:
    """Lay one side of the bounds out as a vector, rounded as the arrays of x are."""
    if given is None or isinstance(given, int | float | np.number):
        number = none if given is None else float(given)
        parts = {leaf.name: np.full(leaf.shape, number) for leaf in structure.leaves}
    else:
        found = arrays_like(structure.tree, given, name)
        parts = {structure.leaves[i].name: as_array(part, name) for i, part in found}
    shapes = {label: part.shape for label, part in parts.items()}
    expected = {leaf.name: leaf.shape for leaf in structure.leaves}
    if shapes != expected:
        raise ValueError(f"{name} has arrays of shapes {shapes}, but x has {expected}")
    vectors = [np.empty(0)]
    for leaf in structure.leaves:
        part = parts[leaf.name].reshape(-1)
        if np.isnan(part).any():
            raise ValueError(f"{name} is nan at {leaf.name}; None or inf stands for no bound")
        vectors.append(part.astype(leaf.dtype).astype(np.result_type(leaf.dtype, float)))
    return np.concatenate(vectors)
