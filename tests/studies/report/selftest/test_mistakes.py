"""Whole wrong backprops before checkers whose answers are known."""

from stand_ins import BLIND, BROKEN, EAGER, PEERS, SHRUGS, few_small_networks

from gradcheck.mutants.registry import MUTANTS
from gradcheck.studies.report.selftest import mistakes
from gradcheck.studies.report.selftest.checkers import OWN, Answer, checkers, missing
from gradcheck.studies.report.selftest.extent import Extent
from gradcheck.studies.report.selftest.mistakes import Question, ask, measure, networks, rows

SOME = ("wrong_sign", "slope_missing", "other_loss_in_both", "loss_not_averaged")
EXTENT = Extent(shown=1, right=3, jobs=1)


def test_who_says_one_thing_only_catches_all_or_none():
    found = measure([BLIND, EAGER, BROKEN, SHRUGS], EXTENT, SOME)["checkers"]
    for scale in mistakes.SCALES:
        assert found["blind"][scale] == {"caught": [], "accused": 0, "undecided": 0}
        for name in ("eager", "broken"):
            assert found[name][scale] == {"caught": [*SOME], "accused": 3, "undecided": 0}
        assert found["shrugs"][scale] == {"caught": [], "accused": 0, "undecided": 3}


def test_our_own_checks_do_not_mind_the_scale(monkeypatch):
    monkeypatch.setattr(mistakes, "mild", few_small_networks)
    found = measure(OWN, EXTENT, SOME)["checkers"]
    for scale in mistakes.SCALES:
        assert found["agreement"][scale]["caught"] == [*SOME[:3]]
        assert found["every coordinate"][scale]["caught"] == [*SOME[:2], SOME[3]]
        assert found["directional"][scale]["caught"] == [*SOME[:2], SOME[3]]
        assert [found[one.name][scale]["accused"] for one in OWN] == [0, 0, 0]


def test_a_mistake_is_put_to_networks_on_which_it_can_show_mild_ones_first():
    for name, mutant in MUTANTS.items():
        chosen = list(networks(Question(BLIND, name, 0, most=2)))
        assert len(chosen) == 2, name
        assert all(mutant.shows.admits(problem) for problem in chosen)
    (mild,) = networks(Question(BLIND, "wrong_sign", 0))
    assert mild in mistakes.mild(0)
    (saturated,) = networks(Question(BLIND, "saturated_slope_zero", 0))
    assert saturated in mistakes.any_kind(0)


def test_the_first_that_is_called_wrong_is_enough():
    assert ask(Question(EAGER, "wrong_sign", 0, most=3))["1"] == [Answer.WRONG.value]
    assert ask(Question(BLIND, "wrong_sign", 0, most=3))["1"] == [Answer.PASSED.value] * 3


def test_a_row_for_each_mistake():
    found = list(rows(measure([EAGER, BLIND], EXTENT, SOME)))
    assert [row["mutant"] for row in found] == [*SOME]
    assert found[0]["eager, loss x 1e-6"]
    assert not found[0]["blind, loss x 1"]


def test_peers_that_are_not_installed_are_not_asked_but_named():
    assert [c.name for c in checkers(PEERS)][3:] == ["blind peer", "eager peer"]
    assert missing(PEERS) == {"absent peer": "pip install 'gradcheck[peers]'"}


def test_a_peer_is_asked_by_its_own_words():
    found = measure(checkers(PEERS)[3:], EXTENT, SOME[:1])["checkers"]
    assert found["blind peer"]["1"]["caught"] == []
    assert found["eager peer"]["1"] == {"caught": ["wrong_sign"], "accused": 3, "undecided": 0}
