"""Timing by turns: medians, counts that are held to what must be, checks that stop."""

import sys
from dataclasses import replace
from functools import partial
from itertools import count
from pathlib import Path

import numpy as np
import pytest

from gradcheck.problem import Architecture
from gradcheck.studies.bench.contender import FAIL, INCONCLUSIVE, PASS, Answer
from gradcheck.studies.bench.extrapolate import extrapolated, predicted
from gradcheck.studies.bench.measure import measure
from gradcheck.studies.bench.power import CAUGHT, MISNAMED, MISSED, NAMED, first
from gradcheck.studies.bench.settings import Settings
from gradcheck.studies.bench.subject import NETWORKS, Subject, WrongEngine, as_vector
from gradcheck.studies.bench.trial import ClockStoppedError, Entry, MiscountError
from gradcheck.studies.peers.base import Planted

sys.path.insert(0, str(Path(__file__).parent))
from contestants import FORWARD, Watch, made_up

SMALL = ((2, 2, 1), (4, 4, 1), (8, 8, 1), (16, 16, 1))  # N = 9, 25, 81, 289


def rows(*plans, networks=SMALL[:1], **options):
    watch = Watch()
    checks = [made_up(watch, **{"name": f"check {i}", **plan}) for i, plan in enumerate(plans)]
    settings = Settings(networks=networks, **{"often": 5, "right": 1, **options})
    return list(measure(checks, settings, 1, clock=watch))


# --- one run --------------------------------------------------------------------------------------


def test_a_run_gives_its_answer_its_passes_and_its_seconds():
    watch = Watch()
    trial = Entry(made_up(watch), Subject(SMALL[0]), clock=watch).try_once()
    assert (trial.answer.verdict, trial.passes) == (PASS, 18)
    assert trial.seconds == pytest.approx(0.018)


def test_a_stopped_clock_is_noticed():
    watch = Watch()
    with pytest.raises(ClockStoppedError, match=r"made up took 0\.0 seconds"):
        Entry(made_up(watch), Subject(SMALL[0]), clock=lambda: 1.0).try_once()


def test_a_counter_that_misses_passes_is_noticed():
    with pytest.raises(MiscountError, match="8 passes counted for 9 coordinates"):
        rows({"passes": lambda N: N - 1})
    assert rows({"passes": lambda N: 2, "every_coordinate": False})[0].passes == 2


def test_a_count_other_than_the_check_states_is_noticed():
    with pytest.raises(MiscountError, match="18 passes counted, it says 17"):
        rows({"own_count": 17})


def test_counts_that_differ_from_run_to_run_are_noticed():
    more = count(18)
    with pytest.raises(MiscountError, match="the same check took"):
        rows({"passes": lambda N: next(more)})


# --- in turns -------------------------------------------------------------------------------------


def test_the_median_of_the_repeats_is_taken_and_the_warm_up_is_not():
    taken = iter([100e-3, 1e-3, 9e-3, 2e-3, 8e-3, 3e-3])
    (row,) = rows({"seconds": lambda N: next(taken, 1e-3)}, longest_named=0)
    assert row.seconds == pytest.approx(3e-3)
    assert (row.q25, row.q75) == (pytest.approx(2e-3), pytest.approx(8e-3))
    assert row.repeats == 5


def test_the_checks_take_turns():
    watch, order = Watch(), []
    checks = [
        made_up(watch, name, seconds=lambda N, name=name: order.append(name) or 1e-3)
        for name in "abc"
    ]
    settings = Settings(networks=SMALL[:1], often=5, right=1, longest_named=0)
    list(measure(checks, settings, 1, clock=watch))
    assert "".join(order) == "abc" * 6


@pytest.mark.parametrize(("seconds", "runs"), [(4.9, 5), (6.0, 3), (14.0, 3), (20.0, 1)])
def test_a_long_check_is_repeated_less(seconds, runs):
    (row,) = rows({"seconds": lambda N: seconds}, longest_named=0)
    assert (row.repeats, row.seconds) == (runs, pytest.approx(seconds))


def test_a_check_that_would_take_too_long_is_extrapolated():
    found = rows({"seconds": lambda N: 0.01 * N}, networks=SMALL, longest=2.0, longest_named=0)
    assert [row.is_measured for row in found] == [True, True, True, False]
    assert found[-1].seconds == pytest.approx(0.01 * 289)
    assert found[-1].passes == pytest.approx(2 * 289)
    assert (found[-1].verdict, found[-1].repeats) == ("", 0)
    assert found[-1].note == "one check would take more than 2 s"


def test_our_own_checks_are_not_extrapolated():
    plan = {"seconds": lambda N: 0.01 * N, "ours": True}
    found = rows(plan, networks=SMALL, longest=2.0, longest_named=0)
    assert [row.seconds is None for row in found] == [False, False, False, True]


