r"""The points x + t e_j of stencils, t = k h_j: each evaluated once, then remembered.

Symbols: h_j = c_j 2^e the step along axis j, c_j in [1, 2) with 23 random bits (`Lines.mantissas`);
k the whole numbers of a stencil and w_k its weights; r_k = t_k - k h_j.

All steps of one axis share c_j, so the points of one step serve the next: k c 2^e =
(k/2) c 2^(e+1). A second opinion has a c_j of its own: should h be a whole number of periods of f
in one of them, it is not in the other.

**Offsets.** While |k| h_j <= |x_j|, the offset outward, away from 0, is the realised one,

    |t_k| = fl(|x_j| + |k| h_j) - |x_j|,     |r_k| <= ulp(x_j),

and serves inward too: |x_j| - |t_k| is a multiple of ulp(x_j) smaller than |x_j|, a number of x's
format. So x_j moves by t_k and -t_k exactly, and the even moments sum_k w_k t_k^q of an
antisymmetric stencil are 0, whatever r_k is. With D = sum_k w_k f(x + t_k) / sum_k w_k t_k the
first one is 1. What rounding leaves is, to first order in r_k,

    f''' / 6 [sum_k w_k t_k^3 / sum_k w_k t_k - h^2 sum_k w_k k^3]
        <= |f'''| h ulp(x_j) / 2 sum_k |w_k| k^2

which is |f'''| h ulp(x_j) for the 4th-order stencil: 0 for h >= 2^24 ulp(x_j), where r_k = 0 (2^-28
|x_j| in float64), and elsewhere 6 ulp / h of f''' h^2 / 6, the truncation error of second order. It
differs from step to step, as r_k does, so that the disagreements of the stencils hold it.
Beyond |x_j| the sum x_j + k h_j is rounded as it comes, and t_k is the realised offset.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.lines import Lines
from gradcheck.differences.stencils import ON_ONE_SIDE, Stencil

CENTRAL_REACH, ONE_SIDED_REACH = 4, 8
"""How far formulas of order 4 at h and at 2 h reach, in h."""


FAR = 1 / 4
"""Of |x_j|, how far an f must be constant to be taken for one that does not depend on x_j."""


def exponents_below(sizes: FloatArray, mantissas: FloatArray) -> IntArray:
    """Return the largest e with c 2^e <= size, for sizes above 0."""
    return np.asarray(np.frexp(sizes / mantissas)[1] - 1, dtype=np.intp)


def movable(lines: Lines, coordinates: IntArray, sizes: FloatArray) -> FloatArray:
    """Return sizes |t| by which each x_j can be moved both ways, while |t| <= |x_j|."""
    x = np.abs(lines.origin[coordinates])
    outward = lines.rounded(coordinates, x + sizes) - x
    return np.asarray(np.where(sizes <= x, outward, sizes))


@dataclass
class _Column:
    """f along every axis at one signed multiple of a power of two."""

    rise: FloatArray
    offset: FloatArray
    known: npt.NDArray[np.bool_]


class _Level(NamedTuple):
    """One exponent, and where it stands."""

    exponent: int
    here: npt.NDArray[np.bool_]


def _levels(exponents: IntArray) -> list[_Level]:
    """Return each exponent once, the smallest first."""
    return [_Level(e, exponents == e) for e in sorted(set(exponents.tolist()))]


class AxisPoints:
    """Evaluated points on the axes of several coordinates.

    Args:
        lines: the black box at x.
        coordinates: the axes; every array argument below has one entry for each of them, or for
            those picked by `rows`.
        purpose: names the stream of the mantissas.

    Attributes:
        mantissas: c_j; the step of exponent e is c_j 2^e.
        evaluations: forward passes spent on each axis.
    """

    def __init__(self, lines: Lines, coordinates: IntArray, purpose: str = "steps") -> None:
        self.lines = lines
        self.coordinates = coordinates
        self.mantissas: FloatArray = lines.mantissas(purpose, lines.size)[coordinates]
        self.sides = lines.sides(coordinates)
        self.evaluations: IntArray = np.zeros(len(coordinates), dtype=np.intp)
        self._columns: dict[tuple[int, int], _Column] = {}

    def steps(self, exponents: IntArray, rows: IntArray | None = None) -> FloatArray:
        """Return h = c 2^e."""
        mantissas = self.mantissas if rows is None else self.mantissas[rows]
        return np.asarray(np.ldexp(mantissas, exponents))

    def prefetch(
        self, stencil: Stencil, levels: Sequence[IntArray], rows: IntArray | None = None
    ) -> None:
        """Evaluate what `derivative` needs at several steps, in as few calls of a batched f.

        A call may be a message to another process. An f of one point at a time is left alone.
        """
        if self.lines.stack is None:
            return
        rows = np.arange(len(self.coordinates)) if rows is None else rows
        every = sorted({e for exponents in levels for e in exponents.tolist()})
        each = [(e, rows[np.any([at == e for at in levels], axis=0)]) for e in every]
        wanted: list[tuple[int, int, IntArray]] = []
        for k, _ in stencil.terms:
            twos = (k & -k).bit_length() - 1
            wanted += [(k >> twos, e + twos, here) for e, here in each]
        self._evaluate(wanted)

    def derivative(
        self, stencil: Stencil, exponents: IntArray, rows: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return D(c 2^exponents) over realised offsets, and by how much |f| grew on the way.

        Where the bounds leave room on one side only, the formula is taken on that side.
        """
        rows = np.arange(len(self.coordinates)) if rows is None else rows
        if not self.sides[rows].any():
            return self._derivative(stencil, exponents, rows)
        found, growth = np.empty((2, len(rows)), dtype=self.lines.dtype)
        for side in (-1, 0, 1):
            here = self.sides[rows] == side
            formula = ON_ONE_SIDE.get(side, stencil)
            found[here], growth[here] = self._derivative(formula, exponents[here], rows[here])
        return found, growth

    def secant(self, exponents: IntArray, rows: IntArray) -> FloatArray:
        """Return the larger |f(x + t) - f(x)| / |t| of t = h and -h; 0 where x has one side."""
        found = np.zeros(len(rows))
        two_sided = np.flatnonzero(self.sides[rows] == 0)
        with np.errstate(all="ignore"):
            for k in (1, -1):
                rise, t = self.rise(k, exponents[two_sided], rows[two_sided])
                found[two_sided] = np.fmax(found[two_sided], np.abs(rise / t).astype(float))
        return found

    def unchanged(self) -> FloatArray:
        """Return how far each x_j was moved without changing f by a bit, if that is far, else 0.

        It is far if nothing further out changed f, or if it is FAR of |x_j| (of x where x_j is 0):
        no step of an f that is rounded is as wide.
        """
        n = len(self.coordinates)
        changed, reach = np.full(n, np.inf), np.zeros(n)
        for column in self._columns.values():
            t = np.where(column.known, np.abs(column.offset), 0.0)
            changed = np.minimum(changed, np.where(column.known & (column.rise != 0), t, np.inf))
        for column in self._columns.values():
            t = np.where(column.known, np.abs(column.offset), 0.0)
            reach = np.maximum(reach, np.where(t < changed, t, 0.0))
        size = np.abs(self.lines.origin[self.coordinates])
        enough = FAR * np.where(size > 0, size, self.lines.scale)
        is_near = (reach > 0) & (reach < enough) & (enough < changed) & (changed < np.inf)
        has_room = (self.sides == 0) & (enough <= self.lines.room(self.coordinates))
        near = np.flatnonzero(is_near & has_room)
        reach[near] = np.where(self._is_constant(near, enough[near]), enough[near], reach[near])
        far = reach >= enough
        return np.where(far | np.isinf(changed), reach, 0.0).astype(float)

    def _is_constant(self, rows: IntArray, t: FloatArray) -> npt.NDArray[np.bool_]:
        """Tell whether f has the same bits at x_j, x_j - t and x_j + t."""
        j = self.coordinates[rows]
        self.evaluations[rows] += 2
        right, left = (self.lines.along_axes(j, side * t)[0] for side in (1, -1))
        return np.asarray((right == 0) & (left == 0))

    def with_room(self, exponents: IntArray) -> IntArray:
        """Lower exponents until the stencils at h and 2 h stay within the bounds of x."""
        room = self.lines.room(self.coordinates)
        reach = np.where(self.sides == 0, CENTRAL_REACH, ONE_SIDED_REACH)
        with np.errstate(divide="ignore"):
            highest = np.floor(np.log2(room / reach)).astype(float)
        return np.asarray(np.minimum(exponents, highest - 1).clip(-1000), dtype=np.intp)

    def constants(self, stencil: Stencil, rows: IntArray) -> tuple[FloatArray, FloatArray]:
        """Return C1 and A of the formula that is used for each row."""
        sides = self.sides[rows]
        c1 = np.full(len(rows), float(stencil.noise_constant))
        a = np.full(len(rows), float(stencil.disagreement_noise))
        for side, formula in ON_ONE_SIDE.items():
            c1[sides == side] = float(formula.noise_constant)
            a[sides == side] = float(formula.disagreement_noise)
        return c1, a

    def _derivative(
        self, stencil: Stencil, exponents: IntArray, rows: IntArray
    ) -> tuple[FloatArray, FloatArray]:
        numerator = np.zeros(len(rows), dtype=self.lines.dtype)
        denominator = np.zeros(len(rows), dtype=self.lines.dtype)
        size = abs(self.lines.value)
        growth = np.zeros(len(rows), dtype=self.lines.dtype)
        levels = _levels(exponents)
        with np.errstate(all="ignore"):
            for k, c in stencil.terms:
                rise, offset = self._rise(k, levels, rows)
                numerator += c * rise
                denominator += c * offset
                growth = np.fmax(growth, np.abs(self.lines.value + rise) - size)
            return numerator / denominator, growth

    def rise(
        self, k: int, exponents: IntArray, rows: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return f(x + t) - f(x) and the realised t for t = k c 2^exponents."""
        rows = np.arange(len(self.coordinates)) if rows is None else rows
        return self._rise(k, _levels(exponents), rows)

    def _rise(self, k: int, levels: list[_Level], rows: IntArray) -> tuple[FloatArray, FloatArray]:
        twos = (k & -k).bit_length() - 1
        odd = k >> twos
        if len(levels) == 1:
            column = self._evaluated(odd, levels[0].exponent + twos, rows)
            return column.rise[rows], column.offset[rows]
        rise = np.empty(len(rows), dtype=self.lines.dtype)
        offset = np.empty(len(rows), dtype=self.lines.dtype)
        for e, here in levels:
            there = rows[here]
            column = self._evaluated(odd, e + twos, there)
            rise[here], offset[here] = column.rise[there], column.offset[there]
        return rise, offset

    def _evaluated(self, odd: int, exponent: int, rows: IntArray) -> _Column:
        column = self._column(odd, exponent)
        if not column.known[rows].all():
            self._evaluate([(odd, exponent, rows)])
        return column

    def _evaluate(self, wanted: Sequence[tuple[int, int, IntArray]]) -> None:
        """Evaluate f at what is not known yet of odd 2^exponent along some rows, in one call."""
        missing: list[tuple[_Column, IntArray, FloatArray]] = []
        for odd, exponent, rows in wanted:
            column = self._column(odd, exponent)
            new = rows[~column.known[rows]]
            if new.size:
                column.known[new] = True  # two stencils may want the same point
                missing.append((column, new, self._offsets(odd, exponent, new)))
        if not missing:
            return
        try:
            every = np.concatenate([rows for _, rows, _ in missing])
            offsets = np.concatenate([part for _, _, part in missing])
            rise, realised = self.lines.along_axes(self.coordinates[every], offsets)
        except BaseException:
            for column, rows, _ in missing:
                column.known[rows] = False
            raise
        start = 0
        for column, rows, _ in missing:
            part = slice(start, start := start + len(rows))
            column.rise[rows], column.offset[rows] = rise[part], realised[part]
            self.evaluations[rows] += 1

    def _column(self, odd: int, exponent: int) -> _Column:
        column = self._columns.get((odd, exponent))
        if column is None:
            n, dtype = len(self.coordinates), self.lines.dtype
            column = _Column(np.zeros(n, dtype), np.zeros(n, dtype), np.zeros(n, dtype=bool))
            self._columns[odd, exponent] = column
        return column

    def _offsets(self, k: int, exponent: int, rows: IntArray) -> FloatArray:
        """Return k c 2^e, as x_j can be moved by it."""
        sizes = np.ldexp(abs(k) * self.mantissas[rows], exponent)
        return np.asarray(np.sign(k) * movable(self.lines, self.coordinates[rows], sizes))
