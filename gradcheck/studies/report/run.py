"""Writes the report: measures section by section, and puts each on disk as soon as it is there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from gradcheck.problems.case import write_case
from gradcheck.studies.report import (
    consistency,
    forward_cost,
    location,
    machine,
    real_data,
    step_size,
)
from gradcheck.studies.report.accuracy import measure as accuracy
from gradcheck.studies.report.claims import judge
from gradcheck.studies.report.figures import draw, files
from gradcheck.studies.report.files import write_bytes, write_json, write_text
from gradcheck.studies.report.million import measure as million
from gradcheck.studies.report.render import render
from gradcheck.studies.report.section import Section
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import registry

FORMAT, SCHEMA = "gradcheck-report", 3

SECTIONS: dict[str, Callable[[Settings], Section]] = {
    "consistency": consistency.measure,
    "accuracy": accuracy.measure,
    "step_size": step_size.measure,
    "cost": forward_cost.measure,
    "location": location.measure,
    "million": million.measure,
    "real_data": real_data.measure,
    "textbook": registry.measure,
}


def measure(settings: Settings, *, command: str) -> Iterator[tuple[str, Section, dict[str, Any]]]:
    """Measure section by section, writing nothing.

    Args:
        settings: what to measure, and how much of it.
        command: the command that was given, for the page.

    Yields:
        After each section its name, what it found, and the content of `report.json` so far.
    """
    start = time.perf_counter()
    report: dict[str, Any] = {
        "format": FORMAT,
        "schema": SCHEMA,
        "command": command,
        "settings": settings.to_json(),
        "machine": machine.facts(),
        "complete": False,
        "sections": {},
        "claims": [],
    }
    for name, measure_section in SECTIONS.items():
        section = measure_section(settings)
        report["sections"][name] = section.to_json()
        report["claims"] = judge(report["sections"])
        report["complete"] = len(report["sections"]) == len(SECTIONS)
        report["timings"] = {"seconds": time.perf_counter() - start}
        yield name, section, report


def write_report(out: Path, settings: Settings, *, command: str) -> dict[str, Any]:
    """Measure every section and write page, numbers, tables and figures.

    After each section everything measured so far is on disk, so that an interruption or a failure
    of the next one loses nothing.

    Args:
        out: the folder to write to.
        settings: what to measure, and how much of it.
        command: the command that was given, for the page.

    Returns:
        The content of `report.json`.
    """
    report: dict[str, Any] = {}
    for name, section, report in measure(settings, command=command):
        write_json(out / "report.json", report)
        _write_parts(out, name, report["sections"][name], section)
        write_text(out / "report.md", render(report))
    return report


def _write_parts(out: Path, name: str, numbers: dict[str, Any], section: Section) -> None:
    for table, frame in section.frames.items():
        write_text(out / "tables" / f"{table}.csv", frame.to_csv(index=False, float_format="%.6g"))
    for case, problem in section.cases.items():
        (out / "cases").mkdir(parents=True, exist_ok=True)
        write_case(out / "cases" / case, problem)
    drawn = draw(name, numbers, section.frames)
    for figure_name, figure in section.figures.items():
        drawn |= files(figure_name, figure)
    for file, content in drawn.items():
        write_bytes(out / "figures" / file, content)
