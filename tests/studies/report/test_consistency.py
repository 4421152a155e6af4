"""What the report counts of the differences: each bound that is exceeded, by however little."""

from dataclasses import replace

import numpy as np
import pytest
from some import some

from gradcheck.engines.base import Unsupported, engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.reasons import Kind
from gradcheck.problems.case import parse
from gradcheck.pytree import structure_of
from gradcheck.studies.report import consistency
from gradcheck.studies.report.claims import judge
from gradcheck.studies.report.consistency import Examined
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.truth import complex_step

CASE = parse("gc1:2-1:cross_entropy:mean:m2:float64:w1:generic:soft:s1")
NAMES = structure_of(CASE.problem().parameters)


def comparison(errors, kinds, off=(0, 0, 0)):
    """Differences that are so many of their bounds from the truth, and an engine from them."""
    bound = np.array([1e-9, 1e-8, 1e-7])
    oracle = complex_step(CASE.problem()) + np.array(errors) * bound
    engine = oracle + np.array(off) * bound
    kind = np.array(kinds, np.uint8)
    return Comparison(NAMES, engine, oracle, bound, bound, kind, 1e-6)


THREE = [Kind.INFORMATIVE, Kind.SMALL, Kind.FAILED]


def test_the_true_error_is_measured_in_bounds_and_the_worst_is_named():
    ratio, at, right = consistency._coverage(comparison([0.5, -10, 2], THREE), CASE)
    assert ratio == pytest.approx([0.5, 10, 2], rel=1e-5)  # 1e-16 of rounding beside 1e-9
    assert (at, right) == ("W1[0,1]", 0)


@pytest.mark.parametrize(
    ("errors", "off", "right"),
    [([2, 3, 0.5], [-2.5, -2.5, 9], 2), ([2, 3, 0.5], [0, -2.5, 0], 1), ([0.9] * 3, [-1] * 3, 0)],
)
def test_where_a_bound_was_too_narrow_the_engine_is_right_within_its_allowance(errors, off, right):
    assert consistency._coverage(comparison(errors, THREE, off), CASE)[2] == right


@pytest.mark.parametrize("kind", [Kind.KINK, Kind.NOISY, Kind.NOT_EVALUATED, Kind.UNDEFINED])
def test_where_no_bound_was_given_none_is_counted(kind):
    ratio, at, _ = consistency._coverage(comparison([9, 9, 0.5], [kind, kind, Kind.VACUOUS]), CASE)
    assert ratio == pytest.approx([0.5], rel=1e-5)
    assert at == "b1[0]"
    off = [0, 0, 0] if kind == Kind.NOISY else [2, 2, 2]
    nothing, at, right = consistency._coverage(comparison([9, 9, 9], [kind] * 3, off), CASE)
    assert (nothing.size, at, right) == (0, "", 0)


def test_a_bound_that_accused_somebody_counts_even_where_smaller_steps_did_not_confirm_it():
    noisy = [Kind.NOISY] * 3
    ratio, at, _ = consistency._coverage(comparison([3, 4, 5], noisy, off=[0.9, -1.1, 0]), CASE)
    assert ratio == pytest.approx([4], rel=1e-5)
    assert at == "W1[0,1]"


def examined(coverage, at, **changes):
    told = {"verdict": "PASS", "reason": "", "counts": {"informative": len(coverage)}}
    told |= {"forward_passes": 7, "ratio": 0.5, "coordinate": "W1[0,0]", "seen": np.array([1e-9])}
    return Examined(CASE, **told | changes, coverage=np.array(coverage), coverage_at=at)


def test_bounds_are_held_up_to_once_and_no_further():
    two = [examined([0.25, 1.0, 1.0 + 2**-40], "b1[0]"), examined([10.0, 0.5], "W1[0,0]")]
    told = consistency._of_dtype("reference", "float64", two)["coverage"]
    assert (told["coordinates"], told["held"]) == (5, 3)
    assert told["quantiles"] == {"median": 1.0, "p99": pytest.approx(9.64), "worst": 10.0}
    assert told["worst"] == {"token": CASE.token, "coordinate": "W1[0,0]"}
    assert consistency.problem_frame(two)["worst_true_error_over_bound"].tolist() == [
        1.0 + 2**-40,
        10.0,
    ]


def test_problems_verdicts_and_kinds_are_counted_in_all_and_in_every_stratum():
    undecided = dict.fromkeys(consistency.INCONCLUSIVE, 2)
    three = [
        examined([0.5], "b1[0]", counts={"informative": 3, "small": 1, "unchanged": 4}),
        examined([0.5], "b1[0]", verdict="FAIL", reason="mismatch", counts={"failed": 5}, ratio=9),
        examined([0.5], "b1[0]", verdict="INCONCLUSIVE", reason="noise", counts=undecided),
    ]
    counted = consistency._of_dtype("reference", "float64", three)
    expected = {
        "problems": 3,
        "coordinates": 8 + 5 + 10,
        "failed": 5,
        "informative": 3,
        "small": 5,
        "inconclusive": 10,
    }
    assert {name: counted[name] for name in expected} == expected
    assert counted["verdicts"] == {"PASS": 1, "FAIL": 1, "INCONCLUSIVE": 1, "UNSUPPORTED": 0}
    assert counted["worst"]["ratio"] == 9
    rows = consistency.by_stratum(three)
    assert {row["kind"] for row in rows} == {*consistency.STRATA}
    assert all(row["coordinates"] == 23 and row["FAIL"] == 1 for row in some(rows))
    (failure,) = consistency._failures("reference", three)
    assert (failure["reason"], failure["ratio"]) == ("mismatch", 9)


