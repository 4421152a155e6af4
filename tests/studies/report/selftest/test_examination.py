"""The page, its tables and figures; and the exit code."""

import csv
import io
import json
from dataclasses import replace

import pytest
from stand_ins import PEERS, few_small_networks

from gradcheck import cli
from gradcheck.selftest import Alarms, Caught, Selftest
from gradcheck.studies.report.selftest import curves, mistakes, pictures, run, tables, witnesses
from gradcheck.studies.report.selftest.checkers import Answer
from gradcheck.studies.report.selftest.extent import Extent
from gradcheck.studies.report.selftest.page import render, sentences
from gradcheck.studies.report.selftest.planted import PLAIN, SETTINGS, Setting

EXTENT = Extent(seed=5, clean=10, networks=1, problems=1, shown=1, right=2, jobs=1)
SOME = ["wrong_sign", "slope_missing", "one_weight_scaled_1e-9", "loss_not_averaged"]
GROUPS = ["output_error", "hidden_error", "coordinates", "losses"]


def result(*, escaped=False, accused=()):
    after = dict.fromkeys(("agreement", "consistency", "exact"), 1)
    mutants = [Caught(name, group, after) for name, group in zip(SOME, GROUPS, strict=True)]
    mutants.append(Caught("add_x_forgotten", "circuit", {"consistency": 1}))
    if escaped:
        mutants[1] = replace(mutants[1], after=dict.fromkeys(after))
    return Selftest(mutants, Alarms(100, 3, tuple(accused)), 1.0)


def roughly(name, figure):
    """Draw a figure coarsely, which takes less time, and call it both kinds of file."""
    file = io.BytesIO()
    figure.savefig(file, dpi=20)
    return dict.fromkeys((f"{name}.svg", f"{name}.png"), file.getvalue())


