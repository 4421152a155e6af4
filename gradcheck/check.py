"""Checks the gradient of any function by finite differences of that function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.diagnose import likely_mistake
from gradcheck.oracles.finite_difference import (
    Estimate,
    Status,
    finite_difference,
    second_opinions,
)
from gradcheck.oracles.lines import BudgetSpentError, InputChangedError, Lines
from gradcheck.oracles.noise import Noise, estimate_noise, given_noise
from gradcheck.structure import Structure, leaves_of, structure_of
from gradcheck.verdict import (
    DEFAULT_RESOLUTION,
    Comparison,
    Kind,
    Outcome,
    Reason,
    Verdict,
    compare,
    outcome_of,
    reconcile,
)

METHODS = ("auto", "every-coordinate")

FloatArray = npt.NDArray[np.floating[Any]]


class GradientMismatch(AssertionError):  # noqa: N818 - reads as the assertion that failed
    """The gradient did not pass; the message is the whole outcome, `outcome` the value."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


class _DefectError(Exception):
    """A gradient that cannot even be compared."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


def check_gradient(
    f: Callable[[Any], Any],
    gradient: Callable[[Any], Any],
    x: Any,
    *,
    method: str = "auto",
    noise: float | None = None,
    budget: int | None = None,
    resolution: float | None = None,
    seed: int = 0,
    progress: Callable[[int], None] | None = None,
) -> Outcome:
    """Check that `gradient` is the gradient of `f` at x, in every coordinate.

    Each derivative is estimated by 4th-order central differences at a step and with an error
    bound of its own (`gradcheck.oracles.finite_difference`), at about 15 forward passes a
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
    _validate(method, noise, budget, resolution)
    lines = Lines(f, x, budget=budget)
    check = _Check(lines, gradient, np.random.default_rng(seed))
    asked = resolution if resolution is not None else _default_resolution(lines.structure)
    repeat = _repeat_line(method, noise, budget, resolution, seed)
    try:
        outcome = check.run(noise, asked, progress)
    except _DefectError as defect:
        outcome = Outcome(Verdict.FAIL, defect.reason, defect.detail, resolution=asked)
    except BudgetSpentError:
        detail = f"budget={budget} forward passes were spent before any coordinate was compared"
        outcome = Outcome(Verdict.INCONCLUSIVE, Reason.BUDGET, detail, resolution=asked)
    return replace(
        outcome,
        forward_passes=lines.forward_passes,
        backward_passes=check.backward_passes,
        notes=tuple(check.notes),
        repeat=repeat,
    )


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


