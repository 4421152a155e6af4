"""What may stand where sigmoid'(z_l) belongs: in hidden layers, and at the output."""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcheck.diagnosis.symbols import sigmoid, slope

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.symbols import Symbols

Factor = Callable[["Symbols", int], "Array | None"]


class Slope(NamedTuple):
    """A factor: the key of what has it, how it is written, its value."""

    key: str
    told: str
    value: Factor


def of_layer(shift: int) -> Factor:
    """Sigmoid' of another hidden or output layer, where it is as wide."""

    def other(s: Symbols, layer: int) -> Array | None:
        z = s.z.get(layer + shift)
        return None if z is None or z.shape != s.z[layer].shape else slope(z)

    return other


def leaky(negative: float) -> Factor:
    """1 for z > 0, a small number else."""
    return lambda s, k: np.where(s.z[k] > 0, 1.0, negative)


def hard(width: float) -> Factor:
    """The slope of clip(z / width + 1/2, 0, 1)."""
    return lambda s, k: np.where(np.abs(s.z[k]) < width / 2, 1 / width, 0.0)


def steep(k: float) -> Factor:
    """Sigmoid'(k z)."""
    return lambda s, layer: slope(k * s.z[layer])


def of_input(s: Symbols, layer: int) -> Array | None:
    """X (1 - x) of a layer's inputs x, where it is as wide as they are."""
    x = s.a[layer - 1]
    return x * (1 - x) if x.shape == s.z[layer].shape else None


SLOPES = (
    Slope("slope of a", "sigmoid'(a_{l})", lambda s, k: slope(s.a[k])),
    Slope("a for slope", "a_{l}", lambda s, k: s.a[k]),
    Slope("1 - a for slope", "1 - a_{l}", lambda s, k: sigmoid(-s.z[k])),
    Slope("a squared for slope", "a_{l}^2", lambda s, k: s.a[k] ** 2),
    Slope("a (a - 1) for slope", "a_{l}^2 - 1", lambda s, k: s.a[k] ** 2 - 1),
    Slope("z for slope", "z_{l}", lambda s, k: s.z[k]),
    Slope("z (1 - z) for slope", "z_{l} (1 - z_{l})", lambda s, k: s.z[k] * (1 - s.z[k])),
    Slope("1 - z^2 for slope", "1 - z_{l}^2", lambda s, k: 1 - s.z[k] ** 2),
    Slope("z (1 - a) for slope", "z_{l} (1 - a_{l})", lambda s, k: s.z[k] * sigmoid(-s.z[k])),
    Slope("slope of the layer above", "sigmoid'(z_{up})", of_layer(1)),
    Slope("slope of the layer below", "sigmoid'(z_{low})", of_layer(-1)),
    Slope("slope of tanh", "tanh'(z_{l}), as 1 - a_{l}^2,", lambda s, k: 1 - s.a[k] ** 2),
    Slope("tanh' of z", "1 - tanh(z_{l})^2", lambda s, k: 1 - np.tanh(s.z[k]) ** 2),
    Slope("slope of relu", "relu'(z_{l})", leaky(0.0)),
    *(Slope("slope of leaky relu", f"the slope of max(z, {c:g} z)", leaky(c))
      for c in (0.001, 0.01, 0.1, 0.2, 0.3)),
    Slope("slope of elu", "the slope of elu(z_{l})", lambda s, k: np.exp(np.minimum(s.z[k], 0))),
    *(Slope("slope of the hard sigmoid", f"the slope of clip(z/{w:g} + 1/2, 0, 1)", hard(w))
      for w in (4.0, 5.0, 6.0)),
    Slope("slope 1/4", "1/4", lambda s, k: 0.25 + 0 * s.z[k]),
    Slope("a (1 + a) for slope", "a_{l} (1 + a_{l})", lambda s, k: s.a[k] * (1 + s.a[k])),
    Slope("slope of a sigmoid", "sigmoid(a_{l})", lambda s, k: sigmoid(s.a[k])),
    Slope("slope without bias", "sigmoid'(z_{l} - b_{l})",
          lambda s, k: slope(s.a[k - 1] @ s.W[k].T)),
    Slope("slope with bias twice", "sigmoid'(z_{l} + b_{l})", lambda s, k: slope(s.z[k] + s.b[k])),
    Slope("a cubed for slope", "a_{l}^3", lambda s, k: s.a[k] ** 3),
    Slope("slope of silu", "the slope of z_{l} sigmoid(z_{l})",
          lambda s, k: s.a[k] + s.z[k] * s.s(k)),
    Slope("slope of softsign", "1 / (1 + |z_{l}|)^2", lambda s, k: (1 + np.abs(s.z[k])) ** -2.0),
    Slope("bell for slope", "exp(-z_{l}^2)", lambda s, k: np.exp(-(s.z[k] ** 2))),
    Slope("bell for slope", "exp(-z_{l}^2 / 2)", lambda s, k: np.exp(-(s.z[k] ** 2) / 2)),
    Slope("cosine for slope", "cos(z_{l})", lambda s, k: np.cos(s.z[k])),
    Slope("slope of the input", "x (1 - x), x its input a_{low},", of_input),
    Slope("slope of 2 z", "sigmoid'(2 z_{l})", steep(2.0)),
    Slope("slope of z/2", "sigmoid'(z_{l} / 2)", steep(0.5)),
)  # fmt: skip
