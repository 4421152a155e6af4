"""The command line: what it prints, and the exit codes."""

import shlex
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from gradcheck import cli
from gradcheck.cli import engines as engines_command
from gradcheck.engines import registry
from gradcheck.problems.case import parse, write_case
from gradcheck.studies.report import claims, run
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Evidence
from gradcheck.studies.report.textbook.libraries import installed
from gradcheck.studies.report.textbook.registry import TEXTBOOK
from gradcheck.writing import terminal
from gradcheck.writing.terminal import UnwritableError

sys.path.insert(0, str(Path(__file__).parent / "verification"))
from in_process import without_processes

ROOT = Path(__file__).resolve().parent.parent
TOKEN = "gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0"
STATIONARY = "gc1:2-1:cross_entropy:mean:m2:float16:w1:stationary:half:s0"

ENGINES = """
import os

import gradcheck
from gradcheck.engines.registry import find

reference = find("reference")

def doubled(problem):
    value, layers = reference.value_and_grad(problem)
    return value, [(2 * dW, db) for dW, db in layers]

def refuses(problem):
    raise gradcheck.Unsupported("only on Sundays")

def breaks(problem):
    raise ZeroDivisionError("oh")

def exits(problem):
    os._exit(0)
"""
ENDS = {"exits": "import os; os._exit(0)", "leaves": "raise SystemExit(0)", "stops": "exit(0)"}
"""Modules that end the program that imports them."""


@pytest.fixture
def engines(tmp_path, monkeypatch):
    (tmp_path / "some_engines.py").write_text(ENGINES, "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    sys.modules.pop("some_engines", None)


@pytest.mark.parametrize(
    ("case", "engine", "code", "told"),
    [
        (TOKEN, "reference", 0, "PASS: 21 coordinates agree"),
        (TOKEN, "chain-rule", 0, "PASS"),
        (TOKEN, "py:some_engines:doubled", 1, "likely cause: "),
        (STATIONARY, "reference", 0, "consistency\nINCONCLUSIVE"),
        (TOKEN, "py:some_engines:refuses", 4, "UNSUPPORTED: only on Sundays"),
        (TOKEN, "py:some_engines:breaks", 1, "FAIL (raised): value_and_grad raised ZeroDiv"),
    ],
)
def test_replay_prints_the_outcome_and_returns_the_code(
    case, engine, code, told, engines, monkeypatch, capsys
):
    without_processes(monkeypatch)
    assert cli.main(["replay", case, engine]) == code
    said = capsys.readouterr().out
    assert told in said
    if "UNSUPPORTED" not in said:
        assert f"repeat: python -m gradcheck replay {case} {engine}" in said


@pytest.mark.parametrize(
    ("case", "engine", "code", "told"),
    [
        (TOKEN, "nobody", 3, "no engine is registered as 'nobody'"),
        (TOKEN, "py:some_engines:absent", 3, "has no 'absent'"),
        ("gc1:3", "reference", 2, "it must have 10"),
        ("no-such-file.json", "reference", 2, "neither a case token"),
    ],
)
def test_replay_says_why_it_cannot_and_returns_the_code(case, engine, code, told, engines, capsys):
    assert cli.main(["replay", case, engine]) == code
    said = capsys.readouterr()
    assert (said.out, told in said.err) == ("", True)


@pytest.mark.parametrize("name", ENDS)
def test_an_engine_that_ends_the_program_is_unusable_in_replay(name, tmp_path, monkeypatch, capsys):
    (tmp_path / f"{name}.py").write_text(ENDS[name], "utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert cli.main(["replay", TOKEN, f"py:{name}:engine"]) == 3
    assert capsys.readouterr().out == ""


def test_an_engine_that_ends_its_process_every_time_is_unusable_in_replay(engines, capsys):
    assert cli.main(["replay", TOKEN, "py:some_engines:exits"]) in (1, 3)
    said = capsys.readouterr()
    assert "exited with 0" in said.out + said.err


def test_replay_holds_an_engine_to_what_is_required(capsys, monkeypatch):
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parent), *sys.path])
    at_11 = "gc1:1-1:cross_entropy:mean:m1:float64:w30:generic:ones:s6"  # z = 11
    spec = "py:textbook_engines:textbook"
    assert cli.main(["replay", at_11, spec]) == 0
    assert cli.main(["replay", at_11, spec, "--require", "strict"]) == 1
    assert "explanation: p_minus_y" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["case.json", "gcase.json", "gc1.json", "gc case"])
