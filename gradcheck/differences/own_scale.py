r"""Slopes on the scale of x_j that the noise of f hides: differences much further out know none.

Symbols: g_j the number under test, D its differences at the step h; L_j = |x_j|, or the largest |x|
of its array where x_j is 0; g_j(t) what the derivative under test gives at x + t e_j.

Steps grow beyond L_j while noise rules, since f may not see an x_j that is far smaller than all
that happens to it, as in sigmoid(1e-30). Or f has a part that lives on the scale of x_j and is
lower than the noise: 1 + a z / b changes by 1e-6 while b does by its own 1e-6, in float32 by no
more than a few roundings of 1, and not at all further out. Then D(h), D(h/8) and D(h/64) agree with
each other, and not with the derivative -a z / b^2. So where h/8 > L_j, nobody is accused before two
more are asked.

**Differences at L_j / 8.** They see all that happens on that scale and is higher than the noise. If
they accuse g_j, too, it is wrong.

**The derivative, moved by s = h/8 both ways.** The difference [f(x + s e_j) - f(x - s e_j)] / 2s is
the mean of f' between. A derivative that is right, and differs from D near x alone, is D at most
points: with

    m = [g_j(s) + g_j(-s)] / 2

|m - D| < |m - g_j|, its numbers there are nearer to D than to what it says at x. A mistake does not
go away within a step over which f' hardly changes: f' is D at all of these points, and g_j, which
is not, is wrong there as it is at x. Where the mean is nearer to g_j, the derivative is accused.

**And by L_j / 64 and L_j / 128.** There g_j is to be nearer to its numbers than D is: a part of f
that lives on the scale of x_j has much the same slope. Digits that were lost in the derivative, as
in [x^k k log x - (x^k - 1)] / k^2 for small k, are others at each of these points.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.finite_difference import EIGHTH, opinion_at
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise
from gradcheck.outcomes.estimate import Estimate

Moved = Callable[[int, float], float]
"""Takes j and t, returns g_j(t), or NaN where nothing is known of it."""


def far_beyond(lines: Lines, estimate: Estimate, coordinates: IntArray) -> IntArray:
    """Return the coordinates whose h/8 exceeds L_j."""
    far = estimate.step[coordinates] / 2**EIGHTH > _own_scale(lines, coordinates)
    return np.asarray(coordinates[far])


def opinion_near(lines: Lines, noise: Noise, coordinates: IntArray) -> Estimate:
    """Differentiate at L_j / 8, with the likely noise as bound; entries as `coordinates`."""
    return opinion_at(lines, noise, coordinates, _own_scale(lines, coordinates) / 2**EIGHTH)


def goes_away(lines: Lines, estimate: Estimate, g: FloatArray, j: int, moved: Moved) -> bool:
    """Tell whether m is nearer to D than to g_j, which stays near x; not where nothing is known."""
    s, D = float(estimate.step[j]) / 2**EIGHTH, float(estimate.value[j])
    at, own = np.array([j]), float(g[j])
    if not s <= float(lines.room(at)[0]):
        return False
    only = int(lines.sides(at)[0])
    sides = (only,) if only else (1, -1)
    m = float(np.mean([moved(j, side * s) for side in sides]))
    if not abs(m - D) < abs(m - own):
        return False
    near = float(_own_scale(lines, at)[0]) / 2 ** (2 * EIGHTH)
    beside = [moved(j, side * t) for t in (near, near / 2) for side in sides]
    return all(abs(b - own) < abs(b - D) for b in beside)


def _own_scale(lines: Lines, coordinates: IntArray) -> FloatArray:
    """Return L_j."""
    scale = np.abs(lines.origin[coordinates])
    for leaf in lines.structure.leaves:
        inside = (coordinates >= leaf.start) & (coordinates < leaf.stop) & (scale == 0)
        if inside.any():
            own = np.abs(lines.origin[leaf.start : leaf.stop])
            scale[inside] = float(np.max(own, initial=0.0)) or lines.scale
    return np.asarray(scale)
