"""Mistakes that the library of formulas never saw: all are caught, and hardly any is misnamed."""

from collections import Counter
from functools import cache
from itertools import islice

import pytest
from held_out import COMMON, FRESH, HELD_OUT, LATER, PROGRAMS, Student, student
from truth import FALSE, judged

from gradcheck.checks.agreement import check_agreement
from gradcheck.diagnosis.explain import diagnose
from gradcheck.mutants.registry import MUTANTS
from gradcheck.outcomes.reasons import Kind, Verdict
from gradcheck.problems.case import sample_cases

EVERY = (*HELD_OUT, *LATER, *FRESH)
MOST_FALSE = 0.05


@cache
def drawn():
    cases = sample_cases(200, 31, max_parameters=300, max_batch=16)
    return [(case, case.problem()) for case in cases]


def failures(engine):
    for case, problem in drawn():
        outcome = check_agreement(engine, problem)
        if outcome.verdict is Verdict.FAIL:
            yield case, problem, outcome.comparison


def verdicts(mistakes, most):
    """How often what is said of the mistakes is right, vague, unknown or false; and what is."""
    counted, false = Counter(), []
    for mistake in mistakes:
        for case, problem, c in islice(failures(student(mistake)), most):
            said = diagnose(student(mistake), problem, c.engine, c.kind == Kind.FAILED)
            truth, why = judged(said, lambda m=mistake: student(m), case)
            counted[truth] += 1
            false += [(mistake.name, said.text, why)] if truth == FALSE else []
    return counted, false


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_programs_are_right_without_the_mistakes(program):
    engine = Student(program, COMMON + PROGRAMS[program])
    found = Counter(check_agreement(engine, p).verdict for _, p in drawn()[:24])
    assert Verdict.FAIL not in found
    assert found[Verdict.PASS] > 12


def test_every_mistake_is_caught():
    escaped = [m.name for m in EVERY if next(failures(student(m)), None) is None]
    assert escaped == []


def test_no_mistake_is_a_mutant_or_is_there_twice():
    names = [mistake.name for mistake in EVERY]
    assert len(set(names)) == len({m.source for m in EVERY}) == len(names) >= 70
    assert set(names).isdisjoint(MUTANTS)


def test_hardly_any_is_misnamed():
    counted, false = verdicts(EVERY[::18], most=1)
    assert len(false) <= MOST_FALSE * counted.total(), false


@pytest.mark.nightly
@pytest.mark.parametrize("mistakes", [HELD_OUT, LATER, FRESH], ids=["held out", "later", "fresh"])
def test_of_all_of_them_hardly_any_is_misnamed(mistakes):
    counted, false = verdicts(mistakes, most=3)
    assert counted.total() == 3 * len(mistakes)
    assert len(false) <= MOST_FALSE * counted.total(), (counted, false)
