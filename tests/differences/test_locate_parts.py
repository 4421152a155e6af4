"""The parts of the hunt for wrong coordinates: what each test decides, and what is said of it."""

import numpy as np
import pytest

from gradcheck.differences import locate as module
from gradcheck.differences.bounds import Bounds
from gradcheck.differences.directional import Slope
from gradcheck.differences.lines import BudgetSpentError, Lines
from gradcheck.differences.noise import Noise
from gradcheck.differences.screening import Settled
from gradcheck.outcomes.reasons import Kind
from gradcheck.splitmix64 import Stream

NOISE = Noise(2.0**-44, 2.0**-40, 2.0**-53, 0)
ONES = np.ones(64)


def slope(value, likely=1e-6, exponent=-9, truncation=0.0, kink=False):
    """A slope whose bound is 1e-3 beyond its likely error and its truncation."""
    return Slope(value, 1e-3 + likely, likely, truncation, 0.0, exponent, kink)


def hunter(n=64, confirm=None, bounds=None):
    x = {"a": np.ones(n), "none": np.ones(0)}
    lines = Lines(lambda p: 0.0, x, bounds=bounds)
    confirm = confirm or (lambda j: np.full(len(j), Kind.INFORMATIVE, np.uint8))
    return module._Hunter(lines, NOISE, np.zeros(n), confirm, Stream(0, "hunt"))


def of_errors(hunt, errors, likely=1e-6):
    """Let sums of the errors, weighted by v and nu, be what is measured."""
    asked = []

    def measured(S, v, T, nu=1.0):
        asked.append(S.tolist())
        return slope(float(np.sum(errors[S] * v[S] * nu)), likely, T.exponent, T.truncation)

    hunt._measured = measured
    return asked


# --- one test -------------------------------------------------------------------------------------


class Told:
    """Stand for a direction: gives the slopes that it is told, and notes what was asked."""

    def __init__(self, **answers):
        self.answers, self.asked = answers, []

    def pilot(self):
        self.asked.append("pilot")
        return self.answers["pilot"]

    def checked(self, exponent):
        self.asked.append(("checked", exponent))
        return self.answers["checked"]

    def at(self, exponent, truncation):
        self.asked.append(("at", exponent, truncation))
        return self.answers["at"]

    def refined(self, slope):
        self.asked.append("refined")
        return self.answers["refined"]


def after_a_test(block_fields=None, failed=False, **answers):
    hunt, told, hunted = hunter(), Told(**answers), []
    block = hunt.blocks[0]
    for name, value in (block_fields or {}).items():
        setattr(block, name, value)
    hunt._failed = failed
    hunt._direction = lambda S, v, nu=1.0: told
    hunt._hunt = lambda block, v, T: hunted.append(T)
    hunt._test(block)
    return block, told.asked, hunted


def test_pilots_find_the_step_and_the_smallest_with_the_largest_truncation_is_kept():
    block, asked, _ = after_a_test(pilot=slope(0.0, exponent=-9, truncation=0.25))
    assert (asked, block.exponent, block.truncation, block.drawn) == (["pilot"], -9, 0.25, 1)
    known = {"exponent": -9, "truncation": 0.25, "drawn": 2}
    for exponent, truncation, kept in ((-7, 0.5, (-9, 0.5)), (-12, 0.125, (-12, 0.25))):
        answer = slope(0.0, exponent=exponent, truncation=truncation)
        block, asked, _ = after_a_test(known, checked=answer)
        assert asked == [("checked", -9)]
        assert (block.exponent, block.truncation, block.drawn) == (*kept, 3)


def test_after_the_pilots_or_a_failure_four_points_are_taken_and_two_more_at_an_alarm():
    known = {"exponent": -9, "truncation": 0.25, "drawn": 3}
    block, asked, hunted = after_a_test(known, at=slope(1e-4))
    assert (asked, hunted, block.clean) == ([("at", -9, 0.25)], [], 1)
    block, asked, hunted = after_a_test(known, at=slope(1.0), refined=slope(1e-4))
    assert (asked, hunted, block.clean) == ([("at", -9, 0.25), "refined"], [], 1)
    block, asked, hunted = after_a_test(known, at=slope(1.0), refined=slope(2.0))
    assert (hunted, block.clean) == ([slope(2.0)], 0)
    assert after_a_test({**known, "drawn": 1}, failed=True, at=slope(0.0))[1] == [("at", -9, 0.25)]
    block, asked, _ = after_a_test(failed=True, pilot=slope(0.0, exponent=-8, truncation=0.5))
    assert (asked, block.exponent, block.truncation) == (["pilot"], -8, 0.5)


def test_the_widest_bound_of_the_clean_directions_is_kept():
    wide, narrow = slope(0.0, truncation=0.5), slope(0.0)
    known = {"exponent": -9, "drawn": 3, "threshold": 0.25}
    assert after_a_test(known, at=wide)[0].threshold == wide.bound
    assert after_a_test(known, at=narrow)[0].threshold == 0.25


