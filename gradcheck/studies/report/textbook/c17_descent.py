r"""C17: training moves down to a local minimum; the total error can be traced to each weight.

Symbols: C the loss of the whole set, g its gradient, theta' = theta - lambda g, e_j a unit vector.

    C(theta') - C(theta)                    = -lambda |g|^2 + R(lambda)
    C(theta - lambda g_j e_j) - C(theta)    = -lambda g_j^2 + R_j(lambda)

with R and every R_j of order lambda^2 (Taylor's theorem): R is fitted as lambda^p, and so is the
largest |R_j| / g_j^2. The next term, R = A lambda^2 (1 + k lambda), bends the line: over seven
rates, each half the one before, the first being lambda_1, the fitted p is off by
0.21 k lambda_1, while the local exponent changes by 0.70 k lambda_1 from one end to the other.
Half of that change is stated as a systematic error.

At the saddle of `landscape` no eigenvalue of the Hessian is below -sigma_1 / 4: what rounding
leaves of the gradient grows by at most 1 + lambda sigma_1 / 4 in a step.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradcheck.studies.report.fits import PowerLaw, fit_power_law
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.curves import (
    HIDDEN,
    KINDS,
    NAME,
    RATES,
    Array,
    Parameters,
    Study,
    Train,
    ValueAndGrad,
    breast_cancer,
    curves,
    digits,
    figure,
    frame,
)
from gradcheck.studies.report.textbook.landscape import (
    down_from_saddle,
    eigensystem,
    parameters_of,
    rises_around,
    saddle,
    saddle_rounding,
    tumours,
    vector,
)
from gradcheck.studies.report.textbook.witness import U
from gradcheck.studies.report.words import plus_minus
from reference_models import sigmoid_network
from reference_models.training import (
    contributions,
    gradient_descent,
    lipschitz_constant,
    norm,
    stochastic_gradient_descent,
)

Contribution = Callable[[Parameters, float], Parameters]

TOLERANCE = 1e-8
ITERATIONS = 3000
H = 2.0**-7
SMALL_RATE, SMALL_STEPS = 0.1, 40
TOGETHER_RATES = 2.0 ** -np.arange(7, 14)
ALONE_RATES = 2.0 ** -np.arange(4, 11)
BATCH = 64
STEEPEST = 100
"""Weights that are moved alone, and the examples on which they are."""
SINGLE_STEPS = 200
SADDLE_STEPS = 20
T_SADDLE = 2.0**-4


def measure(
    settings: Settings,
    traced: Contribution = contributions,
    value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad,
) -> Evidence:
    """Go down on both data sets, then take single steps apart."""
    found = curves(settings.seed, stochastic_gradient_descent, sigmoid_network.value_and_grad)
    cancer, images = breast_cancer(settings.seed), digits(settings.seed)
    return Evidence(
        (
            _convex(value_and_grad),
            _network(images, value_and_grad),
            *(_together(study, traced, value_and_grad) for study in (cancer, images)),
            _alone(images, traced, value_and_grad),
            _upward(cancer, settings.seed, stochastic_gradient_descent),
            _stuck(images, value_and_grad),
        ),
        {NAME: frame(found)},
        {NAME: figure(found)},
    )


# --- down -----------------------------------------------------------------------------------------


def _convex(value_and_grad: ValueAndGrad) -> Finding:
    convex = tumours()
    X, Y, start = convex
    theta, record = gradient_descent(
        lambda p: value_and_grad(p, X, Y),
        start,
        learning_rate=1 / lipschitz_constant(X),
        iterations=ITERATIONS,
        tolerance=TOLERANCE,
    )
    least = float(eigensystem(theta, X)[0][0])
    around, _ = rises_around(theta, convex, H)
    rounding = 2 * (len(X) + 20) * U * record.losses[0]
    rises = int(np.sum(~(np.diff(record.losses) <= rounding)))
    return Finding(
        "logistic regression on three features of breast cancer, lambda = 1/L: the loss goes from "
        "{first} to {last} in {iterations} steps, of which {rises} raise it by more than rounding, "
        "to a gradient norm of {norm}; the least eigenvalue of the Hessian there is {least}, and "
        "{h} away, either way along each eigenvector, the loss is higher by {higher} or more: a "
        "minimum, and as the loss is strictly convex the only one",
        record.converged and rises == 0 and least > 0 and bool(np.all(around > rounding)),
        {"h": H},
        {
            "first": record.losses[0],
            "last": record.losses[-1],
            "iterations": record.iterations,
            "rises": rises,
            "norm": record.gradient_norms[-1],
            "least": least,
            "higher": float(np.min(around)),
        },
    )


def _network(study: Study, value_and_grad: ValueAndGrad) -> Finding:
    _, record = gradient_descent(
        lambda p: value_and_grad(p, study.X, study.Y),
        study.start,
        learning_rate=SMALL_RATE,
        iterations=SMALL_STEPS,
    )
    rises = int(np.sum(~(np.diff(record.losses) < 0)))
    return Finding(
        "64-{hidden}-10 network on digits, whole set, lambda = {rate}: in {steps} steps the loss "
        "goes from {first} to {last}, {rises} of them raise it; it is still on its way, the "
        "gradient norm is {norm}",
        rises == 0,
        {"hidden": HIDDEN, "rate": SMALL_RATE, "steps": SMALL_STEPS},
        {
            "first": record.losses[0],
            "last": record.losses[-1],
            "rises": rises,
            "norm": record.gradient_norms[-1],
        },
    )


def _upward(study: Study, seed: int, train: Train) -> Finding:
    """Watch the whole set's loss while single examples make the steps."""
    losses: list[float] = []

    def watch(_: Any, theta: Parameters, __: Parameters) -> None:
        if len(losses) <= SINGLE_STEPS:
            losses.append(float(sigmoid_network.loss(theta, study.X, study.Y)))

    train(
        sigmoid_network.value_and_grad,
        study.start,
        study.X,
        study.Y,
        learning_rate=RATES[study.name],
        batch_size=KINDS["single examples"] or 1,
        epochs=1,
        seed=seed,
        at_step=watch,
    )
    rises = int(np.sum(np.diff(losses) > 0))
    return Finding(
        "not every step goes down: of {steps} steps by single examples of {name}, {rises} raise "
        "the whole set's loss, which all together lower it from {first} to {last}",
        rises > 0 and losses[-1] < losses[0],
        {"steps": len(losses) - 1, "name": study.name},
        {"rises": rises, "first": losses[0], "last": losses[-1]},
    )


