"""Markdown for the summary page of a CI job: the verdict, one table, the failures folded away."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from gradcheck.verification.declared import Declared, word
from gradcheck.verification.failures import Failure
from gradcheck.verification.story import (
    CURVES,
    Line,
    concentrated,
    conclusion,
    covered,
    curves,
    heading,
    leads,
    passes,
    title,
    told_of,
    told_of_known,
    unsupported,
)
from gradcheck.verification.summary import Property, Summary
from gradcheck.verification.tally import Why
from gradcheck.verification.words import count, number, seconds

IN_FULL = 10
REASONS = 6

# Every character that Markdown or HTML could read as more than itself.
SPECIAL = re.compile(r"[\\`*_\[\]<>#&|~$@]")


def escape(text: str) -> str:
    """Write text that Markdown and HTML show as it is.

    >>> escape("a|b <i> `c`")
    'a&#124;b &#60;i&#62; &#96;c&#96;'
    """
    return SPECIAL.sub(lambda found: f"&#{ord(found[0])};", text)


def code(text: str) -> str:
    """Write text as code, also inside a table.

    >>> code("gc1:1-1"), code("a|b")
    ('`gc1:1-1`', '<code>a&#124;b</code>')
    """
    return f"<code>{escape(text)}</code>" if not text or set("`|\n") & set(text) else f"`{text}`"


def render(summary: Summary) -> str:
    """Write a verification as GitHub Markdown."""
    blocks = [_head(summary), _table(summary.properties, summary.verdicts), _rest(summary)]
    blocks += [_folded(failure) for failure in summary.failures[:IN_FULL]]
    blocks += [_curves(summary), *(_folded_known(entry) for entry in summary.known[:IN_FULL])]
    blocks.append(_undecided(summary))
    return "\n\n".join("\n".join(block) for block in map(list, blocks) if block) + "\n"


def _head(summary: Summary) -> Iterator[str]:
    yield f"## gradcheck: {escape(summary.state)}, {escape(summary.engine_name)}"
    yield ""
    if summary.warning:
        yield f"**{escape(summary.warning)}**"
        yield ""
    yield escape(conclusion(summary)) + "."
    if summary.failures:
        ways = count(len(summary.failures), "way")
        yield f"It fails in {ways}: {escape('; '.join(map(title, summary.failures[:IN_FULL])))}."
    for line in leads(summary):
        yield f"{line.label.capitalize()}: {escape(line.text)}."


def _table(properties: Sequence[Property], verdicts: Sequence[str]) -> Iterator[str]:
    if not properties:
        yield "No problem was examined."
        return
    heads = ["property", "problems", *verdicts, "coordinates", "smallest error seen"]
    yield f"| {' | '.join(heads)} |"
    yield f"|:--{'|--:' * (len(heads) - 1)}|"
    for p in properties:
        yield f"| {' | '.join(_cells(p, verdicts))} |"


def _cells(p: Property, verdicts: Sequence[str]) -> list[str]:
    total = p.total
    seen = f"{number(total.seen[0])} (worst {number(total.seen[1])})" if total.seen else ""
    counts = [f"{total.verdicts[v]:,}" for v in verdicts]
    derivatives = f"{sum(total.coordinates.values()):,}"
    return [escape(p.name), f"{total.problems:,}", *counts, derivatives, seen]


def _rest(summary: Summary) -> Iterator[str]:
    yield f"- Cost: {passes(summary)}, {seconds(summary.seconds)}"
    yield f"- Strata covered: {escape(covered(summary))}"
    for p in summary.properties:
        if told := concentrated(p):
            yield f"- {escape(p.name)} fails only with: {escape(told)}"
    for why, names in unsupported(summary).items():
        yield f"- Unsupported ({escape(', '.join(names))}): {escape(why)}"
    for told in summary.shown.lines():
        yield f"- {escape(told)}"
    for event in summary.events[:IN_FULL]:
        yield f"- Engine {escape(event.name)}: {escape(' '.join(event.detail.split()))}"
    if summary.command:
        yield f"- {code(summary.command)}"


def _folded(failure: Failure) -> Iterator[str]:
    yield from _details("FAIL", title(failure), told_of(failure))


def _curves(summary: Summary) -> Iterator[str]:
    if told := curves(summary):
        yield f"<details><summary><b>MEASURED</b> {CURVES}</summary>"
        yield ""
        yield from (f"- {escape(text)}" for text in told)
        yield ""
        yield "</details>"


def _folded_known(entry: Declared) -> Iterator[str]:
    yield from _details(word(entry), f"{heading(entry)}: {entry.told}", told_of_known(entry)[1:])


def _details(what: str, told: str, lines: Sequence[Line]) -> Iterator[str]:
    yield f"<details><summary><b>{what}</b> {escape(told)}</summary>"
    yield ""
    for line in lines:
        shown = code(line.text) if line.is_code else escape(line.text)
        yield f"- {line.label}: {shown}" if line.label else f"  <br>{shown}"
    yield ""
    yield "</details>"


def _undecided(summary: Summary) -> Iterator[str]:
    every = [(p, why) for p in summary.properties for why in p.total.inconclusive]
    if len(summary.failures) > IN_FULL:
        yield f"... and {len(summary.failures) - IN_FULL:,} more ways to fail."
        yield ""
    if len(summary.known) > IN_FULL:
        yield f"... and {len(summary.known) - IN_FULL:,} more known failures."
        yield ""
    if not every:
        return
    yield "<details><summary>INCONCLUSIVE, and why</summary>"
    yield ""
    yield "| property | reason | problems | the first |"
    yield "|:--|:--|--:|:--|"
    for p, why in every[:REASONS]:
        yield f"| {escape(p.name)} | {escape(why.reason)} | {why.count:,} | {_first(why)} |"
    if len(every) > REASONS:
        yield f"| ... | {len(every) - REASONS:,} more reasons | | |"
    yield ""
    yield "</details>"


def _first(why: Why) -> str:
    return f"{code(why.token)}: {escape(why.detail)}"
