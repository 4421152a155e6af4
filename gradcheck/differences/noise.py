r"""The noise of an evaluation: how far the computed f(x) may be from the smooth function it means.

Symbols: m + 1 equally spaced samples f_0 .. f_m, T_(i,0) = f_i,
T_(i,k+1) = T_(i+1,k) - T_(i,k) the difference table.

If f = smooth + noise of standard deviation eps and the spacing is small, the k-th differences
are noise alone, of variance eps^2 (2k)!/(k!)^2, so that

    sigma_k^2 = gamma_k / (m + 1 - k) * sum_i T_(i,k)^2,   gamma_k = (k!)^2 / (2k)!

estimates eps^2 for every k. The table is believed at the smallest k where sigma_k, sigma_(k+1)
and sigma_(k+2) agree within a factor 4 and T_(.,k) changes sign.

Source: J. J. Moré and S. M. Wild, "Estimating computational noise", SIAM J. Sci. Comput. 33
(2011), 1292-1314, sections 3 to 5 (algorithm ECnoise).

Three things differ from the paper. The samples x + k d are exact, so that the rounding of x does
not pass for noise of f, and their last bits differ, so that none of f's own rounding is missed.
Where no k is believed, the largest of the last three sigma_k is taken: it holds the noise, and
whatever the differences have not removed of a smooth part. A table that is constant shows
none, but a wider one may; one that is exactly linear shows that there is none. And wider tables
are asked too, where f is seen to jump between their samples: rounding may be the same over 10^8
neighbouring numbers, and, before anybody is accused, over all that are as small as x_j
(`noise_beside_one`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from math import factorial

import numpy as np

from gradcheck.arrays import FloatArray
from gradcheck.differences.lines import Lines
from gradcheck.splitmix64 import Stream

SAMPLES = 7
"""m + 1; Moré and Wild 2011, section 5, advise 6 to 8."""

WIDTHS = (1 / 3, 1 / 2)
"""Beside the narrow table, a few ulps wide, one each on random lines of their own with a spacing of
2^(width p) ulps at p bits; the largest estimate counts."""

JUMPS = 1 / 8
"""The part of its estimate by which f must jump for a wide table to be believed."""

POWERS = (1, 2, 3, 4)
"""The p of 1 + t^p at whose u^(1/p) noise is looked for: log(1 + t), cos t, log(1 + t^3), ..."""

EDGES = np.array([-1.0, 1.0]) * (SAMPLES // 2)
"""The first and the last sample of a table."""

OWN = 2.0**6
"""Roundings of f at the edges of a table that are those of f's own size: f grows, and its rounding
does, as that of a sum of 2^12 such numbers at most (a random walk). 1 does not grow."""

SLIGHT = 2.0**-10
"""What noise is at most beside the change of f over the widest of these tables, where t^p is some
10^4 roundings of 1 or more. Waves that are finer than the roundings of 1 are as large as f."""

SPREADS = (1, 4)
"""Two tables each: what a few roundings make of t^p may be a polynomial by accident."""

TABLES = 6
"""Spacings tried on a line while no line has shown any noise; then one a line."""

NARROW = 2.0**6
"""The first spacing of a table, in ulps."""

UNDERESTIMATE = 3.0
"""Neighbouring evaluations share rounding errors, so the table sees up to 3 times too little
(measured: 4e-17 against a standard deviation of 1.3e-16 on a 20-30-10-1 network)."""

FARTHEST = 2.0**-8
"""The largest spacing of a table, relative to x."""

AWAY = 2.0**-10
"""Relative to x: how far away it is asked whether f is small at x alone."""

UNMOVED = 2.0**-60
"""Of the smallest other number, where x_j is 0: the noise of f shows along the others."""

STANDARD_DEVIATIONS = 8.4
"""z of |noise| <= z eps: 2 exp(-z^2/2) = 1e-15 an evaluation, 1e-6 over 1e9 of them."""


@dataclass(frozen=True)
class Noise:
    """The noise of one evaluation of f.

    Attributes:
        level: its size as estimated (times `UNDERESTIMATE`): for choosing steps.
        bound: what |computed f - smooth f| is taken not to exceed: for error bounds.
        unit_roundoff: u of f's arithmetic, or what stands for it where terms cancel at x alone;
            where |f| grows, its rounding grows with it.
        forward_passes: what the estimate cost.
        scale: |f| at x or nearby, the larger one: how large the values are that f is rounded to.
    """

    level: float
    bound: float
    unit_roundoff: float
    forward_passes: int
    scale: float = 0.0

    def relative(self, value: float) -> float:
        """Return the level over |f|, from u to 1, where f(x) is `value`: for first steps."""
        size = max(abs(value), self.scale, self.level)
        return max(self.level / size, self.unit_roundoff)

    def level_at(self, growth: FloatArray) -> FloatArray:
        """Return the level where |f| is larger than |f(x)| by `growth`."""
        return np.asarray(self.level + UNDERESTIMATE * self.unit_roundoff * growth)

    def at_level(self) -> Noise:
        """Return this noise with its level for a bound: what is likely, not what is certain."""
        return replace(self, bound=self.level)

    def bound_at(self, growth: FloatArray) -> FloatArray:
        """Return the bound where |f| is larger than |f(x)| by `growth`."""
        factor = STANDARD_DEVIATIONS * UNDERESTIMATE
        return np.asarray(self.bound + factor * self.unit_roundoff * growth)


def table_noise(samples: FloatArray) -> tuple[float, str]:
    """Estimate the noise of equally spaced samples from their difference table.

    Returns:
        sigma_k and "settled"; or 0 and "constant" where half of the neighbours are equal
        (spacing too small); or the largest of the last three sigma_k and "varies" where no k is
        believed.

    >>> table_noise(np.array([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]))
    (0.0, 'constant')
    """
    differences = np.diff(samples)
    if np.mean(differences == 0) >= 0.5:
        return 0.0, "constant"
    sigmas, changes = [], []
    for k in range(1, len(samples)):
        gamma = factorial(k) ** 2 / factorial(2 * k)
        low, high = differences.min(), differences.max()
        scale = float(max(high, -low)) or 1.0  # scaled: squares may underflow
        sigmas.append(scale * float(np.sqrt(gamma * np.mean((differences / scale) ** 2))))
        changes.append(bool(low < 0 < high))
        differences = np.diff(differences)
    for k in range(len(sigmas) - 2):
        if changes[k] and max(sigmas[k : k + 3]) <= 4 * min(sigmas[k : k + 3]):
            return sigmas[k], "settled"
    return max(sigmas[-3:]), "varies"


def estimate_noise(lines: Lines, stream: Stream) -> Noise:
    """Estimate the noise of f at x, never below the rounding of f(x) itself."""
    before = lines.forward_passes
    floor = lines.unit_roundoff * abs(float(lines.value)) + lines.tiny
    estimate = max(line_noise(lines, stream, lines.along), floor)
    bits = -float(np.log2(np.min(lines.machine_epsilon, initial=1.0)))
    for width in WIDTHS:
        spacing = max(NARROW, 2.0 ** round(width * bits))
        estimate = max(estimate, _wide_noise(lines, stream, spacing, estimate))
    level = UNDERESTIMATE * estimate
    scale, relative = _away(lines, stream)
    growing = max(lines.unit_roundoff, relative)
    spent = lines.forward_passes - before
    return Noise(level, STANDARD_DEVIATIONS * level, growing, spent, scale)


def given_noise(noise: float, lines: Lines) -> Noise:
    """Take the caller's word for the noise: no pass is spent, steps and bounds follow it.

    Noise that is known need not show near x, as where f is rounded to a few digits; steps that
    were chosen by what shows there would end within one of its stairs.
    """
    return Noise(noise, noise, lines.unit_roundoff, 0, abs(float(lines.value)))


def line_noise(
    lines: Lines,
    stream: Stream,
    sample: Callable[[FloatArray, FloatArray, FloatArray], FloatArray],
    at: FloatArray | None = None,
    *,
    tables: int = TABLES,
) -> float:
    """Estimate the noise of any function along one random line, a few ulps long.

    Args:
        lines: says what x is.
        stream: draws the line.
        sample: the function's values at origin + t direction, given origin, direction and ts.
        at: the point that the line goes through; default: x.
        tables: the most spacings to try.

    Returns:
        The noise; 0 where no spacing shows any.
    """
    at = lines.origin if at is None else at
    steps = np.arange(SAMPLES, dtype=float) - SAMPLES // 2
    spacing = NARROW
    for attempt in range(tables):
        origin, direction = _exact_line(lines, stream, spacing, at)
        samples = sample(origin, direction, steps)
        if not np.all(np.isfinite(samples)):
            return 0.0
        estimate, state = table_noise(samples)
        if state == "settled" or (state == "varies" and (attempt == 0 or estimate == 0)):
            return estimate
        spacing = spacing * 2.0**7 if state == "constant" else spacing / 2.0**4
        if spacing * float(np.max(lines.machine_epsilon, initial=0.0)) > FARTHEST:
            return 0.0
    return 0.0


def _wide_noise(lines: Lines, stream: Stream, spacing: float, narrow: float) -> float:
    """Return what a wide table settles on, 0 where it does not; f must jump if that is much.

    Rounding is constant over many neighbouring numbers where terms cancel or x is a short number;
    but a wave or a kink that is as wide as the table looks like noise in it, too.
    """
    origin, direction = _exact_line(lines, stream, spacing, lines.origin)
    return _jumping_noise(lines, origin, direction, spacing, narrow)


def noise_beside_one(lines: Lines, coordinate: int, narrow: float, least: float = 0.0) -> float:
    """Return the noise that f shows along one axis where it adds powers of x_j to 1, or 0.

    1 + t^p loses t^p below t = u^(1/p). Where |x_j| is smaller, tables that are narrow beside x_j
    see nothing of log(1 + x_j^2) at all. 18 passes a power, and some 50 where noise is seen; two
    where even the widest table shows that it is too little to matter.

    Args:
        lines: the black box.
        coordinate: j.
        narrow: the noise that was seen so far.
        least: the smallest noise that would matter.
    """
    x, found = float(lines.origin[coordinate]), narrow
    c = float(lines.mantissas("noise beside 1", lines.size)[coordinate])
    spacings = [c * lines.unit_roundoff ** (1 / p) * spread for p in POWERS for spread in SPREADS]
    spacings = [s for s in spacings if s > abs(x)]
    if not spacings:
        return 0.0
    most = SLIGHT * float(np.abs(_edges(lines, coordinate, spacings[-1])[2] - lines.value).max())
    if not most > max(narrow, least):
        return 0.0
    for s in spacings:
        origin, direction, edges = _edges(lines, coordinate, s)
        unit = 2 * SAMPLES * float(lines.machine_epsilon[coordinate])
        seen = _jumping_noise(lines, origin, direction, 1 / unit, JUMPS * found)
        if seen > OWN * lines.unit_roundoff * float(np.abs(edges).max()):
            found = max(found, seen)
    return found if narrow < found <= most else 0.0


def _edges(lines: Lines, coordinate: int, s: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return middle and direction of a table of spacing s along one axis, and f at its edges."""
    origin, direction = lines.origin.copy(), np.zeros(lines.size)
    unit = 2 * SAMPLES * float(lines.machine_epsilon[coordinate]) * s
    x = float(lines.origin[coordinate])
    origin[coordinate], direction[coordinate] = np.round([x / unit, s / unit]) * unit
    return origin, direction, lines.along(origin, direction, EDGES)


