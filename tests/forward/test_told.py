"""A wrong loss is told first, and a gradient beside the loss that it could be of."""

import re

import numpy as np
import pytest
import textbook_engines
from other_losses import OTHER_LOSSES, consistent, sigmoid

from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.engines.base import engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.forward.told import (
    is_the_derivative,
    not_of_these_weights,
    right_gradient_first,
)
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problems.case import Case, parse, sample_cases
from gradcheck.rounding import loss_floor
from gradcheck.verification.guarded import Guarded
from gradcheck.verification.property import outcome

REFERENCE = find("reference")
TEXTBOOK_LOG = engine_from_callable(textbook_engines.textbook_log, "log")
TANH = engine_from_callable(textbook_engines.tanh, "tanh")
LOSS, MISMATCH = (Verdict.FAIL, Reason.LOSS), (Verdict.FAIL, Reason.MISMATCH)

SHOWN = ("relu", "softmax cross-entropy", "over outputs", "swapped", "no bias", "standardised",
         "doubled", "l2", "hinge")  # fmt: skip


def problem(loss="cross_entropy", **recipe):
    recipe = {"sizes": (3, 4, 2), "batch": 5, "targets": "soft", "loss": loss} | recipe
    return Case(**recipe).problem()


def planted(name):
    return consistent(name, **OTHER_LOSSES[name][0])


class Changed:
    """An engine with the loss of another one, and a gradient of its own."""

    def __init__(self, name, gradient):
        self.engine, self.gradient = planted(name), gradient
        self.info = self.engine.info

    def loss(self, problem):
        return self.engine.loss(problem)

    def value_and_grad(self, problem):
        return self.loss(problem), self.gradient(self.engine, problem)


def right(_engine, problem):
    return REFERENCE.value_and_grad(problem)[1]


def first_doubled(engine, problem):
    (W, b), *rest = engine.value_and_grad(problem)[1]
    return [(2 * W, b), *rest]


def kind(found):
    return found.verdict, found.reason


@pytest.mark.by_day(3)
@pytest.mark.parametrize("name", SHOWN)
def test_a_gradient_of_another_loss_is_no_wrong_gradient(name):
    found = explained_agreement(planted(name), problem())
    assert kind(found) == LOSS
    assert OTHER_LOSSES[name][2] in found.detail
    assert found.detail.endswith("; the gradient is that of this loss")
    assert found.diagnosis == found.detail
    assert "layer" not in found.diagnosis.replace("hidden layers", "")


@pytest.mark.by_day(3)
@pytest.mark.parametrize("name", SHOWN)
def test_a_right_gradient_with_another_loss_is_called_right(name):
    found = outcome(Guarded(Changed(name, right)), "consistency", problem(), None)
    assert kind(found) == LOSS
    assert found.detail.startswith("the gradient is right; the returned loss ")
    assert explained_agreement(Changed(name, right), problem()).verdict is Verdict.PASS


def test_a_factor_of_the_returned_loss_is_told():
    found = outcome(Guarded(Changed("doubled", right)), "consistency", problem(), None)
    assert found.detail == "the gradient is right; the returned loss is 2 times the claimed one"


@pytest.mark.by_day(3)
@pytest.mark.parametrize("name", SHOWN)
def test_a_gradient_of_neither_loss_is_wrong_and_the_loss_is_told_first(name):
    found = explained_agreement(Changed(name, first_doubled), problem())
    assert kind(found) == MISMATCH
    first, second, *_ = found.detail.split("; ")
    assert first.endswith(OTHER_LOSSES[name][2])
    assert second == "the gradient is not that of this loss either"


@pytest.mark.parametrize("name", ["relu", "no bias", "standardised"])
def test_beside_another_network_the_gradient_is_told_by_differences_of_its_loss(name):
    told = explained_agreement(Changed(name, first_doubled), problem()).diagnosis
    assert re.match(r"beside its own loss, (W1: )?engine = 2 x the derivative", told)
    assert "delta" not in told


@pytest.mark.parametrize("name", ["doubled", "l2", "swapped"])
def test_beside_another_function_of_the_same_outputs_the_exact_gradient_tells_more(name):
    told = explained_agreement(Changed(name, first_doubled), problem()).diagnosis
    assert re.match("(unknown; )?layer [12]: ", told)


def test_of_consistency_the_loss_is_told_first_too():
    found = outcome(Guarded(Changed("relu", first_doubled)), "consistency", problem(), None)
    assert kind(found) == MISMATCH
    assert found.detail.startswith(
        "the loss is not the one that is meant: hidden layers look like relu; the gradient is not "
        "that of this loss either; "
    )
    assert "engine = 2 x the derivative" in found.diagnosis


