"""What every check of a derivative does, whether f returns one number or many.

The derivative under test is called three times, at x, nearby and at x again, and must behave:
shape, dtype, finite numbers, arguments unchanged, an answer of its own, the same answer twice.
Between the calls a witness differentiates f, and asks a second time before it accuses anybody.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import isfinite, prod
from numbers import Integral, Real
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Array, as_array, is_of_jax
from gradcheck.diagnose import likely_mistake
from gradcheck.oracles.finite_difference import (
    Estimate,
    Status,
    finite_difference,
    second_opinions,
)
from gradcheck.oracles.fixed_steps import fixed_step_differences
from gradcheck.oracles.jumps import Jump, jump_near, noise_of_jump
from gradcheck.oracles.known_noise import Rounding, differentiate_again
from gradcheck.oracles.lines import (
    BudgetSpentError,
    InputChangedError,
    IntArray,
    Lines,
    ends_check,
)
from gradcheck.oracles.noise import Noise
from gradcheck.oracles.one_sided import settle_kinks
from gradcheck.outcomes.conventions import conventions
from gradcheck.structure import Leaf, Structure, UnlikeError, arrays_like, originals_of
from gradcheck.verdict import (
    DEFAULT_RESOLUTION,
    Comparison,
    Kind,
    Outcome,
    Reason,
    Verdict,
    compare,
    contested,
    outcome_of,
)

FloatArray = npt.NDArray[np.floating[Any]]
Witness = Callable[[FloatArray], Comparison]


REPEATS = 2
"""Calls of f just before the derivative, besides the first: what backward uses, forward stores."""

JAX_ADVICE = (
    ": jax computes in float32 unless it is told otherwise; call "
    'jax.config.update("jax_enable_x64", True) first'
)

NEARBY = 16
"""Ulps of x_j to where the derivative is called besides: its answer changes there."""


SHOWN = 2**10
"""By so many roundings f must have changed where it is said to have a slope."""

PROBES = 2
"""Coordinates along which jumps of f are looked for."""

ROUNDS = 4
"""How often; each round asks at the larger steps of the one before."""


class UndecidedError(Exception):
    """Nothing can be known of the derivative at x."""

    ends_check = True

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class DefectError(Exception):
    """A derivative that cannot even be compared."""

    ends_check = True

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Layout:
    """How the answer of a derivative becomes one vector.

    Attributes:
        called: the call, for messages: ``gradient(x)``.
        part: what one of its arrays is, for messages: ``the gradient of``.
        structure: that of x.
        outputs: the shape of f(x): every array of the answer has shape outputs + leaf.shape.
        originals: the arrays of x as they came, where they may have labels.
    """

    called: str
    part: str
    structure: Structure
    outputs: tuple[int, ...] = ()
    originals: Sequence[Any] = ()

    def vector(self, answer: Any) -> FloatArray:
        """Copy an answer into a vector, output by output, each in the order of x.

        Raises:
            DefectError: the answer does not have x's arrays, their shapes or their precision.
        """
        arrays = self._arrays(answer)
        rows, sizes = prod(self.outputs), [leaf.size for leaf in self.structure.leaves]
        parts = [a.reshape(rows, size) for a, size in zip(arrays, sizes, strict=True)]
        return np.concatenate(parts, axis=1).reshape(-1) if parts else np.empty(0)

    def _arrays(self, answer: Any) -> list[Array]:
        """Return the answer's arrays in the order of x, each held to its shape and precision."""
        if answer is None:
            raise DefectError(Reason.DTYPE, f"{self.called} is None: is a return missing?")
        try:
            given = arrays_like(self.structure.tree, answer, self.called)
        except UnlikeError as error:
            raise DefectError(Reason.SHAPE, str(error)) from None
        return [self._array(self.structure.leaves[i], self._in_order(i, part)) for i, part in given]

    def _in_order(self, i: int, part: Any) -> Any:
        """Put labelled numbers (of pandas) in the order that x has them in."""
        x: Any = self.originals[i] if self.originals else None
        if not (hasattr(part, "reindex_like") and hasattr(x, "reindex_like")):
            return part
        if sorted(map(str, part.index)) != sorted(map(str, x.index)):
            told = f"has the labels {list(part.index)}, but x has {list(x.index)}"
            raise DefectError(Reason.SHAPE, f"{self.part} {self.structure.leaves[i].name} {told}")
        return part.reindex_like(x)

    def _array(self, leaf: Leaf, part: Any) -> Array:
        shape = self.outputs + leaf.shape
        if part is None:  # "does not depend on it", as autograd libraries say
            return np.zeros(shape, dtype=leaf.dtype)
        what = f"{self.part} {leaf.name}"
        try:
            array = as_array(part, what)
            if isinstance(part, tuple) and array.shape == (1, *shape):  # as torch.autograd.grad's
                array = array[0]
        except TypeError as error:
            raise DefectError(Reason.DTYPE, str(error)) from None
        if array.shape != shape:
            turned = array.shape == shape[::-1] and len(shape) > 1
            told = f"{what} has shape {array.shape}, but must have {shape}"
            told += ": is it transposed?" if turned else ""
            raise DefectError(Reason.SHAPE, told)
        if array.dtype.kind in "iu":  # whole numbers are derivatives, too: of x.sum(), say
            array = array.astype(leaf.dtype)
        if array.dtype.kind != "f":
            told = f"{what} has dtype {array.dtype}; a derivative is made of real numbers"
            raise DefectError(Reason.DTYPE, told)
        if np.finfo(array.dtype).eps > np.finfo(leaf.dtype).eps:
            told = f"{what} is {array.dtype}, less precise than its {leaf.dtype}"
            raise DefectError(Reason.DTYPE, told + (JAX_ADVICE if is_of_jax(part) else ""))
        return array