def _stuck(study: Study, value_and_grad: ValueAndGrad) -> Finding:
    """Train from a saddle."""
    X, Y = study.X, study.Y
    start = saddle(X, Y, HIDDEN)
    rate, allowed = RATES[study.name], saddle_rounding(len(X), Y.shape[1], HIDDEN)
    end, record = gradient_descent(
        lambda p: value_and_grad(p, X, Y),
        start,
        learning_rate=rate,
        iterations=SADDLE_STEPS,
    )
    moved = norm([(W - V, b - c) for (W, b), (V, c) in zip(end, start, strict=True)])
    lower, sigma = down_from_saddle(start, X, Y, T_SADDLE)
    reach = SADDLE_STEPS * rate * allowed * (1 + rate * sigma / 4) ** SADDLE_STEPS
    fall = record.losses[0] - float(sigmoid_network.loss(lower, X, Y))
    return Finding(
        "nor is every resting place a minimum: from zero weights, output biases at the classes' "
        "frequencies, {steps} steps move the network on digits by {moved} (rounding: up to "
        "{reach}), though a point {fall} lower lies a step of {t} away",
        record.gradient_norms[0] <= allowed and moved <= reach and fall > 0,
        {"steps": SADDLE_STEPS, "t": T_SADDLE},
        {"moved": moved, "reach": reach, "fall": fall},
        contradicts=True,
    )


# --- traced to each weight ------------------------------------------------------------------------


