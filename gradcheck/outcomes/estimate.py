"""Estimates: derivatives along axes, each with its bound and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray


class Status(IntEnum):
    """What came of one coordinate."""

    RESOLVED = 0
    KINK = 1
    NO_STEP = 2
    NOT_EVALUATED = 3
    UNDEFINED = 4
    INTERVAL = 5
    STAIRS = 6


@dataclass
class Estimate:
    """Derivatives along the axes, one entry a coordinate.

    Attributes:
        value: the derivative.
        bound: what |value - f'| does not exceed, while the noise is as stated.
        step: the h that was used.
        status: RESOLVED; KINK (the slope jumps: no derivative); NO_STEP (no h lets the stencils
            agree); NOT_EVALUATED (the budget was spent before); UNDEFINED (f is not finite at
            a point of the stencil, or there is none within the bounds); INTERVAL (the slope
            jumps, and value +- bound holds the slopes on both sides); STAIRS (f is constant to
            the bit near x and jumps further out).
        jump: right slope minus left slope where the status is KINK or INTERVAL, else 0.
        evaluations: forward passes spent on the coordinate.
        reach: how far x_j was moved without changing f by a bit, where that is far; else 0.
        secant: the larger one of |f(x + t) - f(x)| / |t| for t = h and -h: where the derivative is
            0, the size that derivatives have nearby; 0 where h exceeds the largest |x| of the
            array, which is not near.
    """

    value: FloatArray
    bound: FloatArray
    step: FloatArray
    status: npt.NDArray[np.uint8]
    jump: FloatArray
    evaluations: IntArray
    reach: FloatArray
    secant: FloatArray

    @classmethod
    def empty(cls, size: int) -> Estimate:
        """Return an estimate of nothing: every coordinate NOT_EVALUATED, every bound infinite."""
        return cls(
            value=np.full(size, np.nan),
            bound=np.full(size, np.inf),
            step=np.full(size, np.nan),
            status=np.full(size, Status.NOT_EVALUATED, dtype=np.uint8),
            jump=np.zeros(size),
            evaluations=np.zeros(size, dtype=np.intp),
            reach=np.zeros(size),
            secant=np.zeros(size),
        )

    def part(self, coordinates: IntArray) -> Estimate:
        """Return the entries at the given coordinates, in their order."""
        return Estimate(*(getattr(self, entry.name)[coordinates] for entry in fields(Estimate)))

    def put(self, coordinates: IntArray, part: Estimate) -> None:
        """Write a part's entries at the given coordinates."""
        for name in (entry.name for entry in fields(Estimate)):
            getattr(self, name)[coordinates] = getattr(part, name)