@dataclass
class _Check:
    """One check: the black box, the gradient under test, and what was seen on the way."""

    lines: Lines
    gradient: Callable[[Any], Any]
    generator: np.random.Generator

    def __post_init__(self) -> None:
        self.backward_passes = 0
        self.notes: list[str] = []

    def run(
        self, noise: float | None, resolution: float, progress: Callable[[int], None] | None
    ) -> Outcome:
        lines = self.lines
        self._must_be_unchanged("f")
        if not isfinite(lines.value):
            raise _DefectError(Reason.NONFINITE, f"f(x) is {lines.value}: it has no gradient")
        g = self._first_gradient()
        eps = estimate_noise(lines, self.generator)
        if noise is not None:
            eps = given_noise(noise, eps)
        order = None if lines.budget is None else self.generator.permutation(lines.size)
        try:
            estimate = finite_difference(lines, eps, coordinates=order, progress=progress)
        except InputChangedError as error:
            raise _DefectError(Reason.INPUT_CHANGED, f"f changes its argument at {error}") from None
        comparison = self._confirm(
            compare(lines.structure, g, estimate, resolution=resolution), estimate, eps
        )
        self._must_be_repeatable(g, comparison)
        return outcome_of(comparison, diagnosis=likely_mistake(comparison))

    def _first_gradient(self) -> FloatArray:
        """Call the gradient at x, then nearby: an answer that changes afterwards is a view."""
        answer, g = self._call_gradient()
        lines = self.lines
        lines.move_to(lines.origin * (1 + 2.0**-6))
        try:
            self._call(lines.point)
        finally:
            lines.restore()
        if not np.array_equal(_vector(answer, lines.structure), g):
            raise _DefectError(
                Reason.ALIASED,
                "the next call of gradient overwrites the answer of the one before; "
                "return a new array",
            )
        return g

    def _call(self, point: Any) -> Any:
        self.backward_passes += 1
        return self.gradient(point)

    def _call_gradient(self) -> tuple[Any, FloatArray]:
        answer = self._call(self.lines.point)
        self._must_be_unchanged("gradient")
        g = _vector(answer, self.lines.structure)
        for leaf in leaves_of(answer):
            if any(np.shares_memory(leaf, mine) for mine in leaves_of(self.lines.point)):
                raise _DefectError(
                    Reason.ALIASED,
                    "gradient(x) returns a view of x: whoever steps x changes the gradient; "
                    "return a copy",
                )
        bad = np.flatnonzero(~np.isfinite(g))
        if bad.size:
            name = self.lines.structure.name(int(bad[0]))
            raise _DefectError(
                Reason.NONFINITE,
                f"{bad.size} of {g.size} coordinates are not finite; {name} is {g[bad[0]]}",
            )
        return answer, g

    def _confirm(self, comparison: Comparison, estimate: Estimate, eps: Noise) -> Comparison:
        """Ask for second opinions on the failed coordinates; clear those not accused by all."""
        failed = np.flatnonzero(comparison.kind == Kind.FAILED)
        if not failed.size:
            return comparison
        try:
            opinions = second_opinions(self.lines, eps, failed, estimate.step[failed])
        except BudgetSpentError:
            estimate.status[failed] = Status.NOT_EVALUATED
            self.notes.append(
                f"{comparison.first_of(Kind.FAILED)} looks wrong, but the budget is spent "
                "before that could be confirmed"
            )
        else:
            for j, (value, bound) in reconcile(comparison, opinions).items():
                estimate.value[j], estimate.bound[j] = value, bound
        return compare(
            comparison.structure, comparison.engine, estimate, resolution=comparison.resolution
        )

    def _must_be_repeatable(self, g: FloatArray, comparison: Comparison) -> None:
        """Call the gradient again, after f was last evaluated elsewhere."""
        _, again = self._call_gradient()
        differs = np.flatnonzero(again != g)
        if not differs.size:
            return
        beyond = differs[~(np.abs(again - g)[differs] <= comparison.allowance[differs])]
        j = int(beyond[0]) if beyond.size else int(differs[0])
        name = comparison.structure.name(j)
        told = f"{name} is {g[j]:.17g}, then {again[j]:.17g}"
        if beyond.size:
            raise _DefectError(
                Reason.NONDETERMINISTIC, f"two calls of gradient at the same x differ: {told}"
            )
        self.notes.append(f"two calls of gradient differ within the allowance: {told}")

    def _must_be_unchanged(self, who: str) -> None:
        leaf = self.lines.changed_leaf()
        if leaf is not None:
            self.lines.restore()
            raise _DefectError(Reason.INPUT_CHANGED, f"{who} changes its argument: {leaf}")


def _vector(answer: Any, structure: Structure) -> FloatArray:
    """Lay a gradient out as one vector in the order of x, or say why that cannot be done."""
    try:
        given = structure_of(answer)
    except TypeError as error:
        raise _DefectError(Reason.DTYPE, f"gradient(x): {error}") from None
    leaves = {leaf.name: array for leaf, array in zip(given.leaves, leaves_of(answer), strict=True)}
    names = [leaf.name for leaf in structure.leaves]
    if sorted(leaves) != sorted(names):
        raise _DefectError(
            Reason.SHAPE, f"gradient(x) has arrays {sorted(leaves)}, but x has {sorted(names)}"
        )
    for leaf in structure.leaves:
        array = leaves[leaf.name]
        if array.shape != leaf.shape:
            raise _DefectError(
                Reason.SHAPE,
                f"the gradient of {leaf.name} has shape {array.shape}, but must have {leaf.shape}",
            )
        if np.finfo(array.dtype).eps > np.finfo(leaf.dtype).eps:
            raise _DefectError(
                Reason.DTYPE,
                f"the gradient of {leaf.name} is {array.dtype}, less precise than its {leaf.dtype}",
            )
    parts = [leaves[name].reshape(-1) for name in names]
    return np.concatenate(parts).copy() if parts else np.empty(0)


def _default_resolution(structure: Structure) -> float:
    smallest = min((leaf.dtype.itemsize for leaf in structure.leaves), default=8)
    return DEFAULT_RESOLUTION[min(smallest, 8)]


def _validate(
    method: str, noise: float | None, budget: int | None, resolution: float | None
) -> None:
    if method not in METHODS:
        raise ValueError(f"method={method!r} is not one of {', '.join(METHODS)}")
    if noise is not None and not (isfinite(noise) and noise > 0):
        raise ValueError(f"noise={noise!r} must be a finite number above 0")
    if budget is not None and not budget >= 1:
        raise ValueError(f"budget={budget!r} must be at least 1 forward pass")
    if resolution is not None and not 0 < resolution < 1:
        raise ValueError(f"resolution={resolution!r} must be between 0 and 1")


def _repeat_line(
    method: str, noise: float | None, budget: int | None, resolution: float | None, seed: int
) -> str:
    given = {"noise": noise, "budget": budget, "resolution": resolution}
    extra = "".join(f", {name}={value!r}" for name, value in given.items() if value is not None)
    return f"gradcheck.check_gradient(f, gradient, x, method={method!r}{extra}, seed={seed})"