@dataclass
class UnderTest:
    """A derivative under test, and what was seen of it.

    Attributes:
        lines: holds the private point that the derivative is called at.
        derivative: takes that point.
        layout: how its answer becomes a vector.
        names: one for each number of that vector.
        values: the outputs at x of the function that is differentiated.
        black_box: what that function is called in messages.
        backward_passes: how often the derivative was called.
        notes: what was seen besides.
        latest: the outputs of the last evaluation, where f returns more than one number.
        noise: the bound of the noise of each output, from the witness.
        may_overflow: where a number that is not finite proves nothing; default: nowhere.
    """

    lines: Lines
    derivative: Callable[[Any], Any]
    layout: Layout
    names: Structure
    values: FloatArray
    black_box: str = "f"
    backward_passes: int = 0
    notes: list[str] = field(default_factory=list)
    latest: Callable[[], FloatArray] | None = None
    noise: FloatArray | float = 0.0
    may_overflow: npt.NDArray[np.bool_] | None = None

    @property
    def _name(self) -> str:
        return self.layout.called.partition("(")[0]

    def first_answer(self) -> FloatArray:
        """Call the derivative at x, then nearby: an answer that changes afterwards is a view."""
        self._must_be_unchanged(self.black_box)
        bad = self.values[~np.isfinite(self.values)]
        if bad.size:
            told = f"{self.black_box}(x) is {bad[0]}"
            if self.values.size > 1:
                told = f"{bad.size} of {self.values.size} outputs of {told}"
            told = f"{told}: there is no derivative to compare with"
            raise UndecidedError(Reason.DOMAIN, told)
        answer, g = self._ask()
        self._call_nearby()
        if not np.array_equal(self.layout.vector(answer), g, equal_nan=True):
            raise DefectError(
                Reason.ALIASED,
                f"the next call of {self._name} overwrites the answer of the one before; "
                "return a new array",
            )
        return g

    def _call_nearby(self) -> None:
        """Call f and the derivative a few ulps away; an exception there is noted and no more."""
        lines = self.lines
        lines.move_to(lines.nearby(NEARBY))
        try:
            lines.again()
            self._call()
        except Exception as error:
            if ends_check(error):
                raise
            self.notes.append(
                f"{self.layout.called} raised {type(error).__name__} {NEARBY} ulps from x, and not "
                f"at x: {error}"
            )
        finally:
            lines.restore()

    def must_be_a_function(self, again: FloatArray) -> None:
        """Compare what f says at x with what it said at first: noise, or no function of x alone.

        Raises:
            UndecidedError: the difference is more than the noise that was allowed for.
        """
        if self.latest is not None:
            again = self.latest()
        differs = np.flatnonzero(again != self.values)
        if not differs.size or again.shape != self.values.shape:
            return
        k, f = int(differs[0]), self.black_box
        told = (
            f"{f}(x) is {self.values[k]:.17g}, then {again[k]:.17g} at the same x: {f} is random "
            "or keeps state"
        )
        if np.all(np.abs(again - self.values) <= self.noise):
            self.notes.append(f"{told}; that counts as noise (fix its seed for a sharper check)")
            return
        raise UndecidedError(
            Reason.NOISE,
            f"{told}, and its differences say nothing of its gradient; fix its seed, or reset what "
            "it keeps, inside of it; or pass noise=, the absolute error of one evaluation",
        )

    def must_repeat(self, g: FloatArray, allowance: FloatArray) -> None:
        """Call the derivative again, after f was last evaluated elsewhere and once more at x."""
        self.must_be_a_function(np.array([self.lines.again()]))
        _, again = self._ask()
        differs = np.flatnonzero((again != g) & ~(np.isnan(again) & np.isnan(g)))
        if not differs.size:
            return
        beyond = differs[~(np.abs(again - g)[differs] <= allowance[differs])]
        j = int(beyond[0]) if beyond.size else int(differs[0])
        told = f"{self.names.name(j)} is {g[j]:.17g}, then {again[j]:.17g}"
        if beyond.size:
            raise DefectError(
                Reason.NONDETERMINISTIC,
                f"two calls of {self._name} with the same arguments differ: {told}",
            )
        self.notes.append(f"two calls of {self._name} differ within the allowance: {told}")

    def _call(self) -> Any:
        self.backward_passes += 1
        return self.derivative(self.lines.hand_out())

    def _ask(self) -> tuple[Any, FloatArray]:
        answer = self._call()
        self._must_be_unchanged(self._name)
        g = self.layout.vector(answer)
        answers = [as_array(part, "") for part in originals_of(answer) if part is not None]
        mines = self.lines.given_arrays()
        for leaf, mine in zip(self.lines.structure.leaves, mines, strict=True):
            if any(np.shares_memory(theirs, mine) for theirs in answers):
                raise DefectError(
                    Reason.ALIASED,
                    f"{self.layout.called} returns a view of {leaf.name}: whoever steps "
                    f"{leaf.name} changes the answer; return a copy",
                )
        excused = False if self.may_overflow is None else self.may_overflow
        bad = np.flatnonzero(~np.isfinite(g) & ~np.asarray(excused))
        if bad.size:
            name = self.names.name(int(bad[0]))
            raise DefectError(
                Reason.NONFINITE,
                f"{bad.size} of {g.size} coordinates are not finite; {name} is {g[bad[0]]}",
            )
        return answer, g

    def _must_be_unchanged(self, who: str) -> None:
        leaf = self.lines.changed_leaf()
        if leaf is not None:
            raise DefectError(Reason.INPUT_CHANGED, f"{who} changes its argument: {leaf}")


