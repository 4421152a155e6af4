"""README is short, and what it tells to type does what it says."""

import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from gradcheck import cli
from gradcheck.problems.case import read_case
from gradcheck.verification import shrink

sys.path.insert(0, str(Path(__file__).parent / "verification"))
from in_process import without_curves, without_processes

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"<!-- run: exit code (\d) -->\n```sh\n(.*?)```\n", README, re.DOTALL)
SMALL = ["--examples", "2", "--dtype", "float64", "--limit", "max_parameters=12"]
FUNCTIONS = """
import numpy as np

def loss(x):
    return float(np.sin(x).sum())

def gradient(x):
    return np.cos(x)
"""
ENGINE = """
from gradcheck.engines.reference import vectorised as value_and_grad
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the files that the commands name."""
    (tmp_path / "my_module.py").write_text(FUNCTIONS, "utf-8")
    (tmp_path / "my_engine.py").write_text(ENGINE, "utf-8")
    shutil.copy(ROOT / "tests" / "verification" / "student_backprop.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    yield tmp_path
    for name in ("my_module", "my_engine", "student_backprop"):
        sys.modules.pop(name, None)


def words_of(line):
    """A command's words, after `python -m gradcheck`; the interpreter is this one."""
    words = shlex.split(line.replace("cmd:python ", f"cmd:{sys.executable} "))
    assert words[:3] == ["python", "-m", "gradcheck"]
    return words[3:] + (SMALL if words[3] == "verify" else [])


def test_readme_is_short():
    assert len(README.splitlines()) < 200


@pytest.mark.parametrize(
    ("code", "block"), COMMANDS, ids=[block.split("\n")[0][20:50] for _, block in COMMANDS]
)
def test_commands_end_with_the_exit_code_that_is_expected(code, block, folder, monkeypatch, capsys):
    without_processes(monkeypatch)
    without_curves(monkeypatch)
    monkeypatch.setattr(shrink, "CHECKS", 6)
    monkeypatch.setattr(shrink, "TINY_CHECKS", 6)
    assert [cli.main(words_of(line)) for line in block.splitlines()][-1] == int(code)
    said = capsys.readouterr().out
    if "student" in block:
        [promised] = re.findall(r"`(fix first: .*?)`", README)
        assert promised in said


def test_there_is_a_command_for_each_kind_of_reader():
    text = "".join(block for _, block in COMMANDS)
    found = set(re.findall(r"python -m gradcheck (\S+)", text))
    assert found == {"check", "verify", "new-engine", "report"}


@pytest.mark.parametrize("library", ["torch", "jax"])
def test_the_examples_of_other_libraries_run(library):
    pytest.importorskip(library)
    [text] = re.findall(rf"<!-- needs {library} -->\n```python\n(.*?)```\n", README, re.DOTALL)
    exec(compile(text, f"README {library}", "exec"), {})  # noqa: S102 - this project's own


def test_the_example_of_a_case_file_can_be_read(tmp_path):
    page = (ROOT / "docs" / "formats.md").read_text("utf-8")
    [text] = re.findall(r"<!-- case file example -->\n```json\n(.*?)```\n", page, re.DOTALL)
    (tmp_path / "case.json").write_text(text, "utf-8")
    assert read_case(tmp_path / "case.json").architecture.sizes == (2, 1)
