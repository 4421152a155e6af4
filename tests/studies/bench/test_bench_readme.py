"""docs/measured.md and the page say what the published numbers say, as they round them."""

import copy
import json
import re
from pathlib import Path

import pytest

from gradcheck.studies.bench import readme
from gradcheck.studies.bench.page import render
from gradcheck.studies.bench.readme import SHOWN, section

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "reports" / "bench"


@pytest.fixture(scope="module")
def report():
    """The published numbers."""
    return json.loads((FOLDER / "bench.json").read_text("utf-8"))


def in_docs():
    """The part of docs/measured.md that is made from them."""
    text = (ROOT / "docs" / "measured.md").read_text("utf-8")
    [part] = re.findall(r"<!-- bench -->\n(.*?)\n\n<!-- end of bench -->", text, re.DOTALL)
    return part


def test_the_docs_say_what_was_measured(report):
    """`python -m gradcheck.studies.bench.readme` prints what belongs there."""
    assert in_docs() == section(report)


def test_the_page_is_made_of_the_published_numbers(report):
    """`python -m gradcheck.studies.bench.page` writes it again."""
    assert (FOLDER / "bench.md").read_text("utf-8") == render(report)


@pytest.mark.parametrize("quantity", ["seconds", "in_passes", "smallest_error", "accused"])
def test_another_number_is_another_text(report, quantity):
    forged = copy.deepcopy(report)
    shown = {name for names in SHOWN.values() for name in names}
    rows = [row for row in forged["rows"] if row["check"] in shown and row["N"] == 9901]
    for row in rows:
        if row["threads"] == 1 and row[quantity] is not None:
            row[quantity] = 2 * row[quantity] + 1
            assert section(forged) != section(report)
            return
    pytest.fail(f"nothing is shown of {quantity}")


def test_every_check_that_is_shown_was_measured(report):
    rows = {row["check"] for row in report["rows"] if row["N"] == 9901 and row["repeats"]}
    assert {name for names in SHOWN.values() for name in names} <= rows


def test_lines_are_as_short_as_the_rest_of_the_text(report):
    lines = [line for line in section(report).splitlines() if not line.startswith("|")]
    assert max(map(len, lines)) <= readme.WIDTH
