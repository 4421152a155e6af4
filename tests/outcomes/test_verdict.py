"""A verdict is earned: NaN, empty and vacuous comparisons never pass."""

import ast
from pathlib import Path

import numpy as np
import pytest

import gradcheck.outcomes
from gradcheck.differences.screening import ESCAPE, Screened, Settled, screened, stands_out
from gradcheck.outcomes.comparison import Discrepancy
from gradcheck.outcomes.conventions import conventions
from gradcheck.outcomes.estimate import Estimate, Status
from gradcheck.outcomes.judging import (
    CALIBRATED,
    COMPARISONS,
    DEFAULT_RESOLUTION,
    FALSE_ALARM,
    agree,
    beyond,
    compare,
    contested,
    is_within,
)
from gradcheck.outcomes.outcome import Outcome, outcome_of
from gradcheck.outcomes.reasons import Kind, Reason, Verdict
from gradcheck.pytree import structure_of

U = 2.0**-53


def estimate(value, bound, status=None):
    value, bound = np.asarray(value, float), np.asarray(bound, float)
    e = Estimate.empty(len(value))
    e.value[:], e.bound[:], e.step[:] = value, bound, 1.0
    e.status[:] = Status.RESOLVED if status is None else status
    return e


def judge(engine, value, bound, *, status=None, resolution=1e-6, x=None, reach=0.0, outputs=1):
    structure = structure_of(np.zeros(len(engine)) if x is None else x)
    e = estimate(value, bound, status)
    e.reach[:] = reach
    options = {"resolution": resolution, "outputs": outputs}
    return compare(structure, np.asarray(engine, float), e, **options)


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


@pytest.mark.parametrize("g", [0.0, 2e-8, np.nan])
def test_what_would_be_small_fails_beyond_its_allowance(g):
    c = judge([1.0, g], [1.0, 1e-8], [1e-9, 1e-9])
    assert [Kind(k) for k in c.kind] == [Kind.INFORMATIVE, Kind.FAILED]


TWO = {"W": np.zeros(2), "b": np.zeros(1)}


@pytest.mark.parametrize(
    ("g", "D", "bound", "kind"),
    [
        (0.0, 0.0, 1e-7, Kind.SMALL),
        (1.4e-17, 0.0, 1e-7, Kind.SMALL),
        (0.0, 1e-9, 1e-7, Kind.SMALL),
        (0.0, 0.0, 1.1e-6, Kind.VACUOUS),  # wider than the resolution of the largest entry
        (2e-13, 0.0, 1e-7, Kind.VACUOUS),  # more than 2^20 roundings of it
        (0.0, 1e-7, 1e-8, Kind.FAILED),
        (1e-6, 0.0, 1e-7, Kind.FAILED),
    ],
)
def test_an_array_that_is_zero_up_to_rounding_is_judged_beside_the_whole(g, D, bound, kind):
    c = judge([1.0, 1e-8, g], [1.0, 1e-8, D], [1e-9, 1e-9, bound], x=TWO)
    assert Kind(c.kind[2]) is kind


def test_an_entry_of_an_array_that_is_not_zero_is_judged_beside_that_array_alone():
    x = {"W": np.zeros(1), "b": np.zeros(2)}
    c = judge([1.0, 1e-7, 0.0], [1.0, 1e-7, 0.0], [1e-9, 1e-14, 1e-9], x=x)
    assert [Kind(k) for k in c.kind] == [Kind.INFORMATIVE, Kind.INFORMATIVE, Kind.VACUOUS]


def test_zeros_of_an_output_are_judged_beside_that_output():
    x = {"F[0] by a": np.zeros(1), "F[0] by b": np.zeros(1),
         "F[1] by a": np.zeros(1), "F[1] by b": np.zeros(1)}  # fmt: skip
    g = [1.0, 0.0, 1e-3, 0.0]
    c = judge(g, g, [1e-9, 1e-7, 1e-10, 1e-7], x=x, outputs=2)
    assert [Kind(k) for k in c.kind[1::2]] == [Kind.SMALL, Kind.VACUOUS]


