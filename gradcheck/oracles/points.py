"""The points x + k 2^e e_j of a stencil: each evaluated once, then remembered.

Steps are powers of two, so the points of one step serve the next: k 2^e = (k/2) 2^(e+1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.oracles.lines import FloatArray, IntArray, Lines
from gradcheck.oracles.stencils import Stencil


@dataclass
class _Column:
    """f along every axis at one signed multiple of a power of two."""

    rise: FloatArray
    offset: FloatArray
    known: npt.NDArray[np.bool_]


class AxisPoints:
    """Evaluated points on the axes of several coordinates.

    Args:
        lines: the black box at x.
        coordinates: the axes; every array argument below has one entry for each of them, or for
            those picked by `rows`.
    """

    def __init__(self, lines: Lines, coordinates: IntArray) -> None:
        self.lines = lines
        self.coordinates = coordinates
        self.evaluations: IntArray = np.zeros(len(coordinates), dtype=np.intp)
        self._columns: dict[tuple[int, int], _Column] = {}

    def derivative(
        self, stencil: Stencil, exponents: IntArray, rows: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return D(2^exponents) over realised offsets, and by how much |f| grew on the way."""
        rows = np.arange(len(self.coordinates)) if rows is None else rows
        numerator = np.zeros(len(rows), dtype=self.lines.dtype)
        denominator = np.zeros(len(rows), dtype=self.lines.dtype)
        size = abs(self.lines.value)
        growth = np.zeros(len(rows), dtype=self.lines.dtype)
        with np.errstate(all="ignore"):
            for k, c in stencil.terms:
                rise, offset = self.rise(k, exponents, rows)
                numerator += c * rise
                denominator += c * offset
                growth = np.fmax(growth, np.abs(self.lines.value + rise) - size)
            return numerator / denominator, growth

    def rise(
        self, k: int, exponents: IntArray, rows: IntArray | None = None
    ) -> tuple[FloatArray, FloatArray]:
        """Return f(x + t) - f(x) and the realised t for t = k 2^exponents."""
        rows = np.arange(len(self.coordinates)) if rows is None else rows
        twos = (k & -k).bit_length() - 1
        odd = k >> twos
        steps = sorted(set(exponents.tolist()))
        if len(steps) == 1:
            column = self._evaluated(odd, steps[0] + twos, rows)
            return column.rise[rows], column.offset[rows]
        rise = np.empty(len(rows), dtype=self.lines.dtype)
        offset = np.empty(len(rows), dtype=self.lines.dtype)
        for e in steps:
            here = exponents == e
            column = self._evaluated(odd, e + twos, rows[here])
            rise[here] = column.rise[rows[here]]
            offset[here] = column.offset[rows[here]]
        return rise, offset

    def _evaluated(self, odd: int, exponent: int, rows: IntArray) -> _Column:
        column = self._columns.get((odd, exponent))
        if column is None:
            n, dtype = len(self.coordinates), self.lines.dtype
            column = _Column(np.empty(n, dtype), np.empty(n, dtype), np.zeros(n, dtype=bool))
            self._columns[odd, exponent] = column
        missing = rows[~column.known[rows]]
        if missing.size:
            offsets = np.full(len(missing), odd * 2.0**exponent)
            rise, realised = self.lines.along_axes(self.coordinates[missing], offsets)
            column.rise[missing], column.offset[missing] = rise, realised
            column.known[missing] = True
            self.evaluations[missing] += 1
        return column
