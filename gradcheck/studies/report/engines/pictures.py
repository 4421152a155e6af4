"""The figure: relative errors of a saturated neuron's gradient, by logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradcheck.studies.report.engines.neuron import LOGITS, TARGETS
from gradcheck.studies.report.engines.tables import compared, is_wrong, name, value_of
from gradcheck.studies.report.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY, STYLE

Numbers = dict[str, Any]
FloatArray = npt.NDArray[np.floating[Any]]

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY, "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))
"""With the colours: 21 lines that can be told apart."""

RIGHT = "all others, which are right"

LEAST = {"float64": 1e-19, "float32": 1e-11}
"""Smaller errors, 0 among them, are drawn here."""

WIDEST, THINNEST = 3.5, 1.4

STRIP = 0.05
"""Of the height of a panel: from one line to the next of the engines that give no number."""

WINDOW = 3
"""The band at a logit is as high as the largest error of the logits up to so far away."""


def saturation(report: Numbers) -> Figure:
    """Draw a panel for either target and precision."""
    with mpl.rc_context(STYLE):
        return _saturation(report)


def _saturation(report: Numbers) -> Figure:
    figure = Figure(figsize=(10.0, 7.2), layout="constrained")
    wrong = [e["spec"] for e in compared(report) if is_wrong(e)]
    styles = {spec: style(place, len(wrong)) for place, spec in enumerate(wrong)}
    wrong_names = [name(e) for e in compared(report) if is_wrong(e)]
    panels = figure.subplots(2, 2, sharex=True, sharey="col")
    for column, dtype in enumerate(LEAST):
        for row, target in enumerate(TARGETS):
            _panel(panels[row, column], report, dtype, target, styles)
    for axes in panels[1]:
        axes.set_xlabel("logit z")
    for axes in panels[:, 0]:
        axes.set_ylabel("relative error of the gradient")
    handles = {
        label: handle
        for axes in panels.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    order = sorted(handles, key=[*wrong_names, RIGHT].index)
    figure.legend([handles[label] for label in order], order, loc="outside right upper",
                  frameon=False, fontsize=9)  # fmt: skip
    return figure


def style(place: int, lines: int) -> dict[str, Any]:
    """Return the look of the n-th line: later ones are thinner, so that equal ones are seen."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "ls": DASHES[place // len(COLOURS) % len(DASHES)],
        "lw": WIDEST - (WIDEST - THINNEST) * place / max(lines - 1, 1),
    }


def _panel(
    axes: Axes, report: Numbers, dtype: str, target: int, styles: dict[str, dict[str, Any]]
) -> None:
    least = LEAST[dtype]
    names = {engine["spec"]: name(engine) for engine in compared(report)}
    curves = {
        engine["spec"]: one
        for engine in compared(report)
        for one in engine["saturation"]
        if (one["dtype"], one["target"]) == (dtype, target)
    }
    _band(axes, [one for spec, one in curves.items() if spec not in styles], least)
    z = np.array(LOGITS)
    step = (10.0 / least) ** STRIP
    height = 10.0 * step
    for spec, look in styles.items():
        if spec not in curves:
            continue
        errors = _errors(curves[spec])
        finite = np.where(np.isfinite(errors), np.maximum(errors, least), np.nan)
        shown = _near(np.isin(z, curves[spec]["wrong"]))
        axes.semilogy(z, np.where(shown, finite, np.nan), **look, label=names[spec])
        if not np.isfinite(errors).all():
            strip = np.where(np.isfinite(errors), np.nan, height)
            axes.semilogy(z, strip, **look | {"lw": WIDEST})
            height *= step
    if height > 10.0 * step:
        middle = np.sqrt(10.0 * height)
        axes.text(0, middle, "NaN,\ninf", ha="center", va="center", fontsize=9, color=GREY)
    axes.axhline(10.0, color=GREY, lw=0.8)
    axes.set_xlim(LOGITS[0], LOGITS[-1])
    axes.set_yticks([10.0**k for k in range(int(np.log10(least)) + 1, 1, 3)])
    axes.minorticks_off()
    axes.set_title(f"target {target}, {dtype}", fontsize=10)


def _band(axes: Axes, right: Sequence[Numbers], least: float) -> None:
    """Draw how far off the engines are that are right everywhere."""
    if not right:
        return
    worst = np.max([_errors(one) for one in right], axis=0)
    padded = np.pad(worst, WINDOW, mode="edge")
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * WINDOW + 1).max(axis=1)
    axes.fill_between(LOGITS, least, np.maximum(highest, least), color="#cccccc", lw=0, label=RIGHT)


def _errors(curve: Numbers) -> FloatArray:
    return np.array([value_of(value) for value in curve["errors"]])


def _near(wrong: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return where an engine is wrong, and one step to either side, so that lines begin there."""
    wider = wrong.copy()
    wider[1:] |= wrong[:-1]
    wider[:-1] |= wrong[1:]
    return wider
