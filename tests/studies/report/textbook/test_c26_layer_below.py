"""The error goes down the network, dC/dW_L does not."""

import numpy as np
from ruled import ruled

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c26_layer_below import CLAIM, backward, measure
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFINED, REFUTED, ruling


def found(broken):
    return ruled(measure(Settings(), broken))


def test_the_claim_is_refined(measured):
    assert ruling(measured(CLAIM)) == REFINED


def test_layers_that_depend_on_the_gradient_above_contradict_nothing():
    def by_gradients(problem, spoil_delta=lambda x: x, spoil_gradient=lambda x: x):
        share = spoil_gradient(np.ones(1))[0]  # what a backward pass through dC/dW would keep
        *below, last = backward(problem, spoil_delta)
        return [*((share * dW, share * db) for dW, db in below), last]

    assert found(by_gradients) == (CONFIRMED, [True, True, False])


def test_layers_that_do_not_hang_on_the_error_above_refute_it():
    def deaf(problem, spoil_delta=None, spoil_gradient=None):
        return backward(problem)

    assert found(deaf) == (REFUTED, [True, False, True])


def test_a_wrong_gradient_refutes_it():
    def doubled(problem, *spoil, **spoils):
        return [(2 * dW, db) for dW, db in backward(problem, *spoil, **spoils)]

    assert found(doubled) == (REFUTED, [False, True, True])
