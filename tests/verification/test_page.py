"""The HTML page, read by a parser that knows which elements close."""

import re
from functools import cache
from html.parser import HTMLParser
from itertools import pairwise

import pytest
import synthetic_log
from some import some

from gradcheck.verification.page import LISTED, render
from gradcheck.verification.summary import summarise

VOID = {"meta"}


class Reader(HTMLParser):
    """Collects elements and texts; counts what is not closed in order."""

    def __init__(self):
        super().__init__()
        self.open, self.elements, self.texts, self.disorder = [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.disorder.append(tag)

    def handle_data(self, data):
        self.texts.append(data)


@cache
def page_of(name):
    return render(synthetic_log.summary(name))


@cache
def read(name):
    reader = Reader()
    reader.feed(page_of(name))
    return reader


def text_of(reader):
    return " ".join(" ".join(reader.texts).split())


def luminance(colour):
    """Relative luminance (WCAG 2.1) of a colour such as #1d2228."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    """Contrast ratio (WCAG 2.1)."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("name", synthetic_log.EVERY)
def test_every_element_is_closed_in_order(name):
    reader = read(name)
    assert (reader.open, reader.disorder) == ([], [])


@pytest.mark.parametrize("name", synthetic_log.EVERY)
def test_it_loads_nothing_and_runs_nothing(name):
    reader = read(name)
    tags = {tag for tag, _ in reader.elements}
    assert tags.isdisjoint({"script", "img", "link", "iframe", "object", "a", "form", "base"})
    attributes = {key for _, attrs in reader.elements for key in attrs}
    assert not any(key.startswith("on") or key in {"src", "href"} for key in attributes)
    page = page_of(name)
    style = page[page.index("<style>") : page.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_the_verdict_stands_first():
    texts = [text.strip() for text in read("saturated").texts if text.strip()]
    body = texts[texts.index("What was verified") - 4 :]
    assert body[:4] == [
        "WRONG",
        "torch-probabilities 2.13.0",
        "1 of 3 problems fails",
        "Exit code 1: a gradient is wrong.",
    ]


def test_a_failure_has_both_numbers_of_worst_and_smallest_case_and_the_replay_line():
    told = text_of(read("saturated"))
    for expected in (
        "b1[0] , layer 1, bias of unit 0 engine -0.0 exact -1.0 ± 1e-17 off by 1",
        "W2[0,1] , layer 2, weight to unit 0 from input 1 engine 0.0 exact -0.731",
        "clipped to [1e-7, 1 - 1e-7]",
        "every wrong coordinate is exactly 0",
        f"python -m gradcheck replay {synthetic_log.SMALLEST} torch-probabilities",
    ):
        assert expected in told


@pytest.mark.parametrize("name", ["died", "unusable", "empty", "header only"])
def test_an_incomplete_log_says_so_at_the_top(name):
    told = text_of(read(name))
    assert 0 < told.index("INCOMPLETE: the ") < told.index("What was verified")


def test_a_page_of_nothing_says_that_nothing_was_examined():
    told = text_of(read("empty"))
    assert "No problem was examined." in told
    assert "Nothing, for nothing was examined." in told


def test_hostile_names_are_text_and_nothing_else():
    reader = read("hostile")
    assert "script" not in {tag for tag, _ in reader.elements}
    assert synthetic_log.HOSTILE.split(" a|b")[0] in text_of(reader)
    page = render(synthetic_log.summary("hostile"))
    assert "{{ 7*7 }}" in page
    assert page.isprintable() or all(c.isprintable() or c == "\n" for c in some(page))
    page.encode()


@pytest.mark.parametrize("name", synthetic_log.EVERY)
def test_tables_have_captions_and_scopes_and_headings_descend_by_one(name):
    reader = read(name)
    tags = [tag for tag, _ in reader.elements]
    assert tags.count("table") == tags.count("caption")
    heads = [attrs for tag, attrs in reader.elements if tag == "th"]
    assert bool(heads) == ("table" in tags)
    assert all("scope" in attrs for attrs in heads)
    levels = [int(tag[1]) for tag in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(later <= earlier + 1 or later == 4 for earlier, later in pairwise(some(levels)))
    figures = [attrs for tag, attrs in reader.elements if tag == "svg"]
    assert bool(figures) == (name in {"right", "saturated", "many", "hostile", "declared"})
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)


@pytest.mark.parametrize("theme", [0, 1])
def test_texts_contrast_with_their_backgrounds(theme):
    page = render(synthetic_log.summary("right"))
    blocks = re.findall(r":root \{(.*?)\}", page, re.DOTALL)
    assert len(blocks) == 2
    colours = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", blocks[theme]))
    for ink in ("ink", "soft", "bad", "open"):
        assert contrast(colours[ink], colours["page"]) >= 4.5
        assert contrast(colours[ink], colours["card"]) >= 4.5
    for mood in ("good", "bad", "open"):
        for ink in (mood, "ink", "soft"):
            assert contrast(colours[ink], colours[f"{mood}-back"]) >= 4.5


def test_a_contrast_that_is_too_low_is_seen():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#999999", "#ffffff") < 4.5


def test_thousands_of_problems_stay_small_and_fifty_failures_are_listed():
    summary = synthetic_log.summary("many")
    page = render(summary)
    assert len(page.encode()) < 1_000_000
    ways = len(summary.failures)
    assert ways > LISTED
    assert page.count('<span class="fail">FAIL</span>') == LISTED
    assert f"... and {ways - LISTED} more ways to fail." in page


def test_the_same_log_gives_the_same_bytes():
    assert render(summarise(synthetic_log.right())) == render(summarise(synthetic_log.right()))
