"""Sets out the logs of full verifications as one table.

    python -m gradcheck.studies.report.engines.verified --out FILE LOG [LOG ...]

A log is what `python -m gradcheck verify ENGINE --log LOG` writes. Exit code: 0 written; 2 a log
that cannot be read.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from math import isinf
from pathlib import Path

import pandas as pd

from gradcheck.studies.report.files import write_text
from gradcheck.studies.report.tables import markdown
from gradcheck.studies.report.words import MISSING, count, number, seconds, times
from gradcheck.verification.failures import Failure, first_of
from gradcheck.verification.findings import Coordinate
from gradcheck.verification.log import LogError, read_log
from gradcheck.verification.summary import Summary, summarise

HEAD = """# Engines verified

`python -m gradcheck verify ENGINE --log LOG` with its default settings, for every engine: random \
networks, agreement and consistency, and the exact tests. Every way in which an engine fails is \
shrunk to the smallest network that still fails for the same reason. The table is written by \
`python -m gradcheck.studies.report.engines.verified`; [the comparison](report.md) puts the \
engines side by side.
"""
NO_CLASS = "no class of arithmetic computes this value"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the table and return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m gradcheck.studies.report.engines.verified")
    parser.add_argument("logs", nargs="+", type=Path, metavar="LOG")
    parser.add_argument("--out", required=True, type=Path, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        summaries = [read(path) for path in options.logs]
    except (OSError, LogError, KeyError, TypeError, ValueError) as error:
        print(f"gradcheck: {error}", file=sys.stderr)  # noqa: T201 - the error channel
        return 2
    write_text(options.out, render(summaries))
    return 0


def read(path: Path) -> Summary:
    """Read a log.

    Raises:
        OSError: it cannot be read.
        LogError, KeyError, TypeError, ValueError: it is no log of this version.
    """
    summary = summarise(read_log(path))
    if not summary.engine:
        raise LogError(f"{path} is no log of a verification")
    return summary


def render(summaries: Sequence[Summary]) -> str:
    """Write the page in Markdown."""
    parts = [HEAD, markdown(pd.DataFrame(map(_row, summaries)), left=3)]
    failing = [(s, failure) for s in summaries for failure in s.failures]
    if failing:
        rows = pd.DataFrame(_failure(summary, failure) for summary, failure in failing)
        parts += ["## Every way to fail, shrunk", markdown(rows, left=7)]
    return "\n\n".join(part.strip("\n") for part in parts) + "\n"


def _row(summary: Summary) -> dict[str, str]:
    code = MISSING if summary.exit_code is None else str(summary.exit_code)
    wrong = summary.state if summary.exit_code == 0 else f"**{summary.state}**"
    tallies = {p.name: p.total.verdicts for p in summary.properties}
    exact = [t for name, t in tallies.items() if name not in ("agreement", "consistency")]
    return {
        "engine": f"`{name_of(summary)}`",
        "version": summary.engine.get("version", ""),
        "verdict": wrong,
        "exit code": code,
        **{
            f"{what}: PASS / FAIL / INC.": _counts([tallies[what]] if what in tallies else [])
            for what in ("agreement", "consistency")
        },
        "exact tests": _counts(exact),
        "ways to fail": number(len(summary.failures)),
        "time": seconds(summary.seconds),
    }


def _counts(tallies: Sequence[Mapping[str, int]]) -> str:
    verdicts = ("PASS", "FAIL", "INCONCLUSIVE")
    return " / ".join(str(sum(t[name] for t in tallies)) for name in verdicts)


def _failure(summary: Summary, failure: Failure) -> dict[str, str]:
    witness = first_of(failure)
    finding, at = witness.finding, witness.finding.worst
    return {
        "engine": f"`{name_of(summary)}`",
        "property": failure.property,
        "reason": failure.reason,
        "on": count(failure.count, "problem"),
        "smallest": f"`{witness.token}`",
        "there": (_off(at, failure.property) if at else finding.detail).replace("|", "\\|"),
        "explained as": _explained(finding.explanation) or finding.diagnosis or MISSING,
    }


def _off(at: Coordinate, property_name: str) -> str:
    """Say by how much a coordinate is off, and how many times that is its allowance."""
    witness = "differences" if property_name == "consistency" else "exact"
    told = f"{at.name}: {at.engine:.6g}, {witness} {at.oracle:.6g}"
    if isinf(at.times):
        return f"{told}; off by {abs(at.engine - at.oracle):.2g}, bit for bit"
    return f"{told}; {times(at.times)} times its allowance"


def _explained(explanation: str) -> str:
    """Return the label alone; what no class explains is said whole."""
    if not explanation or explanation.startswith(NO_CLASS):
        return explanation
    return explanation.split(";", maxsplit=1)[0].partition(": ")[0]


def name_of(summary: Summary) -> str:
    """Return how the engine is called: a program by its own name."""
    spec = summary.engine.get("spec", "")
    return summary.engine.get("name", spec) if spec.startswith("cmd:") else spec


if __name__ == "__main__":
    sys.exit(main())
