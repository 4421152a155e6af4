"""The command `verify`, end to end: exit codes, faults that end processes, logs that go on."""

import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import redirect_stdout
from multiprocessing.connection import wait
from pathlib import Path
from types import SimpleNamespace

import pytest
from in_process import InProcess, look_once, without_curves, without_processes

from gradcheck import cli
from gradcheck.verification import pool, run, shrink
from gradcheck.verification.pool import EngineGoneError

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
FLUSH = """
#include <xmmintrin.h>
void flush(void) { _mm_setcsr(_mm_getcsr() | 0x8040); }
void upwards(void) { _mm_setcsr((_mm_getcsr() & ~0x6000) | 0x4000); }
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    for name in ("faulty_engines.py", "hostile_engines.py"):
        shutil.copy(HERE / name, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    look_once(monkeypatch)
    return tmp_path


@pytest.fixture
def here(monkeypatch):
    """The engine lives in this process: what is tested is what is said of what it answers."""
    without_processes(monkeypatch)


BOTH = ("--jobs", "2")
"""Options of runs that may use both processors."""

SMALL = [f"--limit={limit}" for limit in ("corners=generic", "max_parameters=20", "max_batch=4")]
"""Options of runs of which a few small problems show what is to be seen."""

ONE_LAYER = [*SMALL, "--limit=max_depth=1"]


def command(engine, *options, examples=6):
    spec = engine if ":" in engine else f"py:faulty_engines:{engine}"
    settings = ["--examples", str(examples), "--dtype", "float64", "--jobs", "1"]
    return ["verify", spec, *settings, "--log", "run.log", *options]


def verify(engine, *options, examples=6):
    """Run the command in this process; return its exit code and the records of its log."""
    code = cli.main(command(engine, *options, examples=examples))
    return code, records() if Path("run.log").exists() else []


def records(name="run.log"):
    return [json.loads(line) for line in Path(name).read_text("utf-8").splitlines()]


def cases(log):
    return [record for record in log if record["kind"] == "case"]


def verdicts(log):
    return {finding["verdict"] for case in cases(log) for finding in case["findings"]}


def timeless(name="run.log"):
    """Return the log without its timings."""
    return re.sub(r'"seconds":[0-9.e-]+', '"seconds":0', Path(name).read_text("utf-8"))


def started(*arguments):
    program = [sys.executable, "-W", "error", "-m", "gradcheck", *arguments]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    pipe = subprocess.PIPE
    # a shell has its background jobs ignore interrupts, and so would everything they start
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return subprocess.Popen(program, env=environment, stdout=pipe, stderr=pipe, text=True)
    finally:
        signal.signal(signal.SIGINT, before)


def lines_of(path):
    return path.read_bytes().count(b"\n") if path.exists() else 0


def paused_at(lines, *arguments):
    """Start the command with an engine that waits once the log has so many lines."""
    Path("pause").write_text(str(lines), "utf-8")
    process = started(*arguments)
    while lines_of(Path("run.log")) < lines and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None, process.communicate()
    return process


# --- exit codes -----------------------------------------------------------------------------------


def test_a_right_engine_is_verified(capfd, cold):
    code, log = verify("says_much", *BOTH)
    assert code == 0
    assert [log[0]["kind"], log[-1]["kind"]] == ["header", "footer"]
    assert log[0]["format"] == "gradcheck-log-2"
    assert (log[-1]["complete"], log[-1]["exit_code"]) == (True, 0)
    assert "FAIL" not in verdicts(log)
    names = {f["property"].split()[0] for case in cases(log) for f in case["findings"]}
    assert names == {"agreement", "consistency", "exact"}
    said = capfd.readouterr()
    assert "VERIFIED" in said.out
    assert "noise on standard output" not in said.out
    assert "noise on standard output" in said.err


def few_checks(patch):
    """Let a search for a smaller network end soon."""
    for name in ("CHECKS", "TINY_CHECKS"):
        patch.setattr(shrink, name, 12)


@pytest.fixture(scope="module")
def doubled(tmp_path_factory):
    """The folder, the exit code and the output of a run of a wrong engine, in one process."""
    place = tmp_path_factory.mktemp("doubled")
    shutil.copy(HERE / "faulty_engines.py", place)
    pages = ("--junit", "j.xml", "--html", "h.html", "--markdown", "m.md")
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as said:
        patch.chdir(place)
        patch.setattr(sys, "path", list(sys.path))
        few_checks(patch)
        code = cli.main(command("steep", *ONE_LAYER, *pages, examples=4))
    return place, code, said.getvalue()


def test_a_wrong_engine_is_shrunk_and_replayed(doubled):
    place, code, said = doubled
    log = records(place / "run.log")
    assert code == log[-1]["exit_code"] == 1
    failure = next(r for r in log if r["kind"] == "failure" and r["property"] == "agreement")
    token = "gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0"
    assert failure["smallest"]["token"] == token
    assert failure["worst"]["finding"]["worst"]["times"] > 1
    assert token in said
    assert all((place / name).stat().st_size > 500 for name in ("j.xml", "h.html", "m.md"))
    assert cli.main(failure["replay"].split()[3:]) == 1


def test_an_engine_that_raises_is_examined_everywhere_else():
    code, log = verify("raises_on_one_example", *BOTH, examples=12)
    assert code == 1
    assert len({case["n"] for case in cases(log) if case["n"] >= 0}) == 12
    failed = [case for case in cases(log) if case["findings"][0]["verdict"] == "FAIL"]
    assert failed
    assert all(":m1:" in case["token"] for case in failed)
    assert {f["reason"] for case in failed for f in case["findings"]} == {"raised"}
    assert "PASS" in verdicts(log)


def test_an_engine_that_raises_on_every_problem_is_unusable(capsys):
    code, log = verify("raises", *BOTH, examples=2)
    assert code == 3
    assert verdicts(log) == {"FAIL"}
    assert "the engine raises on every one of 30 problems: " in log[-1]["verdict"]


def test_an_engine_that_raises_on_some_problems_is_wrong(here):
    code, log = verify("raises_on_one_example", *SMALL, examples=6)
    assert code == 1
    assert "raised" in {finding["reason"] for case in cases(log) for finding in case["findings"]}


def test_an_engine_that_refuses_everything_verifies_nothing(here):
    code, log = verify("refuses", *SMALL, examples=2)
    assert code == 4
    assert verdicts(log) == {"UNSUPPORTED"}
    assert log[-1]["totals"]["refused"] == len(cases(log))


def test_an_engine_without_a_loss_is_verified_by_agreement(here, capsys):
    code, log = verify("without_a_loss", *SMALL)
    assert code == 0
    told = capsys.readouterr().out
    assert "the engine returns no loss" in told
    consistency = [f for c in cases(log) for f in c["findings"] if f["property"] == "consistency"]
    assert {f["verdict"] for f in consistency} == {"UNSUPPORTED"}


@pytest.mark.parametrize(
    ("engine", "told"),
    [
        ("loss_doubled", "the returned loss is 2 times the claimed one; the gradient is right"),
        (
            "both_doubled",
            "the loss is 2 times the one that is meant; the gradient is that of this loss",
        ),
    ],
)
def test_a_loss_that_is_wrong_is_told_and_no_gradient(engine, told, here, monkeypatch, capsys):
    few_checks(monkeypatch)
    without_curves(monkeypatch)
    code, log = verify(engine, *ONE_LAYER, examples=2)
    assert code == 1
    failed = [f for case in cases(log) for f in case["findings"] if f["verdict"] == "FAIL"]
    assert {f["reason"] for f in failed} == {"loss"}
    *_, first, last = capsys.readouterr().out.splitlines()
    assert re.fullmatch(f"fix first: on [0-9-]+, {told}", first)
    assert re.fullmatch(
        "WRONG: the loss is wrong on .* problems, in .*; exit code 1: the loss is wrong", last
    )


def test_what_is_refused_is_replaced(here, capsys):
    code = cli.main(["verify", "py:faulty_engines:refuses_float32", "--examples", "8",
                     *SMALL, "--log", "run.log"])  # fmt: skip
    log = cases(records())
    taken = {case["n"] for case in log if case["findings"][0]["verdict"] != "UNSUPPORTED"}
    assert code == 0
    assert set(range(8)) <= taken
    assert any(case["findings"][0]["verdict"] == "UNSUPPORTED" for case in log if case["n"] >= 0)


@pytest.mark.parametrize("engine", ["nobody:", "py:faulty_engines:absent", "py:no_module:x"])
def test_an_engine_that_is_not_there_is_unusable(engine, capsys):
    code, log = verify(engine)
    assert (code, log) == (3, [])
    assert capsys.readouterr().err.startswith("gradcheck: ")


@pytest.mark.parametrize(
    "options",
    [
        ["--examples", "0"],
        ["--dtype", "float8"],
        ["--seed", "-1"],
        ["--jobs", "0"],
        ["--timeout", "0"],
        ["--shard", "3/2"],
        ["--shard", "x"],
        ["--resume"],
        ["--log", "."],
        ["--junit", "faulty_engines.py/x.xml"],
    ],
)
def test_wrong_usage_is_noticed_before_the_engine_is_loaded(options, capsys):
    assert cli.main(["verify", "nobody", *options]) == 2
    assert capsys.readouterr().err


def test_a_dtype_that_the_engine_lacks_is_wrong_usage(capsys):
    assert cli.main(["verify", "py:faulty_engines:right", "--dtype", "float16"]) == 2
    assert "computes in float32, float64, not in float16" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("engine", "code", "told"),
    [
        ("BadLimits", 3, "the limits of bad: max_depth=0; it must be at least 1"),
        ("NothingKnown", 4, "strange computes in bfloat16: none that can be verified"),
    ],
)
def test_an_engine_that_claims_nonsense_is_told(engine, code, told, capsys):
    assert cli.main(["verify", f"py:faulty_engines:{engine}", "--jobs", "1"]) == code
    assert told in capsys.readouterr().err


# --- engines that take their process with them ----------------------------------------------------


def test_an_engine_that_dies_now_and_then_is_started_again():
    code, log = verify("dies_when_deep", "--limit=corners=generic", examples=20)
    deaths = [record for record in log if record["kind"] == "engine"]
    assert 1 <= len(deaths) <= 3
    assert all("was killed by SIGSEGV" in record["detail"] for record in deaths)
    assert code == 1
    assert {case["n"] for case in cases(log)} >= set(range(20))
    [failure] = [r for r in log if r["kind"] == "failure"]
    assert (failure["reason"], failure["signature"]) == ("raised", "the engine dies")


def test_an_engine_that_always_dies_is_unusable_after_three_restarts():
    code, log = verify("exits", examples=2)
    events = [record["event"] for record in log if record["kind"] == "engine"]
    assert code == log[-1]["exit_code"] == 3
    assert events == ["died"] * 4 + ["unusable"]
    assert log[-1]["complete"] is False
    assert len(cases(log)) == 4
    assert "exited with 7" in cases(log)[0]["findings"][0]["detail"]


@pytest.mark.parametrize("stage", [2, 4], ids=["curves", "shrinking"])
def test_an_engine_that_cannot_be_loaded_again_is_unusable_whatever_it_was_asked(
    stage, monkeypatch, capsys
):
    stages = []

    class Gone(InProcess):
        def drive(self, pieces):
            stages.append(pieces)
            if len(stages) == stage:
                raise EngineGoneError("its library is gone")
            yield from super().drive(pieces)

    monkeypatch.setattr(run, "Pool", Gone)
    code, log = verify("steep", "--junit", "run.xml", *SMALL, examples=2)
    assert len(stages) >= stage
    assert (code, log[-1]["kind"], log[-1]["exit_code"]) == (3, "footer", 3)
    assert "the engine is unusable: its library is gone" in capsys.readouterr().out
    assert Path("run.xml").exists()


@pytest.fixture
def impatient(monkeypatch):
    """A clock that leaps ahead when an engine says that it hangs: no deadline depends on a load."""
    leaps, hung = [], Path("hangs")

    def monotonic():
        if hung.exists():
            hung.unlink()
            leaps.append(1e6)
        return time.monotonic() + sum(leaps)

    monkeypatch.setattr(pool, "wait", lambda over, seconds: wait(over, min(seconds, 0.02)))
    monkeypatch.setattr(pool, "time", SimpleNamespace(monotonic=monotonic))


def test_a_worker_that_takes_too_long_is_ended_and_nothing_is_verified(impatient):
    code, log = verify("hangs_when_deep", examples=8)
    events = [record["event"] for record in log if record["kind"] == "engine"]
    assert code == 4
    assert events
    assert set(events) == {"timeout"}
    own = [f for c in cases(log) for f in c["findings"] if f["reason"] == "internal"]
    assert own
    assert all("gradcheck itself failed here" in f["detail"] for f in own)


def test_an_engine_that_ends_the_process_it_is_examined_from_verifies_nothing():
    code, log = verify("py:hostile_engines:ends_its_parent", examples=2)
    assert code == log[-1]["exit_code"] == 3
    assert {f["reason"] for c in cases(log) for f in c["findings"]} == {"internal"}


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_what_an_engine_left_behind_ends_with_the_run():
    verify("leaves_others_behind", examples=1)
    assert not _runs(Path("left").read_text("utf-8"))


@pytest.mark.nightly
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc")
def test_what_an_engine_left_behind_when_it_died_ends_with_the_run(cold):
    verify("leaves_others_behind_and_exits", examples=1)
    assert not _runs(Path("left").read_text("utf-8"))


@pytest.fixture
def library(folder):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("no C compiler: an engine that flushes subnormal numbers is not tested")
    (folder / "flush.c").write_text(FLUSH, "utf-8")
    made = subprocess.run(
        [compiler, "-shared", "-fPIC", "-o", "libflush.so", "flush.c"], check=False
    )
    if made.returncode:
        pytest.skip("no SSE: an engine that flushes subnormal numbers is not tested")


def test_an_engine_that_flushes_subnormal_numbers_does_so_alone(library, capsys):
    code, log = verify("flushing", *SMALL, examples=2)
    assert code == 0
    [remark] = log[0]["engine"]["remarks"]
    assert remark.startswith("its process takes numbers below the normal range for 0")
    assert remark in capsys.readouterr().out


@pytest.mark.parametrize(
    ("engine", "code", "event", "what"),
    [
        ("flushing_later", 0, "flushes subnormal numbers", "do so"),
        ("rounding_upwards_later", 3, "changes the rounding mode", "round upward"),
    ],
)
def test_an_engine_that_switches_its_arithmetic_is_named(
    engine, code, event, what, library, capsys
):
    found, log = verify(engine, *SMALL)
    [told] = [record for record in log if record["kind"] == "engine"]
    assert (found, told["event"]) == (code, event)
    said = f"engine {event}: py:faulty_engines:{engine} made its whole process {what} during "
    assert said in capsys.readouterr().out


# --- the same bytes -------------------------------------------------------------------------------


def test_one_job_and_two_write_the_same_bytes(doubled, monkeypatch):
    place, _, _ = doubled
    few_checks(monkeypatch)
    verify("steep", *ONE_LAYER, "--jobs", "2", examples=4)
    assert timeless() == timeless(place / "run.log")


@pytest.mark.nightly
def test_shards_partition_the_log():
    verify("right")
    Path("run.log").rename("whole.log")
    parts = []
    for i in (1, 2):
        verify("right", "--shard", f"{i}/2")
        parts += cases(records())
        Path("run.log").unlink()
    both = sorted((case["n"], case["token"]) for case in parts)
    assert both == [(case["n"], case["token"]) for case in cases(records("whole.log"))]


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The log that a killed run left behind, its processes, and those that outlive it."""
    place = tmp_path_factory.mktemp("killed")
    shutil.copy(HERE / "faulty_engines.py", place)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        process = paused_at(6, *command("Slow", *SMALL))
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        workers = children.read_text("utf-8").split() if children.exists() else None
        process.kill()
        process.wait()
        deadline = time.monotonic() + 10
        while (left := [pid for pid in workers or () if _runs(pid)]) and (
            time.monotonic() < deadline
        ):
            time.sleep(0.05)
        for pipe in (process.stdout, process.stderr):
            pipe.close()
    return place / "run.log", workers, left


