r"""Derivatives of a problem's loss that neither backpropagation nor subtraction enters.

Symbols: f(x) the loss along one coordinate, continued analytically to complex x.

**Complex step** (Squire and Trapp 1998, SIAM Rev. 40, 110-112): no subtraction, no cancellation,

    f'(x) = Im f(x + i h) / h + O(h^2).

h = 2^-40: h^2 is below the rounding of float64, and derivatives down to 1e-284 keep digits that
are lost with a smaller h.

**Cauchy's formula** (Lyness and Moler 1967, SIAM J. Numer. Anal. 4, 202-210), by the trapezoidal
rule at n points of a circle of radius r:

    f^(k)(x) = k! / (n r^k) sum_j f(x + r e^(i t_j)) e^(-i k t_j) + O(r^n),   t_j = 2 pi j / n.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.problem import Problem
from reference_models import sigmoid_network

STEP = 2.0**-40
POINTS = 32

FloatArray = npt.NDArray[np.float64]


class ComplexLoss:
    """A problem's loss as a function of one complex coordinate, at the problem's exact bits.

    Args:
        problem: of float32 or float64; its numbers are exact in complex128.
    """

    def __init__(self, problem: Problem) -> None:
        network = problem.architecture
        self._options: dict[str, Any] = {
            "cost": network.loss,
            "reduction": network.reduction,
            "out": sigmoid_network.Workspace(network.sizes, problem.batch, np.complex128),
        }
        self._X = problem.inputs.astype(np.complex128)
        self._Y = problem.targets.astype(np.complex128)
        self._parameters = [
            (W.astype(np.complex128), b.astype(np.complex128))
            for W, b in zip(problem.weights, problem.biases, strict=True)
        ]
        self._flat = [array.reshape(-1) for pair in self._parameters for array in pair]
        self._starts = np.cumsum([0, *(len(flat) for flat in self._flat)])

    @property
    def size(self) -> int:
        """How many coordinates there are."""
        return int(self._starts[-1])

    def __call__(self, coordinate: int, displacement: complex) -> complex:
        """Return f(x_j + displacement)."""
        block = int(np.searchsorted(self._starts, coordinate, side="right")) - 1
        flat, k = self._flat[block], coordinate - int(self._starts[block])
        saved = flat[k]
        flat[k] = saved + displacement
        try:
            value = sigmoid_network.loss(self._parameters, self._X, self._Y, **self._options)
        finally:
            flat[k] = saved
        return complex(value)


def complex_step(problem: Problem, coordinates: Iterable[int] | None = None) -> FloatArray:
    """Return f' in the given coordinates, or in all."""
    f = ComplexLoss(problem)
    wanted = range(f.size) if coordinates is None else coordinates
    return np.array([f(j, 1j * STEP).imag / STEP for j in wanted])


def cauchy_derivatives(
    problem: Problem, coordinates: Iterable[int], orders: Iterable[int], *, radius: float
) -> dict[int, FloatArray]:
    """Return f^(k), for each order k an array with one entry a coordinate.

    Args:
        problem: whose loss.
        coordinates: which.
        orders: the k, each below `POINTS`.
        radius: r; the loss must be analytic well beyond it.
    """
    f = ComplexLoss(problem)
    circle = np.exp(2j * np.pi * np.arange(POINTS) / POINTS)
    values = np.array([[f(j, complex(radius * w)) for w in circle] for j in coordinates])
    return {
        k: np.real(values @ circle ** (-k)) * factorial(k) / (POINTS * radius**k) for k in orders
    }
