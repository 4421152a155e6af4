"""Wrong bias gradients: dC/db_l = sum_i delta_l."""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.batch import COUNTS, NONE, REPEATED
from gradcheck.diagnosis.formula import BIAS, Formula

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.batch import Counts
    from gradcheck.diagnosis.formula import Value
    from gradcheck.diagnosis.symbols import Symbols


def of(
    key: str, says: str, value: Value, *, is_term: bool = False, of_batch: bool = False
) -> Formula:
    """Make a formula of dC/db_l."""
    return Formula(key, BIAS, f"dC/db_{{l}} {says}", value, is_term, of_batch)


def of_layer(shift: int) -> Value:
    """The sum over the error of another layer that is as wide, where it is known."""

    def value(s: Symbols, layer: int) -> Array | None:
        other = s.right().delta.get(layer + shift) if shift < 0 else s.delta.get(layer + shift)
        fits = other is not None and other.shape == s.delta[layer].shape
        return other.sum(axis=0) if fits and other is not None else None

    return value


def over_units(s: Symbols, layer: int) -> Array:
    """The sum along the other axis, cut or repeated to fit."""
    delta = s.delta[layer]
    return np.resize(delta.sum(axis=1), delta.shape[1])


def over_everything(s: Symbols, layer: int) -> Array | None:
    """The sum over units too, in every unit."""
    delta = s.delta[layer]
    return np.full(delta.shape[1], delta.sum()) if delta.shape[1] > 1 else None


def over_units_where_square(s: Symbols, layer: int) -> Array | None:
    """The sum along the other axis, where there are as many examples as units."""
    delta = s.delta[layer]
    return delta.sum(axis=1) if delta.shape[0] == delta.shape[1] > 1 else None


def first_unit(s: Symbols, layer: int) -> Array | None:
    """The sum of unit 0, in every unit."""
    right = s.bias_gradient(layer)
    return np.full_like(right, right[0]) if len(right) > 1 else None


def without_product(s: Symbols, layer: int) -> Array | None:
    """delta_{l+1} * sigmoid'(z_l), where the layers are equally wide."""
    above = s.delta.get(layer + 1)
    fits = above is not None and above.shape == s.delta[layer].shape
    return (above * s.s(layer)).sum(axis=0) if fits and above is not None else None


def in_float16(s: Symbols, layer: int) -> Array | None:
    """The sum kept in float16."""
    delta = s.delta[layer].astype(s.problem.dtype)
    is_wider = s.problem.dtype != np.float16
    return delta.sum(axis=0, dtype=np.float16).astype(float) if is_wider else None


def counted(key: str, says: str, counts: Counts, *, of_batch: bool = True) -> Formula:
    """Make a formula that counts examples wrongly."""

    def value(s: Symbols, layer: int) -> Array | None:
        c = counts(s)
        return None if c is None else (s.delta[layer] * c[:, None]).sum(axis=0)

    return of(key, says, value, of_batch=of_batch)


FORMULAS = (
    of("last example only", "is delta_{l} of the last example",
       lambda s, k: s.delta[k][-1], of_batch=True),
    of("first example only", "is delta_{l} of the first example",
       lambda s, k: s.delta[k][0], of_batch=True),
    of("m times the first example", "is m times delta_{l} of the first example",
       lambda s, k: s.m * s.delta[k][0], of_batch=True),
    of("m times the last example", "is m times delta_{l} of the last example",
       lambda s, k: s.m * s.delta[k][-1], of_batch=True),
    of("error of the layer above", "is the sum of delta_{up}", of_layer(1)),
    of("error of the layer below", "is the sum of delta_{low}", of_layer(-1)),
    of("summed over units", "is summed over units, not over examples", over_units),
    of("summed over units", "is summed over units, not over examples", over_units_where_square),
    of("summed over everything", "is summed over units too", over_everything),
    of("times b", "has an extra factor b_{l}", lambda s, k: s.b[k] * s.bias_gradient(k)),
    of("slope missing", "lacks the factor sigmoid'(z_{l}) of delta_{l}",
       lambda s, k: s.passed_down(k).sum(axis=0) if k < s.L else None),
    of("times a", "has an extra factor a_{l}", lambda s, k: (s.delta[k] * s.a[k]).sum(axis=0)),
    of("sizes", "is the sum of |delta_{l}|", lambda s, k: np.abs(s.delta[k]).sum(axis=0)),
    of("sum in float16", "is summed in float16", in_float16),
    of("+ c b", "has an extra term {c} b_{l}", lambda s, k: s.b[k], is_term=True),
    of("+ c sign b", "has an extra term {c} sign(b_{l})", lambda s, k: np.sign(s.b[k]),
       is_term=True),
    of("sign only", "is its own sign", lambda s, k: np.sign(s.bias_gradient(k))),
    of("column of dW", "is the first column of dC/dW_{l}",
       lambda s, k: s.weight_gradient(k)[:, 0]),
    of("last column of dW", "is the last column of dC/dW_{l}",
       lambda s, k: s.weight_gradient(k)[:, -1]),
    of("median", "is m times the median of delta_{l} over the batch",
       lambda s, k: s.m * np.median(s.delta[k], axis=0), of_batch=True),
    of("largest", "is m times the largest delta_{l} of the batch",
       lambda s, k: s.m * s.delta[k].max(axis=0), of_batch=True),
    of("mean over units", "is its mean over the units, in every unit",
       lambda s, k: np.full_like(s.b[k], s.bias_gradient(k).mean()) if len(s.b[k]) > 1 else None),
    of("first unit for all", "has the entry of unit 0 in every unit", first_unit),
    of("residual summed", "is the sum of a_{l} - Y", lambda s, k: s.residual.sum(axis=0)
       if k == s.L and s.is_quadratic else None),
    of("product with W", "lacks the product with W_{up}: it is the sum of delta_{up}, times "
       "sigmoid'(z_{l})", without_product),
    of("b itself", "is b_{l} itself", lambda s, k: s.b[k]),
    counted(*NONE, of_batch=False),
    *(counted(*row) for row in COUNTS if not row[0].endswith("example only")),
    counted(*REPEATED, of_batch=False),
)  # fmt: skip
