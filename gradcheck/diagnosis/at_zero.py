"""Wrong special cases where z is exactly 0, as a branch on the sign of z has them."""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.formula import HIDDEN, OUTPUT, WEIGHT, Formula

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.formula import Value
    from gradcheck.diagnosis.symbols import Symbols

WHERE = "where z_{l} is exactly 0"


def where_zero(s: Symbols, layer: int, other: Array) -> Array | None:
    """Put something else in the place of delta_l where z_l is 0; None if it is nowhere."""
    is_zero = s.z[layer] == 0
    return np.where(is_zero, other, s.error(layer)) if is_zero.any() else None


def with_output(a: float) -> Value:
    """(a - Y) / M with another a, for a_L = 1/2."""
    return lambda s, layer: where_zero(s, layer, (a - s.Y) * s.top)


def with_slope(slope: float, place: str) -> Value:
    """delta_l with another slope than 1/4; None for a delta_L that has none."""

    def value(s: Symbols, layer: int) -> Array | None:
        if place == OUTPUT and not s.is_quadratic:
            return None
        return where_zero(s, layer, 4 * slope * s.error(layer))

    return value


def with_factor(c: float) -> Value:
    """delta_L with a factor, 0 for one."""
    return lambda s, layer: where_zero(s, layer, c * s.error(layer))


def with_activation(a: float) -> Value:
    """delta_l^T a_{l-1} with another a_{l-1} than 1/2."""

    def value(s: Symbols, layer: int) -> Array | None:
        is_zero = s.z[layer - 1] == 0 if layer > 1 else np.zeros(1, bool)
        below = np.where(is_zero, a, s.a[layer - 1])
        return s.delta[layer].T @ below if is_zero.any() else None

    return value


def direction(s: Symbols, layer: int) -> Array | None:
    """What delta_L changes by with a_L where z_L is 0."""
    is_zero = s.z[layer] == 0
    return is_zero * s.top if is_zero.any() else None


OUTPUT_FORMULAS = (
    *(Formula("a at 0", OUTPUT, f"delta_{{l}} has {told} for a_{{l}} - Y {WHERE}", with_output(a))
      for a, told in ((0.0, "-Y"), (1.0, "1 - Y"), (-0.5, "-1/2 - Y"))),
    Formula("0 at 0", OUTPUT, f"delta_{{l}} is 0 {WHERE}", with_factor(0.0)),
    Formula("sign at 0", OUTPUT, f"delta_{{l}} has the wrong sign {WHERE}", with_factor(-1.0)),
    *(Formula("slope at 0", OUTPUT, f"delta_{{l}} has {told} for sigmoid'(z_{{l}}) {WHERE}",
              with_slope(c, OUTPUT)) for c, told in ((1.0, "1"), (0.5, "1/2"))),
    Formula("a + c at 0", OUTPUT, f"delta_{{l}} has a_{{l}} + c for a_{{l}}, c = {{c}}, {WHERE}",
            direction, is_term=True),
)  # fmt: skip

HIDDEN_FORMULAS = tuple(
    Formula("slope at 0", HIDDEN, f"delta_{{l}} has {told} for sigmoid'(z_{{l}}) {WHERE}",
            with_slope(c, HIDDEN)) for c, told in ((0.0, "0"), (1.0, "1"), (0.5, "1/2"))
)  # fmt: skip

WEIGHT_FORMULAS = tuple(
    Formula("a at 0", WEIGHT, f"dC/dW_{{l}} has {told} for a_{{low}} where z_{{low}} is exactly 0",
            with_activation(a)) for a, told in ((0.0, "0"), (1.0, "1"))
)  # fmt: skip
