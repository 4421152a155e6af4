"""Real engines with one mistake each: one heading, the true cause, a network that shows it."""

import re

import numpy as np
import pytest
from in_process import without_curves, without_processes
from some import some

from gradcheck.mutants.registry import MUTANTS
from gradcheck.problems.case import parse
from gradcheck.verification import shrink
from gradcheck.verification.outputs import summary_of
from gradcheck.verification.plan import Settings
from gradcheck.verification.run import verify
from gradcheck.verification.size import GROSS, size_at
from gradcheck.verification.story import leads, title

SMALL = (("max_parameters", 30), ("max_depth", 3), ("max_batch", 4), ("corners", ("generic",)))


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    without_processes(monkeypatch)
    without_curves(monkeypatch)
    monkeypatch.setattr(shrink, "CHECKS", 30)
    monkeypatch.setattr(shrink, "TINY_CHECKS", 20)


def verified(engine, examples=12):
    settings = Settings(engine, examples, limits=SMALL)
    return summary_of(verify(settings).records)


PLANTED = {
    "divided_by_features": (
        "delta_L is divided by n_0, the number of features",
        lambda c: c.sizes[0] > 1,
    ),
    "mean_lost": ("delta_L lacks the factor 1/m", lambda c: c.batch > 1),
    "transposed_where_square": (
        "dC/dW_l is a_{l-1}^T delta_l, its own transpose",
        lambda c: any(n == m > 1 for n, m in c.architecture.shapes),
    ),
}
ONE, *MORE = PLANTED


@pytest.mark.parametrize("name", [ONE, *(pytest.param(n, marks=pytest.mark.nightly) for n in MORE)])
def test_one_mistake_has_one_heading_and_its_cause_shows_on_the_smallest_network(name):
    what, shows = PLANTED[name]
    [failure] = verified(f"py:one_mistake:{name}", 8).failures
    assert failure.signature == what
    assert title(failure).startswith(f"{what}: {failure.count} problems (agreement ")
    case = parse(failure.smallest.token)
    assert shows(case)
    assert case.architecture.n_weights <= 6


@pytest.mark.nightly
def test_an_epsilon_is_shown_where_it_is_an_error_of_its_whole_size():
    found = verified("py:one_mistake:epsilon_in_the_denominators", 24)
    [failure] = found.failures
    assert "e = 1e-07" in failure.signature
    worst, smallest = (size_at(w.finding.worst) for w in (failure.worst, failure.smallest))
    assert smallest.is_kept_from(worst)
    assert min(worst.error, smallest.error) > GROSS
    [line] = leads(found)
    assert line.label == "fix first"


HOLE = re.compile(r",\s*(,|or\b|and\b|$|:)|\(\s*\)|\[\s*,|\bat\s*[,:]|\s{2}|\s[,;]|- ?\?")
"""What is left where a number was taken out of a sentence."""


@pytest.mark.parametrize(
    "text", ["exactly at , or", "division by m - ?", "clipped to [ , 1]", "a  b"]
)
def test_a_hole_is_seen(text):
    assert HOLE.search(text)


@pytest.mark.nightly
@pytest.mark.parametrize("name", MUTANTS)
def test_titles_of_mutants_have_no_holes_and_something_leads(name):
    found = verified(f"py:gradcheck.mutants:{name}")
    for failure in some(found.failures):
        what, _, counts = title(failure).rpartition(": ")
        assert not HOLE.search(what)
        assert re.fullmatch(r"[0-9,]+ problems? \(.+\)", counts)
    assert len(leads(found)) <= 1


def test_the_planted_mistakes_are_what_they_say():
    import one_mistake  # noqa: PLC0415 - beside the tests

    problem = parse("gc1:3-3-1:cross_entropy:mean:m2:float64:w1:generic:soft:s0").problem()
    right = one_mistake.right(problem)[1]
    for name, factor in (("divided_by_features", 1 / 3), ("mean_lost", 2.0)):
        wrong = getattr(one_mistake, name)(problem)[1]
        for (W, b), (V, c) in zip(wrong, right, strict=True):
            np.testing.assert_allclose(W, factor * V)
            np.testing.assert_allclose(b, factor * c)
