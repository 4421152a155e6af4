r"""Derivatives along all axes by differences at two or three fixed steps: 4 or 6 passes each.

Symbols: f the black box at x, e_j an axis; h, rho h and rho^2 h the steps, rho = 4; eps_f the bound
on the noise of one evaluation (noise.py); g_j the number under test;

    D2(t) = [f(x + t e_j) - f(x - t e_j)] / 2t            = f' + f''' t^2 / 6 + O(t^4)
    S(t)  = [f(x + t e_j) - 2 f(x) + f(x - t e_j)] / t    = J + f'' t + f'''' t^3 / 12 + O(t^5)

with J the jump of the slope at x, 0 if there is a derivative.

**Value.** Of two steps is made what has no t^2:

    D(t) = D2(t) + [D2(t) - D2(rho t)] / (rho^2 - 1) = f' - rho^2 f^(5) t^4 / 120 + O(t^6)

**Bound.** With the disagreement that is seen,

    q = |D2(rho h) - D2(h)|    of two steps,      q = |D(rho h) - D(h)|    of three,

the error of D2(h), or D(h), is the sum of the disagreements below: those of h with h / rho, of
h / rho with h / rho^2, and so on. For a smooth f they shrink by rho^2 = 16 each, or by rho^4; it is
assumed that they at least halve. Then they add up to at most q, what D adds to D2 is
q / (rho^2 - 1), and

    |D(h) - f'| <= C1 eps_f / h + 2 q,        C1 = (rho^2 + 1 / rho) / (rho^2 - 1)

No credit is taken for the order.

**Kinks.** Of S at all steps is made what has no t, nor t^3 where there are three:

    J = [4 S(h) - S(4 h)] / 3        J = [256 S(h) - 68 S(4 h) + S(16 h)] / 189

The noise of S(t) is at most 4 eps_f / t.

**Step.** Let f^(k + 1) / (k + 1)! = g / L^k, so that L is the length over which f' changes by its
own size. Then q = T |g| (h / L)^p, with

    p = 2,  T = rho^2 - 1    of two steps,        p = 4,  T = rho^2 (rho^4 - 1)    of three,

and the bound is smallest, and (p + 1) / p C1 eps_f / h, at

    h^(p + 1) = C1 eps_f L^p / (2 p T |g|)

At first L is the largest |x| of the array. A few coordinates of each array, the pilots, tell it
better, by their q. Steps follow |g|, which only the cost depends on.

**What is decided.** A coordinate is decided if g agrees with D within the bound, the bound is
within the resolution of |D| and `COARSEST`, and nothing stands out that a smooth f would not show
at such steps: no jump J beyond its noise, no q beyond `BALANCE` times the noise of D. The bound
presumes the latter: far from it f is not yet its Taylor polynomial. Everything else is left to
`finite_difference`, which searches for a step; nothing is ever called wrong here. A feature of f
that is narrower than h and lower than the noise is invisible, as it is to the search: its steps
grow as eps_f^(1/5), those of two points here as eps_f^(1/3), and its shortest points are at an
eighth of its step, those of three here at a 16th of the longest.

Source of the value: L. F. Richardson, "The deferred approach to the limit", Phil. Trans. R. Soc. A
226 (1927), 299-361; of the step: P. E. Gill, W. Murray, M. A. Saunders and M. H. Wright, "Computing
forward-difference intervals for numerical optimization", SIAM J. Sci. Stat. Comput. 4 (1983),
310-321, section 2.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gradcheck.arrays import BoolArray, FloatArray, IntArray
from gradcheck.differences.finite_difference import PILOTS
from gradcheck.differences.lines import BudgetSpentError, Lines
from gradcheck.differences.noise import Noise
from gradcheck.differences.points import exponents_below, movable
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.pytree import Leaf

RHO = 4
"""Each step over the one before."""

C1 = (RHO**2 + 1 / RHO) / (RHO**2 - 1)
"""The noise constant of D, in eps_f / h."""

BALANCE = 4
"""At the best step q is a quarter of the noise of D or less. It grows as L^p, so a q of 4 times
that noise is seen where L is taken 2 to 4 times too large."""

COARSEST = 2.0**-15
"""Relative bound beyond which nothing is decided, whatever is asked for: where f is so noisy, as in
float32, the search sees errors that are a hundred times smaller than what is asked for."""

LONGEST = 16
"""L is not believed to exceed the size of x by more: where f is linear, q tells nothing of it."""

BLOCK = 4096
"""Coordinates differentiated at once; bounds memory."""


@dataclass(frozen=True)
class Rule:
    """How many steps are taken.

    Attributes:
        p: the power of h in q.
        T: the constant of q.
        jump: the weights of S in J.
    """

    p: int
    T: float
    jump: tuple[float, ...]

    @property
    def steps(self) -> int:
        """How many steps there are; each takes two passes."""
        return len(self.jump)

    @property
    def jump_noise(self) -> float:
        """What noise adds to J at most, in eps_f / h."""
        return sum(4.0 * abs(a) / float(RHO) ** k for k, a in enumerate(self.jump))


TWO = Rule(2, RHO**2 - 1, (4 / 3, -1 / 3))
THREE = Rule(4, RHO**2 * (RHO**4 - 1), (256 / 189, -68 / 189, 1 / 189))


def fixed_step_differences(
    lines: Lines, noise: Noise, g: FloatArray, coordinates: IntArray, *, resolution: float
) -> Estimate:
    """Differentiate the coordinates that fixed steps can decide.

    Args:
        lines: the black box at x.
        noise: the noise of one evaluation.
        g: the numbers under test, one entry a coordinate of x.
        coordinates: which, in the order they are to be evaluated.
        resolution: the relative error that must not go unseen.

    Returns:
        An estimate with one entry for every coordinate of x: RESOLVED where g is decided to agree,
        else NOT_EVALUATED, whatever was seen.
    """
    screen = _Screen(lines, noise, g, min(resolution, COARSEST))
    try:
        for leaf in lines.structure.leaves:
            inside = coordinates[(coordinates >= leaf.start) & (coordinates < leaf.stop)]
            if inside.size:
                screen.array(leaf, inside)
    except BudgetSpentError:
        pass
    return screen.estimate


@dataclass(frozen=True)
class _Look:
    """What the passes of some coordinates show, one entry each."""

    value: FloatArray
    noise: FloatArray
    q: FloatArray
    is_smooth: BoolArray

    @property
    def bound(self) -> FloatArray:
        return self.noise + 2 * self.q


class _Screen:
    """Looks at coordinates, array by array, and keeps what is decided."""

    def __init__(self, lines: Lines, noise: Noise, g: FloatArray, resolution: float) -> None:
        self.estimate = Estimate.empty(lines.size)
        self._lines, self._noise, self._g, self._resolution = lines, noise, g, resolution
        self._mantissas = lines.mantissas("steps", lines.size)
        self._lengths = np.full(lines.size, np.nan)

    def array(self, leaf: Leaf, inside: IntArray) -> None:
        """Look at pilots; if any is decided, look at the others as they suggest."""
        size = float(np.max(np.abs(self._lines.origin[leaf.start : leaf.stop]), initial=0.0))
        self._size = size or self._lines.scale
        self._lengths[inside] = self._size
        promising = inside[self._promises(TWO, inside) | self._promises(THREE, inside)]
        if not promising.size:
            return
        pilots = promising[np.unique(np.linspace(0, len(promising) - 1, PILOTS).astype(int))]
        self._decide(pilots)
        decided = pilots[self.estimate.status[pilots] == Status.RESOLVED]
        if not decided.size:
            return
        others = inside[~np.isin(inside, pilots)]
        self._lengths[others] = np.median(self._lengths[decided])
        block = BLOCK if self._lines.budget is None else 8
        for i in range(0, len(others), block):
            self._decide(others[i : i + block])

    def _decide(self, j: IntArray) -> None:
        """Look at two steps, again if L is another than was assumed, and then at three."""
        self._look(TWO, j[self._promises(TWO, j)])
        j = self._still_open(j)
        change = self._steps(TWO, j) / self.estimate.step[j]
        self._look(TWO, j[((change >= 2) | (change <= 1 / 2)) & self._promises(TWO, j)])
        j = self._still_open(j)
        self._look(THREE, j[self._promises(THREE, j)])

    def _still_open(self, j: IntArray) -> IntArray:
        """Return the coordinates that are not decided and of which no look disagreed."""
        is_open = (self.estimate.status[j] != Status.RESOLVED) & np.isfinite(self._lengths[j])
        return np.asarray(j[is_open])

    def _promises(self, rule: Rule, j: IntArray) -> BoolArray:
        """Whether the bound of D is expected to be within the resolution of g, if L is right.

        Where x has room on one side only, D is not to be had.
        """
        with np.errstate(all="ignore"):
            expected = (rule.p + 1) / rule.p * C1 * self._noise.bound / self._steps(rule, j)
            within = expected <= self._resolution * np.abs(self._g[j])
        return np.asarray(within & (self._lines.sides(j) == 0))

    def _steps(self, rule: Rule, j: IntArray) -> FloatArray:
        """Return h: as L and g suggest; the longest step within |x_j| and the array's size / 4."""
        x, c, p = np.abs(self._lines.origin[j]), self._mantissas[j], rule.p
        with np.errstate(all="ignore"):
            relative = (
                C1 * self._noise.bound / (2 * p * rule.T * self._lengths[j] * np.abs(self._g[j]))
            )
            h = np.fmin(self._lengths[j] * relative ** (1 / (p + 1)), np.inf)
            longest = np.minimum(np.where(x > 0, x, np.inf), self._size / 4)
            longest = np.minimum(longest, self._lines.room(j))
            h = np.minimum(h, longest / RHO ** (rule.steps - 1))
            return np.asarray(np.ldexp(c, exponents_below(h, c)))

    def _look(self, rule: Rule, j: IntArray) -> None:
        """Spend the passes on each coordinate; keep what they decide, and the L they show."""
        if not j.size:
            return
        h, g, e = self._steps(rule, j), self._g[j], self.estimate
        look = self._differences(rule, j, h)
        with np.errstate(all="ignore"):
            allowance = look.bound + self._lines.machine_epsilon[j] / 2 * np.abs(g)
            agrees = np.abs(look.value - g) <= allowance
            decided = agrees & look.is_smooth & (allowance <= self._resolution * np.abs(look.value))
            L = h * (rule.T * np.abs(look.value) / look.q) ** (1 / rule.p)
        self._lengths[j] = np.where(agrees, np.minimum(L, LONGEST * self._size), np.nan)
        e.step[j] = h
        e.evaluations[j] += 2 * rule.steps
        rows = j[decided]
        e.value[rows], e.bound[rows] = look.value[decided], look.bound[decided]
        e.status[rows] = Status.RESOLVED

    def _differences(self, rule: Rule, j: IntArray, h: FloatArray) -> _Look:
        """Evaluate f at x +- rho^k h e_j, all coordinates in one call."""
        sizes = [movable(self._lines, j, RHO**k * h) for k in range(rule.steps)]
        t = np.concatenate([side * size for size in sizes for side in (1, -1)])
        rises, t = self._lines.along_axes(np.tile(j, 2 * rule.steps), t)
        rises, t = rises.reshape(-1, len(j)), t.reshape(-1, len(j))
        with np.errstate(all="ignore"):
            D2 = (rises[0::2] - rises[1::2]) / (t[0::2] - t[1::2])
            D = D2[:-1] - np.diff(D2, axis=0) / (RHO**2 - 1)
            q = np.abs(D2[1] - D2[0]) if rule is TWO else np.abs(D[1] - D[0])
            J = np.asarray(rule.jump) @ (rises[0::2] / t[0::2] - rises[1::2] / t[1::2])
            f = self._lines.value
            growth = np.maximum(np.abs(f + rises).max(axis=0) - abs(f), 0.0)
            eps = self._noise.bound_at(growth) / h
            smooth = (np.abs(J) <= rule.jump_noise * eps) & (q <= BALANCE * C1 * eps)
            return _Look(D[0], C1 * eps, q, smooth)
