"""Parses arguments: numbers, sizes, models and limits, each refused in a sentence."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gradcheck.writing import terminal

MOST_EXAMPLES = 10**6
"""Problems of one run: a day and a night of one processor, and a log of gigabytes."""

MOST_JOBS = 256
LONGEST = 86_400
"""Seconds for one property: a day."""

LEAST_MEMORY = 100 * 2**20
"""Bytes that a worker needs for itself."""

PUBLISHED, LATEST = Path("reports/standard"), Path("reports/latest")
"""Where `report --check` looks, and where measurements are written: git ignores the latter."""

ENGINE_HELP = "registered name, py:package.module:attribute, or cmd:COMMAND LINE"


class Parser(argparse.ArgumentParser):
    """A parser whose messages go the one way out."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if not message:
            return
        if file is sys.stderr or file is None:
            terminal.grumble(message.rstrip("\n"))
        else:
            terminal.say(message.rstrip("\n"))


def add_jobs(parser: argparse._ActionsContainer) -> None:
    """Add --jobs."""
    parser.add_argument(
        "--jobs",
        type=up_to(MOST_JOBS),
        default=processors(),
        metavar="N",
        help="number of worker processes (default: one a processor, up to 4)",
    )


def whole(text: str) -> int:
    """Read a random seed: a whole number of 64 bits."""
    value = int(text)
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"{value} must be in 0..{2**64 - 1}")
    return value


def processors() -> int:
    """Return how many worker processes are started where nothing is said."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def up_to(most: int) -> Callable[[str], int]:
    """Return what reads a whole number from 1 to `most`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,20}", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text:.40} must be a whole number in 1..{most:,}")
        return int(text)

    return read


def seconds(text: str) -> float:
    """Read a number of seconds, at most a day."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= LONGEST:
        told = f"{text:.40} must be a number of seconds above 0, at most {LONGEST:,}"
        raise argparse.ArgumentTypeError(told)
    return value


def size(text: str) -> int:
    """Read a size in bytes: 500M, 2G."""
    found = re.fullmatch(r"([0-9]{1,15})([KMG]?)", text.upper())
    value = int(found[1]) * 2 ** (10 * " KMG".index(found[2] or " ")) if found else 0
    if not LEAST_MEMORY <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{text:.40} must be a size from 100M on, as 500M or 2G")
    return value


def shard(text: str) -> tuple[int, int]:
    """Read I/N, with 1 <= I <= N."""
    place, slash, shards = text.partition("/")
    if not (slash and place.isdecimal() and shards.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} must have the form I/N, as 1/4")
    if not 1 <= int(place) <= int(shards):
        raise argparse.ArgumentTypeError(f"{text!r}: I must be in 1..N")
    return int(place), int(shards)


def network(text: str) -> tuple[int, ...]:
    """Read layer sizes: 97-100-1."""
    parts = text.split("-")
    if len(parts) < 2 or not all(re.fullmatch("[1-9][0-9]{0,6}", part) for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r:.60} must be layer sizes from 1, as 97-100-1")
    return tuple(map(int, parts))