def test_each_dtype_is_counted_alone_and_what_was_not_compared_has_no_worst():
    short = parse(CASE.token.replace("float64", "float32"))
    nothing = {"coordinate": "", "ratio": np.nan, "seen": np.empty(0), "counts": {}}
    refused = examined([], "", verdict="UNSUPPORTED", **nothing)
    three = [
        replace(examined([0.5, 2.0], "b1[0]"), case=short),
        examined([0.25], "W1[0,1]", ratio=0.75, coordinate="W1[0,1]"),
        refused,
    ]
    measured = consistency._measured(Settings(engine="reference"), three, [], [])
    wide, narrow = measured["by_dtype"]
    assert [part["dtype"] for part in (wide, narrow)] == ["float64", "float32"]
    assert (wide["problems"], wide["verdicts"]["UNSUPPORTED"], wide["coordinates"]) == (2, 1, 1)
    assert (wide["coverage"]["held"], wide["coverage"]["coordinates"]) == (1, 1)
    assert (wide["worst"]["ratio"], wide["worst"]["coordinate"]) == (0.75, "W1[0,1]")
    assert (narrow["problems"], narrow["coordinates"]) == (1, 2)
    assert (narrow["coverage"]["held"], narrow["coverage"]["coordinates"]) == (1, 2)
    assert measured["chain_rule_worst"] is None
    alone = consistency._of_dtype("reference", "float64", [refused])
    assert (alone["worst"], alone["seen"], alone["coverage"]["worst"]) == (None, None, None)


def test_a_case_is_examined_refused_or_cannot_be_compared():
    reference = find("reference")

    def refuses(problem):
        raise Unsupported("today")

    def breaks(problem):
        value, layers = reference.value_and_grad(problem)
        return value, [(dW * np.nan, db) for dW, db in layers]

    one = consistency.examine("reference", CASE.token, reference)
    assert (one.verdict, one.reason, one.counts["informative"]) == ("PASS", "", 3)
    assert (len(one.seen), len(one.coverage)) == (3, 3)
    two = consistency.examine("a", CASE.token, engine_from_callable(refuses, "a"))
    assert (two.verdict, two.reason, two.forward_passes) == ("UNSUPPORTED", "today", 0)
    three = consistency.examine("b", CASE.token, engine_from_callable(breaks, "b"))
    assert (three.verdict, three.reason) == ("FAIL", "nonfinite")
    assert [len(part) for other in (two, three) for part in (other.seen, other.coverage)] == [0] * 4


def claims(problems, by_dtype, failed=0, failed_second=0):
    second = {"verdicts": {"FAIL": failed_second}, "problems": problems}
    results = {"verdicts": {"FAIL": failed}, "problems": problems, "chain_rule": second}
    judged = judge({"consistency": {"results": results, "measured": {"by_dtype": by_dtype}}})
    return {claim["id"]: claim["holds"] for claim in judged}


@pytest.mark.parametrize(("beyond", "holds"), [(0, True), (1, True), (2, False)])
def test_the_bounds_are_claimed_to_hold_in_999_of_1000(beyond, holds):
    one = examined([0.5] * (1000 - beyond) + [10.0] * beyond, "b1[0]")
    part = consistency._of_dtype("reference", "float64", [one])
    assert claims(1, [part]) == {"consistency": True, "chain-rule": True, "coverage": holds}
    assert not claims(1, [part, {"coverage": {"held": 0, "coordinates": 0}}])["coverage"]
    assert not claims(1, [part], failed=1)["consistency"]
    assert not claims(1, [part], failed_second=1)["chain-rule"]


def test_nothing_is_claimed_of_what_was_not_examined():
    assert not any(claims(0, []).values())
    empty = {
        "accuracy": {
            "results": {
                "engines": [],
                "precision_loss": [],
                "right_engines": {"beyond": 0, "coordinates": 0},
                "bugs": {"called_a_class": 0, "failed": 0},
            },
            "measured": {"ladder": {"named": 0, "distinguishable": 0}},
        },
        "step_size": {"results": {"stencils": []}},
        "cost": {"results": {"networks": [], "ratios": []}},
        "location": {"results": {"N": 1, "rows": []}},
        "real_data": {"results": {"checks": []}},
    }
    judged = judge(empty)
    assert len(judged) == 11
    assert [claim["id"] for claim in judged if claim["holds"]] == []