def examine(
    test: UnderTest,
    witness: Witness,
    *,
    resolution: float,
    budget: int | None,
    diagnosis: Callable[[Comparison], str] = likely_mistake,
) -> Outcome:
    """Hold a derivative to its manners and to the witness.

    Args:
        test: the derivative.
        witness: turns the derivative's numbers into a comparison with differences of f.
        resolution: the power requirement, for outcomes without a comparison.
        budget: the most forward passes, for the message.
        diagnosis: names the likely mistake.
    """
    try:
        g = test.first_answer()
        comparison = witness(g)
        test.must_repeat(g, comparison.allowance)
        outcome = outcome_of(comparison, diagnosis=diagnosis(comparison))
        test.notes.extend(conventions(comparison))
    except DefectError as defect:
        outcome = Outcome(Verdict.FAIL, defect.reason, defect.detail, resolution=resolution)
    except UndecidedError as error:
        told = str(error)
        outcome = Outcome(Verdict.INCONCLUSIVE, error.reason, told, resolution=resolution)
    except BudgetSpentError:
        detail = f"budget={budget} forward passes were spent before any coordinate was compared"
        outcome = Outcome(Verdict.INCONCLUSIVE, Reason.BUDGET, detail, resolution=resolution)
    if test.lines.undefined.count:
        test.notes.append(str(test.lines.undefined))
    return replace(outcome, backward_passes=test.backward_passes, notes=tuple(test.notes))


