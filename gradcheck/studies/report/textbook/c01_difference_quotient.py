r"""C1: the slope of a curve as the limit of the difference quotient, and where the limit is lost.

Symbols: f = exp, whose derivatives are all f; h the step, D(h) the quotient.

    forward  D(h) = (f(x+h) - f(x)) / h           error  h/2 f''(xi),     x <= xi <= x+h
    central  D(h) = (f(x+h) - f(x-h)) / (2 h)     error  h^2/6 f'''(xi),  x-h <= xi <= x+h

(Taylor's theorem.) In 120 decimal digits every error must lie between those of the least and the
greatest f(xi): the limit itself. In float64 f carries rounding errors of standard deviation s, and
with c the weights of the stencil the relative error has the root mean square

    E(h)^2 = |c|^2 s^2 / h^2 + (C2 h^p)^2,   least at h* = (|c| s / (sqrt(p) C2))^(1/(p+1)).

s is estimated from differences of f over neighbouring numbers, without knowledge of f'. It may be
too small by a factor 3 (`gradcheck.differences.noise`), and E is flat at its least; the best of
steps that stand a factor sqrt(2) apart must lie within 3^(1/(p+1)) sqrt(2) of h*.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, localcontext
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.differences.noise import SAMPLES, UNDERESTIMATE, table_noise
from gradcheck.differences.stencils import CENTRAL_2, FORWARD, Stencil
from gradcheck.studies.report.figures import BLUE, GREY, ORANGE, STYLE
from gradcheck.studies.report.fits import fit_power_law
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.step_size import DOMINANCE, NEXT_TERM
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.words import plus_minus

FloatArray = npt.NDArray[np.float64]
Quotient = Callable[[Callable[[Any], Any], Any, Any], Any]

DIGITS = 120
DECIMAL_STEPS = range(1, 26)
SPACING = 2.0**0.5
STEPS = 2.0 ** np.arange(-50, 0.5, 0.5)
POINTS = 1 + (np.arange(512) + 0.5) / 512
"""Multiples of 2^-10 between 1 and 2: x + h and x - h are exact where h is a power of two, down to
2^-52; steps between two powers of two are rounded to multiples of 2^-52."""
LOST = 2.0**-54
"""Half a unit in the last place of the points, and less: x + h rounds to x."""


def forward_quotient(f: Callable[[Any], Any], x: Any, h: Any) -> Any:
    """Return (f(x+h) - f(x)) / h."""
    return (f(x + h) - f(x)) / h


def central_quotient(f: Callable[[Any], Any], x: Any, h: Any) -> Any:
    """Return (f(x+h) - f(x-h)) / (2 h)."""
    return (f(x + h) - f(x - h)) / (2 * h)


def measure(
    settings: Settings,  # noqa: ARG001 - every measurement takes them
    forward: Quotient = forward_quotient,
    central: Quotient = central_quotient,
) -> Evidence:
    """Follow both quotients to their limit in 120 digits, and to the rounding in float64."""
    s = _noise()
    forward_found, forward_curve = _curve(FORWARD, forward, s)
    central_found, central_curve = _curve(CENTRAL_2, central, s)
    frame = pd.concat([forward_curve, central_curve])
    at_loss = [float(np.max(np.abs(q(np.exp, POINTS, LOST)))) for q in (forward, central)]
    lost = Finding(
        "below the spacing of floating-point numbers x + h is x: at h = {h} the quotients of all "
        "{points} points are at most {largest}",
        max(at_loss) == 0,
        {"h": LOST, "points": len(POINTS), "largest": max(at_loss)},
        contradicts=True,
    )
    return Evidence(
        (
            _limit(forward, central),
            _order(FORWARD, forward_found),
            _order(CENTRAL_2, central_found),
            _best(FORWARD, forward_found),
            _best(CENTRAL_2, central_found),
            lost,
        ),
        {NAME: frame},
        {NAME: _figure(frame, [forward_found, central_found])},
    )


# --- the limit ------------------------------------------------------------------------------------


def _limit(forward: Quotient, central: Quotient) -> Finding:
    """Hold every error in 120 digits between its two bounds by Taylor's theorem."""
    kept, errors = 0, []
    with localcontext() as context:
        context.prec = DIGITS
        x = Decimal(1)
        slope = x.exp()
        for k in DECIMAL_STEPS:
            h = Decimal(10) ** -k
            ahead = forward(Decimal.exp, x, h) - slope
            about = central(Decimal.exp, x, h) - slope
            kept += slope * h / 2 <= ahead <= (x + h).exp() * h / 2
            kept += (x - h).exp() * h**2 / 6 <= about <= (x + h).exp() * h**2 / 6
            errors.append((float(ahead), float(about)))
    return Finding(
        "in {digits} digits, for h = 10^-1 to 10^-{last}: {kept} of {checked} errors lie where "
        "Taylor's theorem puts them, and fall to {forward} (forward) and {central} (central)",
        kept == 2 * len(DECIMAL_STEPS),
        {
            "digits": DIGITS,
            "last": DECIMAL_STEPS[-1],
            "kept": kept,
            "checked": 2 * len(DECIMAL_STEPS),
            "forward": errors[-1][0],
            "central": errors[-1][1],
        },
    )


# --- float64 --------------------------------------------------------------------------------------


