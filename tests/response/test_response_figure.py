"""Figures show what was measured, with the intervals beyond the bound shaded."""

import xml.etree.ElementTree as ET

import numpy as np
import pytest
from planted import planted, sigmoid
from some import some

from gradcheck.engines.variants import CORRECT
from gradcheck.response import measure
from gradcheck.response.figure import HEIGHT, LEFT, RIGHT, WIDTH, Scale, figures

SVG = "{http://www.w3.org/2000/svg}"


def cut(z):
    return np.where(z > 15, 1, np.where(z < -15, 0, sigmoid(z))).astype(z.dtype)


@pytest.fixture(scope="module")
def drawn():
    return roots_of(planted(sig=cut))


def roots_of(engine):
    return [ET.fromstring(svg) for svg in figures(measure(engine, dtypes=("float64",)))]  # noqa: S314  written here


def titles(roots):
    return [root.find(f"{SVG}title").text for root in roots]


def test_there_is_a_figure_for_every_quantity_and_label_that_is_wrong(drawn):
    assert titles(drawn) == [
        "delta_L (y = 0), float64: engine and exact",
        "delta_L (y = 1), float64: engine and exact",
        "sigmoid'(z_l), float64: engine and exact",
        "a_l, float64: engine and exact",
    ]


def test_a_right_engine_has_none():
    assert figures(measure(CORRECT["blas"](), dtypes=("float64",))) == ()


def test_both_lines_are_within_the_frame(drawn):
    for root in some(drawn):
        lines = [p.get("d") for p in root.iter(f"{SVG}path") if p.get("fill") == "none"]
        assert len(lines) == 2
        for line in lines:
            points = line.replace("M", "L").split("L")[1:]
            x, y = np.array([list(map(float, p.split())) for p in points]).T
            assert x.min() >= LEFT
            assert x.max() <= WIDTH - RIGHT
            assert y.min() >= 0
            assert y.max() <= HEIGHT


def test_shades_begin_where_the_bound_is_left(drawn):
    x = Scale(1.0, -800, 800, LEFT, WIDTH - RIGHT)
    shades = [r for r in drawn[1].iter(f"{SVG}rect") if r.get("opacity") == "0.1"]
    assert float(shades[-1].get("x")) == pytest.approx(x(15), abs=0.2)


def test_a_single_point_has_a_mark_and_is_no_part_of_the_line():
    engine = planted(residual=lambda p, y, z: np.where(z == 0, -0.5 - y, p - y))
    first, second = roots_of(engine)
    assert len(list(first.iter(f"{SVG}circle"))) == len(list(second.iter(f"{SVG}circle"))) == 1


def test_a_line_is_broken_where_there_is_no_number():
    engine = planted(residual=lambda p, y, z: np.where(np.abs(np.abs(z) - 2) < 0.5, np.nan, p - y))
    root, *_ = roots_of(engine)
    line = [p.get("d") for p in root.iter(f"{SVG}path") if p.get("fill") == "none"][1]
    assert line.count("M") == 3


def test_scales_are_symmetric_around_0():
    scale = Scale(1.0, -800, 800, 0, 100)
    assert scale(0) == 50
    assert scale(-800) == 0
    assert scale(7) - 50 == pytest.approx(50 - scale(-7))
