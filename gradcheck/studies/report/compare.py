"""Runs a committed report again and says what has changed.

Compared are `results` and `claims`, always, to the last bit; so is `measured` where the arithmetic
agrees to the last bit (`machine.arithmetic`). Elsewhere numbers are *near*: counts within a tenth,
or FEW; others within the factor FACTOR and of one sign, or both below ROUNDING, where they are
rounding errors of numbers near 1. Timings are compared within FACTOR wherever they were taken. Not
compared are the machine; standard errors of fits under another arithmetic and of times, and the
ends of intervals that are made of them, which are themselves uncertain by a factor; exponents of
times on either side of a size that moves with the load; under another arithmetic a fit to four
points, how many derivatives are rounded correctly, which follows the order in which a kernel adds,
and words, such as where the worst case is.
And the page must be what its numbers render to.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck.studies.report.render import render
from gradcheck.studies.report.run import FORMAT, SCHEMA, measure
from gradcheck.studies.report.settings import Settings


class UnreadableReportError(ValueError):
    """There is no report in the folder, or not one of this version."""


@dataclass(frozen=True)
class Difference:
    """One value that is not what the committed report says.

    Attributes:
        path: where in `report.json`, or ``report.md``.
        committed, fresh: both values.
        line: where in `report.md` it shows, "" if nowhere.
    """

    path: str
    committed: Any
    fresh: Any
    line: str = ""

    def __str__(self) -> str:
        shown = f"\n  {self.line}" if self.line else ""
        return f"{self.path}: committed {self.committed!r}, now {self.fresh!r}{shown}"


ABSENT = "(absent)"

FACTOR, TENTH, FEW, ROUNDING = 10.0, 0.1, 2, 1e-12
"""How far apart numbers are that depend on the machine."""

UNCERTAIN = (
    "standard_error", "bend", "growth.constant", "growth.a_doubling", ".rounded",
    "foretold.low", "foretold.high", "forward_differences.low", "forward_differences.high",
    "million.timings.rows.0.low", "million.timings.rows.0.high",
)  # fmt: skip
"""Ends of the paths of numbers that another machine may turn into any others."""

REGIMES = tuple(f"timings.growth.{name}" for name in ("weight", "change", "below.", "above."))
"""A size that moves with the load, what it is made of, and the fits on either side of it."""


def read_report(folder: Path) -> dict[str, Any]:
    """Read a folder's `report.json`.

    Raises:
        UnreadableReportError: it is missing, no JSON, or of another format or version.
    """
    path = folder / "report.json"
    try:
        report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnreadableReportError(f"{path} does not exist: run the report first") from None
    except ValueError as error:
        raise UnreadableReportError(f"{path} is not JSON: {error}") from None
    if report.get("format") != FORMAT or report.get("schema") != SCHEMA:
        raise UnreadableReportError(
            f"{path} has format={report.get('format')!r} and schema={report.get('schema')!r}; "
            f"this version compares {FORMAT!r}, {SCHEMA}"
        )
    return report


def check_report(folder: Path) -> tuple[list[Difference], bool]:
    """Measure again with the committed settings, write nothing, and compare.

    Returns:
        The differences, and whether `measured` numbers were compared to the last bit.

    Raises:
        UnreadableReportError: there is nothing to compare with.
    """
    committed = read_report(folder)
    try:
        settings = Settings.from_json(committed["settings"])
    except ValueError as error:
        raise UnreadableReportError(f"{folder / 'report.json'}: {error}") from None
    for _, _, report in measure(settings, command=committed["command"]):
        fresh = report
    page = folder / "report.md"
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    return compare(committed, fresh, text), same_arithmetic(committed, fresh)


def same_arithmetic(committed: dict[str, Any], fresh: dict[str, Any]) -> bool:
    """Whether both reports come from arithmetic that agrees to the last bit."""
    return bool(committed["machine"]["arithmetic"] == fresh["machine"]["arithmetic"])


def compare(committed: dict[str, Any], fresh: dict[str, Any], page: str) -> list[Difference]:
    """List what differs, in the order of the report, then lines that the numbers do not give."""
    same = same_arithmetic(committed, fresh)
    exactly = {"results": True, "measured": same, "timings": False}
    found = []
    for path, old, new in _walk("complete", committed["complete"], fresh["complete"]):
        found.append(Difference(path, old, new))
    names = [*committed["sections"], *(fresh["sections"].keys() - committed["sections"].keys())]
    for name in names:
        for group, to_the_last_bit in exactly.items():
            old = committed["sections"].get(name, {}).get(group, ABSENT)
            new = fresh["sections"].get(name, {}).get(group, ABSENT)
            found += [
                Difference(path, a, b, _line(committed, path, b))
                for path, a, b in _walk(f"sections.{name}.{group}", old, new)
                if to_the_last_bit or not _is_near(path, a, b)
            ]
    found += [
        Difference(path, old, new, _line(committed, path, new))
        for path, old, new in _walk("claims", committed["claims"], fresh["claims"])
    ]
    return found + _stale_lines(committed, page)


def _walk(path: str, old: Any, new: Any) -> Iterator[tuple[str, Any, Any]]:
    """Yield every leaf that differs, with its path."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            yield from _walk(f"{path}.{key}", old.get(key, ABSENT), new.get(key, ABSENT))
    elif isinstance(old, list) and isinstance(new, list):
        for i in range(max(len(old), len(new))):
            a = old[i] if i < len(old) else ABSENT
            b = new[i] if i < len(new) else ABSENT
            yield from _walk(f"{path}.{i}", a, b)
    elif type(old) is not type(new) or old != new:
        yield path, old, new


def _is_near(path: str, old: Any, new: Any) -> bool:
    """Whether two values that differ may do so on different machines."""
    if ABSENT in (old, new):
        return False
    if any(regime in path for regime in REGIMES):
        return True
    if isinstance(old, str) and isinstance(new, str):
        return True
    are_numbers = all(isinstance(v, int | float) and not isinstance(v, bool) for v in (old, new))
    return are_numbers and (path.endswith(UNCERTAIN) or _are_near(old, new))


def _are_near(a: float, b: float) -> bool:
    size = max(abs(a), abs(b))
    if isinstance(a, int) and isinstance(b, int):
        return abs(a - b) <= max(FEW, TENTH * size)
    return size < ROUNDING or (a * b > 0 and 1 / FACTOR <= a / b <= FACTOR)


def _line(committed: dict[str, Any], path: str, value: Any) -> str:
    """Find the line of the page that changes when the value at the path does."""
    altered = copy.deepcopy(committed)
    node: Any = altered
    *way, last = path.split(".")
    try:
        for key in way:
            node = node[int(key) if isinstance(node, list) else key]
        node[int(last) if isinstance(node, list) else last] = value
        after = render(altered)
    except (LookupError, TypeError, ValueError, AttributeError):
        return ""  # the page cannot be set with that value
    return _first_difference(render(committed), after)


def _first_difference(before: str, after: str) -> str:
    pairs = zip(before.splitlines(), after.splitlines(), strict=False)
    for n, (old, new) in enumerate(pairs, start=1):
        if old != new:
            return f"report.md line {n}: {old}"
    return ""


def _stale_lines(committed: dict[str, Any], page: str) -> list[Difference]:
    rendered = render(committed)
    if page == rendered:
        return []
    lines = zip(page.splitlines(), rendered.splitlines(), strict=False)
    for n, (old, new) in enumerate(lines, start=1):
        if old != new:
            return [Difference(f"report.md line {n}", old, new)]
    return [Difference("report.md", f"{len(page)} characters", f"{len(rendered)} characters")]
