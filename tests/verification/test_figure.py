"""The figure: where the dots stand."""

import pytest
import synthetic_log
from some import some

from gradcheck.verification import figure
from gradcheck.verification.summary import summarise


def panel_of(points):
    """The figure of agreement, from (weight scale, ratio, verdict)."""
    cases = []
    for n, (scale, times, verdict) in enumerate(points):
        token = synthetic_log.TOKEN.replace(":w1:", f":w{scale}:")
        found = synthetic_log.finding(verdict=verdict, worst=synthetic_log.coordinate(times=times))
        cases.append(synthetic_log.case(n, token, found))
    return figure.panel(summarise([synthetic_log.header(), *cases]).properties[0])


def test_larger_ratios_stand_higher_and_larger_scales_further_right():
    low, high, right = panel_of([(1, 0.1, "PASS"), (1, 0.9, "PASS"), (30, 0.1, "PASS")]).dots
    assert {low.x, high.x} == {low.x}
    assert right.x > low.x
    assert len({low.y, high.y}) == 2


def test_both_axes_are_logarithmic():
    axis = figure.Axis(low=-2, high=2, start=200.0, end=100.0)
    assert [axis(k) for k in (-2, 0, 2)] == [200.0, 150.0, 100.0]


def test_a_ratio_above_1_stands_above_the_limit_and_one_below_it_below():
    panel = panel_of([(1, 0.01, "PASS"), (1, 100.0, "FAIL")])
    passed, failed = panel.dots
    assert failed.y < panel.limit < passed.y


def test_zero_infinite_and_undefined_ratios_have_rows_of_their_own():
    panel = panel_of(
        [(1, 0.0, "PASS"), (3, "Infinity", "FAIL"), (10, "NaN", "FAIL"), (1, 0.5, "PASS")]
    )
    heights = {(dot.verdict, dot.y) for dot in panel.dots}
    assert len(heights) == 3
    assert {"0", "∞"} <= {tick.label for tick in panel.y_ticks}
    assert min(dot.y for dot in panel.dots) < panel.limit


def test_a_ratio_next_to_0_does_not_stretch_the_axis():
    panel = panel_of([(1, 1e-21, "PASS"), (1, 0.5, "PASS"), (3, 0.0, "PASS")])
    assert [tick.label for tick in panel.y_ticks][-1] == "< 0.0001"
    assert len(panel.y_ticks) <= figure.TICKS + 1
    tiny, zero = (min(d.y for d in panel.dots if d.told.endswith(f"scale {s}")) for s in (1, 3))
    assert zero > tiny
    assert max(dot.y for dot in panel.dots if dot.told.endswith("scale 1")) == zero


def test_problems_that_would_lie_on_each_other_are_one_larger_dot():
    (one,) = panel_of([(1, 0.5, "PASS")]).dots
    (many,) = panel_of([(1, 0.5, "PASS")] * 9).dots
    assert many.radius > one.radius
    assert many.told == "9 problems, PASS, scale 1"


def test_failures_are_drawn_last():
    verdicts = [
        dot.verdict for dot in figure.panel(synthetic_log.summary("many").properties[0]).dots
    ]
    assert verdicts == sorted(verdicts, key="FAIL".__eq__)


@pytest.mark.parametrize("name", synthetic_log.EVERY)
def test_every_dot_and_tick_lies_inside_the_figure(name):
    panels = list(map(figure.panel, synthetic_log.summary(name).properties))
    assert any(panels) == (name in {"right", "saturated", "many", "hostile", "declared"})
    for panel in filter(None, panels):
        assert all(figure.LEFT <= dot.x <= figure.WIDTH - figure.RIGHT for dot in some(panel.dots))
        heights = [dot.y for dot in panel.dots] + [tick.at for tick in panel.y_ticks]
        assert all(0 < y <= figure.HEIGHT - figure.BOTTOM for y in some(heights))


def test_no_ratio_no_figure():
    assert [figure.panel(p) for p in synthetic_log.summary("nothing").properties] == [None] * 3


def test_many_scales_are_named_by_their_decades():
    panel = panel_of([(round(0.1 * 1.7**k, 3), 0.5, "PASS") for k in range(12)])
    assert [tick.label for tick in panel.x_ticks] == ["0.1", "1", "10"]
