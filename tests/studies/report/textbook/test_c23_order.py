"""C23: both orders agree, and the counts are those of the sweeps that were run."""

import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c23_order import CLAIM, accumulate_forward, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFINED, REFUTED, ruling
from reference_models.counting import Tally
from reference_models.paths import derivatives, sum_over_paths

DIAMOND = {"w": {"p": 2, "q": 3}, "p": {"C": 5}, "q": {"C": 7}, "C": {}}


def test_the_claim_is_refined(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == CLAIM.expected == REFINED
    same, fewer, growth, turned = evidence.findings
    assert same.results["equal"] == same.results["n"] > 600
    assert "8-8-1 234 and 90" in fewer.results["counted"]
    assert (growth.results["forward"], growth.results["reverse"]) == (7200, 352)
    assert (turned.results["forward"], turned.results["reverse"]) == (168, 960)
    assert (turned.results["mirrored_forward"], turned.results["mirrored_reverse"]) == (960, 168)


def test_a_forward_sweep_adds_over_paths():
    tally = Tally()
    assert accumulate_forward(DIAMOND, "w", tally=tally) == {"w": 1, "p": 2, "q": 3, "C": 31}
    assert tally.multiplications == 4


def one_path(graph, source, *, tally):
    """The last path alone."""
    ds, v = {source: 1}, source
    while graph[v]:
        s, d = list(graph[v].items())[-1]
        ds[s], v = tally.times(ds[v], d), s
    return ds


def forgetful(graph, end="C", *, tally):
    """The right derivatives, every one by all its paths."""
    return {v: 1 if v == end else sum_over_paths(graph, v, end, tally=tally) for v in graph}


def twice(graph, end="C", *, tally):
    derivatives(graph, end, tally=tally)
    return derivatives(graph, end, tally=tally)


def free(graph, end="C", *, tally):
    """A sweep that costs nothing."""
    return derivatives(graph, end)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ({"forward": one_path}, [False, True, False, False]),
        ({"reverse": forgetful}, [True, False, False, False]),
        ({"reverse": twice}, [True, False, False, True]),
        ({"reverse": free}, [True, False, False, False]),
    ],
)
def test_what_each_wrong_sweep_breaks(broken, expected):
    evidence = measure(Settings(), **broken)
    assert ruling(evidence) == REFUTED
    assert [finding.holds for finding in evidence.findings] == expected


def test_it_is_confirmed_if_no_order_beats_it_with_many_outputs():
    """Forward sweeps that visit every edge twelve times."""

    def slow(graph, source, *, tally):
        if source[0] == "x":
            for _ in range(11):
                accumulate_forward(graph, source, tally=tally)
        return accumulate_forward(graph, source, tally=tally)

    assert ruling(measure(Settings(), forward=slow)) == CONFIRMED