def differentiate(  # noqa: PLR0913 - options that are named
    lines: Lines,
    eps: Noise,
    g: FloatArray,
    *,
    names: Structure,
    resolution: float,
    notes: list[str],
    coordinates: IntArray | None = None,
    rounding: Rounding | None = None,
    progress: Callable[[int], None] | None = None,
    suspected: bool = False,
) -> Estimate:
    """Differentiate f along its axes; ask again, at smaller steps, where g would be accused.

    Args:
        lines: the black box.
        eps: its noise.
        g: the numbers under test.
        names: what the coordinates are called.
        resolution: the power requirement.
        notes: receives what could not be confirmed.
        coordinates: which, in the order they are to be evaluated; default: all.
        rounding: bounds the rounding error of f at a point; asked before anybody is accused.
        progress: called with the number of coordinates just finished.
        suspected: whether something else speaks against these coordinates: fixed steps do not
            decide them.

    Returns:
        An estimate in which a coordinate contradicts g only if every opinion does; one on which
        the opinions differ has no step (NO_STEP), so that it can neither pass nor fail.
    """
    try:
        estimate = (
            finite_difference(lines, eps, coordinates=coordinates, progress=progress)
            if suspected
            else _estimate(lines, eps, g, coordinates, resolution, progress)
        )
        if rounding is None:
            eps = _with_jumps(lines, eps, g, estimate, names, resolution, notes)
        settle_kinks(lines, eps, estimate)
    except InputChangedError as error:
        raise DefectError(Reason.INPUT_CHANGED, f"f changes its argument at {error}") from None
    comparison = compare(names, g, estimate, resolution=resolution)
    is_kink = estimate.status == Status.INTERVAL  # which three steps on each side have settled
    failed = np.flatnonzero((comparison.kind == Kind.FAILED) & ~is_kink)
    if not failed.size:
        return estimate
    try:
        opinions = second_opinions(lines, eps, failed, estimate.step[failed])
    except BudgetSpentError:
        estimate.status[failed] = Status.NOT_EVALUATED
        notes.append(
            f"{comparison.first_of(Kind.FAILED)} looks wrong, but the budget is spent "
            "before that could be confirmed"
        )
        return estimate
    undecided = contested(comparison, failed, opinions)
    estimate.status[undecided] = Status.NO_STEP
    if undecided.size:
        notes.append(
            f"{undecided.size} coordinates, {names.name(int(undecided[0]))} first, contradict the "
            "differences at one step and not at a smaller one: neither wrong nor right"
        )
    accused = np.setdiff1d(failed, undecided)
    with suppress(BudgetSpentError):
        stairs = _constant_near(lines, estimate, accused[g[accused] == 0])
        estimate.status[stairs] = Status.STAIRS
        accused = np.setdiff1d(accused, stairs)
        if stairs.size:
            notes.append(
                f"f is a staircase along {stairs.size} coordinates, {names.name(int(stairs[0]))} "
                "first: it has the same bits nearer to x than its differences would have it"
            )
    if rounding is not None and accused.size:
        estimate.put(accused, differentiate_again(lines, eps, rounding, accused))
    return estimate


def _estimate(
    lines: Lines,
    eps: Noise,
    g: FloatArray,
    coordinates: IntArray | None,
    resolution: float,
    progress: Callable[[int], None] | None,
) -> Estimate:
    """Differentiate at fixed steps, and by a search where these do not decide."""
    wanted = np.arange(lines.size) if coordinates is None else coordinates
    quick = fixed_step_differences(lines, eps, g, wanted, resolution=resolution)
    is_decided = quick.status[wanted] == Status.RESOLVED
    if progress is not None and is_decided.any():
        progress(int(is_decided.sum()))
    rest = wanted[~is_decided]
    if not rest.size:
        return quick
    estimate = finite_difference(lines, eps, coordinates=rest, progress=progress)
    estimate.evaluations[rest] += quick.evaluations[rest]
    decided = wanted[is_decided]
    estimate.put(decided, quick.part(decided))
    return estimate


def _with_jumps(
    lines: Lines,
    eps: Noise,
    g: FloatArray,
    estimate: Estimate,
    names: Structure,
    resolution: float,
    notes: list[str],
) -> Noise:
    """Look for jumps of f where g would be accused or no step was found; differentiate again.

    The coordinates asked are few, as the noise of f is much the same along all axes.
    """
    with suppress(BudgetSpentError):  # too little is left for second opinions then
        stairs: list[tuple[int, Jump]] = []
        for _ in range(ROUNDS):
            kind = compare(names, g, estimate, resolution=resolution).kind
            flat = (kind == Kind.VACUOUS) & (estimate.value == 0) & (estimate.reach == 0)
            doubtful = np.flatnonzero((kind == Kind.FAILED) | (kind == Kind.NOISY) | flat)
            doubtful = doubtful[np.isfinite(estimate.value[doubtful])]
            if not doubtful.size:
                break
            asked = doubtful[np.unique(np.linspace(0, len(doubtful) - 1, PROBES).astype(int))]
            found = [jump_near(lines, eps, j, float(estimate.step[j])) for j in asked.tolist()]
            largest = max(jump.size for jump in found)
            if not largest > eps.bound:
                break
            pairs = zip(asked.tolist(), found, strict=True)
            stairs += [(j, jump) for j, jump in pairs if jump.flat]
            eps = noise_of_jump(eps, largest)
            again = finite_difference(lines, eps, coordinates=doubtful)
            estimate.put(doubtful, again.part(doubtful))
        kind = compare(names, g, estimate, resolution=resolution).kind
        for j, jump in stairs:
            if kind[j] in (Kind.FAILED, Kind.NOISY, Kind.VACUOUS):
                estimate.status[j] = Status.STAIRS
                notes.append(_told_stairs(names.name(j), jump))
    return eps


