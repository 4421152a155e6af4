"""Ulps, fractions of the bound and their quantiles, on numbers made by hand."""

import numpy as np
import pytest

from gradcheck.engines.base import Unsupported, engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.outcomes.reasons import Kind
from gradcheck.problems.case import parse
from gradcheck.studies.report.accuracy import errors
from gradcheck.studies.report.accuracy.errors import Examined, over_bound, ulps

TOKEN = "gc1:3-4-1:cross_entropy:mean:m2:{dtype}:w1:generic:soft:s1"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("steps", [0, 1, 2, 7])
def test_a_number_so_many_steps_from_the_nearest_is_off_by_as_many_ulps(dtype, steps):
    right = np.array([1.0, -3.7, 5e-4, 1000.0], dtype)
    g = right
    for _ in range(steps):
        g = np.nextafter(g, np.copysign(np.inf, right).astype(dtype))
    assert ulps(g.astype(float), right.astype(float), dtype).tolist() == [steps] * 4


def test_ulps_are_counted_from_the_nearest_number_of_the_engines_dtype():
    third = np.array([1 / 3])
    assert ulps(third.astype(np.float32).astype(float), third, np.float32).tolist() == [0]
    assert ulps(third.astype(np.float32).astype(float), third, np.float64)[0] > 1e6


def test_ulps_of_subnormal_overflowing_and_missing_numbers():
    tiny = float(np.finfo(np.float32).smallest_subnormal)
    g = np.array([3 * tiny, 0.0, np.inf, np.nan, np.inf, -np.inf])
    exact = np.array([tiny, 1e-60, 1e60, 1.0, 1.0, 1e60])
    expected = [2, 0, 0, np.inf, np.inf, np.inf]
    assert ulps(g, exact, np.float32).tolist() == expected


def test_errors_over_their_bounds():
    g = np.array([1.0, 1.5, 2.0, 2.0, np.nan, np.inf])
    exact = np.array([1.0, 1.0, 2.0, 1.0, 1.0, 1.0])
    allowed = np.array([0.0, 0.25, np.inf, 0.0, 1.0, 1.0])
    ratio = over_bound(g, exact, allowed)
    assert ratio[:2].tolist() == [0, 2]
    assert np.isnan(ratio[2])  # nothing was claimed
    assert ratio[3:].tolist() == [np.inf] * 3


def by_hand(g, exact, allowance, kind, dtype="float64"):
    case = parse(TOKEN.format(dtype=dtype))
    arrays = (np.array(x, float) for x in (g, exact, allowance, allowance))
    return Examined("e", case, "PASS", "", "", 0.1, *arrays, np.array(kind, np.uint8))


def test_a_row_holds_the_quantiles_and_where_the_worst_stands():
    exact = [1.0, 2.0, 4.0, 0.0, -8.0]
    g = [1.0, 2.0 + 2**-50, 4.0, 0.0, -8.0 - 2**-49]
    kinds = [Kind.INFORMATIVE, Kind.INFORMATIVE, Kind.VACUOUS, Kind.EXACT, Kind.ANOMALOUS]
    one = by_hand(g, exact, [2**-40, 2**-48, 4.0, 0.0, 2**-48], kinds)
    whole, single = errors.rows([one], errors.coordinates([one]))
    assert (whole["scale"], single["scale"]) == ("all", "1")
    assert {**whole, "scale": "1"} == single
    assert (whole["coordinates"], whole["exactly_zero"], whole["rounded"]) == (5, 1, 2)
    assert {kind for kind, n in whole["kinds"].items() if n} == {
        "informative", "vacuous", "exact", "anomalous"
    }  # fmt: skip
    assert (whole["ulps"]["median"], whole["ulps"]["worst"]) == (1, 2)
    assert whole["ulps"]["at"]["coordinate"] == "W1[0,1]"
    assert (whole["ratio"]["worst"], whole["ratio"]["at"]["coordinate"]) == (0.5, "W1[1,1]")
    assert (whole["seen"]["worst"], whole["seen"]["at"]["coordinate"]) == (1, "W1[0,2]")
    assert whole["seen"]["at"]["replay"] == f"python -m gradcheck replay {one.case.token} e"


def test_dtypes_are_kept_apart_and_nothing_compared_is_no_row():
    examined = [by_hand([1.0], [1.0], [1e-9], [1], dtype) for dtype in ("float64", "float32")]
    rows = list(errors.rows(examined, errors.coordinates(examined)))
    assert [row["dtype"] for row in rows if row["scale"] == "all"] == ["float64", "float32"]
    nothing = [by_hand([], [], [], [])]
    assert list(errors.rows(nothing, errors.coordinates(nothing))) == []


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_error_planted_in_one_coordinate_is_found_in_ulps_and_over_its_bound(dtype):
    reference = find("reference")

    def off(problem):
        value, gradient = reference.value_and_grad(problem)
        gradient[0][0][1, 2] *= np.asarray(1 + 2.0**-8, problem.dtype)
        return value, gradient

    token = TOKEN.format(dtype=dtype)
    one = errors.examine("off", token, engine_from_callable(off, "off"))
    assert (one.verdict, one.reason) == ("FAIL", "mismatch")
    row = next(errors.rows([one], errors.coordinates([one])))
    assert row["ulps"]["at"]["coordinate"] == row["ratio"]["at"]["coordinate"] == "W1[1,2]"
    digits = {"float32": 24, "float64": 53}[dtype]
    assert 2.0 ** (digits - 10) < row["ulps"]["worst"] < 2.0 ** (digits - 7)
    assert row["ratio"]["worst"] > 1
    assert row["kinds"]["failed"] == 1
    (failure,) = errors.failures([one])
    assert failure["coordinate"] == "W1[1,2]"
    assert failure["explanation"].startswith("no class of arithmetic computes this value")


def test_refusals_and_numbers_that_are_not_finite_are_counted():
    def refuses(problem):
        raise Unsupported("today")

    def breaks(problem):
        value, gradient = find("reference").value_and_grad(problem)
        return value, [(dW * np.nan, db) for dW, db in gradient]

    token = TOKEN.format(dtype="float64")
    made = {"a": refuses, "b": breaks}
    examined = [
        errors.examine(name, token, engine_from_callable(f, name)) for name, f in made.items()
    ]
    first, second = errors.engines(examined)
    assert first["verdicts"] == {"PASS": 0, "FAIL": 0, "INCONCLUSIVE": 0, "UNSUPPORTED": 1}
    assert second["reasons"] == {"FAIL nonfinite": 1}
    assert errors.failures(examined)[0]["ratio"] is None
