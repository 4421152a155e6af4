"""Figures, from the numbers of a section; the same numbers give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# Okabe and Ito's palette, told apart by all common kinds of colour vision.
BLUE, ORANGE, GREEN, PURPLE, SKY, RED = (
    "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00",
)  # fmt: skip
GREY = "#666666"
STYLE: Any = {
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "axes.axisbelow": True,
    "svg.hashsalt": "gradcheck",
    "svg.fonttype": "path",
}
WIDTH = 8.0

Frames = Mapping[str, pd.DataFrame]
Group = dict[str, Any]


def draw(name: str, section: Group, frames: Frames) -> dict[str, bytes]:
    """Draw a section's figures; return the files by name, SVG and PNG."""
    drawn: dict[str, bytes] = {}
    with mpl.rc_context(STYLE):
        for figure, function in FIGURES.get(name, {}).items():
            drawn |= files(figure, function(section, frames))
    return drawn


def files(name: str, figure: Figure) -> dict[str, bytes]:
    """Return a figure's files by name, SVG and PNG."""
    with mpl.rc_context(STYLE):
        return {f"{name}.svg": _bytes(figure, "svg"), f"{name}.png": _bytes(figure, "png")}


def _bytes(figure: Figure, kind: str) -> bytes:
    file = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(file, format=kind, dpi=150, metadata=metadata)
    return file.getvalue()


# --- random architectures -------------------------------------------------------------------------


