"""Progress on stderr: a bar where somebody is watching, else one line a section."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm

Advance = Callable[[int], object]


@contextmanager
def section_progress(title: str, total: int) -> Iterator[Advance]:
    """Announce a section; yields a function to call with the number of steps just done."""
    watched = sys.stderr.isatty()
    if not watched:
        print(f"gradcheck report: {title}", file=sys.stderr, flush=True)  # noqa: T201 - the log
    tqdm.monitor_interval = 0  # no thread of its own: worker processes are forked
    with tqdm(total=total, desc=title, disable=not watched, leave=True) as bar:
        yield bar.update
