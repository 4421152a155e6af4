"""The templates of the pages in Markdown, each compiled once."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from jinja2 import Environment, StrictUndefined, Template


@cache
def template(name: str) -> Template:
    """Return the template of a page; a name that it lacks is an error, not an empty text."""
    text = files("gradcheck.report").joinpath(f"templates/{name}").read_text(encoding="utf-8")
    return Environment(undefined=StrictUndefined).from_string(text)  # noqa: S701 - Markdown, not HTML
