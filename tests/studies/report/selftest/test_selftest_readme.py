"""docs/measured.md and the page say what the published examination says."""

import copy
import json
import re
from pathlib import Path

import pytest

from gradcheck.studies.report.selftest.page import render
from gradcheck.studies.report.selftest.readme import section

ROOT = Path(__file__).parents[4]
FOLDER = ROOT / "reports" / "selftest"


@pytest.fixture(scope="module")
def report():
    """The published numbers."""
    return json.loads((FOLDER / "report.json").read_text("utf-8"))


def test_the_docs_say_what_was_measured(report):
    """`python -m gradcheck.studies.report.selftest.readme` prints what belongs there."""
    text = (ROOT / "docs" / "measured.md").read_text("utf-8")
    [part] = re.findall(r"<!-- power -->\n(.*?)\n\n<!-- end of power -->", text, re.DOTALL)
    assert part == section(report)


def test_the_page_is_made_of_the_published_numbers(report):
    assert (FOLDER / "selftest.md").read_text("utf-8") == render(report)


def test_another_number_is_another_text(report):
    for scale, said in (("1", "caught"), ("1e-6", "caught"), ("1", "accused"), ("1e6", "accused")):
        forged = copy.deepcopy(report)
        told = forged["mistakes"]["checkers"]["torch slow, scaled"][scale]
        told[said] = told[said][1:] if said == "caught" else told[said] + 1
        assert section(forged) != section(report)