@pytest.mark.parametrize("name", ["a constant", "entropy subtracted"])
def test_a_constant_is_a_note(name):
    found = explained_agreement(planted(name), problem())
    assert found.verdict is Verdict.PASS
    assert [note.endswith("(the gradient is the same)") for note in found.notes] == [True]
    assert outcome(Guarded(planted(name)), "consistency", problem(), None).verdict is Verdict.PASS


@pytest.mark.parametrize("name", ["a constant", "entropy subtracted"])
def test_beside_a_constant_the_gradient_is_diagnosed(name):
    found = explained_agreement(Changed(name, lambda _, p: first_doubled(REFERENCE, p)), problem())
    assert kind(found) == MISMATCH
    assert found.diagnosis.startswith("layer 1: dC/dW_1 has an extra factor 2; ")


@pytest.mark.by_day(4)
@pytest.mark.parametrize("name", SHOWN)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_differences_tell_a_gradient_of_its_own_loss(name, dtype):
    where = problem(dtype=dtype)
    assert is_the_derivative(planted(name), where) is True
    assert is_the_derivative(Changed(name, first_doubled), where) is False


@pytest.mark.parametrize("name", ["no bias", "doubled"])
def test_a_loss_that_rounding_makes_a_staircase_accuses_nobody(name):
    """Its differences are 0 there, and its gradient is not."""
    where = problem(sizes=(1, 1), batch=1, weight_scale=30.0, targets="binary", seed=706170044)
    found = explained_agreement(planted(name), where)
    assert (found.verdict, found.reason) == (Verdict.FAIL, Reason.LOSS)


def test_at_a_kink_another_problem_decides():
    where = problem(corner="zero_weights")
    assert is_the_derivative(planted("relu"), where) is True


def test_a_difference_that_rounding_makes_is_no_sign_of_the_loss_that_is_meant():
    flat = parse("gc1:1-6-1:quadratic:mean:m1:float64:w100:generic:binary:s4187120071").problem()
    assert is_the_derivative(planted("tanh"), flat) is True


@pytest.mark.parametrize(
    "token",
    [
        "gc1:2-200-1:cross_entropy:sum:m1:float32:w30:generic:zeros:s3481448532",
        "gc1:8-16-16-16-16-16-2:quadratic:sum:m4:float64:w3:zero_preactivations:soft:s1",
    ],
)
def test_a_difference_over_which_the_loss_bends_is_no_sign_of_the_loss_that_is_meant(token):
    bent = parse(token).problem()
    steep = consistent("steep", hidden=lambda z: sigmoid(2 * z))
    assert is_the_derivative(steep, bent) is True


def test_a_loss_that_is_the_same_here_is_told_where_it_is_not():
    """With zero weights relu gives the loss of a sigmoid, and another gradient."""
    found = explained_agreement(planted("relu"), problem(corner="zero_weights"))
    assert kind(found) == LOSS
    assert "hidden layers look like relu" in found.detail


def test_exact_tests_say_it_too():
    case = Case(sizes=(3, 4, 2), batch=4, corner="zero_preactivations", targets="binary")
    found = outcome(Guarded(planted("doubled")), "exact lattice", case.problem(), case)
    assert kind(found) == LOSS
    assert found.detail == (
        "the loss is 2 times the one that is meant; the gradient is that of this loss"
    )


def logs(engine, problem):
    """The loss of relu layers, infinite where an output rounds to 0 or 1, and its gradient."""
    return engine.value_and_grad(problem)[1]


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_where_a_loss_is_not_finite_other_problems_say_what_the_gradient_is_of(value):
    engine, here = Changed("relu", logs), problem()
    loss = engine.loss
    engine.loss = lambda p: value if p.inputs is here.inputs else loss(p)
    found = explained_agreement(engine, here)
    assert kind(found) == LOSS
    assert found.detail.endswith("hidden layers look like relu; the gradient is that of this loss")


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_loss_that_is_not_finite_leaves_the_diagnosis_alone(value):
    def not_finite(engine, problem):
        return [(2 * W, b) for W, b in REFERENCE.value_and_grad(problem)[1]]

    engine = Changed("doubled", not_finite)
    engine.loss = lambda problem: value
    found = explained_agreement(engine, problem())
    assert kind(found) == MISMATCH
    assert found.diagnosis.startswith("layer 2: dC/dW_2 has an extra factor 2; ")


def test_an_engine_without_a_loss_is_diagnosed_as_ever():
    engine = Changed("doubled", lambda _, p: first_doubled(REFERENCE, p))
    engine.loss = lambda problem: None
    found = explained_agreement(engine, problem())
    assert kind(found) == MISMATCH
    assert found.diagnosis.startswith("layer 1: dC/dW_1 has an extra factor 2; ")


