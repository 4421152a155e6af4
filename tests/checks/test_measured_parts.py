"""The parts of the search for a model: each question, its answer, and what it costs."""

import numpy as np
import pytest

from gradcheck.checks import measured as module
from gradcheck.checks.measured import (
    EVERYWHERE,
    FORMATS,
    OUTPUT,
    PREDICTS,
    Format,
    errs_as_predicted,
    formats_of,
    model_bound,
    narrowest_model,
)
from gradcheck.engines.base import Unsupported, engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.problems.case import Case, largest_preactivation
from gradcheck.rounding import gradient_bound

SINGLE, DOUBLE, EXTENDED = FORMATS
REFERENCE = find("reference")
DEEP, SHALLOW = Case(sizes=(2, 3, 1)).problem(), Case(sizes=(2, 1)).problem()


def silent(problem):
    raise Unsupported("nothing is answered")


def fresh():
    """An engine that nothing is remembered of."""
    return engine_from_callable(silent, "fresh")


@pytest.fixture
def asked(monkeypatch):
    """Answer questions about half saturated units as told; record what was asked."""
    record = []

    def told(answers, leaves=lambda name, wider: True):
        def half_saturated_answers(engine, problem, signs, u, places):
            record.append((signs, u, places))
            return answers

        monkeypatch.setattr(module, "_half_saturated_answers", half_saturated_answers)
        monkeypatch.setattr(module, "_leaves", lambda name, wider, _: leaves(name, wider))
        return record

    return told


def test_a_model_that_predicts_nothing_is_borne_out_at_no_cost(asked):
    record = asked([1])
    assert "cancellation_free" not in PREDICTS
    assert errs_as_predicted(fresh(), DEEP, "cancellation_free") == (True, 0)
    assert record == []


@pytest.mark.parametrize(
    ("narrower", "own", "errs"),
    [(True, False, True), (True, True, False), (False, False, False), (False, True, False)],
)
def test_an_engine_errs_as_predicted_beyond_the_narrower_model_and_within_its_own(
    narrower, own, errs, asked
):
    record = asked([1, 2], lambda name, wider: narrower if name == "cancellation_free" else own)
    engine = fresh()
    assert errs_as_predicted(engine, DEEP, "p_minus_y")[0] is errs
    assert len(record) == 1


def test_an_engine_that_answers_none_of_the_probes_is_not_held_to_them(asked):
    asked([], lambda name, wider: False)
    assert errs_as_predicted(fresh(), DEEP, "p_minus_y") == (True, 0)


@pytest.mark.parametrize(
    ("kept", "u", "wider"),
    [(None, DOUBLE.u, ""), (DOUBLE, DOUBLE.u, ""), (EXTENDED, EXTENDED.u, "float64")],
)
def test_the_probes_are_of_the_format_that_is_kept(kept, u, wider, asked):
    seen = []
    record = asked([1], lambda name, wider: seen.append((name, wider)) or name == "flushed")
    assert errs_as_predicted(fresh(), DEEP, "log_sum", kept)[0] is True
    assert record == [((1, -1), u, EVERYWHERE)]
    assert seen == [("flushed", ""), ("log_sum", wider)]


def test_a_problem_without_hidden_layers_is_like_no_hidden_unit(asked):
    record = asked([1])
    errs_as_predicted(fresh(), SHALLOW, "p_minus_y")
    errs_as_predicted(fresh(), DEEP, "p_minus_y")
    errs_as_predicted(fresh(), DEEP, "p_minus_y", places=OUTPUT)
    assert [places for _, _, places in record] == [OUTPUT, EVERYWHERE, OUTPUT]


def test_what_an_engine_has_shown_is_remembered_by_format_and_places(asked):
    record, engine = asked([1]), fresh()
    for _ in range(2):
        for kept in (None, EXTENDED):
            for places in (OUTPUT, EVERYWHERE):
                errs_as_predicted(engine, DEEP, "p_minus_y", kept, places=places)
    assert len(record) == 4


def test_formats_are_those_with_more_digits_than_the_problems_own():
    own = Format("float32", 2.0**-24)
    assert formats_of(DEEP.astype(np.float32)) == (own, DOUBLE, EXTENDED)
    assert formats_of(DEEP) == (DOUBLE, EXTENDED)
    assert formats_of(DEEP.astype(np.float16)) == (Format("float16", 2.0**-11), *FORMATS)


def test_a_wider_format_rounds_by_its_model_and_then_once_without_cancellation():
    single = DEEP.astype(np.float32)
    for wider in ("", "float32"):
        assert np.array_equal(model_bound(single, "tf32", wider), gradient_bound(single, "tf32"))
    both = gradient_bound(single) + gradient_bound(single.astype(np.float64), "p_minus_y")
    assert np.array_equal(model_bound(single, "p_minus_y", "float64"), both)


