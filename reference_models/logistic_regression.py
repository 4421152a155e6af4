"""Logistic regression in its textbook form.

Symbols: X inputs (m, n); w weights (n,); b bias, a scalar; y targets in [0, 1], (m,);
p = sigma(X w + b) probabilities, (m,).

    J     = -(1/m) sum_i [ y_i log p_i + (1 - y_i) log(1 - p_i) ]
    dJ/dw = X^T (p - y) / m
    dJ/db = sum_i (p_i - y_i) / m

(Goodfellow, Bengio and Courville 2016, section 5.7.1.) For other losses p - y is replaced by
their residual dC/dz; the reduction `sum` leaves out the division by m.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reference_models.activations import sigmoid
from reference_models.edges import batch_of, require
from reference_models.losses import divisor, loss_named
from reference_models.products import matmul

Array = npt.NDArray[Any]


def forward(w: Array, b: Any, X: Array) -> Array:
    """Return the probabilities p = sigma(X w + b), (m,).

    Args:
        w: weights, (n,).
        b: bias, 0-d.
        X: inputs, (m, n).

    Raises:
        ValueError: a wrong shape or mixed dtypes.
        TypeError: something that is not an array.
    """
    return np.asarray(sigmoid(_logits(w, b, X)))


def loss(
    w: Array,
    b: Any,
    X: Array,
    y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
) -> Any:
    """Return J, a scalar of the arrays' dtype.

    Args:
        w: weights, (n,).
        b: bias, 0-d.
        X: inputs, (m, n).
        y: targets, (m,).
        cost: a name in `losses.LOSSES`.
        reduction: `mean` or `sum` over the examples.

    Raises:
        ValueError: a wrong shape, mixed dtypes, or an unknown name.
        TypeError: something that is not an array.
    """
    z = _logits(w, b, X)
    require("y", y, (len(X),), X.dtype)
    return np.add.reduce(loss_named(cost).value(z, y)) / divisor(reduction, len(X))


def value_and_grad(
    w: Array,
    b: Any,
    X: Array,
    y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
) -> tuple[Any, tuple[Array, Any]]:
    """Return J and (dJ/dw, dJ/db), of shapes (n,) and (). The arguments are those of `loss`.

    >>> X, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.0, 1.0])
    >>> J, (dw, db) = value_and_grad(np.zeros(2), 0.0, X, y)
    >>> dw, db
    (array([-0.5, -0.5]), np.float64(0.0))
    """
    J = loss(w, b, X, y, cost=cost, reduction=reduction)
    m = divisor(reduction, len(X))
    p_minus_y = loss_named(cost).residual(_logits(w, b, X), y)
    dw = matmul(X.T, p_minus_y) / m
    db = np.add.reduce(p_minus_y) / m
    return J, (dw, db)


def _logits(w: Array, b: Any, X: Array) -> Array:
    """Return z = X w + b, after checking all three."""
    _, n = batch_of(X)
    require("w", w, (n,), X.dtype)
    b = np.asarray(b)
    require("b", b, (), X.dtype)
    return np.asarray(matmul(X, w) + b)
