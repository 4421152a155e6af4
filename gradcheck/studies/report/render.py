"""The page, from `report.json` alone."""

from __future__ import annotations

from typing import Any

from gradcheck.studies.report import tables
from gradcheck.studies.report.accuracy import tables as accuracy
from gradcheck.studies.report.how_sure import grounds
from gradcheck.studies.report.million import tables as million
from gradcheck.studies.report.summary import sentences
from gradcheck.studies.report.template import template
from gradcheck.studies.report.textbook import claim
from gradcheck.studies.report.words import count, number, part_of, seconds, share, times
from gradcheck.studies.report.wrap import wrapped


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