@pytest.mark.parametrize(("bound", "kind"), [(1e-7, Kind.SMALL), (1.1e-6, Kind.VACUOUS)])
@pytest.mark.parametrize("reach", [0.0, 2.0])
def test_an_output_in_which_nothing_stands_out_is_judged_beside_the_others(bound, kind, reach):
    x = {"F[0] by a": np.zeros(1), "F[1] by a": np.zeros(1)}
    c = judge([1.0, 0.0], [1.0, 0.0], [1e-9, bound], x=x, outputs=2, reach=reach)
    assert Kind(c.kind[1]) is (Kind.UNCHANGED if reach and kind is Kind.SMALL else kind)


@pytest.mark.parametrize(
    ("g", "reach", "bound", "kind"),
    [
        (0.0, 2.0, 1e-7, Kind.UNCHANGED),
        (0.0, 2.0, 1e-5, Kind.VACUOUS),  # f is too large for a change that matters to show
        (0.0, 0.0, 1e-7, Kind.SMALL),
        (1e-17, 2.0, 1e-7, Kind.SMALL),
        (1e-6, 2.0, 1e-7, Kind.FAILED),
        (np.nan, 2.0, 1e-7, Kind.FAILED),
    ],
)
def test_an_exact_zero_where_f_does_not_change_by_a_bit_is_a_kind_of_its_own(g, reach, bound, kind):
    c = judge([1.0, 1e-8, g], [1.0, 1e-8, 0.0], [1e-9, 1e-9, bound], x=TWO, reach=reach)
    assert Kind(c.kind[2]) is kind


def test_a_function_that_does_not_change_at_all_passes_and_its_reach_is_stated():
    outcome = outcome_of(judge([0.0, 0.0], [0.0, 0.0], [1e-9, 1e-9], reach=2.5))
    assert (outcome.verdict, outcome.counts["unchanged"]) == (Verdict.PASS, 2)
    assert "f does not change by a bit when x moves by up to 2.5" in outcome.detail


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("centre", "error", "kind"),
    [
        (0.0, 0.9e-3, Kind.SUBGRADIENT),  # of the steeper slope, which is 1
        (0.0, 1.1e-3, Kind.KINK),
        (3.0, 3.9e-3, Kind.SUBGRADIENT),
        (-3.0, 3.9e-3, Kind.SUBGRADIENT),
        (3.0, 4.1e-3, Kind.KINK),
        (-3.0, 4.1e-3, Kind.KINK),
    ],
)
def test_the_slopes_at_a_kink_are_known_to_a_part_of_the_steeper_one(centre, error, kind, sign):
    e = estimate([centre], [1 + error], [Status.INTERVAL])
    e.jump[0] = sign * 2.0
    c = compare(structure_of(np.zeros(1)), np.array([centre]), e, resolution=1e-3)
    assert Kind(c.kind[0]) is kind


STILL = "f does not change by a bit"
KINKS = "at kinks, any slope between those on both sides is allowed"


@pytest.mark.parametrize(
    ("gradient", "status", "reach", "told", "untold"),
    [
        ([1.0, 2.0], [0, 0], 0.0, ["2 coordinates agree; an error above"], [STILL, KINKS]),
        ([1.0, 0.0], [0, 0], 2.5, ["along 1 of them " + STILL], [KINKS]),
        ([1.0, 2.0], [0, 5], 0.0, ["at 1 of them, " + KINKS], [STILL]),
        ([1.0, 0.0, 2.0], [0, 0, 5], 2.5, ["along 1 of them", "at 1 of them, " + KINKS], []),
        ([2.0, 2.0], [5, 5], 0.0, ["2 coordinates agree; at 2 of them, " + KINKS], [STILL]),
        ([0.0, 2.0], [0, 5], 2.5, ["2 coordinates agree; along 1 of them " + STILL, KINKS], []),
        ([0.0, 0.0], [0, 0], 2.5, ["by all 2 coordinates are exactly 0, and " + STILL], [KINKS]),
    ],
)
def test_a_pass_says_along_what_f_is_still_and_where_it_has_kinks(
    gradient, status, reach, told, untold
):
    g, status = np.array(gradient), np.array(status)
    e = estimate(g, np.where(status == Status.INTERVAL, 1 + 1e-9, 1e-9), status)
    e.jump[status == Status.INTERVAL] = 2.0
    e.reach[g == 0] = reach
    arrays = structure_of([np.zeros(1) for _ in g])
    outcome = outcome_of(compare(arrays, g, e, resolution=1e-6))
    assert outcome.verdict is Verdict.PASS
    assert all(part in outcome.detail for part in told), outcome.detail
    assert not any(part in outcome.detail for part in untold), outcome.detail