def test_a_check_that_never_ran_is_not_extrapolated():
    found = rows({"seconds": lambda N: 0.1 * N}, {}, networks=SMALL[:2], longest=0, longest_named=0)
    assert [row.is_measured for row in found] == [True, True, False, False]
    assert [row.seconds is None for row in found[2:]] == [False, False]


def test_a_check_that_raises_is_told_and_stops_alone():
    found = rows({"raises": ZeroDivisionError("oh")}, {}, networks=SMALL[:2])
    broken = [row for row in found if row.check == "check 0"]
    assert [row.note for row in broken] == ["raised ZeroDivisionError: oh"] * 2
    assert [row.seconds for row in broken] == [None, None]
    other = [row for row in found if row.check == "check 1"]
    assert [row.is_measured for row in other] == [True] * len(broken)


def test_a_check_that_raises_at_a_planted_error_goes_on():
    watch = Watch()
    good = made_up(watch)

    def prepare(subject, tick, planted):
        if planted is not None:
            raise OSError("no errors, please")
        return good.prepare(subject, tick, planted)

    check = replace(good, name="fragile", prepare=prepare)
    settings = Settings(networks=SMALL[:2], right=1)
    found = list(measure([check], settings, 1, clock=watch))
    assert [row.is_measured for row in found] == [True, True]
    assert {row.note for row in found} == {"raised OSError: no errors, please"}


def test_a_check_that_never_passes_is_told_and_asked_nothing_more():
    (row,) = rows({"verdict": INCONCLUSIVE})
    assert (row.verdict, row.found, row.smallest_error) == (INCONCLUSIVE, "", None)


def test_the_time_of_a_check_is_told_in_forward_passes():
    (row,) = rows({"seconds": lambda N: 0.018}, longest_named=0)
    assert row.forward == pytest.approx(FORWARD)
    assert row.in_passes == pytest.approx(0.018 / FORWARD)


def test_each_run_is_divided_by_the_forward_pass_right_after_it():
    """A machine that becomes half as fast changes the seconds, not the passes."""
    watch = Watch()
    pace = iter([1, 1, 1, 2, 2, 2])
    check = made_up(watch)

    def prepare(subject, tick, planted):
        run = check.prepare(subject, tick, planted)

        def slower():
            watch.pace = next(pace)
            return run()

        return slower

    settings = Settings(networks=SMALL[:1], often=5, right=1, longest_named=0)
    (row,) = measure([replace(check, prepare=prepare)], settings, 1, clock=watch)
    assert row.in_passes == pytest.approx(0.018 / FORWARD)
    assert (row.q25, row.q75) == (pytest.approx(0.018), pytest.approx(0.036))


def test_a_clock_that_stands_still_during_forward_passes_is_noticed():
    watch = Watch()
    still = replace(made_up(watch), forward=lambda subject: lambda n: None)
    with pytest.raises(ClockStoppedError, match=r"1 forward passes took 0\.0 seconds"):
        Entry(still, Subject(SMALL[0]), clock=watch).forward_seconds()


def test_forward_passes_that_raise_stop_the_check_alone():
    def broken(subject):
        def run(n):
            raise OSError("no forward pass")

        return run

    watch = Watch()
    check = replace(made_up(watch), forward=broken)
    (row,) = measure([check], Settings(networks=SMALL[:1]), 1, clock=watch)
    assert (row.seconds, row.note) == (None, "raised OSError: no forward pass")


def test_a_short_check_is_timed_often():
    (row,) = rows({"seconds": lambda N: 0.05}, often=25, longest_named=0)
    assert row.repeats == 25
    (row,) = rows({"seconds": lambda N: 0.06}, often=25, longest_named=0)
    assert row.repeats == 5


# --- right gradients ------------------------------------------------------------------------------


def accusing(watch, seeds, verdict=FAIL):
    """A check that calls the right gradient of some networks wrong, told by their weights."""
    wrong = [Subject(SMALL[0], seed).x.tobytes() for seed in seeds]
    good = made_up(watch)

    def prepare(subject, tick, planted):
        run = good.prepare(subject, tick, planted)

        def judge():
            found = run()
            return Answer(verdict) if subject.x.tobytes() in wrong else found

        return judge

    return replace(good, prepare=prepare)


@pytest.mark.parametrize("verdict", [FAIL, INCONCLUSIVE])
def test_right_gradients_of_other_networks_that_are_accused_are_counted(verdict):
    watch = Watch()
    settings = Settings(networks=SMALL[:1], right=6)
    check = accusing(watch, (settings.seed + 2, settings.seed + 5), verdict)
    (row,) = measure([check], settings, 1, clock=watch)
    counts = (2, 0) if verdict == FAIL else (0, 2)
    assert (row.verdict, row.tried, row.accused, row.undecided) == (PASS, 6, *counts)


def test_the_right_gradient_that_is_timed_counts_too():
    assert [(r.tried, r.accused) for r in rows({"verdict": FAIL}, right=3)] == [(3, 3)]
    assert [(r.tried, r.undecided) for r in rows({"verdict": INCONCLUSIVE}, right=3)] == [(3, 3)]


