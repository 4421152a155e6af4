"""Logistic regression and the sigmoid network written as circuits.

Symbols as in `logistic_regression` and `sigmoid_network`. The losses are written so that nothing
cancels where a target is 0 or 1 (compare `losses`):

    cross-entropy    C = (1 - Y) softplus(z) + Y softplus(-z)
    quadratic        C = 1/2 (a - Y)^2,   a - Y = (1 - Y) sigma(z) - Y sigma(-z)

and their derivatives are left to the circuit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reference_models.circuit import Circuit, variable
from reference_models.edges import Parameters, batch_of, network_sizes, require
from reference_models.gates import sigmoid, softplus
from reference_models.losses import divisor, loss_named
from reference_models.node import Node

Array = npt.NDArray[Any]
Gradient = list[tuple[Array, Array]]

MODES = ("symbol-to-number", "symbol-to-symbol")


class LossCircuit(NamedTuple):
    """The circuit of a loss and its nodes by their symbols, layer l = 1 at index 0.

    The variables are named X, Y, W1, b1, W2, ... (w and b in logistic regression).
    """

    circuit: Circuit
    X: Node
    Y: Node
    parameters: tuple[Node, ...]
    z: tuple[Node, ...]
    a: tuple[Node, ...]


def sigmoid_network(
    sizes: Sequence[int], m: int, *, cost: str = "cross_entropy", reduction: str = "mean"
) -> LossCircuit:
    """Return the circuit of the network's loss.

    Args:
        sizes: layer sizes (n_0, ..., n_L), L >= 1.
        m: number of examples.
        cost: a name in `losses.LOSSES`.
        reduction: `mean` or `sum` over the examples.

    Raises:
        ValueError: fewer than two sizes, a size or m below 1, or an unknown name.

    >>> print([f"{p.shape}" for p in sigmoid_network((3, 2, 1), 5).parameters])
    ['(2, 3)', '(2,)', '(1, 2)', '(1,)']
    """
    if len(sizes) < 2:
        raise ValueError(f"sizes={tuple(sizes)} must be two or more numbers")
    X, Y = variable("X", (m, sizes[0])), variable("Y", (m, sizes[-1]))
    parameters, z, a = [], [], [X]
    for l, (n_in, n) in enumerate(pairwise(sizes), start=1):  # noqa: E741  (the layer's symbol)
        W, b = variable(f"W{l}", (n, n_in)), variable(f"b{l}", (n,))
        z.append(a[-1] @ W.T + b)
        a.append(sigmoid(z[-1]))
        parameters += [W, b]
    C = _loss(z[-1], Y, cost, reduction)
    return LossCircuit(Circuit(C), X, Y, tuple(parameters), tuple(z), tuple(a[1:]))


def logistic_regression(
    n: int, m: int, *, cost: str = "cross_entropy", reduction: str = "mean"
) -> LossCircuit:
    """Return the circuit of J for n features and m examples: w is (n, 1), b (), Y (m, 1).

    Raises:
        ValueError: n or m below 1, or an unknown name.
    """
    X, Y = variable("X", (m, n)), variable("Y", (m, 1))
    w, b = variable("w", (n, 1)), variable("b")
    z = X @ w + b
    J = _loss(z, Y, cost, reduction)
    return LossCircuit(Circuit(J), X, Y, (w, b), (z,), (sigmoid(z),))


def value_and_grad(
    parameters: Parameters,
    X: Array,
    Y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
    mode: str = "symbol-to-number",
) -> tuple[Any, Gradient]:
    """Return the loss C and its gradient [(dC/dW_l, dC/db_l), ...] from the network's circuit.

    Args:
        parameters: (W_l, b_l) per layer, of shapes (n_l, n_{l-1}) and (n_l,).
        X: inputs, (m, n_0).
        Y: targets, (m, n_L).
        cost: a name in `losses.LOSSES`.
        reduction: `mean` or `sum` over the examples.
        mode: `symbol-to-number` or `symbol-to-symbol`.

    Raises:
        ValueError: a wrong shape, mixed dtypes, or an unknown name.
        TypeError: something that is not an array.
    """
    sizes = network_sizes(parameters, X, Y)
    model = sigmoid_network(sizes, len(X), cost=cost, reduction=reduction)
    values = network_values(parameters, X, Y)
    C, blocks = _differentiated(model, values, mode)
    return C, list(zip(blocks[::2], blocks[1::2], strict=True))


def logistic_value_and_grad(
    w: Array,
    b: Any,
    X: Array,
    y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
    mode: str = "symbol-to-number",
) -> tuple[Any, tuple[Array, Any]]:
    """Return J and (dJ/dw, dJ/db), of shapes (n,) and (), from the circuit.

    Args:
        w: weights, (n,).
        b: bias, 0-d.
        X: inputs, (m, n).
        y: targets, (m,).
        cost: a name in `losses.LOSSES`.
        reduction: `mean` or `sum` over the examples.
        mode: `symbol-to-number` or `symbol-to-symbol`.

    Raises:
        ValueError: a wrong shape, mixed dtypes, or an unknown name.
        TypeError: something that is not an array.

    >>> X, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0.0, 1.0])
    >>> J, (dw, db) = logistic_value_and_grad(np.zeros(2), 0.0, X, y)
    >>> dw, db
    (array([-0.5, -0.5]), np.float64(0.0))
    """
    m, n = batch_of(X)
    b = np.asarray(b)
    for name, array, shape in (("w", w, (n,)), ("b", b, ()), ("y", y, (m,))):
        require(name, array, shape, X.dtype)
    model = logistic_regression(n, m, cost=cost, reduction=reduction)
    values = {"w": w[:, None], "b": b, "X": X, "Y": y[:, None]}
    J, (dw, db) = _differentiated(model, values, mode)
    return J, (dw[:, 0], db[()])


def network_values(parameters: Parameters, X: Array, Y: Array) -> dict[str, Array]:
    """Return the arrays of a network by the names of its circuit's variables."""
    values = {"X": X, "Y": Y}
    for l, (W, b) in enumerate(parameters, start=1):  # noqa: E741  (the layer's symbol)
        values |= {f"W{l}": W, f"b{l}": b}
    return values


