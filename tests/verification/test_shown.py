"""What verify says of an engine's arithmetic follows from its findings and its response curves."""

from functools import cache

import numpy as np
import pytest
from in_process import without_processes
from planted import planted, sigmoid

from gradcheck.engines.registry import find
from gradcheck.problems.case import parse
from gradcheck.response import measure
from gradcheck.response.figure import figures
from gradcheck.verification.guarded import Guarded
from gradcheck.verification.plan import Settings
from gradcheck.verification.property import examine
from gradcheck.verification.responses import is_worth_measuring, responses_of
from gradcheck.verification.run import verify
from gradcheck.verification.shown import Shown, shown
from gradcheck.verification.summary import summarise
from gradcheck.verification.text import render

SMALL = (("max_parameters", 12), ("max_depth", 2), ("max_batch", 4))


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    without_processes(monkeypatch)


def failed(reason):
    return {"verdict": "FAIL", "reason": reason, "model": ""}


@cache
def verified(name, examples=12, require=""):
    """The exit code of a run and what it showed."""
    spec = f"py:textbook_engines:{name}"
    settings = Settings(spec, examples, dtype="float64", require=require, limits=SMALL)
    done = verify(settings)
    return done.judgement.exit_code, summarise(done.records)


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("textbook", "p_minus_y"),
        ("textbook_log", "p_minus_y"),
        ("any_order", "p_minus_y"),
        pytest.param("mean_of_elements", "p_minus_y", marks=pytest.mark.nightly),
        ("tanh", "absolute_sigmoid"),
    ],
)
def test_a_right_engine_that_declares_nothing_is_verified_with_its_model(name, model):
    code, summary = verified(name)
    assert code == 0
    assert summary.shown.model == model
    assert f"rounding model: {model} (" in render(summary)


def test_it_is_said_where_no_digit_is_left():
    _, summary = verified("textbook")
    told = " ".join(summary.shown.notes)
    assert "a (1 - a): no digit left where z_l > 36.45 in float64" in told
    assert "p - y (y = 1): no digit left where z_L > 36.45 in float64" in told
    assert not summary.shown.intervals


def test_it_is_said_where_the_loss_is_not_finite():
    code, summary = verified("textbook_log")
    assert code == 0
    assert any("the loss is not finite beyond |z_L| = 36.7" in note for note in summary.shown.notes)


def test_it_is_said_that_answers_differ_in_their_last_bits_and_that_the_loss_is_another_one():
    assert any(
        "differ in their last bits" in told for told in verified("any_order")[1].shown.lines()
    )
    assert not verified("textbook")[1].shown.remarks
    code, summary = verified("less_a_constant")
    assert code == 0
    assert any("a constant (the gradient is the same)" in told for told in summary.shown.lines())


def test_where_a_wrong_engine_leaves_its_bound_is_in_the_log():
    told = responses_of(Guarded(find("py:textbook_engines:cut_at_15")))
    assert any("is 0 where z_L < -15" in sentence for sentence in told["sentences"])
    assert is_worth_measuring([{"kind": "case", "findings": [failed("mismatch")]}])
    assert not is_worth_measuring([{"kind": "case", "findings": [failed("raised")]}])


def test_the_line_can_be_moved():
    case = parse("gc1:1-1:cross_entropy:mean:m1:float64:w30:generic:zeros:s12")  # z = -40
    for require, verdict in (("strict", "FAIL"), ("flushed", "FAIL"), ("standard", "INCONCLUSIVE")):
        engine = Guarded(find("py:textbook_engines:tanh"), require)
        assert examine(engine, "agreement", case.problem(), case)["verdict"] == verdict


def test_the_line_is_moved_by_the_settings():
    assert verified("textbook", examples=4, require="strict")[0] == 1


def test_an_engine_that_needs_no_wider_model_is_not_measured():
    done = verify(Settings("reference", examples=8, limits=SMALL))
    assert "response" not in {record["kind"] for record in done.records}
    sentence = summarise(done.records).shown.model_sentence()
    assert sentence.endswith("(nothing is subtracted that may be nearly equal), as declared")


def test_the_model_is_the_widest_that_was_needed():
    models = {"cancellation_free": 7, "absolute_sigmoid": 1, "p_minus_y": 2}
    assert Shown(models=models, problems=10).model == "absolute_sigmoid"
    assert "needed on 1 of 10 problems" in Shown(models=models, problems=10).model_sentence()
    told = Shown(models=models, problems=10, has_failed=True).model_sentence()
    assert "needed on 1 of the 10 problems that agree" in told
    assert "on any of 3 problems" in Shown(models={"cancellation_free": 3}, problems=3).lines()[0]
    assert Shown().lines() == ()


def test_the_figures_of_the_curves_are_drawn_for_the_page():
    responses = measure(planted(sig=cut_off), dtypes=("float64",))
    found = shown([], "", {"kind": "response", **responses.to_json()})
    assert found.figures == figures(responses) != ()
    assert shown([], "", {}).figures == ()


def cut_off(z):
    return np.where(np.abs(z) > 15, z > 0, sigmoid(z)).astype(z.dtype)
