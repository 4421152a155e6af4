"""The page, from `report.json` alone."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined

from gradcheck.report import tables
from gradcheck.report.accuracy import tables as accuracy
from gradcheck.report.million import tables as million
from gradcheck.report.summary import sentences
from gradcheck.report.textbook import claim
from gradcheck.report.words import count, number, seconds, share, times


def render(report: dict[str, Any]) -> str:
    """Write the page in Markdown; the same report gives the same bytes."""
    template = files("gradcheck.report").joinpath("templates/report.md.j2")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=False)  # noqa: S701 - Markdown, not HTML
    page = environment.from_string(template.read_text(encoding="utf-8")).render(
        report=report,
        sentences=sentences(report["sections"]),
        tables=tables,
        accuracy=accuracy,
        million=million,
        claim_sentences=claim.sentences,
        number=number,
        seconds=seconds,
        count=count,
        share=share,
        times=times,
    )
    return page.rstrip("\n") + "\n"
