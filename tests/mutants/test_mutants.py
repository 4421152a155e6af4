"""Every mutant is caught, the same engine without its defect is not, and `shows` is true."""

from dataclasses import replace
from functools import cache
from itertools import product

import numpy as np
import pytest

from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.consistency import check_consistency
from gradcheck.checks.exact import exact_outcomes
from gradcheck.engines.base import Engine
from gradcheck.engines.registry import EngineNotFoundError, find
from gradcheck.mutants import mutant as module
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.mutant import Shows, mutant, snake_case
from gradcheck.mutants.registry import MUTANTS, find_mutant
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problems.case import Case, sample_cases

MANY = 200
FEW, MANY_OUTSIDE = (1, 3), (4, 15)

EVERY = pytest.mark.parametrize("name", MUTANTS)
SOME = pytest.mark.parametrize(
    "name",
    [
        name if place % 4 == 0 else pytest.param(name, marks=pytest.mark.nightly)
        for place, name in enumerate(MUTANTS)
    ],
)
"""Every fourth one, and all of them at night."""

CHECKS = {"agreement": check_agreement, "consistency": check_consistency}
"""Verdicts alone: what is said of a mutant is the business of tests/diagnosis."""


@cache
def problems(name):
    """The problems of a default run; those of consistency have small networks."""
    small = {"max_parameters": 40, "max_batch": 8} if name == "consistency" else {}
    return [case.problem() for case in sample_cases(MANY, 0, **small)]


def check_of(wrong):
    return wrong.caught_by[0]


def failing(engine, check, indices):
    """The first of the problems on which the engine FAILs."""
    for i in indices:
        if CHECKS[check](engine, problems(check)[i]).verdict is Verdict.FAIL:
            return i
    return None


@cache
def right_verdict(make, check, i):
    return CHECKS[check](make(), problems(check)[i]).verdict


# --- caught, and only because of the defect -------------------------------------------------------


@EVERY
def test_a_mutant_fails_and_the_same_engine_without_its_defect_does_not(name):
    wrong = MUTANTS[name]
    check = check_of(wrong)
    shown = [i for i, problem in enumerate(problems(check)) if wrong.shows.admits(problem)]
    caught = failing(wrong.make(), check, shown)
    assert caught is not None, f"{name} is not caught within {MANY} problems: {wrong.shows}"
    verdicts = {right_verdict(wrong.right, check, i) for i in shown if i <= caught}
    assert Verdict.FAIL not in verdicts


@SOME
@pytest.mark.parametrize(
    "numbers", [FEW, pytest.param(MANY_OUTSIDE, marks=pytest.mark.nightly)], ids=["few", "many"]
)
def test_a_mutant_is_right_where_its_mistake_does_not_show(name, numbers):
    wrong, (outside_at_most, nearly_at_most) = MUTANTS[name], numbers
    if "agreement" not in wrong.caught_by:
        return
    unconditional = replace(wrong.shows, when=None, words="")
    outside = [i for i, p in enumerate(problems("agreement")) if not wrong.shows.admits(p)]
    nearly = [i for i in outside if unconditional.admits(problems("agreement")[i])]
    chosen = outside[:outside_at_most] + nearly[:nearly_at_most]
    assert failing(wrong.make(), "agreement", chosen) is None


@pytest.mark.parametrize(
    ("many", "few"), [(40, 5), pytest.param(80, 12, marks=pytest.mark.nightly)]
)
def test_the_right_backprop_passes(many, few):
    verdicts = [check_agreement(Backprop(), p).verdict for p in problems("agreement")[:many]]
    assert Verdict.FAIL not in verdicts
    assert verdicts.count(Verdict.PASS) > len(verdicts) / 2
    small = [check_consistency(Backprop(), p).verdict for p in problems("consistency")[:few]]
    assert Verdict.FAIL not in small


def test_the_right_backprop_passes_every_exact_test():
    assert {outcome.verdict for outcome in exact_outcomes(Backprop())} == {"PASS"}


# --- which property sees it -----------------------------------------------------------------------


ONE_PROPERTY = [name for name, wrong in MUTANTS.items() if len(wrong.caught_by) == 1]


