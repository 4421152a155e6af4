"""Seconds and forward passes against N: measured points solid, extrapolated ones dashed.

Checks that see any function, and those that must know the network, have a panel each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradcheck.studies.bench import backprop, by_hand, contender, ours
from gradcheck.studies.bench.backprop import Row
from gradcheck.studies.report.figures import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    STYLE,
    WIDTH,
    files,
)

COLOURS = {
    ours.LAYERED: BLUE,
    ours.CERTIFIED: SKY,
    ours.DIRECTIONAL: GREEN,
    ours.AXES: PURPLE,
    ours.AXES_AT_ONCE: "#882255",
    ours.SEARCHED: "#CC6677",
    "torch slow": ORANGE,
    "torch fast": RED,
    "jax check_grads": "#999933",
    "autograd check_grads": "#117733",
    "scipy check_grad": GREY,
    "scipy 3-point": "#222222",
    "numdifftools": "#AA4499",
    "jacobi": "#661100",
    "course rule": "#88A0B8",
    "torch slow, atol 1e-9": "#B07800",
    by_hand.BACKPROP: RED,
    by_hand.BACKPROP_CLOSE: "#882255",
    by_hand.LAYERED: ORANGE,
}
OTHER_PEER = GREY
LEAST_GAP = 0.2
"""Inches between two labels."""

HEIGHT = {contender.ANY: 4.6, contender.NETWORK: 2.6}
"""Inches of each panel."""

Curve = dict[str, Any]


def draw(report: dict[str, Any]) -> dict[str, bytes]:
    """Draw the figures; return the files by name, SVG and PNG."""
    threads = report["settings"]["threads"][0]
    with mpl.rc_context(STYLE):
        rows = [Row.from_json(row) for row in report["backprop"]]
        beside_torch = files("backprop", backprop.figure(rows)) if rows else {}
        return {
            **beside_torch,
            **files("seconds", figure(report, "seconds", f"seconds, {_threads(threads)}")),
            **files("passes", figure(report, "passes", "forward passes", (contender.ANY,))),
        }


def _threads(n: int) -> str:
    return "one thread" if n == 1 else f"{n} threads"


def figure(
    report: dict[str, Any], quantity: str, label: str, shown: Sequence[str] = contender.BLOCKS
) -> Figure:
    """Draw one quantity of every check of some blocks against N, for the first thread number."""
    with mpl.rc_context(STYLE):
        found = [curve for curve in curves(report, quantity) if len(curve["N"])]
        blocks = [block for block in shown if any(curve["block"] == block for curve in found)]
        heights = [HEIGHT[block] for block in blocks]
        drawn = Figure(figsize=(WIDTH, sum(heights) or 1.0), layout="constrained")
        if not blocks:
            return drawn
        panels = drawn.subplots(len(blocks), sharex=True, squeeze=False, height_ratios=heights)
        for axes, block in zip(panels[:, 0], blocks, strict=True):
            _panel(axes, block, [curve for curve in found if curve["block"] == block])
            axes.set_ylabel(label)
        panels[-1, 0].set_xlabel("N, number of weights and biases")
    return drawn


def _panel(axes: Axes, block: str, found: list[Curve]) -> None:
    for curve in found:
        _draw_curve(axes, curve)
    axes.set_xscale("log")
    axes.set_yscale("log")
    is_measured = all(curve["measured"].all() for curve in found)
    axes.set_title(f"One check, {block}" + ("" if is_measured else "; dashed: extrapolated"))
    _name_curves(axes, found, LEAST_GAP / HEIGHT[block])


def curves(report: dict[str, Any], quantity: str) -> list[Curve]:
    """Return the points of every check: N, the quantity, and which were measured."""
    threads = report["settings"]["threads"][0]
    found = []
    for check in report["checks"]:
        rows = [
            row
            for row in report["rows"]
            if row["check"] == check["name"] and row["threads"] == threads and row[quantity]
        ]
        found.append(
            {
                "name": check["name"],
                "ours": check["ours"],
                "block": check["block"],
                "N": np.array([row["N"] for row in rows]),
                "y": np.array([row[quantity] for row in rows]),
                "measured": np.array([row["repeats"] > 0 for row in rows], dtype=bool),
            }
        )
    return found


def _draw_curve(axes: Axes, curve: Curve) -> None:
    colour, width = COLOURS.get(curve["name"], OTHER_PEER), 2.2 if curve["ours"] else 1.1
    N, y, measured = curve["N"], curve["y"], curve["measured"]
    axes.plot(N[measured], y[measured], "o-", ms=4, color=colour, lw=width)
    last = max(int(np.sum(measured)) - 1, 0)
    axes.plot(N[last:], y[last:], "--", color=colour, lw=width)


def _name_curves(axes: Axes, found: list[Curve], gap: float) -> None:
    """Write each name to the right of its curve, moved up where two would overlap.

    A curve that ends earlier than others has no line to its name, which would look like a curve.
    """
    largest = max(float(curve["N"][-1]) for curve in found)
    low, high = np.log(axes.get_ylim())
    order = sorted(found, key=lambda curve: float(curve["y"][-1]))
    heights = spread([(np.log(c["y"][-1]) - low) / (high - low) for c in order], gap)
    for curve, height in zip(order, heights, strict=True):
        colour = COLOURS.get(curve["name"], OTHER_PEER)
        N = float(curve["N"][-1])
        line = {"arrowstyle": "-", "color": colour, "lw": 0.6, "relpos": (0, 0.5)}
        axes.annotate(
            curve["name"] if largest == N else f"{curve['name']}, to {N:,.0f}",
            (N, float(curve["y"][-1])),
            (1.04, height),
            textcoords="axes fraction",
            color=colour,
            fontsize=9,
            va="center",
            arrowprops=line if largest == N else None,
            fontweight="bold" if curve["ours"] else "normal",
            annotation_clip=False,
        )


def spread(heights: list[float], gap: float) -> list[float]:
    """Move ascending heights apart to at least `gap`, as little as that takes, from below.

    >>> spread([0.0, 0.0, 0.5], 0.25)
    [0.0, 0.25, 0.5]
    """
    moved: list[float] = []
    for height in heights:
        moved.append(max(height, moved[-1] + gap) if moved else height)
    excess = max(0.0, moved[-1] - 1.0) if moved else 0.0
    ceiling = 1.0 if excess else np.inf
    for place in range(len(moved) - 1, -1, -1):
        moved[place] = min(moved[place], ceiling)
        ceiling = moved[place] - gap
    return moved
