"""Lines of a page: none too long, nothing lost, nothing made a list that was none."""

import re

import pytest

from gradcheck.studies.report.wrap import WIDTH, wrapped

LONG = "the loss and its gradient cost " * 8
CODE = "`python -m gradcheck replay " + "x" * 90 + " reference`"


@pytest.mark.parametrize("marker", ["", "- ", "1. ", "12. ", "> ", "  "])
def test_a_long_line_is_broken_and_goes_on_under_its_text(marker):
    lines = wrapped(marker + LONG).splitlines()
    assert len(lines) == 3
    assert max(map(len, lines)) <= WIDTH
    hanging = "> " if marker == "> " else " " * len(marker)
    assert all(re.match(rf"{re.escape(hanging)}\w", line) for line in lines[1:])
    words = [line.removeprefix(hanging) for line in lines[1:]]
    assert " ".join([lines[0].removeprefix(marker), *words]) == LONG.strip()


@pytest.mark.parametrize("line", ["| " + LONG + " |", "# " + LONG, "![a " + LONG + "](b.svg)"])
def test_tables_headings_and_figures_are_kept(line):
    assert wrapped(line) == line + "\n"


def test_code_is_kept_in_blocks_and_in_one_word():
    for block in (f"```\n{LONG}\n```\n", f"- item\n\n  ```\n  {LONG}\n  ```\n"):
        assert wrapped(block) == block
    lines = wrapped(f"again with {CODE} in this folder {LONG}").splitlines()
    assert lines[0] == "again with"
    assert lines[1].startswith(CODE)


@pytest.mark.parametrize("sign", ["-", "+", "*", ">", "#", "=", "1.", "3)", "--"])
def test_no_line_begins_with_what_would_open_a_block(sign):
    for start in range(1, WIDTH):
        page = wrapped("x" * start + f" {sign} n_0 n_1 / M" + " and" * 30)
        assert page.splitlines()[1].lstrip()[0] not in "-+*>#=", page
        assert not re.search(r"^(1\.|3\))", page, re.MULTILINE), page


@pytest.mark.parametrize("word", ["-0.5", "*small*", "**no**", "#1", "=0"])
def test_a_line_may_begin_with_a_word_that_opens_nothing(word):
    assert wrapped(f"{'x' * (WIDTH - 1)} {word} and").splitlines()[1] == f"{word} and"


def test_wrapping_again_changes_nothing():
    page = f"# A\n\n- {LONG}\n- {CODE} {LONG}\n\n{LONG}\n{LONG}\n\n> {LONG}\n"
    assert wrapped(wrapped(page)) == wrapped(page)


def test_lines_of_a_paragraph_are_joined_and_items_are_not():
    assert wrapped("one\ntwo\n\n- three\n  four\n- five\n") == "one two\n\n- three four\n- five\n"
