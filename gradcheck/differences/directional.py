r"""Directional derivatives of a black box beside those of a gradient, with an error bound.

Symbols: v a direction, g the gradient under test (0 for the plain derivative of f),

    psi(t) = f(x + d) - f(x) - g d,   d = fl(x + t v) - x,   T = psi'(0) = (grad f - g) v,

D(h) the 4th-order central stencil applied to psi at the points +-h, +-2h, with C1 and A as in
stencils.py, h = c 2^e with c in [1, 2) of random bits, eps_f and eps_s <= eps_f the bound and the
level of the noise of one evaluation.

**Rademacher directions.** v_j = +1 or -1 with equal probability on a block of parameters, 0
elsewhere. Let e = g - grad f on the block, and let a test see e if |v e| > 2 tau. If one
|e_j| > 2 tau then at most half of the sign vectors miss e: of two that differ in v_j alone, the
values of v e are 2 |e_j| > 4 tau apart, so not both are within 2 tau (R. Freivalds, "Probabilistic
machines can use less running time", IFIP Congress 1977, for tau = 0). An e that is alone in its
block is missed by none. k independent directions miss with probability 2^-k at most.
An e of many small entries: E (v e)^2 = |e|^2 and E (v e)^4 <= 3 |e|^4, so that

    P(|v e| > theta |e|) >= (1 - theta^2)^2 / 3      (Paley and Zygmund 1932).

**Step and bound** of a pilot. The walk of finite_difference.py finds
the h where truncation begins to show above eps_s (Shi, Xie, Xuan and Nocedal 2022); half of it
is used, and

    |D(h) - T| <= C1 eps_f / h + 2 max(|D(h) - D(2h)|, |D(h) - D(h/2)|) + J / 2 + storing.

J is a jump of the slope that is suspected and does not persist (kinks.py); one that does is a
kink. `storing` is what the roundings of g and of g v can do: sum_j |v_j| u_j |g_j|, and of the
products and the sum, which is correctly rounded, u (|g v| + sum_j |g_j| [v_j is no sign]).

**Tests after the pilots** take the four points +-h, +-2h at the smallest step of the pilots, and
their largest truncation. A truncation that is larger along another direction can raise an alarm:
`refined` then takes two more points, and the direction's own truncation for the bound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import fsum, isfinite, sqrt

import numpy as np

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.finite_difference import NEVER, R_LOWER, R_UPPER, STEADY
from gradcheck.differences.kinks import DESCENT
from gradcheck.differences.kinks import NOISE as JUMP_NOISE
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise
from gradcheck.differences.stencils import CENTRAL_4

C1 = float(CENTRAL_4.noise_constant)
A = float(CENTRAL_4.disagreement_noise)
ORDER = CENTRAL_4.accuracy

DESCENTS = 8
"""How often an alarm may halve its step; each time its truncation falls by 2^4."""

REACH = 8
"""How far the stencils of the walk reach beyond its step h: to 4 h, and to 8 h one step above."""

UNIT = 2.0**-53

LOWEST = -1017
"""Steps are normal numbers, a few bits above the smallest one."""


@dataclass(frozen=True)
class Slope:
    """A directional derivative of f, less that of g.

    Attributes:
        value: (grad f - g) v.
        noise, level: what the bound, and the likely level, of the noise of f amount to.
        truncation: that of the stencil, as stated in this module's text.
        storing: what rounding g can amount to.
        exponent: the step is c 2^exponent.
        kink: the slope of f jumps at x along this direction.
    """

    value: float
    noise: float
    level: float
    truncation: float
    storing: float
    exponent: int
    kink: bool = False

    @property
    def bound(self) -> float:
        """What |value - (grad f - g) v| does not exceed."""
        return self.noise + self.truncation + self.storing

    @property
    def likely(self) -> float:
        """What it is likely not to exceed: for finding the way, not for verdicts."""
        return self.level + self.truncation + self.storing

    def less(self, part: Slope) -> Slope:
        """Return the slope along the rest of this direction, once a part of it is known."""
        return replace(
            self,
            value=self.value - part.value,
            noise=self.noise + part.noise,
            level=self.level + part.level,
            truncation=self.truncation + part.truncation,
            storing=self.storing + part.storing,
        )


def directional_derivative(lines: Lines, noise: Noise, direction: FloatArray) -> Slope:
    """Differentiate f along a direction, with a step and an error bound.

    Args:
        lines: the black box at x.
        noise: the noise of one evaluation.
        direction: v, one entry a coordinate.

    >>> from gradcheck.differences.noise import estimate_noise
    >>> from gradcheck.splitmix64 import Stream
    >>> lines = Lines(lambda x: float(np.sum(np.sin(x))), np.array([0.5, 1.0]))
    >>> along = directional_derivative(lines, estimate_noise(lines, Stream(0, "")), np.ones(2))
    >>> bool(abs(along.value - np.cos([0.5, 1.0]).sum()) <= along.bound < 1e-10)
    True
    """
    used = np.flatnonzero(direction)
    return Direction(lines, noise, np.zeros(lines.size), used, direction[used]).pilot()


def norm_seen(threshold: float, directions: int, miss: float) -> float:
    """Return the smallest |e| that k directions miss with at most the given probability.

    (1 - (1 - theta^2)^2 / 3)^k = miss gives theta, and |e| = 2 tau / theta; infinite where even
    theta = 0 leaves more than `miss`.

    Args:
        threshold: tau.
        directions: k.
        miss: the probability.
    """
    share = 3 * (1 - miss ** (1 / directions)) if directions else np.inf
    return 2 * threshold / sqrt(1 - sqrt(share)) if share < 1 else np.inf


class Direction:
    """psi along one direction, with the points that were evaluated.

    Args:
        lines: the black box at x.
        noise: the noise of one evaluation.
        gradient: g, one entry a coordinate.
        coordinates: where v is not 0.
        amplitudes: v there.
    """

    def __init__(
        self,
        lines: Lines,
        noise: Noise,
        gradient: FloatArray,
        coordinates: IntArray,
        amplitudes: FloatArray,
    ) -> None:
        self.lines, self.noise, self.gradient = lines, noise, gradient
        self.direction = np.zeros(lines.size, dtype=lines.dtype)
        self.direction[coordinates] = amplitudes
        self._c = float(lines.mantissas("directions", 1)[0])
        self._size = float(np.max(np.abs(lines.origin[coordinates]), initial=0.0)) or lines.scale
        self._count = len(coordinates)
        self._room = float(np.min(lines.room(coordinates) / np.abs(amplitudes), initial=np.inf))
        products = amplitudes * gradient[coordinates]
        self._slope = fsum(products.tolist())
        magnitude = np.abs(products)
        u = lines.machine_epsilon[coordinates] / 2
        inexact = magnitude[np.abs(amplitudes) != 1]
        self._storing = float(u @ magnitude) + UNIT * (abs(self._slope) + float(inexact.sum()))
        self._psi: dict[tuple[int, int], float] = {}
        self._rise: dict[tuple[int, int], float] = {}

    def pilot(self) -> Slope:
        """Find the step; return the slope there, with its own truncation."""
        own = int(np.floor(np.log2(self._size / self._c)))
        lowest, highest = max(own - 40, LOWEST), max(own, 0)
        if self._room < np.inf:
            highest = min(highest, int(np.floor(np.log2(self._room / REACH))) - 1)
            lowest = min(lowest, highest)
        e = min(max(self._first_exponent(), lowest), highest)
        while e > lowest and not self._testing_ratio(e) <= R_UPPER:
            e -= 1
        rises, stride = 0, 1
        while e < highest and self._testing_ratio(e) < R_LOWER:
            target = min(e + stride, highest)
            if self._testing_ratio(target) <= R_UPPER and self._gains(target):
                e, rises = target, rises + 1
                stride = max(stride, 2 ** max(rises - STEADY, 0))
            elif stride == 1:
                break
            else:
                stride, rises = stride // 2, -NEVER  # never doubled again
        return self._checked(e - 1)

    def _gains(self, e: int) -> bool:
        """Whether |f| at the points of h and 2h has not outgrown its noise at x."""
        return self._growth(e + 1) <= self.noise.level / self.noise.unit_roundoff

    def at(self, exponent: int, truncation: float) -> Slope:
        """Return the slope at a step and a truncation that are known: 4 forward passes."""
        self._evaluate((exponent, exponent + 1))
        return self._slope_at(exponent, truncation)

    def checked(self, exponent: int) -> Slope:
        """Return the slope with its own truncation, at the step or where that is small below it."""
        self._evaluate((exponent - 1, exponent, exponent + 1, exponent + 2))
        return self._checked(exponent)

    def refined(self, slope: Slope) -> Slope:
        """Return a slope again with this direction's own truncation: 2 forward passes or more."""
        return self._settled(slope.exponent, above=False)

    def _checked(self, exponent: int) -> Slope:
        slope = self._settled(exponent, above=True)
        jump, uncertain = self._jump(slope.exponent)
        if abs(jump) <= 2 * uncertain:
            return slope
        smaller, uncertain = self._jump(slope.exponent - DESCENT)
        if uncertain < abs(jump) / 4 and 1 / 2 <= smaller / jump <= 4:
            return replace(slope, kink=True)
        return replace(slope, truncation=slope.truncation + abs(jump) / 2)

    def _settled(self, exponent: int, *, above: bool) -> Slope:
        """Halve the step until truncation is below the noise."""
        for e in range(exponent, exponent - DESCENTS, -1):
            slope = self._slope_at(e, self._truncation(e, above=above))
            if slope.truncation <= slope.noise:
                return slope
        return slope

    def _truncation(self, e: int, *, above: bool) -> float:
        here = self._derivative(e)
        steps = (e - 1, e + 1) if above else (e - 1,)
        return 2 * float(np.max([abs(here - self._derivative(s)) for s in steps]))

    def _slope_at(self, e: int, truncation: float) -> Slope:
        growth = np.asarray(self._growth(e + 1))
        scale = C1 / self._h(e)
        return Slope(
            value=self._derivative(e),
            noise=scale * float(self.noise.bound_at(growth)),
            level=scale * float(self.noise.level_at(growth)),
            truncation=truncation,
            storing=self._storing,
            exponent=e,
        )

    def _derivative(self, e: int) -> float:
        """D(c 2^e) of psi."""
        self._evaluate((e, e + 1))
        psi, h = self._psi, self._h(e)
        near, far = psi[e, 1] - psi[e, -1], psi[e + 1, 1] - psi[e + 1, -1]
        return (8 * near - far) / (12 * h)

    def _testing_ratio(self, e: int) -> float:
        """r(h) = h |D(h) - D(2h)| / (A eps_s)."""
        self._evaluate((e, e + 1, e + 2))
        eps_s = float(self.noise.level_at(np.asarray(self._growth(e + 2))))
        ratio = self._h(e) * abs(self._derivative(e) - self._derivative(e + 1)) / (A * eps_s)
        return ratio if isfinite(ratio) else np.inf

    def _jump(self, e: int) -> tuple[float, float]:
        """J(h) = (16 S(h) - 10 S(2h) + S(4h)) / 7, and the bound of its noise."""
        self._evaluate((e, e + 1, e + 2))
        S = [(self._psi[k, 1] + self._psi[k, -1]) / self._h(k) for k in (e, e + 1, e + 2)]
        eps = float(self.noise.bound_at(np.asarray(self._growth(e + 2))))
        return (16 * S[0] - 10 * S[1] + S[2]) / 7, JUMP_NOISE * eps / self._h(e)

    def _growth(self, e: int) -> float:
        """By how much |f| is larger at +-c 2^e than at x."""
        self._evaluate((e,))
        size = abs(float(self.lines.value))
        at = max(abs(float(self.lines.value) + self._rise[e, s]) for s in (1, -1))
        return max(at - size, 0.0)

    def _evaluate(self, exponents: tuple[int, ...]) -> None:
        wanted = [(e, s) for e in exponents for s in (1, -1) if (e, s) not in self._psi]
        if not wanted:
            return
        t = np.array([s * self._h(e) for e, s in wanted])
        with np.errstate(all="ignore"):
            rises, drifts = self.lines.rises_along(self.direction, t, self.gradient)
            psi = rises - t * self._slope - drifts
        for key, rise, value in zip(wanted, rises.tolist(), psi.tolist(), strict=True):
            self._rise[key], self._psi[key] = float(rise), float(value)

    def _first_exponent(self) -> int:
        """Start at h* of a function of scale |x| / n^(1/4).

        The best step of a sum of n functions of one x_j each is a little above that of one of
        them; that of one function of a sum of n of them is below it by n^(1/2).
        """
        relative = self.noise.relative(float(self.lines.value))
        h = self._size * CENTRAL_4.best_step(relative, 1.0) / self._count**0.25
        h = max(h, float(np.finfo(float).tiny))
        return int(np.floor(np.log2(h / self._c))) - 1

    def _h(self, e: int) -> float:
        return self._c * 2.0**e
