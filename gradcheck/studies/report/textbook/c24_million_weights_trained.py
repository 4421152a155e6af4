r"""C24: it is said to discover the optimal weights relatively quickly, even for millions of them.

Symbols: a network 64-13334-10 on digits, N weights and biases, in float32; C its loss over all
training rows, m held-out rows; T steps theta <- theta - lambda g, g the gradient of a batch.

**Good.** By guessing m/10 held-out rows are told right, with standard deviation sqrt(0.09 m); good
weights get more than five of these beyond it.

**Optimal.** At a minimum of C nothing brings C down. T more steps that bring C well below where the
first T have ended show that no minimum was found there.

**Quickly.** A step takes backprop one forward and one backward pass of its batch, and would take
forward differences N + 1 forward passes (C8). Passes are counted. Forward passes with one weight
moved are timed in blocks, and T (N + 1) of them foretold with an interval that holds the error of
such a forecast (`extrapolation`).

The first layer is drawn so wide that its neurons differ, the last is zero. By one row of W_2 the
curvature of C is up to |a_1|^2 / 4, about n_1 / 10: lambda is below 20 / n_1 (LeCun, Bottou, Orr
and Mueller 1998, section 5).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from gradcheck.splitmix64 import Stream
from gradcheck.studies.cost import forward_difference_passes
from gradcheck.studies.report.extrapolation import Sample
from gradcheck.studies.report.inside import counted_passes
from gradcheck.studies.report.million.plain_passes import missed
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.curves import Array, Parameters, Train, ValueAndGrad
from reference_models import sigmoid_network
from reference_models.datasets import held_out_split, load_digits, one_hot, standardise
from reference_models.training import stochastic_gradient_descent

SIZES = (64, 13_334, 10)
MILLION = 10**6
BATCH, RATE = 32, 0.0013
SPREAD = 4.0
"""Standard deviation of the z_1 at the start."""
DEVIATIONS = 5.0
WELL_BELOW = 0.9
"""What at most is left of C after T more steps, where the first T have found no minimum."""
BLOCKS, BLOCK = 20, 2
"""Forward passes that are timed."""
MOVED = 2.0**-8
MORE = 100.0
"""How many times the passes differences must take; it is a hundred thousand times and more."""


class Task(NamedTuple):
    """The examples, in float32, and the parameters before training."""

    start: Parameters
    X: Array
    Y: Array
    held_out: Array
    labels: Array


class Trained(NamedTuple):
    """What training came to.

    Attributes:
        theta: the parameters.
        loss: C there.
        right: held-out rows told right.
        steps: how many were made.
        forward, backward: passes of batches that they took, counted from inside.
        seconds: of the steps.
    """

    theta: Parameters
    loss: float
    right: int
    steps: int
    forward: int
    backward: int
    seconds: float


def measure(
    settings: Settings,
    value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad,
    train: Train = stochastic_gradient_descent,
) -> Evidence:
    """Train a million weights, go on as long again, and time passes of differences."""
    epochs = settings.million_epochs
    task, first, second = twice_trained(SIZES, settings.seed, epochs, value_and_grad, train)
    few = slice(BATCH)  # as the last layer is zero, p = 1/2 for every row
    before = float(sigmoid_network.loss(task.start, task.X[few], task.Y[few]))
    return Evidence(
        (
            _falls(task, before, first),
            _good(task, first),
            _passes(task, first, epochs),
            _time(task, first, settings),
            _optimal(task, first, second),
        )
    )


@lru_cache(maxsize=1)
def twice_trained(
    sizes: tuple[int, ...], seed: int, epochs: int, value_and_grad: ValueAndGrad, train: Train
) -> tuple[Task, Trained, Trained]:
    """Train so many epochs, and as many again; the latest result is kept."""
    task = _digits(sizes, seed)
    first = _train(task, task.start, epochs, seed, value_and_grad, train)
    return task, first, _train(task, first.theta, epochs, seed + 1, value_and_grad, train)


def _digits(sizes: tuple[int, ...], seed: int) -> Task:
    train, held_out = held_out_split(load_digits(), seed=seed)
    n_0, n_1, k = sizes
    X = standardise(train.inputs).astype(np.float32)
    test = standardise(held_out.inputs, reference=train.inputs).astype(np.float32)
    W_1 = (SPREAD / n_0**0.5 * Stream(seed, "W1").normal((n_1, n_0))).astype(np.float32)
    zero = [np.zeros(shape, np.float32) for shape in ((n_1,), (k, n_1), (k,))]
    start = [(W_1, zero[0]), (zero[1], zero[2])]
    return Task(start, X, one_hot(train.labels, k).astype(np.float32), test, held_out.labels)


def _train(
    task: Task,
    theta: Parameters,
    epochs: int,
    seed: int,
    value_and_grad: ValueAndGrad,
    train: Train,
) -> Trained:
    with counted_passes() as passes:
        begin = time.perf_counter()
        end, record = train(
            _in_buffers(value_and_grad),
            theta,
            task.X,
            task.Y,
            learning_rate=RATE,
            batch_size=BATCH,
            epochs=epochs,
            seed=seed,
        )
        elapsed = time.perf_counter() - begin
    loss = float(sigmoid_network.loss(end, task.X, task.Y))
    told = sigmoid_network.forward(end, task.held_out).argmax(axis=1)
    right = int(np.sum(told == task.labels))
    return Trained(end, loss, right, record.iterations, passes.forward, passes.backward, elapsed)


def _in_buffers(value_and_grad: ValueAndGrad) -> Callable[..., tuple[Any, Parameters]]:
    """Keep the buffers of every size of batch from call to call."""
    kept: dict[int, sigmoid_network.Workspace] = {}

    def computed(theta: Parameters, X: Array, Y: Array) -> tuple[Any, Parameters]:
        m = len(X)
        if m not in kept:
            kept[m] = sigmoid_network.Workspace(SIZES, m, np.float32)
        return value_and_grad(theta, X, Y, out=kept[m])

    return computed


# --- findings -------------------------------------------------------------------------------------


def _falls(task: Task, before: float, first: Trained) -> Finding:
    N = count_parameters(task.start)
    return Finding(
        "network {sizes}, {N:,} weights and biases: {steps} steps with backprop's gradient bring "
        "the loss on digits from {before} to {after}",
        N >= MILLION and first.loss < before,
        {"sizes": "-".join(map(str, SIZES)), "N": N, "steps": first.steps},
        {"before": before, "after": first.loss},
    )


def _good(task: Task, first: Trained) -> Finding:
    m = len(task.labels)
    chance = m / 10 + DEVIATIONS * (0.09 * m) ** 0.5
    return Finding(
        "good weights: {right} of {m} held-out digits are told right, by guessing at most "
        "{chance:.0f}",
        first.right > chance,
        {"m": m, "chance": chance},
        {"right": first.right},
    )


def _passes(task: Task, first: Trained, epochs: int) -> Finding:
    steps = epochs * -(-len(task.X) // BATCH)
    passes = steps * forward_difference_passes(count_parameters(task.start))
    return Finding(
        "they took {forward:,} forward and {backward:,} backward passes of batches; by forward "
        "differences it would be {passes:,} forward passes, {ratio:times} times as many",
        first.forward == first.backward == steps,
        {
            "forward": first.forward,
            "backward": first.backward,
            "passes": passes,
            "ratio": passes / max(1, first.forward + first.backward),
        },
    )


def _time(task: Task, first: Trained, settings: Settings) -> Finding:
    steps, N = settings.million_epochs * -(-len(task.X) // BATCH), count_parameters(task.start)
    told = seconds_of_a_pass(task).foretell(
        steps * forward_difference_passes(N), missed(N, settings)
    )
    return Finding(
        "backprop's steps took {seconds:seconds}; those of differences would take {slow:seconds} "
        "({low:seconds} to {high:seconds}), from {timed} timed passes",
        steps * forward_difference_passes(N) > MORE * (first.forward + first.backward),
        {"timed": BLOCKS * BLOCK},
        timings={
            "seconds": first.seconds,
            "slow": told.seconds,
            "low": told.low,
            "high": told.high,
        },
    )


def _optimal(task: Task, first: Trained, second: Trained) -> Finding:
    return Finding(
        "optimal they are not: {steps} steps more bring the loss from {before} to {after}, and "
        "{right} of {m} held-out digits are told right",
        second.loss < WELL_BELOW * first.loss,
        {"steps": second.steps, "m": len(task.labels)},
        {"before": first.loss, "after": second.loss, "right": second.right},
        contradicts=True,
    )


def seconds_of_a_pass(task: Task) -> Sample:
    """Time forward passes of a batch, one weight moved in each."""
    W = task.start[0][0].copy()
    theta = [(W, task.start[0][1]), task.start[1]]
    X, Y = task.X[:BATCH], task.Y[:BATCH]
    out = sigmoid_network.Workspace(SIZES, len(X), np.float32)
    sigmoid_network.loss(theta, X, Y, out=out)
    seconds = []
    for block in np.array_split(np.arange(BLOCKS * BLOCK), BLOCKS):
        begin = time.perf_counter()
        for j in block:
            W.flat[j] += MOVED
            sigmoid_network.loss(theta, X, Y, out=out)
            W.flat[j] -= MOVED
        seconds.append((time.perf_counter() - begin) / len(block))
    return Sample(tuple(seconds))


def count_parameters(theta: Parameters) -> int:
    """Return N."""
    return sum(W.size + b.size for W, b in theta)


CLAIM = Claim(
    id="C24",
    title="Optimal weights quickly, even for millions",
    statement="It discovers the optimal weights relatively quickly, even for a network with "
    "millions of weights",
    how="a network of a million weights trained on digits by backprop and judged by held-out "
    "digits; as many steps again, to see whether the loss was at a minimum; passes counted, and "
    "what differences would take extrapolated from timed passes",
    precise="good weights are found quickly, as a step takes two passes and not a million; they "
    "are not the optimal ones, as going on brings the loss further down",
    source="Rumelhart, Hinton and Williams 1986; Goodfellow, Bengio and Courville 2016, "
    "section 8.2",
    measure=measure,
    expected=REFINED,
)
