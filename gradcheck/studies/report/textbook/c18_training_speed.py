r"""C18: the same training by backprop and by finite differences.

Symbols: theta_t the parameters before step t = 0..T-1, g_t the gradient of the step's batch by
backprop, D_t by forward differences, lambda the learning rate, C the loss over all examples.

    theta_{t+1} = theta_t - lambda g_t         theta_{t+1} = theta_t - lambda D_t

**How far the losses may part.** |D_t - g_t| <= B_t, coordinate by coordinate (`curvature`). What a
displacement of theta_{t+1} does to C(theta_T) is, to first order, its product with

    v_T = dC/dtheta(theta_T),   v_t = v_{t+1} - lambda H_t v_{t+1},   H_t the Hessian of batch t,

which is backprop through the training itself (Maclaurin, Duvenaud and Adams 2015), so that

    |C by differences - C by backprop|  <=  lambda sum_t |v_{t+1}| . B_t + rounding of C.

H_t v is taken by differences of gradients. Terms of second order are of the size of B^2.

**Quickly.** Passes are counted inside, and the flops of matrix products of a step as well, so that
no pass is taken for nothing: forward and backward together have to be what C9 says of them. In
seconds differences have to take more than a hundredth of the times as long that the count says,
which leaves room for the load of a machine and for calls.

**Good.** Held-out digits are told right more often than by the nearest class mean, which takes no
training.

**Large.** The network of a million weights of C24, and both halves of its training. What
differences would take follows from N + 1 passes a step and from forward passes that are timed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import estimate_noise
from gradcheck.differences.stencils import FORWARD
from gradcheck.splitmix64 import Stream
from gradcheck.studies.cost import (
    count_flops,
    forward_difference_passes,
    gemm_flops_backward,
    gemm_flops_forward,
)
from gradcheck.studies.report.inside import counted_passes
from gradcheck.studies.report.million.plain_passes import missed
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c24_million_weights_trained as c24
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
from gradcheck.studies.report.textbook.curvature import (
    forward_difference_bounds,
    second_derivative_bounds,
)
from gradcheck.studies.report.textbook.nearest_mean import right_by_nearest_mean
from reference_models import sigmoid_network
from reference_models.datasets import held_out_split, load_digits, one_hot
from reference_models.training import Step, batches, stochastic_gradient_descent

BATCH = 16
RATE = 0.5
STEP = 2.0**-20
EPOCHS = 10
QUICKER = 0.01
"""Of the ratio of the passes, what the ratio of the seconds has to be."""

Array = npt.NDArray[Any]
Gradient = list[tuple[Array, Array]]
Differences = Callable[..., Array]
ValueAndGrad = Callable[..., tuple[Any, Gradient]]


class Training(NamedTuple):
    """One epoch by one of the two.

    Attributes:
        end: the parameters after it.
        thetas, gradients: of every step, as vectors.
        seconds: of every step's gradient.
    """

    end: Gradient
    thetas: list[Gradient]
    gradients: list[Array]
    seconds: list[float]


class Digits(NamedTuple):
    """The task: a network with one hidden layer, and its examples."""

    start: Gradient
    X: Array
    Y: Array
    held_out: Array
    labels: Array


def measure(
    settings: Settings,
    backprop: ValueAndGrad = sigmoid_network.value_and_grad,
    differences: Differences = difference_quotients,
) -> Evidence:
    """Train one epoch by both, then several by backprop."""
    task = _digits(settings)
    rows = min(settings.digits_rows or len(task.X), len(task.X))
    X, Y = task.X[:rows], task.Y[:rows]
    size = max(1, min(BATCH, rows // 4))

    def by_differences(theta: Gradient, X: Array, Y: Array) -> tuple[Any, Gradient]:
        lines = Lines(lambda moved: sigmoid_network.loss(moved, X, Y), theta)
        D = differences(lines, STEP, stencil=FORWARD)
        return lines.value, _pairs(D, theta)

    with counted_passes() as taken:
        quick = _epoch(backprop, task.start, X, Y, size, settings.seed)
    with counted_passes() as by_one:
        slow = _epoch(by_differences, task.start, X, Y, size, settings.seed)
    N = _vector(task.start).size
    passes = (by_one.forward, taken.forward, taken.backward)
    return Evidence(
        (
            _same_loss(quick, slow, X, Y, size, settings.seed),
            _passes(passes, _step_flops(backprop, task.start, X[:size], Y[:size]), N, rows, size),
            _time(quick, slow, N, task, size),
            _trained(task, backprop, slow, settings.seed),
            _a_million(settings, backprop),
        )
    )


def _digits(settings: Settings) -> Digits:
    train, held_out = held_out_split(load_digits(), seed=settings.seed)
    n_0, h, k = train.inputs.shape[1], settings.digits_hidden, len(train.class_names)
    W_1 = Stream(settings.seed, "W1").normal((h, n_0)) / n_0**0.5
    W_2 = Stream(settings.seed, "W2").normal((k, h)) / h**0.5
    start = [(W_1, np.zeros(h)), (W_2, np.zeros(k))]
    return Digits(
        start, train.inputs / 16, one_hot(train.labels, k), held_out.inputs / 16, held_out.labels
    )


def _epoch(
    value_and_grad: ValueAndGrad, start: Gradient, X: Array, Y: Array, size: int, seed: int
) -> Training:
    thetas: list[Gradient] = []
    gradients: list[Array] = []
    seconds: list[float] = []

    def timed(theta: Gradient, X: Array, Y: Array) -> tuple[Any, Gradient]:
        begin = time.perf_counter()
        result = value_and_grad(theta, X, Y)
        seconds.append(time.perf_counter() - begin)
        return result

    def keep(_step: Step, theta: Gradient, gradient: Gradient) -> None:
        thetas.append(theta)
        gradients.append(_vector(gradient))

    end, _ = stochastic_gradient_descent(
        timed, start, X, Y, learning_rate=RATE, batch_size=size, epochs=1, seed=seed, at_step=keep
    )
    return Training(end, thetas, gradients, seconds)


# --- the losses -----------------------------------------------------------------------------------


def _same_loss(
    quick: Training, slow: Training, X: Array, Y: Array, size: int, seed: int
) -> Finding:
    """Hold the losses after the epoch against how far they may part."""
    by_backprop, by_differences = (
        float(sigmoid_network.loss(run.end, X, Y)) for run in (quick, slow)
    )
    before = float(sigmoid_network.loss(quick.thetas[0], X, Y))
    bound = _parting(slow, X, Y, size, seed)
    return Finding(
        "one epoch over {rows} digits, {steps} steps of {size}: the loss falls from {before:.6f} "
        "to {by_backprop:.6f} by backprop; by forward differences it ends {apart} from that, at "
        "most {bound} being allowed",
        bool(abs(by_differences - by_backprop) <= bound < abs(before - by_backprop)),
        {"rows": len(X), "steps": len(quick.seconds), "size": size},
        {
            "before": before,
            "by_backprop": by_backprop,
            "apart": abs(by_differences - by_backprop),
            "bound": bound,
        },
    )


def _parting(run: Training, X: Array, Y: Array, size: int, seed: int) -> float:
    """Return lambda sum_t |v_{t+1}| . B_t and the rounding of the two losses."""
    stream = Stream(seed, "noise")
    total = 2 * _noise(run.end, X, Y, stream)
    v = _vector(sigmoid_network.value_and_grad(run.end, X, Y)[1])
    dealt = batches(len(X), size, seed=seed, epoch=0)
    for theta, rows in zip(reversed(run.thetas), reversed(dealt), strict=True):
        x, y = X[rows], Y[rows]
        noise = _noise(theta, x, y, stream)
        B = forward_difference_bounds(second_derivative_bounds(theta, x), STEP, noise)
        total += RATE * float(np.abs(v) @ B)
        v = v - RATE * _hessian_times(theta, v, x, y)
    return total


def _noise(theta: Gradient, X: Array, Y: Array, stream: Stream) -> float:
    lines = Lines(lambda moved: sigmoid_network.loss(moved, X, Y), theta)
    return estimate_noise(lines, stream).bound


def _hessian_times(theta: Gradient, v: Array, x: Array, y: Array) -> Array:
    """Return H v = (g(theta + e v) - g(theta - e v)) / (2 e)."""
    w, e = _vector(theta), 2.0**-17 / max(float(np.max(np.abs(v))), 1e-300)
    ahead, behind = (
        _vector(sigmoid_network.value_and_grad(_pairs(w + s * e * v, theta), x, y)[1])
        for s in (1, -1)
    )
    return np.asarray((ahead - behind) / (2 * e))


# --- the price ------------------------------------------------------------------------------------


def _step_flops(
    value_and_grad: ValueAndGrad, theta: Gradient, X: Array, Y: Array
) -> tuple[int, int]:
    """Count the flops of a step's matrix products, and say what they should be."""
    sizes = (X.shape[1], *(len(b) for _, b in theta))
    m = len(X)
    out = sigmoid_network.Workspace(sizes, m, X.dtype)
    _, counted = count_flops(value_and_grad, theta, X, Y, out=out)
    return counted.gemm, gemm_flops_forward(sizes, m) + gemm_flops_backward(sizes, m)


