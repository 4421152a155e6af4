"""What a derivative must do to be compared: its answers, how they are laid out, how it behaves.

It is called three times, at x, nearby and at x again: shape, dtype, finite numbers, arguments
unchanged, an answer of its own, the same answer twice. f is called at the same point just before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Array, FloatArray, as_array, is_of_jax
from gradcheck.differences.lines import BudgetSpentError, Lines
from gradcheck.outcomes.ending import ENDS_CHECK, EndsCheckError
from gradcheck.outcomes.reasons import Reason
from gradcheck.pytree import Leaf, Structure, UnlikeError, arrays_like, originals_of

REPEATS = 2
"""Calls of f just before the derivative, besides the first: what backward uses, forward stores."""

JAX_ADVICE = (
    ": jax computes in float32 unless it is told otherwise; call "
    'jax.config.update("jax_enable_x64", True) first'
)

NEARBY = 16
"""Ulps of x_j to where the derivative is called besides: its answer changes there."""


class UndecidedError(EndsCheckError):
    """Nothing can be known of the derivative at x."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class DefectError(EndsCheckError):
    """A derivative that cannot even be compared."""

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
            if isinstance(error, ENDS_CHECK):
                raise
            self.notes.append(
                f"{self.layout.called} raised {type(error).__name__} {NEARBY} ulps from x, and not "
                f"at x: {error}"
            )
        finally:
            lines.restore()

    def moved(self, coordinate: int, t: float, output: int = 0) -> float:
        """Return the derivative of an output by x_j where x_j is moved by t; NaN if there is none.

        f is called there just before. What is wrong with that answer is no defect: x is elsewhere.
        """
        lines = self.lines
        point = lines.origin.copy()
        point[coordinate] += t
        lines.move_to(point)
        lines.reserve += 1  # what follows takes one
        try:
            lines.again()
            answer = self.layout.vector(self._call())
        except Exception as error:
            if isinstance(error, BudgetSpentError):
                raise
            return float("nan")
        finally:
            lines.restore()
        return float(answer[output * lines.size + coordinate])

    def must_be_a_function(self, again: FloatArray) -> None:
        """Compare what f says at x with what it said at first: noise, or no function of x alone.

        Raises:
            UndecidedError: the difference is more than the noise that was allowed for.
        """
        if self.latest is not None:
            again = self.latest()
        differs = np.flatnonzero(again != self.values)
        if not differs.size:
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
