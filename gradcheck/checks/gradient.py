"""Checks the gradient of any function by finite differences of that function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import FloatArray, IntArray
from gradcheck.checks.contract import JAX_ADVICE, REPEATS, Layout, UnderTest
from gradcheck.checks.examine import (
    check_options,
    default_resolution,
    differentiate,
    examine,
    format_of,
    repeat_line,
)
from gradcheck.differences.bounds import read_bounds
from gradcheck.differences.known_noise import Rounding
from gradcheck.differences.lines import Lines
from gradcheck.differences.locate import locate
from gradcheck.differences.noise import Noise, estimate_noise, given_noise
from gradcheck.differences.screening import Settled, screened
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.estimate import Estimate
from gradcheck.outcomes.judging import compare
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Kind, Reason, Verdict
from gradcheck.patterns.causes import likely_cause
from gradcheck.pytree import Structure, originals_of, structure_of
from gradcheck.splitmix64 import Stream

METHODS = ("auto", "every-coordinate", "directional")

SEARCHED = 30
"""Forward passes a coordinate, if none is decided at fixed steps: up to 14, and a search."""

DECIDED = 5
"""Forward passes a coordinate, if nearly all are decided at fixed steps."""

ALONG_DIRECTIONS = 100
"""Forward passes an array, along random directions; as many are reserved for the noise of f and
for second opinions."""

TOLERANCE = (
    "if f solves, integrates or samples inside, it differs from what it means by about the "
    "tolerance, and so do its differences; then say so with noise=, and ask for less with "
    "resolution="
)

SLIGHT = 1e-3
"""Of a derivative: a deviation that the tolerance of a solver may explain."""

NOISY = 2**20
"""Roundings of f(x) beyond which its noise is mentioned: a million, or terms that cancel."""

LARGE = 2**15
"""Coordinates from which "auto" takes random directions where nothing else is said: 150,000 forward
passes at least would be needed for all of them."""


class GradientMismatch(AssertionError):  # noqa: N818 - reads as the assertion that failed
    """The gradient did not pass; the message is the whole outcome, `outcome` the value."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


