"""C13 holds for gradient descent and for no descent that treats lambda otherwise."""

import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c13_learning_rate import CLAIM, measure
from gradcheck.studies.report.textbook.claim import REFINED, REFUTED, ruling
from reference_models.training import gradient_descent


def deaf(*args, learning_rate, **keywords):
    """The same rate, whatever lambda is."""
    return gradient_descent(*args, learning_rate=2.0, **keywords)


def rooted(*args, learning_rate, **keywords):
    """Faster with lambda, but as its square root."""
    return gradient_descent(*args, learning_rate=learning_rate**0.5, **keywords)


def careful(*args, learning_rate, **keywords):
    """Never above what is safe: the limits are gone."""
    return gradient_descent(*args, learning_rate=min(learning_rate, 5.6), **keywords)


def slightly_long(*args, learning_rate, **keywords):
    return gradient_descent(*args, learning_rate=1.001 * learning_rate, **keywords)


def test_the_claim_is_refined(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == REFINED
    (name,) = evidence.frames
    assert CLAIM.look == f"figures/{name}.svg"
    assert set(evidence.figures) == {name}


@pytest.mark.parametrize(
    ("descend", "expected"),
    [
        (deaf, [False, False, False, False]),
        pytest.param(rooted, [True, False, False, False], marks=pytest.mark.nightly),
        pytest.param(careful, [True, False, False, False], marks=pytest.mark.nightly),
        (slightly_long, [True, False, True, False]),
    ],
)
def test_what_another_use_of_lambda_breaks(descend, expected):
    evidence = measure(Settings(), descend=descend)
    assert ruling(evidence) == REFUTED
    assert [finding.holds for finding in evidence.findings] == expected
