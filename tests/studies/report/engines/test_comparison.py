"""The comparison: complete, on disk engine by engine, and plain about what is wrong or missing."""

import json
import re
import shlex
import sys
from pathlib import Path

import pandas as pd
import pytest
from some import some

from gradcheck import cli
from gradcheck.problems.case import read_case
from gradcheck.studies.report.engines import run, tables, worker
from gradcheck.studies.report.engines.draw import Extent
from gradcheck.studies.report.engines.page import render, sentences
from gradcheck.studies.report.engines.run import exit_code, write_comparison

sys.path.insert(0, str(Path(__file__).parents[3] / "verification"))
from in_process import without_processes

EXTENT = Extent(agreement=4, consistency=2, timing_seconds=1e-4, timeout=30.0)
OVERFLOWS, DOUBLED = "py:comparison_engines:overflows", "py:comparison_engines:doubled"
ENGINES = ["reference", DOUBLED, OVERFLOWS, "py:comparison_engines:always_dies", "nobody"]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory, request, fast):
    """The folder and the content of a small comparison."""
    out = tmp_path_factory.mktemp("engines")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(request.path.parent)
        patch.setattr(worker, "RESTARTS", 1)
        fast(patch)
        return out, write_comparison(out, ENGINES, EXTENT, command="python -m gradcheck report")


def engine_of(report, spec):
    return next(engine for engine in report["engines"] if engine["spec"] == spec)


def test_everything_is_on_disk(comparison):
    out, report = comparison
    assert json.loads((out / "report.json").read_text("utf-8")) == report
    assert report["complete"]
    assert {path.name for path in (out / "figures").iterdir()} == {
        "saturation.svg",
        "saturation.png",
    }
    rows = pd.read_csv(out / "tables" / "engines.csv")
    assert set(rows["engine"]) == {*ENGINES[:4]}
    points = pd.read_csv(out / "tables" / "saturation.csv")
    assert len(points) == points["reference"].notna().sum() == 4 * 201
    assert (out / "report.md").read_text("utf-8") == render(report)


def test_every_file_the_page_names_exists(comparison):
    out, report = comparison
    page = render(report)
    named = re.findall(r"\]\(([^)#]+)\)", page)
    assert len(named) >= 3
    assert [name for name in named if not (out / name).exists()] == []
    cases = set(re.findall(r"cases/[\w.-]+\.json", page))
    assert cases
    for case in cases:
        assert read_case(out / case).architecture.sizes == (1, 1)


def test_no_engine_is_dropped(comparison):
    _, report = comparison
    assert [engine["spec"] for engine in report["engines"]] == ENGINES
    page = render(report)
    assert "- `nobody`, unusable: no engine is registered as 'nobody'" in page
    assert "`py:comparison_engines:always_dies` ended early: the engine was lost 2 times" in page


def test_the_counts_add_up(comparison):
    _, report = comparison
    for engine in some(tables.compared(report)[:3]):
        for what in ("agreement", "consistency"):
            part = engine[what]
            assert sum(part["verdicts"].values()) == part["problems"] == getattr(EXTENT, what)
            assert sum(part["explanations"].values()) == part["verdicts"]["FAIL"]


def test_a_right_engine_passes_and_a_wrong_one_fails(comparison):
    _, report = comparison
    right, wrong = engine_of(report, "reference"), engine_of(report, DOUBLED)
    assert right["agreement"]["verdicts"]["FAIL"] == 0 < right["agreement"]["verdicts"]["PASS"]
    assert right["agreement"]["worst"]["value"] < 1
    assert right["ulps"]["median"] < 50
    assert not tables.is_wrong(right)
    assert wrong["agreement"]["verdicts"]["FAIL"] >= 3
    assert wrong["agreement"]["worst"]["value"] > 1e6
    assert wrong["agreement"]["explanations"].keys() == {""}
    assert tables.is_wrong(wrong)
    assert wrong["saturated_worst"]["z"] == 0


def test_overflow_is_named_and_marked(comparison):
    _, report = comparison
    engine = engine_of(report, OVERFLOWS)
    assert engine["saturated_worst"]["value"] == "NaN"
    assert abs(engine["saturated_worst"]["z"]) == 37
    table = tables.saturation(report, "float64", 0)
    row = next(line for line in table.splitlines() if "overflows" in line)
    assert row.count("**NaN**") == 4
    assert "| the others, worst" in table


