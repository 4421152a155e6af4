"""The numbers of a case: weights, biases, inputs and targets, and the corners put in on purpose.

Every array has a random stream of its own, named after it, under the case's seed:
    W_l = scale N / sqrt(n_{l-1}),   b_l = scale N / 4,   X = N,   N approximately normal.
A corner then alters the arrays. What comes out is rounded to float32 once and so is exact in
float32, float64 and longdouble; a float16 problem is rounded once more.
Only +, -, *, / and the square root touch floating-point numbers, which IEEE 754 rounds correctly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from gradcheck.problem import Architecture, Problem
from gradcheck.splitmix64 import Stream

Floats: TypeAlias = npt.NDArray[np.float64]
Streams: TypeAlias = Callable[[str], Stream]


@dataclass
class Arrays:
    """The arrays of a problem while they are being made: float64, writable."""

    weight_scale: float
    weights: list[Floats]
    biases: list[Floats]
    inputs: Floats
    targets: Floats


def make_problem(
    architecture: Architecture,
    batch: int,
    dtype: npt.DTypeLike,
    *,
    weight_scale: float,
    corner: str,
    targets: str,
    seed: int,
) -> Problem:
    """Draw the numbers of a case and put its corner in.

    Args:
        architecture: layer sizes, loss, reduction.
        batch: the number of examples m.
        dtype: of all arrays.
        weight_scale: the standard deviation of W_l times sqrt(n_{l-1}).
        corner: a name in CORNERS.
        targets: a name in TARGETS.
        seed: of all streams.
    """

    def stream(purpose: str) -> Stream:
        return Stream(seed, purpose)

    arrays = Arrays(
        weight_scale=weight_scale,
        weights=[
            stream(name).normal(shape) * (weight_scale / np.sqrt(shape[1]))
            for name, shape in zip(architecture.weight_names, architecture.shapes, strict=True)
        ],
        biases=[
            stream(name).normal(n) * (weight_scale / 4)
            for name, n in zip(architecture.bias_names, architecture.sizes[1:], strict=True)
        ],
        inputs=stream("inputs").normal((batch, architecture.sizes[0])),
        targets=TARGETS[targets](stream("targets"), batch, architecture.sizes[-1]),
    )
    CORNERS[corner](arrays, stream)

    def rounded(values: Floats) -> npt.NDArray[Any]:
        with np.errstate(over="ignore"):  # an overflow is refused by name in Problem
            return values.astype(np.float32).astype(dtype)

    return Problem(
        architecture,
        tuple(map(rounded, arrays.weights)),
        tuple(map(rounded, arrays.biases)),
        rounded(arrays.inputs),
        rounded(arrays.targets),
    )


# ---------------------------------------------------------------------------------------- corners


def generic(_arrays: Arrays, _stream: Streams) -> None:
    """Nothing altered: every number random."""


def zero_weights(arrays: Arrays, _stream: Streams) -> None:
    """All weights and biases 0, so every pre-activation is exactly 0 and a = 1/2.

    The starting point of logistic regression. Here |z|, max(z, 0) and comparisons with 0 have
    their kinks, and a gradient that takes sign(0) for 1 or -1 is wrong.
    """
    for parameter in (*arrays.weights, *arrays.biases):
        parameter[...] = 0


def zero_last_layer(arrays: Arrays, _stream: Streams) -> None:
    """W_L = 0 and b_L = 0: all outputs 1/2, and every gradient below the last layer exactly 0."""
    arrays.weights[-1][...] = 0
    arrays.biases[-1][...] = 0


def zero_preactivations(arrays: Arrays, stream: Streams) -> None:
    """Every pre-activation exactly 0 with weights that are not: the dyadic lattice.

    W_l integers in -3..3, X integers in -3..3, b_l = -(a_{l-1} W_l^T) with a_l = 1/2, l >= 1.
    One b_1 must serve all examples: half of the features (rounded up) are constant over the
    batch, the others have zero columns in W_1. All intermediate numbers of forward and backward
    pass are then dyadic, and any order of summation gives the same bits while they fit.
    """
    m, n0 = arrays.inputs.shape
    varying = slice((n0 + 1) // 2, None) if m > 1 else slice(n0, None)
    X = stream("integer inputs").integers(-3, 4, (m, n0)).astype(np.float64)
    X[:, : varying.start] = X[0, : varying.start]
    arrays.inputs = X
    a = X[0]
    for layer, W in enumerate(arrays.weights, start=1):
        W[...] = stream(f"integer W{layer}").integers(-3, 4, W.shape)
        if layer == 1:
            W[:, varying] = 0
        arrays.biases[layer - 1][...] = 0 - (W * a).sum(axis=1)
        a = np.full(len(W), 0.5)


def stationary(arrays: Arrays, stream: Streams) -> None:
    """The last layer zero and all targets 1/2: outputs equal targets, the gradient is exactly 0.

    A gradient that is not zero here is wrong whatever its size; relative errors mean nothing.
    """
    zero_last_layer(arrays, stream)


def constant_feature(arrays: Arrays, stream: Streams) -> None:
    """One input column is 1 in every example: its gradient is that of the bias, digit by digit."""
    arrays.inputs[:, _one_feature(arrays, stream)] = 1


def zero_feature(arrays: Arrays, stream: Streams) -> None:
    """One input column is 0 in every example: its column of dC/dW_1 is exactly 0."""
    arrays.inputs[:, _one_feature(arrays, stream)] = 0


def duplicated_examples(arrays: Arrays, _stream: Streams) -> None:
    """The second half of the batch repeats the first, with the same targets."""
    m = len(arrays.inputs)
    again = np.arange(m) % ((m + 1) // 2)
    arrays.inputs = arrays.inputs[again]
    arrays.targets = arrays.targets[again]


def saturated(arrays: Arrays, stream: Streams) -> None:
    """About half of the units, the first of all among them, lie at |z| of about 30 to 80.

    Their biases are +-u, u uniform in [30, 80), and their incoming weights have at most scale 1.
    sigmoid(z) rounds to 1 from z = 16.6 (float32) and z = 36.7 (float64) on: 1 - a, log(1 - a)
    and a (1 - a) lose all digits there unless they are evaluated from z.
    """
    for layer, (W, b) in enumerate(zip(arrays.weights, arrays.biases, strict=True), start=1):
        chosen = stream(f"saturated units {layer}").integers(0, 2, len(b)) == 1
        chosen[0] |= layer == 1
        sign = 1 - 2 * stream(f"saturated signs {layer}").integers(0, 2, len(b))
        u = 30 + 50 * stream(f"saturated sizes {layer}").uniform(len(b))
        b[chosen] = (sign * u)[chosen]
        W[chosen] /= max(1.0, arrays.weight_scale)


CORNERS: dict[str, Callable[[Arrays, Streams], None]] = {
    corner.__name__: corner
    for corner in (
        generic,
        zero_weights,
        zero_last_layer,
        zero_preactivations,
        stationary,
        constant_feature,
        zero_feature,
        duplicated_examples,
        saturated,
    )
}


def _one_feature(arrays: Arrays, stream: Streams) -> int:
    return stream("special feature").integer(0, arrays.inputs.shape[1])


# ---------------------------------------------------------------------------------------- targets


def binary(stream: Stream, m: int, n: int) -> Floats:
    """0 or 1, at random."""
    return stream.integers(0, 2, (m, n)).astype(np.float64)


def zeros(_stream: Stream, m: int, n: int) -> Floats:
    """All 0."""
    return np.zeros((m, n))


def ones(_stream: Stream, m: int, n: int) -> Floats:
    """All 1."""
    return np.ones((m, n))


def soft(stream: Stream, m: int, n: int) -> Floats:
    """Dyadic numbers k / 1024, k uniform in 1..1023: inside (0, 1), exact in float16 too."""
    return stream.integers(1, 1024, (m, n)) / 1024.0


def half(_stream: Stream, m: int, n: int) -> Floats:
    """All 1/2."""
    return np.full((m, n), 0.5)


def one_hot(stream: Stream, m: int, n: int) -> Floats:
    """One 1 in every example, the rest 0."""
    return np.eye(n)[stream.integers(0, n, m)]


TARGETS: dict[str, Callable[[Stream, int, int], Floats]] = {
    kind.__name__: kind for kind in (binary, zeros, ones, soft, half, one_hot)
}

# What a corner or a kind of targets needs to be what its name says.
LEAST_BATCH = {"duplicated_examples": 2}
LEAST_OUTPUTS = {"one_hot": 2}
REQUIRED_TARGETS = {"stationary": "half"}
