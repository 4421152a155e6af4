"""Wrong weight gradients: dC/dW_l = delta_l^T a_{l-1}."""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.at_zero import WEIGHT_FORMULAS
from gradcheck.diagnosis.batch import COUNTS, NONE, REPEATED
from gradcheck.diagnosis.formula import WEIGHT, Formula
from gradcheck.diagnosis.symbols import sigmoid, slope

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.batch import Counts
    from gradcheck.diagnosis.formula import Value
    from gradcheck.diagnosis.symbols import Symbols


def of(
    key: str, says: str, value: Value, *, is_term: bool = False, of_batch: bool = False
) -> Formula:
    """Make a formula of dC/dW_l."""
    return Formula(key, WEIGHT, f"dC/dW_{{l}} {says}", value, is_term, of_batch)


def with_input(key: str, says: str, other: Value, *, of_batch: bool = False) -> Formula:
    """Make a formula with something else in the place of a_{l-1}."""

    def value(s: Symbols, layer: int) -> Array | None:
        a = other(s, layer)
        fits = a is not None and a.shape == s.a[layer - 1].shape
        return s.delta[layer].T @ a if fits else None

    return of(key, says, value, of_batch=of_batch)


def with_error(key: str, says: str, other: Value) -> Formula:
    """Make a formula with something else in the place of delta_l."""

    def value(s: Symbols, layer: int) -> Array | None:
        delta = other(s, layer)
        fits = delta is not None and delta.shape == s.delta[layer].shape
        return delta.T @ s.a[layer - 1] if fits and delta is not None else None

    return of(key, says, value)


def is_wide(s: Symbols, layer: int) -> bool:
    """Whether W_l has two rows and columns at least."""
    return min(s.W[layer].shape) > 1


def square(value: Value) -> Value:
    """Restrict a formula to square matrices that are not 1 by 1."""

    def restricted(s: Symbols, layer: int) -> Array | None:
        rows, columns = s.W[layer].shape
        return value(s, layer) if rows == columns > 1 else None

    return restricted


def reshaped(s: Symbols, layer: int) -> Array | None:
    """The transposed product, read in the wrong order."""
    right = s.weight_gradient(layer)
    return right.T.reshape(right.shape) if is_wide(s, layer) else None


def hidden(value: Value) -> Value:
    """Restrict a formula to layers above the first."""
    return lambda s, layer: value(s, layer) if layer > 1 else None


def without_slope(s: Symbols, layer: int) -> Array | None:
    """delta_l before it is multiplied by sigmoid'."""
    return s.passed_down(layer) if layer < s.L else None


def of_other_layer(shift: int) -> Value:
    """a_{l+shift}, where there is one; a_0 = X has a name of its own."""
    return lambda s, layer: s.a.get(layer + shift) if layer + shift > 0 else None


def z_of_other_layer(shift: int) -> Value:
    """z_{l+shift}, where there is one."""
    return lambda s, layer: s.z.get(layer + shift)


def in_float32(s: Symbols, layer: int) -> Array | None:
    """a_{l-1} rounded to float32."""
    return s.a[layer - 1].astype(np.float32).astype(float) if s.problem.dtype == float else None


def in_float16(s: Symbols, layer: int) -> Array | None:
    """a_{l-1} rounded to float16."""
    a = s.a[layer - 1]
    return None if s.problem.dtype == np.float16 else a.astype(np.float16).astype(float)


def counted(key: str, says: str, counts: Counts, *, of_batch: bool = True) -> Formula:
    """Make a formula that counts examples wrongly."""

    def value(s: Symbols, layer: int) -> Array | None:
        c = counts(s)
        return None if c is None else (s.delta[layer] * c[:, None]).T @ s.a[layer - 1]

    return of(key, says, value, of_batch=of_batch)


