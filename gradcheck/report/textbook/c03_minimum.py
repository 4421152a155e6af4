r"""C3: at a minimum the derivative is zero.

Logistic regression on three features (`landscape`), with a step lambda = 1/L: the gradient norm of
a convex loss falls at every such step (Nesterov 2004, section 2.1.5). Where it has come down to
the tolerance, the derivatives are taken again by differences of the loss, without backpropagation;
and the loss is evaluated around that point. With mu_i, v_i the eigenvalues and eigenvectors of the
Hessian there, g the gradient and T the bound of the third derivative:

    |J(theta +- h v_i) - J(theta) - h^2 mu_i / 2|  <=  h |g| + T h^3 / 6
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.outcomes.judging import DEFAULT_RESOLUTION
from gradcheck.report.figures import BLUE, GREY, STYLE
from gradcheck.report.settings import Settings
from gradcheck.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.report.textbook.landscape import (
    Convex,
    Parameters,
    convex_loss,
    down_from_saddle,
    eigensystem,
    rises_around,
    saddle,
    saddle_rounding,
    third_derivative_bound,
    tumours,
    vector,
)
from gradcheck.report.textbook.witness import U, differences
from reference_models import sigmoid_network
from reference_models.datasets import load_digits, one_hot
from reference_models.training import Record, gradient_descent, lipschitz_constant, norm

TOLERANCE = 1e-8
ITERATIONS = 3000
H = 2.0**-7
HIDDEN = 30
T_SADDLE = 2.0**-4
NAME = "c3_gradient_norm"

ValueAndGrad = Callable[..., tuple[Any, Parameters]]


def measure(
    settings: Settings, value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad
) -> Evidence:
    """Descend to the minimum and look at the derivatives there."""
    convex = tumours()
    X, Y, start = convex
    rate = 1 / lipschitz_constant(X)
    theta, record = gradient_descent(
        lambda p: value_and_grad(p, X, Y),
        start,
        learning_rate=rate,
        iterations=ITERATIONS,
        tolerance=TOLERANCE,
    )
    mu = float(eigensystem(theta, X)[0][0])
    frame = pd.DataFrame(
        {"iteration": range(record.iterations), "gradient_norm": record.gradient_norms}
    )
    return Evidence(
        (
            _falls(record, rate, X.shape),
            _differences(theta, convex, record, settings.seed),
            _around(theta, convex, record),
            _converse(value_and_grad),
        ),
        {NAME: frame},
        {NAME: _figure(frame, rate * mu)},
    )


def _falls(record: Record, rate: float, shape: tuple[int, ...]) -> Finding:
    norms = np.array(record.gradient_norms)
    rises = int(np.sum(~(np.diff(norms) < 0)))
    return Finding(
        "logistic regression on breast cancer, {n} features, {m} examples, lambda = 1/L = {rate}: "
        "the gradient norm comes down from {first} to {last} in {iterations} iterations (asked: "
        "{tolerance}) and rises in {rises}",
        record.converged and rises == 0,
        {"n": shape[1], "m": shape[0], "tolerance": TOLERANCE},
        {
            "rate": rate,
            "first": norms[0],
            "last": norms[-1],
            "iterations": record.iterations,
            "rises": rises,
        },
    )


def _differences(theta: Parameters, convex: Convex, record: Record, seed: int) -> Finding:
    """Differentiate without backpropagation: zero within the error bound?"""
    D, bound = differences(convex_loss(theta, convex), vector(theta), seed=seed)
    sharp = bound.max() <= DEFAULT_RESOLUTION[8] * record.gradient_norms[0]
    zero = bool(np.all(np.abs(D) <= bound + TOLERANCE))
    return Finding(
        "there all {n} derivatives by differences of the loss, without backpropagation, are at "
        "most {largest} in size (tolerance {tolerance}, widest error bound {bound})",
        bool(sharp) and zero,
        {"n": len(D), "tolerance": TOLERANCE},
        {"largest": float(np.max(np.abs(D))), "bound": float(bound.max())},
    )


def _around(theta: Parameters, convex: Convex, record: Record) -> Finding:
    """Walk along both directions of every eigenvector."""
    mu, _ = eigensystem(theta, convex.X)
    rises, predicted = rises_around(theta, convex, H)
    taylor = H * record.gradient_norms[-1] + third_derivative_bound(convex.X) * H**3 / 6
    allowed = taylor + 2 * (len(convex.X) + 20) * U * record.losses[-1]
    return Finding(
        "it is a minimum: the eigenvalues of the Hessian are {eigenvalues}, and a step of {h} "
        "along each, either way, raises the loss by {least} to {most}; predicted by the "
        "eigenvalues to within {worst} of what the third derivative allows",
        bool(mu[0] > 0 and np.all(rises > 0) and np.all(np.abs(rises - predicted) <= allowed)),
        {"h": H},
        {
            "eigenvalues": ", ".join(f"{value:.2g}" for value in mu),
            "least": float(rises.min()),
            "most": float(rises.max()),
            "worst": float(np.max(np.abs(rises - predicted)) / allowed),
        },
    )


def _converse(value_and_grad: ValueAndGrad) -> Finding:
    """Show a derivative of zero where no minimum is."""
    data = load_digits()
    X, Y = data.inputs / 16, one_hot(data.labels, 10)
    theta = saddle(X, Y, HIDDEN)
    C, gradient = value_and_grad(theta, X, Y)
    allowed = saddle_rounding(len(X), Y.shape[1], HIDDEN)
    lower, sigma = down_from_saddle(theta, X, Y, T_SADDLE)
    fall = float(C - sigmoid_network.loss(lower, X, Y))
    return Finding(
        "the converse fails: a 64-{hidden}-10 network on digits with zero weights, its output "
        "biases set to the classes' frequencies, has a gradient of norm {norm} (rounding: up to "
        "{allowed}); a step of {t} down from there lowers the loss by {fall} (predicted: "
        "{predicted})",
        norm(gradient) <= allowed and fall > 0,
        {"hidden": HIDDEN, "t": T_SADDLE, "allowed": allowed},
        {"norm": norm(gradient), "fall": fall, "predicted": T_SADDLE**2 * sigma / 4},
        contradicts=True,
    )


def _figure(frame: pd.DataFrame, lambda_mu: float) -> Figure:
    t, g = frame["iteration"].to_numpy(), frame["gradient_norm"].to_numpy()
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 3.6), layout="constrained")
        axes = figure.subplots()
        axes.semilogy(t, g, color=BLUE, lw=1.8)
        rise = (t - t[-1]) * np.log1p(-lambda_mu)
        late = (t >= t[-1] / 3) & (rise < 15)
        axes.semilogy(t[late], 20 * g[-1] * np.exp(rise[late]), color=GREY, lw=1.2, ls="--")
        middle = int(np.mean(t[late]))
        axes.text(middle, 60 * g[-1] * np.exp(rise[middle]),
                  "$\\propto(1-\\lambda\\mu)^t$, $\\mu$ the least\neigenvalue at the minimum",
                  color=GREY, fontsize=9)  # fmt: skip
        axes.text(0.3 * t[-1], g[int(0.3 * t[-1])] / 30, "gradient norm", color=BLUE, ha="right")
        axes.axhline(TOLERANCE, color=GREY, lw=0.8)
        axes.text(0, TOLERANCE * 1.4, "tolerance", color=GREY, fontsize=9)
        axes.set_xlabel("iteration t")
        axes.set_ylabel("gradient norm")
        axes.set_title("Logistic regression on breast cancer, 3 features, λ = 1/L")
    return figure


CLAIM = Claim(
    id="C3",
    title="Zero derivative at a minimum",
    statement="At a minimum the derivative is zero",
    how="gradient descent on a convex loss with real data until the gradient norm is 1e-8; there "
    "the derivatives by differences of the loss, and the loss along the Hessian's eigenvectors; "
    "a saddle for the converse",
    precise="at a minimum inside the domain of a differentiable loss the derivative is zero; the "
    "converse fails, it is zero at saddles too",
    source="Fermat's theorem on stationary points; Nesterov 2004, section 1.2",
    measure=measure,
    look=f"figures/{NAME}.svg",
    expected=REFINED,
)
