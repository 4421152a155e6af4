"""How much memory a worker may take, so that no engine takes all that the machine has.

The limit is RLIMIT_DATA, which counts what a process may write to, and not what it only reserves,
as libraries for graphics processors do. Linux alone counts it so.
"""

from __future__ import annotations

import contextlib
import os
import resource
import sys
from pathlib import Path

SHARE = 3 / 4
"""Of the machine's memory, for all workers together."""

LEAST = 2**30
"""Bytes for a worker, at least: large libraries need that much."""

GROUP = Path("/sys/fs/cgroup/memory.max")
"""Where Linux says how much memory a container has."""


def usual_memory(jobs: int) -> int:
    """Return the bytes that each of so many workers may take."""
    return max(LEAST, int(SHARE * _whole_memory() / jobs))


def limit_memory(most: int | None) -> None:
    """Bound the memory of this process; where the machine has none left, it is the first to go.

    Args:
        most: bytes; None for no bound.
    """
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000", "ascii")
    if most is None or not sys.platform.startswith("linux"):
        return
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    bound = most if hard == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, bound))


def _whole_memory() -> int:
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    with contextlib.suppress(OSError, ValueError):  # no such group, or "max"
        return min(machine, int(GROUP.read_text("ascii")))
    return machine