def test_kinks_and_what_is_not_finite_settle_a_block():
    block = after_a_test(pilot=slope(9.0, kink=True))[0]
    assert block.state is Settled.KINK
    assert block.story == ["the slope of f jumps at x along random signs of a"]
    assert after_a_test(pilot=slope(np.nan))[0].state is Settled.NOISY
    assert after_a_test(pilot=slope(0.0, truncation=np.inf))[0].state is Settled.NOISY
    assert after_a_test(pilot=slope(0.0))[0].state is Settled.OPEN


# --- all blocks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "state"), [(5, Settled.ONE_BY_ONE), (6, Settled.SCREENED)])
def test_small_blocks_are_differentiated_one_by_one(n, state):
    hunt, done, asked = hunter(n), [], []

    def clean(block):
        asked.append(block.leaf.name)
        block.clean += 1

    hunt._test = clean
    hunt.run(done.append)
    assert [block.state for block in hunt.blocks] == [state]
    assert done == [n]
    assert len(asked) == (20 if n == 6 else 0)


def test_after_a_failure_three_clean_directions_are_enough():
    hunt, asked = hunter(), []
    hunt._failed = True
    hunt._test = lambda block: asked.append(1) or setattr(block, "clean", block.clean + 1)
    hunt.run(lambda n: None)
    assert len(asked) == 3


def test_a_block_of_which_nothing_is_left_is_settled():
    hunt = hunter()
    hunt._test = lambda block: setattr(block, "rest", block.rest[:0])
    hunt.run(lambda n: None)
    assert hunt.blocks[0].state is Settled.SCREENED


def test_coordinates_at_their_bounds_are_differentiated_one_by_one():
    low = np.full(64, -np.inf)
    low[[3, 9]] = 1.0
    asked = []
    confirm = lambda j: asked.append(j.tolist()) or np.zeros(len(j), np.uint8)  # noqa: E731
    hunt = hunter(bounds=Bounds(low, np.full(64, np.inf)), confirm=confirm)
    hunt._test = lambda block: setattr(block, "clean", 20)
    hunt.run(lambda n: None)
    assert asked == [[3, 9]]
    assert len(hunt.blocks[0].rest) == 62


def test_progress_is_told_if_anybody_wants_to_know():
    told = []
    lines = Lines(lambda p: float(np.sum(p)), np.ones(8))
    g = np.ones(8)
    confirm = lambda j: np.full(len(j), Kind.INFORMATIVE, np.uint8)  # noqa: E731
    for progress in (told.append, None):
        module.locate(lines, NOISE, g, confirm, Stream(0, "locate"), progress=progress)
    assert told == [8]


# --- the hunt -------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 17, 62, 63])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_wrong_coordinate_is_found_by_its_position_with_two_tests(place, sign):
    hunt, errors = hunter(), np.zeros(64)
    errors[place] = 1.0
    asked = of_errors(hunt, errors)
    S, T = hunt._narrow(np.arange(64), slope(sign), sign * ONES)
    assert S.tolist() == [place]
    assert T.value == sign
    assert len(asked) == 2


def test_a_set_is_not_narrowed_to_where_only_a_part_of_the_error_is():
    hunt, errors = hunter(), np.zeros(64)
    errors[[10, 12]] = 1.0  # together they look like one at 11
    of_errors(hunt, errors)
    assert len(hunt._narrow(np.arange(64), slope(2.0), ONES)[0]) == 64


@pytest.mark.parametrize(("likely", "narrows"), [(0.058, True), (0.06, False)])
def test_a_position_that_is_too_uncertain_is_not_asked_for(likely, narrows):
    # 2 likely / (1 - likely) <= 1/8
    hunt, errors = hunter(), np.zeros(64)
    errors[17] = 1.0
    asked = of_errors(hunt, errors, likely=0.0)
    hunt._narrow(np.arange(64), slope(1.0, likely), ONES)
    assert bool(asked) is narrows


@pytest.mark.parametrize(("off", "kept"), [(0.9, True), (1.1, False), (-1.1, False)])
def test_the_part_must_have_the_whole_error_within_what_both_are_likely_to_miss(off, kept):
    hunt, likely = hunter(), 1e-3
    answers = iter([slope(17.5 / 64, likely), slope(1 + off * 2 * likely, likely)])
    hunt._measured = lambda *_: next(answers)
    S, _ = hunt._narrow(np.arange(64), slope(1.0, likely), ONES)
    assert (len(S) < 64) is kept


def test_the_position_is_as_wide_as_both_errors_say():
    hunt, likely = hunter(), 0.01
    # centre 32.5 / 64; doubt (0.01 + 0.5078 0.01) / 0.99 = 0.01523, of 64 positions 0.975
    answers = iter([slope(32.5 / 64, likely), slope(1.0, likely), slope(0.5, likely)])
    seen = []
    hunt._measured = lambda S, *_: seen.append(S.tolist()) or next(answers)
    hunt._narrow(np.arange(64), slope(1.0, likely), ONES)
    assert seen[1] == [32]
    answers = iter([slope(32.9 / 64, likely), slope(1.0, likely), slope(0.0, likely)])
    seen.clear()
    hunt._measured = lambda S, *_: seen.append(S.tolist()) or next(answers)
    hunt._narrow(np.arange(64), slope(1.0, likely), ONES)
    assert seen[1] == [32, 33]


