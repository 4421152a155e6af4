"""A backpropagation engine made of four functions, any of which may be wrong."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradcheck.arrays import Array
from gradcheck.engines.base import Engine, engine_from_callable
from gradcheck.problem import Gradient, Problem

Function = Callable[[Array], Array]


def sigmoid(z: Array) -> Array:
    """1 / (1 + e^-z) for either sign."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(z.dtype)


def a_one_minus_a(z: Array, a: Array) -> Array:
    """The slope of textbooks."""
    return a * (1 - a)


def p_minus_y(p: Array, y: Array, z: Array) -> Array:
    """The residual of textbooks."""
    return p - y


def softplus_loss(p: Array, y: Array, z: Array) -> Array:
    """The cross-entropy of logits."""
    return np.logaddexp(0, z) - y * z


def log_loss(p: Array, y: Array, z: Array) -> Array:
    """The cross-entropy of textbooks."""
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def planted(
    sig: Function = sigmoid,
    slope: Callable[[Array, Array], Array] = a_one_minus_a,
    residual: Callable[[Array, Array, Array], Array] = p_minus_y,
    loss: Callable[[Array, Array, Array], Array] = softplus_loss,
    **claims: Any,
) -> Engine:
    """Make an engine of a sigmoid, its slope, the residual, and the cross-entropy.

    Args:
        sig: of z.
        slope: of z and a.
        residual: of p, y and z.
        loss: of p, y and z, entry by entry.
        claims: of the engine; its loss is the cross-entropy, unless `losses` says more.
    """

    def value_and_grad(problem: Problem) -> tuple[float, Gradient]:
        network = problem.architecture
        share = 1 / problem.batch if network.reduction == "mean" else 1
        z, a = _forward(problem, sig)
        p, y = a[-1], problem.targets
        with np.errstate(all="ignore"):
            if network.loss == "quadratic":
                entries = (p - y) ** 2 / 2
                delta = (p - y) * slope(z[-1], p) * share
            else:
                entries = loss(p, y, z[-1])
                delta = residual(p, y, z[-1]) * share
            gradient: Gradient = []
            for k in reversed(range(len(z))):
                gradient.append((delta.T @ a[k], delta.sum(axis=0)))
                delta = delta @ problem.weights[k]
                if k:
                    delta = delta * slope(z[k - 1], a[k])
        return float(np.sum(entries) * share), gradient[::-1]

    for name, value in {"losses": ("cross_entropy",), **claims}.items():
        setattr(value_and_grad, name, value)
    return engine_from_callable(value_and_grad, "planted")


def _forward(problem: Problem, sig: Function) -> tuple[Sequence[Array], Sequence[Array]]:
    z: list[Array] = []
    a = [problem.inputs]
    with np.errstate(all="ignore"):
        for W, b in zip(problem.weights, problem.biases, strict=True):
            z.append(a[-1] @ W.T + b)
            a.append(sig(z[-1]))
    return z, a
