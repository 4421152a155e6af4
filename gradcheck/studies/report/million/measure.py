"""The section on a million weights: one network, four ways, and a deep network besides."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pandas as pd

from gradcheck.studies.report.million import ways
from gradcheck.studies.report.million.plain_passes import Gradient
from gradcheck.studies.report.million.subject import PLANTED, Subject
from gradcheck.studies.report.million.ways import Row
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.progress import section_progress
from gradcheck.studies.report.section import Section
from gradcheck.studies.report.settings import Settings

BATCH = 8
MEMORY = 2**30
"""What all central differences of a million weights must be done in."""


def measure(settings: Settings, gradient: Gradient = Network.gradient) -> Section:
    """Put the network, and the deep one if there is one, to every way."""
    start = time.perf_counter()
    rows = []
    with section_progress("a million weights", 4 + bool(settings.deep_network)) as advance:
        for row in _rows(settings, gradient):
            rows.append(row)
            advance(1)
    timings = [row.timings for row in rows]
    results = {
        "rows": [row.results for row in rows],
        "planted": PLANTED,
        "memory_kept": all(row["memory"] < MEMORY for row in timings if "memory" in row),
    }
    measured = {"rows": [row.measured for row in rows]}
    clock = {"seconds": time.perf_counter() - start, "rows": timings}
    return Section(results, measured, clock, {"million": _frame(rows)})


def _rows(settings: Settings, gradient: Gradient) -> Iterator[Row]:
    sizes, seed = settings.million_network, settings.seed
    yield ways.plain(sizes, settings, gradient)
    subject = Subject(sizes, BATCH, seed, gradient)
    shallow = ways.layered(subject)
    shallow.timings["memory"] = ways.memory_of_layered(subject)
    yield shallow
    yield ways.certified(subject)
    yield ways.directional(subject)
    if settings.deep_network:
        deep = Subject(settings.deep_network, BATCH, seed, gradient)
        yield ways.layered(deep, threads=settings.jobs)


def _frame(rows: list[Row]) -> pd.DataFrame:
    """Return one line a way, for the CSV file."""
    return pd.DataFrame(
        {
            "way": row.results["way"],
            "network": "-".join(map(str, row.results["sizes"])),
            "batch": row.results["batch"],
            "N": row.results["N"],
            "forward_passes": {**row.results, **row.measured}.get("forward_passes"),
            "seconds": row.timings["seconds"],
            "memory": row.timings.get("memory"),
            "resolution_median": row.measured["resolution"]["median"],
            "resolution_worst": row.measured["resolution"]["worst"],
            "deviation": row.measured["deviation"],
            "planted": row.results["planted"],
            "named": " ".join(row.results["named"] or ()),
            "holds": row.results["holds"],
        }
        for row in rows
    )