def test_halves_are_one_that_is_measured_and_the_rest():
    hunt, errors = hunter(), np.zeros(64)
    errors[[3, 40]] = 1.0, 2.0
    asked = of_errors(hunt, errors)
    halves = hunt._halves(np.arange(7, 64), slope(2.0), ONES)
    assert asked == [list(range(7, 35))]
    assert [(S.tolist(), T.value) for S, T in halves] == [(list(range(35, 64)), 2.0)]
    both = hunt._halves(np.arange(64), slope(3.0), ONES)
    assert [(len(S), T.value) for S, T in both] == [(32, 1.0), (32, 2.0)]


def test_sets_are_named_by_their_first_and_last_coordinate():
    hunt = hunter()
    assert hunt._told([np.array([5])]) == "a[5]"
    assert hunt._told([np.array([9, 11]), np.array([4, 30]), np.array([6])]) == "a[4] to a[30]"


@pytest.mark.parametrize(("suspects", "wrong", "found"), [(4, 4, True), (4, 3, True), (3, 3, True),
                                                          (4, 2, False), (2, 0, None)])  # fmt: skip
def test_three_of_four_drawn_that_are_wrong_make_errors_widespread(suspects, wrong, found):
    hunt, confirmed = hunter(), []
    errors = np.zeros(64)
    standing = np.array([30, 8, 10, 12])
    errors[standing[:suspects]] = 1.0
    of_errors(hunt, errors)
    hunt._one_by_one = lambda block, j: confirmed.append(sorted(j.tolist())) or wrong
    block = hunt.blocks[0]
    hunt._draw(block, standing, ONES, slope(9.0))
    assert confirmed == ([] if found is None else [sorted(standing[:suspects].tolist())])
    assert (block.state is Settled.WIDESPREAD) is bool(found)
    if found:
        assert block.story == [
            f"{wrong} of 4 coordinates drawn at random from a[8] to a[30] are wrong: errors are "
            "widespread there, and were not sought one by one"
        ]


def test_four_are_drawn_of_many():
    hunt, asked = hunter(), []
    hunt._measured = lambda S, *_: asked.append(S.tolist()) or slope(0.0)
    hunt._draw(hunt.blocks[0], np.arange(20), ONES, slope(9.0))
    assert len({tuple(S) for S in asked}) == len(asked) == 4
    assert all(len(S) == 1 for S in asked)


# --- on their own ---------------------------------------------------------------------------------


def confirmed(kinds, coordinates=None, bounds=None, **fields):
    coordinates = np.arange(len(kinds)) if coordinates is None else np.array(coordinates)
    hunt = hunter(confirm=lambda j: np.array(kinds, np.uint8), bounds=bounds)
    block = hunt.blocks[0]
    for name, value in fields.items():
        setattr(block, name, value)
    return hunt, block, hunt._one_by_one(block, coordinates)


def test_what_was_differentiated_is_left_out_and_the_wrong_are_counted():
    hunt, block, wrong = confirmed([Kind.FAILED, Kind.SMALL, Kind.FAILED], named=4)
    assert (wrong, block.named, hunt._failed, block.contradictions) == (2, 6, True, 0)
    assert block.rest.tolist() == list(range(3, 64))
    assert block.state is Settled.OPEN
    hunt, block, wrong = confirmed([Kind.SMALL, Kind.SMALL])
    assert (wrong, hunt._failed, block.contradictions) == (0, False, 0)


def test_a_budget_that_is_spent_ends_it():
    with pytest.raises(BudgetSpentError):
        confirmed([Kind.FAILED, Kind.NOT_EVALUATED])


@pytest.mark.parametrize(("named", "state"), [(8, Settled.OPEN), (9, Settled.WIDESPREAD)])
def test_ten_wrong_ones_are_enough(named, state):
    _, block, _ = confirmed([Kind.FAILED], named=named)
    assert block.state is state
    if state is Settled.WIDESPREAD:
        assert block.story == ["10 coordinates of a are wrong; no more were sought"]


@pytest.mark.parametrize(("before", "state"), [(0, Settled.OPEN), (1, Settled.UNEXPLAINED)])
def test_two_that_stand_out_in_groups_and_not_alone_end_it(before, state):
    _, block, _ = confirmed([Kind.SMALL], contradictions=before)
    assert (block.contradictions, block.state) == (before + 1, state)
    assert len(block.story) == before
    # one at its bound does not count: it is in no group
    low = np.full(64, -np.inf)
    low[0] = 1.0
    _, block, _ = confirmed([Kind.SMALL], bounds=Bounds(low, np.full(64, np.inf)))
    assert block.contradictions == 0
