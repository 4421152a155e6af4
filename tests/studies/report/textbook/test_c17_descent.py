"""C17 holds for training that goes down and for contributions that are each weight's own."""

import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import curves
from gradcheck.studies.report.textbook.c17_descent import CLAIM, measure
from gradcheck.studies.report.textbook.claim import REFINED, REFUTED, ruling
from reference_models.sigmoid_network import value_and_grad
from reference_models.training import contributions


@pytest.fixture(autouse=True, scope="module")
def short():
    """The curves are drawn, not judged, by this claim: trained once for all tests."""
    curves.curves.cache_clear()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves, "EPOCHS", dict.fromkeys(curves.KINDS, 1))
        yield
    curves.curves.cache_clear()


def uphill(*batch):
    C, gradient = value_and_grad(*batch)
    return C, [(-dW, -db) for dW, db in gradient]


def without_bias(*batch):
    """Descends where it moves, traces what it moves, and arrives at no minimum."""
    C, gradient = value_and_grad(*batch)
    return C, [(dW, 0 * db) for dW, db in gradient]


def half(gradient, learning_rate):
    return contributions(gradient, learning_rate / 2)


def without_biases(gradient, learning_rate):
    return [(dW, 0 * db) for dW, db in contributions(gradient, learning_rate)]


def handed_on(gradient, learning_rate):
    """The right sum, every part with the wrong weight."""
    return [(dW[:, ::-1], db[::-1]) for dW, db in contributions(gradient, learning_rate)]


DOWN, TRACED = [True, True], [True, True, True]
REST = [True, True]


def test_the_claim_is_refined(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == REFINED
    (name,) = evidence.frames
    assert CLAIM.look == f"figures/{name}.svg"
    assert set(evidence.figures) == {name}


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        pytest.param(
            {"traced": half}, [*DOWN, False, False, False, *REST], marks=pytest.mark.nightly
        ),
        ({"traced": without_biases}, [*DOWN, False, False, False, *REST]),
        ({"traced": handed_on}, [*DOWN, True, True, False, *REST]),
        ({"value_and_grad": uphill}, [False, False, False, False, False, *REST]),
        ({"value_and_grad": without_bias}, [False, True, *TRACED, *REST]),
    ],
)
def test_what_each_wrong_part_breaks(broken, expected):
    evidence = measure(Settings(), **broken)
    assert ruling(evidence) == REFUTED
    assert [finding.holds for finding in evidence.findings] == expected
