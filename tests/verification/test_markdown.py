"""The Markdown of a CI job's summary."""

import re

import pytest
import synthetic_log

from gradcheck.verification.markdown import SPECIAL, code, escape, render


def markdown_of(name):
    return render(synthetic_log.summary(name))


def test_the_verdict_stands_first():
    lines = markdown_of("saturated").splitlines()
    assert lines[0] == "## gradcheck: WRONG, torch-probabilities 2.13.0"
    assert lines[2] == "WRONG: 1 of 3 problems fails; exit code 1: a gradient is wrong."


def test_a_failure_is_folded_with_both_numbers_and_the_replay_line():
    folded = markdown_of("saturated").split("<details>")[1].split("</details>")[0]
    assert "engine -0.0, exact -1.0 ± 1e-17: off by 1, allowed 3e-16" in folded
    assert f"- replay: `python -m gradcheck replay {synthetic_log.SMALLEST} " in folded
    assert f"`{synthetic_log.SATURATED}`" in folded


@pytest.mark.parametrize("name", synthetic_log.EVERY)
def test_tables_are_whole_and_details_are_closed(name):
    text = markdown_of(name)
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    assert bool(tables) == (name != "empty")
    for table in tables:
        assert len({row.count("|") for row in table.splitlines()}) == 1
    assert text.count("<details>") == text.count("</details>")
    assert text.count("<summary>") == text.count("</summary>")


@pytest.mark.parametrize("name", ["died", "unusable", "empty", "header only"])
def test_an_incomplete_log_says_so_before_anything_is_counted(name):
    assert "**INCOMPLETE: " in markdown_of(name).splitlines()[2]


def test_hostile_names_are_text_and_nothing_else():
    text = markdown_of("hostile")
    assert "<script" not in text
    assert "`c`" not in text
    assert "**d**" not in text
    tags = set(re.findall(r"<(/?\w+)", text))
    assert {tag.strip("/") for tag in tags} <= {"details", "summary", "b", "br", "code"}
    text.encode()


def test_an_escaped_text_has_no_special_character_left():
    hostile = "\\`*_[]<>|~$@"
    assert SPECIAL.sub("", re.sub(r"&#[0-9]+;", "", escape(hostile))) == ""
    assert code(synthetic_log.TOKEN) == f"`{synthetic_log.TOKEN}`"
    assert code("") == "<code></code>"


def test_it_is_short_for_thousands_of_problems():
    text = markdown_of("many")
    assert len(text) < 20_000
    ways = len(synthetic_log.summary("many").failures)
    assert f"... and {ways - 10} more ways to fail." in text