def test_what_ends_a_run_costs_the_cases_in_flight_and_no_more(killed, here):
    """Killed, interrupted, resumed: the log is that of a run that nobody disturbed."""
    verify("Slow", *SMALL)
    whole = timeless()
    log = Path("run.log")
    shutil.copy(killed[0], log)
    held = lines_of(log)
    assert held >= 6
    assert '"kind":"footer"' not in log.read_text("utf-8")
    log.write_bytes(log.read_bytes() + b'{"kind":"case","n":')

    process = paused_at(held + 6, *command("Slow", *SMALL, "--resume"))
    process.send_signal(signal.SIGINT)
    said, complaint = process.communicate()
    assert process.returncode == 130
    assert complaint.endswith("gradcheck: interrupted\n")
    assert "INCOMPLETE" in said
    assert '"kind":"footer"' not in log.read_text("utf-8")

    Path("pause").unlink()
    assert cli.main(command("Slow", *SMALL)) == 2  # it would overwrite an incomplete log
    assert cli.main(command("Slow", *SMALL, "--seed", "1", "--resume")) == 2
    assert cli.main(command("Slow", *SMALL, "--resume")) == 0
    assert timeless() == whole
    assert cli.main(command("Slow", *SMALL, "--resume")) == 0  # nothing is left to do
    assert timeless() == whole


def test_workers_end_with_their_parent(killed):
    _, workers, left = killed
    if workers is None:
        pytest.skip("no /proc: whether workers end with their parent is not tested")
    assert workers
    assert not left


def _runs(pid):
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text("utf-8")
