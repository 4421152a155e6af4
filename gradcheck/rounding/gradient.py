r"""Both sweeps: bounds and deviations of the gradient's rounding error.

Symbols as in the package's text.

**Backward.** delta_L = r / M or r s / M (two roundings for M: 1/M, and the product with it);
delta_{l-1} = (delta_l W_l) s_{l-1}; dC/dW_l = delta_l^T a_{l-1}; dC/db_l = delta_l^T 1. Engines
that divide by M last are covered: two roundings of the result are at most two of every term, and
what underflows before the division is made smaller by it.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.rounding.bounded import Bounded, Deviation, Worst
from gradcheck.rounding.clipped import clipped_residual
from gradcheck.rounding.clipping import require_epsilon
from gradcheck.rounding.floored import floored_residual
from gradcheck.rounding.sigmoid import activation, residual

if TYPE_CHECKING:
    from gradcheck.arrays import Float64Array
    from gradcheck.problem import Problem
    from gradcheck.rounding.bounded import Rounding
    from gradcheck.rounding.sigmoid import Layer


def gradient_bound(
    problem: Problem,
    arithmetic: str = "cancellation_free",
    *,
    clip: float | None = None,
    floor: float | None = None,
) -> Float64Array:
    """Bound the rounding error of every coordinate of the gradient.

    Args:
        problem: of dtype float16, float32 or float64, which is what the engine computes in.
        arithmetic: a name in ARITHMETICS.
        clip: epsilon in (0, 0.5) of the clipped cross-entropy, which engine and exact derivative
            are of; None for the exact loss.
        floor: epsilon in (0, 0.5) that both keep p (1 - p) above where it divides; None for none.

    Returns:
        What |computed - exact derivative| does not exceed, as one vector in the order of
        `problem.parameters`; infinite where nothing is known.

    Raises:
        TypeError: another dtype; an arithmetic that is not text; an epsilon that is not a number.
        ValueError: an unknown arithmetic; an epsilon outside (0, 0.5), or with the quadratic loss.

    >>> from gradcheck.problems.case import Case
    >>> gradient_bound(Case(sizes=(2, 1)).problem()) < 1e-15  # W1[0,0], W1[0,1], b1[0]
    array([ True,  True,  True])
    """
    return Sweep(problem, arithmetic).bound(clip=clip, floor=floor)


class Sweep:
    """Bounds of a problem's loss and gradients in one class: the forward pass is swept once.

    Args:
        problem: as `gradient_bound` takes it.
        arithmetic: likewise.
    """

    def __init__(self, problem: Problem, arithmetic: str) -> None:
        self.problem = problem
        self.rounding = Worst.of(problem, arithmetic)

    @cached_property
    def layers(self) -> list[Layer]:
        """The layers 1..L."""
        with np.errstate(all="ignore"):
            return forward(self.problem, self.rounding)

    def bound(self, *, clip: float | None = None, floor: float | None = None) -> Float64Array:
        """Bound the rounding error of every coordinate, as `gradient_bound`."""
        clip = require_epsilon("clip", clip, self.problem)
        floor = require_epsilon("floor", floor, self.problem)
        return _flat(self.problem, self.layers, self.rounding, clip, floor)


def gradient_deviation(problem: Problem, arithmetic: str = "cancellation_free") -> Float64Array:
    """Estimate the standard deviation of the rounding error of every coordinate of the gradient.

    Squares are taken of scaled numbers, so that none is lost to underflow.

    Args:
        problem: of dtype float16, float32 or float64.
        arithmetic: a name in ARITHMETICS.

    Raises:
        TypeError: another dtype; an arithmetic that is not text.
        ValueError: an unknown arithmetic.
    """
    rounding = Deviation.of(problem, arithmetic)
    with np.errstate(all="ignore"):
        layers = forward(problem, rounding)
    return _flat(problem, layers, rounding)


def forward(problem: Problem, rounding: Rounding) -> list[Layer]:
    """Return the layers 1..L."""
    layers: list[Layer] = []
    a = Bounded.exact(problem.inputs)
    for W, b in zip(problem.weights, problem.biases, strict=True):
        z = rounding.product(a, Bounded.exact(W.T), np.asarray(b, np.float64))
        layers.append(activation(z, rounding))
        a = layers[-1].a
    return layers


def backward(
    problem: Problem,
    layers: list[Layer],
    rounding: Rounding,
    clip: float | None = None,
    floor: float | None = None,
) -> list[Bounded]:
    """Return the blocks dC/dW_1, dC/db_1, dC/dW_2, ..."""
    last, y = layers[-1], np.asarray(problem.targets, np.float64)
    if clip is not None:
        delta = clipped_residual(last, y, clip, rounding)
    elif floor is not None:
        delta = floored_residual(last, y, floor, rounding)
    else:
        delta = residual(last, y, rounding)
    if problem.architecture.loss == "quadratic":
        delta = rounding.times(delta, last.s)
    delta = rounding.scaled(delta)
    blocks = []
    for i in reversed(range(len(layers))):  # layer l = i + 1
        a = layers[i - 1].a if i else Bounded.exact(problem.inputs)
        blocks += [rounding.row_sums(delta.T), rounding.product(delta.T, a)]
        if i:
            back = rounding.product(delta, Bounded.exact(problem.weights[i]))
            delta = rounding.times(back, layers[i - 1].s)
    return blocks[::-1]


def _flat(
    problem: Problem,
    layers: list[Layer],
    rounding: Rounding,
    clip: float | None = None,
    floor: float | None = None,
) -> Float64Array:
    with np.errstate(all="ignore"):  # a bound may be infinite
        blocks = backward(problem, layers, rounding, clip, floor)
        flat = np.concatenate([block.d.ravel() for block in blocks])
    return np.where(np.isfinite(flat), flat, np.inf)
