"""The page of the examination, from its `report.json`."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradcheck.studies.report.selftest import tables
from gradcheck.studies.report.selftest.planted import BATCH, PLAIN, SETTINGS
from gradcheck.studies.report.tables import machine
from gradcheck.studies.report.template import template
from gradcheck.studies.report.words import count, number, seconds, share

Numbers = dict[str, Any]


def render(report: Numbers) -> str:
    """Write the page in Markdown; parts that are not measured yet are left out, and it says so."""
    page = template("selftest.md.j2").render(
        report=report,
        sentences=sentences(report),
        tables=tables,
        machine=machine,
        batch=BATCH,
        number=number,
        seconds=seconds,
        count=count,
        share=share,
    )
    return page.rstrip("\n") + "\n"


def sentences(report: Numbers) -> list[str]:
    """Say in a few sentences what was found."""
    told = [_killed(report["selftest"]), _alarms(report["selftest"])]
    if "curves" in report:
        told += _power(report["curves"], report["checkers"])
    if "mistakes" in report:
        told.append(_compared(report))
    if report["missing"]:
        told.append(f"Not installed here, and so not compared: {', '.join(report['missing'])}.")
    return [sentence for sentence in told if sentence]


def _killed(found: Numbers) -> str:
    n = found["mutants"]
    if not n:
        return "**No mistake was put to the checker.**"
    killed = n - len(found["escaped"])
    told = (
        f"{killed} of {n} wrong backprops and gates are caught ({share(killed, n)}), each within "
        f"{found['within']} problems"
    )
    if found["escaped"]:
        names = ", ".join(f"`{name}`" for name in found["escaped"])
        return f"**{told}; {names} escaped.**"
    return f"{told}."


def _alarms(found: Numbers) -> str:
    told = (
        f"{len(found['false'])} of {found['problems']:,} checks of {found['right_engines']} right "
        f"engines end in an accusation; {found['undecided']:,} prove nothing"
    )
    return f"**{told}**: {found['false'][0]}." if found["false"] else f"{told}."


def _power(curves: list[Numbers], checkers: list[Numbers]) -> list[str]:
    own = [c["name"] for c in checkers if c["own"]]
    plain = [one for one in curves if one["setting"] == SETTINGS[PLAIN].varied]
    reached = {one["checker"]: one["most"] for one in plain}
    ours = ", ".join(f"{name} {_size(reached[name])}" for name in own if name in reached)
    if not ours:
        return []
    told = (
        f"One wrong derivative among {SETTINGS[PLAIN].size}, float64: down to which relative error "
        f"are 9 in 10 caught? By {ours}"
    )
    others = sorted(
        (name for name in reached if name not in own), key=lambda name: reached[name] or np.inf
    )
    if not others:
        return [f"{told}."]
    best, worst = others[0], others[-1]
    return [
        f"{told}; other people's checkers: from {_size(reached[best])} ({best}) "
        f"to {_size(reached[worst])} ({worst})."
    ]


def _size(size: float | None) -> str:
    return "not even 1" if size is None else tables.size(size)


def _compared(report: Numbers) -> str:
    found, own = report["mistakes"], [c["name"] for c in report["checkers"] if c["own"]]

    def told(name: str, scale: str) -> int:
        return len(found["checkers"][name][scale]["caught"])

    ours = ", ".join(f"{name} {told(name, '1')} and {told(name, '1e-6')}" for name in own)
    sentence = (
        f"Of {count(len(found['mutants']), 'wrong backprop')} as a black box, and of the same with "
        f"the loss scaled by 1e-6, are caught: {ours}"
    )
    others = [name for name in found["checkers"] if name not in own]
    if others:
        theirs = ", ".join(f"{name} {told(name, '1')} and {told(name, '1e-6')}" for name in others)
        sentence += f"; {theirs}"
    return sentence + "."