def _passes(
    passes: tuple[int, int, int], flops: tuple[int, int], N: int, rows: int, size: int
) -> Finding:
    by_differences, forward, backward = passes
    counted, expected = flops
    steps = -(-rows // size)
    return Finding(
        "that epoch took backprop {forward:,} forward and {backward:,} backward passes, {flops:,} "
        "flops of matrix products a step ({expected:,} are these two), forward differences "
        "{by_differences:,} forward passes, N + 1 = {each:,} for each of {steps} steps: "
        "{ratio:times} times as many in all",
        by_differences == steps * (N + 1) and forward == backward == steps and counted == expected,
        {
            "forward": forward,
            "backward": backward,
            "flops": counted,
            "expected": expected,
            "by_differences": by_differences,
            "each": N + 1,
            "steps": steps,
            "ratio": by_differences / (forward + backward),
        },
    )


def _time(quick: Training, slow: Training, N: int, task: Digits, size: int) -> Finding:
    """Extrapolate both to an epoch over all training examples, from the steps that were timed."""
    steps = -(-len(task.X) // size)
    low, middle, high = _quartiles(slow.seconds)
    fast_low, fast, fast_high = _quartiles(quick.seconds)
    ratio, passes = middle / fast, (N + 1) / 2
    return Finding(
        "time of an epoch over all {rows:,} training digits, N = {N:,}, extrapolated from "
        "{timed} timed steps (median, quartiles): by backprop {fast:seconds}, by differences "
        "{slow:seconds} ({low:seconds} to {high:seconds}); {ratio:times} times as long "
        "({least:times} to {most:times}), against {passes:times} by the count of passes",
        ratio > QUICKER * passes,
        {"rows": len(task.X), "N": N, "timed": len(slow.seconds), "passes": passes},
        timings={
            "fast": steps * fast,
            "slow": steps * middle,
            "low": steps * low,
            "high": steps * high,
            "ratio": ratio,
            "least": low / fast_high,
            "most": high / fast_low,
        },
    )


def _quartiles(seconds: list[float]) -> tuple[float, float, float]:
    low, middle, high = np.quantile(seconds, [0.25, 0.5, 0.75])
    return float(low), float(middle), float(high)


def _trained(task: Digits, backprop: ValueAndGrad, slow: Training, seed: int) -> Finding:
    """Train on, and judge by held-out digits."""
    begin = time.perf_counter()
    end, record = stochastic_gradient_descent(
        backprop,
        task.start,
        task.X,
        task.Y,
        learning_rate=RATE,
        batch_size=BATCH,
        epochs=EPOCHS,
        seed=seed,
    )
    elapsed = time.perf_counter() - begin
    right = int(np.sum(sigmoid_network.forward(end, task.held_out).argmax(axis=1) == task.labels))
    untrained = right_by_nearest_mean(task.X, task.Y, task.held_out, task.labels)
    return Finding(
        "{epochs} epochs by backprop, {steps:,} steps: {right} of {m} held-out digits are told "
        "right (by the nearest class mean {untrained}) after {seconds:seconds}; by differences "
        "that many steps would take {slow:seconds}",
        right > untrained,
        {"epochs": EPOCHS, "steps": record.iterations, "m": len(task.labels)},
        {"right": right, "untrained": untrained},
        {
            "seconds": elapsed,
            "slow": record.iterations * float(np.median(slow.seconds)),
        },
    )


def _a_million(settings: Settings, backprop: ValueAndGrad) -> Finding:
    """Train a million weights by backprop; what differences would take is extrapolated."""
    epochs = settings.million_epochs
    task, *halves = c24.twice_trained(
        c24.SIZES, settings.seed, epochs, backprop, stochastic_gradient_descent
    )
    N = c24.count_parameters(task.start)
    steps = 2 * epochs * -(-len(task.X) // c24.BATCH)
    forward, backward = (sum(getattr(h, name) for h in halves) for name in ("forward", "backward"))
    passes = steps * forward_difference_passes(N)
    untrained = right_by_nearest_mean(task.X, task.Y, task.held_out, task.labels)
    told = c24.seconds_of_a_pass(task).foretell(passes, missed(N, settings))
    return Finding(
        "a network of N = {N:,} weights and biases, {sizes}: {steps} steps by backprop, {forward} "
        "forward and {backward} backward passes in {seconds:seconds}, and {right} of {m} held-out "
        "digits are told right (by the nearest class mean of pixels at mean 0 and spread 1, which "
        "this network is given, {untrained}); by differences it would "
        "be {passes:,} forward passes in {slow:seconds} ({low:seconds} to {high:seconds}), "
        "extrapolated from {timed}",
        N >= c24.MILLION and forward == backward == steps and halves[-1].right > untrained,
        {
            "N": N,
            "sizes": "-".join(map(str, c24.SIZES)),
            "steps": steps,
            "forward": forward,
            "backward": backward,
            "m": len(task.labels),
            "passes": passes,
            "timed": c24.BLOCKS * c24.BLOCK,
        },
        {"right": halves[-1].right, "untrained": untrained},
        {
            "seconds": sum(half.seconds for half in halves),
            "slow": told.seconds,
            "low": told.low,
            "high": told.high,
        },
    )


# --- vectors --------------------------------------------------------------------------------------


def _vector(pairs: Gradient) -> Array:
    return np.concatenate([array.reshape(-1) for pair in pairs for array in pair])


def _pairs(vector: Array, like: Gradient) -> Gradient:
    """Cut a vector into the shapes of `like`."""
    shapes = [array.shape for pair in like for array in pair]
    ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
    parts = [p.reshape(s) for p, s in zip(np.split(vector, ends[:-1]), shapes, strict=True)]
    return list(zip(parts[::2], parts[1::2], strict=True))


CLAIM = Claim(
    id="C18",
    title="Backprop finds good weights quickly",
    statement="Backprop finds good weights relatively quickly, even for large networks",
    how="the same epoch on the same digits by backprop and by forward differences: losses after "
    "it, passes and seconds; then training by backprop to a held-out result, beside the nearest "
    "class mean; the same for a million weights",
    source="Rumelhart, Hinton and Williams 1986; Nielsen 2015, chapter 2",
    measure=measure,
)
