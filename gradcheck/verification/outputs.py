"""The output files of a verification."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gradcheck.verification.log import encode
from gradcheck.verification.slot import Record
from gradcheck.verification.summary import Summary, summarise
from gradcheck.writing.files import write_text
from gradcheck.writing.terminal import UnwritableError


@dataclass(frozen=True)
class Paths:
    """Where the outputs go; None for none."""

    junit: Path | None = None
    html: Path | None = None
    markdown: Path | None = None


def summary_of(records: Sequence[Record]) -> Summary:
    """Summarise records as they would be read from the log."""
    return summarise(json.loads(encode(record)) for record in records)


def writers(summary: Summary, paths: Paths) -> Iterator[Callable[[], None]]:
    """Yield what writes each output that was asked for, to be called on its own.

    What is yielded raises UnwritableError where the file cannot be written.
    """
    from gradcheck.verification import junit, markdown, page  # noqa: PLC0415 - jinja2, when needed

    for name, form in (("junit", junit), ("html", page), ("markdown", markdown)):
        path = getattr(paths, name)
        if path is not None:
            yield partial(_write, f"--{name}", path, form.render, summary)


def _write(option: str, path: Path, render: Callable[[Summary], str], summary: Summary) -> None:
    text = render(summary)
    try:
        write_text(path, text)
    except OSError as error:
        raise UnwritableError(f"{option}={path} cannot be written: {error}") from None
