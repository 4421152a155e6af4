"""What single units give explains a wrong gradient, or nothing is said."""

import numpy as np
import pytest
import textbook_engines
from planted import planted, sigmoid

from gradcheck.checks.agreement import check_agreement
from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.diagnosis.one_unit import SURE, told_of_units
from gradcheck.engines.base import engine_from_callable
from gradcheck.engines.variants import CORRECT
from gradcheck.outcomes.reasons import Kind, Verdict
from gradcheck.problems.case import Case, parse

LOSSES = ("cross_entropy", "quadratic")


def told(engine, **case):
    """The cause of a failure that there is, without how sure it is."""
    problem = Case(**{"weight_scale": 30.0, "targets": "binary", **case}).problem()
    outcome = check_agreement(engine, problem)
    assert outcome.verdict is Verdict.FAIL
    c = outcome.comparison
    cause = told_of_units(engine, problem, c.engine, c.kind == Kind.FAILED)
    return cause and cause.text.removesuffix(f"; {SURE}")


def cut(z):
    return np.where(z > 15, 1, np.where(z < -15, 0, sigmoid(z))).astype(z.dtype)


def by_epsilon(p, y, z):
    return (-y / (p + 1e-6) + (1 - y) / (1 - p + 1e-6)) * p * (1 - p)


@pytest.mark.by_day(2)
@pytest.mark.parametrize(
    "case",
    [
        {"sizes": (1, 1), "seed": 5},
        {"sizes": (4, 3, 2), "batch": 3, "weight_scale": 100.0},
        {"sizes": (3, 2, 2, 1), "loss": "quadratic"},
        {"sizes": (4, 3, 2), "targets": "soft", "weight_scale": 100.0, "dtype": "float32"},
    ],
    ids=lambda case: "-".join(map(str, case["sizes"])),
)
def test_a_sigmoid_that_is_cut_off_is_one_cause_wherever_it_fails(case):
    assert told(planted(sig=cut, losses=LOSSES), **case) == (
        "all layers: a is a sigmoid that is 0 and 1 beyond |z| = 15; expected a = sigmoid(z)"
    )


def test_the_output_error_is_named_by_its_formula():
    assert told(planted(residual=by_epsilon), sizes=(3, 4, 2), weight_scale=10.0) == (
        "layer 2: delta_2 is [-Y / (a_2 + 1e-6) + (1 - Y) / (1 - a_2 + 1e-6)] a_2 (1 - a_2); "
        "expected delta_2 = (a_2 - Y) / m"
    )


def test_a_special_case_at_0_is_told_as_a_function_of_y():
    engine = planted(residual=lambda p, y, z: np.where(z == 0, -0.5 - y, p - y))
    assert told(engine, sizes=(2, 3), corner="zero_weights", reduction="sum") == (
        "layer 1: delta_1 is -1/2 - y where z_1 is exactly 0; expected delta_1 = a_1 - Y"
    )


def test_a_slope_is_told_of_the_highest_hidden_layer_that_has_it():
    engine = planted(slope=lambda z, a: np.where(np.abs(z) > 4, 0, a * (1 - a)))
    assert told(engine, sizes=(3, 4, 4, 1), weight_scale=10.0) == (
        "layer 2: delta_2 has, for sigmoid'(z_2), a_2 (1 - a_2) within |z_2| = 4, 0 beyond; "
        "expected delta_2 = (delta_3 W_3) * sigmoid'(z_2)"
    )


def test_a_slope_without_a_name_is_told_by_intervals():
    engine = planted(slope=lambda z, a: np.where(z > 4, 0.125, a * (1 - a)))
    assert told(engine, sizes=(3, 4, 4, 1), weight_scale=10.0) == (
        "layer 2: delta_2 has 0.125 for sigmoid'(z_2) where z_2 > 4; "
        "expected delta_2 = (delta_3 W_3) * sigmoid'(z_2)"
    )


def test_a_slope_of_the_quadratic_loss_is_told_of_the_output():
    engine = planted(slope=lambda z, a: np.where(np.abs(z) > 4, 0, a * (1 - a)), losses=LOSSES)
    cause = told(engine, sizes=(3, 4), weight_scale=10.0, loss="quadratic")
    assert cause.startswith("layer 1: delta_1 has, for sigmoid'(z_1), a_1 (1 - a_1) within")


# --- nothing is said ------------------------------------------------------------------------------


def also(engine, change):
    """An engine with another mistake besides."""

    def value_and_grad(problem):
        loss, gradient = engine.value_and_grad(problem)
        return loss, change(gradient)

    value_and_grad.losses = engine.info.losses
    return engine_from_callable(value_and_grad, "also")


def test_a_mistake_that_units_do_not_have_is_not_blamed_on_them():
    engine = also(CORRECT["blas"](), lambda g: [(W[::-1], b) for W, b in g])
    assert told(engine, sizes=(3, 3), weight_scale=1.0) is None


def test_a_second_mistake_takes_the_cause_away():
    engine = also(planted(sig=cut), lambda g: [(W[::-1], b) for W, b in g])
    assert told(engine, sizes=(3, 3, 2), weight_scale=100.0) is None


def test_an_engine_that_refuses_one_unit_has_shown_nothing():
    right = planted(sig=cut)

    def value_and_grad(problem):
        if problem.architecture.sizes[0] == 1:
            raise ZeroDivisionError
        return right.value_and_grad(problem)

    value_and_grad.losses = ("cross_entropy",)
    engine = engine_from_callable(value_and_grad, "picky")
    assert told(engine, sizes=(3, 2), weight_scale=100.0, batch=3) is None


def test_rounding_is_no_cause():
    engine = CORRECT["textbook"]()
    problem = Case(sizes=(3, 2), weight_scale=100.0).problem()
    _, pairs = engine.value_and_grad(problem)
    g = np.concatenate([x.ravel() for pair in pairs for x in pair])
    assert told_of_units(engine, problem, g, np.ones(len(g), bool)) is None


def test_curves_are_measured_once():
    calls = []
    right = planted(sig=cut)

    def value_and_grad(problem):
        calls.append(problem)
        return right.value_and_grad(problem)

    value_and_grad.losses = ("cross_entropy",)
    engine = engine_from_callable(value_and_grad, "counted")
    told(engine, sizes=(1, 1), seed=5)
    first = len(calls)
    told(engine, sizes=(1, 1), seed=5)
    assert len(calls) < first + 5


def test_a_bias_gradient_alone_is_not_told_of_delta():
    """dC/db is 0 for large biases, by which the curves are swept; with x = 0 nothing else shows."""

    def value_and_grad(problem):
        value, layers = textbook_engines.textbook(problem)
        biases = problem.biases
        return value, [(W, g * (np.abs(b) <= 5)) for (W, g), b in zip(layers, biases, strict=True)]

    engine = engine_from_callable(value_and_grad, "held biases")
    problem = parse("gc1:1-1:cross_entropy:sum:m1:float64:w100:zero_feature:binary:s0").problem()
    assert abs(problem.biases[0][0]) > 5
    assert not problem.inputs.any()
    outcome = explained_agreement(engine, problem)
    assert outcome.verdict is Verdict.FAIL
    assert "delta_1 is a_1 - Y within" not in outcome.diagnosis
    c = outcome.comparison
    assert told_of_units(engine, problem, c.engine, c.kind == Kind.FAILED) is None
