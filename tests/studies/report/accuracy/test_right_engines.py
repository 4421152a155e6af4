"""Right engines stay within their bounds; one that does not is counted and named."""

import numpy as np
import pytest

from gradcheck.engines.registry import find
from gradcheck.engines.variants import CORRECT, Variant
from gradcheck.studies.report.accuracy import right_engines

TOKENS = [
    "gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:soft:s1",
    "gc1:5-3-2:quadratic:sum:m3:float32:w30:saturated:binary:s2",
]


@pytest.mark.parametrize("token", TOKENS)
def test_every_right_engine_that_takes_the_problem_is_held(token):
    held = right_engines.hold_right_engines("reference", token, find("reference"))
    fused = 2 if ":float64:" in token else 0
    assert len(held) == 1 + len(CORRECT) - fused
    assert all(one.beyond == one.unbounded == 0 and one.worst < 1 for one in held)
    assert {one.coordinates for one in held} == {held[0].case.architecture.n_parameters}


def test_an_engine_that_is_off_in_one_coordinate_is_accused_of_one(monkeypatch):
    class Off(Variant):
        def value_and_grad(self, problem):
            value, gradient = super().value_and_grad(problem)
            gradient[0][1][2] += 1e-9
            return value, gradient

    monkeypatch.setitem(right_engines.CORRECT, "off", lambda: Off("off"))
    held = right_engines.hold_right_engines("reference", TOKENS[0], find("reference"))
    results, measured = right_engines.numbers(held)
    assert results["beyond"] == 1
    (accused,) = results["accused"]
    assert accused["engine"] == "py:gradcheck.engines.variants:off"
    assert accused["coordinate"] == "b1[2]"
    assert accused["replay"].startswith(f"python -m gradcheck replay {TOKENS[0]} py:")
    assert measured["worst"] == accused
    assert measured["by_engine"][-1]["worst"]["float64"] == accused["ratio"] > 1e3


def test_where_no_bound_is_finite_nothing_is_claimed(monkeypatch):
    def nothing(problem, arithmetic):
        return np.full(problem.architecture.n_parameters, np.inf)

    monkeypatch.setattr(right_engines, "gradient_bound", nothing)
    held = right_engines.hold_right_engines("reference", TOKENS[0], find("reference"))
    results, _ = right_engines.numbers(held)
    assert (results["coordinates"], results["beyond"]) == (0, 0)
    assert results["unbounded"] > 0
