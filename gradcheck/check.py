"""Checks the gradient of any function by finite differences of that function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.examine import (
    FloatArray,
    Layout,
    UnderTest,
    check_options,
    default_resolution,
    differentiate,
    examine,
    repeat_line,
)
from gradcheck.oracles.known_noise import Rounding
from gradcheck.oracles.lines import Lines
from gradcheck.oracles.noise import estimate_noise, given_noise
from gradcheck.splitmix64 import Stream
from gradcheck.verdict import Comparison, Outcome, Verdict, compare

METHODS = ("auto", "every-coordinate")


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
    rounding: Rounding | None = None,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Check that `gradient` is the gradient of `f` at x, in every coordinate.

    Each derivative is estimated by 4th-order central differences at a step and with an error
    bound of its own (`gradcheck.oracles.finite_difference`), at 10 to 20 forward passes a
    coordinate, and compared as `gradcheck.verdict` describes. A coordinate is accused only if
    differences at an eighth and a 64th of its step accuse it too. x is never changed.

    Args:
        f: takes x's structure, returns one real number.
        gradient: takes x's structure, returns the same structure of derivatives.
        x: a floating-point array, or a dict, list or tuple of them (nested).
        method: "every-coordinate", or "auto", which chooses it.
        noise: the absolute error of one evaluation of f, if you know it; else it is estimated
            (Moré and Wild 2011) and widened 25 times.
        budget: the most forward passes to spend; what is left undecided makes the outcome
            INCONCLUSIVE.
        resolution: the relative error that must not go unseen; default 1e-6 for float64,
            0.1 for float32, 0.5 for float16 points.
        seed: picks the directions along which the noise is sampled, and with a budget the
            order of the coordinates.
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
    >>> wrong.verdict.value, [d.name for d in wrong.discrepancies]
    ('FAIL', ['x[0]', 'x[1]'])
    """
    if method not in METHODS:
        raise ValueError(f"method={method!r} is not one of {', '.join(METHODS)}")
    check_options(noise, budget, resolution, seed)
    lines = Lines(f, x, budget=budget)
    structure = lines.structure
    asked = resolution if resolution is not None else default_resolution(structure)
    stream = Stream(seed, "check")
    layout = Layout("gradient(x)", "the gradient of", structure)
    test = UnderTest(lines, gradient, layout, structure, np.array([lines.value]))

    def witness(g: FloatArray) -> Comparison:
        eps = estimate_noise(lines, stream)
        estimate = differentiate(
            lines,
            eps if noise is None else given_noise(noise, eps),
            g,
            names=structure,
            resolution=asked,
            notes=test.notes,
            coordinates=None if budget is None else stream.permutation(lines.size),
            rounding=rounding,
            progress=progress,
        )
        return compare(structure, g, estimate, resolution=asked)

    outcome = examine(test, witness, resolution=asked, budget=budget)
    options = {"method": method, "noise": noise, "budget": budget, "resolution": resolution}
    repeat = repeat_line("check_gradient(f, gradient, x", **options, seed=seed)
    return replace(outcome, forward_passes=lines.forward_passes, repeat=repeat)


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
