"""Runs that are killed at random moments, and gone on with, write the log of an undisturbed run."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KILLS = 100
COMMAND = ["verify", "reference", "--examples", "12", "--dtype", "float64", "--jobs", "2"]


def started(*options):
    program = [sys.executable, "-m", "gradcheck", *COMMAND, "--log", "run.log", *options]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(
        program, env=os.environ | {"PYTHONPATH": str(ROOT)}, stdout=nowhere, stderr=nowhere
    )


def timeless():
    return re.sub(rb'"seconds":[0-9.e+-]+', b'"seconds":0', Path("run.log").read_bytes())


def resumable():
    log = Path("run.log")
    return ["--resume"] if log.exists() and log.stat().st_size else []


def killed(kills, seed, length):
    """Kill runs until there were so many kills; return the logs of those that ended."""
    draw, ended, done = random.Random(seed), [], 0  # noqa: S311 - no secret
    while done < kills or resumable():
        process = started(*resumable())
        if done < kills:
            time.sleep(draw.uniform(0, length))
            process.kill()
        code = process.wait()
        if code == -signal.SIGKILL:
            done += 1
            continue
        if code == 2:  # killed within the first line: there is no log to go on with
            Path("run.log").unlink()
            continue
        ended.append((code, timeless()))
        Path("run.log").unlink()
    return ended


@pytest.mark.nightly
def test_a_run_that_is_killed_and_gone_on_with_writes_the_same_bytes(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = time.monotonic()
    assert started().wait() == 0
    length, whole = time.monotonic() - start, timeless()
    Path("run.log").unlink()
    ended = killed(KILLS, 0, 1.2 * length)
    assert ended
    assert set(ended) == {(0, whole)}
