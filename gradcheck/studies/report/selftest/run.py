"""Writes the examination: part by part, each on disk as soon as it is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from gradcheck import selftest as plain
from gradcheck.selftest import Selftest
from gradcheck.studies.peers.base import Peer
from gradcheck.studies.peers.registry import PEERS
from gradcheck.studies.report import machine
from gradcheck.studies.report.figures import files
from gradcheck.studies.report.files import write_bytes, write_json, write_text
from gradcheck.studies.report.section import to_json
from gradcheck.studies.report.selftest import curves, matrix, mistakes, pictures
from gradcheck.studies.report.selftest.checkers import Checker, checkers, missing
from gradcheck.studies.report.selftest.extent import LEFT_OUT, Extent
from gradcheck.studies.report.selftest.page import render

FORMAT, SCHEMA = "gradcheck-selftest", 1

Numbers = dict[str, Any]

ROWS: dict[str, Callable[[Any], Any]] = {
    "matrix": matrix.rows,
    "curves": curves.rows,
    "mistakes": mistakes.rows,
}


def write_selftest(
    out: Path,
    extent: Extent,
    *,
    command: str,
    say: Callable[[str], object] = print,
    result: Selftest | None = None,
    peers: dict[str, Peer] | None = None,
) -> Numbers:
    """Examine the checker, and write page, numbers, tables and figures.

    Args:
        out: the folder to write to.
        extent: how much is measured.
        command: that was given, for the page.
        say: is told what the plain selftest prints.
        result: of the plain selftest; default: it is run.
        peers: who is measured beside; default: all that are known, installed or not, but those
            of LEFT_OUT.

    Returns:
        The content of `report.json`.
    """
    start = time.perf_counter()
    known = {name: p for name, p in PEERS.items() if name not in LEFT_OUT}
    asked = checkers(known if peers is None else peers)
    if result is None:
        result = plain.selftest(clean=extent.clean, jobs=extent.jobs)
    say(plain.told(result))
    report: Numbers = {
        "format": FORMAT,
        "schema": SCHEMA,
        "command": command,
        "extent": asdict(extent),
        "machine": machine.facts(),
        "complete": False,
        "checkers": [_described(checker) for checker in asked],
        "missing": missing(known if peers is None else peers),
        "selftest": summary(result),
        "timings": {},
    }
    parts: dict[str, Callable[[], Any]] = {
        "matrix": lambda: matrix.measure(result, extent),
        "curves": lambda: curves.measure(asked, extent),
        "mistakes": lambda: mistakes.measure(asked, extent),
    }
    for name, measure in parts.items():
        began = time.perf_counter()
        report[name] = to_json(measure())
        report["timings"][name] = time.perf_counter() - began
        report["timings"]["seconds"] = time.perf_counter() - start
        report["complete"] = name == list(parts)[-1]
        _write(out, report, name)
    return report


def is_sound(report: Numbers) -> bool:
    """Whether no mistake escaped and no right gradient was accused by a check of our own."""
    return bool(report["selftest"]["is_sound"]) and not accusations(report)


def accusations(report: Numbers) -> list[str]:
    """Name the checks of our own, or the witnesses with certain bounds, that accused the right."""
    own = [checker["name"] for checker in report["checkers"] if checker["own"]]
    found = [w["name"] for w in report["matrix"]["witnesses"] if w["certain"]
             and w["right"]["accused"]]  # fmt: skip
    found += [f"{c['checker']}, {c['setting']}" for c in report["curves"]
              if c["checker"] in own and c["right"]["accused"]]  # fmt: skip
    innocent = report["mistakes"]["checkers"]
    found += [f"{name}, loss x {scale}" for name in own for scale, told in innocent[name].items()
              if told["accused"]]  # fmt: skip
    return found


def summary(result: Selftest) -> Numbers:
    """Return what the plain selftest found, without its matrix."""
    return {
        "mutants": len(result.mutants),
        "escaped": result.escaped,
        "within": plain.EXAMPLES,
        "problems": result.alarms.problems,
        "undecided": result.alarms.undecided,
        "false": list(result.alarms.false),
        "right_engines": len(plain.RIGHT),
        "seconds": result.seconds,
        "is_sound": result.is_sound,
    }


def _described(checker: Checker) -> Numbers:
    return {
        "name": checker.name,
        "own": checker.own,
        "defaults": checker.defaults,
        "version": checker.version,
    }


def _write(out: Path, report: Numbers, part: str) -> None:
    write_json(out / "report.json", report)
    rows: Sequence[Numbers] = list(ROWS[part](report[part]))
    frame = pd.DataFrame(rows)
    write_text(out / "tables" / f"{part}.csv", frame.to_csv(index=False, float_format="%.6g"))
    for name, figure in pictures.drawn(part, report):
        for file, content in files(name, figure).items():
            write_bytes(out / "figures" / file, content)
    write_text(out / "selftest.md", render(report))
