"""Writes the outputs of a verification: files that appear whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gradcheck.verify.log import encode
from gradcheck.verify.slot import Record
from gradcheck.verify.summary import Summary, summarise


@dataclass(frozen=True)
class Paths:
    """Where the outputs go; None for none."""

    junit: Path | None = None
    html: Path | None = None
    markdown: Path | None = None


class UnwritableError(ValueError):
    """A path that nothing can be written to; the message names it and says why."""


def require_writable(name: str, path: Path | None) -> None:
    """Make sure that a file can be written, and its folder be there.

    Raises:
        UnwritableError: it cannot.
    """
    if path is None:
        return
    if path.is_dir():
        raise UnwritableError(f"--{name}={path} is a folder; a file is needed")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
        if path.exists() and not os.access(path, os.W_OK):
            raise PermissionError(f"{path} is write-protected")
    except OSError as error:
        raise UnwritableError(f"--{name}={path} cannot be written: {error}") from None


def summary_of(records: Sequence[Record]) -> Summary:
    """Summarise records as they would be read from the log."""
    return summarise(json.loads(encode(record)) for record in records)


def write(summary: Summary, paths: Paths) -> None:
    """Write every output that was asked for."""
    from gradcheck.verify import junit, markdown, page  # noqa: PLC0415 - jinja2, when needed

    if paths.junit is not None:
        _write_whole(paths.junit, junit.render(summary))
    if paths.html is not None:
        _write_whole(paths.html, page.render(summary))
    if paths.markdown is not None:
        _write_whole(paths.markdown, markdown.render(summary))


def _write_whole(path: Path, text: str) -> None:
    """Write a file beside `path`, then give it that name."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
