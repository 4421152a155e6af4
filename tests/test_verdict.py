"""A verdict is earned: NaN, empty and vacuous comparisons never pass."""

import ast
from pathlib import Path

import numpy as np
import pytest

import gradcheck.verdict
from gradcheck.oracles.finite_difference import Estimate, Status
from gradcheck.structure import structure_of
from gradcheck.verdict import (
    DEFAULT_RESOLUTION,
    Discrepancy,
    Kind,
    Outcome,
    Reason,
    Verdict,
    compare,
    contested,
    outcome_of,
)

U = 2.0**-53


def estimate(value, bound, status=None):
    value, bound = np.asarray(value, float), np.asarray(bound, float)
    e = Estimate.empty(len(value))
    e.value[:], e.bound[:], e.step[:] = value, bound, 1.0
    e.status[:] = Status.RESOLVED if status is None else status
    return e


def judge(engine, value, bound, *, status=None, resolution=1e-6, x=None):
    structure = structure_of(np.zeros(len(engine)) if x is None else x)
    e = estimate(value, bound, status)
    return compare(structure, np.asarray(engine, float), e, resolution=resolution)


def verdict_of(*args, **kwargs):
    return outcome_of(judge(*args, **kwargs)).verdict


def test_a_deviation_within_the_bound_passes_and_beyond_it_fails():
    assert verdict_of([1 + 1e-9], [1.0], [2e-9]) is Verdict.PASS
    assert verdict_of([1 + 3e-9], [1.0], [2e-9]) is Verdict.FAIL


def test_the_allowance_is_the_bound_and_the_rounding_of_the_engines_number():
    c = judge([4.0], [4.0], [1e-9])
    assert c.allowance[0] == 1e-9 + U * 4.0


def test_float32_numbers_are_allowed_their_own_rounding():
    x = np.zeros(1, dtype=np.float32)
    c = judge([4.0], [4.0], [1e-9], x=x)
    assert c.allowance[0] == 1e-9 + 2.0**-24 * 4.0


@pytest.mark.parametrize("engine", [np.nan, np.inf, -np.inf])
def test_a_nonfinite_engine_value_fails(engine):
    assert verdict_of([engine], [1.0], [1e-9]) is Verdict.FAIL


@pytest.mark.parametrize(("value", "bound"), [(np.nan, 1e-9), (1.0, np.nan), (np.nan, np.inf)])
def test_an_unknown_oracle_neither_passes_nor_accuses(value, bound):
    assert verdict_of([1.0], [value], [bound]) is Verdict.INCONCLUSIVE


def test_an_infinite_bound_is_vacuous():
    outcome = outcome_of(judge([1.0], [1.0], [np.inf]))
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)


def test_no_coordinates_is_inconclusive():
    outcome = outcome_of(judge([], [], []))
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)


def test_informative_small_and_vacuous_coordinates_are_told_apart():
    c = judge([1.0, 1e-8, 1e-8], [1.0, 1e-8, 1e-8], [1e-7, 1e-7, 1e-2])
    assert [Kind(k) for k in c.kind] == [Kind.INFORMATIVE, Kind.SMALL, Kind.VACUOUS]


def test_small_is_measured_against_the_same_array_only():
    x = {"W": np.zeros(2), "b": np.zeros(1)}
    c = judge([1.0, 1e-8, 1e-8], [1.0, 1e-8, 1e-8], [1e-7, 1e-7, 1e-7], x=x)
    assert [Kind(k) for k in c.kind] == [Kind.INFORMATIVE, Kind.SMALL, Kind.VACUOUS]


