"""A formula that some units have, and all units of narrow layers, is one mistake."""

from functools import partial

import numpy as np

from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.diagnosis.finding import SOME, Candidate
from gradcheck.diagnosis.formula import HIDDEN, Formula
from gradcheck.diagnosis.peel import in_units
from gradcheck.diagnosis.symbols import Symbols
from gradcheck.mutants.backprop import Backprop
from gradcheck.problems.case import Case
from gradcheck.verification.findings import Witness, read_finding
from gradcheck.verification.mistakes import grouped
from gradcheck.verification.property import finding_of

TAIL = 4


class TailWithoutSlope(Backprop):
    """The last n_l mod 4 units of a hidden layer lack sigmoid'."""

    def slope(self, layer):
        slope = super().slope(layer).copy()
        n = slope.shape[1]
        slope[:, n - n % TAIL :] = 1
        return slope


def case(width):
    return Case(sizes=(3, width, 2), batch=3, targets="soft")


def outcome(width):
    return explained_agreement(TailWithoutSlope(), case(width).problem())


def test_the_units_that_have_another_formula_are_told():
    assert outcome(6).diagnosis.startswith(
        "layer 1: delta_1 lacks the factor sigmoid'(z_1) in units 4, 5; expected "
    )
    assert outcome(3).diagnosis.startswith(
        "layer 1: delta_1 lacks the factor sigmoid'(z_1); expected "
    )


def test_both_have_one_heading_that_is_true_of_both():
    findings = [(case(n).token, finding_of("agreement", outcome(n))) for n in (6, 3, 3, 5)]
    [group] = grouped(Witness(token, read_finding(found)) for token, found in findings)
    assert group.what == "delta_l lacks the factor sigmoid'(z_l) in some places"


def test_a_formula_of_some_units_agrees_with_that_of_all_and_with_no_other():
    one, some, other = (Candidate(key, "") for key in ("a", "a" + SOME, "b"))
    assert one.agrees(some)
    assert some.agrees(one)
    assert not some.agrees(other)


class BufferKept(Backprop):
    """The error that is passed down is added to that of the examples before."""

    def passed_down(self, layer):
        return np.cumsum(super().passed_down(layer), axis=0)


def test_a_buffer_that_is_not_set_to_0_between_examples_is_named():
    said = explained_agreement(BufferKept(), case(4).problem()).diagnosis
    assert said.startswith("layer 1: delta_1 has delta_2 W_2 of the examples before added; ")


def test_units_of_one_width_say_nothing_of_another():
    narrow, wide = (Symbols.of(case(n).problem()).right() for n in (4, 6))
    made = partial(in_units, Formula("", HIDDEN, "", lambda s, k: 0 * s.error(k)))
    units = np.array([True, False, False, False])
    assert np.array_equal(made(units, wide, 1), wide.error(1))
    assert not made(units, narrow, 1)[:, 0].any()
    assert np.array_equal(made(units, narrow, 1)[:, 1:], narrow.error(1)[:, 1:])


class ThreeUnitsDead(Backprop):
    """The errors of three hidden units are 0."""

    def hidden_error(self, layer):
        delta = super().hidden_error(layer).copy()
        delta[:, [0, 3, 5]] = 0
        return delta


def test_units_that_are_0_are_told_as_that_and_by_no_part_of_the_batch():
    said = explained_agreement(ThreeUnitsDead(), case(6).problem()).diagnosis
    assert said.startswith("layer 1: delta_1 is 0 in units 0, 3, 5; expected ")