@pytest.mark.parametrize("jump", [2.0, -2.0])
@pytest.mark.parametrize(
    ("position", "name"),
    [
        (-0.62, "the left slope"),
        (-0.38, "the left slope"),
        (-0.37, "a number between them"),
        (-0.13, "a number between them"),
        (-0.12, "their mean"),
        (0.12, "their mean"),
        (0.13, "a number between them"),
        (0.37, "a number between them"),
        (0.38, "the right slope"),
        (0.62, "the right slope"),
    ],
)
def test_a_choice_at_a_kink_is_named_within_an_eighth_of_the_jump(position, name, jump):
    e = estimate([3.0], [1.5], [Status.INTERVAL])
    e.jump[0] = jump
    c = compare(structure_of(np.zeros(1)), np.array([3 + position * jump]), e, resolution=0.5)
    (told,) = conventions(c)
    assert f"{3 + position * jump:.3g}, {name}: a convention" in told


def test_an_outcome_is_no_truth_value():
    with pytest.raises(
        TypeError, match=r"use assert_gradient\(f, gradient, x\) .* outcome.verdict"
    ):
        bool(outcome_of(judge([1.0], [2.0], [1e-9])))


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


@pytest.mark.parametrize(
    ("engine", "reason"),
    [
        ([2.5, 3.0], Reason.SUBGRADIENT),  # at kinks alone
        ([2.5, 2.0], Reason.SUBGRADIENT),
        ([2.5, 3.0, 2.0], Reason.MISMATCH),
        ([1.0, 2.0, 2.0], Reason.MISMATCH),
    ],
)
def test_the_reason_is_a_kink_only_where_every_wrong_coordinate_is_at_one(engine, reason):
    n = len(engine)
    e = estimate([1.0] * n, [1.0, 1.0, 1e-9][:n], [Status.INTERVAL, Status.INTERVAL, 0][:n])
    e.jump[:] = [2.0, 2.0, 0.0][:n]
    c = compare(structure_of(np.zeros(n)), np.array(engine), e, resolution=1e-6)
    outcome = outcome_of(c)
    assert (outcome.verdict, outcome.reason) == (Verdict.FAIL, reason)


def test_a_pass_states_the_smallest_error_it_would_have_seen():
    outcome = outcome_of(judge([1.0, 2.0], [1.0, 2.0], [1e-8, 1e-9]))
    assert outcome.verdict is Verdict.PASS
    r = 2.0**10 * U * 2  # 2^20 roundings of numbers up to 2
    assert outcome.resolution == pytest.approx(1e-8 + r, rel=1e-12, abs=0)


def test_discrepancies_come_worst_first():
    outcome = outcome_of(judge([1.1, 3.0, 1.0], [1.0, 1.0, 1.0], [1e-9, 1e-9, 1e-9]))
    assert [d.name for d in outcome.discrepancies] == ["x[1]", "x[0]"]


def test_what_is_worst_is_furthest_beyond_its_own_allowance():
    engine = [2.0, 1.5, 9.0, np.nan, 1.1, 1.5]
    outcome = outcome_of(judge(engine, [1.0] * 6, [1e-3, 1e-6, 1e-1, 1e-3, 0.0, 1e-6]))
    assert [d.name for d in outcome.discrepancies] == [f"x[{j}]" for j in (3, 4, 1, 5, 0, 2)]


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


def failed(c):
    return np.flatnonzero(c.kind == Kind.FAILED)


def test_a_suspect_is_contested_only_by_an_opinion_that_holds_its_value():
    c = judge([1.5, 1.5], [1.0, 1.0], [0.1, 0.1])
    wide, narrow = estimate([1.2, 1.0], [0.4, 0.4]), estimate([1.4, 1.0], [0.2, 0.2])
    assert contested(c, failed(c), [wide, narrow]).tolist() == [0]
    assert contested(c, failed(c), [narrow, narrow]).tolist() == [0]
    assert contested(c, failed(c), [estimate([1.0, 1.0], [0.4, 0.4])]).tolist() == []


