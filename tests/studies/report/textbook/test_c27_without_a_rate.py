"""lambda = 1 fits a mean of losses, not their sum."""

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c27_without_a_rate import CLAIM, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFINED, REFUTED, ruling
from reference_models.training import gradient_descent


def found(descend):
    evidence = measure(Settings(), descend)
    return ruling(evidence), [finding.holds for finding in evidence.findings]


def with_rate(change):
    def descend(value_and_grad, start, *, learning_rate, **settings):
        return gradient_descent(
            value_and_grad, start, learning_rate=change(learning_rate), **settings
        )

    return descend


def test_the_claim_is_refined(measured):
    assert ruling(measured(CLAIM)) == REFINED


def test_a_hidden_rate_that_fits_both_contradicts_nothing():
    assert found(with_rate(lambda rate: rate / 1000)) == (CONFIRMED, [True, False])


def test_a_gradient_that_is_added_refutes_it():
    def uphill(value_and_grad, start, **settings):
        def negative(theta):
            C, g = value_and_grad(theta)
            return C, [(-dW, -db) for dW, db in g]

        return gradient_descent(negative, start, **settings)

    assert found(uphill)[0] == REFUTED
