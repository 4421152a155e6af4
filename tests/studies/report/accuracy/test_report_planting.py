"""What a planted error must be to be seen: the number stated is the one that the check confirms."""

from dataclasses import replace

import numpy as np
import pytest
from some import some

from gradcheck.checks.agreement import check_agreement
from gradcheck.engines.base import engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problems.case import parse
from gradcheck.studies.report.accuracy import errors, planting
from gradcheck.studies.report.accuracy.planting import smallest_planted
from gradcheck.studies.report.settings import Settings

TOKEN = "gc1:3-4-1:cross_entropy:mean:m2:{dtype}:w1:generic:soft:s1"


def test_the_smallest_error_seen_counts_the_deviation_that_is_there():
    one = np.ones(1)
    above = smallest_planted(one, 0 * one, 1.1 * one, np.float64)  # already 1 of 1.1 off
    assert above.tolist() == [0.125]
    assert smallest_planted(one, one, 2.0**21 * one, np.float64).tolist() == [np.inf]


def test_in_float32_nothing_below_its_last_place_is_seen():
    one = np.ones(1)
    assert smallest_planted(one, one, 0 * one, np.float32).tolist() == [2.0**-23]
    assert smallest_planted(one, one, 0 * one, np.float64).tolist() == [2.0**-52]


@pytest.mark.by_day(3)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("coordinate", range(5))
def test_the_check_fails_at_the_stated_error_and_not_at_half_of_it(dtype, coordinate):
    reference, token = find("reference"), TOKEN.format(dtype=dtype)
    right = errors.examine("reference", token, reference)
    delta = smallest_planted(right.g, right.exact, right.allowance, np.dtype(dtype))[coordinate]

    def outcome(factor):
        def planted(problem):
            value, gradient = reference.value_and_grad(problem)
            dW = gradient[0][0]
            dW.flat[coordinate] = float(dW.flat[coordinate]) * factor
            return value, gradient

        engine = engine_from_callable(planted, "planted")
        return check_agreement(engine, parse(token).problem())

    seen = outcome(1 + delta)
    assert seen.verdict is Verdict.FAIL
    assert len(seen.discrepancies) == 1
    assert outcome(1 + delta / 2).verdict is Verdict.PASS


def test_medians_are_by_dtype_and_leave_zero_derivatives_out():
    examined = [
        errors.examine("reference", TOKEN.format(dtype=dtype), find("reference"))
        for dtype in ("float64", "float32")
    ]
    rows = planting.planted(errors.coordinates(examined))
    assert [(row["dtype"], row["scale"]) for row in rows] == [
        ("float64", "1"), ("float64", "all"), ("float32", "1"), ("float32", "all")
    ]  # fmt: skip
    assert rows[0]["median"] < 1e-13
    assert 1e-7 < rows[2]["median"] < 1e-4


def test_the_network_and_the_losses_of_precision_are_measured_on_as_many_seeds_as_asked():
    settings = replace(Settings(), sensitivity_seeds=2)
    for row in some(planting.by_seed(settings)):
        assert row["smallest"] == min(row["medians"])
        assert row["largest"] == max(row["medians"])
        assert row["within"] == sum(m <= row["target"] for m in row["medians"])
        assert len(row["medians"]) == row["seeds"] == 2
        assert row["token"].endswith(f"s{1 + row['medians'].index(row['largest'])}")


def test_a_loss_of_precision_that_is_not_caught_is_listed(monkeypatch):
    right = find("reference")
    monkeypatch.setattr(planting, "Float32Deltas", lambda: right)
    monkeypatch.setattr(planting, "Scaled", lambda: right)
    rows = planting.precision_loss(replace(Settings(), sensitivity_seeds=1))
    assert [row["caught"] for row in rows] == [0, 0]
    assert all(len(row["missed"]) == row["problems"] > 0 for row in some(rows))