def test_replay_takes_a_case_file(name, tmp_path, monkeypatch, capsys):
    without_processes(monkeypatch)
    path = Path(name)
    monkeypatch.chdir(tmp_path)
    write_case(path, parse(TOKEN).problem())
    assert cli.main(["replay", name, "reference"]) == 0
    assert f"replay {shlex.quote(name)} reference" in capsys.readouterr().out


def test_engines_lists_what_is_installed_and_a_broken_one_in_one_line(monkeypatch, capsys):
    monkeypatch.setitem(registry.BUILT_IN, "broken", "no_such_module:engine")
    assert cli.main(["engines"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(registry.names())
    (reference,) = [line for line in lines if line.startswith("reference ")]
    assert "float16, float32, float64; cross_entropy, quadratic; mean, sum" in reference
    (broken,) = [line for line in lines if line.startswith("broken ")]
    assert "unusable" in broken
    assert "no_such_module" in broken


def test_engines_without_a_usable_one_is_exit_code_3(monkeypatch, capsys):
    monkeypatch.setattr(registry, "_registered", lambda: {"broken": {"no_such_module:engine"}})
    assert cli.main(["engines"]) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nonsense"],
        ["replay", TOKEN],
        ["report", "--seed", "-1"],
        ["report", "--seed", "x"],
        ["report", "--check", "--full"],
        ["report", "--check", "--seed", "3"],
        ["report", "--check", "--out", "no-such-folder"],
        ["report", "--out", __file__],
        ["verify", "reference", "--require", "strictest"],
        ["verify", "reference", "--examples", "10000000000"],
        ["verify", "reference", "--examples", "1e10"],
        ["verify", "reference", "--examples", "9" * 5000],
        ["verify", "reference", "--jobs", "1000000"],
        ["verify", "reference", "--timeout", "1e300"],
        ["verify", "reference", "--timeout", "nan"],
        ["verify", "reference", "--memory", "1M"],
        ["verify", "reference", "--memory", "much"],
        ["verify", "reference", "--shard", "1/" + "9" * 5000],
        ["selftest", "--clean", "10000000000"],
        ["bench", "--sizes", "9-" * 5000 + "0"],
        ["bench", "--sizes", "10000000-1"],
        ["replay", "gc1:" + "1-" * 20_000 + "1:" + TOKEN.split(":", 2)[2], "reference"],
        ["replay", "gc1:100000-100000:" + TOKEN.split(":", 2)[2], "reference"],
        ["replay", TOKEN.replace("m2", "m99999999"), "reference"],
        ["verify", "reference", "--limit", "max_depth"],
        ["verify", "reference", "--limit", "deepest=2"],
        ["verify", "reference", "--limit", "max_depth=0"],
        ["verify", "reference", "--limit", "max_depth=two"],
        ["verify", "reference", "--limit", "targets=none"],
        ["replay", TOKEN, "reference", "--require", "nothing"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 2
    assert capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_help_is_exit_code_0(capsys):
    assert cli.main(["--help"]) == 0
    assert "report" in capsys.readouterr().out


@pytest.mark.parametrize(
    "error", [RuntimeError("no\x1bone"), SystemExit(0), SystemExit(1), OSError(28, "full"),
              RecursionError(), MemoryError(), GeneratorExit()],
)  # fmt: skip
def test_what_nobody_foresaw_is_exit_code_4(error, monkeypatch, tmp_path, capsys):
    def broken(options):
        raise error

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(engines_command, "run_command", broken)
    assert cli.main(["engines"]) == 4
    said = capsys.readouterr().err
    assert said.startswith("gradcheck: gradcheck itself failed, which is its own mistake (")
    assert said.count("\n") == 1
    assert "\x1b" not in said
    [trace] = tmp_path.iterdir()
    assert str(trace) in said
    assert "in broken" in trace.read_text("utf-8")


def test_without_room_for_a_traceback_its_end_is_told(monkeypatch, capsys):
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "mkstemp", full)
    monkeypatch.setattr(engines_command, "run_command", full)
    assert cli.main(["engines"]) == 4
    assert "there is no room for its traceback" in capsys.readouterr().err


def test_standard_output_that_is_full_is_exit_code_2(monkeypatch, capsys):
    def full(text):
        raise UnwritableError("standard output cannot be written to: full")

    monkeypatch.setattr(terminal, "say", full)
    assert cli.main(["engines"]) == 2
    assert "standard output cannot be written to" in capsys.readouterr().err


def test_a_folder_that_is_gone_is_no_matter(monkeypatch, capsys):
    def gone():
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "cwd", gone)
    assert cli.main(["engines"]) == 0


def test_an_interruption_is_exit_code_130(monkeypatch, tmp_path, capsys):
    def interrupted(settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "SECTIONS", {"agreement": interrupted})
    assert cli.main(["report", "--out", str(tmp_path / "out")]) == 130
    assert capsys.readouterr().err.endswith("gradcheck: interrupted\n")


@pytest.mark.parametrize("engine", ["nobody", "py:some_engines:breaks"])
def test_a_report_with_an_unusable_engine_is_exit_code_3(engine, engines, tmp_path, capsys):
    assert cli.main(["report", "--out", str(tmp_path / "out"), "--engine", engine]) == 3
    assert not (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize(
    ("report_code", "settings"),
    [(0, {"seed": 3}), (1, {}), (4, {"engine": "chain-rule"})],
)
def test_the_code_of_a_report_is_that_of_its_claims(
    report_code, settings, monkeypatch, tmp_path, capsys
):
    asked = []

    def write_report(out, wanted, *, command):
        asked.append((wanted, command))
        return {"sections": {}, "claims": []}

    monkeypatch.setattr(run, "write_report", write_report)
    monkeypatch.setattr(claims, "exit_code", lambda _: report_code)
    options = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
    assert cli.main(["report", "--out", str(tmp_path), *options]) == report_code
    command = " ".join(["python -m gradcheck report", *options])
    assert asked == [(Settings(**settings, libraries=installed()), command)]


def test_one_claim_is_printed_and_nothing_written(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", "--claim", "c10"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("C10: The circuit f = (x + y) z")
    assert "\nconfirmed\n- f = -12" in said
    assert "f = -12" in said
    assert list(tmp_path.iterdir()) == []


def test_a_refuted_claim_is_exit_code_1(monkeypatch, capsys):
    broken = replace(TEXTBOOK["C10"], measure=lambda _: Evidence(()))
    monkeypatch.setitem(TEXTBOOK, "C10", broken)
    assert cli.main(["report", "--claim", "C10"]) == 1
    assert "refuted" in capsys.readouterr().out


def test_an_unknown_claim_is_exit_code_2(capsys):
    assert cli.main(["report", "--claim", "C99"]) == 2
    assert "C99 is not one of C1, C2" in capsys.readouterr().err


def in_a_new_process(program):
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_the_command_line_loads_nothing_heavy_until_it_is_needed():
    loaded = in_a_new_process("import sys, gradcheck.cli; print(*sys.modules)").split()
    packages = {name.partition(".")[0] for name in loaded}
    assert packages.isdisjoint({"numpy", "pandas", "matplotlib", "hypothesis", "jinja2", "tqdm"})


def test_the_module_runs_as_a_program():
    program = [sys.executable, "-W", "error", "-m", "gradcheck", "replay", TOKEN, "reference"]
    done = subprocess.run(program, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("agreement\nPASS")
