import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c15_small_networks import CLAIM, chain, measure, two_hidden
from gradcheck.studies.report.textbook.claim import ruling, section, sentences
from reference_models import sigmoid_network

CHAIN_BITS, CHAIN_ROUNDING, BITS, ROUNDING, PATHS, SHAPES = range(6)


def refuted_by(*arguments, **broken):
    evidence = measure(Settings(), *arguments, **broken)
    assert ruling(evidence) == "refuted"
    return [i for i, finding in enumerate(evidence.findings) if not finding.holds]


def test_what_is_written_out_is_the_vectorised_form(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == "confirmed"
    told = sentences(section([CLAIM], [evidence]).to_json(), "C15")
    assert "W1[1,2] -> z1[1] -> z2[0] -> C" in told[PATHS]
    assert told[SHAPES].startswith("3-2-1: dW1 is 2 x 3, dW2 is 1 x 2")


@pytest.mark.parametrize("left_out", [1, 2])
def test_a_factor_left_out_refutes_it(left_out):
    def of(written_out):
        def shorter(*arguments):
            factors = written_out(*arguments)
            return {
                v: (*f[:left_out], 1.0, *f[left_out + 1 :]) if len(f) == 4 else f
                for v, f in factors.items()
            }

        return shorter

    broken = (of(chain), of(two_hidden))
    assert refuted_by(written_out=broken) == [CHAIN_BITS, CHAIN_ROUNDING, BITS, ROUNDING, PATHS]


def test_a_derivative_left_out_refutes_it():
    def without_bias(*arguments):
        return {v: f for v, f in two_hidden(*arguments).items() if v != "b1[1]"}

    assert refuted_by(written_out=(chain, without_bias)) == [BITS, ROUNDING, PATHS]


def transposed(parameters, X, Y, **names):
    value, gradient = sigmoid_network.value_and_grad(parameters, X, Y, **names)
    return value, [(dW.T, db) for dW, db in gradient]


def one_digit_off(parameters, X, Y, **names):
    value, gradient = sigmoid_network.value_and_grad(parameters, X, Y, **names)
    return value, [(np.nextafter(dW, np.inf), db) for dW, db in gradient]


def slightly_off(parameters, X, Y, **names):
    value, gradient = sigmoid_network.value_and_grad(parameters, X, Y, **names)
    return value, [(dW * (1 + 1e-11), db) for dW, db in gradient]


def test_a_vectorised_form_that_is_wrong_refutes_it():
    assert SHAPES in refuted_by(transposed)
    assert refuted_by(one_digit_off) == [CHAIN_BITS, BITS]
    assert {CHAIN_ROUNDING, ROUNDING} <= set(refuted_by(slightly_off))
