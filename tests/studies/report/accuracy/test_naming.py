"""Classes are counted as named only where they are; a bug that is called a class is listed."""

from dataclasses import replace

import pytest

from gradcheck.checks.agreement import check_agreement
from gradcheck.engines.registry import find
from gradcheck.engines.variants import WIDER
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problems.case import parse
from gradcheck.studies.report.accuracy import naming
from gradcheck.studies.report.accuracy.mistakes import MISTAKES
from gradcheck.studies.report.accuracy.naming import Named
from gradcheck.studies.report.settings import Settings

SOFT = "gc1:4-5-5-3:{loss}:mean:m6:float64:w1:generic:soft:s1"


def test_a_dozen_mistakes_and_more_are_planted():
    assert len(MISTAKES) >= 12


@pytest.mark.parametrize("loss", ["cross_entropy", "quadratic"])
@pytest.mark.parametrize("name", MISTAKES)
def test_every_mistake_fails_and_is_called_no_class(name, loss):
    one = naming.name_class("", f"{name} {SOFT.format(loss=loss)}", find("reference"))
    assert (one.failed, one.label) == (True, "")


@pytest.mark.parametrize("draws", [6, pytest.param(12, marks=pytest.mark.nightly)])
@pytest.mark.parametrize("name", WIDER)
def test_an_engine_of_a_wider_class_is_named_where_it_shows(name, draws):
    settings = replace(Settings(), ladder_draws=draws, mistake_draws=0)
    found = [
        naming.name_class("", job, find("reference"))
        for job in naming.jobs(settings)
        if job.startswith(f"{name} ")
    ]
    shown = [one for one in found if one.distinguishable]
    assert shown
    assert {one.label for one in shown} == {naming.own_class(name)}


def test_an_engine_is_asked_without_the_class_that_it_declares():
    hidden = naming.Undeclared(WIDER["bfloat16"]())
    assert (hidden.info.arithmetic, hidden.info.name) == ("", "bfloat16")
    problem = parse(SOFT.format(loss="quadratic")).problem().astype("float32")
    held = check_agreement(WIDER["bfloat16"](), problem)
    assert (held.verdict, held.reason) == (Verdict.INCONCLUSIVE, Reason.VACUOUS)
    assert check_agreement(hidden, problem).verdict is Verdict.FAIL


def named(engine, label, *, failed=True, distinguishable=True):
    return Named(engine, "gc1:x", failed, distinguishable, label)


def test_wrong_names_are_counted_and_listed():
    told = naming.numbers(
        [
            named("tanh", "absolute_sigmoid"),
            named("tanh", "p_minus_y", distinguishable=False),
            named("tanh", "", failed=False, distinguishable=False),
            named("tf32", "bfloat16"),
            named("wrong_sign", ""),
            named("mean_twice", "tf32"),
            named("mean_twice", "", failed=False),
        ]
    )
    assert (told["distinguishable"], told["named"]) == (2, 1)
    rows = {row["engine"]: row for row in told["classes"]}
    assert (rows["tanh"]["draws"], rows["tanh"]["failed"], rows["tanh"]["named"]) == (3, 2, 1)
    assert rows["tf32"]["wrong"] == [{"label": "bfloat16", "token": "gc1:x"}]
    bugs = told["bugs"]
    assert (bugs["draws"], bugs["failed"], bugs["called_a_class"]) == (3, 2, 1)
    assert bugs["which"] == [{"mistake": "mean_twice", "label": "tf32", "token": "gc1:x"}]
