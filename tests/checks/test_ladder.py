"""The ladder names the class that a wrong value is of, and never calls a mistake one."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from some import some

from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.ladder import (
    EPSILONS,
    LARGE,
    WIDER_LEVEL,
    companions,
    explain,
    explain_overflow,
    milder,
)
from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.engines.base import Unsupported, engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.engines.variants import WIDER, Variant
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problem import Architecture, Problem
from gradcheck.problems.case import Case, parse, sample_cases
from gradcheck.rounding import Sweep

REFERENCE = find("reference")
LABELS = {
    "tanh": "absolute_sigmoid",
    "clipped_1e-7": "clipped loss",
    "clipped_1e-12": "clipped loss",
    "tf32": "tf32",
    "bfloat16": "bfloat16",
}
ORDER = ["p_minus_y", "flushed", "log_sum", "absolute_sigmoid", "clipped loss", "tf32", "bfloat16"]


class Undeclared:
    """An engine that does not say what class it is of."""

    def __init__(self, engine):
        self.info = replace(engine.info, arithmetic="")
        self.loss, self.value_and_grad, self.close = (
            engine.loss,
            engine.value_and_grad,
            engine.close,
        )


def label(outcome):
    return outcome.explanation.partition(":")[0]


def explained(engine, problem, outcome):
    """What the ladder alone says of a gradient that FAILs, without the likely mistake."""
    if outcome.comparison is None:
        return explain_overflow(engine, problem)
    return explain(engine, problem, outcome.comparison.engine)


def failures(engine, count, seed=11):
    """The classes named for what FAILs among sampled cases that the engine takes."""
    dtypes = [name for name in engine.info.dtypes if name != "float16"]
    limits = {"dtypes": dtypes, "losses": engine.info.losses, "max_parameters": 120}
    for case in sample_cases(count, seed, **limits):
        try:
            outcome = check_agreement(engine, case.problem(), require="strict")
        except Unsupported:
            continue
        if outcome.verdict is Verdict.FAIL:
            yield case.token, explained(engine, case.problem(), outcome).text.partition(":")[0]


@pytest.mark.parametrize(("name", "count"), [("tanh", 20), ("clipped_1e-7", 12), ("bfloat16", 12)])
def test_an_engine_of_a_wider_class_is_named_or_a_narrower_class_explains_it(name, count):
    found = list(failures(Undeclared(WIDER[name]()), count))
    assert len(found) > 3
    named = [told for _, told in found if told == LABELS[name]]
    narrower = ORDER[: ORDER.index(LABELS[name])]
    assert all(told in [LABELS[name], *narrower] for _, told in found), found
    assert len(named) >= 0.5 * len(found)


@pytest.mark.nightly
@pytest.mark.parametrize("name", WIDER)
def test_nineteen_in_twenty_are_named_where_no_narrower_class_explains_them(name):
    found = [told for _, told in failures(Undeclared(WIDER[name]()), 1000, seed=5)]
    narrower = ORDER[: ORDER.index(LABELS[name])]
    open_to_all = [told for told in found if told not in narrower]
    assert sum(told == LABELS[name] for told in open_to_all) >= 0.95 * len(open_to_all) > 0


@pytest.mark.parametrize("how", ["clip", "floor"])
def test_what_the_wider_level_refuses_the_narrower_one_refuses_too(how):
    for case in sample_cases(20, 77, losses=["cross_entropy"], max_parameters=60, max_batch=6):
        wider, narrower = (Sweep(case.problem(), name) for name in (WIDER_LEVEL, "p_minus_y"))
        for epsilon in EPSILONS.values():
            assert (wider.bound(**{how: epsilon}) >= narrower.bound(**{how: epsilon})).all()


def changed(change):
    def value_and_grad(problem):
        value, gradient = REFERENCE.value_and_grad(problem)
        return value, [tuple(change(problem, np.array(part)) for part in pair) for pair in gradient]

    return engine_from_callable(value_and_grad, "changed")


def one_coordinate(factor):
    def change(problem, part):
        part.flat[0] *= part.dtype.type(factor)
        return part

    return change


MISTAKES = {
    "a wrong sign": lambda problem, part: -part,
    "a factor 2": lambda problem, part: 2 * part,
    "no 1/m": lambda problem, part: part * part.dtype.type(problem.batch),
    "zeros": lambda problem, part: 0 * part,
    "1 + 1e-3": lambda problem, part: part * part.dtype.type(1 + 1e-3),
    "1 + 1e-5": lambda problem, part: part * part.dtype.type(1 + 1e-5),
    "1 + 1e-9": lambda problem, part: part * part.dtype.type(1 + 1e-9),
    "1 + 1e-12": lambda problem, part: part * part.dtype.type(1 + 1e-12),
    "weight decay": lambda problem, part: part + part.dtype.type(1e-4),
    "float16 inside": lambda problem, part: part.astype(np.float16).astype(part.dtype),
    "one zero": one_coordinate(0),
    "one of 1 + 1e-3": one_coordinate(1 + 1e-3),
    "one of 1 + 1e-6": one_coordinate(1 + 1e-6),
    "one of 1 + 1e-11": one_coordinate(1 + 1e-11),
}


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("name", list(MISTAKES)[::2])
def test_a_mistake_is_never_called_a_class(name):
    for token, told in some(failures(changed(MISTAKES[name]), 4)):
        assert told not in [*ORDER, "floored slope"], token


@pytest.mark.nightly
@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_never_called_a_class_in_a_thousand_problems(name):
    for token, told in some(failures(changed(MISTAKES[name]), 1000, seed=3)):
        assert told not in [*ORDER, "floored slope"], token


def test_float32_deltas_in_float64_are_no_class_either():
    def narrow(problem, part):
        return part.astype(np.float32).astype(part.dtype)

    for token, told in some(failures(changed(narrow), 6)):
        assert told not in ORDER, token


def test_the_clip_point_is_named():
    one = np.ones((1, 1))
    for z, epsilons in ((17, "1e-07 or 1e-06"), (15, "1e-06")):
        problem = Problem(Architecture((1, 1)), (z * one,), (np.zeros(1),), one, 0 * one)
        engine = Variant("clipped", residual="clipped", eps=float(epsilons[:5]))
        outcome = explained_agreement(Undeclared(engine), problem)
        assert outcome.explanation.endswith(f"probabilities are clipped at {epsilons}")


def test_a_denominator_with_a_floor_is_named():
    def floored(floor, problem):  # one layer, one example
        (W,), (b,), x = problem.weights, problem.biases, problem.inputs
        p = 1 / (1 + np.exp(-(x @ W.T + b)))
        delta = (p - problem.targets) / np.maximum(p * (1 - p), p.dtype.type(floor)) * p * (1 - p)
        return 0.0, [(delta.T @ x, delta.sum(axis=0))]

    one = np.ones((1, 1))
    problem = Problem(Architecture((1, 1)), (-45 * one,), (np.zeros(1),), one, one)
    for floor, told in ((1e-12, "eps = 1e-12,"), (np.float32(1e-12), "eps = 1e-12 as float32 has")):
        outcome = explained_agreement(engine_from_callable(partial(floored, floor), "x"), problem)
        assert label(outcome) == "floored slope"
        assert told in outcome.explanation


def test_an_error_that_stays_in_both_precisions_is_a_formula():
    case = parse("gc1:3-4-1:cross_entropy:mean:m2:float32:w1:generic:binary:s0")
    outcome = explained_agreement(changed(MISTAKES["1 + 1e-3"]), case.problem())
    assert (
        "as large in float64 as in float32 (2^0.0): a formula, not rounding" in outcome.explanation
    )


def test_an_error_that_shrinks_with_the_precision_is_rounding():
    def sloppy(problem, part):
        return part * part.dtype.type(1 + 2000 * np.finfo(part.dtype).eps)

    case = parse("gc1:3-4-1:cross_entropy:mean:m2:float32:w1:generic:binary:s0")
    outcome = explained_agreement(changed(sloppy), case.problem())
    assert "shrinks by 2^29.0 from float32 to float64, as rounding does" in outcome.explanation


def test_what_is_not_finite_in_saturation_alone_is_overflow():
    def textbook(problem):
        with np.errstate(all="ignore"):
            p = 1 / (1 + np.exp(-(problem.inputs @ problem.weights[0].T + problem.biases[0])))
            y = problem.targets
            delta = ((1 - y) / (1 - p) - y / p) * p * (1 - p)
        return 0.0, [(delta.T @ problem.inputs, delta.sum(axis=0))]

    one = np.ones((1, 1))
    problem = Problem(Architecture((1, 1)), (40 * one,), (np.zeros(1),), one, 0 * one)
    outcome = explained_agreement(engine_from_callable(textbook, "textbook"), problem)
    assert (outcome.reason, label(outcome)) == (Reason.NONFINITE, "overflow")
    always = changed(lambda problem, part: part * np.nan)
    assert explained_agreement(always, problem).explanation == ""


def test_companions_that_the_engine_does_not_take_are_left_out():
    wrong = changed(MISTAKES["no 1/m"])

    def only_here(problem):
        if problem.dtype == np.float32:
            raise Unsupported("float32")
        return wrong.value_and_grad(problem)

    case = Case(sizes=(2, 1), batch=4)
    outcome = explained_agreement(engine_from_callable(only_here, "x"), case.problem())
    assert outcome.explanation == "no class of arithmetic computes this value"


def test_milder_problems_have_no_large_sum_and_are_scaled_by_powers_of_two():
    case = Case(sizes=(3, 4, 2), batch=5, weight_scale=300, seed=2)
    problem, mild = case.problem(), milder(case.problem())
    a = problem.inputs
    for W, b, W0 in zip(mild.weights, mild.biases, problem.weights, strict=True):
        z = a @ W.T + b
        assert np.abs(z).max() <= LARGE
        ratio = W0 / W
        assert (ratio == ratio.flat[0]).all()
        assert np.frexp(ratio.flat[0])[0] == 0.5
        a = 1 / (1 + np.exp(-z))
    again = milder(mild)
    assert all(map(np.array_equal, again.weights, mild.weights))


def test_what_zeros_make_equal_is_told_apart_by_random_numbers():
    """Rounding delta a to float16 is rounding a to TF32 where delta is 1/2."""
    case = parse("gc1:6-8-4-1:cross_entropy:sum:m1:float32:w1:zero_last_layer:binary:s3436171831")
    outcome = explained_agreement(changed(MISTAKES["float16 inside"]), case.problem())
    assert outcome.verdict is Verdict.FAIL
    assert label(outcome) not in ORDER


def test_companions_of_float16_stay_in_float16():
    names = [name for name, _ in companions(Case(sizes=(2, 1), dtype="float16").problem())]
    assert names == ["milder", "generic"]
