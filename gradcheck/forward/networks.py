"""Networks that are not the one that is meant: other activations, biases and inputs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.arrays import Float64Array
from gradcheck.forward.values import Value, affine, smooth

if TYPE_CHECKING:
    from gradcheck.problem import Problem

USUAL = ""
"""The key of what is meant."""

Function = Callable[[Float64Array], Float64Array]


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Attributes:
        says: what it is called.
        phi: the function.
        slope: what |phi'| does not exceed; of one that mixes, the sum of all |dphi_i / dz_j|.
        is_sigmoid: phi' < phi, which grows.
        mixes: the axes whose entries it mixes.
    """

    says: str
    phi: Function
    slope: float = 1.0
    mixes: tuple[int, ...] = ()
    is_sigmoid: bool = False

    def of(self, z: Value, u: float, floor: float = 1.0) -> Value:
        """Return phi(z)."""
        x, d = z
        d = d.max(axis=self.mixes, keepdims=True)
        slope = np.minimum(self.slope, self.phi(x + d)) if self.is_sigmoid else self.slope
        return smooth(self.phi, slope, (x, d), u, floor)


def sigmoid(z: Float64Array) -> Float64Array:
    """Return 1 / (1 + e^-z)."""
    e = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0, 1.0, e) / (1 + e))


def softplus(z: Float64Array) -> Float64Array:
    """Return log(1 + e^z)."""
    return np.asarray(np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))))


def leaky(slope: float) -> Function:
    """Return max(z, slope z)."""
    return lambda z: np.where(z > 0, z, slope * z)


def hard(slope: float) -> Function:
    """Return 1/2 + slope z, cut off at 0 and 1."""
    return lambda z: np.clip(slope * z + 0.5, 0, 1)


def softmax(*axes: int) -> Function:
    """Return e^z / sum e^z over some axes."""

    def over(z: Float64Array) -> Float64Array:
        e = np.exp(z - z.max(axis=axes, keepdims=True))
        return np.asarray(e / e.sum(axis=axes, keepdims=True))

    return over


def _elu(z: Float64Array) -> Float64Array:
    return np.where(z > 0, z, np.expm1(np.minimum(z, 0)))


def _selu(z: Float64Array) -> Float64Array:
    scale, alpha = 1.0507009873554805, 1.6732632423543772
    return scale * np.where(z > 0, z, alpha * np.expm1(np.minimum(z, 0)))


def _gelu(z: Float64Array) -> Float64Array:
    return np.asarray(0.5 * z * (1 + np.tanh(np.sqrt(2 / np.pi) * (z + 0.044715 * z**3))))


HIDDEN: dict[str, Activation] = {
    USUAL: Activation("sigmoid", sigmoid, 0.25, is_sigmoid=True),
    "relu": Activation("relu", lambda z: np.maximum(z, 0)),
    "leaky 0.01": Activation("leaky relu of slope 0.01", leaky(0.01)),
    "leaky 0.1": Activation("leaky relu of slope 0.1", leaky(0.1)),
    "leaky 0.2": Activation("leaky relu of slope 0.2", leaky(0.2)),
    "leaky 0.3": Activation("leaky relu of slope 0.3", leaky(0.3)),
    "tanh": Activation("tanh", np.tanh),
    "identity": Activation("identity, with no activation at all", lambda z: z),
    "softplus": Activation("softplus", softplus),
    "hard 0.2": Activation("a hard sigmoid of slope 1/5", hard(0.2)),
    "hard 1/6": Activation("a hard sigmoid of slope 1/6", hard(1 / 6)),
    "hard 0.25": Activation("a hard sigmoid of slope 1/4", hard(0.25)),
    "elu": Activation("elu", _elu),
    "selu": Activation("selu", _selu, 1.76),
    "silu": Activation("silu, z sigmoid(z)", lambda z: z * sigmoid(z), 1.1),
    "gelu": Activation("gelu", _gelu, 1.13),
    "softsign": Activation("softsign, z / (1 + |z|)", lambda z: z / (1 + np.abs(z))),
    "lecun": Activation("1.7159 tanh(2 z / 3)", lambda z: 1.7159 * np.tanh(2 * z / 3), 1.15),
    "bipolar": Activation("2 sigmoid(z) - 1", lambda z: 2 * sigmoid(z) - 1, 0.5),
    "double": Activation("sigmoid(2 z)", lambda z: sigmoid(2 * z), 0.5),
    "minus": Activation("sigmoid(-z)", lambda z: sigmoid(-z), 0.25),
    "twice": Activation("sigmoid(sigmoid(z))", lambda z: sigmoid(sigmoid(z)), 0.0625),
    "sine": Activation("sin", np.sin),
    "bell": Activation("exp(-z^2)", lambda z: np.exp(-(z**2)), 0.86),
    "softmax": Activation("softmax over the units", softmax(-1), 0.5, mixes=(-1,)),
}


@dataclass(frozen=True)
class Layer:
    """Where a bias is added: in layer l of L, whose units have n inputs each."""

    number: int
    depth: int
    inputs: int


@dataclass(frozen=True)
class Biases:
    """What is added for a bias, in words, and by how much the bias itself counts."""

    says: str
    times: Callable[[Layer], float]
    after: bool = False