def test_a_missing_opinion_does_not_accuse():
    c = judge([1.5], [1.0], [0.1])
    assert contested(c, failed(c), [estimate([np.nan], [np.inf])]).tolist() == [0]
    assert contested(c, failed(c), [estimate([1.0], [np.inf])]).tolist() == [0]


def test_an_infinite_engine_value_is_contested_by_nobody():
    c = judge([np.inf], [1.0], [0.1])
    assert contested(c, failed(c), [estimate([1.0], [0.5])]).tolist() == []


def agreed(engine, exact, width, rounding, deviation, *, resolution=1e-6):
    n = len(engine)
    arrays = [np.broadcast_to(np.asarray(part, float), n) for part in (rounding, deviation)]
    reference = estimate(exact, np.broadcast_to(np.asarray(width, float), n))
    c = agree(structure_of(np.zeros(n)), np.asarray(engine, float), reference, *arrays,
              resolution=resolution)  # fmt: skip
    return c, outcome_of(c)


def test_agreement_fails_beyond_what_rounding_can_do_and_the_width_of_the_reference():
    assert agreed([1 + 1.9e-9], [1.0], 1e-9, 1e-9, 1e-9)[1].verdict is Verdict.PASS
    assert agreed([1 + 2.1e-9], [1.0], 1e-9, 1e-9, 1e-9)[1].verdict is Verdict.FAIL


def test_a_deviation_exactly_as_large_as_its_allowance_is_no_proof():
    g = 1 + 2.0**-30
    assert agreed([g], [1.0], 0.0, 2.0**-30, 1.0)[1].verdict is Verdict.PASS
    assert agreed([g], [1.0], 0.0, np.nextafter(2.0**-30, 0), 1.0)[1].verdict is Verdict.PASS
    assert agreed([g], [1.0], 0.0, 2.0**-30 * (1 - 2.0**-40), 1.0)[1].verdict is Verdict.FAIL


def test_more_than_independent_roundings_do_is_anomalous():
    c, outcome = agreed([1 + 1e-9, 1.0], [1.0, 1.0], 0.0, 1e-8, 1e-9 / 8.3)
    assert (outcome.verdict, c.counts()["anomalous"]) == (Verdict.PASS, 0)
    c, outcome = agreed([1 + 1e-9, 1.0], [1.0, 1.0], 0.0, 1e-8, 1e-9 / 8.5)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.ANOMALOUS)
    assert c.first_of(Kind.ANOMALOUS) == "x[0]"


def test_an_allowance_wider_than_the_resolution_is_vacuous_unless_the_value_is_exact():
    c, outcome = agreed([1.0], [1.0 + 1e-7], 0.0, 1e-3, 1e-3)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)
    c, outcome = agreed([1.0], [1.0], 0.0, 1e-3, 1e-3)
    assert (outcome.verdict, c.counts()["exact"]) == (Verdict.PASS, 1)
    c, outcome = agreed([1.0], [1.0], 1e-300, 1e-3, 1e-3)
    assert outcome.verdict is Verdict.INCONCLUSIVE


def test_zero_is_right_where_it_is_exact_and_almost_zero_is_undecided():
    assert agreed([0.0, -0.0], [0.0, 0.0], 0.0, 1e-17, 1e-18)[1].verdict is Verdict.PASS
    assert agreed([1e-20, 0.0], [0.0, 0.0], 0.0, 1e-17, 1e-18)[1].reason is Reason.VACUOUS
    assert agreed([1e-16, 0.0], [0.0, 0.0], 0.0, 1e-17, 1e-18)[1].verdict is Verdict.FAIL


def test_a_reference_too_wide_is_named_as_the_reason():
    assert agreed([1.0], [1.0], 1e-3, 1e-12, 1.0)[1].reason is Reason.REFERENCE
    assert agreed([1.0], [np.nan], np.inf, 1e-12, 1.0)[1].reason is Reason.REFERENCE


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_fails_unless_the_dtype_may_overflow_there(number):
    assert agreed([number], [1.0], 0.0, 1e-12, 1e-12)[1].verdict is Verdict.FAIL
    assert agreed([number], [1.0], 0.0, np.inf, np.inf)[1].reason is Reason.VACUOUS