def _together(study: Study, traced: Contribution, value_and_grad: ValueAndGrad) -> Finding:
    """One step of all weights: what their contributions leave unexplained."""
    X, Y = study.X, study.Y
    C, g = value_and_grad(study.start, X, Y)
    theta, gradient = vector(study.start), vector(g)
    remainders, explained = [], 0.0
    for rate in TOGETHER_RATES:
        moved = parameters_of(theta - rate * gradient, study.start)
        change = float(sigmoid_network.loss(moved, X, Y) - C)
        sum_of_parts = float(vector(traced(g, float(rate))).sum())
        remainders.append(abs(change - sum_of_parts))
        explained = sum_of_parts / change
    law, bend = _fit(TOGETHER_RATES, remainders)
    parts = np.sort(vector(traced(g, 1.0)))
    tenth = parts[: -(-len(parts) // 10)].sum() / parts.sum()
    return Finding(
        "{name}: the contributions of {N} weights and biases add up to {explained:.3f} % of "
        "what a step of lambda = {least} changes; the rest falls as lambda^p, p = {order} "
        "(standard error, systematic); the largest tenth of them makes {tenth:.0f} % of it",
        _is_second(law, bend),
        {"name": study.name, "N": len(theta), "least": float(TOGETHER_RATES[-1])},
        {
            "explained": 100 * explained,
            "order": plus_minus(law.to_json(), bend),
            "tenth": 100 * float(tenth),
        },
    )


def _alone(study: Study, traced: Contribution, value_and_grad: ValueAndGrad) -> Finding:
    """One step of each weight alone: the largest |R_j| / g_j^2 for every rate."""
    X, Y = study.X[:BATCH], study.Y[:BATCH]
    C, g = value_and_grad(study.start, X, Y)
    theta, gradient = vector(study.start), vector(g)
    wanted = np.argsort(-np.abs(gradient), kind="stable")[:STEEPEST]
    remainders = []
    for rate in ALONE_RATES:
        parts = vector(traced(g, float(rate)))
        worst = 0.0
        for j in wanted:
            x = theta.copy()
            x[j] -= rate * gradient[j]
            change = sigmoid_network.loss(parameters_of(x, study.start), X, Y) - C
            worst = max(worst, abs(float(change - parts[j])) / float(gradient[j] ** 2))
        remainders.append(worst)
    law, bend = _fit(ALONE_RATES, remainders)
    return Finding(
        "digits: the {n} steepest of {N} weights and biases, moved one at a time, change the loss "
        "each by its own contribution; what is left, beside g_j^2, falls as lambda^p in the worst "
        "of them, p = {order}",
        _is_second(law, bend),
        {"n": len(wanted), "N": len(theta)},
        {"order": plus_minus(law.to_json(), bend)},
    )


def _fit(rates: Array, remainders: list[float]) -> tuple[PowerLaw, float]:
    """Return the fitted law and its systematic error."""
    sizes: Array = np.maximum(remainders, np.finfo(float).tiny)
    local = np.diff(np.log(sizes)) / np.diff(np.log(rates))
    return fit_power_law(rates, sizes), abs(float(local[-1] - local[0])) / 2


def _is_second(law: PowerLaw, bend: float) -> bool:
    off = abs(law.exponent - 2)
    return bool(off <= 3 * law.standard_error + bend and law.identifies(2, bend))


CLAIM = Claim(
    id="C17",
    title="Training descends to a local minimum",
    statement="Training moves down to a local minimum, and the total error can be traced to each "
    "weight",
    how="a convex loss to its minimum, a network's loss step by step, a start at a saddle; the "
    "change of the loss in one step against the contributions -lambda g_j^2, all weights together "
    "and one at a time",
    precise="a small enough step against the gradient of the whole set lowers its loss; one of a "
    "single example may raise it. Training comes to rest where the gradient vanishes: the minimum "
    "of a convex loss, but for a network possibly a saddle. What is traced is not the error but "
    "its change in one step: to first order weight j contributes -lambda g_j^2, the rest is of "
    "order lambda^2",
    source="Cauchy 1847; Rumelhart, Hinton and Williams 1986",
    measure=measure,
    look=f"figures/{NAME}.svg",
    expected=REFINED,
)