def consistency(section: Group, _frames: Frames) -> Figure:
    """Shares of verified, small and undecided derivatives by weight scale and depth."""
    rows = pd.DataFrame(section["measured"]["by_stratum"])
    figure = Figure(figsize=(WIDTH, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    _stacked(left, rows[rows["kind"] == "scale"], "weight scale")
    _stacked(right, rows[rows["kind"] == "depth"], "layers")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    figure.suptitle("What finite differences could decide", x=0.01, ha="left", fontsize=11)
    return figure


SHORT = {"1, logistic regression": "1, one output"}


def _stacked(axes: Axes, rows: pd.DataFrame, what: str) -> None:
    places = np.arange(len(rows))
    start = np.zeros(len(rows))
    kinds = {
        "informative": ("verified", BLUE),
        "small": ("small", SKY),
        "inconclusive": ("not decided", "#BBBBBB"),
        "failed": ("failed", RED),
    }
    for kind, (label, colour) in kinds.items():
        if kind == "failed" and not rows[kind].any():
            continue
        width = 100 * rows[kind].to_numpy() / np.maximum(rows["coordinates"].to_numpy(), 1)
        axes.barh(places, width, left=start, color=colour, label=label, height=0.75)
        start = start + width
    axes.set_yticks(places, [SHORT.get(value, value) for value in rows["value"]])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the derivatives, %")
    axes.set_ylabel(what)
    axes.grid(visible=False, axis="y")


# --- step size ------------------------------------------------------------------------------------


def step_size(section: Group, frames: Frames) -> Figure:
    """The V-curves, each with its predicted optimum."""
    figure = Figure(figsize=(WIDTH, 5.0), layout="constrained")
    axes = figure.subplots()
    colours = (ORANGE, BLUE, GREEN, PURPLE, RED)
    data = frames["step_size"]
    for fit, colour in zip(section["measured"]["stencils"], colours, strict=True):
        curve = data[data["stencil"] == fit["stencil"]]
        axes.loglog(curve["step"], curve["median_error"], color=colour, lw=1.6)
        axes.plot(
            fit["predicted_step"],
            fit["predicted_error"],
            "o",
            ms=8,
            mfc="white",
            mew=2,
            color=colour,
        )
        _name_curve(axes, curve, fit, colour)
    axes.plot([], [], "o", ms=8, mfc="white", mew=2, color=GREY, label="predicted h*, error there")
    axes.legend(loc="lower left", frameon=False)
    axes.set_xlabel("step h (units of the weight)")
    axes.set_ylabel("error of the derivative, median, absolute")
    axes.set_title("Error of forward (order 1) and central differences (orders 2 to 8)")
    axes.set_xlim(1e-13, 100)
    axes.set_ylim(1e-16, 1e-1)
    return figure


LABELS = {1: (1e-7, None), 2: (1e-10, None), 4: (1e-8, 1.5), 6: (1e-10, 1.5), 8: (1e-12, 1.5)}
"""By order: the height of a curve's name, and where it stands if not directly left of the curve."""


def _name_curve(axes: Axes, curve: pd.DataFrame, fit: Group, colour: str) -> None:
    """Write a curve's order beside its truncation branch."""
    height, place = LABELS[fit["order"]]
    branch = curve[curve["step"] > fit["best_step"]]
    step = np.exp(np.interp(np.log(height), np.log(branch["median_error"]), np.log(branch["step"])))
    text = f"order {fit['order']}"
    if place is None:
        axes.annotate(text, (step, height), xytext=(-14, 3), textcoords="offset points",
                      ha="right", va="center", color=colour, fontsize=9)  # fmt: skip
    else:
        line = {"arrowstyle": "-", "color": colour, "lw": 0.7, "shrinkA": 1, "shrinkB": 0}
        axes.annotate(text, (step, height), xytext=(place, height), textcoords="data",
                      va="center", color=colour, fontsize=9, arrowprops=line)  # fmt: skip


# --- cost -----------------------------------------------------------------------------------------


def price(section: Group, _frames: Frames) -> Figure:
    """Forward passes that one gradient costs against N: formulas, and what was measured."""
    networks, ratios = section["results"]["networks"], section["results"]["ratios"]
    clock = section["timings"]["ratios"]
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    N = np.geomspace(8, 2e6, 200)  # N + 1 is no straight line here
    axes.loglog(N, N + 1, "-", color=BLUE, lw=1.2)
    run = [row for row in networks if row["forward_difference_passes"] is not None]
    axes.plot([row["N"] for row in run], [row["forward_difference_passes"] for row in run], "o",
              ms=6, color=BLUE, label="passes counted, forward differences")  # fmt: skip
    axes.fill_between(N, 2, 3, color=ORANGE, alpha=0.3, lw=0)
    median = np.array([row["ratio"] for row in clock])
    error = [median - [row["low"] for row in clock], [row["high"] for row in clock] - median]
    axes.errorbar([row["N"] for row in ratios], median, yerr=error, fmt="^", ms=6, lw=1,
                  color=RED, label="time of loss and gradient / time of the loss")  # fmt: skip
    axes.text(2e3, 6e4, "finite differences: N + 1", color=BLUE, ha="right")
    axes.text(2e3, 5, "backpropagation: 2 to 3 in arithmetic, whatever N", color=RED, ha="center")
    axes.set_xlim(N[0], N[-1])
    axes.set_ylim(1, 4e6)
    axes.minorticks_off()
    axes.set_xlabel("N, number of weights and biases")
    axes.set_ylabel("price in forward passes")
    axes.set_title("What one gradient costs")
    axes.legend(loc="upper left", frameon=False, fontsize=9)
    return figure


WAYS = (("in_batches_seconds", "in batches", "s", GREEN),
        ("by_layers_seconds", "by layers", "D", PURPLE),
        ("backprop_median", "backprop", "^", ORANGE),
        ("forward_pass_median", "one loss", "v", GREY))  # fmt: skip
"""What stands beside forward differences: the column, its name, marker and colour."""


def cost(_section: Group, frames: Frames) -> Figure:
    """Seconds against N, each line named at its end."""
    data = frames["cost"]
    figure = Figure(figsize=(WIDTH, 4.4), layout="constrained")
    axes = figure.subplots()
    measured = ~data["forward_differences_extrapolated"].astype(bool)
    N, t = data["N"], data["forward_differences_seconds"]
    axes.loglog(N, t, "-", color=BLUE, lw=1.2)
    axes.loglog(N[measured], t[measured], "o", ms=5, color=BLUE)
    axes.loglog(N[~measured], t[~measured], "o", ms=5, mfc="white", color=BLUE)
    open_points = "" if measured.all() else "\n(open: foretold)"
    axes.text(1.3 * N.max(), t.iloc[-1], f"forward\ndifferences{open_points}", color=BLUE,
              va="center")  # fmt: skip
    for column, name, marker, colour in WAYS:
        known = data.dropna(subset=[column])
        if known.empty:
            continue
        seconds = known[column].astype(float)
        axes.loglog(known["N"], seconds, marker, ls="-", ms=5, color=colour)
        axes.text(1.3 * known["N"].iloc[-1], seconds.iloc[-1], name, color=colour, va="center")
    axes.set_xlim(8, 1e7)
    axes.set_ylim(None, 5 * t.max())
    axes.minorticks_off()
    axes.set_xlabel("N, number of weights and biases")
    axes.set_ylabel("time, s")
    axes.set_title("Time of one gradient of one example")
    return figure


FIGURES: dict[str, dict[str, Callable[[Group, Frames], Figure]]] = {
    "consistency": {"consistency": consistency},
    "step_size": {"step_size": step_size},
    "cost": {"price": price, "cost": cost},
}
"""By section, each figure by its file name."""