FORMULAS = (
    of("transposed", "is a_{low}^T delta_{l}, its own transpose",
       square(lambda s, k: s.weight_gradient(k).T)),
    of("reshaped", "is a_{low}^T delta_{l}, read in the wrong order", reshaped),
    of("diagonal only", "lacks its entries off the diagonal",
       square(lambda s, k: np.diag(np.diag(s.weight_gradient(k))))),
    of("symmetric", "is the mean of itself and its transpose",
       square(lambda s, k: (s.weight_gradient(k) + s.weight_gradient(k).T) / 2)),
    with_input("z for a", "has z_{low} for a_{low}", hidden(lambda s, k: s.z[k - 1])),
    with_input("X for a", "has X for a_{low}", hidden(lambda s, _: s.X)),
    with_input("a of its own layer", "has a_{l} for a_{low}", lambda s, k: s.a[k]),
    with_input("z of its own layer", "has z_{l} for a_{low}", lambda s, k: s.z[k]),
    with_input("1 - a for a", "has 1 - a_{low} for a_{low}", lambda s, k: 1 - s.a[k - 1]),
    with_input("slope for a", "has sigmoid'(z_{low}) for a_{low}", hidden(lambda s, k: s.s(k - 1))),
    with_input("sigmoid of a for a", "has sigmoid(a_{low}) for a_{low}",
               lambda s, k: sigmoid(s.a[k - 1])),
    with_input("slope of a for a", "has sigmoid'(a_{low}) for a_{low}",
               lambda s, k: slope(s.a[k - 1])),
    with_input("a squared for a", "has a_{low}^2 for a_{low}", lambda s, k: s.a[k - 1] ** 2),
    with_input("tanh for a", "has tanh(z_{low}) for a_{low}",
               hidden(lambda s, k: np.tanh(s.z[k - 1]))),
    with_input("relu for a", "has max(z_{low}, 0) for a_{low}",
               hidden(lambda s, k: np.maximum(s.z[k - 1], 0))),
    with_input("decision for a", "has the decision a_{low} > 1/2 for a_{low}",
               hidden(lambda s, k: (s.z[k - 1] > 0).astype(float))),
    with_input("a without bias", "has sigmoid(z_{low} - b_{low}) for a_{low}",
               hidden(lambda s, k: sigmoid(s.a[k - 2] @ s.W[k - 1].T))),
    with_input("2 a - 1 for a", "has 2 a_{low} - 1 for a_{low}", lambda s, k: 2 * s.a[k - 1] - 1),
    *(with_input("a of another layer", f"has a of another layer, {told}, for a_{{low}}",
                 of_other_layer(shift))
      for shift, told in ((-2, "the one below"), (1, "the one above l"), (-3, "two below"))),
    *(with_input("z of another layer", f"has z of another layer, {told}, for a_{{low}}",
                 z_of_other_layer(shift))
      for shift, told in ((-2, "the one below"), (1, "the one above l"))),
    with_input("centred", "has a_{low} less its mean for a_{low}",
               lambda s, k: s.a[k - 1] - s.a[k - 1].mean(axis=0), of_batch=True),
    with_input("a of the output", "has a of layer L for a_{low}", lambda s, _: s.a[s.L]),
    of("a + c for a", "has a_{low} + c for a_{low}, c = {c}",
       lambda s, k: np.repeat(s.delta[k].sum(axis=0)[:, None], s.W[k].shape[1], axis=1),
       is_term=True),
    with_input("mean of a", "has the mean of a_{low} over the batch for a_{low}",
               lambda s, k: np.broadcast_to(s.a[k - 1].mean(axis=0), s.a[k - 1].shape),
               of_batch=True),
    with_input("a of the first example", "has a_{low} of the first example for all",
               lambda s, k: np.broadcast_to(s.a[k - 1][0], s.a[k - 1].shape), of_batch=True),
    with_input("example before", "pairs delta_{l} with a_{low} of the example before",
               lambda s, k: np.roll(s.a[k - 1], 1, axis=0), of_batch=True),
    with_input("example after", "pairs delta_{l} with a_{low} of the example after",
               lambda s, k: np.roll(s.a[k - 1], -1, axis=0), of_batch=True),
    with_input("a in float32", "has a_{low} rounded to float32", in_float32),
    with_input("a in float16", "has a_{low} rounded to float16", in_float16),
    with_error("error of the layer above", "has delta_{up} for delta_{l}",
               lambda s, k: s.delta.get(k + 1)),
    with_error("slope missing", "lacks the factor sigmoid'(z_{l}) of delta_{l}", without_slope),
    of("product of sums", "is the product of sums over the batch, not the sum of products",
       lambda s, k: np.outer(s.delta[k].sum(axis=0), s.a[k - 1].mean(axis=0)), of_batch=True),
    of("product of sums", "is the product of both sums over the batch",
       lambda s, k: np.outer(s.delta[k].sum(axis=0), s.a[k - 1].sum(axis=0)), of_batch=True),
    of("+ c W", "has an extra term {c} W_{l}", lambda s, k: s.W[k], is_term=True),
    of("+ c sign W", "has an extra term {c} sign(W_{l})", lambda s, k: np.sign(s.W[k]),
       is_term=True),
    of("W itself", "is W_{l} itself", lambda s, k: s.W[k]),
    of("W stepped", "is W_{l} - 0.1 dC/dW_{l}", lambda s, k: s.W[k] - 0.1 * s.weight_gradient(k)),
    of("sign only", "is its own sign", lambda s, k: np.sign(s.weight_gradient(k))),
    of("sizes", "is the sum of |delta_{l}| |a_{low}|",
       lambda s, k: np.abs(s.delta[k]).T @ np.abs(s.a[k - 1])),
    *WEIGHT_FORMULAS,
    counted(*NONE, of_batch=False),
    *(counted(*row) for row in COUNTS),
    counted(*REPEATED, of_batch=False),
)  # fmt: skip
