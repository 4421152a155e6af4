r"""C13: gradient descent w <- w - lambda dL/dw; lambda sets the speed of convergence.

Symbols: J the convex loss of `landscape`, theta* its minimum, H the Hessian there with eigenvalues
mu = mu_1 <= ... <= M and eigenvectors v_i; L the Lipschitz constant of the gradient, M <= L; T
that of the Hessian; g_t the gradient at iteration t, e_t = theta_t - theta*, c_t = v_1 . g_t.

    lambda < 2/L   descends from everywhere (Nesterov 2004, section 1.2.3)
    lambda < 2/M   the minimum attracts;   lambda > 2/M   it repels (Polyak 1987, section 1.4)
    c_{t+1} = (1 - lambda mu) c_t + r_t,   |r_t| <= lambda T max(|e_t|, |e_{t+1}|) |g_t|

so that ln|c_{t+1} / c_t| differs from ln|1 - lambda mu| by at most x / (1 - x) with
x = |r_t| / |(1 - lambda mu) c_t|. No gradient of J is longer than the mean of |z_i|, as
|p - y| <= 1: a rate that is too large cannot send the iterates off to infinity as it does on a
quadratic, of which every step multiplies v_i . e by 1 - lambda mu_i.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradcheck.studies.report.figures import BLUE, GREEN, ORANGE, RED, STYLE
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.landscape import (
    Array,
    Convex,
    Parameters,
    eigensystem,
    parameters_of,
    third_derivative_bound,
    tumours,
    vector,
)
from gradcheck.studies.report.textbook.witness import U
from reference_models import sigmoid_network
from reference_models.training import Record, gradient_descent, lipschitz_constant

Descend = Callable[..., tuple[Parameters, Record]]

TOLERANCE = 1e-8
ITERATIONS = 3000
SMALL, SMALL_ITERATIONS = 0.01, 1000
"""A rate that is too small, in units of 1/L, and how long it is given."""
SHARES = (0.5, 1.0, 1.9)
"""Rates that descend from everywhere, in units of 1/L."""
BELOW, ABOVE = 0.9, 1.1
"""Rates in units of 2/M, the limit near the minimum."""
ABOVE_ITERATIONS = 300
QUADRATIC_ITERATIONS = 200
LAST = 10
"""The last iterations, whose rate is measured."""
BESIDE = 1e-4
ROUNDING = 512 * U
"""Of one step's factor on the quadratic: 40 U for H, 4 x 4, and its product with e; 2.2 / 1.2 times
as much for e after the step, twice that for a loss, and as much again for its evaluation."""
NAME = "c13_learning_rate"


@dataclass(frozen=True)
class Bottom:
    """The minimum and the loss around it.

    Attributes:
        theta: the minimum, to a gradient norm of 1e-4 TOLERANCE.
        J: the loss there.
        H, mu, v: the Hessian, its eigenvalues and eigenvectors.
        L: the Lipschitz constant of the gradient; T, of the Hessian.
    """

    theta: Parameters
    J: float
    H: Array
    mu: Array
    v: Array
    L: float
    T: float

    @property
    def limit(self) -> float:
        """2/M."""
        return float(2 / self.mu[-1])


@dataclass(frozen=True)
class Run:
    """One training: lambda, its record, and e_t and g_t of every iteration."""

    name: str
    rate: float
    record: Record
    e: Array
    g: Array


def measure(settings: Settings, descend: Descend = gradient_descent) -> Evidence:  # noqa: ARG001
    """Train with rates that are too small, right and too large."""
    convex = tumours()
    bottom = _bottom(convex)
    L, limit, start = bottom.L, bottom.limit, vector(convex.start)
    beside = vector(bottom.theta) + BESIDE * bottom.v[:, -1]

    def run(
        name: str,
        rate: float,
        iterations: int,
        x: Array = start,
        tolerance: float | None = TOLERANCE,
    ) -> Run:
        return _run(descend, convex, bottom, name, rate, iterations, x, tolerance)

    small = run(f"{SMALL:g}/L", SMALL / L, SMALL_ITERATIONS)
    right = [run(f"{share:g}/L", share / L, ITERATIONS) for share in SHARES]
    fast = run(f"{BELOW:g} of 2/M", BELOW * limit, ITERATIONS)
    wild = run(f"{ABOVE:g} of 2/M", ABOVE * limit, ABOVE_ITERATIONS, start, None)
    near = [
        run(f"{BELOW:g} of 2/M", BELOW * limit, ABOVE_ITERATIONS, beside),
        run(f"{ABOVE:g} of 2/M", ABOVE * limit, ABOVE_ITERATIONS, beside, None),
    ]
    frame = pd.concat([_frame(one, bottom.J) for one in (small, right[1], fast, wild)])
    return Evidence(
        (
            _speed(small, right, len(convex.X)),
            _rates([*right, fast], bottom),
            _limit(near, wild, bottom, convex),
            _quadratic(descend, bottom, convex.start),
        ),
        {NAME: frame},
        {NAME: _figure(frame)},
    )


def _bottom(convex: Convex) -> Bottom:
    X, Y, start = convex
    L = lipschitz_constant(X)
    theta, record = gradient_descent(
        lambda p: sigmoid_network.value_and_grad(p, X, Y),
        start,
        learning_rate=1.9 / L,
        iterations=ITERATIONS,
        tolerance=1e-4 * TOLERANCE,
    )
    mu, v = eigensystem(theta, X)
    H = v @ np.diag(mu) @ v.T
    return Bottom(theta, record.losses[-1], H, mu, v, L, third_derivative_bound(X))


def _run(
    descend: Descend,
    convex: Convex,
    bottom: Bottom,
    name: str,
    rate: float,
    iterations: int,
    x: Array,
    tolerance: float | None,
) -> Run:
    minimum = vector(bottom.theta)
    e, g = [], []

    def watch(_: Any, theta: Parameters, gradient: Parameters) -> None:
        e.append(vector(theta) - minimum)
        g.append(vector(gradient))

    _, record = descend(
        lambda p: sigmoid_network.value_and_grad(p, convex.X, convex.Y),
        parameters_of(x, convex.start),
        learning_rate=rate,
        iterations=iterations,
        tolerance=tolerance,
        at_step=watch,
    )
    return Run(name, rate, record, np.array(e), np.array(g))


def _speed(small: Run, right: list[Run], m: int) -> Finding:
    """Below 2/L: never upward, and the smaller the slower."""
    counts = [one.record.iterations for one in right]
    # two losses, each a mean of m terms of one sign
    rounding = 2 * (m + 20) * U * small.record.losses[0]
    rises = sum(int(np.sum(~(np.diff(one.record.losses) <= rounding))) for one in (small, *right))
    left = small.record.gradient_norms[-1]
    converged = all(one.record.converged for one in right)
    return Finding(
        "lambda = {shares} reaches a gradient norm of {tolerance} in {counts} iterations; "
        "lambda = {small} has come down to {left} only after {spent}; steps that raise the loss "
        "by more than rounding: {rises}",
        converged
        and counts == sorted(counts, reverse=True)
        and len(set(counts)) == len(counts)
        and not small.record.converged
        and rises == 0,
        {
            "shares": ", ".join(one.name for one in right),
            "tolerance": TOLERANCE,
            "small": small.name,
            "spent": small.record.iterations,
        },
        {"counts": ", ".join(str(n) for n in counts), "left": left, "rises": rises},
    )


def _rates(runs: list[Run], bottom: Bottom) -> Finding:
    """Hold the last iterations of each run against 1 - lambda mu."""
    told, ratios, off = [], [], []
    for one in runs:
        factor = abs(1 - one.rate * bottom.mu[0])
        measured, allowed = _factor(one, bottom)
        told.append(f"{np.exp(measured):.4f} ({factor:.4f}) at {one.name}")
        ratios.append(abs(measured - np.log(factor)) / allowed)
        off.append(abs(measured / np.log(factor) - 1))
    return Finding(
        "at the end an iteration multiplies the slowest part of the gradient by |1 - lambda mu|, "
        "mu = {mu} the least eigenvalue of the Hessian at the minimum; measured (predicted): "
        "{told}; logarithms off by at most {off}, {worst} of what the third derivative allows",
        bool(np.all(np.array(ratios) <= 1)) and all(one.record.converged for one in runs),
        {},
        {
            "mu": float(bottom.mu[0]),
            "told": ", ".join(told),
            "off": float(np.max(off)),
            "worst": float(np.max(ratios)),
        },
    )


def _factor(run: Run, bottom: Bottom) -> tuple[float, float]:
    """Return the mean of ln|c_{t+1} / c_t| over the last iterations and how far it may be off."""
    e = np.linalg.norm(run.e[-LAST:], axis=1)
    size = np.linalg.norm(run.g[-LAST:], axis=1)[:-1]
    c = run.g[-LAST:] @ bottom.v[:, 0]
    r = run.rate * bottom.T * np.maximum(e[1:], e[:-1]) * size
    x = r / np.abs((1 - run.rate * bottom.mu[0]) * c[:-1])
    allowed = np.where(x < 1, x / np.maximum(1 - x, 1e-300), np.inf)
    return float(np.mean(np.log(np.abs(c[1:] / c[:-1])))), float(np.mean(allowed))


def _limit(near: list[Run], wild: Run, bottom: Bottom, convex: Convex) -> Finding:
    """What decides is the curvature at the minimum."""
    below, above = near
    lengths = np.sqrt(1 + np.sum(convex.X**2, axis=1))
    longest = max(max(one.record.gradient_norms) for one in (above, wild))
    repelled = float(np.linalg.norm(above.e[-1]))
    unsettled = min(one.record.gradient_norms[-1] for one in (above, wild))
    return Finding(
        "started {beside} beside the minimum, lambda = {below} settles and lambda = {above} is "
        "driven {repelled} away in {spent} iterations; 2/M = {limit} is {times} times "
        "2/L = {safe}, which suffices but is not necessary; above the limit no gradient is longer "
        "than {longest} (bound: {bound})",
        below.record.converged
        and unsettled > TOLERANCE
        and repelled > BESIDE
        and longest <= float(np.mean(lengths)),
        {"beside": BESIDE, "below": below.name, "above": above.name, "spent": ABOVE_ITERATIONS},
        {
            "repelled": repelled,
            "limit": bottom.limit,
            "safe": 2 / bottom.L,
            "times": bottom.limit * bottom.L / 2,
            "longest": longest,
            "bound": float(np.mean(lengths)),
        },
        contradicts=True,
    )


def _quadratic(descend: Descend, bottom: Bottom, like: Parameters) -> Finding:
    """Descend on C = e^T H e / 2, whose steepest curvature M is its Lipschitz constant."""

    def value_and_grad(p: Parameters) -> tuple[float, Parameters]:
        e = vector(p)
        g = bottom.H @ e
        return float(e @ g / 2), parameters_of(g, like)

    growth = []
    for share in (BELOW, ABOVE):
        _, record = descend(
            value_and_grad,
            parameters_of(bottom.v[:, -1], like),
            learning_rate=share * bottom.limit,
            iterations=QUADRATIC_ITERATIONS,
        )
        growth.append(np.array(record.losses[1:]) / np.array(record.losses[:-1]))
    falls, rises = (ratio[:LAST] for ratio in growth)
    return Finding(
        "on the quadratic with the same Hessian the limit is one for all starts: from a start "
        "along the steepest direction a step multiplies the loss by {falls} at lambda = {below} of "
        "2/M and by {rises} at {above} of it (predicted (1 - lambda M)^2: {fall} and {rise}); "
        "after {spent} iterations it has grown {total}-fold",
        bool(np.all(falls < 1) and np.all(growth[1] > 1))
        and all(
            np.allclose(ratio, (1 - 2 * share) ** 2, rtol=ROUNDING, atol=0)
            for ratio, share in ((falls, BELOW), (rises, ABOVE))
        ),
        {
            "below": BELOW,
            "above": ABOVE,
            "fall": (1 - 2 * BELOW) ** 2,
            "rise": (1 - 2 * ABOVE) ** 2,
            "spent": QUADRATIC_ITERATIONS,
        },
        {
            "falls": float(np.mean(falls)),
            "rises": float(np.mean(rises)),
            "total": float(np.prod(growth[1])),
        },
    )


# --- figure ---------------------------------------------------------------------------------------


def _frame(run: Run, least: float) -> pd.DataFrame:
    excess = np.array(run.record.losses) - least
    return pd.DataFrame(
        {
            "rate": run.name,
            "lambda": run.rate,
            "iteration": range(1, len(excess) + 1),
            "loss_above_minimum": excess,
        }
    )


def _figure(frame: pd.DataFrame) -> Figure:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 4.2), layout="constrained")
        axes = figure.subplots()
        names = list(dict.fromkeys(frame["rate"]))
        colours = (ORANGE, BLUE, GREEN, RED)
        words = ("too small", "safe from every start", "just below the limit", "above the limit")
        places = ((7, 5), (7, 12), (7, 12), (4, -16))
        for name, colour, word, place in zip(names, colours, words, places, strict=True):
            _curve(axes, frame[frame["rate"] == name], f"λ = {name}\n{word}", colour, place)
        axes.set_xlim(1, 8000)
        axes.set_ylim(3e-15, 100)
        axes.set_xlabel("iteration")
        axes.set_ylabel("loss above its minimum")
        axes.set_title("Logistic regression on breast cancer, 3 features")
    return figure


def _curve(axes: Axes, curve: pd.DataFrame, text: str, colour: str, place: tuple[int, int]) -> None:
    """Draw what is above the rounding of the loss, and name it at its end."""
    seen = curve[curve["loss_above_minimum"] > 1e-14]
    axes.loglog(seen["iteration"], seen["loss_above_minimum"], color=colour, lw=1.6)
    end = seen.iloc[-1]
    axes.annotate(
        text,
        (end["iteration"], end["loss_above_minimum"]),
        xytext=place,
        textcoords="offset points",
        color=colour,
        fontsize=9,
        va="center",
    )


CLAIM = Claim(
    id="C13",
    title="The rate sets convergence speed",
    statement="Gradient descent w <- w - lambda dL/dw; lambda sets the speed of convergence",
    how="logistic regression on real data with rates that are too small, right and too large; the "
    "rate of convergence predicted from the Hessian at the minimum; a quadratic beside it",
    precise="near the minimum an iteration multiplies the slowest part of the error by "
    "1 - lambda mu, mu the least curvature: convergence is faster in proportion to lambda while "
    "lambda is small. It is lost above 2/M, M the largest curvature at the minimum; 2/L, L the "
    "largest anywhere, is safe from every start but not necessary. Above 2/M a quadratic diverges; "
    "descent on the logistic loss, whose gradient is bounded, neither settles nor diverges",
    source="Cauchy 1847; Nesterov 2004, section 1.2.3; Polyak 1987, section 1.4",
    measure=measure,
    look=f"figures/{NAME}.svg",
    expected=REFINED,
)
