"""C22 is refuted where q has a gradient other than 1, and by nothing else."""

import numpy as np
import pytest

from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.c10_gates import q, z
from gradcheck.studies.report.textbook.c22_intermediate import CLAIM, measure
from gradcheck.studies.report.textbook.claim import REFUTED, ruling, section, sentences
from reference_models.circuit import Circuit


def test_the_claim_is_refuted(measured):
    evidence = measured(CLAIM)
    assert ruling(evidence) == CLAIM.expected == REFUTED
    assert [finding.holds for finding in evidence.findings] == [True, False, False, False]
    told = sentences(section([CLAIM], [evidence]).to_json(), "C22")
    assert "with 1 in its place (-4, -4, 3) becomes (1, 1, 3)" in told[1]
    assert "0 of 15 derivatives of layer 1 are right, 8 of 8 of layer 2" in told[3]


def deaf(circuit, values, wrt=None, *, seed=None):
    """Whatever is handed down, 1 is used."""
    return Circuit.backward(circuit, values, wrt, seed=None if seed is None else np.ones_like(seed))


def doubled(circuit, values, wrt=None, *, seed=None):
    """What is handed down counts twice."""
    return Circuit.backward(circuit, values, wrt, seed=None if seed is None else 2 * seed)


@pytest.mark.parametrize(
    ("broken", "expected"),
    [
        ({"backward": deaf}, [False, True, True, False]),
        ({"backward": doubled}, [False, False, False, False]),
        ({"output": q + z}, [True, True, True, False]),
    ],
    ids=["deaf", "doubled", "a gate that hands 1 down"],
)
def test_what_turns_which_finding(broken, expected):
    found = measure(Settings(), **broken).findings
    assert [finding.holds for finding in found] == expected
