"""The page, the files and the command of the measurement."""

import csv
import io
import json
import math
import sys
import time
from dataclasses import replace
from itertools import islice, pairwise
from pathlib import Path

import pytest
from some import some

from gradcheck import cli
from gradcheck.studies.bench import by_hand, ours, page, run
from gradcheck.studies.bench.backprop import Row
from gradcheck.studies.bench.contender import ANY, CERTAIN, ESTIMATED, NETWORK
from gradcheck.studies.bench.figures import curves, spread
from gradcheck.studies.bench.measure import measure
from gradcheck.studies.bench.page import render, table
from gradcheck.studies.bench.run import (
    BenchError,
    environment,
    exit_code,
    in_a_process,
    write_bench,
)
from gradcheck.studies.bench.sentences import sentences
from gradcheck.studies.bench.settings import Settings
from gradcheck.studies.bench.worker import clock_of
from gradcheck.studies.cost import processor_clock
from gradcheck.studies.report import figures

sys.path.insert(0, str(Path(__file__).parent))
from contestants import Watch, made_up

sys.path.insert(0, str(Path(__file__).parents[2]))
from borders import numbers_at_a_border

NETWORKS = ((3, 3, 1), (6, 6, 1), (12, 12, 1), (24, 24, 1))  # N = 16, 49, 169, 625
SETTINGS = Settings(networks=NETWORKS, longest=0.5, often=5, right=3)

OURS_ANY = {"ours": True, "bound": ESTIMATED}
OURS_KNOWN = {"ours": True, "bound": CERTAIN, "block": NETWORK}

PLANS = {
    ours.LAYERED: {
        "seconds": lambda N: 1.1e-5 * N,
        "passes": lambda N: 17,
        "sees": 2.0**-40,
        **OURS_KNOWN,
    },
    by_hand.LAYERED: {
        "seconds": lambda N: 0.9e-5 * N,
        "passes": lambda N: 0,
        "sees": 2.0**-21,
        "block": NETWORK,
    },
    by_hand.BACKPROP: {"seconds": lambda N: 3e-4, "passes": lambda N: 1, "block": NETWORK},
    ours.AXES: {"seconds": lambda N: 7.3e-4 * N, "sees": 2.0**-20, **OURS_ANY},
    ours.AXES_AT_ONCE: {"seconds": lambda N: 4.5e-4 * N, "sees": 2.0**-20, **OURS_ANY},
    ours.SEARCHED: {"seconds": lambda N: 9e-4 * N, "sees": 2.0**-25, **OURS_ANY},
    ours.DIRECTIONAL: {"seconds": lambda N: 1.2e-3, "passes": lambda N: 300, **OURS_ANY},
    "torch slow": {"seconds": lambda N: 2.2e-3 * N, "sees": 2.0**-8, "names": False},
    "torch fast": {"seconds": lambda N: 1.4e-3, "passes": lambda N: 10, "sees": 2.0**5},
    "broken": {"raises": OSError("no")},
}


def made_up_checks():
    watch = Watch()
    plans = {name: {"every_coordinate": False, **plan} for name, plan in PLANS.items()}
    return watch, [made_up(watch, name, **plan) for name, plan in plans.items()]


def collect(settings, threads):
    watch, checks = made_up_checks()
    for row in measure(checks, settings, threads, searches=threads == 1, clock=watch):
        yield row.to_json()


def paces(settings):
    """The reference backprop beside PyTorch, made up: half as long, twice."""
    numbers = {"reference": 1.1e-3, "torch": 2.2e-3, "ratio": 0.5, "low": 0.4, "high": 0.6}
    told = {"dtype": "float64", "N": 16, "way": "autograd.grad", "deviation": 0.1}
    for threads in settings.threads:
        yield Row((3, 3, 1), 8, threads=threads, **numbers, **told)


