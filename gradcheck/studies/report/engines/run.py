"""Writes the comparison: engine by engine, each on disk as soon as it is measured."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from gradcheck.engines.registry import names
from gradcheck.outcomes.exit_codes import ENGINE, NOTHING, VERIFIED, WRONG
from gradcheck.problems.case import write_case
from gradcheck.studies.report import machine
from gradcheck.studies.report.engines.draw import Extent
from gradcheck.studies.report.engines.measure import Measured, Numbers, measure
from gradcheck.studies.report.engines.neuron import LOGITS
from gradcheck.studies.report.engines.page import fails, render
from gradcheck.studies.report.engines.pictures import saturation
from gradcheck.studies.report.engines.tables import compared, panels, value_of
from gradcheck.studies.report.figures import files
from gradcheck.studies.report.files import write_bytes, write_json, write_text

FORMAT, SCHEMA = "gradcheck-engines", 1
ALL = "all"
BESIDE = ("verify.md", "findings.md")
"""Pages that the comparison names if they are in its folder."""


def chosen(given: Sequence[str]) -> list[str]:
    """Return the engines that are compared: "all" stands for every registered one.

    >>> chosen(["reference", "reference", "chain-rule"])
    ['reference', 'chain-rule']
    """
    every = [name for spec in given for name in (names() if spec == ALL else [spec])]
    return list(dict.fromkeys(every))


def write_comparison(out: Path, engines: Sequence[str], extent: Extent, *, command: str) -> Numbers:
    """Measure engine by engine, and write page, numbers, tables and the figure.

    After each engine everything measured so far is on disk; the figure is drawn at the end, also
    of an interrupted run.

    Args:
        out: the folder to write to.
        engines: as `gradcheck.engines.registry.find` takes them.
        extent: how much is measured.
        command: that was given, for the page.

    Returns:
        The content of `report.json`.
    """
    start = time.perf_counter()
    report: Numbers = {
        "format": FORMAT,
        "schema": SCHEMA,
        "command": command,
        "extent": asdict(extent),
        "machine": machine.facts(),
        "complete": False,
        "engines": [],
    }
    rows: list[Numbers] = []
    try:
        for spec in engines:
            measured = measure(spec, extent)
            report["engines"].append(measured.numbers)
            report["complete"] = len(report["engines"]) == len(engines)
            report["timings"] = {"seconds": time.perf_counter() - start}
            rows += measured.rows
            _write(out, report, rows, measured)
    finally:
        if report["engines"]:
            _draw(out, report)
    return report


def exit_code(report: Numbers) -> int:
    """Decide the exit code: 1 as soon as one engine is wrong anywhere, as everywhere."""
    every = compared(report)
    if not every:
        return ENGINE
    if any(map(fails, every)):
        return WRONG
    passed = any(
        e[what]["verdicts"]["PASS"] for e in every for what in ("agreement", "consistency")
    )
    return VERIFIED if passed else NOTHING


def _write(out: Path, report: Numbers, rows: Sequence[Numbers], measured: Measured) -> None:
    write_json(out / "report.json", report)
    for name, problem in measured.cases.items():
        (out / "cases").mkdir(parents=True, exist_ok=True)
        write_case(out / "cases" / name, problem)
    tables = {"engines": pd.DataFrame(rows), "saturation": pd.DataFrame(_points(report))}
    for name, frame in tables.items():
        write_text(out / "tables" / f"{name}.csv", frame.to_csv(index=False, float_format="%.6g"))
    beside = [name for name in BESIDE if (out / name).exists()]
    write_text(out / "report.md", render(report, beside=beside))


def _draw(out: Path, report: Numbers) -> None:
    for name, content in files("saturation", saturation(report)).items():
        write_bytes(out / "figures" / name, content)


def _points(report: Numbers) -> Iterator[dict[str, Any]]:
    """Yield a row a neuron: who is wrong there, and every engine's relative error, "" for none."""
    engines = [engine for engine in compared(report) if engine["saturation"]]
    for dtype, target in panels(report):
        curves = {
            engine["spec"]: one
            for engine in engines
            for one in engine["saturation"]
            if (one["dtype"], one["target"]) == (dtype, target)
        }
        for place, z in enumerate(LOGITS):
            errors = {spec: f"{value_of(one['errors'][place]):.3g}" for spec, one in curves.items()}
            wrong = "; ".join(spec for spec, one in curves.items() if z in one["wrong"])
            told = {engine["spec"]: errors.get(engine["spec"], "") for engine in engines}
            yield {"dtype": dtype, "target": target, "z": z, "wrong": wrong} | told
