r"""C29: one gradient, several ways to use it.

On the convex loss of `landscape`, with g = dC/dtheta by backprop and lambda = 1/L:

    gradient descent   theta <- theta - lambda g
    momentum           v <- beta v - lambda g,  theta <- theta + v             (Polyak 1964)
    BFGS               p = -B g,  theta <- theta + t p,  t halved until C falls enough;
                       B <- (1 - r s y^T) B (1 - r y s^T) + r s s^T,  r = 1 / y^T s
                       with s the step and y the change of g     (Nocedal and Wright 2006, 6.1)
    SGD                gradient descent with g of a batch, lambda falling as 1/epoch

The first three stop where |g| is below a tolerance. That this is the minimum is not taken from
backprop: the derivatives there are taken again by differences of the loss. SGD comes near it: what
is left of C - min C is compared with what there was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
from gradcheck.studies.report.textbook.landscape import (
    Array,
    Convex,
    Parameters,
    parameters_of,
    tumours,
    vector,
)
from gradcheck.studies.report.textbook.witness import differences
from reference_models import sigmoid_network
from reference_models.training import batches, lipschitz_constant

TOLERANCE = 1e-8
MOST = 3000
BETA = 0.9
BATCH, EPOCHS = 32, 30
LEFT = 0.01
"""Of C - min C at the start, what SGD may leave."""

ENOUGH = 1e-4
"""Of what the slope promises, how much C has to fall in a step of BFGS (Armijo 1966)."""

ValueAndGrad = Callable[..., tuple[Any, Parameters]]
Value = Callable[[Array], tuple[float, Array]]


class End(NamedTuple):
    """Where a method came to rest, and how many gradients it took."""

    theta: Array
    gradients: int


def measure(
    settings: Settings, value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad
) -> Evidence:
    """Descend in four ways with one gradient."""
    convex = tumours()
    rate = 1 / lipschitz_constant(convex.X)

    def value(theta: Array, rows: Any = slice(None)) -> tuple[float, Array]:
        parameters = parameters_of(theta, convex.start)
        C, g = value_and_grad(parameters, convex.X[rows], convex.Y[rows])
        return float(C), vector(g)

    start = vector(convex.start)
    ends = {
        "gradient descent": momentum(value, start, rate, 0.0),
        "momentum": momentum(value, start, rate, BETA),
        "BFGS": bfgs(value, start),
    }
    least = min(_loss(convex)(end.theta) for end in ends.values())
    found = [_at_rest(name, end, convex, settings.seed) for name, end in ends.items()]
    return Evidence((*found, _sgd(value, convex, rate, least, settings.seed)))


def momentum(value: Value, theta: Array, rate: float, beta: float) -> End:
    """Descend with momentum beta; 0 is gradient descent."""
    v, g, n = np.zeros_like(theta), value(theta)[1], 1
    while np.linalg.norm(g) > TOLERANCE and n < MOST:
        v = beta * v - rate * g
        theta = theta + v
        g, n = value(theta)[1], n + 1
    return End(theta, n)


def bfgs(value: Value, theta: Array) -> End:
    """Descend along -B g, B an estimate of the inverse Hessian."""
    B, (C, g), n = np.eye(theta.size), value(theta), 1
    while np.linalg.norm(g) > TOLERANCE and n < MOST:
        p, t = -B @ g, 1.0
        while t > TOLERANCE and value(theta + t * p)[0] > C + ENOUGH * t * (g @ p):
            t, n = t / 2, n + 1
        s, before = t * p, g
        theta = theta + s
        (C, g), n = value(theta), n + 1
        y = g - before
        if y @ s > 0:
            E = np.eye(theta.size) - np.outer(s, y) / (y @ s)
            B = E @ B @ E.T + np.outer(s, s) / (y @ s)
    return End(theta, n)


def _loss(convex: Convex) -> Callable[[Array], float]:
    def loss(theta: Array) -> float:
        parameters = parameters_of(theta, convex.start)
        return float(sigmoid_network.loss(parameters, convex.X, convex.Y))

    return loss


def _at_rest(name: str, end: End, convex: Convex, seed: int) -> Finding:
    D, bound = differences(_loss(convex), end.theta, seed=seed)
    largest = float(np.max(np.abs(D)))
    return Finding(
        "{name} comes to rest after {gradients} gradients; by differences of the loss no "
        "derivative there is above {largest}, their error bounds being up to {bound}",
        bool(np.all(np.abs(D) <= bound + TOLERANCE)) and end.gradients < MOST,
        {"name": name},
        {"gradients": end.gradients, "largest": largest, "bound": float(np.max(bound))},
    )


def _sgd(
    value: Callable[..., Any], convex: Convex, rate: float, least: float, seed: int
) -> Finding:
    theta, C, steps = vector(convex.start), _loss(convex), 0
    before = C(theta) - least
    for epoch in range(EPOCHS):
        for rows in batches(len(convex.X), BATCH, seed=seed, epoch=epoch):
            theta = theta - rate / (1 + epoch) * value(theta, rows)[1]
            steps += 1
    left = (C(theta) - least) / before
    return Finding(
        "SGD in batches of {batch}, its rate falling, leaves {left} of the loss that there was "
        "above the minimum, after {steps} steps",
        bool(left < LEFT),
        {"batch": BATCH, "steps": steps},
        {"left": float(left)},
    )


CLAIM = Claim(
    id="C29",
    title="It works with any optimiser",
    statement="It works well with any optimisation algorithm such as gradient descent or SGD",
    how="logistic regression on breast cancer: gradient descent, momentum, BFGS and SGD with the "
    "same gradient, and the derivatives at the end taken again by differences",
    source="Rumelhart, Hinton and Williams 1986; Nocedal and Wright 2006, chapter 6",
    measure=measure,
)