class KeepsTheForwardPass:
    """A right engine that keeps its losses by inputs and targets, whatever the weights are."""

    def __init__(self):
        self.info, self.kept = REFERENCE.info, {}

    def loss(self, problem):
        key = problem.inputs.tobytes() + problem.targets.tobytes()
        return self.kept.setdefault(key, REFERENCE.loss(problem))

    def value_and_grad(self, problem):
        return self.loss(problem), REFERENCE.value_and_grad(problem)[1]


def test_a_loss_that_does_not_change_with_the_weights_is_kept_from_an_earlier_call():
    found = outcome(Guarded(KeepsTheForwardPass()), "consistency", problem(batch=2), None)
    assert found.verdict is Verdict.FAIL
    assert found.diagnosis.startswith("all layers: the loss does not change with the weights, ")
    assert not_of_these_weights(REFERENCE, problem()) == ""


class LeavesOutWhatIsRounded:
    """A right engine whose loss has no logarithm of a p or 1 - p that is 0, however wrong it is."""

    def __init__(self):
        self.info = REFERENCE.info

    def loss(self, problem):
        z = problem.inputs @ problem.weights[0].T + problem.biases[0]
        p, y = 1 / (1 + np.exp(-z)), problem.targets
        with np.errstate(all="ignore"):
            terms = np.nan_to_num(y * np.log(p)) * (p > 0) + np.nan_to_num(
                (1 - y) * np.log(1 - p), neginf=0.0
            ) * (p < 1)
        return float(-terms.sum() / len(y))

    def value_and_grad(self, problem):
        return self.loss(problem), REFERENCE.value_and_grad(problem)[1]


def test_a_loss_that_is_less_than_rounding_can_make_it_is_wrong_where_differences_decide_nothing():
    saturated = Case(sizes=(1, 1), weight_scale=30.0, targets="zeros", seed=4).problem()  # z = 39
    undecided = Outcome(Verdict.INCONCLUSIVE, Reason.NOISE, "no step settles")
    found = right_gradient_first(LeavesOutWhatIsRounded(), saturated, undecided, no_diagnosis)
    assert (found.verdict, found.reason) == LOSS
    assert re.search(
        "the returned loss is -?0 where rounding leaves 3[0-9.]+ at least", found.detail
    )
    assert found.detail.endswith("the gradient is right")
    assert (
        right_gradient_first(REFERENCE, saturated, undecided, no_diagnosis).reason is Reason.NOISE
    )


class MeanOfCalls:
    """Returns 0.9 of the loss and 0.1 of what it returned before, whatever the problem was."""

    def __init__(self, wrong=1.0, every=0.1):
        self.before, self.wrong, self.every = None, wrong, every
        self.info = REFERENCE.info

    def loss(self, problem):
        loss = REFERENCE.loss(problem)
        kept = loss if self.before is None else (1 - self.every) * loss + self.every * self.before
        self.before = kept
        return kept

    def value_and_grad(self, problem):
        _, gradient = REFERENCE.value_and_grad(problem)
        return self.loss(problem), [(self.wrong * dW, db) for dW, db in gradient]

    def close(self):
        pass


NOISY = Outcome(Verdict.INCONCLUSIVE, Reason.NOISE, "f keeps state")


@pytest.mark.parametrize("weights", ["generic", "zero_weights"])
@pytest.mark.parametrize(
    ("wrong", "told"), [(1.0, "; the gradient is right"), (2.0, "")], ids=["right", "wrong"]
)
def test_a_loss_that_differs_from_call_to_call_is_wrong(weights, wrong, told):
    where = problem(corner=weights)
    found = right_gradient_first(MeanOfCalls(wrong), where, NOISY, no_diagnosis)
    assert (found.verdict, found.reason) == LOSS
    assert found.diagnosis == f"the returned loss differs from call to call{told}"
    assert found.forward_passes == 3


def test_a_loss_that_changes_by_its_rounding_or_for_another_reason_is_not_said_to_depend_on_calls():
    found = right_gradient_first(MeanOfCalls(every=1e-17), problem(), NOISY, no_diagnosis)
    assert found.verdict is Verdict.INCONCLUSIVE
    for value in (np.nan, np.inf):
        engine = MeanOfCalls()
        engine.loss = lambda problem, value=value: value
        assert right_gradient_first(engine, problem(), NOISY, no_diagnosis).reason is Reason.NOISE
    vacuous = Outcome(Verdict.INCONCLUSIVE, Reason.VACUOUS, "saturated")
    found = right_gradient_first(MeanOfCalls(), problem(), vacuous, no_diagnosis)
    assert found.verdict is Verdict.INCONCLUSIVE


def no_diagnosis(outcome):
    raise AssertionError(outcome)


def test_rounding_brings_no_right_loss_below_its_floor():
    for case in sample_cases(30, 12, max_parameters=40, max_batch=8):
        floor = loss_floor(case.problem(), "absolute_sigmoid")
        for engine in (REFERENCE, TEXTBOOK_LOG, TANH):
            assert not engine.loss(case.problem()) < floor, case.token