def _jumping_noise(
    lines: Lines, origin: FloatArray, direction: FloatArray, spacing: float, narrow: float
) -> float:
    """Return what a table settles on if that is no more than seen before, or f jumps; else 0.

    Args:
        lines: the black box.
        origin: the middle of the table.
        direction: from each sample to the next.
        spacing: its length, in the smallest moves along the line that are of interest.
        narrow: the noise that was seen before.
    """
    ts = np.arange(SAMPLES, dtype=float) - SAMPLES // 2
    samples = lines.along(origin, direction, ts)
    if not np.all(np.isfinite(samples)):
        return 0.0
    found, state = table_noise(samples)
    if state != "settled" or found <= narrow / JUMPS:
        return found if state == "settled" else 0.0
    smooth = np.polynomial.Polynomial.fit(ts, samples, 3)

    def rough(t: float) -> float:
        return float(lines.along(origin, direction, np.array([t]))[0] - smooth(t))

    ends = list(zip(ts.tolist(), (samples - smooth(ts)).tolist(), strict=True))
    pairs = sorted(pairwise(ends), key=lambda ab: -abs(ab[1][1] - ab[0][1]))
    jumps = (_jumps_between(rough, a, b, 1 / spacing, JUMPS * found) for a, b in pairs)
    return found if any(jumps) else 0.0


