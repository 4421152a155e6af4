"""A claim of the textbooks, what was found of it, and the ruling.

A claim is *refuted* as soon as one of the findings that it implies does not hold, or if there is
none: nothing was shown. Else it is *refined* if a finding holds that contradicts its wording, and
*confirmed* if none does. What is found decides, never a word beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from gradcheck.studies.report.section import Section, to_json
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.words import number, seconds, times

CONFIRMED, REFINED, REFUTED = "confirmed", "refined", "refuted"


@dataclass(frozen=True)
class Finding:
    """One thing that was sought, and whether it was found.

    Attributes:
        text: a sentence with the names of its numbers in braces; `{name}` is written with few
            digits, `{name:seconds}` as a duration, `{name:times}` as a ratio, any other format as
            Python has it.
        holds: whether it was found: computed, never a constant.
        results: numbers that follow from the settings alone.
        measured: numbers that depend on the last bits of the arithmetic.
        timings: seconds and what follows from them.
        contradicts: whether it contradicts the wording of the claim; else the claim implies it.
        expected: whether this project expects it to hold: where measurement finds otherwise, the
            report ends with exit code 1. None where that hangs on the draw, and the ruling does
            not hang on it.
    """

    text: str
    holds: bool
    results: Mapping[str, Any] = field(default_factory=dict)
    measured: Mapping[str, Any] = field(default_factory=dict)
    timings: Mapping[str, Any] = field(default_factory=dict)
    contradicts: bool = False
    expected: bool | None = True


@dataclass(frozen=True)
class Evidence:
    """What a claim's measurement hands back.

    Attributes:
        findings: in the order they are to be read.
        frames: tables for the CSV files, by file name.
        figures: drawn figures, by file name.
        expected: the ruling expected of what could be asked here, "" for that of the claim.
    """

    findings: tuple[Finding, ...]
    frames: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Mapping[str, Figure] = field(default_factory=dict)
    expected: str = ""


@dataclass(frozen=True)
class Claim:
    """One claim.

    Attributes:
        id: C1, C2, ...
        title: the claim in at most six words.
        statement: as the textbooks say it.
        how: how it is tested.
        measure: runs the test.
        precise: what is true instead, said where the ruling is not "confirmed".
        source: where it is said.
        look: a figure or table of the report where looking is better than reading, else "".
        expected: the ruling this project stands for: where measurement rules otherwise, the report
            ends with exit code 1.
    """

    id: str
    title: str
    statement: str
    how: str
    measure: Callable[[Settings], Evidence]
    precise: str = ""
    source: str = ""
    look: str = ""
    expected: str = CONFIRMED


def ruling(evidence: Evidence) -> str:
    """Rule on a claim by its findings."""
    implied = [finding.holds for finding in evidence.findings if not finding.contradicts]
    if not implied or not all(implied):
        return REFUTED
    loose = any(finding.holds for finding in evidence.findings if finding.contradicts)
    return REFINED if loose else CONFIRMED


def section(claims: list[Claim], evidence: list[Evidence]) -> Section:
    """Set claims and evidence out as a section of the report."""
    results: dict[str, Any] = {}
    measured: dict[str, Any] = {}
    timings: dict[str, Any] = {}
    frames: dict[str, pd.DataFrame] = {}
    figures: dict[str, Figure] = {}
    for claim, found in zip(claims, evidence, strict=True):
        results[claim.id] = {
            "title": claim.title,
            "statement": claim.statement,
            "how": claim.how,
            "precise": claim.precise,
            "source": claim.source,
            "look": claim.look,
            "ruling": ruling(found),
            "expected": found.expected or claim.expected,
            "findings": [_finding(finding) for finding in found.findings],
        }
        measured[claim.id] = [to_json(f.measured) for f in found.findings]
        timings[claim.id] = [to_json(f.timings) for f in found.findings]
        frames.update(found.frames)
        figures.update(found.figures)
    return Section(results, measured, timings, frames, figures)


def _finding(finding: Finding) -> dict[str, Any]:
    return {
        "text": finding.text,
        "holds": bool(finding.holds),
        "contradicts": finding.contradicts,
        "expected": finding.expected,
        "numbers": to_json(finding.results),
    }


def sentences(content: dict[str, Any], claim_id: str) -> list[str]:
    """Write a claim's findings out, from what `report.json` holds of the section."""
    groups = zip(
        content["results"][claim_id]["findings"],
        content["measured"][claim_id],
        content["timings"][claim_id],
        strict=True,
    )
    written = []
    for finding, measured, timings in groups:
        numbers = {**finding["numbers"], **measured, **timings}
        shown = {name: _Shown(value) for name, value in numbers.items()}
        written.append(_mark(finding) + finding["text"].format(**shown))
    return written


def _mark(finding: dict[str, Any]) -> str:
    surprise = "" if finding["expected"] in (None, finding["holds"]) else "*not as expected:* "
    if finding["contradicts"]:
        return surprise + ("*against the wording:* " if finding["holds"] else "*not found:* ")
    return surprise + ("" if finding["holds"] else "**does not hold:** ")


@dataclass(frozen=True)
class _Shown:
    """A number that `str.format` writes as the page does."""

    value: Any

    def __format__(self, style: str) -> str:
        if style == "seconds":
            return seconds(self.value)
        if style == "times":
            return times(self.value)
        if style:
            return format(self.value, style)
        return number(self.value) if isinstance(self.value, int | float) else str(self.value)
