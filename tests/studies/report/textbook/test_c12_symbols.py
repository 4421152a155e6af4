"""C12 is refined by a library that is said to return values and differentiates what it returned."""

import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import c12_symbols, libraries
from gradcheck.studies.report.textbook.c12_symbols import CLAIM, measure
from gradcheck.studies.report.textbook.claim import (
    CONFIRMED,
    REFINED,
    REFUTED,
    ruling,
    section,
    sentences,
)
from reference_models.circuit import Circuit


def refuted_by(**broken):
    evidence = measure(Settings(), **broken)
    assert ruling(evidence) == "refuted"
    return [i for i, finding in enumerate(evidence.findings) if not finding.holds]


def test_both_kinds_agree_and_one_goes_on(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == evidence.expected == CONFIRMED
    assert len(evidence.findings) == 7
    assert evidence.findings[1].results["asked"].startswith("none of PyTorch, ")
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


# --- libraries ------------------------------------------------------------------------------------


class Cubes:
    """A library that knows x^3 alone, and is asked for nothing else."""

    name, engine, as_said, contradicts = "Cubes", "torch", "symbol to number", True

    def usual_again(self, f, x):
        return False

    def derivative(self, f, order):
        return {
            0: lambda x: x**3,
            1: lambda x: 3 * x**2,
            2: lambda x: 6 * x,
            3: lambda x: np.full(x.shape, 6.0),
        }[order]


class WrongInTheThird(Cubes):
    def derivative(self, f, order):
        right = super().derivative(f, order)
        return (lambda x: right(x) + 1e-3) if order == 3 else right


class SaidToReturnGraphs(WrongInTheThird):
    contradicts = False


@pytest.mark.parametrize(
    ("library", "ruled", "expected"),
    [
        (Cubes, REFINED, REFINED),
        (WrongInTheThird, CONFIRMED, REFINED),
        (SaidToReturnGraphs, REFUTED, CONFIRMED),
    ],
)
def test_the_ruling_follows_from_what_a_library_does(library, ruled, expected, monkeypatch):
    monkeypatch.setattr(c12_symbols, "NETWORKS", c12_symbols.NETWORKS[:1])
    evidence = measure(Settings(libraries=("torch",)), libraries={"torch": library})
    assert (ruling(evidence), evidence.expected) == (ruled, expected)
    told = section([CLAIM], [evidence]).to_json()
    assert told["results"]["C12"]["expected"] == expected
    assert sentences(told, "C12")[-1].partition("Cubes")[1]


@pytest.mark.parametrize("name", libraries.LIBRARIES)
def test_what_is_installed_differentiates_what_it_returned(name):
    """The second derivative of 1 / (1 + exp(-x)) and of its derivatives, by the library itself."""
    if name not in libraries.installed():
        pytest.skip(f"{name} is not installed")
    library = libraries.LIBRARIES[name]()
    finding = c12_symbols._of_library(library, libraries.version(name), seed=1)
    assert finding.holds
    assert finding.contradicts is (name == "torch")
    assert finding.results["usual"] == ("no" if name == "torch" else "yes")
    assert finding.timings["version"]