def test_a_slow_check_is_given_fewer_right_gradients():
    (row,) = rows({"seconds": lambda N: 4.0}, longest_named=0, right=20, longest_right=10.0)
    assert row.tried == 3
    (row,) = rows({"seconds": lambda N: 11.0}, longest_named=0, right=20, longest_right=10.0)
    assert row.tried == 1


# --- planted errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("plan", "found"),
    [
        ({}, NAMED),
        ({"names": False}, CAUGHT),
        ({"sees": 0.02}, MISSED),
    ],
)
def test_an_error_of_one_percent_is_named_caught_or_missed(plan, found):
    assert rows(plan)[0].found == found


def test_another_coordinate_may_be_named():
    watch = Watch()
    good = made_up(watch)

    def prepare(subject, tick, planted):
        other = planted and Planted((planted.coordinate + 1) % subject.N, planted.relative)
        return good.prepare(subject, tick, other)

    check = replace(good, name="confused", prepare=prepare)
    (row,) = measure([check], Settings(networks=SMALL[:1]), 1, clock=watch)
    assert row.found == MISNAMED


@pytest.mark.parametrize("k", [-52, -13, 0, 20])
def test_the_smallest_error_seen_is_found(k):
    assert rows({"sees": 2.0**k})[0].smallest_error == 2.0**k


def test_a_check_that_sees_nothing_has_no_smallest_error():
    (row,) = rows({"sees": np.inf})
    assert (row.found, row.smallest_error) == (MISSED, None)


def test_errors_are_sought_only_where_there_is_time():
    (row,) = rows({"seconds": lambda N: 4.5})
    assert (row.found, row.smallest_error) == (NAMED, None)
    (row,) = rows({"seconds": lambda N: 5.5})
    assert (row.found, row.smallest_error) == ("", None)


def test_a_check_that_is_slow_to_fail_is_not_asked_for_ever():
    plan = {"seconds": lambda N: 1e-3 * N, "when_wrong": 100, "slow_to_fail": True}
    found = rows(plan, networks=SMALL)  # wrong ones take 0.9, 2.5, 8.1, 29 s
    assert [row.found for row in found] == [NAMED, NAMED, "", ""]
    assert [row.smallest_error for row in found] == [2.0**-10, 2.0**-10, None, None]
    assert {row.note for row in found[2:]} == {
        "not asked about errors: it looks at each coordinate where it fails"
    }


def test_a_search_that_turns_out_too_long_is_given_up():
    (row,) = rows({"seconds": lambda N: 0.1, "when_wrong": 650})
    assert (row.found, row.smallest_error) == (NAMED, None)
    assert row.note == "a check that fails takes 65.0 s"


@pytest.mark.parametrize("guess", [-20, -7, 0, 20])
def test_the_search_finds_the_first_from_wherever_it_starts(guess):
    for k in range(-20, 21):
        asked = []
        assert first(lambda i, k=k, asked=asked: asked.append(i) or i >= k, -20, 20, guess) == k
        assert all(-20 <= i <= 20 for i in asked)
        assert len(asked) == len(set(asked)) <= 12
    assert first(lambda i: False, -20, 20, guess) is None
    assert first(lambda i: True, -20, 20, guess) == -20


def test_the_planted_error_is_in_one_derivative_of_median_size():
    subject = Subject((5, 4, 1))
    g, j = subject.gradient(subject.x), subject.median_coordinate
    assert np.sum(np.abs(g) < np.abs(g[j])) == subject.N // 2
    engine = WrongEngine(subject, Planted(j, 0.25))
    wrong = as_vector(engine.value_and_grad(subject.problem)[1])
    assert np.flatnonzero(wrong != g).tolist() == [j]
    assert wrong[j] == 1.25 * g[j]
    np.testing.assert_array_equal(subject.gradient(subject.x), g)


# --- sizes ----------------------------------------------------------------------------------------


def test_the_networks_have_the_sizes_that_are_stated():
    sizes = [Architecture(network).n_parameters for network in NETWORKS]
    assert sizes == [100, 1000, 9901, 100_000, 1_000_000]


def test_passes_are_extrapolated_from_the_last_size_in_proportion():
    assert extrapolated([(10, 7.0), (100, 202.0)], 10**4) == 202 * 100
    assert extrapolated([], 10**4) is None


def test_what_is_to_be_expected_grows_as_it_did_at_most_quadratically():
    few, every = (
        partial(predicted, every_coordinate=False),
        partial(predicted, every_coordinate=True),
    )
    assert few([], 10) == every([], 10) == 0
    assert few([(10, 1.0)], 100) == pytest.approx(10)
    assert few([(10, 1.0), (100, 1e6)], 1000) == pytest.approx(1e8)
    assert few([(10, 2.0), (100, 1.0)], 1000) == pytest.approx(1.0)
    assert every([(10, 1.0), (100, 10.0)], 1000) == pytest.approx(10 * 10**1.4)
