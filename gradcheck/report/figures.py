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
    """Draw a section's figure; return the files by name, SVG and PNG."""
    with mpl.rc_context(STYLE):
        return files(name, FIGURES[name](section, frames))


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
    """Shares of informative, small and inconclusive derivatives by weight scale and depth."""
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


def _stacked(axes: Axes, rows: pd.DataFrame, label: str) -> None:
    places = np.arange(len(rows))
    start = np.zeros(len(rows))
    kinds = {"informative": BLUE, "small": SKY, "inconclusive": "#BBBBBB", "failed": RED}
    for kind, colour in kinds.items():
        if kind == "failed" and not rows[kind].any():
            continue
        width = 100 * rows[kind].to_numpy() / np.maximum(rows["coordinates"].to_numpy(), 1)
        axes.barh(places, width, left=start, color=colour, label=kind, height=0.75)
        start = start + width
    axes.set_yticks(places, [SHORT.get(value, value) for value in rows["value"]])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    axes.set_xlabel("share of the derivatives, %")
    axes.set_ylabel(label)
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
    axes.set_title(f"Error against step, {section['results']['token']}", fontsize=9)
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
    text = f"{'forward' if fit['order'] == 1 else 'central'}, order {fit['order']}"
    if place is None:
        axes.annotate(text, (step, height), xytext=(-7, 0), textcoords="offset points",
                      ha="right", va="center", color=colour, fontsize=9)  # fmt: skip
    else:
        line = {"arrowstyle": "-", "color": colour, "lw": 0.7, "shrinkA": 1, "shrinkB": 0}
        axes.annotate(text, (step, height), xytext=(place, height), textcoords="data",
                      va="center", color=colour, fontsize=9, arrowprops=line)  # fmt: skip


# --- cost -----------------------------------------------------------------------------------------


def cost(_section: Group, frames: Frames) -> Figure:
    """Passes and seconds against N."""
    data = frames["cost"]
    figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    _passes(left, data)
    _seconds(right, data)
    for axes in (left, right):
        axes.set_xlabel("N, number of parameters")
        axes.minorticks_off()
        axes.set_xlim(5, 4e6)
    return figure


def _passes(axes: Axes, data: pd.DataFrame) -> None:
    series = (
        ("check_passes", "differences with\nerror bounds", PURPLE, "D"),
        ("central_difference_passes", "central\ndifferences", GREEN, "s"),
        ("forward_difference_passes", "forward\ndifferences", BLUE, "o"),
    )
    for column, _, colour, marker in series:
        known = data.dropna(subset=[column])
        axes.loglog(known["N"], known[column].astype(float), marker, ls="-", ms=4, color=colour)
    both = data["backprop_forward_passes"] + data["backprop_backward_passes"]
    axes.loglog(data["N"], both, "^", ls="-", ms=5, color=ORANGE)
    axes.text(4e3, 2.6, "backprop, forward + backward", color=ORANGE, fontsize=9, ha="center")
    places = {PURPLE: (80, 2.5e4), GREEN: (5e4, 6e5), BLUE: (4e4, 4e3)}
    for _, text, colour, _ in series:
        axes.text(*places[colour], text, color=colour, fontsize=9, ha="center", va="center")
    axes.set_ylim(1, 2e6)
    axes.set_ylabel("passes over the batch, counted")
    axes.set_title("Passes for one gradient")


def _seconds(axes: Axes, data: pd.DataFrame) -> None:
    measured = ~data["forward_differences_extrapolated"].astype(bool)
    N, t = data["N"], data["forward_differences_seconds"]
    axes.loglog(N, t, "-", color=BLUE, lw=1.2)
    axes.loglog(N[measured], t[measured], "o", ms=4, color=BLUE)
    axes.loglog(N[~measured], t[~measured], "o", ms=5, mfc="white", color=BLUE)
    axes.loglog(N, data["backprop_median"], "^", ls="-", ms=5, color=ORANGE)
    axes.loglog(N, data["forward_pass_median"], "v", ls="-", ms=4, color=GREY)
    axes.text(1.2e3, 1e-1, "forward\ndifferences", color=BLUE, fontsize=9, ha="right")
    axes.text(3e4, 2.2e-4, "backprop", color=ORANGE, fontsize=9, ha="right")
    axes.text(1e5, 9e-6, "one loss", color=GREY, fontsize=9, ha="left")
    if (~measured).any():
        axes.text(8e4, 60, "open: extrapolated", color=BLUE, fontsize=9, ha="right")
    axes.set_ylim(3e-6, 1e3)
    axes.set_ylabel("time, s")
    axes.set_title("Time for one gradient, one example")


# --- location -------------------------------------------------------------------------------------


def location(section: Group, _frames: Frames) -> Figure:
    """Passes that name one wrong weight against N, with the fitted logarithm."""
    N, growth = np.array(section["results"]["growth"]["N"]), section["measured"]["growth"]
    figure = Figure(figsize=(WIDTH, 3.4), layout="constrained")
    axes = figure.subplots()
    axes.loglog(N, N + 1, "--", color=GREY)
    axes.loglog(N, growth["constant"] + growth["a_doubling"] * np.log2(N), "-", color=BLUE, lw=1.2)
    axes.loglog(N, growth["passes"], "o", ms=6, color=BLUE)
    axes.text(N[-1], 1.3 * growth["passes"][-1], "random signs and group testing", color=BLUE,
              fontsize=9, ha="right", va="bottom")  # fmt: skip
    axes.text(N[-2], N[-2] / 2, "forward differences, N + 1", color=GREY, fontsize=9, va="top")
    axes.set_xlabel("N, number of weights")
    axes.set_ylabel("forward passes")
    axes.set_title("Naming one weight that is off by 1 %")
    return figure


# --- real data ------------------------------------------------------------------------------------


def real_data(_section: Group, frames: Frames) -> Figure:
    """Size, allowance and deviation of every derivative, sorted by size."""
    data = frames["real_data"]
    figure = Figure(figsize=(WIDTH, 6.0), layout="constrained")
    panels = figure.subplots(2, 2, sharey=True)
    groups = list(data.groupby(["data", "state"], sort=False))
    for axes, ((name, state), rows) in zip(panels.flat, groups, strict=False):
        _sorted_panel(axes, rows)
        axes.set_title(f"{name}, {state} weights")
    panels[0, 0].set_ylabel("absolute value")
    panels[1, 0].set_ylabel("absolute value")
    handles, labels = panels[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _sorted_panel(axes: Axes, rows: pd.DataFrame) -> None:
    ordered = rows.sort_values("engine", key=np.abs, ascending=False, kind="stable")
    rank = np.arange(1, len(ordered) + 1)
    size = ordered["engine"].abs().to_numpy()
    deviation = (ordered["engine"] - ordered["oracle"]).abs().to_numpy()
    dot = {"ls": "none", "marker": ".", "ms": 6 if len(rank) < 100 else 3, "rasterized": True}
    axes.semilogy(rank, np.where(size > 0, size, np.nan), **dot, color=BLUE,
                  label="derivative, by backprop")  # fmt: skip
    axes.semilogy(rank, ordered["allowance"], **dot, color=ORANGE,
                  label="allowance")  # fmt: skip
    axes.semilogy(rank, np.where(deviation > 0, deviation, np.nan), **dot, color=GREY,
                  label="deviation from differences")  # fmt: skip
    axes.set_xlabel("derivatives, largest first")


FIGURES: dict[str, Callable[[Group, Frames], Figure]] = {
    "consistency": consistency,
    "step_size": step_size,
    "cost": cost,
    "location": location,
    "real_data": real_data,
}
