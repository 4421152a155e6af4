"""Tables of the page, from its `report.json`."""

from __future__ import annotations

from typing import Any

import pandas as pd

from gradcheck.studies.report.selftest import matrix
from gradcheck.studies.report.selftest.checkers import AGREEMENT, EVERY_COORDINATE
from gradcheck.studies.report.selftest.mistakes import SCALES
from gradcheck.studies.report.tables import markdown
from gradcheck.studies.report.words import MISSING, seconds

Numbers = dict[str, Any]

BOTH = (AGREEMENT, EVERY_COORDINATE)
"""What `verify` asks of every network: both questions."""


def places(report: Numbers) -> str:
    """Count by place of the mistake what every witness caught."""
    rows = []
    for group in matrix.by_group(report["matrix"]):
        cells = {
            name: MISSING if k is None else _of(k, group["asked"][name], group["mutants"])
            for name, k in group["caught"].items()
        }
        rows.append({"place of the mistake": place(group["group"]),
                     "mistakes": str(group["mutants"]), **cells,
                     "escaped": str(group["escaped"])})  # fmt: skip
    return markdown(pd.DataFrame(rows))


def _of(k: int, asked: int, members: int) -> str:
    return str(k) if asked == members else f"{k} of {asked}"


def witnesses(report: Numbers) -> str:
    """Say of every witness what it holds gradients to, what it caught, and what it costs."""
    return markdown(
        pd.DataFrame(
            {
                "witness": w["name"],
                "question": w["question"],
                "holds the gradient to": w["says"],
                "mistakes caught": f"{w['caught']} of {w['asked']}",
                "on the first network": str(w["at_first"]),
                "right gradients accused": f"{w['right']['accused']} of {w['right']['asked']}",
                "undecided": str(w["right"]["undecided"]),
                "one check": seconds(w["seconds"]),
            }
            for w in report["matrix"]["witnesses"]
        ),
        left=3,
    )


def checkers(report: Numbers) -> str:
    """List everybody who is compared, installed or not."""
    rows = [
        {
            "checker": _name(c),
            "version": c["version"] or "this one",
            "its settings": _in_a_cell(c["defaults"]),
        }
        for c in report["checkers"]
    ]
    rows += [
        {"checker": name, "version": "not installed", "its settings": f"`{how}`"}
        for name, how in report["missing"].items()
    ]
    return markdown(pd.DataFrame(rows), left=3)


def smallest(report: Numbers) -> str:
    """Give the smallest error down to which 9 of 10 are caught, by checker and network."""
    return _by_setting(report, lambda one: MISSING if one["most"] is None else size(one["most"]))


def accused(report: Numbers) -> str:
    """Count the right gradients that each checker accused, by network."""
    return _by_setting(report, lambda one: f"{one['right']['accused']} of {one['networks']}")


def _by_setting(report: Numbers, cell: Any) -> str:
    names = [c["name"] for c in report["checkers"]]
    own = {c["name"]: _name(c) for c in report["checkers"]}
    curves = {(one["checker"], one["setting"]): one for one in report["curves"]}
    settings = dict.fromkeys(one["setting"] for one in report["curves"])
    rows = [
        {"checker": own[name], **{setting: cell(curves[name, setting]) for setting in settings}}
        for name in names
    ]
    return markdown(pd.DataFrame(rows))


def mistakes(report: Numbers) -> str:
    """Count the wrong backprops that each checker caught, and the right ones that it accused."""
    found = report["mistakes"]
    rows = []
    for checker in report["checkers"]:
        told = found["checkers"][checker["name"]]
        caught = {f"caught, loss × {s}": f"{len(told[s]['caught'])} of {len(found['mutants'])}"
                  for s in SCALES}  # fmt: skip
        alarms = {f"right accused, × {s}": f"{told[s]['accused']} of {found['right']}"
                  for s in SCALES}  # fmt: skip
        rows.append({"checker": _name(checker), **caught, **alarms})
        if checker["name"] == BOTH[-1]:
            rows.append({"checker": "**either of these**", **_either(found)})
    return markdown(pd.DataFrame(rows))


def _either(found: Numbers) -> Numbers:
    """Count what at least one of the two witnesses of `verify` caught; alarms are those above."""
    cells = {}
    for scale in SCALES:
        caught = set[str]().union(*(found["checkers"][name][scale]["caught"] for name in BOTH))
        cells[f"caught, loss × {scale}"] = f"{len(caught)} of {len(found['mutants'])}"
    return cells | {f"right accused, × {scale}": "" for scale in SCALES}


def missed(report: Numbers) -> str:
    """List the mistakes that agreement or differences did not catch as a black box, loss unscaled.

    "" if there is none.
    """
    found = report["mistakes"]
    caught = {name: set(found["checkers"][name]["1"]["caught"]) for name in BOTH}
    by_name = {row["name"]: row for row in report["matrix"]["mutants"]}
    rows = [
        {
            "mistake": _in_a_cell(by_name[name]["mistake"]),
            "place": place(by_name[name]["group"]),
            **{checker: "caught" if name in caught[checker] else MISSING for checker in BOTH},
            "properties that catch it": ", ".join(_properties(by_name[name])),
        }
        for name in found["mutants"]
        if not all(name in caught[checker] for checker in BOTH)
    ]
    return markdown(pd.DataFrame(rows), left=5) if rows else ""


def _properties(row: Numbers) -> list[str]:
    return [name for name, after in row["properties"].items() if after] or ["**none**"]


def place(group: str) -> str:
    """Name a place of mistakes.

    >>> place("hidden_error")
    'hidden error'
    """
    return group.replace("_", " ")


def size(r: float) -> str:
    """Write the size of an error, a power of ten.

    >>> size(1.0), size(0.01), size(1e-3), size(1e-13)
    ('1', '0.01', '1e-3', '1e-13')
    """
    return f"{r:g}" if r >= 0.01 else f"{r:.0e}".replace("e-0", "e-")


def _in_a_cell(text: str) -> str:
    return text.replace("|", r"\|")


def _name(checker: Numbers) -> str:
    return f"**{checker['name']}**" if checker["own"] else str(checker["name"])
