"""Figures as they are published: no label lies on a curve, and what was measured is drawn."""

import json
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from label_overlap import overlaps
from matplotlib.figure import Figure

from gradcheck.studies.report.figures import FIGURES, STYLE

PUBLISHED = Path(__file__).parents[3] / "reports" / "standard"


@pytest.fixture(scope="module")
def sections():
    return json.loads((PUBLISHED / "report.json").read_text("utf-8"))["sections"]


def drawn(name, figure, section):
    table = PUBLISHED / "tables" / f"{name}.csv"
    frames = {name: pd.read_csv(table)} if table.exists() else {}
    return FIGURES[name][figure](section, frames)


@pytest.mark.parametrize(
    ("name", "figure"), [(name, figure) for name, group in FIGURES.items() for figure in group]
)
def test_no_label_lies_on_what_is_drawn(name, figure, sections):
    with mpl.rc_context(STYLE):
        shown = drawn(name, figure, sections[name])
    assert overlaps(shown) == []


@pytest.mark.parametrize(
    ("plant", "told"),
    [
        (lambda axes: axes.text(0.5, 0.5, "on the curve"), ["on the curve"]),
        (lambda axes: axes.text(0.2, 0.8, "on the dot"), ["on the dot"]),
        (lambda axes: axes.text(0.4, 0.1, "on the band"), ["on the band"]),
        (lambda axes: axes.legend(loc="center"), ["legend"]),
        (
            lambda axes: [axes.text(0.05, 0.6, "one"), axes.text(0.08, 0.61, "other")],
            ["one and other"],
        ),
        (lambda axes: axes.text(0.05, 0.6, "beside"), []),
    ],
)
def test_a_label_on_a_curve_a_marker_or_a_band_is_found(plant, told):
    figure = Figure(figsize=(6, 4))
    axes = figure.subplots()
    axes.plot([0, 1], [0, 1], label="line")
    axes.plot([0.22], [0.81], "o", ms=6)
    axes.fill_between([0, 1], 0.08, 0.14)
    plant(axes)
    assert overlaps(figure) == told


def test_the_price_shows_every_run_on_the_line_and_every_ratio(sections):
    section = sections["cost"]
    [axes] = drawn("cost", "price", section).axes
    line, runs, *_ = axes.lines
    assert np.all(line.get_ydata() == line.get_xdata() + 1)
    counted = [row for row in section["results"]["networks"] if row["forward_difference_passes"]]
    assert counted
    assert runs.get_xdata().tolist() == [row["N"] for row in counted]
    assert runs.get_ydata().tolist() == [row["forward_difference_passes"] for row in counted]
    [ratios] = axes.containers
    points = ratios.lines[0].get_xydata().tolist()
    rows = zip(section["results"]["ratios"], section["timings"]["ratios"], strict=True)
    assert points == [[row["N"], time["ratio"]] for row, time in rows]
