r"""Finite differences of a black box, each with an error bound and its cost.

Symbols: D(h) = (1/h) sum_k c_k f(x + k h e_j) a stencil of accuracy p with C1 = sum |c_k|
(stencils.py); eps_f the bound on the noise of one evaluation, eps_s <= eps_f the level used to
choose steps (noise.py); A = the noise constant of h (D(h) - D(2h)).

**Step.** The testing ratio

    r(h) = h |D(h) - D(2h)| / (A eps_s)

is at most about 1 while noise rules and grows like h^(p+1) once truncation does. Steps h = c 2^e,
c of random bits and the coordinate's own (points.py), are walked, upward from where noise rules,
to the first h with r(h) >= 3/2 (or downward until r(h) <= 6): the step that Shi, Xie, Xuan and
Nocedal accept, with the same thresholds. r(h/2) must not exceed 6 either, nor D(h/2) and D(h/16)
differ by more than six times what noise does: stencils that step over the waves of f agree by
accident now and then. The walk upward ends early where |f| has doubled
eps_s, as nothing is gained beyond, and at the largest |x| of the array. It begins below the h* of a
function that varies over |x| and is as large as f is at x or nearby, whichever is more: f(x) near 0
says nothing of its scale. Half of the step found is used, where truncation has fallen below the
noise.

**Bound.** D(h) - f' is the sum of the disagreements below it,

    D(h) - f'(x) = [D(h) - D(h/8)] + [D(h/8) - D(h/64)] + ...,

which shrink by 8^p each once f looks like its Taylor polynomial. Twice the first term stands for
the series; D(2h) - D(h), the term above, guards against a first term that is small by accident.
No credit is taken for the order p:

    |D(h) - f'(x)| <= C1 eps_f / h + 2 max(|D(h) - D(2h)|, |D(h/8) - D(h)|)

The noise term stands whatever the disagreements are, so the bound cannot collapse. All of these
see the odd part of f alone; the even part has its say in kinks.py. Near a bound of x the formula is
one-sided (points.py), with C1 and A of its own, and sees both. Offsets t_k are the realised
ones, and D = sum c_k f(x + t_k) / sum c_k t_k (points.py bounds what their rounding does).

A feature of f narrower than h/8 and lower than the noise is invisible to the bound; smaller
steps, which see it, have bounds wide enough to hold it. So before anybody is accused of a wrong
derivative, `second_opinions` must be asked. Their steps have a c of their own: a wave of which h is
a whole number of periods shows there.

Source: H.-J. M. Shi, Y. Xie, M. Q. Xuan and J. Nocedal, "Adaptive finite-difference interval
estimation for noisy derivative-free optimization", SIAM J. Sci. Comput. 44 (2022),
A2302-A2321, sections 2 and 3. The bisection is replaced by steps a factor 2 apart, whose points
serve the next step again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import sqrt

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.kinks import slope_jumps
from gradcheck.differences.lines import BudgetSpentError, Lines
from gradcheck.differences.noise import Noise
from gradcheck.differences.points import AxisPoints, exponents_below
from gradcheck.differences.stencils import CENTRAL_4, Stencil
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.pytree import Leaf

R_LOWER, R_UPPER = 1.5, 6.0
"""Accepted testing ratios (Shi et al. 2022, section 2.1)."""

PILOTS = 3
"""Coordinates of each array that find their step first; the others start near it."""

STEADY = 6
"""Steps upward that are a factor 2 each; then strides double: x may be far smaller than all that
happens to f, as in sigmoid(1e-30)."""

NEVER = np.iinfo(np.int64).max
"""The exponent of a step that was never too large."""

EIGHTH = 3
"""The lower disagreement looks at h / 2^3."""

BLOCK = 4096
"""Coordinates walked at once; bounds memory."""


def finite_difference(
    lines: Lines,
    noise: Noise,
    *,
    coordinates: IntArray | None = None,
    stencil: Stencil = CENTRAL_4,
    progress: Callable[[int], None] | None = None,
) -> Estimate:
    """Differentiate f along its axes, with a step and an error bound for each.

    Args:
        lines: the black box at x.
        noise: the noise of one evaluation.
        coordinates: which, in the order they are to be evaluated; default: all.
        stencil: the formula; its order decides how the error falls with the noise.
        progress: called with the number of coordinates just finished.

    Returns:
        An estimate with one entry for every coordinate of x. Where the budget of `lines` runs
        out, the rest is NOT_EVALUATED.
    """
    wanted = np.arange(lines.size) if coordinates is None else coordinates
    estimate = Estimate.empty(lines.size)
    walk = _Walk(lines, noise, stencil)
    block = BLOCK if lines.budget is None else 8
    try:
        for part in walk.batches(wanted, block):
            estimate.put(part, walk.differentiate(part))
            if progress is not None:
                progress(len(part))
    except BudgetSpentError:
        pass
    return estimate


def second_opinions(
    lines: Lines,
    noise: Noise,
    coordinates: IntArray,
    steps: FloatArray,
    *,
    stencil: Stencil = CENTRAL_4,
) -> list[Estimate]:
    """Differentiate again at an eighth and at a 64th of the steps; entries as `coordinates`.

    The noise term is that of the likely noise, not of its bound: smaller steps carry 8 and 64
    times the noise, and an interval as wide as the bound's would let large errors pass. Where the
    stencils differ by more than six times what noise does, f is not smooth on the scale of the
    step, and the bound is infinite: there is no opinion.
    """
    points = AxisPoints(lines, coordinates, "second opinions")
    exponents = exponents_below(steps, points.mantissas)
    return [
        _opinion(points, stencil, noise, e) for e in (exponents - EIGHTH, exponents - 2 * EIGHTH)
    ]


def opinion_at(
    lines: Lines,
    noise: Noise,
    coordinates: IntArray,
    steps: FloatArray,
    *,
    stencil: Stencil = CENTRAL_4,
) -> Estimate:
    """Differentiate again at steps just below the given ones, as `second_opinions` does."""
    points = AxisPoints(lines, coordinates, "second opinions")
    return _opinion(points, stencil, noise, exponents_below(steps, points.mantissas))


def _opinion(points: AxisPoints, stencil: Stencil, noise: Noise, exponents: IntArray) -> Estimate:
    """Evaluate at h = c 2^exponents; the bound is infinite where f is not smooth there."""
    opinion = _bounded(points, stencil, noise.at_level(), exponents)
    near, growth = points.derivative(stencil, exponents)
    far, _ = points.derivative(stencil, exponents - EIGHTH)
    allowed = R_UPPER * _noise_between(stencil, noise.level_at(growth), points.steps(exponents))
    opinion.bound[~(np.abs(near - far) <= allowed)] = np.inf
    return opinion


def difference_quotients(
    lines: Lines, h: float, *, stencil: Stencil, coordinates: IntArray | None = None
) -> FloatArray:
    """Return the plain D(h) at one fixed step: N + 1 forward passes for forward, 2N for central.

    Args:
        lines: the black box at x (which has already spent the one pass that f(x) takes).
        h: the step, the same for every coordinate.
        stencil: the formula.
        coordinates: which; default: all.
    """
    wanted = np.arange(lines.size) if coordinates is None else coordinates
    numerator = np.zeros(len(wanted), dtype=lines.dtype)
    denominator = np.zeros(len(wanted), dtype=lines.dtype)
    for k, c in stencil.terms:
        rise, t = lines.along_axes(wanted, np.full(len(wanted), k * h))
        numerator += c * rise
        denominator += c * t
    return numerator / denominator


def _bounded(
    points: AxisPoints,
    stencil: Stencil,
    noise: Noise,
    exponents: IntArray,
    rows: IntArray | None = None,
) -> Estimate:
    """Evaluate value and bound of the module's formula at h = c 2^exponents."""
    rows = np.arange(len(points.coordinates)) if rows is None else rows
    h = points.steps(exponents, rows)
    points.prefetch(stencil, [exponents + 1, exponents, exponents - EIGHTH], rows)
    above, growth = points.derivative(stencil, exponents + 1, rows)
    here, _ = points.derivative(stencil, exponents, rows)
    below, _ = points.derivative(stencil, exponents - EIGHTH, rows)
    disagreement = np.maximum(np.abs(here - above), np.abs(below - here))
    jumps = slope_jumps(points, exponents, noise, rows)
    c1, _ = points.constants(stencil, rows)
    bound = c1 * noise.bound_at(growth) / h
    bound = bound + 2 * disagreement + jumps.uncertain / 2
    finite = np.isfinite(bound)  # not where `here` is not, from which it counts
    status = np.where(finite, Status.RESOLVED, Status.NO_STEP)
    status[~np.isfinite(here)] = Status.UNDEFINED
    status = np.where(finite & (jumps.established != 0), Status.KINK, status).astype(np.uint8)
    estimate = Estimate(
        value=here,
        bound=np.where(finite, bound, np.inf),
        step=h,
        status=status,
        jump=jumps.established,
        evaluations=points.evaluations[rows],
        reach=np.zeros(len(rows)),
        secant=points.secant(exponents, rows),
    )
    lost = np.flatnonzero(jumps.lost_at < exponents)
    if lost.size:
        closer = _bounded(points, stencil, noise, jumps.lost_at[lost], rows[lost])
        _take_better(estimate, lost, closer)
    return estimate


