"""Naming wrong weights of a large black box: what is counted, and that a poor search shows."""

from dataclasses import replace

import numpy as np
import pytest

from gradcheck.checks.gradient import check_gradient
from gradcheck.studies.report.claims import judge
from gradcheck.studies.report.how_sure import grounds
from gradcheck.studies.report.location import BlackBox, hunt, measure
from gradcheck.studies.report.settings import Settings

SMALL = Settings(
    location_size=300, location_seeds=1, location_right=1, location_growth=(100, 200, 400)
)


def claim(section):
    (judged,) = judge({"location": section.to_json()})
    return judged["holds"]


def finds_nothing(f, gradient, x, **options):
    """A search that looks elsewhere."""
    return check_gradient(lambda x: x @ x / 2, lambda x: x, x, **options)


def accuses_somebody(f, gradient, x, **options):
    """A search that is shown a wrong gradient whatever is handed in."""
    return check_gradient(f, lambda x: gradient(x) * (np.arange(x.size) != 7), x, **options)


def wastes_passes(f, gradient, x, **options):
    for _ in range(300):
        f(x)
    return check_gradient(f, gradient, x, **options)


def test_the_gradient_of_the_black_box_is_that_of_its_loss():
    box = BlackBox(60, 3)
    assert check_gradient(box.loss, box.gradient, box.x).verdict.value == "PASS"


@pytest.mark.parametrize("N", [100, 1000, 5000])
def test_a_black_box_has_as_many_weights_as_asked_for_or_a_few_more(N):
    assert N <= BlackBox(N, 0).x.size <= N + N**0.5 + 1


def test_planted_are_large_coordinates_each_once():
    box = BlackBox(300, 0)
    size = np.abs(box.gradient(box.x))
    drawn = box.drawn(20, 1)
    assert len(set(drawn.tolist())) == 20
    assert (size[drawn] >= np.median(size)).all()


def test_what_was_planted_is_named_and_the_passes_are_those_of_the_loss():
    calls = []

    def watched(f, gradient, x, **options):
        return check_gradient(lambda x: (calls.append(1), f(x))[1], gradient, x, **options)

    named, failed, passes = hunt(300, 1, 1e-2, 0, watched)
    assert (named, failed, passes) == (True, True, len(calls))


def test_the_claim_holds_and_is_told():
    section = measure(SMALL)
    assert claim(section)
    (told,) = grounds({"sections": {"location": section.to_json()}, "claims": []})
    assert "is named in 3 of 3 networks" in told
    assert "none was accused" in told


@pytest.mark.parametrize("check", [finds_nothing, accuses_somebody, wastes_passes])
def test_the_claim_falls_with_a_search(check):
    assert not claim(measure(SMALL, check))


def test_nothing_sought_is_no_success():
    section = measure(SMALL)
    nothing = replace(section, results={**section.results, "rows": []})
    assert not claim(nothing)