@pytest.mark.parametrize("most", [2, pytest.param(4, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("name", ONE_PROPERTY)
def test_a_mutant_is_not_seen_by_the_property_that_is_blind_to_it(name, most):
    wrong = MUTANTS[name]
    (blind,) = {"agreement", "consistency"} - set(wrong.caught_by)
    shown = [i for i, problem in enumerate(problems(blind)) if wrong.shows.admits(problem)][:most]
    assert shown
    assert failing(wrong.make(), blind, shown) is None


def test_loss_and_gradient_are_wrong_apart_and_together():
    assert {MUTANTS[name].caught_by[0] for name in ONE_PROPERTY} == {"agreement", "consistency"}


# --- the smallest network that shows it -----------------------------------------------------------


TINY = {
    1: [(1, 1)],
    2: [(2, 1), (1, 2), (1, 1, 1)],
    3: [(3, 1), (1, 3), (2, 1, 1), (1, 1, 2), (1, 1, 1, 1)],
}
NUMBERS = (
    {"batch": 1, "targets": "soft"},
    {"batch": 3, "targets": "binary", "weight_scale": 3.0},
    {"batch": 12, "targets": "soft"},
    {"batch": 2, "targets": "binary", "corner": "saturated"},
    {"batch": 3, "targets": "soft", "weight_scale": 300.0, "dtype": "float32", "seed": 1},
    {"batch": 3, "targets": "soft", "weight_scale": 300.0, "dtype": "float32", "seed": 2},
    {"batch": 2, "targets": "half", "corner": "duplicated_examples"},
    {"batch": 2, "targets": "soft", "weight_scale": 30.0, "seed": 5},
    {"batch": 4, "targets": "binary", "corner": "saturated", "seed": 5},
)
LOSSES = tuple(product(("cross_entropy", "quadratic"), ("mean", "sum")))


@cache
def tiny_problems(weights):
    """Problems of every network with so many weights."""
    return [
        Case(sizes=sizes, loss=loss, reduction=reduction, **numbers).problem()
        for numbers in NUMBERS
        for sizes in TINY[weights]
        for loss, reduction in LOSSES
    ]


def fewest_weights(wrong):
    """The fewest weights, up to three, of a network that shows a mutant; else infinity."""
    check, engine = CHECKS[check_of(wrong)], wrong.make()
    for weights in TINY:
        for problem in tiny_problems(weights):
            if wrong.shows.admits(problem) and check(engine, problem).verdict is Verdict.FAIL:
                return weights
    return np.inf


@SOME
def test_the_smallest_network_of_a_mutant_is_the_one_declared(name):
    wrong = MUTANTS[name]
    found = fewest_weights(wrong)
    assert found == wrong.smallest if wrong.smallest in TINY else found == np.inf


# --- what is said of them -------------------------------------------------------------------------


GROUPS = {
    "output_error": 15,
    "hidden_error": 15,
    "weight_gradient": 10,
    "bias_gradient": 10,
    "batches": 10,
    "numerics": 10,
    "structure": 10,
    "coordinates": 20,
    "leaks": 10,
    "losses": 8,
    "manners": 10,
}


@pytest.mark.parametrize(("group", "least"), GROUPS.items())
def test_every_place_has_its_mutants(group, least):
    assert sum(wrong.group == group for wrong in MUTANTS.values()) >= least


def test_no_mutant_is_out_of_place():
    assert {wrong.group for wrong in MUTANTS.values()} == set(GROUPS)


@EVERY
def test_a_mutant_says_in_a_sentence_and_in_an_equation_what_is_wrong(name):
    wrong = MUTANTS[name]
    assert wrong.mistake.endswith(".")
    assert "\n" not in wrong.mistake
    assert "; expected " in wrong.equation or ", expected " in wrong.equation
    assert wrong.equation.partition(":")[0]
    assert wrong.expected == "FAIL"


def test_no_two_mutants_say_the_same():
    assert len({wrong.mistake for wrong in MUTANTS.values()}) == len(MUTANTS)


@EVERY
def test_a_mutant_is_an_engine_of_its_name(name):
    engine = find(f"py:gradcheck.mutants:{name}")
    assert isinstance(engine, Engine)
    assert engine.info.name == name


@EVERY
def test_problems_for_a_mutant_can_be_drawn(name):
    shows = MUTANTS[name].shows
    drawn = (case.problem() for case in sample_cases(400, 1, **shows.limits()))
    assert any(map(shows.admits, drawn))


def test_where_a_mistake_shows_is_said_in_words():
    assert str(Shows()) == "everywhere"
    assert str(MUTANTS["mean_missing"].shows) == "reduction mean, batch 2 and more"
    assert str(MUTANTS["slope_clamped"].shows) == "depth 2 and more, a hidden |z| above 4.5"


def test_an_unknown_name_is_an_error_that_suggests_a_known_one():
    with pytest.raises(LookupError, match="did you mean 'slope_missing'"):
        find_mutant("slope_missin")
    with pytest.raises(EngineNotFoundError, match="has no 'zzz'"):
        find("py:gradcheck.mutants:zzz")


def test_two_mutants_of_one_name_are_refused(monkeypatch):
    monkeypatch.setattr(module, "MUTANTS", dict(MUTANTS))
    with pytest.raises(ValueError, match="two mutants are called 'wrong_sign'"):
        mutant("layer L")(type("WrongSign", (Backprop,), {"__module__": "a"}))


def test_a_predicate_without_words_is_refused():
    with pytest.raises(ValueError, match="words=''"):
        Shows(when=lambda problem: True)


@pytest.mark.parametrize(
    ("camel", "snake"),
    [("WrongSign", "wrong_sign"), ("Float32Errors", "float32_errors"), ("Lasso", "lasso")],
)
def test_names_of_classes_become_names_of_mutants(camel, snake):
    assert snake_case(camel) == snake
