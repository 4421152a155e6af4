"""The table of gates.

One row a gate: its expression, its forward value, and one rule an input. A rule returns
g times the local derivative, where

    f        the gate's output
    x, y     its inputs, arrays or nodes, broadcast to the shape of f where it is entrywise
    n        its parameter: the exponent of a power, the shape to broadcast or sum to
    g        dC/df, of the shape of f.

    (C = C(f(x)):  dC/dx = g df/dx;  Griewank and Walther 2008, chapter 3)

The rules use nothing but operators and gates, so one rule serves values and circuits. Nothing in
them cancels that does not cancel in the derivative itself:

    sigma'(x)    = sigma(x) sigma(-x)            not a (1 - a)
    tanh'(x)     = 4 sigma(2 x) sigma(-2 x)      not 1 - tanh(x)^2
    softplus'(x) = sigma(x).

A bias is added by broadcasting: `z + b` is `z + broadcast_to(b, z.shape)`, two gates.
"""

# ruff: noqa: ARG005 - every rule takes g, f and the inputs, whether it needs them or not

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from reference_models import activations
from reference_models.node import GATES, Gate, Shape

if TYPE_CHECKING:
    from collections.abc import Callable


def broadcast_to_shape(x: Any, shape: Shape) -> Any:
    """Repeat x along new and along stretched axes."""
    return np.broadcast_to(x, shape, subok=True)


def sum_to_shape(x: Any, shape: Shape) -> Any:
    """Sum x over the axes along which `broadcast_to_shape` would repeat: its transpose."""
    new = x.ndim - len(shape)
    stretched = (new + i for i, size in enumerate(shape) if size == 1)
    summed = x.sum(axis=(*range(new), *stretched), keepdims=True)
    return summed.reshape(shape)


# --- shapes ---------------------------------------------------------------------------------------


def _entrywise_shape(*shapes_and_parameters: Any) -> Shape:
    return np.broadcast_shapes(*(s for s in shapes_and_parameters if isinstance(s, tuple)))


def _scalar_shape(_: Shape) -> Shape:
    return ()


def _matmul_shape(x: Shape, y: Shape) -> Shape:
    if not (len(x) == len(y) == 2 and x[1] == y[0]):
        raise ValueError("must be (m, k) and (k, n)")
    return x[0], y[1]


def _transposed_shape(x: Shape) -> Shape:
    return x[::-1]


def _stretches(x: Shape, shape: Shape) -> bool:
    """Tell whether x broadcasts to this shape."""
    aligned = zip(reversed(x), reversed(shape), strict=False)
    return len(x) <= len(shape) and all(size in (1, target) for size, target in aligned)


def _broadcast_shape(x: Shape, shape: Shape) -> Shape:
    if not _stretches(x, shape):
        raise ValueError(f"cannot be broadcast to {shape}")
    return shape


def _summed_shape(x: Shape, shape: Shape) -> Shape:
    if not _stretches(shape, x):
        raise ValueError(f"cannot be summed to {shape}")
    return shape


# --- the table ------------------------------------------------------------------------------------


def _rows(shape: Callable[..., Shape], *, entrywise: bool = False) -> Callable[..., Gate]:
    """Return what makes the rows of gates whose output has this shape."""

    def row(expression: str, forward: Callable[..., Any], *rules: Callable[..., Any]) -> Gate:
        gate = Gate(expression, forward, shape, rules, entrywise)
        GATES[gate.name] = gate
        return gate

    return row


_each, _reduce = _rows(_entrywise_shape, entrywise=True), _rows(_scalar_shape)
_matmul, _transpose = _rows(_matmul_shape), _rows(_transposed_shape)
_stretch, _unstretch = _rows(_broadcast_shape), _rows(_summed_shape)

# The table is read by its columns: gate, expression, forward value, a rule for each input.
# fmt: off
sigmoid: Gate       # declared ahead: they enter the rules of gates above their own
sum_to: Gate
broadcast_to: Gate

add       = _each("x + y",  np.add,      lambda g, f, x, y: g,     lambda g, f, x, y: g)
subtract  = _each("x - y",  np.subtract, lambda g, f, x, y: g,     lambda g, f, x, y: -g)
multiply  = _each("x * y",  np.multiply, lambda g, f, x, y: g * y, lambda g, f, x, y: g * x)
divide    = _each("x / y",  np.divide,   lambda g, f, x, y: g / y, lambda g, f, x, y: -g * f / y)
negate    = _each("-x",     np.negative, lambda g, f, x: -g)
power     = _each("x ** n", np.power,    lambda g, f, x, n: g * (n * x ** (n - 1)))

exp       = _each("exp(x)",      np.exp,               lambda g, f, x: g * f)
log       = _each("log(x)",      np.log,               lambda g, f, x: g / x)
sigmoid   = _each("sigmoid(x)",  activations.sigmoid,  lambda g, f, x: g * (f * sigmoid(-x)))
softplus  = _each("softplus(x)", activations.softplus, lambda g, f, x: g * sigmoid(x))
tanh      = _each("tanh(x)",     np.tanh,
                  lambda g, f, x: g * (4 * sigmoid(2 * x) * sigmoid(-2 * x)))

total     = _reduce("sum(x)",  np.sum,  lambda g, f, x: broadcast_to(g, x.shape))
mean      = _reduce("mean(x)", np.mean, lambda g, f, x: broadcast_to(g / x.size, x.shape))

matmul    = _matmul("x @ y", np.matmul, lambda g, f, x, y: g @ y.T, lambda g, f, x, y: x.T @ g)
transpose = _transpose("x.T", np.transpose, lambda g, f, x: g.T)

broadcast_to = _stretch("broadcast(x, n)", broadcast_to_shape,
                        lambda g, f, x, n: sum_to(g, x.shape))
sum_to       = _unstretch("sum(x, n)", sum_to_shape,
                          lambda g, f, x, n: broadcast_to(g, x.shape))
# fmt: on
