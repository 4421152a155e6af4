"""The templates of the pages in Markdown, each compiled once."""

from __future__ import annotations

from jinja2 import Environment, PackageLoader, StrictUndefined, Template

_TEMPLATES = Environment(  # noqa: S701 - Markdown, not HTML
    loader=PackageLoader("gradcheck.studies.report"), undefined=StrictUndefined
)


def template(name: str) -> Template:
    """Return the template of a page; a name that it lacks is an error, not an empty text."""
    return _TEMPLATES.get_template(name)