def test_an_unresolved_neighbour_makes_nothing_small():
    status = [Status.NO_STEP, Status.RESOLVED]
    c = judge([1.0, 1e-8], [1.0, 1e-8], [1e-7, 1e-7], status=status)
    assert Kind(c.kind[1]) is Kind.VACUOUS


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (Status.KINK, Reason.NONDIFFERENTIABLE),
        (Status.NO_STEP, Reason.NOISE),
        (Status.NOT_EVALUATED, Reason.BUDGET),
    ],
)
def test_one_undecided_coordinate_makes_the_whole_inconclusive(status, reason):
    outcome = outcome_of(judge([1.0, 1.0], [1.0, 1.0], [1e-9, 1e-9], status=[0, status]))
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, reason)
    assert "x[1] first" in outcome.detail


def test_a_wrong_coordinate_outweighs_undecided_ones():
    outcome = outcome_of(judge([2.0, 1.0], [1.0, 1.0], [1e-9, 1e-9], status=[0, Status.KINK]))
    assert outcome.verdict is Verdict.FAIL


def test_a_pass_states_the_smallest_error_it_would_have_seen():
    outcome = outcome_of(judge([1.0, 2.0], [1.0, 2.0], [1e-8, 1e-9]))
    assert outcome.verdict is Verdict.PASS
    assert outcome.resolution == pytest.approx(1e-8 + U)


def test_discrepancies_come_worst_first():
    outcome = outcome_of(judge([1.1, 3.0, 1.0], [1.0, 1.0, 1.0], [1e-9, 1e-9, 1e-9]))
    assert [d.name for d in outcome.discrepancies] == ["x[1]", "x[0]"]


def test_a_discrepancy_tells_coordinate_both_numbers_and_allowance():
    text = str(Discrepancy("W2[1,3]", 0.5, 0.25, 1e-10, 2e-10))
    for part in ("W2[1,3]", "0.5", "0.25", "1e-10", "2e-10", "0.25", "1.25e+09 times"):
        assert part in text


def test_the_frame_has_one_row_a_coordinate():
    outcome = outcome_of(judge([1.0, 3.0], [1.0, 1.0], [1e-9, 1e-9]))
    frame = outcome.to_frame()
    assert list(frame["kind"]) == ["informative", "failed"]
    assert list(frame["name"]) == ["x[0]", "x[1]"]


def test_the_frame_of_nothing_is_empty():
    assert Outcome(Verdict.FAIL, Reason.SHAPE, "").to_frame().empty


def test_a_suspect_is_contested_only_by_an_opinion_that_holds_its_value():
    c = judge([1.5, 1.5], [1.0, 1.0], [0.1, 0.1])
    wide, narrow = estimate([1.2, 1.0], [0.4, 0.4]), estimate([1.4, 1.0], [0.2, 0.2])
    assert contested(c, [wide, narrow]).tolist() == [0]
    assert contested(c, [narrow, narrow]).tolist() == [0]
    assert contested(c, [estimate([1.0, 1.0], [0.4, 0.4])]).tolist() == []


def test_a_missing_opinion_does_not_accuse():
    c = judge([1.5], [1.0], [0.1])
    assert contested(c, [estimate([np.nan], [np.inf])]).tolist() == [0]
    assert contested(c, [estimate([1.0], [np.inf])]).tolist() == [0]


def test_an_infinite_engine_value_is_contested_by_nobody():
    c = judge([np.inf], [1.0], [0.1])
    assert contested(c, [estimate([1.0], [0.5])]).tolist() == []


def test_verdict_holds_no_number_but_the_stated_power_requirements():
    tree = ast.parse(Path(gradcheck.verdict.__file__).read_text())
    numbers = {n.value for n in ast.walk(tree)
               if isinstance(n, ast.Constant) and isinstance(n.value, int | float)
               and not isinstance(n.value, bool)}  # fmt: skip
    formulas = {0, 1, 2, 10}  # 2: u = eps/2 and the centre of an interval; 10 rows are shown
    kinds = {int(kind) for kind in Kind}
    powers = set(DEFAULT_RESOLUTION) | set(DEFAULT_RESOLUTION.values())
    assert numbers <= formulas | kinds | powers
