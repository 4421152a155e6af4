"""Wrong hidden errors: delta_l = (delta_{l+1} W_{l+1}) * sigmoid'(z_l)."""

# mypy: disable-error-code="no-any-return"
# numpy types the arithmetic of arrays as Any

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis import at_zero, families, searches, slopes
from gradcheck.diagnosis.batch import COUNTS, NONE, REPEATED
from gradcheck.diagnosis.formula import HIDDEN, Formula
from gradcheck.diagnosis.output_error import rounded
from gradcheck.diagnosis.symbols import sigmoid, slope

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcheck.arrays import Array
    from gradcheck.diagnosis.batch import Counts
    from gradcheck.diagnosis.formula import Value
    from gradcheck.diagnosis.symbols import Symbols

    Slope = Callable[[Symbols, int], Array | None]

STEPS = (0.1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
MESHES = (16, 32, 64, 100, 128, 256, 1000, 1024)


def of(key: str, says: str, value: Value, *, is_term: bool = False) -> Formula:
    """Make a formula of delta_l, l < L."""
    return Formula(key, HIDDEN, f"delta_{{l}} {says}", value, is_term)


def with_slope(key: str, says: str, other: Slope) -> Formula:
    """Make a formula with something else in the place of sigmoid'(z_l)."""

    def value(s: Symbols, layer: int) -> Array | None:
        factor = other(s, layer)
        return None if factor is None else s.passed_down(layer) * factor

    return of(key, says, value)


def with_weights(key: str, says: str, other: Slope) -> Formula:
    """Make a formula with something else in the place of W_{l+1}."""

    def value(s: Symbols, layer: int) -> Array | None:
        W = other(s, layer)
        return None if W is None else (s.delta[layer + 1] @ W) * s.s(layer)

    return of(key, says, value)


def transposed(s: Symbols, layer: int) -> Array | None:
    """W_{l+1}^T, where W_{l+1} is square and not 1 by 1."""
    W = s.W[layer + 1]
    return W.T if W.shape[0] == W.shape[1] > 1 else None


def of_other_layer(which: int) -> Slope:
    """The weights of another layer or their transpose: the n-th that fits."""

    def other(s: Symbols, layer: int) -> Array | None:
        others = [s.W[k] for k in s.W if k != layer + 1]
        every = [W for W in (*others, *(W.T for W in others)) if W.shape == s.W[layer + 1].shape]
        return every[which] if which < len(every) else None

    return other


def by_differences(h: float) -> Slope:
    """(sigmoid(z + h) - sigmoid(z - h)) / 2h."""
    return lambda s, k: (sigmoid(s.z[k] + h) - sigmoid(s.z[k] - h)) / (2 * h)


def one_sided(h: float) -> Slope:
    """(sigmoid(z + h) - sigmoid(z)) / h."""
    return lambda s, k: (sigmoid(s.z[k] + h) - sigmoid(s.z[k])) / h


def from_table(mesh: int) -> Slope:
    """Sigmoid' at the nearest multiple of 1 / mesh."""
    return lambda s, k: slope(np.round(s.z[k] * mesh) / mesh)


def summed_over_units(s: Symbols, layer: int) -> Array | None:
    """Every unit gets the sum over all units of its layer."""
    right = s.error(layer)
    total = np.broadcast_to(right.sum(axis=1, keepdims=True), right.shape)
    return total if right.shape[1] > 1 else None


def from_the_top(s: Symbols, layer: int) -> Array | None:
    """delta_L for delta_{l+1}, where the shapes allow it."""
    top, above = s.delta[s.L], s.delta[layer + 1]
    fits = layer + 1 < s.L and top.shape == above.shape
    return (top @ s.W[layer + 1]) * s.s(layer) if fits else None


def first_path(s: Symbols, layer: int) -> Array | None:
    """The path through unit 0 above only."""
    delta, W = s.delta[layer + 1], s.W[layer + 1]
    return (delta[:, :1] @ W[:1]) * s.s(layer) if len(W) > 1 else None


def without_last_path(s: Symbols, layer: int) -> Array | None:
    """All paths but that through the last unit above."""
    delta, W = s.delta[layer + 1], s.W[layer + 1]
    return (delta[:, :-1] @ W[:-1]) * s.s(layer) if len(W) > 2 else None


def in_float16(s: Symbols, layer: int) -> Array | None:
    """W_{l+1} rounded to float16."""
    W = s.W[layer + 1]
    return None if s.problem.dtype == np.float16 else W.astype(np.float16).astype(float)


def first_paths(s: Symbols, layer: int) -> Array | None:
    """The paths through the first 16 units above only."""
    delta, W = s.delta[layer + 1], s.W[layer + 1]
    return (delta[:, :16] @ W[:16]) * s.s(layer) if len(W) > 16 else None


def without_product(s: Symbols, layer: int) -> Array | None:
    """delta_{l+1} itself, where the shapes allow it, times sigmoid'."""
    delta = s.delta[layer + 1]
    return delta * s.s(layer) if delta.shape == s.z[layer].shape else None


def step(s: Symbols, layer: int) -> Array | None:
    """The change of delta_l if W_{l+1} is diminished by dC/dW_{l+1}."""
    dW = s.dW.get(layer + 1)
    return None if dW is None else -(s.delta[layer + 1] @ dW) * s.s(layer)


def step_by_signs(s: Symbols, layer: int) -> Array | None:
    """The same by the signs of dC/dW_{l+1}, as the first step of Adam and of Rprop is."""
    dW = s.dW.get(layer + 1)
    return None if dW is None else -(s.delta[layer + 1] @ np.sign(dW)) * s.s(layer)


def neighbour(by: int) -> Slope:
    """Sigmoid' of the unit before or after, cyclically, where there are several units."""
    return lambda s, k: np.roll(s.s(k), by, axis=1) if s.n(k) > 1 else None


def squared(s: Symbols, layer: int) -> Array:
    """delta_{l+1} W_{l+1}^2, entry by entry."""
    return (s.delta[layer + 1] @ s.W[layer + 1] ** 2) * s.s(layer)


SLOPES = (
    with_slope("slope missing", "lacks the factor sigmoid'(z_{l})", lambda s, k: 1 + 0 * s.z[k]),
    with_slope("slope twice", "has the factor sigmoid'(z_{l}) twice", lambda s, k: s.s(k) ** 2),
    of("slope before the product",
       "is (delta_{up} * sigmoid'(z_{up})) W_{up}, with the slope of the layer above",
       lambda s, k: (s.delta[k + 1] * s.s(k + 1)) @ s.W[k + 1]),
    *(with_slope(key, f"has {told} for sigmoid'(z_{{l}})", value)
      for key, told, value in slopes.SLOPES),
)  # fmt: skip

PRODUCTS = (
    with_weights("weights transposed", "has W_{up}^T for W_{up}", transposed),
    *(with_weights("weights of another layer", "has the weights of another layer for W_{up}",
                   of_other_layer(k)) for k in range(2)),
    with_weights("signs of weights", "has sign(W_{up}) for W_{up}",
                 lambda s, k: np.sign(s.W[k + 1])),
    with_weights("sizes of weights", "has |W_{up}| for W_{up}", lambda s, k: np.abs(s.W[k + 1])),
    of("product missing", "lacks the product with W_{up}", without_product),
    of("first path only", "has unit 0 only of the sum delta_{up} W_{up}", first_path),
    of("slope above twice", "has an extra factor sigmoid'(z_{up}) in its delta_{up}",
       lambda s, k: ((s.delta[k + 1] * s.s(k + 1)) @ s.W[k + 1]) * s.s(k)),
    of("slope above missing", "lacks the factor sigmoid'(z_{up}) in its delta_{up}",
       lambda s, k: ((s.delta[k + 1] / s.s(k + 1)) @ s.W[k + 1]) * s.s(k)
       if k + 1 < s.L or s.is_quadratic else None),
    of("positive errors only", "has max(x, 0) for x = delta_{up} W_{up}",
       lambda s, k: np.maximum(s.passed_down(k), 0) * s.s(k)),
    of("positive errors above only", "has max(delta_{up}, 0) for delta_{up}",
       lambda s, k: (np.maximum(s.delta[k + 1], 0) @ s.W[k + 1]) * s.s(k)),
    of("sizes of errors", "has |delta_{up}| for delta_{up}",
       lambda s, k: (np.abs(s.delta[k + 1]) @ s.W[k + 1]) * s.s(k)),
    of("signs of errors", "has sign(delta_{up}) for delta_{up}",
       lambda s, k: (np.sign(s.delta[k + 1]) @ s.W[k + 1]) * s.s(k)),
    with_slope("slope of the unit before", "has sigmoid' of the unit before for sigmoid'(z_{l})",
               neighbour(1)),
    with_slope("slope of the unit after", "has sigmoid' of the unit after for sigmoid'(z_{l})",
               neighbour(-1)),
    of("last path missing", "lacks the last unit in the sum delta_{up} W_{up}", without_last_path),
    with_weights("weights in float16", "has W_{up} rounded to float16 for W_{up}", in_float16),
    of("first paths only", "lacks the terms from 16 on of delta_{up} W_{up}", first_paths),
    of("summed over units", "is summed over its units", summed_over_units),
    of("output error everywhere", "has delta_L for delta_{up}", from_the_top),
    of("weights updated", "has W_{up} - c dC/dW_{up} for W_{up}, c = {c}", step, is_term=True),
    of("weights updated by signs", "has W_{up} - c sign(dC/dW_{up}) for W_{up}, c = {c}",
       step_by_signs, is_term=True),
    of("weights squared", "has W_{up}^2 for W_{up}", squared),
    of("slope raised", "has sigmoid'(z_{l}) + c for sigmoid'(z_{l}), c = {c}",
       lambda s, k: s.passed_down(k), is_term=True),
)  # fmt: skip


def counted(key: str, says: str, counts: Counts, *, of_batch: bool = True) -> Formula:
    """Make a formula that counts examples wrongly."""

    def value(s: Symbols, layer: int) -> Array | None:
        weights = counts(s)
        return None if weights is None else s.error(layer) * weights[:, None]

    return Formula(key, HIDDEN, f"delta_{{l}} {says}", value, of_batch=of_batch)


def running(s: Symbols, layer: int) -> Array | None:
    """delta_{l+1} W_{l+1} with those of the examples before added, times sigmoid'."""
    return np.cumsum(s.passed_down(layer), axis=0) * s.s(layer) if s.m > 1 else None


def running_error(s: Symbols, layer: int) -> Array | None:
    """The same of delta_l itself."""
    return np.cumsum(s.error(layer), axis=0) if s.m > 1 else None


EXAMPLES = (
    Formula("products before added", HIDDEN, "delta_{l} has delta_{up} W_{up} of the examples "
            "before added", running, of_batch=True),
    Formula("examples before added", HIDDEN, "delta_{l} has that of the examples before added",
            running_error, of_batch=True),
    counted(*NONE, of_batch=False), *(counted(*row) for row in COUNTS),
    counted(*REPEATED, of_batch=False),
)  # fmt: skip

SMALL = (
    *(with_slope("slope by differences", f"has (sigmoid(z_{{l}} + h) - sigmoid(z_{{l}} - h)) / 2h, "
                 f"h = {h:g}, for sigmoid'(z_{{l}})", by_differences(h)) for h in STEPS),
    *(with_slope("slope by differences", f"has (sigmoid(z_{{l}} + h) - sigmoid(z_{{l}})) / h, "
                 f"h = {h:g}, for sigmoid'(z_{{l}})", one_sided(h)) for h in STEPS),
    *(with_slope("slope from a table", f"has sigmoid' at the nearest multiple of 1/{k} for "
                 "sigmoid'(z_{l})", from_table(k)) for k in MESHES),
    of("in float32", "is rounded to float32", rounded(np.float32)),
    of("in float16", "is rounded to float16", rounded(np.float16)),
)  # fmt: skip

FORMULAS = (
    *SLOPES,
    *PRODUCTS,
    *EXAMPLES,
    *SMALL,
    *at_zero.HIDDEN_FORMULAS,
    *families.FORMULAS[HIDDEN],
    *searches.FORMULAS[HIDDEN],
)
