"""The figure: relative errors of a saturated neuron's gradient, by logit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradcheck.report.engines.neuron import LOGITS, TARGETS
from gradcheck.report.engines.tables import compared, is_wrong, value_of
from gradcheck.report.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, SKY

Numbers = dict[str, Any]
FloatArray = npt.NDArray[np.floating[Any]]

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, RED, SKY, "#000000")
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))
"""With the colours: 21 lines that can be told apart."""

LEAST = {"float64": 1e-19, "float32": 1e-11}
"""Smaller errors, 0 among them, are drawn here."""

STRIP = 12.0
"""Factor between the lines of the strip of engines that give no number."""


def saturation(report: Numbers) -> Figure:
    """Draw a panel for either target and precision."""
    figure = Figure(figsize=(10.0, 7.2), layout="constrained")
    wrong = [e["spec"] for e in compared(report) if is_wrong(e)]
    styles = {spec: style(place) for place, spec in enumerate(wrong)}
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
    order = sorted(handles, key=lambda name: wrong.index(name) if name in wrong else len(wrong))
    figure.legend([handles[name] for name in order], order, loc="outside right upper",
                  frameon=False, fontsize=9)  # fmt: skip
    return figure


def style(place: int) -> dict[str, Any]:
    """Return the look of the n-th line."""
    return {
        "color": COLOURS[place % len(COLOURS)],
        "ls": DASHES[place // len(COLOURS) % len(DASHES)],
    }


def _panel(
    axes: Axes, report: Numbers, dtype: str, target: int, styles: dict[str, dict[str, Any]]
) -> None:
    least = LEAST[dtype]
    curves = {
        engine["spec"]: one
        for engine in compared(report)
        for one in engine["saturation"]
        if (one["dtype"], one["target"]) == (dtype, target)
    }
    _band(axes, [one for spec, one in curves.items() if spec not in styles], least)
    z = np.array(LOGITS)
    height = 10.0 * STRIP
    for spec, look in styles.items():
        if spec not in curves:
            continue
        errors = _errors(curves[spec])
        finite = np.where(np.isfinite(errors), np.maximum(errors, least), np.nan)
        shown = _near(np.isin(z, curves[spec]["wrong"]))
        axes.semilogy(z, np.where(shown, finite, np.nan), lw=1.8, **look, label=spec)
        if not np.isfinite(errors).all():
            strip = np.where(np.isfinite(errors), np.nan, height)
            axes.semilogy(z, strip, lw=3.5, color=look["color"], ls=look["ls"])
            height *= STRIP
    if height > 10.0 * STRIP:
        axes.text(0, 10.0 * STRIP, "NaN\nor inf", ha="center", va="bottom", fontsize=9, color=GREY)
    axes.axhline(10.0, color=GREY, lw=0.8)
    axes.set_xlim(LOGITS[0], LOGITS[-1])
    axes.set_yticks([10.0**k for k in range(int(np.log10(least)) + 1, 1, 3)])
    axes.minorticks_off()
    axes.set_title(f"target {target}, {dtype}", fontsize=10)


def _band(axes: Axes, right: Sequence[Numbers], least: float) -> None:
    """Draw the range of the engines that are right everywhere."""
    if not right:
        return
    errors = np.maximum([_errors(one) for one in right], least)
    axes.fill_between(
        LOGITS, errors.min(axis=0), errors.max(axis=0), color="#bbbbbb", lw=0,
        label=f"the {len(right)} that are right",
    )  # fmt: skip


def _errors(curve: Numbers) -> FloatArray:
    return np.array([value_of(value) for value in curve["errors"]])


def _near(wrong: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return where an engine is wrong, and one step to either side, so that lines begin there."""
    wider = wrong.copy()
    wider[1:] |= wrong[:-1]
    wider[:-1] |= wrong[1:]
    return wider
