"""The losses of many sigmoid networks of one architecture at once, on one batch.

Symbols: K networks, k = 1..K; W_l of shape (K, n_l, n_{l-1}), b_l (K, n_l), one network a slice;
inputs X (m, n_0), targets Y (m, n_L).

    z_l[k] = a_{l-1}[k] W_l[k]^T + b_l[k],   a_l[k] = sigma(z_l[k]),   a_0[k] = X

Finite differences ask for the loss at many weights: a product of stacks of matrices costs one
call where they would take K.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_models.activations import sigmoid
from reference_models.losses import divisor, loss_named
from reference_models.products import matmul

Array = npt.NDArray[Any]

AT_ONCE = 2**15
"""Activations of one layer that are held at once, to fit the caches; more networks are taken in
parts."""


def losses(
    parameters: list[tuple[Array, Array]],
    X: Array,
    Y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
) -> Array:
    """Return the loss C of each of K networks, (K,), in the arrays' dtype.

    Args:
        parameters: (W_l, b_l) per layer, of shapes (K, n_l, n_{l-1}) and (K, n_l).
        X: inputs, (m, n_0).
        Y: targets, (m, n_L).
        cost: a name in `losses.LOSSES`.
        reduction: `mean` or `sum` over the examples.

    Raises:
        ValueError: shapes that do not fit each other, or an unknown name.

    >>> losses([(np.zeros((2, 1, 3)), np.zeros((2, 1)))], np.ones((4, 3)), np.ones((4, 1)))
    array([0.69314718, 0.69314718])
    """
    K = _count(parameters, X, Y)
    widest = max(b.shape[1] for _, b in parameters)
    step = max(1, AT_ONCE // max(1, len(X) * widest))
    parts = [
        _losses([(W[i : i + step], b[i : i + step]) for W, b in parameters], X, Y, cost, reduction)
        for i in range(0, K, step)
    ]
    return np.concatenate(parts) if parts else np.empty(0, X.dtype)


def _losses(
    parameters: list[tuple[Array, Array]], X: Array, Y: Array, cost: str, reduction: str
) -> Array:
    a = X
    for l, (W, b) in enumerate(parameters, start=1):  # noqa: E741  (the layer's symbol)
        z = matmul(a, W.transpose(0, 2, 1)) + b[:, None, :]
        a = sigmoid(z) if l < len(parameters) else z
    C = loss_named(cost).value(z, np.broadcast_to(Y, z.shape))
    total = np.add.reduce(C.reshape(len(C), -1), axis=1)
    return np.asarray(total / divisor(reduction, len(X)))


def _count(parameters: list[tuple[Array, Array]], X: Array, Y: Array) -> int:
    """Return K, once all shapes fit."""
    if not parameters:
        raise ValueError("parameters=[] must have at least one layer")
    K = len(parameters[0][0])
    sizes = (X.shape[1], *(b.shape[1] for _, b in parameters))
    for l, (n_in, n) in enumerate(pairwise(sizes), start=1):  # noqa: E741  (the layer's symbol)
        W, b = parameters[l - 1]
        if W.shape != (K, n, n_in) or b.shape != (K, n):
            raise ValueError(
                f"W{l}.shape={W.shape}, b{l}.shape={b.shape} must be {(K, n, n_in)}, {(K, n)}"
            )
    if Y.shape != (len(X), sizes[-1]):
        raise ValueError(f"Y.shape={Y.shape} must be {(len(X), sizes[-1])}")
    return K
