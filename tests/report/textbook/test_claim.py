"""A ruling is earned by findings, and its sentences are written from what the report holds."""

import pytest

from gradcheck.report.settings import Settings
from gradcheck.report.textbook.claim import (
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
from gradcheck.report.textbook.registry import TEXTBOOK, measure_claims


def claim(precise=""):
    return Claim("C0", "water is wet", "touching it", lambda _: Evidence(()), precise)


def evidence(*holds):
    return Evidence(tuple(Finding("it is", h) for h in holds))


@pytest.mark.parametrize(
    ("precise", "holds", "expected"),
    [
        ("", (True, True), CONFIRMED),
        ("wet to the touch", (True,), REFINED),
        ("", (True, False), REFUTED),
        ("wet to the touch", (False,), REFUTED),
        ("", (), REFUTED),
    ],
)
def test_a_ruling_rests_on_every_finding(precise, holds, expected):
    assert ruling(claim(precise), evidence(*holds)) == expected


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


def test_a_finding_that_does_not_hold_says_so():
    content = section([claim()], [evidence(False)]).to_json()
    assert sentences(content, "C0") == ["**does not hold:** it is"]


def test_all_eighteen_claims_are_there_in_order():
    assert list(TEXTBOOK) == [f"C{n}" for n in range(1, 19)]


def test_one_claim_is_measured_alone():
    content = measure_claims([TEXTBOOK["C10"]], Settings()).to_json()
    assert list(content["results"]) == ["C10"]
    assert content["results"]["C10"]["ruling"] == REFINED
    assert sentences(content, "C10")[0].startswith("f = -12")
