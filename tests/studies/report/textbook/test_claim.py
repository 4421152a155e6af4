"""A ruling is earned by findings, and its sentences are written from what the report holds."""

from dataclasses import replace

import pytest

from gradcheck.studies.report.claims import judge
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import (
    CONFIRMED,
    REFINED,
    REFUTED,
    Claim,
    Evidence,
    Finding,
    ruling,
    section,
    sentences,
)
from gradcheck.studies.report.textbook.registry import TEXTBOOK, measure_claims


def claim():
    return Claim("C0", "wet water", "water is wet", "touching it", lambda _: Evidence(()))


def evidence(*holds, contradicting=()):
    implied = [Finding("it is", h) for h in holds]
    return Evidence((*implied, *(Finding("it is dry", h, contradicts=True) for h in contradicting)))


@pytest.mark.parametrize(
    ("holds", "contradicting", "expected"),
    [
        ((True, True), (), CONFIRMED),
        ((True, True), (False,), CONFIRMED),
        ((True,), (True,), REFINED),
        ((True,), (False, True), REFINED),
        ((True, False), (), REFUTED),
        ((True, False), (True,), REFUTED),
        ((), (), REFUTED),
        ((), (True,), REFUTED),
    ],
)
def test_a_ruling_follows_from_the_findings_alone(holds, contradicting, expected):
    assert ruling(evidence(*holds, contradicting=contradicting)) == expected


def test_sentences_are_written_from_json_alone():
    finding = Finding(
        "{n} found in {t:seconds}, {r:times} times, {x:.3f}, {words}",
        holds=True,
        results={"n": 3, "words": "dry"},
        measured={"x": 1.23456, "r": 1234.5},
        timings={"t": 0.0021},
    )
    content = section([claim()], [Evidence((finding,))]).to_json()
    assert sentences(content, "C0") == ["3 found in 2.1 ms, 1,200 times, 1.235, dry"]


def test_a_finding_says_whether_it_holds_and_what_it_contradicts():
    content = section([claim()], [evidence(True, False, contradicting=(True, False))]).to_json()
    assert sentences(content, "C0") == [
        "it is",
        "*not as expected:* **does not hold:** it is",
        "*against the wording:* it is dry",
        "*not as expected:* *not found:* it is dry",
    ]


def test_what_is_expected_not_to_hold_is_no_surprise():
    findings = (
        Finding("it is", False, expected=False),
        Finding("it was", True, expected=False),
        Finding("it may be", True, expected=None),
        Finding("it may be", False, expected=None),
    )
    content = section([claim()], [Evidence(findings)]).to_json()
    assert sentences(content, "C0") == [
        "**does not hold:** it is",
        "*not as expected:* it was",
        "it may be",
        "**does not hold:** it may be",
    ]


def test_a_claim_falls_with_any_finding_that_is_not_as_expected():
    """Also with one that leaves the ruling as it is."""

    def judged(*findings):
        refuted = replace(claim(), expected=REFUTED)
        content = section([refuted], [Evidence(findings)]).to_json()
        assert content["results"]["C0"]["ruling"] == REFUTED
        return judge({"textbook": content})[0]["holds"]

    lost = Finding("it is", False, expected=False)
    for contradicts in (False, True):
        holds, fails = (Finding("it was", h, contradicts=contradicts) for h in (True, False))
        assert judged(lost, holds)
        assert not judged(lost, fails)


def test_every_claim_is_there_in_order():
    assert list(TEXTBOOK) == [f"C{n}" for n in range(1, 33)]


@pytest.mark.parametrize("claim", TEXTBOOK.values(), ids=TEXTBOOK)
def test_the_title_of_a_claim_has_six_words_at_most(claim):
    assert 2 <= len(claim.title.split()) <= 6


def test_one_claim_is_measured_alone():
    content = measure_claims([TEXTBOOK["C10"]], Settings()).to_json()
    assert list(content["results"]) == ["C10"]
    assert content["results"]["C10"]["ruling"] == CONFIRMED
    assert sentences(content, "C10")[0].startswith("f = -12")


@pytest.mark.nightly
@pytest.mark.parametrize("name", TEXTBOOK)
def test_a_claim_holds_on_networks_of_its_own_size(name, tiny):
    one = TEXTBOOK[name]
    assert ruling(one.measure(tiny)) == one.expected
