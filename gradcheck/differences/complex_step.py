r"""Complex step: derivatives of analytic code without a difference, hence without cancellation.

Symbols: h = 2^-100, about 1e-30; v a direction; e_j the j-th axis; i the imaginary unit.

    f(x + i h v) = f(x) + i h f'(x) v + O(h^2),   Im f(x + i h v) / h = f'(x) v + O(h^2)

The O(h^2) is below the rounding as long as f varies on no scale below 1e-22: there is no step to
choose.

**Bound.** What is left is rounding, and for a black box there is no rigorous bound of it. It is
estimated as the noise of f is (noise.py): s = sum_j v_j f'_j with signs v_j = +-1 on one array is
sampled at points a few ulps apart, and sigma is what their difference table leaves. Rounding
errors of the f'_j that are independent add up in s by squares, so that sigma is not below that of
any one of them. With u the unit roundoff and z the factor by which noise.py widens its estimates,

    |Im f(x + i h e_j) / h - f'_j|  <=  z max(sigma, u max |f'|) + tiny / h

over every array; tiny / h is what the underflow of the imaginary part may hide.
Rounding that all points nearby share is not seen: on random sigmoid networks the bound held in
99.8 % of the coordinates, and was exceeded 8 times at worst.

**Probe.** Code that is not analytic gives wrong numbers without a word: np.abs, np.vdot, conj and
real buffers drop the imaginary part. So before anything else

    (a) an imaginary step along a random direction must reach the output;
    (b) Im f(x + i h v) / h must agree with a central difference of the real f along v, within
        the error bound of the difference. This finds an imaginary part that was dropped on some
        paths only, as far as they weigh more than that bound.

Sources: W. Squire and G. Trapp, "Using complex variables to estimate derivatives of real
functions", SIAM Rev. 40 (1998), 110-112. J. R. R. A. Martins, P. Sturdza and J. J. Alonso, "The
complex-step derivative approximation", ACM Trans. Math. Softw. 29 (2003), 245-262.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.exceptions import ComplexWarning

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.differences.finite_difference import finite_difference
from gradcheck.differences.lines import BudgetSpentError, InputChangedError, Lines
from gradcheck.differences.noise import (
    STANDARD_DEVIATIONS,
    UNDERESTIMATE,
    estimate_noise,
    line_noise,
)
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.pytree import Leaf, copy_of, structure_of
from gradcheck.splitmix64 import Stream

H = 2.0**-100
"""The imaginary step; a power of two, so that dividing by it is exact."""

TINY = float(np.finfo(float).tiny)

NEARBY = 2.0**-6
"""How far, relative to x, a second probe is made where the slope along the first is 0."""

CULPRITS = (
    "likely culprits: np.abs, np.linalg.norm, np.vdot, conj, np.maximum, np.minimum, .real, "
    "float(), arrays made with a real dtype"
)


class NotAnalyticError(Exception):
    """The imaginary part does not come through f unharmed, so that it holds no derivative."""


class ComplexLines:
    """f on complex lines through x, evaluated at a private complex copy of x.

    Args:
        f: the black box; takes x's structure, of complex arrays too, and returns one number.
        x: an array, or a dict, list or tuple of arrays; never changed. It is evaluated at the
            same numbers in float64 and complex128 (longdouble stays longdouble).
        budget: the most evaluations that may be spent, real and complex, or None.

    Attributes:
        real: the real f on lines through x; its evaluations count here too.
        forward_passes: how often f was evaluated, real and complex.
    """

    def __init__(self, f: Callable[[Any], Any], x: Any, *, budget: int | None = None) -> None:
        self._f = f
        self.budget = budget
        self.forward_passes = 0
        dtypes = {leaf.dtype for leaf in structure_of(x).leaves}
        real = np.result_type(np.float64, *dtypes)
        self.real = Lines(self._evaluate, copy_of(x, real)[0])
        self.structure = self.real.structure
        self._point, leaves = copy_of(x, np.result_type(real, np.complex128))
        self._flat = [leaf.reshape(-1) for leaf in leaves]

    @property
    def size(self) -> int:
        """How many coordinates x has."""
        return self.structure.size

    def at(self, origin: FloatArray, direction: FloatArray) -> complex:
        """Evaluate f at origin + i h direction; the private copy holds x again afterwards."""
        moved = origin + 1j * (H * direction)
        try:
            self._move_to(moved)
            result = self._evaluate(self._point)
            for leaf, flat in zip(self.structure.leaves, self._flat, strict=True):
                if not np.array_equal(flat, moved[leaf.start : leaf.stop]):
                    raise InputChangedError(leaf.name)
        finally:
            self._move_to(self.real.origin)
        return _complex_number(result)

    def along_axis(self, coordinate: int) -> complex:
        """Evaluate f at x + i h e_j."""
        leaf = self.structure.leaf_of(coordinate)
        flat = self._flat[self.structure.leaves.index(leaf)]
        k = coordinate - leaf.start
        saved = flat[k]
        moved = saved + 1j * H
        try:
            flat[k] = moved
            result = self._evaluate(self._point)
            if flat[k] != moved:
                raise InputChangedError(self.structure.name(coordinate))
        finally:
            flat[k] = saved
        return _complex_number(result)

    def slopes(self, v: FloatArray) -> Callable[[FloatArray, FloatArray, FloatArray], FloatArray]:
        """Return the function that samples f' v along a line: (origin, direction, ts) -> slopes."""

        def sample(origin: FloatArray, direction: FloatArray, steps: FloatArray) -> FloatArray:
            return np.array([self.at(origin + t * direction, v).imag / H for t in steps])

        return sample

    def _move_to(self, vector: FloatArray) -> None:
        for leaf, flat in zip(self.structure.leaves, self._flat, strict=True):
            flat[...] = vector[leaf.start : leaf.stop]

    def _evaluate(self, point: Any) -> Any:
        if self.budget is not None and self.forward_passes >= self.budget:
            raise BudgetSpentError
        self.forward_passes += 1
        return self._f(point)


