"""The networks engines are compared on: the same for all, as far as each takes them."""

from dataclasses import replace

import pytest
from some import some

from gradcheck.engines.base import EngineInfo
from gradcheck.problems.case import Case
from gradcheck.studies.report.engines.draw import (
    LARGE,
    Extent,
    agreement_cases,
    consistency_cases,
    fitted,
    timed_case,
)

EVERYTHING = EngineInfo(
    "all", "1", ("float32", "float64"), ("cross_entropy", "quadratic"), ("mean", "sum")
)
LITTLE = EngineInfo(
    "little", "1", ("float32",), ("cross_entropy",), ("mean",),
    limits={"targets": ("binary", "one_hot"), "max_width": 50},
)  # fmt: skip
TINY = replace(LITTLE, limits={"max_depth": 1, "max_parameters": 12})
EXTENT = Extent(agreement=60, consistency=12)


def test_engines_are_asked_about_the_same_networks_as_far_as_they_take_them():
    whole = list(agreement_cases(EVERYTHING, EXTENT))
    part = list(agreement_cases(LITTLE, EXTENT))
    assert len(whole) == len(part) == 60
    same = [a.sizes == b.sizes and a.seed == b.seed for a, b in zip(whole, part, strict=True)]
    assert sum(same) >= 50
    assert whole == list(agreement_cases(EVERYTHING, EXTENT))


@pytest.mark.parametrize("info", [LITTLE, TINY])
def test_nothing_is_asked_that_an_engine_does_not_take(info):
    for case in some((*agreement_cases(info, EXTENT), *consistency_cases(info, EXTENT))):
        assert (case.dtype, case.loss, case.reduction) == ("float32", "cross_entropy", "mean")
        assert case.targets in info.limits.get("targets", [case.targets])
        assert len(case.sizes) - 1 <= info.limits.get("max_depth", 8)
        assert max(case.sizes) <= info.limits.get("max_width", 200)
        most = info.limits.get("max_parameters", LARGE["max_parameters"])
        assert case.architecture.n_parameters <= most
        case.problem()


def test_what_is_taken_stays_as_it_was():
    case = Case(sizes=(3, 2), loss="quadratic", reduction="sum", dtype="float64", targets="soft")
    assert fitted(case, EVERYTHING) == case
    changed = fitted(case, LITTLE)
    assert changed == replace(
        case, loss="cross_entropy", reduction="mean", dtype="float32", targets="binary"
    )


def test_a_corner_goes_when_its_targets_are_not_taken():
    case = Case(corner="stationary", targets="half", batch=2, dtype="float32")
    assert fitted(case, LITTLE).corner == "generic"


def test_what_is_too_much_for_an_engine_is_none():
    assert fitted(Case(sizes=(3, 4, 1), dtype="float32"), TINY) is None


def test_consistency_is_asked_of_small_networks():
    cases = list(consistency_cases(EVERYTHING, EXTENT))
    assert len(cases) == 12
    assert all(case.architecture.n_parameters <= 40 and case.batch <= 8 for case in cases)


def test_the_timed_network_is_of_the_engines_kind():
    assert timed_case(EVERYTHING).dtype == "float64"
    assert timed_case(LITTLE).dtype == "float32"