def roughly(figure, kind):
    """Draw a figure coarsely and without a layout, which takes less time."""
    file = io.BytesIO()
    figure.set_layout_engine(None)
    figure.savefig(file, format=kind, dpi=30)
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A measurement of the checks that are made up."""
    out = tmp_path_factory.mktemp("bench")
    described = [run._described(check) for check in made_up_checks()[1]]
    begun = run._begun
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "_bytes", roughly)
        patch.setattr(
            run, "_begun", lambda *a: {**begun(*a), "checks": described, "missing": ["jacobi"]}
        )
        write_bench(out, SETTINGS, command="the command", collect=collect, backprop=paces)
    return out


@pytest.fixture
def undrawn(monkeypatch):
    """Figures are drawn once, in `folder`."""
    monkeypatch.setattr(page, "draw", lambda report: {})


@pytest.fixture
def report(folder):
    return json.loads((folder / "bench.json").read_text("utf-8"))


# --- the page -------------------------------------------------------------------------------------


def sentence(report, beginning):
    (told,) = [found for found in sentences(report) if found.startswith(f"**{beginning}")]
    return told


def test_any_function_is_compared_with_checks_of_any_function(report):
    told = sentence(report, "Every coordinate, of any function")
    slow = "torch slow takes 370 ms (the time of 520 passes; sees 0.0039), without a bound"
    assert f"At N = 169 (12-12-1, batch 8) {slow}" in told
    assert "Ours takes, in batches, 76 ms" in told
    assert "338 forward passes against 338" in told
    assert "a search for every step would take 338 passes and 150 ms" in told
    assert "layered" not in told


def test_a_known_network_is_compared_with_checks_that_know_it(report):
    told = sentence(report, "The network is known")
    second = "300 µs (the time of 0.42 passes; sees 9.8e-4), without a bound"
    assert f"a second library's backprop takes {second}" in told
    assert "layered differences take 6.9 ms (the time of 9.6 passes; sees 9.1e-13), 1.2" in told
    assert "1.2 times what the same takes by hand in PyTorch, 5.6 ms (the time" in told
    assert "torch slow" not in told


def test_the_work_of_the_layered_differences_stands_beside_their_time(report):
    assert sentence(report, "Work and time.") == (
        "**Work and time.** The layered differences do the work of 17 forward passes, by their "
        "operations, and take the time of 0.25 to 9.6."
    )
    for N, passes in ((16, "0.25"), (625, "9.6")):
        (row,) = shown(report, N, ours.LAYERED)
        assert row["forward passes"] == "the work of 17"
        assert row["time in forward passes"] == passes


def test_the_page_says_what_the_largest_network_would_take(report):
    told = sentence(report, "The largest.")
    assert "At N = 625: a second backprop 300 µs, layered differences 6.9 ms" in told
    assert told.endswith("torch slow ≈ 1.4 s.")


def test_who_calls_a_right_gradient_wrong_is_told(report):
    assert sentence(report, "Right gradients").endswith("are called wrong by nobody.")
    row = next(r for r in report["rows"] if (r["check"], r["N"]) == ("torch slow", 49))
    row["accused"], row["undecided"] = 2, 1
    told = sentence(report, "Right gradients")
    assert told.endswith("are called wrong by torch slow (2 of 3 at N = 49).")
    (row,) = shown(report, 49, "torch slow")
    assert row["right gradient accused"] == "yes, 2 of 3 (1 undecided)"


def test_no_number_on_the_page_lies_at_a_border_of_its_rounding(report):
    assert numbers_at_a_border(render, {**report, "seconds": 12.3}) == []


def test_a_number_at_a_border_is_named():
    """22 ms, or 23; and of two that are equal, which comes first?"""

    def page(report):
        return [
            f"{row['seconds']:.2g}" for row in sorted(report["rows"], key=lambda r: r["seconds"])
        ]

    rows = [{"seconds": 0.0225}, {"seconds": 0.3141}, {"seconds": 0.5772}]
    assert numbers_at_a_border(page, {"rows": rows}) == ["rows[0].seconds = 0.0225"]
    assert numbers_at_a_border(page, {"rows": rows[1:]}) == []


def test_what_is_not_installed_is_named(report):
    assert "jacobi: pip install 'gradcheck[peers]'" in sentences(report)[-1]


def test_what_raised_is_told(report):
    assert "- broken: raised OSError: no, from N = 16" in render(report)


def test_every_check_has_a_line_for_every_network(report):
    for N in (16, 49, 169, 625):
        rows = [row for row in report["rows"] if row["N"] == N]
        names = [name.strip("*") for block in (ANY, NETWORK)
                 for name in table(report, rows, block)["check"]]  # fmt: skip
        assert sorted(names) == sorted(PLANS)


def shown(report, N, name):
    """The lines of a check on the page, at one size."""
    rows = [row for row in report["rows"] if row["N"] == N]
    lines = [line for block in (ANY, NETWORK)
             for line in table(report, rows, block).to_dict("records")]  # fmt: skip
    return [line for line in lines if line["check"].strip("*") == name]


def test_the_bound_of_each_check_is_told(report):
    bounds = {name: shown(report, 16, name)[0]["bound"] for name in PLANS}
    assert {name for name, bound in bounds.items() if bound == "certain"} == {ours.LAYERED}
    assert bounds[ours.AXES] == "estimated"
    assert bounds["torch slow"] == bounds[by_hand.BACKPROP] == "none"


def test_the_backward_pass_of_a_second_backprop_is_told(report):
    assert shown(report, 16, by_hand.BACKPROP)[0]["forward passes"] == "1, and back"


def test_extrapolated_numbers_are_marked(report):
    (slow,) = shown(report, 625, "torch slow")
    assert slow["time, one thread"] == slow["time, 2 threads"] == "≈ 1.4 s"
    assert slow["time in forward passes"] == "≈ 1,900"
    assert slow["runs"] == "0 / 0"
    assert slow["right gradient accused"] == "–"
    (fast,) = shown(report, 625, "torch fast")
    assert (fast["runs"], fast["one wrong by 1 %"]) == ("5 / 5", "missed")


def test_the_same_numbers_give_the_same_page(report, folder):
    assert render(report) == (folder / "bench.md").read_text("utf-8")


def test_figures_and_table_are_written(report, folder):
    for name in ("seconds.png", "seconds.svg", "passes.png", "passes.svg"):
        assert (folder / "figures" / name).stat().st_size > 1000
    with (folder / "bench.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == len(report["rows"]) == 4 * 2 * len(PLANS)
    assert lines[0]["sizes"] == "3-3-1"


def test_curves_tell_measured_from_extrapolated(report):
    (slow,) = [c for c in curves(report, "seconds") if c["name"] == "torch slow"]
    assert slow["measured"].tolist() == [True, True, True, False]


@pytest.mark.parametrize("heights", [[0.0] * 5, [1.0] * 5, [0.1, 0.11, 0.5, 0.98, 0.99]])
def test_labels_do_not_overlap(heights):
    moved = spread(heights, 0.1)
    assert min(b - a for a, b in pairwise(moved)) >= 0.1 - 1e-12
    assert max(moved) <= 1


def test_a_page_of_nothing_but_ours_is_written(tmp_path, undrawn):
    def only_ours(settings, threads):
        return (row for row in collect(settings, threads) if row["ours"])

    quick = replace(SETTINGS, turns=0)
    report = write_bench(tmp_path, quick, command="c", collect=only_ours)
    told = [one for one in sentences(report) if not one.startswith("**Not installed")]
    assert told
    assert not any("torch slow takes" in one or "second" in one for one in told)


def test_the_reference_stands_beside_torch(report, folder):
    assert "takes 0.50 to 0.50 times as long as PyTorch" in render(report)
    assert (folder / "figures" / "backprop.svg").stat().st_size > 1000
    assert "Reference backprop" not in render({**report, "backprop": []})


def test_a_quick_run_leaves_the_reference_alone():
    assert list(run._backprop(Settings.quick())) == []


# --- the run --------------------------------------------------------------------------------------


def test_what_came_before_an_interruption_is_on_disk(tmp_path, undrawn):
    def broken_off(settings, threads):
        rows = collect(settings, threads)
        yield from islice(rows, len(PLANS) + 1)  # a network, and the first check of the next
        raise BenchError("power cut")

    with pytest.raises(BenchError, match="power cut"):
        write_bench(tmp_path, SETTINGS, command="c", collect=broken_off)
    stored = json.loads((tmp_path / "bench.json").read_text("utf-8"))
    assert (len(stored["rows"]), stored["complete"]) == (len(PLANS), False)
    assert "The run is not complete" in (tmp_path / "bench.md").read_text("utf-8")


def test_a_false_alarm_of_ours_is_an_exit_code():
    right = {"ours": True, "verdict": "PASS", "accused": 0}
    for wrong in ({**right, "verdict": "FAIL or PASS"}, {**right, "accused": 1}):
        assert exit_code({"rows": [right, wrong]}) == 1
        assert exit_code({"rows": [right, {**wrong, "ours": False}]}) == 0


def test_the_environment_sets_the_threads_of_every_library(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--mine")
    for threads, eigen in ((1, "false"), (2, "true")):
        told = environment(threads)
        assert told["OPENBLAS_NUM_THREADS"] == told["OMP_NUM_THREADS"] == str(threads)
        assert told["XLA_FLAGS"].startswith("--mine ")
        assert f"multi_thread_eigen={eigen} intra_op_parallelism_threads={threads}" in told[
            "XLA_FLAGS"
        ]  # fmt: skip


def test_our_checks_are_measured_in_a_process_of_their_own():
    settings = replace(SETTINGS, networks=((4, 3, 1),), longest_search=0, threads=(2, 1), right=2)
    found = {row["check"]: row for row in in_a_process(settings, 2)}
    mine = [row for row in found.values() if row["ours"]]
    assert len(mine) == 6
    assert {row["verdict"] for row in mine} == {"PASS"}
    assert {row["found"] for row in mine} == {"named"}
    assert {(row["tried"], row["accused"]) for row in mine} == {(2, 0)}
    assert {(row["threads"], row["repeats"]) for row in found.values()} == {(2, 5)}
    assert found[ours.CERTIFIED]["passes"] == 0
    assert found[ours.AXES_AT_ONCE]["passes"] < found[ours.SEARCHED]["passes"] / 2
    assert found["course rule"]["passes"] == 2 * 19
    assert all(math.isfinite(row["seconds"]) for row in some(found.values()))


def test_what_else_the_machine_does_enters_no_time_of_one_thread():
    assert clock_of(1) is processor_clock()
    assert clock_of(2) is time.perf_counter


def test_a_process_that_ends_early_is_told(monkeypatch):
    monkeypatch.setattr(run, "environment", lambda threads: {"PYTHONPATH": "/nowhere"})
    with pytest.raises(BenchError, match="ended early, with exit code 1"):
        list(in_a_process(SETTINGS, "no number"))


def test_what_the_process_says_it_died_of_is_told(monkeypatch):
    class Process:
        stdout = ('{"error": "the clock stands still"}\n',)

    with pytest.raises(BenchError, match="the clock stands still"):
        list(run._rows(Process()))


# --- settings and command -------------------------------------------------------------------------


def test_settings_survive_json():
    for settings in (Settings(), Settings.quick()):
        assert Settings.from_json(json.loads(json.dumps(settings.to_json()))) == settings


def test_networks_are_put_in_order():
    assert Settings.ordered([(9, 9, 1), (2, 1), (9, 9, 1)]) == ((2, 1), (9, 9, 1))


def test_the_command_writes_and_says_what_was_found(tmp_path, undrawn, monkeypatch, capsys):
    monkeypatch.setattr(run, "in_a_process", collect)
    out = str(tmp_path / "bench")
    code = cli.main(["bench", "--quick", "--out", out, "--sizes", "12-12-1", "3-3-1"])
    told = capsys.readouterr().out
    assert code == 0
    assert "1.2 times what the same takes by hand" in told
    assert "bench.md" in told
    stored = json.loads((tmp_path / "bench" / "bench.json").read_text("utf-8"))
    assert stored["command"] == "python -m gradcheck bench --quick --sizes 3-3-1 12-12-1"


@pytest.mark.parametrize("sizes", ["3", "3-0-1", "3-x", "-3-1", ""])
def test_sizes_that_are_no_network_are_refused(sizes, capsys):
    assert cli.main(["bench", f"--sizes={sizes}"]) == 2
    assert "must be layer sizes from 1, as 97-100-1" in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    assert cli.main(["bench", "--out", str(tmp_path / "file")]) == 2
    assert "is a file; a folder is needed" in capsys.readouterr().err


def test_a_measurement_that_breaks_off_is_told(tmp_path, monkeypatch, capsys):
    def broken(settings, threads):
        raise BenchError("the clock stands still")
        yield

    monkeypatch.setattr(run, "in_a_process", broken)
    assert cli.main(["bench", "--out", str(tmp_path)]) == 4
    assert "gradcheck: the clock stands still" in capsys.readouterr().err
