"""A self-contained HTML page: no network, no script, one file."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template

from gradcheck.verification import declared, figure, story, words
from gradcheck.verification.summary import Summary

LISTED = 50
OPEN = 3
REASONS = 20
EVENTS = 20


def render(summary: Summary) -> str:
    """Write a verification as HTML, to be saved as UTF-8; at most `LISTED` failures in full."""
    panels = [panel for panel in map(figure.panel, summary.properties) if panel]
    return _template().render(
        summary=summary,
        verdicts=summary.verdicts,
        panels=panels,
        declared=declared,
        figure=figure,
        story=story,
        words=words,
        listed=LISTED,
        opened=OPEN,
        reasons=REASONS,
        events=EVENTS,
    )


@cache
def _template() -> Template:
    text = (
        files("gradcheck.verification")
        .joinpath("templates/page.html.j2")
        .read_text(encoding="utf-8")
    )
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(text)
