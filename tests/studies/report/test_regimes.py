"""The time of differences has two regimes; what is fitted to each is what was measured in it."""

import pytest

from gradcheck.studies.report import tables
from gradcheck.studies.report.cost.regimes import Pass, fit_pass, growth

CALL, WEIGHT = 2e-5, 1e-10
CHANGE = 200_000
SIZES = [10**k for k in range(1, 9)]


def points(sizes=SIZES):
    return [(N, CALL + WEIGHT * N) for N in sizes]


def differences(sizes=SIZES):
    return [(N, (N + 1) * t) for N, t in points(sizes)]


def test_calls_and_weights_are_told_apart():
    one = fit_pass(points())
    assert one == pytest.approx((CALL, WEIGHT))
    assert one.change == pytest.approx(CHANGE)


def test_the_exponent_goes_from_one_to_two():
    found = growth(fit_pass(points()), differences())
    below, above = found["below"], found["above"]
    assert (below["from"], below["to"], below["points"]) == (10, 10**5, 5)
    assert (above["from"], above["to"], above["points"]) == (10**6, 10**8, 3)
    assert below["exponent"] == pytest.approx(1.0, abs=0.1)
    assert above["exponent"] == pytest.approx(2.0, abs=0.1)
    for law in (below, above):
        assert law["exponent"] == pytest.approx(law["model"])


def test_one_fit_for_all_would_be_neither():
    found = growth(Pass(1.0, 0.0), differences())
    assert found["change"] is None
    assert found["above"]["points"] == 0
    assert 1.3 < found["below"]["exponent"] < 1.6
    assert found["below"]["model"] is None


def test_two_points_have_no_exponent():
    found = growth(Pass(CALL, WEIGHT), differences([10, 10**6, 10**7]))
    assert (found["below"]["points"], found["above"]["points"]) == (1, 2)
    assert found["above"]["exponent"] is None
    line = tables.growth({"timings": {"growth": found}}).splitlines()[-1]
    assert line.startswith("| beyond 200,000")
    assert "±" not in line