def complex_step(
    lines: ComplexLines,
    stream: Stream,
    *,
    coordinates: IntArray | None = None,
    progress: Callable[[int], None] | None = None,
) -> Estimate:
    """Differentiate analytic code along its axes: one complex evaluation a coordinate.

    Args:
        lines: the black box at x.
        stream: draws the directions of the probe and of the noise estimates.
        coordinates: which, in the order they are to be evaluated; default: all.
        progress: called with 1 after every coordinate.

    Returns:
        An estimate with one entry for every coordinate of x; `bound` is an estimate itself, see
        the top of this file. A value that is not finite is NO_STEP. Where the budget of `lines`
        runs out, the rest is NOT_EVALUATED. The probe takes about 50 evaluations beforehand, and
        the noise 7 to 42 an array.

    Raises:
        NotAnalyticError: the probe failed; the message says how.
        BudgetSpentError: the budget does not suffice for probe and noise.
        InputChangedError: f writes to its argument.

    >>> lines = ComplexLines(lambda x: np.sum(np.sin(x)), np.array([0.0, 1.0]))
    >>> complex_step(lines, Stream(0, "probe")).value
    array([1.        , 0.54030231])
    >>> lines = ComplexLines(lambda x: np.sum(np.abs(x) ** 2), np.array([0.5, 1.0]))
    >>> complex_step(lines, Stream(0, "probe"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    gradcheck.differences.complex_step.NotAnalyticError: f(x + i h v) is float64, not complex; ...
    """
    probe(lines, stream)
    wanted = np.arange(lines.size) if coordinates is None else coordinates
    noise = _noise_of_derivatives(lines, stream, wanted)
    estimate = Estimate.empty(lines.size)
    try:
        for j in wanted.tolist():
            estimate.value[j] = lines.along_axis(j).imag / H
            estimate.evaluations[j] = 1
            if progress is not None:
                progress(1)
    except BudgetSpentError:
        pass
    done = estimate.evaluations > 0
    finite = done & np.isfinite(estimate.value)
    estimate.step[done] = H
    estimate.status[done] = Status.NO_STEP
    estimate.status[finite] = Status.RESOLVED
    for leaf, sigma in noise.items():
        inside = np.arange(leaf.start, leaf.stop)[finite[leaf.start : leaf.stop]]
        largest = float(np.max(np.abs(estimate.value[inside]), initial=0.0))
        error = max(sigma, lines.real.unit_roundoff * largest)
        estimate.bound[inside] = STANDARD_DEVIATIONS * UNDERESTIMATE * error + TINY / H
    return estimate


