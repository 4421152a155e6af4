"""The selftest catches what there is to catch, and notices when the checker has lost its teeth."""

from dataclasses import replace

import pytest

from gradcheck import cli
from gradcheck import selftest as module
from gradcheck.mutants.registry import find_mutant
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problems.case import sample_cases
from gradcheck.selftest import CIRCUIT, SMALL, Alarms, Caught, Selftest, alarms, caught_gate, told

SOME = ("wrong_sign", "slope_missing", "bias_keeps_dimensions", "loss_not_averaged")


def toothless(engine, problem, **_options):
    return Outcome(Verdict.PASS, None, "everything is right")


def overeager(engine, problem, **_options):
    return Outcome(Verdict.FAIL, Reason.MISMATCH, "everything is wrong")


@pytest.fixture
def few(monkeypatch):
    """A selftest of some mutants and few clean problems, in this process."""
    whole = module.selftest

    def small(**_options):
        return whole(clean=17, jobs=1, names=SOME)

    monkeypatch.setattr(module, "selftest", small)


def test_all_is_well(few, capsys):
    assert cli.main(["selftest"]) == 0
    printed = capsys.readouterr().out
    assert "kill rate: 4 of 4 mutants caught within 200 problems, 100.0 %" in printed
    assert "false alarms: 0 on " in printed
    assert "the checker is sound" in printed


def test_a_checker_without_teeth_is_not_sound(few, capsys, monkeypatch):
    both = dict.fromkeys(module.PROPERTIES, toothless)
    monkeypatch.setattr(module.caught, "__defaults__", (both,))
    monkeypatch.setattr(module, "_first_exact", lambda engine: None)
    assert cli.main(["selftest"]) == 1
    printed = capsys.readouterr().out
    assert "kill rate: 0 of 4" in printed
    assert "escaped: wrong_sign" in printed
    assert "NOT SOUND" in printed


def test_one_toothless_property_lets_through_what_only_it_sees():
    blind = dict(module.PROPERTIES) | {"consistency": toothless}
    assert module.caught("loss_not_averaged", blind).escaped
    assert not module.caught("wrong_sign", blind).escaped


def test_a_checker_that_accuses_everybody_is_not_sound(few, capsys, monkeypatch):
    monkeypatch.setattr(module.alarms, "__defaults__", (overeager,))
    assert cli.main(["selftest"]) == 1
    printed = capsys.readouterr().out
    assert "accused: reference on gc1:" in printed
    assert "everything is wrong" in printed


def test_right_engines_are_not_accused():
    found = alarms(list(sample_cases(3, 5, **SMALL)))
    assert found.problems >= 3 * (len(module.RIGHT) - 2)
    assert found.false == ()


def test_the_matrix_says_after_how_many_problems_each_property_has_caught_a_mutant():
    found = module.caught("wrong_sign")
    assert found.group == find_mutant("wrong_sign").group
    assert set(found.after) == {"agreement", "consistency", "exact"}
    assert all(n is not None and n <= 5 for n in found.after.values())
    assert caught_gate("multiply_x_own_input").after == {"consistency": 1}


def test_the_matrix_counts_by_place():
    mutants = [
        Caught("a", "leaks", {"agreement": 1, "consistency": None, "exact": None}),
        Caught("b", "leaks", {"agreement": None, "consistency": None, "exact": None}),
        Caught("c", CIRCUIT, {"consistency": 1}),
    ]
    result = Selftest(mutants, Alarms(10, 2, ()), 1.0)
    lines = [line.split() for line in told(result).splitlines()]
    assert ["leaks", "2", "1", "0", "0", "1"] in lines
    assert ["circuit", "1", "-", "1", "-", "0"] in lines
    assert result.escaped == ["b"]
    assert not result.is_sound


def test_nothing_asked_is_not_sound():
    assert not Selftest([], Alarms(5, 0, ())).is_sound
    right = Selftest([Caught("a", "leaks", {"agreement": 1})], Alarms(5, 0, ()))
    assert right.is_sound
    assert not replace(right, alarms=Alarms(0, 0, ())).is_sound
    assert "nothing was asked" in told(Selftest())


@pytest.mark.nightly
def test_the_whole_selftest_is_sound():
    result = module.selftest()
    assert result.is_sound, told(result)
    assert result.alarms.problems >= 20_000