BIASES: dict[str, Biases] = {
    USUAL: Biases("", lambda _: 1.0),
    "none": Biases("the loss lacks the biases", lambda _: 0.0),
    "not last": Biases("the last layer lacks its bias", lambda at: float(at.number < at.depth)),
    "last only": Biases(
        "only the last layer has its bias", lambda at: float(at.number == at.depth)
    ),
    "not first": Biases("the first layer lacks its bias", lambda at: float(at.number > 1)),
    "first only": Biases("only the first layer has its bias", lambda at: float(at.number == 1)),
    "each input": Biases("a bias is added once for each input", lambda at: float(at.inputs)),
    "twice": Biases("biases are added twice", lambda _: 2.0),
    "minus": Biases("biases are subtracted", lambda _: -1.0),
    "after": Biases("hidden biases are added after the activation", lambda _: 1.0, after=True),
}


def _centred(X: Float64Array) -> Float64Array:
    return np.asarray(X - X.mean(axis=0))


def _standard(ddof: int) -> Function:
    def scaled(X: Float64Array) -> Float64Array:
        centred = _centred(X)
        squares = np.sum(centred**2, axis=0) / (np.float64(len(X)) - ddof)
        return np.asarray(centred / np.sqrt(squares))

    return scaled


def _unit_rows(X: Float64Array) -> Float64Array:
    return np.asarray(X / np.sqrt(np.sum(X**2, axis=1, keepdims=True)))


def _unit_range(X: Float64Array) -> Float64Array:
    return np.asarray((X - X.min(axis=0)) / (X.max(axis=0) - X.min(axis=0)))


INPUTS: dict[str, tuple[str, Function]] = {
    USUAL: ("", lambda X: X),
    "centred": ("inputs are centred over the batch", _centred),
    "standard": ("inputs are standardised over the batch", _standard(0)),
    "standard 1": ("inputs are standardised over the batch, with m - 1", _standard(1)),
    "unit rows": ("inputs are scaled to length 1", _unit_rows),
    "unit range": ("inputs are scaled to [0, 1] over the batch", _unit_range),
    "255": ("inputs are divided by 255", lambda X: X / 255),
}


def _transposed(A: Float64Array) -> Float64Array:
    return A.T if A.shape[0] == A.shape[1] else A


ALONE: dict[str, tuple[str, Function]] = {
    "clipped 1": ("inputs are clipped to [-1, 1]", lambda X: np.clip(X, -1, 1)),
    "clipped 2": ("inputs are clipped to [-2, 2]", lambda X: np.clip(X, -2, 2)),
    "clipped 3": ("inputs are clipped to [-3, 3]", lambda X: np.clip(X, -3, 3)),
    "clipped 0": ("inputs are clipped to [0, 1]", lambda X: np.clip(X, 0, 1)),
    "positive": ("negative inputs are taken for 0", lambda X: np.maximum(X, 0)),
    "sizes": ("inputs are taken by their size, |X|", np.abs),
    "reversed": ("inputs are in the reverse order, targets not", lambda X: X[::-1]),
    "columns reversed": ("features are in the reverse order", lambda X: X[:, ::-1]),
    "transposed": ("inputs are transposed where m = n_0", _transposed),
    "first only": ("all examples have the inputs of the first", lambda X: X[:1] + 0 * X),
}
"""Other inputs that are looked for with nothing else wrong."""

WEIGHTS: dict[str, tuple[str, Function]] = {
    USUAL: ("", lambda W: W),
    "transposed": ("square weight matrices are transposed", _transposed),
    "sizes": ("weights are taken by their size, |W|", np.abs),
    "signs": ("weights are taken by their sign", np.sign),
}


@dataclass(frozen=True)
class Network:
    """A network by the keys of what it has in place of what is meant."""

    hidden: str = USUAL
    biases: str = USUAL
    inputs: str = USUAL
    weights: str = USUAL

    @property
    def departures(self) -> int:
        """How many parts are not what is meant."""
        return sum(map(bool, (self.hidden, self.biases, self.inputs, self.weights)))

    @property
    def given(self) -> tuple[str, Function]:
        """What the inputs are, in words, and what makes them."""
        return INPUTS.get(self.inputs) or ALONE[self.inputs]

    @property
    def says(self) -> list[str]:
        """What is wrong, in clauses."""
        hidden = f"hidden layers look like {HIDDEN[self.hidden].says}" if self.hidden else ""
        parts = (hidden, BIASES[self.biases].says, self.given[0], WEIGHTS[self.weights][0])
        return [x for x in parts if x]


NETWORKS: tuple[Network, ...] = (
    *(
        Network(hidden, biases, inputs)
        for hidden, biases, inputs in product(HIDDEN, BIASES, INPUTS)
        if not (biases and inputs)
    ),
    *(Network(inputs=inputs) for inputs in ALONE),
    *(Network(weights=weights) for weights in WEIGHTS if weights),
)
"""All of them; with other biases the inputs are what is meant."""


def last(problem: Problem, network: Network, u: float) -> Value:
    """Return z_L of a network, with its bound."""
    X = np.asarray(problem.inputs, np.float64)
    scaled = np.asarray(network.given[1](X))
    error = np.zeros_like(X)
    if network.inputs:
        error = (len(X) + X.shape[1] + 8) * u * (np.abs(scaled) + np.abs(X).max() + 1)
    a: Value = scaled, error
    biases, activation = BIASES[network.biases], HIDDEN[network.hidden]
    depth = len(problem.weights)
    for number, (W, b) in enumerate(zip(problem.weights, problem.biases, strict=True), start=1):
        own = np.asarray(b, np.float64)
        wide = np.asarray(WEIGHTS[network.weights][1](np.asarray(W, np.float64)))
        own = biases.times(Layer(number, depth, W.shape[1])) * own
        is_after = biases.after and number < depth
        a = affine(a, wide, np.zeros_like(own) if is_after else own, u)
        if number < depth:
            a = activation.of(a, u)
            if is_after:
                a = a[0] + own, a[1] + u * (np.abs(a[0]) + np.abs(own))
    return a