def probe(lines: ComplexLines, stream: Stream) -> None:
    """Compare the complex step with a real difference along a random direction.

    Raises:
        NotAnalyticError: they disagree, or the imaginary part does not reach the output, or f is
            not differentiable at x.
        BudgetSpentError: the budget of `lines` is too small.
    """
    x = lines.real.origin
    signs = stream.signs(lines.size)
    v = _scales(lines) * (0.5 + stream.uniform(lines.size) / 2) * signs
    slope = _compare(lines, x, v, stream)
    if slope == 0:  # x is stationary along v, or the imaginary part is lost: nearby they differ
        slope = _compare(lines, x + NEARBY * v, v, stream)
    if slope == 0:
        raise NotAnalyticError(
            "the imaginary part of f(x + i h v) is 0 for a random direction v, at x and nearby: f "
            f"loses it, or does not depend on x; {CULPRITS}"
        )


def _compare(lines: ComplexLines, x: FloatArray, v: FloatArray, stream: Stream) -> float:
    """Return Im f(x + i h v) / h, after comparing it with a difference along v."""
    slope = _first_slope(lines, x, v)
    line = Lines(lambda t: lines.real.along(x, v, t - 1.0)[0], np.ones(1))
    difference = finite_difference(line, estimate_noise(line, stream))
    status = Status(difference.status[0])
    if status == Status.NOT_EVALUATED:
        raise BudgetSpentError
    if status != Status.RESOLVED:
        raise NotAnalyticError(
            f"f is not differentiable: real differences along a random direction give {status.name}"
        )
    other, bound = float(difference.value[0]), float(difference.bound[0])
    if not abs(slope - other) <= bound:
        raise NotAnalyticError(
            f"along a random direction the complex step gives {slope:.17g}, differences of the "
            f"real f give {other:.17g} +- {bound:.1e}: f loses a part of the imaginary part; "
            f"{CULPRITS}"
        )
    return slope


def _first_slope(lines: ComplexLines, x: FloatArray, v: FloatArray) -> float:
    """Evaluate f' v; whatever numpy has to say about complex numbers is an error here."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", ComplexWarning)
            return float(lines.at(x, v).imag / H)
    except (TypeError, ValueError, ComplexWarning) as error:
        raise NotAnalyticError(f"f does not take complex numbers ({error}); {CULPRITS}") from error


def _noise_of_derivatives(
    lines: ComplexLines, stream: Stream, wanted: IntArray
) -> dict[Leaf, float]:
    """Estimate sigma for every array that holds one of the coordinates."""
    noise = {}
    for leaf in lines.structure.leaves:
        if np.any((wanted >= leaf.start) & (wanted < leaf.stop)):
            v = np.zeros(lines.size)
            v[leaf.start : leaf.stop] = stream.signs(leaf.size)
            noise[leaf] = line_noise(lines.real, stream, lines.slopes(v))
    return noise


def _scales(lines: ComplexLines) -> FloatArray:
    """Return |x_j|; where that is 0, the largest number of its array, or of x, or 1."""
    scales = np.abs(lines.real.origin)
    for leaf in lines.structure.leaves:
        own = scales[leaf.start : leaf.stop]
        own[own == 0] = float(np.max(own, initial=0.0)) or lines.real.scale
    return scales


def _complex_number(result: Any) -> complex:
    if np.size(result) != 1:
        raise TypeError(f"f(x) has shape {np.shape(result)}; it must be one number")
    if not np.iscomplexobj(result):
        dtype = np.asarray(result).dtype
        raise NotAnalyticError(f"f(x + i h v) is {dtype}, not complex; {CULPRITS}")
    return complex(np.asarray(result).reshape(()))
