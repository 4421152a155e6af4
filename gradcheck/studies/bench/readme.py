"""What docs/measured.md says of speed, from `bench.json` alone: two tables, and the sentences.

    python -m gradcheck.studies.bench.readme [FILE]

prints it (default: of reports/bench/bench.json); a test compares it with docs/measured.md.
"""

from __future__ import annotations

import json
import sys
import textwrap
from pathlib import Path
from typing import Any

import pandas as pd

from gradcheck.studies.bench import by_hand, ours
from gradcheck.studies.bench.contender import ANY, NETWORK
from gradcheck.studies.bench.page import cells, marked
from gradcheck.studies.bench.sentences import SLOW, STRICT, largest_measured, sentences, sizes_of
from gradcheck.studies.report.tables import markdown
from gradcheck.studies.report.words import seconds

WIDTH = 100

SHOWN = {
    ANY: (
        SLOW,
        STRICT,
        "scipy check_grad",
        "scipy 3-point",
        "jax check_grads",
        ours.AXES,
        ours.AXES_AT_ONCE,
        ours.DIRECTIONAL,
    ),
    NETWORK: (
        *by_hand.NAMES,
        ours.LAYERED,
        ours.CERTIFIED,
    ),
}
"""By block, the checks in docs/measured.md; the page has all."""


def section(report: dict[str, Any]) -> str:
    """Write the tables of the largest network that everything was measured on, and sentences."""
    rows = largest_measured(report, SLOW, ours.AXES, ours.LAYERED)
    one = rows[ours.LAYERED]
    head = (
        f"One thread, {sizes_of(one)} with {one['N']:,} weights and biases, of "
        f"`{report['command']}` ([all sizes](../reports/bench/bench.md)):"
    )
    found = "\n".join(wrapped(f"- {sentence}") for sentence in sentences(report))
    return "\n\n".join([wrapped(head), *(table(report, rows, block) for block in SHOWN), found])


def table(report: dict[str, Any], rows: dict[str, Any], block: str) -> str:
    """Set out one block."""
    checks = {check["name"]: check for check in report["checks"]}
    lines = []
    for name in SHOWN[block]:
        told = cells(rows[name], checks[name])
        lines.append(
            {block: told.pop("check"), "time": marked(seconds, rows[name], "seconds"), **told}
        )
    return markdown(pd.DataFrame(lines))


def wrapped(text: str) -> str:
    """Break a paragraph or an item into lines.

    >>> first, second = wrapped("- " + 15 * "one line ").splitlines()
    >>> len(first) <= WIDTH, second.startswith("  one line")
    (True, True)
    """
    indent = "  " if text.startswith("- ") else ""
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


if __name__ == "__main__":
    file = Path(*sys.argv[1:2] or ("reports", "bench", "bench.json"))
    print(section(json.loads(file.read_text("utf-8"))))  # noqa: T201 - what the command is for