def _noise() -> float:
    """Estimate the relative noise of exp from difference tables, root mean square over points."""
    neighbours = 2.0**-46 * np.arange(SAMPLES)
    tables = [table_noise(np.exp(x + neighbours))[0] / np.exp(x) for x in POINTS]
    return float(np.sqrt(np.mean(np.square(tables))))


def _curve(stencil: Stencil, quotient: Quotient, s: float) -> tuple[dict[str, Any], pd.DataFrame]:
    """Measure E(h), fit both branches and predict the best step."""
    slope, p = np.exp(POINTS), stencil.accuracy
    h = np.round(STEPS / 2.0**-52) * 2.0**-52
    relative = np.array([quotient(np.exp, POINTS, step) / slope - 1 for step in h])
    errors = np.sqrt(np.mean(np.square(relative), axis=1))
    c, C2 = _weight(stencil), float(stencil.truncation_constant)
    noise, truncation = c * s / h, C2 * h**p
    # next term over the first: forward h/3, central h^2/20
    next_term = h / 3 if p == 1 else h**2 / 20
    on_noise = noise >= DOMINANCE * truncation
    on_truncation = (truncation >= DOMINANCE * noise) & (next_term <= NEXT_TERM)
    best = float((c * s / (p**0.5 * C2)) ** (1 / (p + 1)))
    found = {
        "truncation": fit_power_law(h[on_truncation], errors[on_truncation]),
        "noise": fit_power_law(h[on_noise], errors[on_noise]),
        "bend": float(np.mean(p * next_term[on_truncation] + (noise / truncation)[on_truncation])),
        "noise_bend": float(np.mean((truncation / noise)[on_noise])),
        "predicted": best,
        "predicted_error": float(np.hypot(c * s / best, C2 * best**p)),
        "best": float(h[np.argmin(errors)]),
        "least": float(np.min(errors)),
    }
    columns = {"quotient": stencil.name, "step": h, "error": errors}
    return found, pd.DataFrame(columns)


def _weight(stencil: Stencil) -> float:
    """|c|, the Euclidean norm of the stencil's weights."""
    return float(sum(float(c) ** 2 for c in stencil.weights) ** 0.5)


def _order(stencil: Stencil, found: dict[str, Any]) -> Finding:
    falling, rising = found["truncation"], found["noise"]
    text = (
        "{name} quotient in float64: the error falls as h^p, p = {falling} (standard error, "
        "systematic), where truncation rules, and grows as h^q, q = {rising}, where rounding does"
    )
    return Finding(
        text,
        falling.identifies(stencil.accuracy, found["bend"])
        and rising.identifies(-1, found["noise_bend"]),
        {"name": stencil.name, "order": stencil.accuracy},
        {
            "falling": plus_minus(falling.to_json(), found["bend"]),
            "rising": plus_minus(rising.to_json()),
        },
    )


def _best(stencil: Stencil, found: dict[str, Any]) -> Finding:
    factor = UNDERESTIMATE ** (1 / (stencil.accuracy + 1)) * SPACING
    ratio = found["best"] / found["predicted"]
    return Finding(
        "{name} quotient: best step {best}, predicted {predicted} (may be off by a factor "
        "{factor}); relative error there {least}, predicted {predicted_error}",
        bool(1 / factor <= ratio <= factor),
        {"name": stencil.name, "factor": factor},
        {key: found[key] for key in ("best", "predicted", "least", "predicted_error")},
    )


NAME = "c1_difference_quotient"


def _figure(frame: pd.DataFrame, found: list[dict[str, Any]]) -> Figure:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 4.2), layout="constrained")
        axes = figure.subplots()
        for stencil, fit, colour, place in (
            (FORWARD, found[0], ORANGE, (1e-7, 1e-4)),
            (CENTRAL_2, found[1], BLUE, (6e-3, 1e-8)),
        ):
            curve = frame[frame["quotient"] == stencil.name]
            axes.loglog(curve["step"], curve["error"], color=colour, lw=1.6)
            axes.plot(fit["predicted"], fit["predicted_error"], "o", ms=8,
                      mfc="white", mew=2, color=colour)  # fmt: skip
            axes.text(*place, f"{stencil.name}, order {stencil.accuracy}", color=colour)
        axes.plot([], [], "o", ms=8, mfc="white", mew=2, color=GREY, label="predicted best step")
        axes.legend(loc="lower left", frameon=False)
        axes.set_xlabel("step h")
        axes.set_ylabel("relative error, root mean square")
        axes.set_title("Difference quotients of exp in float64")
    return figure


CLAIM = Claim(
    id="C1",
    title="Slope: limit of the difference quotient",
    statement="The slope of a curve is the limit of the difference quotient as dx shrinks; "
    "discarding the rest stops mattering",
    how="forward and central quotients of exp: each error in 120 digits between its bounds by "
    "Taylor's theorem; in float64 both branches of the error fitted, the best step predicted from "
    "the noise of exp alone",
    precise="in exact arithmetic the error falls with dx, as dx for forward and dx^2 for central "
    "quotients; on a computer it then grows as 1/dx, so that there is a best step above 0, and "
    "below the spacing of the numbers the quotient is 0",
    source="Taylor's theorem; Gill, Murray, Saunders and Wright 1983",
    measure=measure,
    look=f"figures/{NAME}.svg",
    expected=REFINED,
)
