import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c10_gates import CLAIM, TEXTBOOK, f, measure, q, x, y, z
from gradcheck.studies.report.textbook.claim import ruling, section, sentences
from reference_models.circuit import Circuit
from reference_models.drawing import drawing


def refuted_by(**broken):
    evidence = measure(Settings(), **broken)
    assert ruling(evidence) == "refuted"
    return [i for i, finding in enumerate(evidence.findings) if not finding.holds]


def test_the_textbook_circuit_has_the_textbook_numbers(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == "confirmed"
    told = sentences(section([CLAIM], [evidence]).to_json(), "C10")
    assert told[0] == "f = -12 and the gradient is (-4, -4, 3); q = 3 receives -4"
    assert "dq/dx = 1, dq/dy = 1, df/dq = -4, df/dz = 3" in told[1]
    assert "decrease by 0.03125 and 0.03125" in told[3]
    assert "the multiply gate rises by 0.25 (predicted: 0.25), to -11.75" in told[3]
    assert told[4] == "q moved by 1 changes f by -4, the gradient that q receives"


def test_a_wrong_sign_refutes_it():
    def negative(circuit, values):
        return {node: -value for node, value in Circuit.backward(circuit, values).items()}

    assert refuted_by(backward=negative) == [0, 1, 2, 3, 4, 5]


def test_numbers_right_at_the_textbook_point_alone_refute_it():
    """A gate that does not use its own inputs gives the textbook's numbers everywhere."""

    def remembered(_circuit, _values):
        return {**dict(zip((x, y, z), TEXTBOOK.values(), strict=True)), q: -4.0, f: 1.0}

    assert refuted_by(backward=remembered) == [2]


def test_a_gate_that_receives_another_gradient_refutes_it():
    def other(circuit, values):
        return {**Circuit.backward(circuit, values), q: 4.0}

    assert refuted_by(backward=other) == [1, 4, 5]


@pytest.mark.parametrize(
    ("right", "wrong"), [("-12", "12"), ("q", "p"), ("-4      1", "-4      0")]
)
def test_a_wrong_number_in_the_drawing_refutes_it(right, wrong):
    def drawn(*arguments, **names):
        table = drawing(*arguments, **names)
        assert right in table
        return table.replace(right, wrong)

    assert refuted_by(draw=drawn) == [5]