def _jumps_between(
    rough: Callable[[float], float],
    a: tuple[float, float],
    b: tuple[float, float],
    shortest: float,
    least: float,
) -> bool:
    """Halve [a, b], each t and the value there, while the values in it differ by `least`."""
    while b[0] - a[0] > shortest:
        t = (a[0] + b[0]) / 2
        middle = (t, rough(t))
        left, right = abs(middle[1] - a[1]), abs(b[1] - middle[1])
        if not max(left, right) > least:
            return False
        a, b = (a, middle) if left > right else (middle, b)
    return True


def _away(lines: Lines, stream: Stream) -> tuple[float, float]:
    """Return |f| away from x, and the noise there over it if f is much smaller at x itself, else 0.

    Where terms cancel at x, as in (a - y)^2 with a = y, f(x) says nothing of their rounding.
    """
    moves: FloatArray = AWAY * _scales(lines) * stream.signs(lines.size)
    if lines.bounds is not None:
        moves = lines.bounds.turned(lines.origin, moves)
    away = lines.origin + moves
    size = abs(float(lines.along(away, away, np.zeros(1))[0]))
    if not size < np.inf:
        return 0.0, 0.0
    if not 2 * abs(float(lines.value)) < size:
        return size, 0.0
    return size, line_noise(lines, stream, lines.along, away) / size