def _constant_near(lines: Lines, estimate: Estimate, zero: IntArray) -> IntArray:
    """Return where f has the bits of f(x) at a t at which D t is SHOWN roundings of f(x).

    Differences D of an f that is rounded, or read off a table, agree with each other over many of
    its stairs; a gradient that is 0 is right on each of them.

    Args:
        lines: the black box at x.
        estimate: its differences.
        zero: the coordinates at which the derivative under test is 0, and D is not.
    """
    ulps = 32 * lines.machine_epsilon[zero] * np.abs(lines.origin[zero])
    rise = SHOWN * lines.unit_roundoff * abs(float(lines.value))
    t = np.maximum(rise / np.abs(estimate.value[zero]), ulps)
    has_room = t <= lines.room(zero)
    zero, t = zero[has_room], t[has_room]
    for side in (1, -1):
        same = lines.along_axes(zero, side * t)[0] == 0
        zero, t = zero[same], t[same]
    return zero


def _told_stairs(name: str, jump: Jump) -> str:
    return (
        f"f is a staircase along {name}: it has the same bits up to {jump.at:.2g} from x, where it "
        f"jumps by {jump.size:.2g}; differences of it say nothing of a gradient"
    )


def default_resolution(structure: Structure, shortest: int = 8) -> float:
    """Return what finite differences reach in the precision of the least precise array.

    Args:
        structure: that of x.
        shortest: the item size of the format that f is computed in, if that is shorter.
    """
    smallest = min((leaf.dtype.itemsize for leaf in structure.leaves), default=8)
    return DEFAULT_RESOLUTION[min(smallest, shortest, 8)]


def format_of(lines: Lines, eps: Noise) -> int:
    """Return the item size of the format that f is computed in, as its values and noise show.

    Short values alone do not show it: they may be whole numbers. Their noise must be that of the
    format, too: a quarter of its unit roundoff u to 2^6 of it.
    """
    for dtype in (np.float16, np.float32):
        u = float(np.finfo(dtype).eps) / 2
        size = max(abs(float(lines.value)), eps.scale)
        is_short = lines.value_bytes <= np.dtype(dtype).itemsize
        if is_short and u * size / 4 <= eps.level <= 2**6 * u * size:
            return np.dtype(dtype).itemsize
    return 8


def check_options(
    noise: float | None, budget: int | None, resolution: float | None, seed: int
) -> None:
    """Raise ValueError for a number out of its range."""
    if not (_is_whole(seed) and seed >= 0):
        raise ValueError(f"seed={seed!r} must be a whole number, at least 0")
    if noise is not None and not (_is_real(noise) and isfinite(noise) and noise > 0):
        raise ValueError(f"noise={noise!r} must be a finite number above 0")
    if budget is not None and not (_is_whole(budget) and budget >= 1):
        raise ValueError(f"budget={budget!r} must be at least 1 forward pass, and a whole number")
    if resolution is not None and not (_is_real(resolution) and 0 < resolution < 1):
        raise ValueError(f"resolution={resolution!r} must be between 0 and 1")


def _is_real(number: Any) -> bool:
    return isinstance(number, Real)


def _is_whole(number: Any) -> bool:
    return isinstance(number, Integral) and not isinstance(number, bool)


def repeat_line(call: str, **options: Any) -> str:
    """Return the line that repeats a check; options that are None are left out.

    >>> repeat_line("check_gradient(f, gradient, x", noise=None, seed=3)
    'gradcheck.check_gradient(f, gradient, x, seed=3)'
    """
    extra = "".join(f", {name}={value!r}" for name, value in options.items() if value is not None)
    return f"gradcheck.{call}{extra})"
