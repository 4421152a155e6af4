"""One property on one problem: every fault of an engine has its verdict and its reason."""

import re
from types import SimpleNamespace

import faulty_engines
import numpy as np
import pytest

from gradcheck.engines.registry import find
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Kind, Verdict
from gradcheck.problems.case import parse
from gradcheck.pytree import structure_of
from gradcheck.verification.arithmetic import flushes_to_zero
from gradcheck.verification.guarded import Guarded, plain_info
from gradcheck.verification.property import _budget, applicable, examine, worst_of
from gradcheck.verification.worker import Task, work

CASE = parse("gc1:3-4-2:cross_entropy:mean:m3:float64:w1:generic:soft:s3")
LATTICE = "gc1:3-4-2:cross_entropy:mean:m4:float64:w1:zero_preactivations:binary:s3"


def engine_called(name):
    return Guarded(find(f"py:faulty_engines:{name}"))


def found(name, property_="agreement"):
    return examine(engine_called(name), property_, CASE.problem(), CASE)


@pytest.mark.parametrize("property_", ["agreement", "consistency"])
@pytest.mark.parametrize(
    ("name", "reason", "told"),
    [
        ("doubled", "mismatch", "coordinates are wrong"),
        ("raises", "raised", r"OSError: no disk \(faulty_engines.py:[0-9]+\)"),
        ("leaves", "raised", "SystemExit: 0"),
        ("exhausts_memory", "raised", "MemoryError: Unable to allocate"),
        ("not_a_number", "nonfinite", "not finite"),
        ("infinite", "nonfinite", "not finite"),
        ("wrong_shape", "shape", "has shape"),
        ("half_precision", "dtype", "float16"),
        ("too_few_layers", "shape", "1 layers; it must have 2"),
        ("no_pair", "shape", "must be|must return"),
        ("changes_its_inputs", "input_changed", "W1"),
        ("views_of_its_inputs", "input_changed|aliased", "b1|b2"),
        ("ViewsOfItsLastAnswer", "aliased", "overwrites the answer"),
        ("Drifting", "nondeterministic", "two calls of .* differ"),
    ],
)
def test_a_fault_fails_with_its_reason(name, reason, told, property_):
    finding = found(name, property_)
    assert finding["verdict"] == "FAIL"
    assert finding["reason"] in reason.split("|")
    assert re.search(told, finding["detail"])


@pytest.mark.parametrize("property_", ["agreement", "consistency"])
def test_answers_that_differ_in_their_last_bits_are_noted_and_pass(property_):
    finding = found("LastBits", property_)
    assert finding["verdict"] == "PASS"
    assert "differ within the allowance" in finding["notes"][0]


def test_a_right_engine_passes_with_its_worst_coordinate():
    finding = found("right")
    assert (finding["verdict"], finding["reason"], finding["wrong"]) == ("PASS", "", 0)
    assert 0 <= finding["worst"]["times"] <= 1
    assert finding["resolution"] < 1e-10


@pytest.mark.parametrize(
    ("engine", "allowance", "name", "times"),
    [
        ([1.0, 1.0], [0.0, 0.0], "x[0]", 0.0),  # 0 / 0 is nothing
        ([1.0, 1.5], [0.0, 1.0], "x[1]", 0.5),
        ([1.5, 0.25], [1.0, 1.0], "x[1]", 0.75),
        ([0.0, 1.0], [2.0, 0.0], "x[0]", 0.5),  # 1 is not 0
        ([1.5, 1.5], [1.0, 0.0], "x[1]", np.inf),
        ([np.nan, 1.5], [1.0, 1.0], "x[0]", np.nan),
    ],
)
def test_the_worst_coordinate_deviates_by_the_most_of_its_allowance(engine, allowance, name, times):
    A, kind = np.array(allowance), np.full(2, Kind.INFORMATIVE, np.uint8)
    c = Comparison(structure_of(A), np.array(engine), np.ones(2), A, A, kind, 1e-6)
    worst = worst_of(Outcome(Verdict.PASS, None, "", comparison=c))
    assert worst["name"] == name
    assert worst["times"] == pytest.approx(times, nan_ok=True)


@pytest.mark.parametrize(
    ("passes", "budget"),
    [
        (np.inf, {}),
        (20 * 26, {}),  # of 26 parameters
        (20 * 26 - 0.5, {"budget": 20 * 26 - 1}),
        (1.5, {"budget": 1}),
        (0.5, {"budget": 1}),
    ],
)
def test_the_passes_of_a_slow_engine_are_bounded(passes, budget):
    shares = []
    engine = SimpleNamespace(calls_within=lambda share: shares.append(share) or passes)
    assert _budget(engine, CASE.problem()) == budget
    assert shares == [0.1]


def test_a_refusal_is_neither():
    finding = found("refuses")
    assert (finding["verdict"], finding["detail"]) == ("UNSUPPORTED", "only on Sundays")


@pytest.mark.parametrize(("name", "told"), [("right", "PASS: "), ("refuses", "UNSUPPORTED: only")])
def test_an_outcome_is_told_at_length_where_that_is_asked_for(name, told):
    assert "told" not in found(name)
    at_length = examine(engine_called(name), "agreement", CASE.problem(), CASE, at_length=True)
    assert at_length.pop("told").startswith(told)
    assert at_length == found(name)


def test_agreement_alone_is_judged_where_there_is_no_loss():
    agreement, consistency = (found("without_a_loss", p) for p in ("agreement", "consistency"))
    assert agreement["verdict"] == "PASS"
    assert agreement["notes"] == ["the engine returns no loss"]
    assert consistency["verdict"] == "UNSUPPORTED"
    assert consistency["detail"] == "the engine returns no loss"
    assert found("wrong_without_a_loss")["verdict"] == "FAIL"


def test_a_mistake_of_the_checker_accuses_nobody(monkeypatch):
    def broken(*_, **__):
        raise KeyError("oh")

    monkeypatch.setattr("gradcheck.verification.property.explained_agreement", broken)
    finding = found("right")
    assert (finding["verdict"], finding["reason"]) == ("INCONCLUSIVE", "internal")
    assert "its own mistake: KeyError" in finding["detail"]


def test_an_exact_test_is_put_to_the_cases_that_fit_it():
    assert applicable(parse(LATTICE).problem(), parse(LATTICE), "")[2:] == [
        "exact lattice",
        "exact duplicated batch",
    ]
    zeros = parse("gc1:1-8:cross_entropy:mean:m1:float32:w1:zero_weights:binary:s0")
    assert "exact lattice" in applicable(zeros.problem(), zeros, "")
    assert applicable(CASE.problem(), None, "") == ["agreement", "consistency"]
    task = Task(LATTICE, "exact lattice")
    assert work(engine_called("right"), task).finding["verdict"] == "PASS"
    assert work(engine_called("doubled"), task).finding["verdict"] == "FAIL"


def test_what_an_engine_says_of_itself_is_copied():
    info = faulty_engines.Drifting.info
    assert plain_info(info) == info


def test_this_process_computes_with_subnormal_numbers():
    assert not flushes_to_zero()