def _exact_line(
    lines: Lines, stream: Stream, spacing: float, x: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return x0 near x and d of 1 to 2 times `spacing` ulps, with x0 + k d exact for small k.

    In units of 2 ulps of x_j, x0_j is a whole number and d_j an odd one: the last bits of x_j
    change from sample to sample, so that f's arithmetic has to round as it does elsewhere.
    """
    unit = 2 * lines.machine_epsilon * 2.0 ** np.floor(np.log2(_scales(lines)))
    half = max(spacing / 2, 1.0)
    odd = 2 * np.floor(half * (1 + stream.uniform(lines.size)) / 2) + 1
    origin: FloatArray = np.round(x / unit) * unit
    if lines.bounds is not None:
        origin = lines.bounds.fit(origin, unit * odd)
    return origin, unit * odd * stream.signs(lines.size)


def _scales(lines: Lines) -> FloatArray:
    """Return |x_j|; where that is 0, what hardly moves it, as its own scale is not known.

    Where all of x is 0, it is 2^-10.
    """
    scales = np.abs(lines.origin)
    least = float(np.min(scales[scales > 0], initial=np.inf))
    scales[scales == 0] = UNMOVED * least if least < np.inf else 2.0**-10
    return np.asarray(np.maximum(scales, lines.tiny / lines.machine_epsilon))
