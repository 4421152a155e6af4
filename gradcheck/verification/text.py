"""The output for a person at a terminal: about 60 lines at most, the verdict last."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeAlias

from gradcheck.verification.declared import Declared, word
from gradcheck.verification.expected import ELSEWHERE
from gradcheck.verification.failures import Failure, first_of
from gradcheck.verification.story import (
    CURVES,
    concentrated,
    conclusion,
    covered,
    curves,
    heading,
    leads,
    passes,
    title,
    told_of,
    unsupported,
)
from gradcheck.verification.summary import Property, Summary
from gradcheck.verification.words import number, seconds

Row: TypeAlias = tuple[str, ...]

IN_FULL = 2
NAMED = 6
EVENTS = 2
UNDECIDED = 3
SHOWN = 4


def render(summary: Summary) -> str:
    """Write a verification for a terminal."""
    blocks = [_head(summary), _verified(summary), *map(_full, summary.failures[:IN_FULL])]
    blocks += [_more(summary.failures[IN_FULL:]), _curves(summary)]
    blocks += [_known(summary.known), _undecided(summary), _end(summary)]
    return "\n\n".join("\n".join(block) for block in map(list, blocks) if block) + "\n"


def _head(summary: Summary) -> Iterator[str]:
    if summary.warning:
        yield summary.warning
    language = summary.engine.get("language", "")
    spoken = f" ({language})" if language else ""
    yield f"{summary.engine_name}{spoken}, examined by gradcheck {summary.gradcheck}"
    if summary.command:
        yield summary.command
    if remarks := summary.engine.get("remarks"):
        yield f"remarkable: {remarks}"
    for event in summary.events[:EVENTS]:
        yield f"engine {event.name}: {' '.join(event.detail.split())}"
    if len(summary.events) > EVENTS:
        yield f"... and {len(summary.events) - EVENTS:,} more events of the engine"


def _verified(summary: Summary) -> Iterator[str]:
    if not any(p.total.problems for p in summary.properties):
        yield "no problem was examined"
        return
    heads = ("property", "problems", *summary.verdicts, "coordinates", "smallest seen")
    rows: list[Row] = [heads, *(_row(p, summary.verdicts) for p in summary.properties)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for name, *cells in rows:
        right = [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
        yield "  ".join([name.ljust(widths[0]), *right]).rstrip()
    yield "smallest seen: the relative error that would not have passed, median / worst problem"
    yield f"strata covered: {covered(summary)}"
    yield from summary.shown.lines()
    for p in summary.properties:
        if told := concentrated(p):
            yield f"{p.name} fails only with: {told}"
    for why, names in unsupported(summary).items():
        yield f"unsupported ({', '.join(names)}): {why}"


def _row(p: Property, verdicts: Sequence[str]) -> Row:
    total = p.total
    seen = " / ".join(map(number, total.seen)) if total.seen else ""
    counts = (total.problems, *(total.verdicts[v] for v in verdicts))
    return (p.name, *(f"{n:,}" for n in counts), f"{sum(total.coordinates.values()):,}", seen)


def _full(failure: Failure) -> Iterator[str]:
    yield f"FAIL {title(failure)}"
    for line in told_of(failure):
        yield f"  {line.label:<12}  {line.text}"


def _more(failures: tuple[Failure, ...]) -> Iterator[str]:
    for failure in failures[:NAMED]:
        yield f"FAIL {title(failure)}: {failure.replay or first_of(failure).token}"
    if len(failures) > NAMED:
        yield f"... and {len(failures) - NAMED:,} more ways to fail"


def _curves(summary: Summary) -> Iterator[str]:
    told = curves(summary, SHOWN)
    if told:
        yield f"{CURVES}:"
    for text in told:
        yield f"  {text}"


def _known(entries: Sequence[Declared]) -> Iterator[str]:
    mine = [entry for entry in entries if entry.state != ELSEWHERE]
    for entry in mine[:NAMED]:
        yield f"{word(entry)} {heading(entry)}: {entry.told}"
        yield f"  {entry.reason} ({entry.issue}, until {entry.expires})"
        if entry.pinned:
            yield f"  {entry.replay}"
    if len(mine) > NAMED:
        yield f"... and {len(mine) - NAMED:,} more known failures"
    if rest := sorted({entry.engine for entry in entries if entry.state == ELSEWHERE}):
        yield f"known failures of other engines: {', '.join(rest)}"


def _undecided(summary: Summary) -> Iterator[str]:
    every = [(p, why) for p in summary.properties for why in p.total.inconclusive]
    for p, why in every[:UNDECIDED]:
        yield f"INCONCLUSIVE {p.name}, {why.reason}: {why.count:,} of {p.total.problems:,} problems"
        yield f"  {why.token}: {why.detail}"
    if len(every) > UNDECIDED:
        rest = sum(why.count for _, why in every[UNDECIDED:])
        yield f"... and {rest:,} more for other reasons"


def _end(summary: Summary) -> Iterator[str]:
    yield f"cost: {passes(summary)}, {seconds(summary.seconds)}"
    for line in leads(summary):
        yield f"{line.label}: {line.text}"
    yield conclusion(summary)
