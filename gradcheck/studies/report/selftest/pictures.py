"""Figures of the page, from its `report.json`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradcheck.studies.report.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, STYLE

Numbers = dict[str, Any]


# --- power ----------------------------------------------------------------------------------------

LOOKS = {
    "N = 21": (SKY, "-", "o"),
    "N = 193": ("#000000", "-", "s"),
    "N = 951": (BLUE, "-", "D"),
    "float32": (RED, "-", "^"),
    "weight scale 30": (ORANGE, "-", "v"),
    "loss × 2⁻²⁰ ≈ 1e-6": (GREEN, (0, (4, 1.5)), "<"),
    "loss × 2²⁰ ≈ 1e6": (PURPLE, (0, (1, 1)), ">"),
}
"""Colour, dash and marker of a kind of network."""

ASIDE = 0.05
"""Decades from one curve to the next, so that those that are the same are all seen."""

TITLES = {
    "agreement": "agreement, the certified gradient",
    "every coordinate": "differences of every coordinate",
    "directional": "differences along random signs",
}


def power(report: Numbers) -> Figure:
    """Draw a panel for each check of our own, a curve for each kind of network."""
    own = [c["name"] for c in report["checkers"] if c["own"]]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.0, 2.6 * len(own) + 0.8), layout="constrained")
        panels = figure.subplots(len(own), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        for axes, name in zip(panels, own, strict=True):
            curves = [one for one in report["curves"] if one["checker"] == name]
            for n, one in enumerate(curves):
                shift = 10 ** (ASIDE * (n - (len(curves) - 1) / 2))
                _curve(axes, one, LOOKS.get(one["setting"], (GREY, "-", ".")), shift)
            axes.set_title(TITLES.get(name, name))
            _share_axis(axes)
        panels[-1].set_xlabel("relative size of the one wrong derivative")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False,
                      fontsize=9)  # fmt: skip
    return figure


def _curve(axes: Axes, one: Numbers, look: tuple[Any, Any, str], shift: float) -> None:
    colour, dash, marker = look
    sizes = np.array(one["sizes"]) * shift
    share = np.array(one["caught"]) / one["networks"]
    low, high = np.array(one["limits"]).T
    axes.plot(sizes, share, color=colour, ls=dash, marker=marker, ms=3.5, lw=1.2,
              label=one["setting"])  # fmt: skip
    axes.vlines(sizes, low, high, color=colour, lw=1.0, alpha=0.6)


def _share_axis(axes: Axes) -> None:
    axes.set_xscale("log")
    axes.set_xlim(3e-15, 3)
    axes.set_xticks([10.0**k for k in range(-14, 1, 2)])
    axes.minorticks_off()
    axes.set_ylim(-0.04, 1.04)
    axes.set_yticks([0, 0.5, 1], ["0", "50 %", "100 %"])
    axes.set_ylabel("caught")


# --- beside others --------------------------------------------------------------------------------

OWN_LOOKS = ((BLUE, "-", 2.6), (GREEN, "-", 3.2), ("#7fe3c4", "-", 1.3))
OTHER_COLOURS = (RED, ORANGE, PURPLE, "#8c6d31", GREY, "#000000", "#6a2fb5")
OTHER_DASHES: tuple[Any, ...] = ((0, (5, 1.5)), (0, (1, 1)), (0, (3, 1, 1, 1)))


def peers(report: Numbers) -> Figure:
    """Draw a panel for each kind of network, a curve for each checker."""
    settings = list(dict.fromkeys(one["setting"] for one in report["curves"]))
    looks = dict(_looks(report["checkers"]))
    rows = -(-(len(settings) + 1) // 2)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9.0, 2.3 * rows), layout="constrained")
        panels = list(figure.subplots(rows, 2, sharex=True, sharey=True, squeeze=False).flat)
        for axes, setting in zip(panels, settings, strict=False):
            _panel(axes, [one for one in report["curves"] if one["setting"] == setting], looks)
            axes.set_title(setting)
        for axes in panels[len(settings) - 2 : len(settings)]:
            axes.set_xlabel("relative size of the one wrong derivative")
            axes.tick_params(labelbottom=True)
        for axes in panels[len(settings) :]:
            axes.axis("off")
        handles, labels = panels[0].get_legend_handles_labels()
        panels[-1].legend(handles, labels, loc="center", frameon=False, fontsize=8.5, ncols=2,
                          handlelength=3.2)  # fmt: skip
    return figure


def _looks(checkers: Sequence[Numbers]) -> Iterator[tuple[str, tuple[Any, Any, float]]]:
    own = [c["name"] for c in checkers if c["own"]]
    yield from zip(own, OWN_LOOKS, strict=False)
    for n, name in enumerate(c["name"] for c in checkers if not c["own"]):
        colour = OTHER_COLOURS[n % len(OTHER_COLOURS)]
        yield name, (colour, OTHER_DASHES[n % len(OTHER_DASHES)], 1.5)


def _panel(
    axes: Axes, curves: Sequence[Numbers], looks: Mapping[str, tuple[Any, Any, float]]
) -> None:
    for one in curves:
        colour, dash, width = looks[one["checker"]]
        share = np.array(one["caught"]) / one["networks"]
        axes.plot(one["sizes"], share, color=colour, ls=dash, lw=width, label=one["checker"],
                  zorder=3 if dash == "-" else 2)  # fmt: skip
    _share_axis(axes)


def drawn(part: str, report: Numbers) -> Iterator[tuple[str, Figure]]:
    """Draw the figures of one part of the report; others' checkers only where there are any."""
    if part == "curves":
        yield "power", power(report)
        if not all(checker["own"] for checker in report["checkers"]):
            yield "peers", peers(report)
