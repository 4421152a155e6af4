"""Runs pytest in a fork of this process, from a copy of the tree, within limits.

The fork starts with NumPy, Flint and pytest loaded, and with nothing of the tree.
"""

from __future__ import annotations

import os
import resource
import select
import shutil
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import flint  # noqa: F401 - loaded for the forks
import hypothesis  # noqa: F401
import numpy as np  # noqa: F401
import pandas as pd  # noqa: F401
import pytest

PATIENCE = 600.0
"""Seconds in which a fork that sleeps ends."""

MEMORY = 2**33
"""Bytes that a fork may address."""

LOADED = "ignore::pytest.PytestAssertRewriteWarning"
"""What is loaded before pytest begins is named by a warning."""

HUNG = -1


@contextmanager
def copied(root: Path) -> Iterator[Path]:
    """Copy what git tracks, or would, into a temporary folder."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=root, check=True, capture_output=True)
    with TemporaryDirectory(prefix="mutation-") as folder:
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (root / name).is_file():
                (Path(folder) / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(root / name, Path(folder) / name)
        yield Path(folder)


def run_pytest(
    tree: Path,
    arguments: Sequence[str],
    plugins: Sequence[object] = (),
    *,
    seconds: float,
    output: Path | None = None,
) -> int:
    """Run pytest in a fork; return its exit code, or HUNG.

    Args:
        tree: the copy that is tested.
        arguments: of pytest.
        plugins: of pytest.
        seconds: of processor time after which the fork is ended.
        output: where what it prints goes; nowhere if None.
    """

    def work() -> int:
        os.chdir(tree)
        sys.path.insert(0, str(tree))
        os.environ["PYTHONPATH"] = str(tree)
        options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-W", LOADED, *arguments]
        return int(pytest.main(options, plugins=list(plugins)))

    return forked(work, seconds=seconds, output=output)


def forked(work: Callable[[], int], *, seconds: float, output: Path | None = None) -> int:
    """Do work in a fork; return its exit code, or HUNG if it takes too long or is killed."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        _confine(seconds, output)
        try:
            code = work()
        except BaseException:  # noqa: BLE001 - whatever ends the fork ends it here
            traceback.print_exc()
            code = 3
        os._exit(code)
    handle = os.pidfd_open(pid)
    try:
        ended, _, _ = select.select([handle], [], [], PATIENCE)
        if not ended:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    finally:
        os.close(handle)
        with suppress(ProcessLookupError):
            os.killpg(pid, signal.SIGKILL)  # what it has started
    return HUNG if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)


def _confine(seconds: float, output: Path | None) -> None:
    os.setpgid(0, 0)
    with Path(output or os.devnull).open("wb") as sink, Path(os.devnull).open("rb") as source:
        os.dup2(source.fileno(), 0)
        os.dup2(sink.fileno(), 1)
        os.dup2(sink.fileno(), 2)
    limit = int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