# --- the search -----------------------------------------------------------------------------------


@pytest.fixture
def search(monkeypatch):
    """Search where the models that explain each thing, and those that are borne out, are told."""

    def found(explained, companions=(), borne_out=(), excused=()):
        g = np.zeros(1)

        def explains(name, wider, problem, gradient, exact=None):
            return name in (companions if gradient is not g else explained)

        def errs(engine, problem, name, kept=None, *, places=()):
            return name in (excused if places else borne_out), 10 if places else 1

        monkeypatch.setattr(module, "explains", explains)
        monkeypatch.setattr(module, "errs_as_predicted", errs)
        answers = [("first", SHALLOW, np.ones(1)), ("second", DEEP, np.ones(1))]
        monkeypatch.setattr(module, "answered", lambda *_: iter(answers))
        return narrowest_model(find("reference"), DEEP, g, ("a", "b"))

    return found


def test_the_narrowest_model_explains_the_answer_its_companions_and_is_borne_out(search):
    assert (search("ab", "ab", "ab").name, search("b", "ab", "ab").name) == ("a", "b")
    assert (search("ab", "b", "ab").name, search("ab", "ab", "b").name) == ("b", "b")


def test_each_answer_is_counted_once(search):
    assert search("", "ab", "ab").backward_passes == 0
    assert search("ab", "ab", "ab").backward_passes == 2 + 1
    assert search("ab", "b", "ab").backward_passes == 2 + 2 + 1  # "a" in two formats


def test_what_refutes_a_model_that_is_borne_out_is_the_first_companion(search):
    found = search("ab", "", "ab")
    assert (found.name, found.refuted_by, found.excuse) == ("", ("first", SHALLOW), None)
    assert search("ab", "", "", "b").refuted_by == ("first", SHALLOW)
    assert search("ab", "", "").refuted_by is None
    assert search("", "", "ab").refuted_by is None


def test_the_first_model_that_the_output_alone_bears_out_excuses(search):
    found = search("ab", "ab", "", "ab")
    assert (found.name, found.excuse) == ("", ("a", ""))
    # two models in two formats each, and the output of each
    assert found.backward_passes == 2 + 4 * 1 + 4 * 10
    assert search("ab", "ab", "", "b").excuse == ("b", "")
    assert search("ab", "ab", "", "").excuse is None


# --- probes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_the_loss_is_asked_for_at_numbers_that_are_not_short_up_to_beyond_saturation(dtype):
    problem = DEEP.astype(dtype)
    farthest = -np.log(float(np.finfo(dtype).eps) / 2)
    found = [(one.weights[0].item(), one.targets.item()) for one in module._one_unit(problem)]
    expected = [
        (dtype(sign * f * farthest * (1 + 2.0**-7 + 2.0**-10)), y)
        for f in module.SATURATIONS
        for sign in (1, -1)
        for y in (0, 1)
    ]
    assert found == [(float(z), float(y)) for z, y in expected]


@pytest.mark.parametrize(
    ("fitting", "found"),
    [({"b", "c"}, "b"), ({"a", "c"}, "a"), ({"c"}, "c"), (set(), "")],
)
def test_the_narrowest_model_that_leaves_nothing_of_one_unit_is_found(fitting, found, asked):
    seen = []
    record = asked([1], lambda name, wider: seen.append(wider) or name not in fitting)
    engine = fresh()
    for _ in range(2):
        assert module.model_where_half_saturated(engine, DEEP, ["a", "b", "c"]) == found
    assert record == [((1, -1), DOUBLE.u, EVERYWHERE)]
    assert set(seen) == {""}


def test_no_model_is_found_where_nothing_is_answered(asked):
    asked([], lambda name, wider: False)
    assert module.model_where_half_saturated(fresh(), DEEP, ["a"]) == ""


@pytest.mark.parametrize(("most", "asks"), [(1e9, True), (1e-9, False)])
@pytest.mark.parametrize("places", [OUTPUT, EVERYWHERE])
def test_an_engine_is_asked_about_no_unit_beyond_its_limits(most, asks, places):
    seen = []

    def recorded(problem):
        seen.append(problem)
        return REFERENCE.value_and_grad(problem)

    recorded.limits = {"max_preactivation": most}
    engine = engine_from_callable(recorded, "limited")
    answers = module._half_saturated_answers(engine, DEEP, (1, -1), DOUBLE.u, places)
    assert len(answers) == len(seen)
    assert bool(seen) is asks
    assert all(largest_preactivation(problem) <= most for problem in seen)
