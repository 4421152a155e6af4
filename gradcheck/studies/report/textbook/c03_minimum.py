r"""C3: at a minimum the derivative is zero.

**Found by values alone.** The convex loss J of `landscape` is searched along the axes by
comparison of its values (Hooke and Jeeves 1961): a step of size h is kept if J falls, and where
none of the 2 n points at h is lower, h is halved, down to H_LEAST. No derivative is taken on the
way. Where the search ends, J(x +- h e_i) >= J(x) - r for every i, r being the rounding of both
values, and as J'' <= M_i = mean(z_i^2) / 4 along e_i (`landscape`, sigma' <= 1/4),

    |dJ/dx_i|  <=  M_i h / 2 + r / h                    (Kolda, Lewis and Torczon 2003, section 3)

if J has a derivative there: that backprop's and the differences' are so small is what is tested.

**It is a minimum** by values too: with mu_i, v_i the eigenvalues and eigenvectors of the Hessian
there, g the gradient and T the bound of the third derivative,

    |J(x +- h v_i) - J(x) - h^2 mu_i / 2|  <=  h |g| + T h^3 / 6

**Descended to.** Gradient descent with a step lambda = 1/L: the gradient norm of a convex loss
falls at every such step (Nesterov 2004, section 2.1.5). It ends where the values say that the
minimum is: within

    (|g| + |b|) / mu       of it, b the bounds above, mu the least eigenvalue of the Hessian

for which twice that is allowed, as mu changes on the way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.studies.report.figures import BLUE, GREY, STYLE
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.landscape import (
    Array,
    Convex,
    Parameters,
    convex_loss,
    down_from_saddle,
    eigensystem,
    parameters_of,
    rises_around,
    saddle,
    saddle_rounding,
    third_derivative_bound,
    tumours,
    vector,
)
from gradcheck.studies.report.textbook.witness import U, differences, worst_ratio
from reference_models import sigmoid_network
from reference_models.datasets import load_digits, one_hot
from reference_models.training import Record, gradient_descent, lipschitz_constant, norm

TOLERANCE = 1e-8
ITERATIONS = 3000
H = 2.0**-7
H_LEAST = 2.0**-22
"""The last step of the search."""
STEEPER = 1e4
"""How much larger than what is allowed at the minimum the gradient at the start has to be."""
HIDDEN = 30
T_SADDLE = 2.0**-4
NAME = "c3_gradient_norm"

ValueAndGrad = Callable[..., tuple[Any, Parameters]]
Value = Callable[[Array], float]


def lowest(J: Value, x: Array) -> tuple[Array, int]:
    """Return where values of J are lowest, to a step of H_LEAST, and how many were taken."""
    h, taken = 1.0, 1
    best = J(x)

    def explored(x: Array, value: float) -> tuple[Array, float]:
        nonlocal taken
        for e in np.eye(x.size):
            for way in (x + h * e, x - h * e):
                taken += 1
                if (there := J(way)) < value:
                    x, value = way, there
                    break
        return x, value

    while h >= H_LEAST:
        moved, value = explored(x, best)
        if value >= best:
            h /= 2
            continue
        while value < best:  # on along the same way, as long as that goes down
            ahead, x, best = 2 * moved - x, moved, value
            taken += 1
            moved, value = explored(ahead, J(ahead))
    return x, taken


def measure(
    settings: Settings, value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad
) -> Evidence:
    """Find the minimum by values, look at the derivatives there, and descend to it."""
    convex = tumours()
    X, Y, start = convex
    x, taken = lowest(convex_loss(start, convex), vector(start))
    rate = 1 / lipschitz_constant(X)
    theta, record = gradient_descent(
        lambda p: value_and_grad(p, X, Y),
        start,
        learning_rate=rate,
        iterations=ITERATIONS,
        tolerance=TOLERANCE,
    )
    minimum = parameters_of(x, start)
    mu = float(eigensystem(minimum, X)[0][0])
    frame = pd.DataFrame(
        {"iteration": range(record.iterations), "gradient_norm": record.gradient_norms}
    )
    return Evidence(
        (
            _zero(minimum, taken, convex, value_and_grad, settings.seed),
            _around(minimum, convex),
            _descended(record, vector(theta) - x, rate, mu, convex),
            _converse(value_and_grad),
        ),
        {NAME: frame},
        {NAME: _figure(frame, rate * mu)},
    )


def _allowed(convex: Convex, J: float) -> Array:
    """Return M_i h / 2 + r / h: the values are means of m terms of one sign."""
    Z = np.column_stack([convex.X, np.ones(len(convex.X))])
    rounding = 2 * (len(Z) + 20) * U * J
    return np.asarray(np.mean(Z**2, axis=0) / 8 * H_LEAST + rounding / H_LEAST)


def _zero(
    minimum: Parameters, taken: int, convex: Convex, value_and_grad: ValueAndGrad, seed: int
) -> Finding:
    """Differentiate where the values are lowest, by backprop and by differences."""
    J, x = convex_loss(minimum, convex), vector(minimum)
    allowed = _allowed(convex, J(x))
    g = vector(value_and_grad(minimum, convex.X, convex.Y)[1])
    before = vector(value_and_grad(convex.start, convex.X, convex.Y)[1])
    D, bound = differences(J, x, seed=seed)
    by_backprop = worst_ratio(zip(g.tolist(), allowed.tolist(), strict=True))
    by_differences = worst_ratio(zip(D.tolist(), (allowed + bound).tolist(), strict=True))
    start = vector(convex.start)
    return Finding(
        "logistic regression on breast cancer, {n} features, {m} examples: {taken:,} values of the "
        "loss, compared and not differentiated, lead from {first} down to {last}. There all {N} "
        "derivatives are at most {g} by backprop and {D} by differences; at a minimum so found, to "
        "steps of {h}, they may be up to {allowed} (at the start the largest is {before})",
        by_backprop <= 1
        and by_differences <= 1
        and float(np.max(np.abs(before))) > STEEPER * float(np.max(allowed)),
        {"n": convex.X.shape[1], "m": len(convex.X), "N": len(D), "h": H_LEAST},
        {
            "taken": taken,
            "first": J(start),
            "last": J(x),
            "g": float(np.max(np.abs(g))),
            "D": float(np.max(np.abs(D))),
            "allowed": float(np.max(allowed)),
            "before": float(np.max(np.abs(before))),
        },
    )


def _around(minimum: Parameters, convex: Convex) -> Finding:
    """Walk along both directions of every eigenvector."""
    mu, _ = eigensystem(minimum, convex.X)
    J = convex_loss(minimum, convex)(vector(minimum))
    rises, predicted = rises_around(minimum, convex, H)
    slope = float(np.linalg.norm(_allowed(convex, J)))
    taylor = H * slope + third_derivative_bound(convex.X) * H**3 / 6
    allowed = taylor + 2 * (len(convex.X) + 20) * U * J
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


def _descended(record: Record, apart: Array, rate: float, mu: float, convex: Convex) -> Finding:
    """Descend by the gradient: does it vanish where the values are lowest?"""
    norms = np.array(record.gradient_norms)
    rises = int(np.sum(~(np.diff(norms) < 0)))
    slopes = float(np.linalg.norm(_allowed(convex, record.losses[-1])))
    distance, allowed = float(np.linalg.norm(apart)), 2 * (norms[-1] + slopes) / mu
    return Finding(
        "gradient descent with lambda = 1/L = {rate}: the gradient norm comes down from {first} to "
        "{last} in {iterations} iterations (asked: {tolerance}), rises in {rises}, and ends "
        "{distance} from the minimum found by values ({allowed} allowed)",
        record.converged and rises == 0 and bool(distance <= allowed),
        {"tolerance": TOLERANCE},
        {
            "rate": rate,
            "first": norms[0],
            "last": norms[-1],
            "iterations": record.iterations,
            "rises": rises,
            "distance": distance,
            "allowed": allowed,
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
    how="a convex loss with real data brought to its minimum by comparing its values alone; there "
    "the derivatives by backprop and by differences, and the loss along the Hessian's "
    "eigenvectors; gradient descent to the same place; a saddle for the converse",
    precise="at a minimum inside the domain of a differentiable loss the derivative is zero; the "
    "converse fails, it is zero at saddles too",
    source="Fermat's theorem on stationary points; Kolda, Lewis and Torczon 2003",
    measure=measure,
    look=f"figures/{NAME}.svg",
    expected=REFINED,
)
