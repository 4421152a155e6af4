"""An answer that is computed in float32 is told as that, whatever property it fails."""

import numpy as np

from gradcheck.diagnosis.agreement import explained_agreement
from gradcheck.diagnosis.precision import is_in_float32, precision_first
from gradcheck.engines.base import engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.problems.case import Case
from gradcheck.verification.guarded import Guarded
from gradcheck.verification.property import examine

REFERENCE = find("reference")
CASE = Case(sizes=(2, 3, 1), batch=3, targets="soft")
TOLD = "all layers: every number is one of float32, within the rounding of that"


def in_float32(factor):
    def value_and_grad(problem):
        value, layers = REFERENCE.value_and_grad(problem.astype("float32"))
        wide = [(W.astype(problem.dtype) * factor, b.astype(problem.dtype)) for W, b in layers]
        return float(np.float32(value)), wide

    return Guarded(engine_from_callable(value_and_grad, "short"))


def test_agreement_tells_the_precision():
    finding = examine(in_float32(1), "agreement", CASE.problem(), CASE)
    assert finding["verdict"] == "FAIL"
    assert finding["diagnosis"].startswith(TOLD)


def test_a_loss_that_is_wrong_by_as_much_is_told_as_the_same():
    loss = Outcome(Verdict.FAIL, Reason.LOSS, "the loss is 0.5 where 0.50000001 is meant")
    told = precision_first(in_float32(1), CASE.problem(), loss)
    assert told.diagnosis.startswith(TOLD)
    assert told.reason is Reason.MISMATCH
    assert precision_first(in_float32(2), CASE.problem(), loss).reason is Reason.LOSS


def test_a_wrong_formula_in_float32_is_not_told_as_its_precision():
    assert not explained_agreement(in_float32(2), CASE.problem()).diagnosis.startswith(TOLD)


def test_a_float64_answer_and_numbers_of_few_bits_are_not_of_float32():
    assert not is_in_float32(REFERENCE, CASE.problem())
    assert is_in_float32(in_float32(1), CASE.problem())
    few = Case(corner="zero_weights", targets="binary")
    assert not is_in_float32(
        engine_from_callable(lambda p: (1.0, [(p.weights[0], p.biases[0])]), "few"), few.problem()
    )
