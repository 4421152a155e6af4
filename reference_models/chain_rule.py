"""Backpropagation neuron by neuron and example by example, as the chain rule is written on paper.

Symbols, for one example, layers l = 1..L and neurons j, k counted from 0:

    a[0]               the inputs
    w[l][j][k]         weight from neuron k of layer l-1 to neuron j of layer l
    z[l][j] = sum_k w[l][j][k] a[l-1][k] + b[l][j]
    a[l][j] = sigma(z[l][j])
    delta[l][j] = dC/dz[l][j], the error of the neuron

The four equations (Rumelhart, Hinton and Williams 1986; Nielsen 2015, chapter 2, BP1-BP4):

    delta[L][j]     = dC/dz[L][j]                                          (1)
    delta[l-1][k]   = (sum_j delta[l][j] w[l][j][k]) sigma'(z[l-1][k])     (2)
    dC/db[l][j]     = delta[l][j]                                          (3)
    dC/dw[l][j][k]  = delta[l][j] a[l-1][k]                                (4)

The gradient of the batch is the sum over its examples, divided by m for `mean`.

This is the second derivation, made to be compared with `sigmoid_network`: it shares with it the
scalar functions and nothing of the linear algebra. Every number is a scalar of the arrays' dtype.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from reference_models.activations import sigmoid, sigmoid_prime
from reference_models.edges import Parameters, network_sizes
from reference_models.losses import Loss, divisor, loss_named

Array = npt.NDArray[Any]
Numbers = list[Any]
Gradient = list[tuple[Array, Array]]


def loss(
    parameters: Parameters,
    X: Array,
    Y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
) -> Any:
    """Return the loss C, a scalar of the arrays' dtype.

    Args:
        parameters: (W_l, b_l) per layer, of shapes (n_l, n_{l-1}) and (n_l,).
        X: inputs, (m, n_0).
        Y: targets, (m, n_L).
        cost: a name in `losses.LOSSES`.
        reduction: `mean` or `sum` over the examples.

    Raises:
        ValueError: a wrong shape, mixed dtypes, or an unknown name.
        TypeError: something that is not an array.
    """
    network_sizes(parameters, X, Y)
    C = loss_named(cost)
    total = X.dtype.type(0)
    for x, y in zip(X, Y, strict=True):
        z, _ = _forward(parameters, list(x))
        for z_j, y_j in zip(z[-1], y, strict=True):
            total = total + C.value(z_j, y_j)
    return total / divisor(reduction, len(X))


def value_and_grad(
    parameters: Parameters,
    X: Array,
    Y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
) -> tuple[Any, Gradient]:
    """Return the loss C and [(dC/dW_l, dC/db_l), ...]. The arguments are those of `loss`."""
    value = loss(parameters, X, Y, cost=cost, reduction=reduction)
    gradient = [(np.zeros_like(W), np.zeros_like(b)) for W, b in parameters]
    for x, y in zip(X, Y, strict=True):
        _add_example(gradient, parameters, list(x), list(y), loss_named(cost))
    m = divisor(reduction, len(X))
    return value, [(dW / m, db / m) for dW, db in gradient]


def _forward(parameters: Parameters, x: Numbers) -> tuple[list[Numbers], list[Numbers]]:
    """Return z and a of every layer for one example; z[0] is empty, as layer 0 has none."""
    z: list[Numbers] = [[]]
    a: list[Numbers] = [x]
    for W, b in parameters:
        z_l = []
        for j in range(len(b)):
            z_j = W[j, 0] * a[-1][0]
            for k in range(1, len(a[-1])):
                z_j = z_j + W[j, k] * a[-1][k]
            z_l.append(z_j + b[j])
        z.append(z_l)
        a.append([sigmoid(z_j) for z_j in z_l])
    return z, a


def _add_example(
    gradient: Gradient, parameters: Parameters, x: Numbers, y: Numbers, C: Loss
) -> None:
    """Add one example's dC/dw and dC/db to `gradient`."""
    z, a = _forward(parameters, x)
    delta = [C.residual(z_j, y_j) for z_j, y_j in zip(z[-1], y, strict=True)]  # (1)
    for l in range(len(parameters), 0, -1):  # noqa: E741  (the layer's symbol)
        dW, db = gradient[l - 1]
        for j, delta_j in enumerate(delta):
            db[j] += delta_j  # (3)
            for k, a_k in enumerate(a[l - 1]):
                dW[j, k] += delta_j * a_k  # (4)
        if l > 1:
            delta = _errors_below(delta, parameters[l - 1][0], z[l - 1])


def _errors_below(delta: Numbers, W: Array, z_below: Numbers) -> Numbers:
    """Equation (2): the errors of layer l-1 from those of layer l."""
    errors = []
    for k, z_k in enumerate(z_below):
        total = delta[0] * W[0, k]
        for j in range(1, len(delta)):
            total = total + delta[j] * W[j, k]
        errors.append(total * sigmoid_prime(z_k))
    return errors
