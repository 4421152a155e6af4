"""The page of the comparison, from its `report.json`."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from gradcheck.studies.report.engines import tables
from gradcheck.studies.report.engines.draw import LARGE, TIMED
from gradcheck.studies.report.tables import machine
from gradcheck.studies.report.template import template
from gradcheck.studies.report.words import count, number, seconds

Numbers = dict[str, Any]


def render(report: Numbers, *, beside: Collection[str] = ()) -> str:
    """Write the page in Markdown.

    Args:
        report: the content of `report.json`.
        beside: the other pages in its folder, which it names.
    """
    page = template("engines.md.j2").render(
        report=report,
        sentences=sentences(report),
        tables=tables,
        machine=machine,
        most=LARGE["max_parameters"],
        timed=TIMED.token,
        beside=beside,
        number=number,
        seconds=seconds,
        count=count,
    )
    return page.rstrip("\n") + "\n"


def sentences(report: Numbers) -> list[str]:
    """Say in a few sentences what was found."""
    return [told for told in (_agreeing(report), _failing(report), _saturated(report),
                              _missing(report)) if told]  # fmt: skip


def _agreeing(report: Numbers) -> str:
    every = tables.compared(report)
    if not every:
        return "No engine was measured."
    right = [e for e in every if not fails(e)]
    names = f": {_listed(right)}" if right else ""
    return f"{len(right)} of {count(len(every), 'engine')} give no wrong gradient{names}."


def _failing(report: Numbers) -> str:
    wrong = [e for e in tables.compared(report) if failures(e)]
    if not wrong:
        return ""
    unexplained = [e for e in wrong if "" in e["agreement"]["explanations"]]
    told = f"**{count(len(wrong), 'engine')} FAIL**: {_listed(wrong)}"
    if unexplained:
        return f"{told}; no class of arithmetic explains all failures of {_listed(unexplained)}."
    labels = dict.fromkeys(label for e in wrong for label in e["agreement"]["explanations"])
    return f"{told}; every FAIL of agreement is explained as {' or '.join(labels)}."


def _saturated(report: Numbers) -> str:
    wrong = [e for e in tables.compared(report) if tables.is_wrong(e)]
    measured = [e for e in tables.compared(report) if e["saturation"]]
    if not measured:
        return ""
    if not wrong:
        return "The derivative of one neuron is right in every engine, at every logit."
    mildest = ", ".join(f"`{tables.name(e)}` {abs(e['saturated_worst']['z'])}" for e in wrong)
    return (
        f"The derivative of one neuron at logit z is wrong in {len(wrong)} of {len(measured)}; the "
        f"smallest |z| where it is, over both targets and precisions: {mildest}."
    )


def _missing(report: Numbers) -> str:
    missing = tables.missing(report)
    return f"Not measured here: {_listed(missing)}." if missing else ""


def failures(engine: Numbers) -> int:
    """Count the networks that an engine fails on, both properties together."""
    return sum(int(engine[what]["verdicts"]["FAIL"]) for what in ("agreement", "consistency"))


def fails(engine: Numbers) -> bool:
    """Whether any gradient of an engine is wrong: of a network, or of the saturated neuron."""
    return failures(engine) > 0 or tables.is_wrong(engine)


def _listed(engines: list[Numbers]) -> str:
    return ", ".join(f"`{tables.name(engine)}`" for engine in engines)
