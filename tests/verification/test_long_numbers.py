"""Rounding what is given to float32 is wrong, though the numbers of cases are those of float32."""

from dataclasses import replace

import numpy as np
import pytest
import textbook_engines

from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.engines.base import engine_from_callable
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problems.case import parse
from gradcheck.verification.long_numbers import ARRAYS, agreement_at_long_numbers, lengthened

TOKEN = "gc1:3-4-2:cross_entropy:mean:m3:float64:w1:{}:soft:s0"


def problem(corner="generic", **how):
    return replace(parse(TOKEN.format(corner)), **how).problem()


def in_float32(arrays):
    if isinstance(arrays, tuple):
        return tuple(map(in_float32, arrays))
    return arrays.astype(np.float32).astype(arrays.dtype)


def rounding(*symbols):
    """The textbook, with some arrays rounded to float32 first."""

    def value_and_grad(problem):
        names = [ARRAYS[symbol] for symbol in symbols]
        rounded = {name: in_float32(getattr(problem, name)) for name in names}
        return textbook_engines.textbook(replace(problem, **rounded))

    return engine_from_callable(value_and_grad, "rounding")


def asked_again(engine, where):
    return agreement_at_long_numbers(engine, where, explained_agreement(engine, where))


@pytest.mark.parametrize("symbol", ARRAYS)
def test_an_array_that_is_rounded_to_float32_is_told(symbol):
    wrong = rounding(symbol)
    assert explained_agreement(wrong, problem()).verdict is Verdict.PASS
    outcome = asked_again(wrong, problem())
    assert outcome.verdict is Verdict.FAIL
    assert outcome.diagnosis.startswith(f"all layers: {symbol} is rounded to float32; ")
    assert outcome.suspects[0].key == f"{symbol} in float32"
    assert outcome.notes[-1].startswith("shown at numbers that float32 does not hold")


def test_of_several_arrays_none_is_named():
    outcome = asked_again(rounding("X", "b_l"), problem())
    assert outcome.verdict is Verdict.FAIL
    assert not any("is rounded to float32" in suspect.says for suspect in outcome.suspects)


def test_where_several_arrays_would_give_the_numbers_none_is_named(monkeypatch):
    monkeypatch.setattr("gradcheck.verification.long_numbers.is_within", lambda *_: True)
    outcome = asked_again(rounding("X"), problem())
    assert outcome.verdict is Verdict.FAIL
    assert not any("is rounded to float32" in suspect.says for suspect in outcome.suspects)


def test_another_mistake_that_only_longer_numbers_show_is_named():
    def half_is_left_out(problem):
        where = problem.targets != 0.5
        return textbook_engines.textbook(replace(problem, targets=np.where(where, 0, 0.5)))

    wrong = engine_from_callable(half_is_left_out, "wrong")
    outcome = asked_again(wrong, problem(targets="half"))
    assert outcome.verdict is Verdict.FAIL
    assert "float32" not in outcome.diagnosis
    assert outcome.diagnosis.startswith("the loss is not the one that is meant")


def test_weights_that_are_kept_from_an_earlier_call_are_not_taken_for_rounded_ones():
    kept = []

    def keeps_the_first_weights(problem):
        kept.append((problem.weights, problem.biases))
        weights, biases = kept[0]
        return textbook_engines.textbook(replace(problem, weights=weights, biases=biases))

    engine = engine_from_callable(keeps_the_first_weights, "keeps")
    assert asked_again(engine, problem()).verdict is Verdict.PASS


@pytest.mark.parametrize("corner", ["generic", "zero_feature", "saturated", "duplicated_examples"])
def test_a_right_engine_is_as_right_as_before(corner):
    before = explained_agreement(rounding(), problem(corner))
    after = asked_again(rounding(), problem(corner))
    assert after.verdict is before.verdict
    assert after.resolution == before.resolution


def test_numbers_that_are_asked_have_more_bits_than_float32_and_nearly_the_same_value():
    where = problem(targets="binary", corner="zero_feature")
    longer = lengthened(where)
    short = [where.inputs, *where.weights, *where.biases]
    long = [longer.inputs, *longer.weights, *longer.biases]
    for old, new in zip(short, long, strict=True):
        assert np.all(np.abs(new - old) <= 2.0**-24 * np.abs(old))
        changed = new[old != 0]
        assert np.mean(changed != in_float32(changed)) > 0.9
    assert np.array_equal(longer.targets, where.targets)
    assert not longer.inputs[:, ~where.inputs.any(axis=0)].any()


@pytest.mark.parametrize("how", [{"dtype": "float32"}, {"sizes": (3, 20, 1)}])
def test_of_other_formats_and_large_networks_nothing_more_is_asked(how):
    before = explained_agreement(rounding("X"), problem(**how))
    assert agreement_at_long_numbers(rounding("X"), problem(**how), before) is before


def without_small_errors(problem):
    """The textbook, whose gradient is left 0 where p - y is nearly so: it rounds nothing."""
    value, layers = textbook_engines.textbook(problem)
    small = all(np.all(np.abs(b) <= 1e-6) for _, b in layers)
    return value, [(W * (not small), b * (not small)) for W, b in layers]


@pytest.mark.parametrize("corner", ["zero_weights", "zero_preactivations"])
def test_of_a_gradient_that_is_left_0_no_array_is_said_to_be_rounded(corner):
    """Targets of 1/2 that are rounded give p - y = 0, too, as many other mistakes do."""
    token = f"gc1:1-1:cross_entropy:mean:m1:float64:w1:{corner}:half:s0"
    engine = engine_from_callable(without_small_errors, "cut")
    outcome = asked_again(engine, parse(token).problem())
    assert outcome.verdict is Verdict.FAIL
    assert "rounded to float32" not in outcome.diagnosis
