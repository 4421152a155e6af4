import numpy as np

from gradcheck.report.settings import Settings
from gradcheck.report.textbook.c12_symbols import CLAIM, measure
from gradcheck.report.textbook.claim import ruling, section, sentences
from reference_models.circuit import Circuit


def refuted_by(**broken):
    evidence = measure(Settings(), **broken)
    assert ruling(evidence) == "refuted"
    return [i for i, finding in enumerate(evidence.findings) if not finding.holds]


def test_both_kinds_agree_and_one_goes_on(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == "confirmed"
    assert len(evidence.findings) == 7
    assert all(sentences(section([CLAIM], [evidence]).to_json(), "C12"))


def test_numbers_one_unit_in_the_last_place_off_refute_it():
    def off(circuit, values, wrt):
        g = Circuit.backward(circuit, values, wrt)
        return {node: np.nextafter(value, np.asarray(1, value.dtype)) for node, value in g.items()}

    assert refuted_by(backward=off) == [0]


def test_a_gradient_that_goes_wrong_when_differentiated_again_refutes_it():
    """First derivatives right, every higher one too large by a thousandth."""
    first = {}

    def gradient(circuit, wrt):
        found = Circuit.gradient(circuit, wrt)
        of_loss = not any(node in first for node in circuit.nodes if node.inputs)
        if of_loss:
            first.update(dict.fromkeys(found.outputs, True))
            return found
        return Circuit(*(output * 1.001 for output in found.outputs))

    assert refuted_by(gradient=gradient) == [2, 3, 5, 6]
