"""The attack: nothing hangs, nothing wrong is verified, and every exit code means what it says."""

import re
import shutil
import signal
import stat
import sys
from pathlib import Path

import pytest
from attack_cases import DAMAGE, FILES, IN_PROCESS, KINDS, LOGS, PLACES, PROCESS, TOKENS
from in_process import InProcess, NextDoor

from gradcheck import cli
from gradcheck.verification import plan, run, shrink

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SEED = "19"
"""Its first problem passes both properties, and has |z| > 2 and more than one example."""

PATIENCE = 600
"""Seconds after which a run is said to hang."""

nightly = pytest.mark.nightly


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("attackers.py", "process_attackers.py"):
        shutil.copy(HERE / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    whole = plan._exact_cases
    monkeypatch.setattr(plan, "_exact_cases", lambda *given: (whole(*given)[0][:2], []))
    return tmp_path


@pytest.fixture
def beside(monkeypatch):
    """Let the engine live in this process, where it is not what the test is about."""
    monkeypatch.setattr(run, "Pool", InProcess)


@pytest.fixture
def next_door(monkeypatch):
    """Let the checks be done in this process, and the engine in its own; explain no failure."""
    monkeypatch.setattr(run, "Pool", NextDoor)
    monkeypatch.setattr(run._Run, "_responses", lambda _: None)
    for limit in ("CHECKS", "TINY_CHECKS"):
        monkeypatch.setattr(shrink, limit, 1)


def ended(arguments):
    """Run a command; return its exit code, or "hangs"."""
    hung = []

    def over(*_):
        hung.append(True)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        code = cli.main(arguments)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return "hangs" if hung else code


def verified(spec, *options):
    usual = [
        "--examples",
        "1",
        "--seed",
        SEED,
        "--dtype",
        "float64",
        "--jobs",
        "1",
        "--timeout",
        "6",
    ]
    return ended(["verify", spec, *usual, *options])


def is_quiet(capsys):
    said = capsys.readouterr()
    return not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", said.out + said.err)


@nightly
@pytest.mark.parametrize("case", IN_PROCESS)
def test_an_engine_in_python(case, next_door, capsys):
    assert verified(f"py:attackers:{case.replace(' ', '.')}") in IN_PROCESS[case]
    assert is_quiet(capsys)


@nightly
@pytest.mark.parametrize("case", PROCESS)
def test_an_engine_in_a_process_of_its_own(case, next_door, capsys):
    base, name = case.split()
    command = f"cmd:{sys.executable} process_attackers.py {name} {base}"
    assert verified(command) in PROCESS[case]
    assert is_quiet(capsys)


@nightly
@pytest.mark.parametrize("case", FILES)
def test_an_output_file(case, beside, capsys):
    option, place = case.split(" ", 1)
    name, make, codes = PLACES[place]
    make(Path(name))
    before = Path(name).lstat() if place in ("pipe", "link", "empty", "nowhere", "full") else None
    assert verified("reference", option, name) in codes
    assert is_quiet(capsys)
    if before is not None:
        assert stat.S_IFMT(Path(name).lstat().st_mode) == stat.S_IFMT(before.st_mode)
        assert stat.S_IMODE(Path(name).lstat().st_mode) == stat.S_IMODE(before.st_mode)


def timeless(path):
    return re.sub(rb'"seconds":[0-9.e+-]+', b'"seconds":0', path.read_bytes())


@nightly
@pytest.mark.parametrize("case", LOGS)
def test_a_damaged_log(case, beside, capsys):
    change, codes = DAMAGE[case]
    log = Path("run.log")
    assert verified("reference", "--log", "run.log") == 0
    whole, damaged = timeless(log), change(log.read_bytes())
    assert damaged != log.read_bytes()
    log.write_bytes(damaged)
    code = verified("reference", "--log", "run.log", "--resume")
    assert code in codes
    assert (timeless(log) == whole) if code == 0 else (log.read_bytes() == damaged)
    assert is_quiet(capsys)


@nightly
@pytest.mark.parametrize("token", TOKENS, ids=range(len(TOKENS)))
def test_a_token(token, capsys):
    assert ended(["replay", token, "reference"]) in TOKENS[token]
    assert is_quiet(capsys)


def test_the_table_in_the_docs_has_every_case_and_all_are_held():
    text = (ROOT / "docs" / "measured.md").read_text("utf-8")
    [table] = re.findall(r"<!-- attack -->\n(.*?)\n\n", text, re.DOTALL)
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.split("\n")[2:]]
    told = {kind: (int(tried), int(held)) for kind, tried, held in rows}
    counts = {kind: (len(cases), len(cases)) for kind, cases in KINDS.items()}
    total = sum(map(len, KINDS.values()))
    assert total >= 250
    assert told == counts | {"together": (total, total)}