def check_gradient(  # noqa: PLR0913 - three of them, and options that are named
    f: Callable[[Any], Any],
    gradient: Callable[[Any], Any],
    x: Any,
    *,
    method: str = "auto",
    noise: float | None = None,
    budget: int | None = None,
    resolution: float | None = None,
    seed: int = 0,
    bounds: Any = None,
    rounding: Rounding | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Check that `gradient` is the gradient of `f` at x.

    Every coordinate: four or six forward passes decide most coordinates of a right gradient
    (`gradcheck.differences.fixed_steps`). The others are differentiated by 4th-order central
    differences at a step and with an error bound of their own
    (`gradcheck.differences.finite_difference`), at 12 to 40 forward passes each. All are compared
    as `gradcheck.outcomes.judging` describes. A coordinate is accused only if differences at an
    eighth and a 64th of its step accuse it too, and no jump of f is found that explains them.

    Directional: each array of x is tested along random signs, at about 4 forward passes a test,
    and the coordinates that make a deviation are sought by group testing
    (`gradcheck.differences.locate`) and then differentiated on their own. The cost grows with the
    logarithm of the number of coordinates; a PASS holds with a stated probability. x is never
    changed.

    Args:
        f: takes x's structure, returns one real number; or many points at once, if it is marked
            by `gradcheck.batched`.
        gradient: takes x's structure, returns the same structure of derivatives.
        x: a floating-point array of any library, a list of numbers, or a dict, list or tuple of
            such (nested); f and gradient are given a new one of the same kind at every call.
        method: "every-coordinate", "directional", or "auto": every coordinate, unless the budget
            does not suffice for that, or there are 2^15 of them and neither budget nor
            resolution is given.
        noise: the absolute error of one evaluation of f, if you know it; else it is estimated
            (Moré and Wild 2011), which takes some 25 passes, and widened 25 times.
        budget: the most forward passes to spend; what is left undecided makes the outcome
            INCONCLUSIVE.
        resolution: the relative error that must not go unseen; default 1e-6 for float64,
            0.1 for float32, 0.5 for float16 points; along directions, or where a budget chooses
            the method, sqrt(n) times that in arrays of n coordinates, at most 0.5.
        seed: picks the steps, the directions along which the noise is sampled, and with a
            budget the order of the coordinates.
        bounds: (lo, hi), each a number, None for no bound, or arrays like x. Neither f nor gradient
            is called beyond; where x is at a bound, differences are taken on the other side.
        rounding: takes a point like x, returns a bound of the rounding error of f there; a
            coordinate is accused only if differences whose noise is that bound accuse it too.
        progress: called with the number of coordinates just finished.

    Raises:
        TypeError: x is not made of floating-point arrays, or f does not return a real number.
        ValueError: an argument out of its range.

    >>> import numpy as np
    >>> outcome = check_gradient(lambda x: np.sum(np.sin(x)), np.cos, np.array([0.5, 1.0]))
    >>> outcome.verdict.value, outcome.counts["informative"]
    ('PASS', 2)
    >>> wrong = check_gradient(lambda x: np.sum(np.sin(x)), np.sin, np.array([0.5, 1.0]))
    >>> wrong.verdict.value, sorted(d.name for d in wrong.discrepancies)
    ('FAIL', ['x[0]', 'x[1]'])
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is not one of {', '.join(METHODS)}")
    check_options(noise, budget, resolution, seed)
    structure = structure_of(x)
    limits = read_bounds(bounds, x, structure)
    lines = Lines(f, x, budget=budget, seed=seed, bounds=limits)
    lines.reserve = REPEATS
    chosen = _chosen(structure, budget, resolution) if method == "auto" else method
    may_be_along = chosen != "every-coordinate" or (method == "auto" and budget is not None)
    wanted = _asked(structure, may_be_along) if resolution is None else resolution
    layout = Layout("gradient(x)", "the gradient of", structure, originals=originals_of(x))
    test = UnderTest(lines, gradient, layout, structure, np.array([lines.value]))
    if chosen != "every-coordinate" and method == "auto":
        test.notes.append(
            f"auto chose {chosen}: all {structure.size} coordinates may take "
            f"{DECIDED * structure.size} to {SEARCHED * structure.size} forward passes"
        )

    witness = _Witness(
        test,
        directional=chosen == "directional",
        resolution=wanted if resolution is not None else partial(_asked, structure, may_be_along),
        noise=noise,
        stream=Stream(seed, "check"),
        rounding=rounding,
        progress=progress,
    )
    cause = partial(likely_cause, x=lines.origin)
    outcome = examine(test, witness, resolution=wanted, budget=budget, diagnosis=cause)
    if outcome.verdict is not Verdict.PASS:
        advice = _advice(lines, outcome, float(test.noise))
        outcome = replace(outcome, notes=(*outcome.notes, *advice))
    options = {"method": method, "noise": noise, "budget": budget, "resolution": resolution}
    call = "check_gradient(f, gradient, x" + ("" if bounds is None else ", bounds=bounds")
    repeat = repeat_line(call, **options, seed=seed)
    return replace(outcome, forward_passes=lines.forward_passes, repeat=repeat, method=chosen)


def _advice(lines: Lines, outcome: Outcome, noise: float) -> list[str]:
    """Say what would decide more, and what differences make of an f that is short or noisy."""
    if outcome.reason is Reason.BUDGET:
        n = lines.size
        return [
            f"about {DECIDED * n} forward passes decide {n} coordinates of most functions, "
            f"{SEARCHED * n} those of any; with noise= none is spent on estimating it"
        ]
    if lines.is_short_of_jax:
        return [f"f(x) is float32 and x is not{JAX_ADVICE}"]
    size = abs(float(lines.value))
    if NOISY * lines.unit_roundoff * size < noise < size:
        return [
            f"one evaluation of f, {size:.3g}, is taken to be uncertain by {noise:.1g}, more than "
            f"its rounding: {TOLERANCE}"
        ]
    if outcome.discrepancies and all(
        abs(d.deviation) <= SLIGHT * abs(d.oracle) for d in outcome.discrepancies
    ):
        return [f"no coordinate is off by more than {SLIGHT:.0e} of itself: {TOLERANCE}"]
    return []


def _chosen(structure: Structure, budget: int | None, resolution: float | None) -> str:
    """Choose a method: what the budget allows, else what the resolution asks for, else by size.

    More budget must not decide less. So every coordinate is taken where that costs no more than
    directions would, whatever the budget is, or where the budget suffices for the worst.
    """
    n, along = structure.size, ALONG_DIRECTIONS * len(structure.leaves)
    if budget is not None:
        suffices = DECIDED * n <= along or SEARCHED * n + ALONG_DIRECTIONS <= budget
        return "every-coordinate" if suffices else "directional"
    return "directional" if n >= LARGE and resolution is None else "every-coordinate"


def _asked(structure: Structure, may_be_along: bool, shortest: int = 8) -> float:
    """Return what differences reach: along n signs, sqrt(n) times what they do along one axis.

    Where all n coordinates meet in one number, n signs move it sqrt(n) times as far as one does:
    the step is shorter by that factor, and the noise beside one derivative larger. Where the budget
    chooses the method, more of it must not ask for more.
    """
    reached = default_resolution(structure, shortest)
    if not may_be_along:
        return reached
    n = max((leaf.size for leaf in structure.leaves), default=1)
    return float(min(0.5, reached * sqrt(n)))


@dataclass(frozen=True)
class _Witness:
    """Compares a gradient with differences of f, along every axis or along random signs.

    Attributes:
        test: the gradient, and the f that it is of.
        directional: along random signs.
        resolution: the power requirement, or what gives it for the format that f computes in.
        noise, rounding, progress: as in `check_gradient`.
        stream: draws.
    """

    test: UnderTest
    directional: bool
    resolution: float | Callable[[int], float]
    noise: float | None
    stream: Stream
    rounding: Rounding | None
    progress: Callable[[int], None] | None

    def __call__(self, g: FloatArray) -> Comparison:
        lines, structure = self.test.lines, self.test.names
        eps = (
            estimate_noise(lines, self.stream)
            if self.noise is None
            else given_noise(self.noise, lines)
        )
        self.test.noise = eps.bound
        asked = self.resolution
        asked = asked(format_of(lines, eps)) if callable(asked) else asked
        differences = partial(
            differentiate,
            lines,
            eps,
            g,
            names=structure,
            resolution=asked,
            notes=self.test.notes,
            rounding=self.rounding,
            moved=self.test.moved,
        )
        if self.directional:
            return self._screen(eps, g, asked, differences)
        order = None if lines.budget is None else self.stream.permutation(lines.size)
        estimate = differences(coordinates=order, progress=self.progress)
        return compare(structure, g, estimate, resolution=asked)

    def _screen(
        self, eps: Noise, g: FloatArray, resolution: float, differences: Callable[..., Estimate]
    ) -> Comparison:
        """Screen a gradient along random signs; compare what was differentiated on the way."""
        lines, structure = self.test.lines, self.test.names
        known = Estimate.empty(structure.size)
        jumps = True  # until one coordinate has failed in spite of them: f is the same for all

        def confirm(coordinates: IntArray) -> npt.NDArray[np.uint8]:
            nonlocal jumps
            estimate = differences(coordinates=coordinates, suspected=True, jumps=jumps)
            known.put(coordinates, estimate.part(coordinates))
            kind = compare(structure, g, known, resolution=resolution).kind[coordinates]
            jumps = jumps and not bool(np.any(kind == Kind.FAILED))
            return kind

        blocks = locate(lines, eps, g, confirm, self.stream, progress=self.progress)
        for block in blocks:
            self.test.notes.extend(block.story)
            if block.state in (Settled.SCREENED, Settled.OPEN):
                self.test.notes.append(block.told())
        return screened(compare(structure, g, known, resolution=resolution), blocks)


def assert_gradient(
    f: Callable[[Any], Any], gradient: Callable[[Any], Any], x: Any, **options: Any
) -> None:
    """Do nothing if `check_gradient` says PASS; else raise with the whole story.

    Args:
        f: takes x's structure, returns one real number.
        gradient: takes x's structure, returns the same structure of derivatives.
        x: a floating-point array, or a dict, list or tuple of them.
        options: the keyword arguments of `check_gradient`.

    Raises:
        GradientMismatch: the verdict is FAIL or INCONCLUSIVE.

    >>> import numpy as np
    >>> assert_gradient(lambda x: float(x @ x), lambda x: 2 * x, np.array([1.0, -3.0]))
    """
    outcome = check_gradient(f, gradient, x, **options)
    if outcome.verdict is not Verdict.PASS:
        raise GradientMismatch(outcome)
