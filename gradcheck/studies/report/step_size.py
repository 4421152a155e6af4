r"""The V-curve: the error of a difference quotient against its step.

Symbols: D(h) a stencil of order p with constants C1, C2 (`gradcheck.differences.stencils`), eps_f
the noise of one evaluation, M = |f^(p+1)|.

    |D(h) - f'| ~ C1 eps_f / h + C2 M h^p,    least at h* = (C1 eps_f / (p C2 M))^(1/(p+1))

On a log-log plot: slope p where truncation rules, slope -1 where noise does. f' is the
exact gradient, correctly rounded (`gradcheck.certified.gradient`), M comes from Cauchy's formula:
neither from differences. The next term of the expansion
limits the range that slope p is fitted in, and bends it there: with rho(h) the next term over the
first, of order h^s, the slope of h^p (1 +- rho) differs from p by at most s rho / (1 - rho). The
mean of that over the fitted steps is stated beside the standard error. Every coordinate has
derivatives, and so a range, of its own: slope p is the mean over the coordinates, with the
standard error of that mean.
"""

from __future__ import annotations

import time
from math import factorial
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from gradcheck.certified.gradient import certified_gradient
from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import Noise, estimate_noise
from gradcheck.differences.stencils import STENCILS, Stencil
from gradcheck.problem import Problem
from gradcheck.problems.case import parse
from gradcheck.splitmix64 import Stream
from gradcheck.studies.report.fits import PowerLaw, fit_power_law
from gradcheck.studies.report.progress import section_progress
from gradcheck.studies.report.section import Section
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.truth import cauchy_derivatives
from reference_models import sigmoid_network

STEPS = 2.0 ** np.concatenate(
    [np.arange(-42, -9, 0.5), np.arange(-9, -5, 0.25), np.arange(-5, 1.1, 0.125)]
)
"""Closer together where the branches of high order are short."""
RADIUS = 0.25
DOMINANCE = 5.0
"""A branch is fitted where its term is this many times the other one."""
NEXT_TERM = 0.1
"""... and the truncation branch only where the next term is at most this part of it."""

FloatArray = npt.NDArray[np.float64]


def measure(settings: Settings) -> Section:
    """Measure the error of every stencil at every step, and what the error model predicts."""
    start = time.perf_counter()
    problem = parse(settings.curve_token).problem()
    lines = loss_along_axes(problem)
    noise = estimate_noise(lines, Stream(settings.seed, "noise"))
    coordinates = _spread(lines.size, settings.curve_coordinates)
    truth = certified_gradient(problem).gradient[coordinates]
    derivatives = cauchy_derivatives(problem, coordinates.tolist(), range(2, 12), radius=RADIUS)
    curves, fits = [], []
    with section_progress("step size", len(STENCILS) * len(STEPS)) as advance:
        for stencil in STENCILS:
            errors = np.empty((len(STEPS), len(coordinates)))
            for i, h in enumerate(STEPS):
                quotients = difference_quotients(
                    lines, float(h), stencil=stencil, coordinates=coordinates
                )
                errors[i] = np.abs(quotients - truth)
                advance(1)
            curves.append(_curve(stencil, errors))
            fits.append(_fit(stencil, errors, noise, derivatives))
    results, measured = _split(settings, problem, coordinates, noise, fits)
    measured["median_derivative"] = float(np.median(np.abs(truth)))
    seconds = time.perf_counter() - start
    return Section(results, measured, {"seconds": seconds}, {"step_size": pd.concat(curves)})


def loss_along_axes(problem: Problem) -> Lines:
    """Open the window on a problem's loss that finite differences look through."""
    network = problem.architecture
    workspace = sigmoid_network.Workspace(network.sizes, problem.batch, problem.dtype)

    def loss(parameters: dict[str, Any]) -> Any:
        moved = problem.with_parameters(parameters)
        return sigmoid_network.loss(
            [*zip(moved.weights, moved.biases, strict=True)],
            problem.inputs,
            problem.targets,
            cost=network.loss,
            reduction=network.reduction,
            out=workspace,
        )

    return Lines(loss, problem.parameters)


