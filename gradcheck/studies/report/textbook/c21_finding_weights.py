r"""C21: backpropagation is said to find, or to update, the weights that minimise the error.

Symbols: C the convex loss of `landscape`, theta* its minimum, g = dC/dtheta. Three things are told
apart:

    backprop     theta -> (C, g)                       nothing else
    an update    theta' = theta + d(g, what came before)
    a search     updates until |g| is below a tolerance

Backprop is run with its parameters kept aside, the search with several updates that use its
gradient, and with a gradient that is not backprop's:

    D_j = (C(theta + h e_j) - C(theta - h e_j)) / (2 h)

Around theta* the curvature is at least mu, the least eigenvalue of the Hessian there, but for the
third derivative: two points whose gradients are at most eps long are at most 2 eps / mu apart, for
which twice that is allowed. (Rumelhart, Hinton and Williams 1986; that backpropagation is the
gradient alone and not the learning: Goodfellow, Bengio and Courville 2016, section 6.5.)
"""

from __future__ import annotations

import numpy as np

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c29_optimisers import MOST, TOLERANCE, End, bfgs, momentum
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.curves import Study, ValueAndGrad, digits
from gradcheck.studies.report.textbook.landscape import (
    Array,
    Convex,
    convex_loss,
    eigensystem,
    parameters_of,
    tumours,
    vector,
)
from gradcheck.studies.report.textbook.witness import differences
from reference_models import sigmoid_network
from reference_models.training import lipschitz_constant

CALLS = 100
BETA = 0.9
H = 2.0**-17


def measure(
    settings: Settings, value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad
) -> Evidence:
    """Run backprop alone, then searches that use its gradient or another one."""
    convex = tumours()
    rate = 1 / lipschitz_constant(convex.X)
    start, J = vector(convex.start), convex_loss(convex.start, convex)

    def by_backprop(theta: Array) -> tuple[float, Array]:
        C, g = value_and_grad(parameters_of(theta, convex.start), convex.X, convex.Y)
        return float(C), vector(g)

    def by_differences(theta: Array) -> tuple[float, Array]:
        steps = H * np.eye(theta.size)
        return J(theta), np.array([J(theta + h) - J(theta - h) for h in steps]) / (2 * H)

    plain = momentum(by_backprop, start, rate, 0.0)
    others = {
        "momentum": momentum(by_backprop, start, rate, BETA),
        "BFGS": bfgs(by_backprop, start),
    }
    other_gradient = momentum(by_differences, start, rate, BETA)
    return Evidence(
        (
            _at_rest(plain, convex, settings.seed),
            _alone(convex, digits(settings.seed), value_and_grad),
            _several(plain, others, convex),
            _without(plain, other_gradient, convex),
        )
    )


def _at_rest(end: End, convex: Convex, seed: int) -> Finding:
    """Descent with backprop's gradient ends where no derivative is left."""
    J = convex_loss(convex.start, convex)
    D, bound = differences(J, end.theta, seed=seed)
    return Finding(
        "logistic regression: gradient descent with backprop's gradient brings the loss from "
        "{before} to {after} in {gradients} steps; by differences no derivative there is above "
        "{largest}, the error bounds being up to {bound}: the weights that minimise the error",
        bool(np.all(np.abs(D) <= bound + TOLERANCE)) and end.gradients < MOST,
        {},
        {
            "before": J(vector(convex.start)),
            "after": J(end.theta),
            "gradients": end.gradients,
            "largest": float(np.max(np.abs(D))),
            "bound": float(np.max(bound)),
        },
    )


def _alone(convex: Convex, images: Study, value_and_grad: ValueAndGrad) -> Finding:
    """Call backprop again and again, with nothing that uses its gradient."""
    same = n = 0
    for X, Y, start in (convex, (images.X[:16], images.Y[:16], images.start)):
        theta = [(W.copy(), b.copy()) for W, b in start]
        first = value_and_grad(theta, X, Y)[0]
        for _ in range(CALLS - 1):
            last = value_and_grad(theta, X, Y)[0]
        same += int(np.sum(vector(theta) == vector(start))) if last == first else 0
        n += vector(start).size
    return Finding(
        "backprop alone updates nothing: after {calls} calls on each of two models {same} of {n} "
        "weights and biases have the bits that they had, and the loss is the same",
        same == n,
        {"calls": CALLS, "same": same, "n": n},
        contradicts=True,
    )


def _several(plain: End, others: dict[str, End], convex: Convex) -> Finding:
    apart = {name: _apart(plain, end) for name, end in others.items()}
    told = ", ".join(
        f"{name} in {end.gradients}, {apart[name]:.1g} from it" for name, end in others.items()
    )
    allowed = _allowed(plain, convex)
    return Finding(
        "which update is made with the gradient is another's choice: gradient descent is at the "
        "minimum after {gradients} gradients; {told}; {allowed} is allowed",
        all(distance <= allowed for distance in apart.values())
        and all(end.gradients < plain.gradients < MOST for end in others.values()),
        {},
        {"gradients": plain.gradients, "told": told, "allowed": allowed},
        contradicts=True,
    )


def _without(plain: End, other: End, convex: Convex) -> Finding:
    allowed, distance = _allowed(plain, convex), _apart(plain, other)
    return Finding(
        "the same weights are found without backprop: momentum with central differences in the "
        "place of the gradient ends {distance} from them ({allowed} allowed), after {steps} steps "
        "and {passes:,} forward passes",
        distance <= allowed and other.gradients < MOST,
        {},
        {
            "distance": distance,
            "allowed": allowed,
            "steps": other.gradients,
            "passes": 2 * plain.theta.size * other.gradients,
        },
        contradicts=True,
    )


def _apart(one: End, other: End) -> float:
    return float(np.linalg.norm(one.theta - other.theta))


def _allowed(end: End, convex: Convex) -> float:
    """Return 4 eps / mu."""
    mu = eigensystem(parameters_of(end.theta, convex.start), convex.X)[0][0]
    return float(4 * TOLERANCE / mu)


CLAIM = Claim(
    id="C21",
    title="Backprop finds the minimising weights",
    statement="Backpropagation finds, or updates, the weights that minimise the error",
    how="backprop called alone; gradient descent, momentum and BFGS with its gradient on a convex "
    "loss; the same search with differences in its place",
    precise="backpropagation returns a gradient and leaves the weights as they are; an optimiser "
    "updates them with it, and what is found is found by the optimiser: with another update, or "
    "with the same gradient from elsewhere, the same minimum",
    source="Rumelhart, Hinton and Williams 1986; Goodfellow, Bengio and Courville 2016, "
    "section 6.5",
    measure=measure,
    expected=REFINED,
)
