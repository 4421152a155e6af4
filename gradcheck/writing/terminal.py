r"""The one way out to a terminal: everything that is printed is made safe to print here.

Engines, files and command lines may hold any text: escape sequences that move the cursor, marks
that turn the direction of writing, half characters. They are spelled out, as `\x1b`.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from typing import IO, TextIO

# Control characters except tab and newline, marks that turn the direction of writing, line
# separators, lone surrogates, and the two code points that XML 1.0 forbids besides.
UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"
    r"\ufffe\uffff\ud800-\udfff]"
)


class UnwritableError(ValueError):
    """A place that nothing can be written to; the message names it and says why."""


def printable(text: str) -> str:
    r"""Spell out what a terminal would obey, or could not show.

    >>> printable("bell \x07, half a character \ud800")
    'bell \\x07, half a character \\ud800'
    """
    return UNPRINTABLE.sub(lambda found: ascii(found[0])[1:-1], text)


def text_of(value: object) -> str:
    """Write anything as plain text, whatever its own __str__ does.

    >>> text_of(0.5)
    '0.5'
    """
    try:
        return "".join([str(value)])  # of a subclass of str, its characters
    except BaseException as error:  # noqa: BLE001 - an engine's own text runs the engine's code
        return f"(cannot be shown: its text raised {type(error).__name__})"


def prepare() -> None:
    """Have three open streams that take any character, whatever this process was started with.

    A descriptor that was closed would be given to the next file or pipe, which prints would reach.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            lowest = os.open(os.devnull, os.O_RDWR)  # of those that are free
            os.set_inheritable(lowest, True)
    sys.stdout, sys.stderr = sys.stdout or _stream(1), sys.stderr or _stream(2)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _stream(descriptor: int) -> TextIO:
    return open(descriptor, "w", encoding="utf-8", closefd=False)


def say(text: str) -> None:
    """Print to standard output, at once; a reader that has gone away is no matter.

    Raises:
        UnwritableError: it cannot be written to.
    """
    try:
        _print(text, sys.stdout)
    except BrokenPipeError:
        _mute(1)
    except OSError as error:
        _mute(1)
        raise UnwritableError(f"standard output cannot be written to: {error}") from None


def complain(text: str) -> None:
    """Print to standard error who complains of what, if it can be written to."""
    grumble(f"gradcheck: {text}")


def grumble(text: str) -> None:
    """Print to standard error, if it can be written to."""
    try:
        _print(text, sys.stderr)
    except OSError:
        _mute(2)


def pass_on(text: str) -> None:
    """Write to standard error what another process printed, if it can be written to."""
    with contextlib.suppress(OSError, ValueError):  # it may be closed already
        if sys.stderr is not None:
            sys.stderr.write(printable(text))
            sys.stderr.flush()


def _print(text: str, stream: IO[str] | None) -> None:
    if stream is not None:
        print(printable(text), file=stream, flush=True)


def _mute(descriptor: int) -> None:
    """Let what is still to be written go nowhere, so that the interpreter can end."""
    with contextlib.suppress(OSError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, descriptor)
        os.close(nowhere)