@pytest.fixture(scope="module")
def small():
    """Few and small networks, and four wrong backprops, in the places of the real ones."""
    few = (Setting("N = 9", sizes=(2, 2, 1)), replace(SETTINGS[PLAIN], sizes=(2, 3, 1)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves.measure, "__defaults__", (few,))
        patch.setattr(mistakes.measure, "__defaults__", (SOME,))
        patch.setattr(mistakes, "mild", few_small_networks)
        for name in ("SMALL", "LARGER"):  # of a seed of their own: kept for it
            patch.setattr(witnesses, name, {"max_parameters": 16, "max_batch": 4})
        patch.setattr(witnesses, "DRAWN", 20)
        patch.setattr(run, "files", roughly)
        yield


@pytest.fixture(scope="module")
def written(small, tmp_path_factory):
    """The folder, the content of its report, and what was said on the way."""
    out, told = tmp_path_factory.mktemp("selftest"), []
    report = run.write_selftest(
        out, EXTENT, command="python -m gradcheck selftest", say=told.append, result=result(),
        peers=PEERS,
    )  # fmt: skip
    return out, report, told


@pytest.fixture
def report(written):
    """A copy, to be changed."""
    return json.loads(json.dumps(written[1]))


@pytest.fixture
def alone(report):
    """The same where no peer is known."""
    own = [c["name"] for c in report["checkers"] if c["own"]]
    found = report["mistakes"]["checkers"]
    report["checkers"] = [c for c in report["checkers"] if c["own"]]
    report["curves"] = [one for one in report["curves"] if one["checker"] in own]
    report["mistakes"]["checkers"] = {name: found[name] for name in own}
    return report | {"missing": {}}


@pytest.fixture
def escaped(report):
    """The same where a mistake escapes."""
    (row,) = [row for row in report["matrix"]["mutants"] if row["name"] == "slope_missing"]
    row["escaped"] = True
    return report | {"selftest": run.summary(result(escaped=True))}


def test_everything_is_written(written):
    out, report, told = written
    files = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    figures = {f"figures/{name}.{kind}" for name in ("power", "peers")
               for kind in ("svg", "png")}  # fmt: skip
    parts = {f"tables/{name}.csv" for name in ("matrix", "curves", "mistakes")}
    assert files == {"selftest.md", "report.json", *figures, *parts}
    assert json.loads((out / "report.json").read_text("utf-8")) == report
    assert (out / "selftest.md").read_text("utf-8") == render(report)
    assert "kill rate: 5 of 5" in told[0]


def test_tables_have_a_row_for_each_mistake_and_point(written):
    out, _, _ = written

    def read(name):
        with (out / "tables" / f"{name}.csv").open(encoding="utf-8") as file:
            return list(csv.DictReader(file))

    assert [row["mutant"] for row in read("matrix")] == [*SOME, "add_x_forgotten"]
    assert [row["mutant"] for row in read("mistakes")] == SOME
    assert len(read("curves")) == 2 * 5 * 16  # kinds of networks, checkers, sizes and none


def test_the_page_says_who_was_not_asked(report):
    page = render(report)
    assert "Not installed here, and so not compared: absent peer." in page
    assert "| absent peer" in page
    assert "not installed" in page
    assert "figures/peers.png" in page


def test_the_page_without_peers_has_our_own_checks_alone(alone):
    page = render(alone)
    assert "figures/power.png" in page
    assert "figures/peers.png" not in page
    assert [name for name, _ in pictures.drawn("curves", alone)] == ["power"]
    assert "other people's checkers" not in page
    assert "Not installed" not in page


def test_all_is_well(report):
    assert run.is_sound(report)
    assert sentences(report)[0] == (
        "5 of 5 wrong backprops and gates are caught (100 %), each within 200 problems."
    )
    assert sentences(report)[1].startswith("0 of 100 checks of")


def test_an_accusation_by_a_peer_is_no_fault_of_ours(report):
    assert report["mistakes"]["checkers"]["eager peer"]["1"]["accused"] == 2
    assert run.accusations(report) == []


def test_an_escape_is_told_first_and_shown(escaped):
    assert not run.is_sound(escaped)
    assert "`slope_missing` escaped" in sentences(escaped)[0]
    row = next(line for line in tables.places(escaped).splitlines() if "hidden error" in line)
    assert row.rstrip(" |").endswith("1")


def test_an_accusation_of_the_right_is_told(report):
    report["selftest"] = run.summary(result(accused=["reference on gc1: wrong"]))
    assert not run.is_sound(report)
    assert "reference on gc1: wrong" in sentences(report)[1]


@pytest.mark.parametrize("part", ["witness", "curve", "mistakes"])
def test_an_accusation_by_a_check_of_our_own_is_found(report, part):
    if part == "witness":
        report["matrix"]["witnesses"][0]["right"]["accused"] = 1
    elif part == "curve":
        report["curves"][0]["right"]["accused"] = 1
    else:
        report["mistakes"]["checkers"]["directional"]["1e6"]["accused"] = 1
    assert len(run.accusations(report)) == 1
    assert not run.is_sound(report)


def test_an_estimate_that_accuses_is_told_and_takes_part_in_no_verdict(report):
    (estimate,) = [w for w in report["matrix"]["witnesses"] if not w["certain"]]
    estimate["right"]["accused"] = 1
    assert run.is_sound(report)
    assert "takes part in no verdict" in render(report)


def test_every_state_of_an_unfinished_examination_is_a_page(alone):
    for missing in (["mistakes"], ["mistakes", "curves"], ["mistakes", "curves", "matrix"]):
        part = {name: value for name, value in alone.items() if name not in missing}
        page = render(part | {"complete": False})
        assert "**This examination is incomplete**" in page


def answered(monkeypatch, report):
    """Let the command find a report that is there already; return what it was asked for."""
    seen = {}

    def write(out, extent, *, command, say):
        seen.update(out=out, extent=extent, command=command)
        return report

    monkeypatch.setattr(run, "write_selftest", write)
    return seen


def test_the_command_hands_on_what_it_is_told(report, tmp_path, monkeypatch, capsys):
    seen = answered(monkeypatch, report)
    out = tmp_path / "selftest"
    assert cli.main(["selftest", "--out", str(out), "--seed", "7", "--clean", "34"]) == 0
    assert seen["out"] == out
    assert (seen["extent"].seed, seen["extent"].clean) == (7, 34)
    assert seen["command"].endswith("--seed 7")
    printed = capsys.readouterr().out
    assert "1. 5 of 5 wrong backprops and gates are caught" in printed
    assert f"The whole examination: {out / 'selftest.md'}" in printed


def test_the_command_ends_in_1_where_a_mistake_escapes(escaped, tmp_path, monkeypatch, capsys):
    answered(monkeypatch, escaped)
    assert cli.main(["selftest", "--out", str(tmp_path / "selftest")]) == 1
    assert "**4 of 5 wrong backprops and gates are caught" in capsys.readouterr().out


def test_the_command_ends_in_1_where_the_right_is_accused(report, tmp_path, monkeypatch):
    report["curves"][0]["right"]["accused"] = 1
    answered(monkeypatch, report)
    assert cli.main(["selftest", "--out", str(tmp_path / "selftest")]) == 1


def test_wrong_use_is_told(tmp_path, capsys):
    file = tmp_path / "file"
    file.write_text("")
    assert cli.main(["selftest", "--out", str(file)]) == 2
    assert cli.main(["selftest", "--seed", "1"]) == 2
    told = capsys.readouterr().err
    assert "is a file; a folder is needed" in told
    assert "--seed is that of the networks of --out" in told


def test_answers_have_words():
    assert [answer.value for answer in Answer] == ["passed", "wrong", "undecided"]
