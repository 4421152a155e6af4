"""The contract of a peer: another gradient checker, asked at its own defaults or as it is named.

    C: a loss, R^N -> R        x: a vector of N numbers        g(x): the gradient that is checked

A black box is known by `loss(x)` and `gradient(x)` alone, numpy functions of one flat vector. Where
a library has an automatic differentiation of its own, the same sigmoid network is written in it
too, so that its timing is fair: `native`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradcheck.engines.installed import Library
from gradcheck.problem import Problem

Vector: TypeAlias = npt.NDArray[Any]
Loss: TypeAlias = Callable[[Vector], float]
GradientFunction: TypeAlias = Callable[[Vector], Vector]
Tick: TypeAlias = Callable[[], object]
Passes: TypeAlias = Callable[[int], object]
"""Makes so many forward passes."""


@dataclass(frozen=True)
class Judgement:
    """What a checker said of one gradient.

    Attributes:
        passed: whether it called the gradient right.
        named: the coordinate of x that it calls wrong (the worst of several), if it names one.
        told: what it said, in its own words, shortened.
    """

    passed: bool
    named: int | None = None
    told: str = ""


Check: TypeAlias = Callable[[], Judgement]


@dataclass(frozen=True)
class Planted:
    """One wrong derivative: dC/dx_j becomes (1 + r) dC/dx_j.

    Attributes:
        coordinate: j, in the order W1, b1, W2, b2, ..., each row by row.
        relative: r.
    """

    coordinate: int
    relative: float

    def factors(self, size: int) -> Vector:
        """Return what the gradient is multiplied by: ones, and 1 + r at coordinate j."""
        factors = np.ones(size)
        factors[self.coordinate] += self.relative
        return factors


@dataclass(frozen=True)
class Peer:
    """A checker that other people use.

    Making one imports no library; `checker` and `native` do, when they are called.

    Attributes:
        name: what it is called in tables and in `gradcheck.studies.peers.registry.PEERS`.
        package: which distribution it is in, and whether that is installed.
        defaults: its settings, the defaults but for those in its name, and the rule it passes by,
            in one sentence.
        every_coordinate: whether it looks at each coordinate, or at a projection of all.
        make: see `checker`.
        make_native: see `native`; None where the library differentiates nothing itself.
        make_forward: see `forward`; there where `make_native` is.
        slow_to_fail: whether it looks at each coordinate once the quick look has failed.
    """

    name: str
    package: Library
    defaults: str
    every_coordinate: bool
    make: Callable[[Loss, GradientFunction, Vector], Check]
    make_native: Callable[[Problem, Tick, Planted | None], Check] | None = None
    make_forward: Callable[[Problem], Passes] | None = None
    slow_to_fail: bool = False

    @property
    def version(self) -> str:
        """The installed version of its library, "" if there is none."""
        return self.package.version

    def checker(self, loss: Loss, gradient: GradientFunction, x: Vector) -> Check:
        """Prepare the check of a black box; calling the result runs it once, at its settings.

        Forward passes are the calls of `loss`: whoever wants them counted hands in a counting one.
        What `loss` or `gradient` raise comes through.

        Args:
            loss: takes a vector like x, returns one number. It may not keep or change it.
            gradient: takes a vector like x, returns a vector of its shape and dtype.
            x: shape (N,), float64 or float32; never changed.

        Raises:
            NotInstalledError: its library is not installed.
            TypeError: x is not a vector of float64 or float32.
        """
        self.package.require()
        if not (isinstance(x, np.ndarray) and x.ndim == 1 and x.dtype.name in DTYPES):
            raise TypeError(f"x={x!r:.80} must be a vector of {' or '.join(DTYPES)}")
        return self.make(loss, gradient, x)

    def native(self, problem: Problem, tick: Tick, wrong: Planted | None = None) -> Check:
        """Prepare the check of a sigmoid network written in the library, by its own gradients.

        Args:
            problem: of dtype float64; cross-entropy or quadratic.
            tick: called once for every forward pass.
            wrong: an error that is planted into the library's gradient.

        Raises:
            NotInstalledError: its library is not installed.
            TypeError: the library has no automatic differentiation of its own.
        """
        self.package.require()
        if self.make_native is None:
            raise TypeError(f"{self.name} differentiates nothing itself: use checker")
        return self.make_native(problem, tick, wrong)

    def forward(self, problem: Problem) -> Passes:
        """Prepare forward passes of the network that `native` checks, as it makes them.

        Raises:
            NotInstalledError: its library is not installed.
            TypeError: the library has no automatic differentiation of its own.
        """
        self.package.require()
        if self.make_forward is None:
            raise TypeError(f"{self.name} differentiates nothing itself: it calls what it is given")
        return self.make_forward(problem)


DTYPES = ("float64", "float32")
"""What x may be made of."""


def like(x: Vector, function: Callable[[Vector], Any]) -> Callable[[Any], Any]:
    """Return the function of vectors in x's dtype: some tools compute in float64 whatever x is."""
    return lambda point: function(np.asarray(point, x.dtype))


def slices(wrong: Planted | None, arrays: Sequence[Vector]) -> list[Vector | None]:
    """Share out a planted error: what each array's gradient is multiplied by, None for 1.

    >>> slices(Planted(2, 0.5), [np.zeros((1, 2)), np.zeros(2)])
    [None, array([1.5, 1. ])]
    """
    if wrong is None:
        return [None] * len(arrays)
    factors = wrong.factors(sum(array.size for array in arrays))
    starts = np.cumsum([array.size for array in arrays])[:-1]
    parts = np.split(factors, starts)
    return [
        part.reshape(array.shape) if (part != 1).any() else None
        for part, array in zip(parts, arrays, strict=True)
    ]


def shortened(error: Exception) -> str:
    """Return the beginning of what a tool said, on one line."""
    return " ".join(str(error).split())[:200]
