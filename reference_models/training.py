"""Gradient descent on the whole set and on mini-batches.

Symbols: theta parameters, lambda learning rate, C loss:

    theta <- theta - lambda dC/dtheta

(Cauchy 1847; in batches Robbins and Monro 1951, Nielsen 2015, chapter 1.) Parameters and gradients
are lists of pairs (W, b) as in `sigmoid_network`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable

    from reference_models.edges import Parameters

Array = npt.NDArray[Any]
Gradient = list[tuple[Array, Array]]


@dataclass(frozen=True)
class Record:
    """Loss and Euclidean norm of the gradient at every step, taken before the step is made."""

    losses: tuple[float, ...]
    gradient_norms: tuple[float, ...]


def gradient_descent(
    value_and_grad: Callable[[Gradient], tuple[Any, Gradient]],
    parameters: Parameters,
    *,
    learning_rate: float,
    iterations: int,
) -> tuple[Gradient, Record]:
    """Step down the gradient of the loss over the whole set.

    Args:
        value_and_grad: parameters -> (loss, gradient).
        parameters: where to start; never changed.
        learning_rate: lambda, positive.
        iterations: number of steps.

    Returns:
        The final parameters and the record of the steps.

    Raises:
        ValueError: a learning rate that is not positive, a negative number of steps.

    >>> def bowl(parameters):  # C = (w^2 + b^2) / 2
    ...     ((w, b),) = parameters
    ...     return (w @ w + b @ b) / 2, [(w, b)]
    >>> start = [(np.array([4.0]), np.array([3.0]))]
    >>> gradient_descent(bowl, start, learning_rate=0.5, iterations=2)[1]
    Record(losses=(12.5, 3.125), gradient_norms=(5.0, 2.5))
    """
    _check(learning_rate, iterations=(iterations, 0))
    theta = list(parameters)
    steps = []
    for _ in range(iterations):
        C, gradient = value_and_grad(theta)
        steps.append((float(C), norm(gradient)))
        theta = _step(theta, gradient, learning_rate)
    return theta, _record(steps)


def stochastic_gradient_descent(
    value_and_grad: Callable[[Gradient, Array, Array], tuple[Any, Gradient]],
    parameters: Parameters,
    X: Array,
    Y: Array,
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    seed: int,
) -> tuple[Gradient, Record]:
    """Step down the gradient of one mini-batch after the other.

    An epoch is one pass over the examples, newly shuffled; its last batch may be smaller.
    `batch_size` 1 updates after every example, m after the whole set.

    Args:
        value_and_grad: (parameters, X, Y) -> (loss, gradient), of a batch.
        parameters: where to start; never changed.
        X: inputs, (m, n_0).
        Y: targets, (m, n_L).
        learning_rate: lambda, positive.
        batch_size: examples a step, 1..m.
        epochs: number of passes.
        seed: of the shuffling.

    Returns:
        The final parameters and the record of the steps.

    Raises:
        ValueError: a number out of its range.
    """
    _check(learning_rate, batch_size=(batch_size, 1), epochs=(epochs, 0))
    m = len(X)
    if batch_size > m:
        raise ValueError(f"batch_size={batch_size} must be at most m={m}, the number of examples")
    theta = list(parameters)
    steps = []
    generator = np.random.default_rng(seed)
    for _ in range(epochs):
        order = generator.permutation(m)
        for start in range(0, m, batch_size):
            batch = order[start : start + batch_size]
            C, gradient = value_and_grad(theta, X[batch], Y[batch])
            steps.append((float(C), norm(gradient)))
            theta = _step(theta, gradient, learning_rate)
    return theta, _record(steps)


def norm(gradient: Gradient) -> float:
    """Return the Euclidean norm of all entries of a gradient together.

    >>> norm([(np.array([[3.0]]), np.array([4.0]))])
    5.0
    """
    blocks = [np.asarray(block, dtype=np.float64) for pair in gradient for block in pair]
    return float(np.sqrt(sum(np.vdot(block, block) for block in blocks)))


def _step(theta: Gradient, gradient: Gradient, learning_rate: float) -> Gradient:
    """Return theta - lambda dC/dtheta, in new arrays."""
    return [
        (W - learning_rate * dW, b - learning_rate * db)
        for (W, b), (dW, db) in zip(theta, gradient, strict=True)
    ]


def _record(steps: list[tuple[float, float]]) -> Record:
    return Record(tuple(loss for loss, _ in steps), tuple(length for _, length in steps))


def _check(learning_rate: float, **counts: tuple[int, int]) -> None:
    if not 0.0 < learning_rate < float("inf"):
        raise ValueError(f"learning_rate={learning_rate} must be positive and finite")
    for name, (count, least) in counts.items():
        if count < least:
            raise ValueError(f"{name}={count} must be at least {least}")
