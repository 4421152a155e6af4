"""Measures in a process of its own, with the number of threads that its environment sets.

    python -m gradcheck.studies.bench.worker SETTINGS THREADS

The time of one thread is the processor's, which other programs on the machine do not enter; that of
several is the clock's on the wall. The settings come as JSON; every row goes to standard output as
one line of JSON, then a last line {"done": true}, or {"error": "..."}. What libraries print goes to
standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import replace
from typing import Any

from gradcheck.studies.bench.contenders import contenders
from gradcheck.studies.bench.measure import measure
from gradcheck.studies.bench.settings import Settings
from gradcheck.studies.bench.trial import Clock, ClockStoppedError, MiscountError
from gradcheck.studies.cost import processor_clock


def main(arguments: list[str]) -> None:
    """Measure, and write the rows."""
    settings, threads = Settings.from_json(json.loads(arguments[0])), int(arguments[1])
    channel = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    checks = contenders()
    is_first = threads == settings.threads[0]
    if not is_first:
        settings = replace(settings, longest=settings.longest_again)

    def say(text: str) -> None:
        print(f"gradcheck bench: {text}", file=sys.stderr, flush=True)  # noqa: T201 - the log

    def send(message: dict[str, Any]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    try:
        clock = clock_of(threads)
        for row in measure(checks, settings, threads, searches=is_first, clock=clock, say=say):
            send(row.to_json())
    except (ClockStoppedError, MiscountError) as error:
        send({"error": str(error)})
    else:
        send({"done": True})


def clock_of(threads: int) -> Clock:
    """Return the processor's clock for one thread, that on the wall for several."""
    return processor_clock() if threads == 1 else time.perf_counter


if __name__ == "__main__":
    main(sys.argv[1:])