@pytest.mark.parametrize("place", ["width", "rounding", "deviation"])
def test_a_nan_in_what_is_allowed_never_passes(place):
    numbers = {"width": 0.0, "rounding": 1e-12, "deviation": 1e-12} | {place: np.nan}
    assert agreed([1.0 + 1e-13], [1.0], *numbers.values())[1].verdict is not Verdict.PASS


def test_within_needs_finite_allowances_and_beyond_names_the_rest():
    one = np.ones(1)
    assert is_within(one, one, one)
    assert not is_within(one, one, one * np.inf)
    assert not is_within(one * np.nan, one, one)
    assert np.isnan(beyond(one, one, one)).all()
    assert beyond(one * 3, one, one).tolist() == [2.0]


@pytest.mark.parametrize(("ulps", "is_allowed"), [(0, True), (2, True), (3, False)])
def test_what_agrees_is_within_and_is_never_named_as_beyond(ulps, is_allowed):
    """Four roundings of 2^-53 each are allowed for, which are two ulps of 1."""
    g, zero, one = np.array([1 + ulps * 2.0**-52]), np.zeros(1), np.ones(1)
    assert is_within(g, zero, one) is is_allowed
    assert np.isnan(beyond(g, zero, one)[0]) == is_allowed
    assert (agreed(g, zero, 0.0, one, one)[0].kind[0] != Kind.FAILED) == is_allowed


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("D", "deviation", "beside", "fails"),
    [
        (1e-3, 1e-10, False, False),  # a third of its digits is right
        (1e-3, 2e-10, False, True),  # more than r = 2^10 u 2^10 = 1.2e-10, and B
        (1e-7, 1e-10, False, True),  # a mistake
        (0.9e-12, 1e-10, False, False),  # 0 within B = 1e-12
        (1.1e-12, 1e-10, False, True),
        (1e-7, 7e-12, True, False),  # 2^6 u 2^10 = 7.3e-12, of its own array
        (1e-7, 8e-12, True, True),
        (1e-7, 7e-12, False, True),
    ],
)
def test_rounding_of_larger_numbers_excuses_no_mistake(D, deviation, beside, fails, sign):
    x = np.zeros(2) if beside else {"a": np.zeros(1), "b": np.zeros(1)}
    c = judge([1024.0, sign * (D + deviation)], [1024.0, sign * D], [1e-12, 1e-12], x=x)
    assert (c.kind[1] == Kind.FAILED) == fails


@pytest.mark.parametrize(
    ("status", "deviation", "kind"),
    [
        (Status.RESOLVED, 1e-9, Kind.INFORMATIVE),
        (Status.RESOLVED, 1.01e-9, Kind.VACUOUS),  # B is 1e-9, and r is 2^10 u 2^10 = 1.2e-10
        (Status.RESOLVED, 1.11e-9, Kind.VACUOUS),
        (Status.RESOLVED, 1.13e-9, Kind.FAILED),
        (Status.INTERVAL, 1e-9, Kind.SUBGRADIENT),
        (Status.INTERVAL, 1.01e-9, Kind.FAILED),  # at a kink
    ],
)
def test_the_rounding_of_larger_numbers_excuses_a_resolved_coordinate_alone(
    status, deviation, kind
):
    c = judge([1024.0, 1 + deviation], [1024.0, 1.0], [1e-9, 1e-9], status=[0, status],
              resolution=1.005e-9)  # fmt: skip
    assert Kind(c.kind[1]) is kind


def test_the_message_of_agreement_shows_the_digits_that_differ():
    _, outcome = agreed([0.1 + 1e-12], [0.1], 0.0, 1e-15, 1e-15)
    assert "engine 0.10000000000100001, exact 0.10000000000000001; off by 1e-12" in str(outcome)


def test_calibrated_is_what_bonferroni_asks_of_all_comparisons():
    assert 2 * COMPARISONS * np.exp(-(CALIBRATED**2) / 2) == pytest.approx(FALSE_ALARM)
    assert pytest.approx(8.394, abs=1e-3) == CALIBRATED  # of 1e9 comparisons, once in 1e6


