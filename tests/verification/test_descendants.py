"""What an engine started is ended, wherever it went."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gradcheck.verification.descendants import MARK, adopt_orphans, descendants, end

pytestmark = pytest.mark.skipif(
    not list(Path("/proc").glob(f"{os.getpid()}/task/*/children")), reason="no /proc/.../children"
)

NAP = "import time; time.sleep(600)"
PARENT = f"""
import subprocess, sys, time
from gradcheck.verification.descendants import adopt_orphans
adopt_orphans()
nap = [sys.executable, "-c", {NAP!r}]
subprocess.Popen(nap, start_new_session=True)
subprocess.Popen([sys.executable, "-c", f"import subprocess; subprocess.Popen({{nap}})"]).wait()
print("ready", flush=True)
{NAP}
"""


def started(program, **environment):
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-c", program], stdout=pipe, env=os.environ | environment
    )


def runs(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_bytes().rpartition(b")")[2].split()[0] != b"Z"


def test_sessions_and_orphans_are_in_the_tree_and_are_ended():
    parent = started(PARENT)
    assert parent.stdout.readline() == b"ready\n"
    below = descendants(parent.pid)
    assert len(below) == 2
    end(below)
    assert not any(runs(pid) for pid, _ in below)
    assert descendants(parent.pid) == set()
    parent.kill()
    parent.communicate()


def test_orphans_of_a_dead_worker_are_known_by_their_mark():
    adopt_orphans()
    try:
        program = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {NAP!r}])"
        other, mine = started(NAP), started(program, **{MARK: "mine"})
        mine.wait()
        before = {pid for pid, _ in descendants(os.getpid())}
        end(set(), "mine")
        left = {pid for pid, _ in descendants(os.getpid())}
    finally:
        adopt_orphans(adopt=False)
        other.kill()
        other.communicate()
        mine.communicate()
    assert other.pid in before & left
    assert len(before - left) == 1


def test_a_process_that_execve_has_not_given_its_environment_yet_is_waited_for(
    tmp_path, monkeypatch
):
    me, child = tmp_path / str(os.getpid()) / "task/1", tmp_path / "42"
    me.mkdir(parents=True)
    child.mkdir()
    (me / "children").write_text("42 ")
    (child / "stat").write_text("42 (python) R " + "0 " * 40)
    for name in ("cmdline", "environ"):
        (child / name).write_bytes(b"")
    killed = []

    def execve_ends(_seconds):
        (child / "cmdline").write_bytes(b"python\0")
        (child / "environ").write_bytes(f"{MARK}=mine\0".encode())

    def kill(pid, _signal):
        killed.append(pid)
        (child / "stat").write_text("42 (python) Z " + "0 " * 40)

    monkeypatch.setattr("gradcheck.verification.descendants.PROC", tmp_path)
    monkeypatch.setattr("gradcheck.verification.descendants.time.sleep", execve_ends)
    monkeypatch.setattr("gradcheck.verification.descendants.os.kill", kill)
    end(set(), "mine")
    assert killed == [42]


def test_a_number_that_was_given_again_is_left_alone():
    other = started(NAP)
    end({(other.pid, b"0")})
    time.sleep(0.01)
    assert runs(other.pid)
    other.kill()
    other.communicate()
