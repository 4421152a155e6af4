"""A vector function and its derivatives, output by output.

Every output F_k is differentiated as a loss of its own, with its own noise, step and bound
(`gradcheck.differences.finite_difference`); evaluations are shared, since one gives all outputs.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradcheck.arrays import FloatArray, IntArray, as_array
from gradcheck.checks.contract import DefectError
from gradcheck.checks.examine import differentiate
from gradcheck.differences.bounds import Bounds
from gradcheck.differences.lines import BudgetSpentError, Lines, Undefined
from gradcheck.differences.noise import STANDARD_DEVIATIONS, Noise, estimate_noise, given_noise
from gradcheck.differences.own_scale import Moved
from gradcheck.outcomes.ending import ENDS_CHECK, EndsCheckError
from gradcheck.outcomes.estimate import Estimate
from gradcheck.outcomes.reasons import Reason
from gradcheck.pytree import Structure, leaves_of
from gradcheck.splitmix64 import Stream

MEMORY = 2**28
"""Bytes of remembered evaluations, about. A block of coordinates that fills them is finished in
all outputs; then they are forgotten."""

POINTS = 40
"""Points a coordinate, about: 15 for one output, more where the outputs differ in step."""

KEY = 200
"""Bytes of a remembered point beside its outputs: a hash, and what the dictionary takes."""

BUDGET_BLOCK = 16
"""Coordinates a block where a budget may end the search: finished ones are finished in all
outputs."""


class ShapeChangedError(EndsCheckError, ValueError):
    """A function whose outputs at one point are not as many as at another."""


class Outputs:
    """A vector function, evaluated once a point and remembered by the bits of the point.

    Attributes:
        evaluations: how often the function was really called.
        first: its value at x as one vector, from `count`.
        reserve: how many evaluations of the budget are kept for `count`.
        undefined: the points away from x where it raised.
    """

    def __init__(self, name: str, F: Callable[[Any], Any], budget: int | None) -> None:
        self._name, self._F, self._budget = name, F, budget
        self.reserve, self.undefined = 0, Undefined()
        self._known: dict[bytes, FloatArray] = {}
        self.evaluations = 0
        self.first: FloatArray = np.empty(0)
        self._shape: tuple[int, ...] | None = None

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the function's value; () before it was first called."""
        return self._shape or ()

    def count(self, x: Any) -> float:
        """Evaluate at x; return the number of outputs. A changed x is for the caller to find."""
        key = _key(x)
        self.reserve = max(self.reserve - 1, 0)
        self.first = self._known[key] = self._evaluate(x)
        return float(self.first.size)

    def __call__(self, x: Any) -> FloatArray:
        """Return the outputs as one vector."""
        key = _key(x)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._evaluated(x)
            if _key(x) != key:
                raise DefectError(Reason.INPUT_CHANGED, f"{self._name} changes its argument")
        return known

    def output(self, k: int) -> Callable[[Any], Any]:
        """Return the function that gives output k alone."""
        return lambda x: self(x)[k]

    def forget(self) -> None:
        """Release the remembered values."""
        self._known.clear()

    def _evaluated(self, x: Any) -> FloatArray:
        """Evaluate away from x: NaN where the function raises."""
        try:
            return self._evaluate(x)
        except Exception as error:
            if isinstance(error, ENDS_CHECK):
                raise
            self.undefined.add(f"{self._name} raised {type(error).__name__}: {error}", "")
            return np.full(self.first.shape, np.nan)

    def _evaluate(self, x: Any) -> FloatArray:
        if self._budget is not None and self.evaluations >= self._budget - self.reserve:
            raise BudgetSpentError
        self.evaluations += 1
        value = np.array(as_array(self._F(x), f"{self._name}(x)"), copy=True, order="C")
        if value.dtype.kind not in "fiu":
            raise TypeError(
                f"{self._name}(x) returned dtype {value.dtype}; it must return real numbers"
            )
        if self._shape not in (None, value.shape):
            raise ShapeChangedError(
                f"{self._name}(x) has shape {value.shape}, but had {self._shape}"
            )
        self._shape = value.shape
        return value.reshape(-1)


@dataclass(frozen=True)
class Columns:
    """All outputs of a function along the axes of a point, each with its own noise and steps.

    Attributes:
        outputs: the function.
        x: the point.
        rows: for every output, the names of its coordinates.
        noise, budget, resolution, seed: as in `check_jacobian`.
        notes: receives what could not be confirmed.
        bounds: what x must never leave, or None.
        moved: gives the numbers under test where x_j is moved: j, t and which output; or None.
    """

    outputs: Outputs
    x: Any
    rows: Sequence[Structure]
    noise: float | None
    budget: int | None
    resolution: float
    seed: int
    notes: list[str]
    bounds: Bounds | None = None
    moved: Callable[[int, float, int], float] | None = None
    _bounds: list[float] = field(default_factory=list)

    def estimate(self, G: FloatArray, rounding: FloatArray | None = None) -> Estimate:
        """Differentiate, output by output.

        Args:
            G: the numbers under test, one row an output.
            rounding: a noise level to be added, one an output.
        """
        if rounding is None:
            rounding = np.zeros(len(G))
        outputs = [self.outputs.output(k) for k in range(len(G))]
        lines = [
            Lines(one, self.x, budget=self.budget, seed=self.seed, bounds=self.bounds)
            for one in outputs
        ]
        noises = [self._noise(*one) for one in zip(lines, rounding, strict=True)]
        self._bounds[:] = [eps.bound for eps in noises]
        estimate = Estimate.empty(G.size)
        for block in self._blocks(G.shape[1]):
            for k, g in enumerate(G):
                part = differentiate(
                    lines[k],
                    noises[k],
                    g,
                    names=self.rows[k],
                    resolution=self.resolution,
                    notes=self.notes,
                    coordinates=block,
                    moved=None if self.moved is None else self._moved_output(self.moved, k),
                )
                estimate.put(k * len(g) + block, part.part(block))
            self.outputs.forget()
        if self.outputs.undefined.count:
            self.notes.append(str(self.outputs.undefined))
        return estimate

    @staticmethod
    def _moved_output(moved: Callable[[int, float, int], float], k: int) -> Moved:
        return lambda j, t: moved(j, t, k)

    def bounds_of_noise(self) -> FloatArray:
        """Return the bound of the noise of each output, once they were differentiated."""
        return np.array(self._bounds)

    def _noise(self, lines: Lines, rounding: float) -> Noise:
        if self.noise is None:
            eps = estimate_noise(lines, Stream(self.seed, "check"))  # the same points for all
        else:
            eps = given_noise(self.noise, lines)
        return replace(
            eps, level=eps.level + rounding, bound=eps.bound + STANDARD_DEVIATIONS * rounding
        )

    def _blocks(self, n: int) -> Iterator[IntArray]:
        """Cut the coordinates into blocks whose evaluations are shared by all outputs."""
        order = np.arange(n)
        size = MEMORY // (POINTS * (KEY + 8 * max(len(self.rows), 1)))
        if self.budget is not None:
            order = Stream(self.seed, "check").permutation(n)
            size = BUDGET_BLOCK
        for start in range(0, n, max(size, 1)):
            yield order[start : start + max(size, 1)]


def _key(x: Any) -> bytes:
    """Hash the bits of a point: 32 bytes, so that no two points will ever share a key."""
    state = hashlib.blake2b(digest_size=32)
    for leaf in leaves_of(x):
        state.update(np.ascontiguousarray(leaf).data)
    return state.digest()
