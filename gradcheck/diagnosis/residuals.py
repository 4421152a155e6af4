"""What may stand where a_L - Y belongs, in delta_L = (a_L - Y) / M [* sigmoid'(z_L)]."""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.formula import OUTPUT, Formula
from gradcheck.diagnosis.symbols import sigmoid, slope

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcheck.arrays import Array
    from gradcheck.diagnosis.symbols import Symbols

    Part = Callable[[Symbols, int], Array | None]

SMALL = (0.0, 1e-15, 1e-12, 1e-10, 1e-8, 1e-7)
"""What keeps the logarithm of a target of 0 finite."""

FURTHEST = 17.0
"""Where the tanh error function ends, as it is usually written."""


def of(key: str, says: str, part: Part) -> Formula:
    """Make a formula of delta_L with something else in the place of a_L - Y."""

    def value(s: Symbols, layer: int) -> Array | None:
        residual = part(s, layer)
        return None if residual is None else residual * s.top

    return Formula(key, OUTPUT, f"delta_{{l}} has {says} for a_{{l}} - Y", value)


def output(key: str, told: str, activation: Part) -> Formula:
    """Make a formula of delta_L with something else in the place of a_L."""

    def part(s: Symbols, layer: int) -> Array | None:
        a = activation(s, layer)
        return None if a is None else a - s.Y

    made = of(key, "", part)
    return Formula(key, OUTPUT, f"delta_{{l}} has {told} for a_{{l}}", made.value)


def tanh_error(furthest: float) -> Part:
    """log((1 + d) / (1 - d)), d = a - Y, no further than a limit."""

    def part(s: Symbols, _: int) -> Array:
        d = np.clip(s.residual, -1, 1)
        return np.clip(2 * np.arctanh(d), -furthest, furthest)

    return part


def swapped(epsilon: float) -> Part:
    """-log(y / (1 - y)) sigmoid'(z), of the loss -a log y - (1 - a) log(1 - y)."""

    def part(s: Symbols, layer: int) -> Array | None:
        y = np.clip(s.Y, epsilon, 1 - epsilon)
        return None if s.is_quadratic else (np.log(1 - y) - np.log(y)) * s.s(layer)

    return part


def swapped_plus(epsilon: float) -> Part:
    """The same with log(y + eps) and log(1 - y + eps)."""

    def part(s: Symbols, layer: int) -> Array | None:
        told = np.log(1 - s.Y + epsilon) - np.log(s.Y + epsilon)
        return None if s.is_quadratic else told * s.s(layer)

    return part


def swapped_first(epsilon: float) -> Part:
    """-log y sigmoid'(z), of the loss -a log y."""

    def part(s: Symbols, layer: int) -> Array | None:
        y = np.clip(s.Y, epsilon, 1.0)
        return None if s.is_quadratic else -np.log(y) * s.s(layer)

    return part


def relative_entropy(s: Symbols, layer: int) -> Array | None:
    """The derivative of a log(a / y) + (1 - a) log((1 - a) / (1 - y))."""
    told = s.z[layer] - np.log(s.Y) + np.log(1 - s.Y)
    return None if s.is_quadratic else told * s.s(layer)


def over_targets(s: Symbols, layer: int) -> Array | None:
    """(a - y) sigmoid'(z) / (y (1 - y)): y and a have changed places in the denominator."""
    return None if s.is_quadratic else s.residual * s.s(layer) / (s.Y * (1 - s.Y))


def second_term_negative(s: Symbols, layer: int) -> Array | None:
    """-y (1 - a) - (1 - y) a: one sign is wrong."""
    a = sigmoid(s.z[layer])
    return None if s.is_quadratic else -s.Y * sigmoid(-s.z[layer]) - (1 - s.Y) * a


def without_factor(which: int) -> Part:
    """Lose a or 1 - a of the derivative of one logarithm: -y / a for -y / a * a (1 - a)."""

    def part(s: Symbols, layer: int) -> Array | None:
        a, rest = sigmoid(s.z[layer]), sigmoid(-s.z[layer])
        told = (-s.Y * rest + (1 - s.Y), -s.Y + (1 - s.Y) * a)[which]
        return None if s.is_quadratic else told

    return part


def hard(width: float) -> Part:
    """clip(z / width + 1/2, 0, 1)."""
    return lambda s, layer: np.clip(s.z[layer] / width + 0.5, 0, 1)


PLACES = (
    of("tanh error", "log((1 + d) / (1 - d)), d = a_{l} - Y,", tanh_error(np.inf)),
    of("tanh error", f"log((1 + d) / (1 - d)), {FURTHEST:g} at most, d = a_{{l}} - Y,",
       tanh_error(FURTHEST)),
    of("arguments swapped", "log((1 - Y) / Y) sigmoid'(z_{l}), of a loss -a log Y - ... whose "
       "arguments are swapped,", swapped(0.0)),
    *(of("arguments swapped", "log((1 - Y) / Y) sigmoid'(z_{l}), of a loss -a log Y - ... whose "
         f"arguments are swapped, with Y clipped to [{e:g}, 1 - {e:g}],", swapped(e))
      for e in SMALL[1:]),
    *(of("arguments swapped", "log((1 - Y) / Y) sigmoid'(z_{l}), of a loss -a log Y - ... whose "
         f"arguments are swapped, with {e:g} added to Y and 1 - Y,", swapped_plus(e))
      for e in SMALL[1:]),
    *(of("arguments swapped", "-log(Y) sigmoid'(z_{l}), of a loss -a log Y whose arguments are "
         "swapped,", swapped_first(e)) for e in SMALL),
    of("relative entropy", "the derivative of a log(a / Y) + ... ", relative_entropy),
    of("denominator of Y", "(a_{l} - Y) sigmoid'(z_{l}) / (Y (1 - Y))", over_targets),
    of("sign of one term", "-Y (1 - a_{l}) - (1 - Y) a_{l}", second_term_negative),
    of("factor of one term", "-Y (1 - a_{l}) + (1 - Y)", without_factor(0)),
    of("factor of one term", "-Y + (1 - Y) a_{l}", without_factor(1)),
)  # fmt: skip

OUTPUTS = (
    output("1 - a for a", "1 - a_{l}", lambda s, k: sigmoid(-s.z[k])),
    output("relu for a", "max(z_{l}, 0)", lambda s, k: np.maximum(s.z[k], 0)),
    output("tanh for a", "tanh(z_{l})", lambda s, k: np.tanh(s.z[k])),
    output("sigmoid twice", "sigmoid(a_{l})", lambda s, k: sigmoid(sigmoid(s.z[k]))),
    output("slope for a", "sigmoid'(z_{l})", lambda s, k: slope(s.z[k])),
    output("a squared for a", "a_{l}^2", lambda s, k: sigmoid(s.z[k]) ** 2),
    output("sigmoid of 2 z for a", "sigmoid(2 z_{l})", lambda s, k: sigmoid(2 * s.z[k])),
    output("sigmoid of z/2 for a", "sigmoid(z_{l} / 2)", lambda s, k: sigmoid(s.z[k] / 2)),
    output("bias twice", "sigmoid(z_{l} + b_{l})", lambda s, k: sigmoid(s.z[k] + s.b[k])),
    output("a without bias", "sigmoid(z_{l} - b_{l})",
           lambda s, k: sigmoid(s.a[k - 1] @ s.W[k].T)),
    *(output("hard sigmoid for a", f"clip(z/{w:g} + 1/2, 0, 1)", hard(w)) for w in (4.0, 5.0, 6.0)),
)  # fmt: skip

FORMULAS = (*PLACES, *OUTPUTS)
