r"""Derivatives along all axes by central differences at two steps: four passes a coordinate.

Symbols: f the black box at x, e_j an axis; h the inner step and rho h the outer one, rho = 4;
eps_f the bound on the noise of one evaluation (noise.py); g_j the number under test;

    D2(t) = [f(x + t e_j) - f(x - t e_j)] / 2t
    S(t)  = [f(x + t e_j) - 2 f(x) + f(x - t e_j)] / t

**Value.** D2(t) = f' + f''' t^2 / 6 + O(t^4). Of both steps is made what has no t^2:

    D = D2(h) + [D2(h) - D2(rho h)] / (rho^2 - 1)

**Bound.** With q = |D2(rho h) - D2(h)|, the disagreement that is seen, D2(h) - f' is the sum of
those below it,

    D2(h) - f' = [D2(h) - D2(h / rho)] + [D2(h / rho) - D2(h / rho^2)] + ...

which for a smooth f shrink by rho^2 = 16 each. It is assumed that they at least halve. Then they
add up to at most q, the correction in D to q / (rho^2 - 1), and

    |D - f'| <= C1 eps_f / h + 2 q,        C1 = (rho^2 + 1 / rho) / (rho^2 - 1)

No credit is taken for the order, nor for the t^2 that D has lost.

**Kinks.** S(t) = J + f'' t + O(t^3), J the jump of the slope at x. From both steps

    J = [rho S(h) - S(rho h)] / (rho - 1),   noise within 4 (rho + 1 / rho) / (rho - 1) eps_f / h

**Step.** Let L be the length over which f' changes by its own size: f''' / 6 = g / L^2. The bound
is smallest at

    h^3 = C1 eps_f / [4 (rho^2 - 1)] L^2 / |g|          where it is 3/2 C1 eps_f / h

At first L is the largest |x| of the array. A few coordinates of each array, the pilots, tell it
better: q = (rho^2 - 1) h^2 |D| / L^2. So steps follow |g|, which only the cost depends on.

**What is decided.** A coordinate is decided if g agrees with D within the bound, the bound is
within the resolution of |D|, and nothing stands out that a smooth f would not show at such steps:
no jump J beyond its noise, no q beyond `BALANCE` times the noise of D. Everything else is left to
`finite_difference`; nothing is ever called wrong here. A feature of f that is narrower than h and
lower than the noise is invisible, as it is to the search, whose steps are longer: they grow as
eps_f^(1/5), and the shortest points of a search are an eighth of its step.

Sources: the step, P. E. Gill, W. Murray, M. A. Saunders and M. H. Wright, "Computing
forward-difference intervals for numerical optimization", SIAM J. Sci. Stat. Comput. 4 (1983),
310-321, section 2, for the formula of order 2; the value, L. F. Richardson, "The deferred approach
to the limit", Phil. Trans. R. Soc. A 226 (1927), 299-361.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradcheck.oracles.finite_difference import PILOTS, Estimate, Status
from gradcheck.oracles.lines import BudgetSpentError, FloatArray, IntArray, Lines
from gradcheck.oracles.noise import Noise
from gradcheck.oracles.points import exponents_below, movable
from gradcheck.structure import Leaf

BoolArray = npt.NDArray[np.bool_]

RHO = 4
"""Outer step over inner step."""

C1 = (RHO**2 + 1 / RHO) / (RHO**2 - 1)
"""The noise constant of D, in eps_f / h."""

JUMP = 4 * (RHO + 1 / RHO) / (RHO - 1)
"""The noise constant of J, in eps_f / h."""

BALANCE = 4
"""At the best step q is a quarter of the noise of D. It goes as h^3, so a q of 4 times that noise
is seen at steps that are 16^(1/3) = 2.5 times too long, where L is taken 4 times too large."""

LONGEST = 16
"""L is not believed to exceed the size of x by more: where f is linear, q tells nothing of it."""

BLOCK = 4096
"""Coordinates differentiated at once; bounds memory."""


def two_step_differences(
    lines: Lines, noise: Noise, g: FloatArray, coordinates: IntArray, *, resolution: float
) -> Estimate:
    """Differentiate the coordinates that two steps can decide.

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
    screen = _Screen(lines, noise, g, resolution)
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
    """What four passes show, one entry a coordinate; q / (rho^2 - 1) is the correction in D."""

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
        promising = inside[self._promises(inside)]
        if not promising.size:
            return
        pilots = promising[np.unique(np.linspace(0, len(promising) - 1, PILOTS).astype(int))]
        self._look_twice(pilots)
        decided = pilots[self.estimate.status[pilots] == Status.RESOLVED]
        if not decided.size:
            return
        others = inside[~np.isin(inside, pilots)]
        self._lengths[others] = np.median(self._lengths[decided])
        others = others[self._promises(others)]
        block = BLOCK if self._lines.budget is None else 8
        for i in range(0, len(others), block):
            self._look_twice(others[i : i + block])

    def _look_twice(self, j: IntArray) -> None:
        """Look, and again where f varies over another length than was assumed."""
        self._look(j)
        j = j[(self.estimate.status[j] != Status.RESOLVED) & np.isfinite(self._lengths[j])]
        change = self._steps(j) / self.estimate.step[j]
        j = j[((change >= 2) | (change <= 1 / 2)) & self._promises(j)]
        if j.size:
            self._look(j)

    def _promises(self, j: IntArray) -> BoolArray:
        """Whether the bound of D is expected to be within the resolution of g, if L is right.

        Where x has room on one side only, D is not to be had.
        """
        with np.errstate(all="ignore"):
            expected = 3 / 2 * C1 * self._noise.bound / self._steps(j)
            within = expected <= self._resolution * np.abs(self._g[j])
        return np.asarray(within & (self._lines.sides(j) == 0))

    def _steps(self, j: IntArray) -> FloatArray:
        """Return h: as L and g suggest, rho h at most |x_j| and a quarter of the array's size."""
        x, c = np.abs(self._lines.origin[j]), self._mantissas[j]
        with np.errstate(all="ignore"):
            cube = C1 * self._noise.bound / (4 * (RHO**2 - 1)) * self._lengths[j] ** 2
            h = np.fmin(np.cbrt(cube / np.abs(self._g[j])), self._size / (4 * RHO))
            h = np.where(x > 0, np.minimum(h, x / RHO), h)
            h = np.minimum(h, self._lines.room(j) / RHO)
            return np.asarray(np.ldexp(c, exponents_below(h, c)))

    def _look(self, j: IntArray) -> None:
        """Spend four passes on each coordinate; keep what they decide, and the L they show."""
        h, g = self._steps(j), self._g[j]
        look = self._differences(j, h)
        with np.errstate(all="ignore"):
            allowance = look.bound + self._lines.machine_epsilon[j] / 2 * np.abs(g)
            agrees = np.abs(look.value - g) <= allowance
            decided = agrees & look.is_smooth & (allowance <= self._resolution * np.abs(look.value))
            L = h * np.sqrt((RHO**2 - 1) * np.abs(look.value) / look.q)
        self._lengths[j] = np.where(agrees, np.minimum(L, LONGEST * self._size), np.nan)
        e = self.estimate
        e.step[j] = h
        e.evaluations[j] += 4
        rows = j[decided]
        e.value[rows], e.bound[rows] = look.value[decided], look.bound[decided]
        e.status[rows] = Status.RESOLVED

    def _differences(self, j: IntArray, h: FloatArray) -> _Look:
        """Evaluate f at x +- h e_j and x +- rho h e_j, all coordinates in one call."""
        near, far = movable(self._lines, j, h), movable(self._lines, j, RHO * h)
        t = np.concatenate([near, -near, far, -far])
        rises, t = (a.reshape(4, len(j)) for a in self._lines.along_axes(np.tile(j, 4), t))
        with np.errstate(all="ignore"):
            D2 = (rises[0::2] - rises[1::2]) / (t[0::2] - t[1::2])
            S = rises[0::2] / t[0::2] - rises[1::2] / t[1::2]
            J = (RHO * S[0] - S[1]) / (RHO - 1)
            q = np.abs(D2[1] - D2[0])
            f = self._lines.value
            growth = np.maximum(np.abs(f + rises).max(axis=0) - abs(f), 0.0)
            eps = self._noise.bound_at(growth) / h
            smooth = (np.abs(J) <= JUMP * eps) & (q <= BALANCE * C1 * eps)
            return _Look(D2[0] + (D2[0] - D2[1]) / (RHO**2 - 1), C1 * eps, q, smooth)
