"""Ends what an engine started, even what left its process group, its session and its parents.

A worker adopts the orphans among its descendants (Linux, prctl(2): PR_SET_CHILD_SUBREAPER), so that
its tree holds all of them while it lives; the parent adopts those of a worker that died, and knows
them by a mark in the environment that they were started with. Where there is no /proc, the process
group is all that is ended.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from pathlib import Path
from typing import TypeAlias

MARK = "GRADCHECK_WORKER"
"""The variable that names the worker under which a process was started."""

PR_SET_CHILD_SUBREAPER = 36
ROUNDS, PAUSE = 100, 0.01
"""How often, and seconds apart, what still runs or was started meanwhile is looked for."""

Process: TypeAlias = tuple[int, bytes]
"""A process: its number, and when it started, since numbers are given again."""

PROC = Path("/proc")


def adopt_orphans(*, adopt: bool = True) -> None:
    """Become the parent of every descendant that loses its own, or no longer."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(adopt), 0, 0, 0)


def descendants(pid: int) -> set[Process]:
    """Return every process below one."""
    found: set[Process] = set()
    ahead = [pid]
    while ahead:
        for child in _children(ahead.pop()):
            if (started := _started(child)) and (child, started) not in found:
                found.add((child, started))
                ahead.append(child)
    return found


def end(processes: set[Process], mark: str = "") -> None:
    """Kill processes with all that is below them, and children of this one that have a mark."""
    for _ in range(ROUNDS):
        mine = _children(os.getpid())
        marked = {(pid, _started(pid)) for pid in mine if _has(pid, mark)}
        alive = {each for each in processes | marked if each[1] and _started(each[0]) == each[1]}
        if not alive and not (mark and any(_is_starting(pid) for pid in mine)):
            return
        for pid, _ in alive.union(*(descendants(pid) for pid, _ in alive)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        for pid in mine:
            if pid in {pid for pid, _ in alive}:
                with contextlib.suppress(ChildProcessError):  # somebody else has waited for it
                    os.waitpid(pid, os.WNOHANG)
        time.sleep(PAUSE)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in PROC.glob(f"{pid}/task/*/children"):
        with contextlib.suppress(OSError):  # it has just ended
            found += map(int, task.read_text("ascii").split())
    return found


def _started(pid: int) -> bytes:
    """Return when a process was started, b"" if it is gone or a zombie."""
    try:
        state, *rest = (PROC / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
    except (OSError, ValueError):
        return b""
    return b"" if state in b"ZX" else rest[18]


def _is_starting(pid: int) -> bool:
    """Whether a process has not got its arguments and environment yet: execve(2) is under way."""
    try:
        empty = not (PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return False
    return empty and bool(_started(pid))


def _has(pid: int, mark: str) -> bool:
    try:
        return bool(mark) and f"{MARK}={mark}\0".encode() in (
            (PROC / str(pid) / "environ").read_bytes() + b"\0"
        )
    except OSError:
        return False
