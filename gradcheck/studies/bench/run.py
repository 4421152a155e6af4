"""Runs the measurement, one process for each number of threads, and writes what comes as it comes.

After every network the numbers, the table and the page are on disk, so that an interruption loses
one network.
"""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from gradcheck.engines.torch_adapter import Torch
from gradcheck.studies.bench import backprop as backprop_rows
from gradcheck.studies.bench.contender import FAIL, Contender
from gradcheck.studies.bench.contenders import contenders, missing
from gradcheck.studies.bench.page import write_page
from gradcheck.studies.bench.settings import Settings
from gradcheck.studies.report.files import write_json, write_text
from gradcheck.studies.report.machine import facts
from gradcheck.threads import THREAD_SETTINGS

FORMAT, SCHEMA = "gradcheck-bench", 2

Collect = Callable[[Settings, int], Iterator[dict[str, Any]]]
Paces = Callable[[Settings], Iterator[backprop_rows.Row]]


class BenchError(RuntimeError):
    """The measurement broke off; the message says why."""


def write_bench(
    out: Path,
    settings: Settings,
    *,
    command: str,
    collect: Collect | None = None,
    backprop: Paces | None = None,
) -> dict[str, Any]:
    """Measure every installed check and write numbers, table, figures and page.

    Args:
        out: the folder to write to.
        settings: how much is measured.
        command: the command that was given, for the page.
        collect: yields the rows of one number of threads; default: from a process of its own.
        backprop: yields those of the reference backprop beside PyTorch's; default: the same.

    Returns:
        The content of `bench.json`.

    Raises:
        BenchError: the measurement broke off.
    """
    start = time.perf_counter()
    report = _begun(settings, command)
    for threads in settings.threads:
        rows = (collect or in_a_process)(settings, threads)
        for _, of_a_network in groupby(rows, key=itemgetter("sizes")):
            report["rows"] += list(of_a_network)
            report["seconds"] = time.perf_counter() - start
            _write(out, report)
    for pace in (backprop or _backprop)(settings):
        report["backprop"].append(asdict(pace))
        report["seconds"] = time.perf_counter() - start
        _write(out, report)
    report["complete"] = True
    _write(out, report)
    return report


def _begun(settings: Settings, command: str) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "schema": SCHEMA,
        "command": command,
        "settings": settings.to_json(),
        "machine": facts(),
        "checks": [_described(check) for check in contenders()],
        "missing": missing(),
        "complete": False,
        "seconds": 0.0,
        "rows": [],
        "backprop": [],
    }


def _described(check: Contender) -> dict[str, Any]:
    names = ("name", "ours", "block", "bound", "written_in", "settings", "version")
    return {name: getattr(check, name) for name in names}


def _backprop(settings: Settings) -> Iterator[backprop_rows.Row]:
    """Yield the rows of the reference beside PyTorch, none where PyTorch is missing."""
    if settings.turns and Torch.source.version:
        yield from backprop_rows.measure(settings.threads, settings.turns)


def exit_code(report: dict[str, Any]) -> int:
    """Return 1 if a check of this project accused a right gradient, else 0."""
    mine = [row for row in report["rows"] if row["ours"]]
    return int(any(FAIL in row["verdict"] or row["accused"] for row in mine))


def _write(out: Path, report: dict[str, Any]) -> None:
    write_json(out / "bench.json", report)
    write_text(out / "bench.csv", as_csv(report["rows"]))
    write_page(out, report)


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return the rows as CSV; layer sizes are joined by "-"."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        short = {k: f"{v:.6g}" if isinstance(v, float) else v for k, v in row.items()}
        writer.writerow({**short, "sizes": "-".join(map(str, row["sizes"]))})
    return text.getvalue()


# --- processes ------------------------------------------------------------------------------------


def environment(threads: int) -> dict[str, str]:
    """Return the environment of a process whose linear algebra has so many threads.

    numpy's libraries, PyTorch (OMP_NUM_THREADS) and XLA read it when they are loaded.
    """
    flags = (
        f"--xla_cpu_multi_thread_eigen={'true' if threads > 1 else 'false'} "
        f"intra_op_parallelism_threads={threads}"
    )
    given = os.environ.get("XLA_FLAGS", "")
    return {
        **os.environ,
        **dict.fromkeys(THREAD_SETTINGS, str(threads)),
        "XLA_FLAGS": f"{given} {flags}".strip(),
        "JAX_PLATFORMS": "cpu",
    }


def in_a_process(settings: Settings, threads: int) -> Iterator[dict[str, Any]]:
    """Yield the rows that a process with so many threads measures.

    Raises:
        BenchError: it ends early, or says why it cannot go on.
    """
    told = json.dumps(settings.to_json())
    command = [sys.executable, "-m", "gradcheck.studies.bench.worker", told, str(threads)]
    with subprocess.Popen(  # noqa: S603 - this interpreter, this package
        command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment(threads)
    ) as process:
        try:
            yield from _rows(process)
        finally:
            process.kill()


def _rows(process: subprocess.Popen[str]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    for line in process.stdout:
        message = json.loads(line)
        if "error" in message:
            raise BenchError(message["error"])
        if "done" in message:
            process.wait()
            return
        yield message
    raise BenchError(f"the process that measures ended early, with exit code {process.wait()}")
