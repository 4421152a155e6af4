r"""C16: updates after every example, every mini-batch or the whole set; backprop serves them all.

Symbols: m examples in parts of at most B; g_i = dC_i/dtheta the gradient of example i.

    an epoch   ceil(m / B) iterations, each example once
    a part     sum of g_i over its examples; all parts together: the whole set's gradient

Gradients of different batches are rounded differently. With the symbols and for the reasons of
`witness`, S the sum over examples of all paths' absolute products (backpropagation with absolute
values) and dz_l the largest error of z_l over all examples, two of them differ by at most

    2 S expm1( sum_l dz_l + dz_L + K U ),   K = (14 + n) L + 24 + m

Gradients along the trajectory are checked by differences of the batch's loss along random
directions through the parameters of that step, in which every derivative has a part.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.checks.gradient import check_gradient
from gradcheck.outcomes.outcome import Outcome
from gradcheck.splitmix64 import Stream
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
from gradcheck.studies.report.textbook.curves import (
    NAME,
    Array,
    Curve,
    Parameters,
    Train,
    ValueAndGrad,
    curves,
    figure,
    frame,
)
from gradcheck.studies.report.textbook.landscape import parameters_of, vector
from gradcheck.studies.report.textbook.witness import U, told
from reference_models import sigmoid_network
from reference_models.activations import sigmoid, sigmoid_prime
from reference_models.training import batches, stochastic_gradient_descent

DIRECTIONS = 3


def measure(
    settings: Settings,
    train: Train = stochastic_gradient_descent,
    value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad,
) -> Evidence:
    """Train both models in three ways; count, add up, check and classify."""
    found = curves(settings.seed, train, value_and_grad)
    studies = [list(found[:3]), list(found[3:])]
    return Evidence(
        (
            _epochs(found),
            *(_parts(group, value_and_grad, settings.seed) for group in studies),
            _checked(found, settings.seed),
            *(_learnt(group) for group in studies),
        ),
        {NAME: frame(found)},
        {NAME: figure(found)},
    )


def _epochs(found: tuple[Curve, ...]) -> Finding:
    def expected(curve: Curve) -> tuple[int, ...]:
        return (-(-len(curve.study.X) // curve.batch_size),)

    complete, epochs = sum(c.complete for c in found), sum(c.epochs for c in found)
    counted = "; ".join(
        f"{curve.study.name}, {curve.kind} of {len(curve.study.X):,}: "
        + (", ".join(f"{n:,}" for n in curve.iterations) or "none")
        for curve in found
    )
    return Finding(
        "iterations of an epoch ({counted}) are ceil(m / B); in {complete} of {epochs} epochs "
        "every example was used exactly once",
        all(curve.iterations == expected(curve) for curve in found) and complete == epochs,
        {"counted": counted, "complete": complete, "epochs": epochs},
    )


def _parts(group: list[Curve], value_and_grad: ValueAndGrad, seed: int) -> Finding:
    """Add up the gradients of the parts at the end of the training by mini-batches."""
    study, theta = group[0].study, group[1].theta
    m = len(study.X)

    def gradient(rows: Array) -> Array:
        return vector(value_and_grad(theta, study.X[rows], study.Y[rows], reduction="sum")[1])

    whole = gradient(np.arange(m))
    allowed = 2 * rounding(theta, study.X, study.Y)
    worst = []
    for curve in group:
        parts = batches(m, curve.batch_size, seed=seed, epoch=0)
        gap = np.abs(np.sum([gradient(rows) for rows in parts], axis=0) - whole)
        ratio = np.divide(gap, allowed, out=np.zeros_like(gap), where=allowed > 0)
        worst.append(float(np.max(np.where((allowed == 0) & (gap > 0), np.inf, ratio))))
    return Finding(
        "{name}: the gradients of {m} parts of one example, of parts of {batch} and of the whole "
        "add up to the same {N} derivatives; largest deviations {worst} of what rounding allows, "
        "which is {relative} of the gradient",
        max(worst) <= 1,
        {"name": study.name, "m": m, "batch": group[1].batch_size, "N": len(whole)},
        {
            "worst": ", ".join(f"{w:.1g}" for w in worst),
            "relative": float(np.linalg.norm(allowed) / np.linalg.norm(whole)),
        },
    )


def rounding(theta: Parameters, X: Array, Y: Array) -> Array:
    """Return the bound on the error of every entry of the summed gradient, targets 0 and 1."""
    a, da, values, z, largest = X, np.zeros_like(X), [X], X, []
    for W, b in theta:
        size = (np.abs(a) + da) @ np.abs(W).T + np.abs(b)
        dz = da @ np.abs(W).T + 2 * U * (W.shape[1] + 2) * size
        z = a @ W.T + b
        a = sigmoid(z)
        da = a * (np.expm1(dz) + 4 * U * np.exp(dz))
        values.append(z)
        largest.append(float(np.max(dz)))
    n, L = max(max(W.shape) for W, _ in theta), len(theta)
    factor = np.expm1(sum(largest) + largest[-1] + ((14 + n) * L + 24 + len(X)) * U)
    delta, S = np.abs(a - Y), []
    for l in reversed(range(L)):  # noqa: E741  (the layer's symbol)
        below = np.abs(X) if l == 0 else sigmoid(values[l])
        S.append((delta.T @ below, delta.sum(axis=0)))
        if l:
            delta = delta @ np.abs(theta[l][0]) * sigmoid_prime(values[l])
    return np.asarray(vector(S[::-1]) * factor)


def _checked(found: tuple[Curve, ...], seed: int) -> Finding:
    outcomes = [
        _along_directions(curve, rows, theta, gradient, seed)
        for curve in found
        for rows, theta, gradient in curve.last_steps
    ]
    passed, n, _, seen = told(outcomes)
    right = sum(outcome.verdict.value == "PASS" for outcome in outcomes)
    return Finding(
        "gradients the training has used, at the last step of the first and of the last epoch of "
        "each, against differences in {directions} random directions: {right} of {checks} pass; a "
        "relative error above {seen} would have been seen in every "
        "informative one of the {n} slopes",
        passed and len(outcomes) == 2 * len(found),
        {"directions": DIRECTIONS, "right": right, "checks": len(outcomes), "n": n},
        {"seen": seen},
    )


def _along_directions(
    curve: Curve, rows: Array, theta: Parameters, gradient: Parameters, seed: int
) -> Outcome:
    """Check the slopes of C(theta + D s) by s at s = 0, which are D^T g."""
    X, Y, x = curve.study.X[rows], curve.study.Y[rows], vector(theta)
    D = Stream(seed, "directions").normal((len(x), DIRECTIONS)) / np.sqrt(len(x))

    def loss(s: Array) -> Any:
        return sigmoid_network.loss(parameters_of(x + D @ s, theta), X, Y)

    return check_gradient(loss, lambda _: D.T @ vector(gradient), np.zeros(DIRECTIONS), seed=seed)


def _learnt(group: list[Curve]) -> Finding:
    """Loss down, and as many held-out examples right as by the nearest class mean."""
    study, n = group[0].study, len(group[0].study.labels)
    untrained = study.right_by_nearest_mean
    right = [study.right(curve.theta) for curve in group]
    losses = [curve.record.epoch_losses for curve in group]
    stated = "; ".join(
        f"{curve.kind} {curve.epochs} epochs, loss {curve.record.epoch_losses[-1]:.3g}, "
        f"{100 * r / n:.1f} % right"
        for curve, r in zip(group, right, strict=True)
    )
    return Finding(
        "{name}: from a loss of {start} {stated}, of {n} held-out examples (the nearest class "
        "mean, which takes no training, has {untrained:.1f} % of them)",
        all(one[-1] < one[0] for one in losses) and min(right) >= untrained,
        {"name": study.name, "n": n},
        {"start": losses[0][0], "stated": stated, "untrained": 100 * untrained / n},
    )


CLAIM = Claim(
    id="C16",
    title="Update per sample, batch or epoch",
    statement="Weights may be updated after every sample, after a mini-batch or after the whole "
    "set; an epoch is one pass over it; backprop serves gradient descent and stochastic gradient "
    "descent alike",
    how="both data sets trained in batches of 1, of 32 and of all; iterations and examples "
    "counted, gradients of the parts added up, gradients along the way checked by differences; "
    "held-out examples classified, beside the nearest class mean",
    source="Robbins and Monro 1951; Nielsen 2015, chapter 1",
    measure=measure,
    look=f"figures/{NAME}.svg",
)