def _noise_between(stencil: Stencil, eps: FloatArray, h: FloatArray) -> FloatArray:
    """Return what noise eps does to D(h/8) - D(h): C1 (8 + 1) eps / h at most."""
    return np.asarray(float(stencil.noise_constant) * (2**EIGHTH + 1) * eps / h)


def _take_better(estimate: Estimate, rows: IntArray, closer: Estimate) -> None:
    """Replace rows by estimates at smaller steps where those have the smaller bound.

    f has lost one jump of its slope on the way down: another is held to be an uncertainty.
    """
    estimate.evaluations[rows] = closer.evaluations
    closer.bound += np.abs(closer.jump) / 2
    for i, row in enumerate(rows.tolist()):
        if closer.bound[i] < estimate.bound[row]:
            for name in ("value", "bound", "step", "secant"):
                getattr(estimate, name)[row] = getattr(closer, name)[i]
            estimate.status[row] = Status.RESOLVED


@dataclass
class _Walk:
    """The search for each coordinate's step."""

    lines: Lines
    noise: Noise
    stencil: Stencil
    _start: dict[str, float] = field(default_factory=dict)

    def batches(self, wanted: IntArray, block: int) -> list[IntArray]:
        """Split the coordinates: a few pilots of every array first, then blocks of each array."""
        pilots, rest = [], []
        for leaf in self.lines.structure.leaves:
            inside = wanted[(wanted >= leaf.start) & (wanted < leaf.stop)]
            chosen = np.zeros(len(inside), dtype=bool)
            if len(inside):
                chosen[np.linspace(0, len(inside) - 1, PILOTS).astype(int)] = True
            pilots.append(inside[chosen])
            others = inside[~chosen]
            rest += [others[i : i + block] for i in range(0, len(others), block)]
        first = np.concatenate(pilots) if pilots else wanted
        batches = [first[i : i + block] for i in range(0, len(first), block)]
        return batches + rest

    def differentiate(self, coordinates: IntArray) -> Estimate:
        points = AxisPoints(self.lines, coordinates)
        exponents, found = self._search(points)
        estimate = _bounded(points, self.stencil, self.noise, exponents - 1)
        estimate.status[~found & (estimate.status == Status.RESOLVED)] = Status.NO_STEP
        estimate.secant[~(estimate.step <= self._sizes(coordinates))] = 0.0
        self._settle_constant(points, estimate)
        self._remember(coordinates, points.steps(exponents), found)
        return estimate

    def _settle_constant(self, points: AxisPoints, estimate: Estimate) -> None:
        """Take D(h) = D(2h) = 0, h a quarter of the reach, where f did not change by a bit.

        Not where the search went on to a larger step: x_j may be far below the rounding of f.
        """
        estimate.reach = points.unchanged()
        estimate.reach[estimate.step > estimate.reach] = 0.0
        flat = np.flatnonzero(estimate.reach > 0)
        h = estimate.reach[flat] / 4
        c1, _ = points.constants(self.stencil, flat)
        estimate.value[flat], estimate.step[flat] = 0.0, h
        estimate.bound[flat] = c1 * self.noise.bound / h
        estimate.status[flat], estimate.jump[flat] = Status.RESOLVED, 0.0

    def _search(self, points: AxisPoints) -> tuple[IntArray, npt.NDArray[np.bool_]]:
        """Walk each coordinate to its step; return exponents and whether r <= 6 was reached.

        Upward in strides: one at a time at first, then twice as far each time, and back by halving
        between the last step where noise ruled and the first one beyond.
        """
        lowest, highest = self._limits(points)
        highest = points.with_room(highest)
        lowest = np.minimum(lowest, highest)
        e = np.clip(self._first_exponents(points), lowest, highest)
        ruled, beyond, rises = e.copy(), np.full(len(e), NEVER), np.zeros(len(e), dtype=int)
        falling, found = np.zeros(len(e), dtype=bool), np.ones(len(e), dtype=bool)
        active = np.arange(len(e))
        while active.size:
            a, at = active, e[active]
            r, gains = self._testing_ratio(points, at, a)
            small_enough = r <= R_UPPER
            rules = (r < R_LOWER) & gains & ~falling[a]
            passed = ~rules & ~(small_enough & gains) & ~falling[a] & (at - ruled[a] > 1)
            ruled[a[rules]], beyond[a[passed]] = at[rules], at[passed]
            stride = 2 ** np.maximum(rises[a] - STEADY, 0)
            upward = np.minimum(ruled[a] + stride, highest[a])
            target = np.where(beyond[a] == NEVER, upward, (ruled[a] + beyond[a]) // 2)
            moves = passed | (rules & (target > at))
            settled = np.flatnonzero(small_enough & ~moves)
            small_enough[settled] = self._holds_below(points, at[settled], a[settled])
            down = ~small_enough & ~moves & (at > lowest[a])
            found[a[~small_enough & ~moves & ~down]] = False
            e[a] = np.where(moves, target, at - down)
            rises[a] += rules
            falling[a] |= down
            active = a[moves | down]
        return e, found

    def _testing_ratio(
        self, points: AxisPoints, e: IntArray, rows: IntArray
    ) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
        """Return r(h), and whether eps_s / h still falls with h: |f| has not outgrown |f(x)|."""
        points.prefetch(self.stencil, [e, e + 1], rows)
        here, _ = points.derivative(self.stencil, e, rows)
        above, growth = points.derivative(self.stencil, e + 1, rows)
        eps_s = self.noise.level_at(growth)
        scale = points.constants(self.stencil, rows)[1] * eps_s
        with np.errstate(invalid="ignore", over="ignore"):
            r = points.steps(e, rows) * np.abs(here - above) / scale
            return r, eps_s <= 2 * self.noise.level

    def _holds_below(
        self, points: AxisPoints, e: IntArray, rows: IntArray
    ) -> npt.NDArray[np.bool_]:
        """Tell whether D(h/2) agrees with D(h), and with D(h/16), as far as noise rules."""
        r, _ = self._testing_ratio(points, e - 1, rows)
        near, growth = points.derivative(self.stencil, e - 1, rows)
        far, _ = points.derivative(self.stencil, e - 1 - EIGHTH, rows)
        noise = _noise_between(self.stencil, self.noise.level_at(growth), points.steps(e - 1, rows))
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray((r <= R_UPPER) & (np.abs(near - far) <= R_UPPER * noise))

    def _limits(self, points: AxisPoints) -> tuple[IntArray, IntArray]:
        """Steps from 32 ulps of x_j (h/2 still moves it exactly) to the largest |x| of its array.

        Beyond that f may saturate; where its change drowns in the noise, nobody would notice. Up to
        1 they may grow in any case, as f(x) = g(1 + x) does not see an x that is far smaller. They
        are normal numbers, a few bits above the smallest one, so that t_k has all its bits.
        """
        coordinates = points.coordinates
        size = np.abs(self.lines.origin[coordinates])
        others = np.abs(self.lines.origin)
        least = 2.0**-40 * float(np.min(others[others > 0], initial=self.lines.scale))
        ulp = self.lines.machine_epsilon[coordinates] * np.where(size == 0, least, size)
        ulp = np.maximum(ulp, np.finfo(float).tiny)
        lowest = np.ceil(np.log2(ulp.astype(float))).astype(int) + 5
        largest = np.maximum(self._sizes(coordinates), 1.0)
        return lowest, np.maximum(lowest, exponents_below(largest, points.mantissas))

    def _first_exponents(self, points: AxisPoints) -> IntArray:
        """Start where the array's pilots ended, or well below h* of a function of scale |x|.

        Never above |x_j|: where the scales of an array differ, the steps of its large numbers
        would step over all that f does on the scale of its small ones. An x_j that is 0 has no
        scale of its own; beside large numbers (`_has_no_scale`) it starts from the smallest step.
        """
        coordinates = points.coordinates
        start = np.empty(len(coordinates))
        for leaf in self.lines.structure.leaves:
            inside = (coordinates >= leaf.start) & (coordinates < leaf.stop)
            if inside.any():
                known = self._start.get(leaf.name)
                start[inside] = self._blind_start(leaf) if known is None else known
        size = np.abs(self.lines.origin[coordinates]).astype(float)
        start = np.minimum(start, np.where(size > 0, size, np.inf))
        start[self._has_no_scale(coordinates)] = 0.0
        start = np.maximum(start, np.finfo(float).tiny)
        return exponents_below(start, points.mantissas)

    def _has_no_scale(self, coordinates: IntArray) -> npt.NDArray[np.bool_]:
        """Tell which x_j are 0 in an array whose first step exceeds 1.

        x_j may be of the unit of its array, or of another; then 1 stands for it. What varies over 1
        is seen by stencils whose nearest points are within 1, and the search goes down from there.
        """
        alien = np.asarray(self.lines.origin[coordinates] == 0)
        for leaf in self.lines.structure.leaves if alien.any() else ():
            inside = (coordinates >= leaf.start) & (coordinates < leaf.stop)
            alien &= ~inside | (self._blind_start(leaf) > 1)
        return alien

    def _sizes(self, coordinates: IntArray) -> FloatArray:
        """Return the size of the array of each coordinate."""
        sizes = np.empty(len(coordinates))
        for leaf in self.lines.structure.leaves:
            inside = (coordinates >= leaf.start) & (coordinates < leaf.stop)
            sizes[inside] = self._size(leaf)
        return sizes

    def _size(self, leaf: Leaf) -> float:
        """Return the largest |x| of an array, or of x where the array is 0."""
        own = np.abs(self.lines.origin[leaf.start : leaf.stop])
        return float(np.max(own, initial=0.0)) or self.lines.scale

    def _blind_start(self, leaf: Leaf) -> float:
        relative = self.noise.relative(float(self.lines.value))
        h = self._size(leaf) * self.stencil.best_step(relative, 1.0)
        return h / 2.0 ** (self.stencil.accuracy + 1)

    def _remember(
        self, coordinates: IntArray, steps: FloatArray, found: npt.NDArray[np.bool_]
    ) -> None:
        """Keep the smallest accepted step of each array: the next ones start a step below it.

        The largest c 2^e below h / sqrt(2) is one of h / 2 on average.
        """
        for leaf in self.lines.structure.leaves:
            inside = (coordinates >= leaf.start) & (coordinates < leaf.stop) & found
            inside &= ~self._has_no_scale(coordinates)
            if inside.any():
                self._start[leaf.name] = float(steps[inside].min()) / sqrt(2)
