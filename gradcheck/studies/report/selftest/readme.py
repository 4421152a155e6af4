"""What docs/measured.md says of the power of checkers, from the examination's `report.json` alone.

    python -m gradcheck.studies.report.selftest.readme [FILE]

prints it (default: of reports/selftest/report.json); a test compares it with docs/measured.md.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from gradcheck.studies.report.selftest import tables
from gradcheck.studies.report.selftest.planted import PLAIN, SETTINGS
from gradcheck.studies.report.tables import markdown
from gradcheck.studies.report.words import MISSING, count

Numbers = dict[str, Any]


def section(report: Numbers) -> str:
    """Write the table, and what two of our checks catch together."""
    found, setting = report["mistakes"], SETTINGS[PLAIN]
    reached = {
        one["checker"]: one["most"] for one in report["curves"] if one["setting"] == setting.varied
    }
    rows = [
        {
            "": f"**{c['name']}**" if c["own"] else c["name"],
            f"one of {setting.size} derivatives wrong: 9 in 10 caught down to": (
                MISSING if reached[c["name"]] is None else tables.size(reached[c["name"]])
            ),
            f"wrong backprops caught of {len(found['mutants'])}": _caught(found, c["name"], "1"),
            "the same, loss × 1e-6": _caught(found, c["name"], "1e-6"),
            f"right ones accused of {found['right']}, loss × 1, × 1e6": ", ".join(
                str(found["checkers"][c["name"]][scale]["accused"]) for scale in ("1", "1e6")
            ),
        }
        for c in report["checkers"]
    ]
    both = set[str]().union(*(found["checkers"][name]["1"]["caught"] for name in tables.BOTH))
    told = (
        "Each wrong backprop is a black box here, on "
        f"{count(report['extent']['shown'], 'network')};\n{' and '.join(tables.BOTH)} together "
        f"catch {len(both)}."
    )
    return f"{markdown(pd.DataFrame(rows))}\n\n{told}"


def _caught(found: Numbers, name: str, scale: str) -> str:
    return str(len(found["checkers"][name][scale]["caught"]))


if __name__ == "__main__":
    file = Path(*sys.argv[1:2] or ("reports", "selftest", "report.json"))
    print(section(json.loads(file.read_text("utf-8"))))  # noqa: T201 - what the command is for
