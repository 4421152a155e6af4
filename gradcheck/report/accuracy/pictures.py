"""The two figures of the section, drawn from every coordinate."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gradcheck.outcomes.judging import CALIBRATED
from gradcheck.outcomes.reasons import Kind
from gradcheck.problems.strata import STRATA
from gradcheck.report.figures import BLUE, GREY, ORANGE, RED, WIDTH

FloatArray = npt.NDArray[np.floating[Any]]

LIMITS = {"float64": (1e-16, 1e-7, 1e-17), "float32": (1e-7, 1e1, 1e-11)}
"""Least and largest bound over size that are drawn, and least error over size."""
COLOURS = {"float64": BLUE, "float32": ORANGE}
PER_DECADE, LEAST = 2, 30


def draw(frame: pd.DataFrame, engine: str) -> dict[str, Figure]:
    """Return the figures by file name.

    Args:
        frame: coordinates of one engine, as `errors.coordinates` has them.
        engine: what it is called.
    """
    return {"accuracy": error_against_bound(frame, engine), "sensitivity": by_scale(frame)}


def error_against_bound(frame: pd.DataFrame, engine: str) -> Figure:
    """Draw |error| / |G| against bound / |G|: how many coordinates lie where, for each dtype."""
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    for axes, dtype in zip(figure.subplots(1, 2), STRATA["dtype"], strict=True):
        _density(axes, frame[frame["dtype"] == dtype], dtype)
    figure.suptitle(f"Rounding of {engine}", x=0.01, ha="left", fontsize=11)
    return figure


def _density(axes: Axes, part: pd.DataFrame, dtype: str) -> None:
    low, high, least = LIMITS[dtype]
    size = part["exact"].abs().to_numpy(np.float64)
    bound, error = part["allowance"].to_numpy(np.float64), _errors(part)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        x, y = bound / size, error / size
        usual = part["usual"].to_numpy(np.float64) / size
    drawn = (x >= low) & (x <= high)
    shown = drawn & (y > 0)
    if shown.any():
        bins = axes.hexbin(
            x[shown], np.maximum(y[shown], least), xscale="log", yscale="log", gridsize=(32, 22),
            extent=tuple(np.log10([low, high, least, high])), mincnt=1, cmap="Blues",
            norm=LogNorm(vmin=0.3), linewidths=0.1, rasterized=True,
        )  # fmt: skip
        bar = axes.figure.colorbar(bins, ax=axes, label="derivatives a cell", shrink=0.6)
        bar.ax.minorticks_off()
        axes.loglog(*_medians(x[drawn], usual[drawn]), "--", color=GREY, lw=1.4)
    axes.loglog([low, high], [low, high], "-", color=RED, lw=1.4)
    axes.text(0.66, 0.80, "error = bound", color=RED, fontsize=9, ha="right",
              transform=axes.transAxes)  # fmt: skip
    axes.text(0.03, 0.92, f"dashed: {CALIBRATED:.1f} deviations,\nmedian", color=GREY, fontsize=9,
              transform=axes.transAxes)  # fmt: skip
    axes.set_xlim(low, high)
    axes.set_ylim(least, high)
    axes.set_xlabel("bound / |derivative|")
    axes.set_ylabel("|error| / |derivative|")
    none = 100 * float(np.mean(error[drawn] == 0)) if drawn.any() else 0.0
    axes.set_title(f"{dtype}; error 0, not drawn: {none:.0f} %", fontsize=9)


def _errors(part: pd.DataFrame) -> FloatArray:
    return np.asarray(np.abs(part["g"].to_numpy(np.float64) - part["exact"].to_numpy(np.float64)))


def _medians(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the median of y over intervals of log x, PER_DECADE of them a decade."""
    place = np.floor(PER_DECADE * np.log10(x)).astype(int)
    found = [
        ((i + 0.5) / PER_DECADE, float(np.median(y[place == i])))
        for i in np.unique(place)
        if np.sum(place == i) >= LEAST
    ] or [(float(np.log10(np.median(x))), float(np.median(y)))]
    middle, median = zip(*found, strict=True)
    return 10.0 ** np.array(middle), np.array(median)


def by_scale(frame: pd.DataFrame) -> Figure:
    """Draw bound / |G|, median and 99 %, and the share of vacuous coordinates, by weight scale."""
    figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    for dtype, colour in COLOURS.items():
        part = frame[frame["dtype"] == dtype]
        scales = [scale for scale in STRATA["scale"] if (part["scale"] == scale).any()]
        x = np.array([float(scale) for scale in scales])
        groups = [part[part["scale"] == scale] for scale in scales]
        for q, style in ((0.5, "o-"), (0.99, "v--")):
            seen = np.minimum([_quantile(group, q) for group in groups], 1.0)
            left.loglog(x, seen, style, ms=5, color=colour,
                        label=f"{dtype}, {'median' if q == 0.5 else '99 %'}")  # fmt: skip
        vacuous = [100 * float(np.mean(group["kind"] == Kind.VACUOUS)) for group in groups]
        right.semilogx(x, vacuous, "o-", ms=5, color=colour, label=dtype)
    for axes in (left, right):
        axes.set_xlabel("weight scale")
        axes.set_xticks([float(scale) for scale in STRATA["scale"]], STRATA["scale"])
        axes.minorticks_off()
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False, fontsize=9)
    left.set_ylabel("bound / |derivative|")
    left.set_ylim(1e-16, 10)
    left.axhline(1, color=GREY, lw=1, ls=":")
    left.text(0.1, 1.5, "above: nothing is seen", color=GREY, fontsize=9)
    left.set_title("Smallest error of one derivative that is seen", fontsize=10)
    right.set_ylabel("share of the derivatives, %")
    right.set_ylim(bottom=0)
    right.set_title("Derivatives whose comparison is vacuous", fontsize=10)
    return figure


def _quantile(group: pd.DataFrame, q: float) -> float:
    seen = group["seen"].dropna().to_numpy(np.float64)
    return float(np.quantile(seen, q, method="higher")) if seen.size else float("nan")