def test_an_engine_that_dies_fails_on_what_it_died_of(comparison):
    _, report = comparison
    engine = engine_of(report, "py:comparison_engines:always_dies")
    assert engine["state"] == "ended early"
    assert engine["agreement"]["verdicts"]["FAIL"] == 2
    assert engine["agreement"]["reasons"] == {"raised": 2}
    assert [one["why"] for one in engine["lost"]] == ["exited with code 7"] * 2
    assert engine["timings"] is None


def test_every_cell_has_its_worst_case_with_a_line_that_repeats_it(comparison, monkeypatch):
    out, report = comparison
    rows = tables.places(report).splitlines()[2:]
    reference = [row for row in rows if row.startswith("| `reference`")]
    assert [row.split("|")[2].strip() for row in reference] == [
        "agreement",
        "consistency",
        "ulps",
        "saturation",
        "gradient / loss",
    ]
    monkeypatch.chdir(out)
    without_processes(monkeypatch)
    for row in some(reference):
        *_, command, _ = (cell.strip().strip("`") for cell in row.split("|"))
        words = shlex.split(command)
        assert words[:3] == ["python", "-m", "gradcheck"]
        assert cli.main(words[3:]) in {0, 4}  # 4: a neuron that nothing can be decided of


def test_the_sentences_say_who_is_right_wrong_and_missing(comparison):
    _, report = comparison
    told = sentences(report)
    assert told[0] == "1 of 4 engines give no wrong gradient: `reference`."
    assert told[1].startswith(f"**2 engines FAIL**: `{DOUBLED}`, `py:comparison")
    assert f"`{DOUBLED}` 0, `{OVERFLOWS}` 37" in told[2]
    assert told[3] == "Not measured here: `nobody`."


def test_the_exit_code_is_that_of_a_wrong_gradient(comparison):
    _, report = comparison
    assert exit_code(report) == 1
    first, last = report["engines"][0], report["engines"][-1]
    assert exit_code(report | {"engines": [first, last]}) == 0
    assert exit_code(report | {"engines": [last]}) == 3


@pytest.mark.usefixtures("fast_figures")
def test_what_was_measured_before_an_interruption_is_on_disk(tmp_path, monkeypatch):
    measured = run.measure

    def stopped(spec, extent):
        if spec == "chain-rule":
            raise KeyboardInterrupt
        return measured(spec, extent)

    monkeypatch.setattr(run, "measure", stopped)
    with pytest.raises(KeyboardInterrupt):
        write_comparison(tmp_path, ["nobody", "chain-rule"], EXTENT, command="x")
    report = json.loads((tmp_path / "report.json").read_text("utf-8"))
    assert not report["complete"]
    assert [engine["spec"] for engine in report["engines"]] == ["nobody"]
    assert (tmp_path / "figures" / "saturation.svg").exists()
    assert "**This comparison is incomplete**" in (tmp_path / "report.md").read_text("utf-8")


# --- the command ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "out", "engines"),
    [
        (["--engine", "all"], "reports/latest/engines", "every"),
        (["--engine", "torch", "--engine", "jax"], "reports/latest/engines", ["torch", "jax"]),
        (["--engine", "all", "--out", "here"], "here", "every"),
    ],
)
def test_several_engines_are_compared_in_a_folder_of_their_own(
    options, out, engines, monkeypatch, tmp_path, capsys
):
    asked = []

    def written(folder, specs, extent, *, command):
        asked.append((str(folder), list(specs), extent, command))
        return {"engines": [{"spec": "torch", "state": "not installed", "why": ""}]}

    monkeypatch.setattr(run, "write_comparison", written)
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", *options, "--seed", "3"]) == 3
    ((folder, specs, extent, command),) = asked
    assert folder == out
    assert specs == (run.names() if engines == "every" else engines)
    assert extent == Extent(seed=3)
    assert command.startswith("python -m gradcheck report --engine ")
    assert command.endswith("--seed 3")
    assert "No engine was measured." in capsys.readouterr().out


@pytest.mark.parametrize("option", ["--full", "--check"])
def test_what_is_for_one_engine_is_refused(option, capsys):
    assert cli.main(["report", "--engine", "all", option]) == 2
    assert option in capsys.readouterr().err