def test_verdict_holds_no_number_but_what_is_derived_or_required():
    folder = Path(gradcheck.outcomes.__file__).parent
    files = [path for path in sorted(folder.glob("*.py")) if path.stem != "exit_codes"]
    assert len(files) > 5
    trees = [ast.parse(path.read_text("utf-8")) for path in files]
    numbers = {n.value for tree in trees for n in ast.walk(tree)
               if isinstance(n, ast.Constant) and isinstance(n.value, int | float)
               and not isinstance(n.value, bool)}  # fmt: skip
    formulas = {
        0,
        1,
        2,  # u = eps/2, the centre of an interval, two tails of a Gaussian
        4,  # operations of one comparison
        10,  # digits and rows that are shown
        17,  # digits that tell any two float64 apart
    }
    kinds = {int(kind) for kind in Kind}
    powers = {*DEFAULT_RESOLUTION, *DEFAULT_RESOLUTION.values()}
    requirements = {COMPARISONS, FALSE_ALARM, ESCAPE, 20, *powers}  # 20: of 2^20 roundings
    assert numbers <= formulas | kinds | requirements


# --- screened along random directions -----------------------------------------------------------


def screen(engine, state, *, tau=1e-9, k=20, evaluated=(), resolution=1e-6):
    engine = np.asarray(engine, float)
    structure = structure_of(np.zeros(len(engine)))
    e = Estimate.empty(len(engine))
    for j, value in evaluated:
        e.value[j], e.bound[j], e.step[j], e.status[j] = value, 1e-9, 1.0, Status.RESOLVED
    comparison = compare(structure, engine, e, resolution=resolution)
    return screened(comparison, (Screened(structure.leaves[0], k, tau, state),))


def test_what_stands_out_is_beyond_its_bound_and_so_is_a_nan():
    assert [stands_out(v, 1.0) for v in (0.5, 1.0, -1.1, np.nan)] == [False, False, True, True]
    assert stands_out(1.0, np.nan)


def test_a_screened_array_passes_with_its_miss_probability():
    outcome = outcome_of(screen([1.0, 0.5, 0.0], Settled.SCREENED))
    assert (outcome.verdict, outcome.miss_probability) == (Verdict.PASS, 2.0**-20)
    assert outcome.resolution == pytest.approx(2e-9 / 0.5)
    assert outcome.counts["screened"] == 3


def test_a_screen_too_coarse_for_its_array_is_vacuous():
    outcome = outcome_of(screen([1.0, 0.5], Settled.SCREENED, tau=1e-6))
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (Settled.OPEN, Reason.BUDGET),
        (Settled.WIDESPREAD, Reason.BUDGET),
        (Settled.KINK, Reason.NONDIFFERENTIABLE),
        (Settled.NOISY, Reason.NOISE),
        (Settled.UNEXPLAINED, Reason.ANOMALOUS),
    ],
)
def test_an_array_whose_screen_did_not_settle_is_no_pass(state, reason):
    outcome = outcome_of(screen([1.0, 0.5], state))
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, reason)


def test_the_screen_leaves_what_was_differentiated_alone():
    wrong = outcome_of(screen([1.0, 0.5], Settled.SCREENED, evaluated=[(1, 0.6)]))
    assert wrong.verdict is Verdict.FAIL
    assert [d.name for d in wrong.discrepancies] == ["x[1]"]
    assert wrong.counts["screened"] == 1


def test_the_size_of_wrong_entries_is_no_yardstick_for_the_others():
    outcome = screen([1e-6, 1e6], Settled.SCREENED, evaluated=[(1, 0.6)])
    assert outcome.kind[0] == Kind.VACUOUS


def test_a_block_says_what_is_known_of_it():
    leaf = structure_of(np.zeros(3)).leaves[0]
    told = Screened(leaf, 20, 0.5, Settled.SCREENED).told()
    assert "above 1 in one coordinate alone would have been seen" in told
    assert "2^-20" in told
    assert "errors spread over many, above 2 in norm, with at most 1%" in told  # 1 / 0.463
    assert "spread over many" not in Screened(leaf, 3, 0.5, Settled.OPEN).told()
    assert "no random direction" in Screened(leaf, 0, 0.0, Settled.OPEN).told()
