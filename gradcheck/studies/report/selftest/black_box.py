"""A network as a black box: a loss and a gradient, functions of one flat vector.

    x = (W_1, b_1, W_2, ..., b_L), row by row
    C(x) = s loss(x),   g(x) = s gradient(x),   s a power of two: the scale rounds nothing

Loss and gradient are those of an engine, right or wrong; every checker is given the same two
functions. A planted error makes g_j into (1 + r) g_j, rounded to the dtype of g.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine, EngineInfo
    from gradcheck.problem import Gradient, Problem

Vector = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class BlackBox:
    """An engine on a problem, as functions of one vector.

    Attributes:
        engine: computes loss and gradient.
        problem: the point, and all else that is fixed.
        scale: s.
    """

    engine: Engine
    problem: Problem
    scale: float = 1.0

    @cached_property
    def x(self) -> Vector:
        """The parameters, a read-only vector of N numbers."""
        x: Vector = np.concatenate([a.reshape(-1) for a in self.problem.parameters.values()])
        x.flags.writeable = False
        return x

    def parameters(self, x: Vector) -> dict[str, Vector]:
        """Cut a vector, or a stack of vectors, into the arrays W1, b1, ..."""
        arrays, start = {}, 0
        for name, array in self.problem.parameters.items():
            stop = start + array.size
            arrays[name] = x[..., start:stop].reshape(*x.shape[:-1], *array.shape)
            start = stop
        return arrays

    def loss(self, x: Vector) -> float:
        """Compute C(x)."""
        return self.scale * self.engine.loss(self.problem.with_parameters(self.parameters(x)))

    def losses(self, stacked: Vector) -> Vector:
        """Compute C at many points, for engines that have `losses`; shape (K, N) to (K,)."""
        engine: Any = self.engine
        found: Vector = self.scale * engine.losses(self.problem, self.parameters(stacked))
        return found

    def gradient(self, x: Vector) -> Vector:
        """Compute g(x)."""
        _, layers = self.engine.value_and_grad(self.problem.with_parameters(self.parameters(x)))
        g: Vector = np.concatenate([np.ravel(array) for pair in layers for array in pair])
        scaled: Vector = g * g.dtype.type(self.scale)
        return scaled


class Planted:
    """An engine one of whose derivatives is made wrong.

    Args:
        engine: the right one.
        coordinate: j.
        relative: r.
    """

    def __init__(self, engine: Engine, coordinate: int, relative: float) -> None:
        self.engine, self.coordinate, self.relative = engine, coordinate, relative

    @property
    def info(self) -> EngineInfo:
        """What the right engine says of itself."""
        return self.engine.info

    def loss(self, problem: Problem) -> float:
        """Compute the right loss."""
        return self.engine.loss(problem)

    def losses(self, problem: Problem, stacked: Mapping[str, Vector]) -> Vector:
        """Compute the right losses, if the engine has `losses`."""
        engine: Any = self.engine
        found: Vector = engine.losses(problem, stacked)
        return found

    def value_and_grad(self, problem: Problem) -> tuple[float | None, Gradient]:
        """Compute the right loss and the wrong gradient."""
        value, layers = self.engine.value_and_grad(problem)
        left = self.coordinate
        for array in (array for pair in layers for array in pair):
            if left < array.size:
                flat = array.reshape(-1)
                flat[left] = flat.dtype.type(float(flat[left]) * (1 + self.relative))
                return value, layers
            left -= array.size
        raise IndexError(f"coordinate={self.coordinate} is not one of the gradient's")

    def close(self) -> None:
        """Close the right engine."""
        self.engine.close()
