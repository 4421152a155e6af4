r"""C20: minimising the loss is said to find the global minimum.

Symbols: K networks 2-2-1 on the four examples of exclusive or, C the mean cross-entropy of one.
Side by side they are one network 2-2K-K whose W_2 is zero outside of K blocks of 1 x 2: as the
losses of the outputs add, its gradient within the blocks is that of every network by itself, and
what lies outside is not followed.

A network that cannot tell the examples of a group apart gives each the group's mean target q, at a
loss of H(q) = -q log q - (1 - q) log(1 - q) each. Its loss is bounded below by, the four apart,

    0                      every example told from those of the other class
    2/4 H(1/2) = 0.3466    two of different classes taken for one
    3/4 H(1/3) = 0.4774    three taken for one
    H(1/2)     = 0.6931    none told apart

and comes as near to it as the weights grow. The infimum 0 is the global one: with

    z_1 = A (x_1 + x_2 - 1/2, x_1 + x_2 - 3/2),   z_2 = A (a_1 - a_1' - 1/2)

C falls to 0 as A grows (Rumelhart, Hinton and Williams 1986; on local minima of exclusive or:
Sprinkhuizen-Kuyper and Boers 1998). Without a hidden layer the loss is convex, its global minimum
ln 2 at zero weights.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pandas as pd

from gradcheck.splitmix64 import Stream
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFUTED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.curves import Array, Parameters, ValueAndGrad
from reference_models import sigmoid_network, stacked_networks
from reference_models.training import gradient_descent

Starts = Callable[[int], Parameters]

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
Y = np.array([[0.0], [1.0], [1.0], [0.0]])
STARTS = 40
RATE, STEPS = 4.0, 1000
"""Steps of one stage; there are two."""
SOLVED = 0.05
"""A loss at which every example is told by p > 0.8 or p < 0.2: 4 C = 0.2 < -ln 0.8."""
SETTLED = 0.01
"""The most that the loss of a network that stays where it is falls in the second stage."""
LARGE = 64.0
"""A."""
CLOSE = 1e-9


def random_starts(seed: int) -> Parameters:
    """Return normal weights and biases of K networks, one a slice."""
    return [
        (
            Stream(seed, f"W{layer}").normal((STARTS, n, n_in)),
            Stream(seed, f"b{layer}").normal((STARTS, n)),
        )
        for layer, (n_in, n) in enumerate(pairwise((2, 2, 1)), start=1)
    ]


def measure(
    settings: Settings,
    value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad,
    starts: Starts = random_starts,
) -> Evidence:
    """Descend from many starts, with a hidden layer and without."""
    start = starts(settings.seed)
    halfway = descend(start, value_and_grad, STEPS)
    end = descend(halfway, value_and_grad, STEPS)
    losses = [stacked_networks.losses(at, X, Y) for at in (start, halfway, end)]
    frame = pd.DataFrame(
        {
            "start": range(1, len(losses[0]) + 1),
            **{f"loss_{k * STEPS}": C for k, C in enumerate(losses)},
        }
    )
    return Evidence(
        (
            _infimum(),
            _convex(start, value_and_grad),
            _found(losses[-1]),
            _settled(*losses[1:]),
        ),
        frames={"c20_starts": frame},
    )


def descend(networks: Parameters, value_and_grad: ValueAndGrad, steps: int) -> Parameters:
    """Make steps of gradient descent with every one of K networks."""
    K = len(networks[0][0])
    blocks = [np.ones((K * networks[0][0].shape[1], 2))]
    blocks += [np.kron(np.eye(K), np.ones(W.shape[1:])) for W, _ in networks[1:]]

    def within(theta: Parameters) -> tuple[float, Parameters]:
        C, gradient = value_and_grad(theta, X, np.repeat(Y, K, axis=1))
        return C, [(dW * block, db) for (dW, db), block in zip(gradient, blocks, strict=True)]

    side_by_side = [
        (np.concatenate(W) if l == 0 else _diagonal(W), b.reshape(-1))
        for l, (W, b) in enumerate(networks)  # noqa: E741  (the layer's symbol)
    ]
    end, _ = gradient_descent(within, side_by_side, learning_rate=RATE, iterations=steps)
    return [
        (_slices(W, V.shape) if l else W.reshape(V.shape), b.reshape(c.shape))
        for l, ((W, b), (V, c)) in enumerate(zip(end, networks, strict=True))  # noqa: E741
    ]


def _diagonal(W: Array) -> Array:
    """Put the K slices, each n x n_in, on the diagonal of one matrix."""
    K, n, n_in = W.shape
    whole = np.zeros((K, n, K, n_in))
    whole[np.arange(K), :, np.arange(K), :] = W
    return whole.reshape(K * n, K * n_in)


def _slices(whole: Array, shape: tuple[int, ...]) -> Array:
    """Take them back out."""
    K, n, n_in = shape
    return whole.reshape(K, n, K, n_in)[np.arange(K), :, np.arange(K), :]


# --- findings -------------------------------------------------------------------------------------


def _infimum() -> Finding:
    A = LARGE
    by_hand = [
        (A * np.ones((1, 2, 2)), -A * np.array([[0.5, 1.5]])),
        (A * np.array([[[1.0, -1.0]]]), np.array([[-A / 2]])),
    ]
    C = float(stacked_networks.losses(by_hand, X, Y)[0])
    return Finding(
        "exclusive or, network 2-2-1: weights written by hand have a loss of {C}: none above is "
        "the global minimum",
        0 <= C < CLOSE,
        {},
        {"C": C},
    )


def _convex(start: Parameters, value_and_grad: ValueAndGrad) -> Finding:
    """Take the hidden layer away: each network keeps one neuron of its first layer."""
    (W, b), _ = start
    end = descend([(W[:, :1], b[:, :1])], value_and_grad, STEPS)
    C = stacked_networks.losses(end, X, Y)
    off = float(np.max(np.abs(C - np.log(2))))
    return Finding(
        "without the hidden layer, where the loss is convex, all {n} starts come to its global "
        "minimum ln 2, to {off}",
        off < CLOSE,
        {"n": len(C)},
        {"off": off},
    )


def _found(last: Array) -> Finding:
    found = last < SOLVED
    return Finding(
        "from {n} random starts gradient descent finds it: after {steps:,} steps {found} have a "
        "loss of at most {worst}",
        bool(np.all(found)),
        {"n": len(last), "steps": 2 * STEPS},
        {"found": int(np.sum(found)), "worst": float(np.max(last[found], initial=0.0))},
        expected=False,
    )


def _settled(halfway: Array, last: Array) -> Finding:
    stays = (last >= SOLVED) & (np.abs(halfway - last) < SETTLED)
    levels = np.array([_entropy(1 / 2) / 2, 3 / 4 * _entropy(1 / 3), _entropy(1 / 2)])
    nearest = np.argmin(np.abs(last[:, None] - levels), axis=1)
    counts = [int(np.sum(stays & (nearest == k))) for k in range(len(levels))]
    told = ", ".join(f"{n} near {level:.4f}" for n, level in zip(counts, levels, strict=True) if n)
    return Finding(
        "{stays} have settled above ({told}): the second half of the steps lowers their loss by "
        "at most {fall}",
        sum(counts) > 0,
        {},
        {
            "stays": sum(counts),
            "told": told or "none",
            "fall": float(np.max((halfway - last)[stays], initial=0.0)),
        },
        contradicts=True,
    )


def _entropy(q: float) -> float:
    """Return H(q)."""
    return float(-q * np.log(q) - (1 - q) * np.log(1 - q))


CLAIM = Claim(
    id="C20",
    title="Minimising finds the global minimum",
    statement="Minimising the loss finds the global minimum",
    how="gradient descent with backprop's gradient on exclusive or, from many random starts; "
    "weights written by hand that are better; the same without a hidden layer, where the loss is "
    "convex",
    precise="descent goes down from where it starts. Where the loss is convex that leads to the "
    "global minimum; with a hidden layer it depends on the start, and some starts end where two of "
    "four examples are taken for one",
    source="Rumelhart, Hinton and Williams 1986; Goodfellow, Bengio and Courville 2016, section "
    "8.2.2",
    measure=measure,
    expected=REFUTED,
)
