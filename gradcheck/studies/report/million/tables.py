"""The table of the section, from what `report.json` holds."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gradcheck.studies.report import tables
from gradcheck.studies.report.tables import markdown
from gradcheck.studies.report.words import MISSING, number

Section = dict[str, Any]

NAMES = {
    "plain": "forward differences, one plain pass a weight",
    "layered": "central differences, layered",
    "certified": "certified check",
    "directional": "directional check",
}


def rows(section: Section) -> list[Section]:
    """Join what the three groups hold of each way."""
    groups = (section[name]["rows"] for name in ("results", "measured", "timings"))
    return [{**found, **measured, **clock} for found, measured, clock in zip(*groups, strict=True)]


def ways(section: Section) -> str:
    """Passes, seconds, and the smallest error seen, one row a way."""
    return markdown(
        pd.DataFrame(
            {
                "way": NAMES[row["way"]],
                "network": "-".join(map(str, row["sizes"])),
                "batch": str(row["batch"]),
                "forward passes": passes(row),
                "time": duration(row),
                "smallest error seen, median": number(row["resolution"]["median"]),
                "worst": number(row["resolution"]["worst"]),
                "deviation / allowance": number(row["deviation"]),
                "planted error": found(row),
            }
            for row in rows(section)
        ),
        left=2,
    )


def passes(row: Section) -> str:
    """Say what a way takes, as it was counted."""
    if row["way"] == "layered":
        work = number(row["forward_pass_equivalents"])
        return f"{row['differences']:,} in part, the work of {work}"
    if row["way"] == "certified":
        return f"{row['forward_passes']}, and {row['rounds']} in balls"
    if row["way"] == "plain" and not row["whole"]:
        return f"*{row['N'] + 1:,}* ({row['forward_passes']:,} run)"
    return f"{row['forward_passes']:,}"


def duration(row: Section) -> str:
    """Write the seconds, in italics where they are extrapolated."""
    return tables.duration({"extrapolated": not row.get("whole", True), **row})


def found(row: Section) -> str:
    """Say whether the planted error was named, and nothing else."""
    if row["named"] is None:
        return MISSING
    if row["wrong"] == 1 and row["named"] == [row["planted"]]:
        return f"{row['planted']} named"
    return f"**named: {', '.join(row['named']) or 'nothing'}** ({row['wrong']})"
