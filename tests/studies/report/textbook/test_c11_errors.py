import numpy as np
import pytest
from some import some

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c11_errors import (
    CLAIM,
    EQUATIONS,
    bias,
    measure,
    output,
    recursion,
    weight,
)
from gradcheck.studies.report.textbook.claim import ruling, section, sentences
from reference_models.activations import sigmoid
from reference_models.circuit import Circuit


def test_the_error_and_each_equation_agree_with_differences(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == "confirmed"
    assert len(evidence.findings) == 5
    assert all(sentences(section([CLAIM], [evidence]).to_json(), "C11"))


def transposed(delta, W, z_below):
    return recursion(delta, W.T if len(W) == W.shape[1] else W[::-1], z_below)


BROKEN = {
    "output": lambda z, Y, _cost: (sigmoid(z) - Y) / len(z),  # no sigma' in the quadratic loss
    "recursion": lambda delta, W, _z: delta @ W,
    "bias": lambda delta: delta.mean(axis=0),
    "weight": lambda delta, a: delta.T @ (a * (1 - a)),
}
SLIGHTLY = {
    "output": lambda z, Y, cost: output(z, Y, cost) * (1 + 1e-5),
    "recursion": lambda delta, W, z: recursion(delta, W, z) * (1 + 1e-5),
    "bias": lambda delta: bias(delta) * (1 + 1e-5),
    "weight": lambda delta, a: weight(delta, a) * (1 + 1e-5),
}
EQUATION = {"output": 1, "recursion": 2, "bias": 3, "weight": 4}


@pytest.mark.parametrize("defects", [BROKEN, SLIGHTLY], ids=["broken", "slightly"])
def test_a_broken_equation_is_refuted_and_no_other(defects, networks):
    for name, defect in some(defects.items()):
        evidence = networks(EQUATIONS._replace(**{name: defect}))
        assert ruling(evidence) == "refuted"
        assert [i for i, f in enumerate(evidence.findings) if not f.holds] == [EQUATION[name]]


def test_a_transposed_matrix_is_refuted(networks):
    evidence = networks(EQUATIONS._replace(recursion=transposed))
    assert [i for i, f in enumerate(evidence.findings) if not f.holds] == [2]


def test_a_gradient_of_another_shape_is_refuted(networks):
    evidence = networks(EQUATIONS._replace(weight=lambda delta, a: weight(delta, a).T))
    assert [i for i, f in enumerate(evidence.findings) if not f.holds] == [4]


def test_an_error_that_is_one_per_cent_off_is_refuted(networks):
    def enlarged(circuit, values, wrt):
        return {z: np.asarray(g) * 1.01 for z, g in Circuit.backward(circuit, values, wrt).items()}

    evidence = networks(EQUATIONS, backward=enlarged)
    assert [i for i, f in enumerate(evidence.findings) if not f.holds] == [0]


@pytest.fixture(scope="module")
def networks(shortened):
    """`measure` with the differences of each network taken once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        shortened(patch)
        yield lambda equations, **options: measure(Settings(), equations, **options)
