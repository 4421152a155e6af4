"""C19 is refuted by rows held out of a training that goes on too long, and by nothing else."""

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c19_best_prediction import CLAIM, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFUTED, ruling
from reference_models.sigmoid_network import value_and_grad


def test_the_claim_is_refuted(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == CLAIM.expected == REFUTED
    falls, predicts, right = evidence.findings
    assert falls.holds
    assert right.measured["right"] < right.measured["right_stopped"]
    assert predicts.measured["more"] > 3 * predicts.measured["error"]
    assert predicts.measured["most"] < falls.results["T"]
    (name,) = evidence.frames
    assert CLAIM.look == f"figures/{name}.svg"
    assert set(evidence.figures) == {name}


def themselves(rows, m):
    """The rows trained on, called held out."""
    return rows


def uphill(*batch):
    C, gradient = value_and_grad(*batch)
    return C, [(-dW, -db) for dW, db in gradient]


def test_rows_that_were_trained_on_are_predicted_best_at_the_end():
    evidence = measure(Settings(prediction_steps=256), held_out=themselves)
    assert ruling(evidence) == CONFIRMED


def test_it_is_confirmed_of_a_training_that_ends_in_time():
    assert ruling(measure(Settings(prediction_steps=32))) == CONFIRMED


def test_training_uphill_brings_nothing_down():
    falls, *_ = measure(Settings(prediction_steps=32), value_and_grad=uphill).findings
    assert not falls.holds
