"""The examples for CI in docs/verifying.md, as written: commands are run, files are read."""

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from gradcheck import cli
from gradcheck.verification.known import read_known

sys.path.insert(0, str(Path(__file__).parent / "verification"))
from in_process import without_processes

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "verifying.md").read_text("utf-8")

ENGINE = """
from gradcheck.engines.base import EngineInfo
from gradcheck.engines.registry import find

reference = find("reference")


class Small:
    limits = {"corners": ["generic"], "max_depth": 1, "max_parameters": 6}
    info = EngineInfo("small", "1", ("float64",), ("cross_entropy",), ("mean",), limits=limits)

    def loss(self, problem):
        return reference.loss(problem)

    def value_and_grad(self, problem):
        value, layers = reference.value_and_grad(problem)
        return value, [(1 * W, b) for W, b in layers]

    def close(self):
        pass


value_and_grad = Small()
"""
DOUBLED = ENGINE.replace("1 * W", "2 * W").replace('"max_parameters": 6', '"max_parameters": 2')
"""Wrong, and on so few problems that hardly any is left to be shrunk to."""


def example(marker, language):
    """The code block that follows a marker."""
    [text] = re.findall(rf"<!-- {marker} -->\n```{language}\n(.*?)```\n", PAGE, re.DOTALL)
    return text


def commands(workflow):
    """The `run` steps of a workflow: in one line, or folded (`>`)."""
    found = []
    lines = iter([*workflow.split("\n"), ""])
    for line in lines:
        step = re.match(r"( +)- run: (.*)", line)
        if step is None:
            continue
        indent, text = step.groups()
        if text == ">":
            folded = []
            while (line := next(lines)).startswith(indent + 4 * " "):
                folded.append(line.strip())
            text = " ".join(folded)
        found.append(text)
    return found


@pytest.fixture
def job(tmp_path):
    """A machine of the CI server: the engine's repository, `python` and `pip` on the path."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {
        "python": f'exec "{sys.executable}" "$@"',
        "pip": f'[ "$*" = "install gradcheck" ] && exec "{sys.executable}" -c "import gradcheck"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (programs / name).chmod(0o755)

    def run(command, shard, shards, engine=ENGINE):
        folder = tmp_path / f"job {shard}"
        folder.mkdir(exist_ok=True)
        (folder / "my_engine.py").write_text(engine, "utf-8")
        environment = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT),
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        }
        done = subprocess.run(
            ["bash", "-e", "-c", told(command, shard, shards)],  # noqa: S607 - as the CI server does
            cwd=folder, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return done.returncode, folder

    return run


def told(command, shard, shards):
    """The command of one job, as the CI server fills it in."""
    values = {"matrix.shard": str(shard), "strategy.job-total": str(shards)}
    return re.sub(r"\$\{\{ (.+?) \}\}", lambda found: values[found[1]], command)


@pytest.fixture
def here(tmp_path, monkeypatch):
    """What `job` does with a command of gradcheck's, in this process."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    without_processes(monkeypatch)

    def run(command, shard, shards):
        folder = tmp_path / f"job {shard}"
        folder.mkdir(exist_ok=True)
        (folder / "my_engine.py").write_text(ENGINE, "utf-8")
        monkeypatch.chdir(folder)
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
        words = shlex.split(os.path.expandvars(told(command, shard, shards)))
        assert words[:3] == ["python", "-m", "gradcheck"]
        return cli.main(words[3:]), folder

    return run


def test_the_workflow_runs_as_written_and_its_shards_are_the_whole(job, here):
    install, verify = commands(example("ci example", "yaml"))
    shards = json.loads(re.search(r"shard: (\[.*\])", example("ci example", "yaml"))[1])
    assert shards == list(range(1, len(shards) + 1))
    numbers = []
    for shard in shards:
        assert job(install, shard, len(shards))[0] == 0
        code, folder = here(verify, shard, len(shards))
        assert code == 0
        log = [
            json.loads(line) for line in (folder / "gradients.log").read_text("utf-8").splitlines()
        ]
        assert log[-1]["complete"]
        numbers += [record["n"] for record in log if record["kind"] == "case"]
        root = ET.parse(folder / "gradients.xml").getroot()  # noqa: S314 - this project's own
        assert (root.get("failures"), root.get("errors")) == ("0", "0")
        assert (
            (folder / "summary.md").read_text("utf-8").startswith("## gradcheck: VERIFIED, small")
        )
        assert "VERIFIED" in (folder / "gradients.html").read_text("utf-8")
    assert sorted(n for n in numbers if n >= 0) == list(range(200))


def test_a_wrong_engine_makes_the_step_fail_and_tells_so_on_its_page(job):
    _, verify = commands(example("ci example", "yaml"))
    code, folder = job(f"{verify} --examples 1 --jobs 1", 1, 2, engine=DOUBLED)
    assert code == 1
    assert "WRONG" in (folder / "summary.md").read_text("utf-8")


def test_what_the_workflow_uploads_is_what_its_command_writes():
    workflow = example("ci example", "yaml")
    _, verify = commands(workflow)
    written = re.findall(r"--(?:log|junit|html) (\S+)", verify)
    pattern = re.search(r"path: (\S+)", workflow)[1]
    assert written
    assert all(Path(name).match(pattern) for name in written)
    assert "if: always()" in workflow  # a failing step leaves the evidence behind


def test_the_example_of_known_failures_can_be_read(tmp_path):
    path = tmp_path / "known.toml"
    path.write_text(example("known failures example", "toml"), "utf-8")
    [entry] = read_known(path)
    _, verify = commands(example("ci example", "yaml"))
    assert f" {entry.engine} " in verify


def test_the_distribution_is_called_what_the_workflow_installs():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert commands(example("ci example", "yaml"))[0] == f"pip install {project['name']}"
