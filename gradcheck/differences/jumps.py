r"""Jumps of f near x: noise that no table of neighbouring values has shown.

Symbols: phi(t) = f(x + t e_j) - f(x); h the step of the differences; p the parabola with phi's
values at t_0 = 0, t_1 = 2h and t_2 = -2h (where x has room on one side only: 4h on that side),
l_i(t) their Lagrange polynomials; eps_f the bound of the noise.

Rounding is constant over many neighbouring numbers where x is a short number, where terms cancel
(exp(x) - 1 - x), or where f is printed, rounded or read off a table. Between two of its jumps all
differences agree with each other, at every small step, and not with f'. A function that is smooth
on the scale of the ulps of x has no jumps: a wave, or a kink, however sharp, becomes a straight
line when one looks closely.

**Search.** From 2h on t doubles until phi(t) leaves p(t) by more than noise and what p makes of it,

    |phi(t) - p(t)| > eps_f (1 + sum_i |l_i(t)|),

and by more than J_0, the smallest jump that would matter. Then of the interval [a, b] = [t/2, t]
the half in which phi - p changes by more is taken, again and again, until x + a and x + b are
neighbours, or both changes are below eps_f or J_0. From the values at
a - 2w, a - w, a, b, b + w, b + 2w, w = b - a, and their third differences T_3,

    J = max |T_3| / 2

is the jump where phi is linear on both sides of it (T_3 = J, -2 J, J), and w^3 f^(3) / 2 where f is
smooth: far below the rounding of f. Noise that jumps by J is taken for independent errors of
standard deviation J.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import STANDARD_DEVIATIONS, Noise
from gradcheck.differences.stencils import CENTRAL_4

HALVINGS = 64
"""The most; from |x_j| to neighbours it takes 52 in float64."""

SHOWN = 2**10
"""By so many roundings f must have changed where it is said to jump at x."""

SAME = 2**6
"""Jumps are the same to this part; those of (t)^p, p >= 1/100, are not."""

Point = tuple[float, float]
"""t and phi(t)."""


@dataclass(frozen=True)
class Jump:
    """A jump of f.

    Attributes:
        size: J; 0 where none was found.
        at: its distance from x_j.
        flat: f has the same bits at x and at every point that was seen nearer than the jump.
    """

    size: float
    at: float
    flat: bool


NO_JUMP = Jump(0.0, np.inf, flat=False)


def jump_near(lines: Lines, noise: Noise, coordinate: int, step: float, least: float = 0.0) -> Jump:
    """Search for a jump of f along one axis, by bisection.

    It takes some 30 forward passes where nothing jumps, and twice that where something does.
    One side suffices where f leaves its parabola there: stairs go up or down on both sides of x,
    and differences do not agree across a jump on one side alone.

    Args:
        lines: the black box at x.
        noise: the noise of one evaluation, as estimated.
        coordinate: j.
        step: the h of the differences.
        least: J_0.
    """
    axis = _Axis(lines, coordinate, step, noise.bound, least)
    for side in (1.0, -1.0):
        found = axis.interval(side)
        if found is not None:
            return axis.halved(*found)
    return NO_JUMP


def noise_of_jump(noise: Noise, size: float) -> Noise:
    """Return the noise of an f that jumps by `size`, if that is more than the noise so far."""
    level, bound = max(noise.level, size), max(noise.bound, STANDARD_DEVIATIONS * size)
    return replace(noise, level=level, bound=bound)


def least_jump(excess: FloatArray, step: FloatArray) -> FloatArray:
    """Return half the J whose noise, C1 z J / h, widens a bound by an excess; h is the step."""
    return np.asarray(excess * step / (2 * float(CENTRAL_4.noise_constant) * STANDARD_DEVIATIONS))


def jumps_at_x(lines: Lines, coordinates: IntArray) -> npt.NDArray[np.bool_]:
    """Tell along which axes f jumps at x itself, as where a number is compared with another.

    On one side at least f differs from f(x) by SHOWN of its roundings or more, by as much at 32,
    2^9 and 2^13 ulps of x_j, to a part of SAME. It takes six forward passes an axis.

    Args:
        lines: the black box at x.
        coordinates: which.
    """
    x = np.abs(lines.origin[coordinates])
    ulps = 32 * lines.machine_epsilon[coordinates] * np.where(x > 0, x, 2.0**-10 * lines.scale)
    least = SHOWN * lines.unit_roundoff * abs(float(lines.value))
    found = np.zeros(len(coordinates), dtype=bool)
    for side in (1, -1):
        rises = [lines.along_axes(coordinates, side * ulps * 2.0**k)[0] for k in (0, 4, 8)]
        with np.errstate(invalid="ignore"):
            same = np.maximum(*(np.abs(r - rises[0]) for r in rises[1:])) <= np.abs(rises[0]) / SAME
        found |= same & (np.abs(rises[0]) > least)
    return found


class _Axis:
    """phi along one axis, and p."""

    def __init__(
        self, lines: Lines, coordinate: int, step: float, bound: float, least: float
    ) -> None:
        self._lines, self._step, self._bound, self._least = lines, step, bound, least
        self._j = np.array([coordinate])
        self._farthest = max(float(np.abs(lines.origin[coordinate])), 1.0)
        beyond = int(lines.sides(self._j)[0])  # the only side with room, else 0
        nodes = (2 * beyond, 4 * beyond) if beyond else (2, -2)
        self._nodes = [(0.0, 0.0), *(self._point(k * step) for k in nodes)]
        self._flat = not any(phi for _, phi in self._nodes)

    def interval(self, side: float) -> tuple[Point, Point] | None:
        """Return the points between which phi leaves p, if it does."""
        a, t = self._nodes[0], 2 * self._step
        while t < self._farthest:
            b = self._point(side * t)
            if not np.isfinite(b[1]):
                break
            noise = self._bound * (1 + sum(map(abs, self._weights(b[0]))))
            if abs(b[1] - self._p(b[0])) > max(noise, self._least):
                return a, b
            a, t = b, 2 * t
            self._flat = self._flat and b[1] == 0
        return None

    def halved(self, a: Point, b: Point) -> Jump:
        """Halve the interval while a jump may be in it; measure what is left."""
        for _ in range(HALVINGS):
            middle = self._point((a[0] + b[0]) / 2)
            if middle[0] in (a[0], b[0]) or not np.isfinite(middle[1]):
                break
            near, far = self._change(a, middle), self._change(middle, b)
            if not max(near, far) > self._least:
                return Jump(0.0, abs(a[0]), self._flat)
            if not max(near, far) > self._bound:
                break
            if near > far:
                b = middle
            else:
                a = middle
                self._flat = self._flat and a[1] == 0
        return Jump(self._size(a, b), abs(a[0]), self._flat)

    def _point(self, t: float) -> Point:
        """Return the realised t and phi(t)."""
        with np.errstate(all="ignore"):
            rise, realised = self._lines.along_axes(self._j, np.array([t]))
        return float(realised[0]), float(rise[0])

    def _weights(self, t: float) -> list[float]:
        """Return l_i(t) = prod_(k != i) (t - t_k) / (t_i - t_k)."""
        ts = [node[0] for node in self._nodes]
        if len(set(ts)) < len(ts):
            return [0.0] * len(ts)
        return [prod((t - s) / (own - s) for s in ts if s != own) for own in ts]

    def _p(self, t: float) -> float:
        pairs = zip(self._weights(t), self._nodes, strict=True)
        return sum(weight * phi for weight, (_, phi) in pairs)

    def _change(self, a: Point, b: Point) -> float:
        """Return by how much phi - p changes."""
        return abs((b[1] - a[1]) - (self._p(b[0]) - self._p(a[0])))

    def _size(self, a: Point, b: Point) -> float:
        """Return J; 0 where f ends beside the interval."""
        w = b[0] - a[0]
        left = [self._point(a[0] - k * w)[1] for k in (2, 1)]
        right = [self._point(b[0] + k * w)[1] for k in (1, 2)]
        size = float(np.max(np.abs(np.diff([*left, a[1], b[1], *right], 3)))) / 2
        return size if np.isfinite(size) else 0.0
