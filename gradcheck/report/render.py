"""The page, from `report.json` alone."""

from __future__ import annotations

from typing import Any

from gradcheck.report import tables
from gradcheck.report.accuracy import tables as accuracy
from gradcheck.report.how_sure import grounds
from gradcheck.report.million import tables as million
from gradcheck.report.summary import sentences
from gradcheck.report.template import template
from gradcheck.report.textbook import claim
from gradcheck.report.words import count, number, part_of, seconds, share, times
from gradcheck.report.wrap import wrapped


def render(report: dict[str, Any]) -> str:
    """Write the page in Markdown; the same report gives the same bytes."""
    page = template("report.md.j2").render(
        report=report,
        sentences=sentences(report["sections"]),
        grounds=grounds(report),
        tables=tables,
        accuracy=accuracy,
        million=million,
        claim_sentences=claim.sentences,
        number=number,
        seconds=seconds,
        count=count,
        part_of=part_of,
        share=share,
        times=times,
    )
    return wrapped(page)
