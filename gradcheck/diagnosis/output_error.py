"""Wrong output errors: delta_L = (a_L - Y) / M, times sigmoid'(z_L) for the quadratic loss."""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis import at_zero, batch, families, residuals, searches, slopes
from gradcheck.diagnosis.formula import OUTPUT, Formula
from gradcheck.diagnosis.symbols import sigmoid

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.formula import Value
    from gradcheck.diagnosis.slopes import Factor
    from gradcheck.diagnosis.symbols import Symbols


def of(
    key: str, says: str, value: Value, *, is_term: bool = False, of_batch: bool = False
) -> Formula:
    """Make a formula of delta_L."""
    return Formula(key, OUTPUT, f"delta_{{l}} {says}", value, is_term, of_batch)


def cross_entropy(value: Value) -> Value:
    """Restrict a formula to the cross-entropy."""
    return lambda s, layer: None if s.is_quadratic else value(s, layer)


def quadratic(value: Value) -> Value:
    """Restrict a formula to the quadratic loss."""
    return lambda s, layer: value(s, layer) if s.is_quadratic else None


def multiplied(factor: Factor) -> Value:
    """(a_L - Y) / M times a factor."""

    def value(s: Symbols, layer: int) -> Array | None:
        f = factor(s, layer)
        return None if f is None else s.residual * f / s.M

    return value


def softmax(z: Array) -> Array:
    """e^z_k / sum_j e^z_j."""
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def unit_only(s: Symbols, layer: int, unit: int) -> Array | None:
    """delta_L of one output, 0 for the others."""
    right = s.error(layer)
    keep = np.arange(right.shape[1]) == unit % right.shape[1]
    return np.where(keep, right, 0.0) if right.shape[1] > 1 else None


def is_rounded(s: Symbols, layer: int) -> Array:
    """Whether a_L is 0 or 1 in the problem's dtype."""
    a = sigmoid(np.abs(s.z[layer])).astype(s.problem.dtype)
    return a == 1


def rounded(dtype: type[np.floating]) -> Value:
    """Round delta to a shorter dtype."""

    def value(s: Symbols, layer: int) -> Array | None:
        if np.finfo(dtype).eps <= np.finfo(s.problem.dtype).eps:
            return None
        return s.error(layer).astype(dtype).astype(np.float64)

    return value


PLAIN = (
    of("slope too many", "has an extra factor sigmoid'(z_{l})",
       cross_entropy(lambda s, k: s.error(k) * s.s(k))),
    of("slope missing", "lacks the factor sigmoid'(z_{l})",
       quadratic(lambda s, _: s.residual / s.M)),
    of("slope twice", "has the factor sigmoid'(z_{l}) twice",
       quadratic(lambda s, k: s.error(k) * s.s(k))),
    of("slope divided", "lacks the factor sigmoid'(z_{l}), it is dC/da_{l}",
       cross_entropy(lambda s, k: s.error(k) / s.s(k))),
    of("sign lost", "is |a_{l} - Y|, its sign lost", lambda s, _: np.abs(s.residual) * s.top),
    of("sign only", "is the sign of a_{l} - Y", lambda s, _: np.sign(s.residual) * s.top),
    of("squared", "has (a_{l} - Y)^2 for a_{l} - Y", lambda s, _: s.residual**2 * s.top),
    of("cubed", "has (a_{l} - Y)^3 for a_{l} - Y", lambda s, _: s.residual**3 * s.top),
    of("signed square", "has |a_{l} - Y| (a_{l} - Y) for a_{l} - Y",
       lambda s, _: np.abs(s.residual) * s.residual * s.top),
    of("log cosh", "has tanh(a_{l} - Y) for a_{l} - Y", lambda s, _: np.tanh(s.residual) * s.top),
    of("slope of the residual", "has r (1 - r), r = a_{l} - Y, for sigmoid'(z_{l})",
       quadratic(lambda s, _: s.residual**2 * (1 - s.residual) / s.M)),
    of("negative term missing", "lacks the term (1 - Y) a_{l}",
       cross_entropy(lambda s, k: -s.Y * sigmoid(-s.z[k]) * s.top)),
    of("positive term missing", "lacks the term -Y (1 - a_{l})",
       cross_entropy(lambda s, k: (1 - s.Y) * s.a[k] * s.top)),
    of("softmax", "has softmax(z_{l}) for a_{l}",
       lambda s, k: (softmax(s.z[k]) - s.Y) * s.top),
    of("z for a", "has z_{l} for a_{l}", lambda s, k: (s.z[k] - s.Y) * s.top),
    of("decision for a", "has the decision a_{l} > 1/2 for a_{l}",
       lambda s, k: ((s.z[k] > 0) - s.Y) * s.top),
    of("first output only", "is 0 but for output 0", lambda s, k: unit_only(s, k, 0)),
    of("last output only", "is 0 but for the last output", lambda s, k: unit_only(s, k, -1)),
    of("centred", "has a_{l} - Y centred over the batch",
       lambda s, _: (s.residual - s.residual.mean(axis=0)) * s.top, of_batch=True),
    of("0 where rounded", "is 0 where a_{l} rounds to 0 or 1",
       lambda s, k: np.where(is_rounded(s, k), 0.0, s.error(k))),
    of("in float32", "is rounded to float32", rounded(np.float32)),
    of("in float16", "is rounded to float16", rounded(np.float16)),
)  # fmt: skip

TERMS = (
    of("term of Y weighed", "has {c} of its term -Y (1 - a_{l}) too much",
       cross_entropy(lambda s, k: -s.Y * sigmoid(-s.z[k]) * s.top), is_term=True),
    of("term of 1 - Y weighed", "has {c} of its term (1 - Y) a_{l} too much",
       cross_entropy(lambda s, k: (1 - s.Y) * sigmoid(s.z[k]) * s.top), is_term=True),
    of("targets smoothed", "has smoothed targets (1 - s) Y + s/2 for Y, s = {c}",
       lambda s, _: (s.Y - 0.5) * s.top, is_term=True),
    of("class weights", "has {c} of itself too much where Y > 1/2",
       lambda s, k: s.error(k) * (s.Y > 0.5) if np.any(s.Y > 0.5) else None,
       is_term=True),
    of("Y weighed", "has Y with an extra factor 1 - c, c = {c}",
       lambda s, _: s.Y * s.top, is_term=True),
    of("slope raised", "has sigmoid'(z_{l}) + c for sigmoid'(z_{l}), c = {c}",
       quadratic(lambda s, _: s.residual / s.M), is_term=True),
    of("constant added", "has {c} / M added", lambda s, _: s.top + 0 * s.Y, is_term=True),
)  # fmt: skip

SLOPES = (
    *(of(key, f"has {told} for sigmoid'(z_{{l}})", quadratic(multiplied(value)))
      for key, told, value in slopes.SLOPES),
    *(of(f"extra {key}", f"has an extra factor {told.rstrip(',')}",
         cross_entropy(multiplied(value)))
      for key, told, value in slopes.SLOPES if key != "slope 1/4"),
)  # fmt: skip
"""The quadratic loss has sigmoid'(z_L) as a factor, the cross-entropy none."""

FORMULAS = (
    *PLAIN,
    *SLOPES,
    *residuals.FORMULAS,
    *batch.FORMULAS,
    *TERMS,
    *at_zero.OUTPUT_FORMULAS,
    *families.FORMULAS[OUTPUT],
    *searches.FORMULAS[OUTPUT],
)
