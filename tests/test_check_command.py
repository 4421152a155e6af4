"""The command `check`: one function from the shell, and its exit codes."""

import shlex
import sys

import numpy as np
import pytest

from gradcheck import cli

FUNCTIONS = """
import numpy as np

weights = np.array([0.5, -1.25])
named = {"w": weights, "b": np.array(0.5)}

def f(x):
    return float(np.sin(x).sum())

def right(x):
    return np.cos(x)

def wrong(x):
    return np.sin(x)

def of_dict(p):
    return float(p["w"] @ p["w"] * p["b"])

def gradient_of_dict(p):
    return {"w": 2 * p["w"] * p["b"], "b": p["w"] @ p["w"]}

def raises(x):
    raise ZeroDivisionError("oh")

def root(x):
    return float(np.sqrt(x).sum())

def gradient_of_root(x):
    return 0.5 / np.sqrt(x)
"""


@pytest.fixture(autouse=True)
def functions(tmp_path, monkeypatch):
    (tmp_path / "some_functions.py").write_text(FUNCTIONS, "utf-8")
    np.save(tmp_path / "point.npy", np.array([0.5, 1.0]))
    np.savez(tmp_path / "point.npz", w=np.array([0.5, 1.0]), b=np.array(2.0))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield
    sys.modules.pop("some_functions", None)


@pytest.mark.parametrize(
    ("f", "gradient", "options", "code", "told"),
    [
        ("f", "right", ["--at=-0.5,1.25"], 0, "PASS: 2 coordinates agree"),
        ("f", "wrong", ["--at", "0.5"], 1, "FAIL (mismatch)"),
        ("f", "right", ["--at", "py:some_functions:weights"], 0, "PASS"),
        ("of_dict", "gradient_of_dict", ["--at", "some_functions:named"], 0, "PASS: 3"),
        ("f", "right", ["--at", "point.npy"], 0, "PASS"),
        ("of_dict", "gradient_of_dict", ["--at", "point.npz"], 0, "PASS: 3"),
        ("f", "right", ["--at", "0.5", "--budget", "3"], 4, "INCONCLUSIVE (budget)"),
        ("root", "gradient_of_root", ["--at", "1e-9", "--bounds", "0,"], 0, "PASS"),
        ("raises", "right", ["--at", "0.5"], 3, "'some_functions:raises' raised ZeroDivision"),
        ("f", "raises", ["--at", "0.5"], 3, "'some_functions:raises' raised ZeroDivision"),
        ("absent", "right", ["--at", "0.5"], 3, "cannot be loaded: AttributeError"),
        ("weights", "right", ["--at", "0.5"], 3, "not a function"),
        ("f", "right", ["--at", "absent.npy"], 2, "--at=absent.npy"),
        ("f", "right", ["--at", "a,b"], 2, "--at=a,b: could not convert"),
        ("f", "right", ["--at", "nan"], 2, "x[0]"),
        ("f", "right", ["--at", "0.5", "--resolution", "2"], 2, "resolution=2"),
        ("f", "right", ["--at", "0.5", "--bounds", "0"], 2, "must be LO,HI"),
        ("f", "right", [], 2, "--at"),
    ],
)
def test_the_outcome_is_printed_and_the_exit_code_is_the_verdict(
    f, gradient, options, code, told, capsys
):
    command = ["check", f"some_functions:{f}", f"some_functions:{gradient}", *options]
    assert cli.main(command) == code
    said = capsys.readouterr()
    assert told in said.out + said.err


def test_the_command_that_is_printed_gives_the_same_outcome(capsys):
    given = ["some_functions:f", "py:some_functions:wrong", "--at=-0.5,1.25"]
    options = ["--bounds=-1,", "--resolution", "1e-4", "--noise", "1e-15", "--seed", "3"]
    assert cli.main(["check", *given, *options]) == 1
    said = capsys.readouterr().out
    (line,) = [line for line in said.splitlines() if line.startswith("repeat: ")]
    words = shlex.split(line.removeprefix("repeat: "))
    assert words[:4] == ["python", "-m", "gradcheck", "check"]
    assert cli.main(words[3:]) == 1
    assert capsys.readouterr().out == said


def test_a_file_of_arrays_that_is_damaged_is_refused(tmp_path, capsys):
    (tmp_path / "broken.npz").write_bytes((tmp_path / "point.npz").read_bytes()[:40])
    command = ["check", "some_functions:f", "some_functions:right", "--at", "broken.npz"]
    assert cli.main(command) == 2
    assert "--at=broken.npz" in capsys.readouterr().err


def test_a_name_needs_a_module(capsys):
    assert cli.main(["check", "f", "some_functions:right", "--at", "0.5"]) == 3
    assert "must have the form package.module:attribute" in capsys.readouterr().err


def test_the_version_is_printed(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("gradcheck 0.")
