"""Gradient descent on the whole set, on mini-batches and on single examples.

Symbols: theta parameters, lambda learning rate, C loss, g = dC/dtheta, m examples:

    theta <- theta - lambda g

(Cauchy 1847; in batches Robbins and Monro 1951, Nielsen 2015, chapter 1.) An *iteration* is one
such step, an *epoch* one pass over the m examples: m / batch_size iterations, rounded up. To first
order a step changes the loss by -lambda |g|^2, of which weight j contributes -lambda g_j^2.

For a loss whose gradient has the Lipschitz constant L, every step with lambda < 2/L descends;
lambda = 1/L is the classical choice (Nesterov 2004, section 1.2.3). Parameters and gradients are
lists of pairs (W, b) as in `sigmoid_network`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from reference_models.edges import Parameters

Array = npt.NDArray[Any]
Gradient = list[tuple[Array, Array]]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Step:
    """One iteration, before it moves the parameters.

    Attributes:
        iteration: its number, from 0.
        epoch: the number of the pass it belongs to, from 0.
        rows: the examples of its batch; None where the whole set is taken.
        loss: that of the batch.
        gradient_norm: Euclidean norm of the batch's gradient.
    """

    iteration: int
    epoch: int
    rows: Rows | None
    loss: float
    gradient_norm: float


AtStep = Callable[[Step, Gradient, Gradient], None]


@dataclass(frozen=True)
class Record:
    """What training saw.

    Attributes:
        losses, gradient_norms: of every iteration's batch, before its step is made.
        epoch_losses: the whole set's loss before the first epoch and after each; empty where no
            `loss` was given.
        converged: whether the gradient norm came down to the tolerance.
    """

    losses: tuple[float, ...]
    gradient_norms: tuple[float, ...]
    epoch_losses: tuple[float, ...] = ()
    converged: bool = False

    @property
    def iterations(self) -> int:
        """How many gradients were computed."""
        return len(self.losses)


def gradient_descent(
    value_and_grad: Callable[[Gradient], tuple[Any, Gradient]],
    parameters: Parameters,
    *,
    learning_rate: float,
    iterations: int,
    tolerance: float | None = None,
    at_step: AtStep | None = None,
) -> tuple[Gradient, Record]:
    """Step down the gradient of the loss over the whole set.

    Args:
        value_and_grad: parameters -> (loss, gradient).
        parameters: where to start; never changed.
        learning_rate: lambda, positive.
        iterations: the most iterations.
        tolerance: stop where the gradient norm is at most this; the parameters returned are then
            those of the last entry in the record.
        at_step: called with the step, its parameters and its gradient, before the step is made.

    Returns:
        The final parameters and the record of the steps.

    Raises:
        ValueError: a learning rate or tolerance that is not positive, a negative number of steps.

    >>> def bowl(parameters):  # C = (w^2 + b^2) / 2
    ...     ((w, b),) = parameters
    ...     return (w @ w + b @ b) / 2, [(w, b)]
    >>> start = [(np.array([4.0]), np.array([3.0]))]
    >>> gradient_descent(bowl, start, learning_rate=0.5, iterations=2)[1].gradient_norms
    (5.0, 2.5)
    >>> gradient_descent(bowl, start, learning_rate=0.5, iterations=99, tolerance=1)[1].converged
    True
    """
    _check(learning_rate, tolerance, iterations=(iterations, 0))
    return _descend(
        lambda theta, _: value_and_grad(theta),
        parameters,
        ([None] for _ in range(iterations)),
        learning_rate=learning_rate,
        tolerance=tolerance,
        at_step=at_step,
    )


def stochastic_gradient_descent(  # noqa: PLR0913 - each is one number or function of the method
    value_and_grad: Callable[[Gradient, Array, Array], tuple[Any, Gradient]],
    parameters: Parameters,
    X: Array,
    Y: Array,
    *,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    seed: int,
    at_step: AtStep | None = None,
    loss: Callable[[Gradient, Array, Array], Any] | None = None,
) -> tuple[Gradient, Record]:
    """Step down the gradient of one mini-batch after the other.

    Every epoch shuffles the examples anew; its last batch may be smaller. `batch_size` 1 updates
    after every example, m after the whole set.

    Args:
        value_and_grad: (parameters, X, Y) -> (loss, gradient), of a batch.
        parameters: where to start; never changed.
        X: inputs, (m, n_0).
        Y: targets, (m, n_L).
        learning_rate: lambda, positive.
        batch_size: examples a step, 1..m.
        epochs: number of passes.
        seed: of the shuffling.
        at_step: called with the step, its parameters and its gradient, before the step is made.
        loss: (parameters, X, Y) -> loss; if given, that of the whole set is recorded per epoch.

    Returns:
        The final parameters and the record of the steps.

    Raises:
        ValueError: a number out of its range.
    """
    _check(learning_rate, None, batch_size=(batch_size, 1), epochs=(epochs, 0))
    m = len(X)
    if batch_size > m:
        raise ValueError(f"batch_size={batch_size} must be at most m={m}, the number of examples")
    return _descend(
        lambda theta, rows: value_and_grad(theta, X[rows], Y[rows]),
        parameters,
        (batches(m, batch_size, seed=seed, epoch=epoch) for epoch in range(epochs)),
        learning_rate=learning_rate,
        at_step=at_step,
        whole_loss=None if loss is None else lambda theta: loss(theta, X, Y),
    )


def batches(m: int, batch_size: int, *, seed: int, epoch: int) -> list[Rows]:
    """Deal the examples of one epoch into batches, in an order that is the same for ever.

    Example i is ranked by word i of SplitMix64 (Steele, Lea and Flood 2014, figure 17) under a
    key from seed and epoch:

        word(i) = mix(key + (i + 1) gamma),
        mix(z):   z = (z ^ z >> 30) A,   z = (z ^ z >> 27) B,   z ^ z >> 31     (mod 2^64)

    >>> [rows.tolist() for rows in batches(5, 2, seed=0, epoch=0)]
    [[1, 4], [0, 3], [2]]
    """
    key = int.from_bytes(hashlib.sha256(f"{seed}:{epoch}".encode()).digest()[:8], "little")
    order = np.argsort(_words(key, m), kind="stable").astype(np.int64)
    return [order[start : start + batch_size] for start in range(0, m, batch_size)]


def _words(key: int, count: int) -> npt.NDArray[np.uint64]:
    z = np.uint64(key) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))


def lipschitz_constant(X: Array) -> float:
    """Return L of logistic regression's mean cross-entropy: no slope of its gradient exceeds it.

    With Z = [X, 1], a column of ones for the bias, and p = sigma(Z theta):

        Hessian = Z^T diag(p (1 - p)) Z / m  <=  Z^T Z / (4 m),   L = lambda_max(Z^T Z) / (4 m)

    since p (1 - p) <= 1/4 (Boehning and Lindsay 1988).

    Args:
        X: inputs, (m, n).

    >>> lipschitz_constant(np.array([[3.0], [-3.0]]))
    2.25
    """
    Z = np.column_stack([X, np.ones(len(X))]).astype(np.float64)
    return float(np.linalg.eigvalsh(Z.T @ Z)[-1] / (4 * len(X)))


def contributions(gradient: Gradient, learning_rate: float) -> Gradient:
    """Return -lambda g_j^2: what each weight contributes to a step's change of the loss.

    They add up to the change but for O(lambda^2), by Taylor's theorem.
    """
    return [(-learning_rate * dW**2, -learning_rate * db**2) for dW, db in gradient]


def norm(gradient: Gradient) -> float:
    """Return the Euclidean norm of all entries of a gradient together.

    >>> norm([(np.array([[3.0]]), np.array([4.0]))])
    5.0
    """
    blocks = [np.asarray(block, dtype=np.float64) for pair in gradient for block in pair]
    return float(np.sqrt(sum(np.vdot(block, block) for block in blocks)))


def _descend(
    value_and_grad: Callable[[Gradient, Any], tuple[Any, Gradient]],
    parameters: Parameters,
    epochs: Iterable[Iterable[Rows | None]],
    *,
    learning_rate: float,
    tolerance: float | None = None,
    at_step: AtStep | None = None,
    whole_loss: Callable[[Gradient], Any] | None = None,
) -> tuple[Gradient, Record]:
    """Make one step a batch, epoch after epoch, until they end or the gradient does."""
    theta = list(parameters)
    losses: list[float] = []
    norms: list[float] = []
    epoch_losses = [] if whole_loss is None else [float(whole_loss(theta))]
    for epoch, dealt in enumerate(epochs):
        for rows in dealt:
            C, gradient = value_and_grad(theta, rows)
            losses.append(float(C))
            norms.append(norm(gradient))
            if at_step is not None:
                at_step(Step(len(losses) - 1, epoch, rows, losses[-1], norms[-1]), theta, gradient)
            if tolerance is not None and norms[-1] <= tolerance:
                return theta, Record(tuple(losses), tuple(norms), converged=True)
            theta = _step(theta, gradient, learning_rate)
        if whole_loss is not None:
            epoch_losses.append(float(whole_loss(theta)))
    return theta, Record(tuple(losses), tuple(norms), tuple(epoch_losses))


def _step(theta: Gradient, gradient: Gradient, learning_rate: float) -> Gradient:
    """Return theta - lambda g, in new arrays."""
    return [
        (W - learning_rate * dW, b - learning_rate * db)
        for (W, b), (dW, db) in zip(theta, gradient, strict=True)
    ]


def _check(learning_rate: float, tolerance: float | None, **counts: tuple[int, int]) -> None:
    if not 0.0 < learning_rate < float("inf"):
        raise ValueError(f"learning_rate={learning_rate} must be positive and finite")
    if tolerance is not None and not 0.0 < tolerance < float("inf"):
        raise ValueError(f"tolerance={tolerance} must be positive and finite")
    for name, (count, least) in counts.items():
        if count < least:
            raise ValueError(f"{name}={count} must be at least {least}")