def branches(
    stencil: Stencil, eps_f: float, model: dict[int, float]
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_], FloatArray]:
    """Return where the noise and the truncation branch are fitted, as masks, and the bend.

    Args:
        stencil: whose error.
        eps_f: the noise of one evaluation.
        model: |f^(k)| by order k.
    """
    p = stencil.accuracy
    q = next(q for q in range(p + 2, p + 4) if stencil.moment(q))
    following = float(abs(stencil.moment(q))) / factorial(q)
    noise = float(stencil.noise_constant) * eps_f / STEPS
    truncation = float(stencil.truncation_constant) * model[p + 1] * STEPS**p
    next_term = following * model[q] * STEPS ** (q - 1)
    on_noise = noise >= DOMINANCE * truncation
    on_truncation = (truncation >= DOMINANCE * noise) & (next_term <= NEXT_TERM * truncation)
    rho = np.minimum(next_term / truncation, 0.5)
    return on_noise, on_truncation, (q - 1 - p) * rho / (1 - rho)


def _fit(
    stencil: Stencil, errors: FloatArray, noise: Noise, derivatives: dict[int, FloatArray]
) -> dict[str, Any]:
    p = stencil.accuracy
    median = np.median(errors, axis=1)
    model = {k: float(np.median(np.abs(values))) for k, values in derivatives.items()}
    on_noise, _, _ = branches(stencil, noise.level, model)
    truncation, bend = _truncation(stencil, errors, noise.level, derivatives)
    best_step = stencil.best_step(noise.level, model[p + 1])
    best = int(np.argmin(median))
    return {
        "stencil": stencil.name,
        "order": p,
        "truncation": truncation,
        "noise": _law(STEPS[on_noise], median[on_noise]),
        "bend": bend,
        "next_derivative": model[p + 1],
        "predicted_step": best_step,
        "predicted_error": stencil.error_model(best_step, noise.level, model[p + 1]),
        "error_at_predicted_step": float(
            np.exp(np.interp(np.log(best_step), np.log(STEPS), np.log(median)))
        ),
        "best_step": STEPS[best],
        "best_error": median[best],
    }


def _truncation(
    stencil: Stencil, errors: FloatArray, eps_f: float, derivatives: dict[int, FloatArray]
) -> tuple[PowerLaw | None, float | None]:
    """Fit the truncation branch of every coordinate; return the mean slope and the mean bend."""
    slopes, bends = [], []
    for i in range(errors.shape[1]):
        model = {k: abs(float(values[i])) for k, values in derivatives.items()}
        _, steps, bend = branches(stencil, eps_f, model)
        law = _law(STEPS[steps], errors[steps, i])
        if law is not None:
            slopes.append(law.exponent)
            bends.append(float(np.mean(bend[steps])))
    if len(slopes) < 3:
        return None, None
    error = float(np.std(slopes, ddof=1)) / len(slopes) ** 0.5
    return PowerLaw(float(np.mean(slopes)), error, float("nan"), len(slopes)), float(np.mean(bends))


def _law(x: FloatArray, y: FloatArray) -> PowerLaw | None:
    return fit_power_law(x, y) if len(x) >= 4 and np.all(y > 0) else None


def _split(
    settings: Settings,
    problem: Problem,
    coordinates: npt.NDArray[np.intp],
    noise: Noise,
    fits: list[dict[str, Any]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Part the fitted exponents, which depend on the arithmetic, from the orders they show."""

    def shows(law: PowerLaw | None, exponent: int, bend: float | None = 0.0) -> bool:
        return law is not None and bend is not None and law.identifies(exponent, bend)

    results = {
        "token": settings.curve_token,
        "parameters": problem.architecture.n_parameters,
        "coordinates": len(coordinates),
        "steps": len(STEPS),
        "stencils": [
            {
                "stencil": fit["stencil"],
                "order": fit["order"],
                "order_shown": shows(fit["truncation"], fit["order"], fit["bend"]),
                "noise_shown": shows(fit["noise"], -1),
            }
            for fit in fits
        ],
    }
    rows = [
        {
            **fit,
            "truncation": fit["truncation"] and fit["truncation"].to_json(),
            "noise": fit["noise"] and fit["noise"].to_json(),
        }
        for fit in fits
    ]
    return results, {"noise_level": noise.level, "stencils": rows}


def _curve(stencil: Stencil, errors: FloatArray) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "stencil": stencil.name,
            "order": stencil.accuracy,
            "step": STEPS,
            "median_error": np.median(errors, axis=1),
            "worst_error": np.max(errors, axis=1),
        }
    )


def _spread(size: int, count: int) -> npt.NDArray[np.intp]:
    """Pick `count` coordinates evenly, all of them where there are fewer."""
    return np.unique(np.linspace(0, size - 1, min(count, size)).astype(np.intp))