def _loss(z: Node, Y: Node, cost: str, reduction: str) -> Node:
    """Return C, summed over outputs and examples and divided by m for `mean`."""
    return _VALUES[loss_named(cost).name](z, Y).sum() / divisor(reduction, z.shape[0])


def _cross_entropy(z: Node, Y: Node) -> Node:
    C: Node = (1.0 - Y) * softplus(z) + Y * softplus(-z)
    return C


def _quadratic(z: Node, Y: Node) -> Node:
    a_minus_Y: Node = (1.0 - Y) * sigmoid(z) - Y * sigmoid(-z)
    return a_minus_Y**2 / 2.0


_VALUES: dict[str, Callable[[Node, Node], Node]] = {
    "cross_entropy": _cross_entropy,
    "quadratic": _quadratic,
}


def _differentiated(
    model: LossCircuit, values: dict[str, Array], mode: str
) -> tuple[Any, list[Array]]:
    """Return C and dC/dp for every parameter p, by either mode."""
    if mode not in MODES:
        raise ValueError(f"mode={mode!r} must be one of {', '.join(MODES)}")
    C = model.circuit.outputs[0]
    if mode == "symbol-to-number":
        found = model.circuit.forward(values)
        g = model.circuit.backward(found, model.parameters)
        return found[C], [np.asarray(g[p]) for p in model.parameters]
    gradient = model.circuit.gradient(model.parameters)
    value, *blocks = Circuit(C, *gradient.outputs).evaluate(values)
    return value, [np.asarray(block) for block in blocks]
