"""The comparison with PyTorch, with a stand-in for PyTorch and once with PyTorch itself."""

import io
import sys
from dataclasses import asdict, replace
from importlib.util import find_spec
from itertools import pairwise
from json import dumps, loads
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gradcheck.problems.case import Case
from gradcheck.studies.bench import backprop
from gradcheck.studies.bench.backprop import (
    DisagreementError,
    EagerTorch,
    Reference,
    Row,
    agreed,
    figure,
    measure_network,
    section,
    write,
)

sys.path.insert(0, str(Path(__file__).parent))
from contestants import Watch

QUICK = {"turns": 3, "sample_seconds": 1e-4, "settle_seconds": 0.0}


class Rival(Reference):
    """The reference once more, and a slower way besides."""

    factor = 1.0

    def __init__(self, pairs, X, Y):
        super().__init__(pairs, X, Y)
        (run,) = self.ways.values()
        self.ways = {"slow": lambda: [run() for _ in range(20)], "quick": run}

    def gradient(self):
        gradient = super().gradient()
        gradient[-1] *= self.factor
        return gradient


class WrongRival(Rival):
    factor = 1 + 1e-6


class SilentRival(Rival):
    factor = np.nan


ROW = Row((3, 4, 1), 5, "float64", 1, 21, 1e-5, 2e-5, "quick", 0.5, 0.4, 0.75, 0.01)


def test_a_row_says_who_took_how_long():
    row = measure_network((3, 4, 1), 5, "float64", 1, rival=Rival, **QUICK)
    assert (row.sizes, row.m, row.dtype, row.threads, row.N) == ((3, 4, 1), 5, "float64", 1, 21)
    assert row.way == "quick"
    assert 0 < row.low <= row.ratio <= row.high
    assert 0 <= row.deviation <= 1
    assert Row.from_json(loads(dumps(asdict(row)))) == row


def test_the_same_work_takes_the_same_time_and_more_work_longer(monkeypatch):
    watch = Watch()

    class Timed(Reference):
        repeats = 1

        def __init__(self, pairs, X, Y):
            super().__init__(pairs, X, Y)
            self.ways = {"timed": lambda: watch.work(self.repeats)}

    class Slow(Timed):
        repeats = 20

    monkeypatch.setattr(backprop, "Reference", Timed)
    monkeypatch.setattr(backprop, "processor_clock", lambda: watch)
    same = measure_network((3, 4, 1), 5, "float64", 1, rival=Timed, **QUICK)
    less = measure_network((3, 4, 1), 5, "float64", 1, rival=Slow, **QUICK)
    assert (same.low, same.ratio, same.high) == (1, 1, 1)
    assert (less.low, less.ratio, less.high) == (1 / 20, 1 / 20, 1 / 20)


@pytest.mark.parametrize("rival", [WrongRival, SilentRival])
def test_no_time_is_taken_of_a_wrong_gradient(rival, monkeypatch):
    monkeypatch.setattr(backprop, "time_in_turns", lambda *_, **__: pytest.fail("timed"))
    with pytest.raises(DisagreementError, match=r"1 of 21 coordinates disagree, .* 20: "):
        measure_network((3, 4, 1), 5, "float64", 1, rival=rival, **QUICK)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_what_rounding_allows_is_more_than_the_last_bit_and_less_than_a_millionth(dtype):
    problem = Case(sizes=(3, 4, 1), batch=5, dtype=dtype, reduction="sum").problem()
    pairs = list(zip(problem.weights, problem.biases, strict=True))
    gradient = Reference(pairs, problem.inputs, problem.targets).gradient()
    assert agreed(problem, gradient, gradient) == 0.0
    assert 0 < agreed(problem, gradient, np.nextafter(gradient, gradient.dtype.type(9))) <= 1
    error = 1e-3 if dtype == "float32" else 1e-6
    with pytest.raises(DisagreementError, match="21 of 21"):
        agreed(problem, gradient, gradient * gradient.dtype.type(1 + error))


def test_the_networks_reach_from_the_smallest_to_a_million_weights_and_a_thousand_examples():
    N = [sum((k + 1) * n for k, n in pairwise(s)) for s, _ in backprop.NETWORKS]
    assert len(backprop.NETWORKS) >= 10
    assert backprop.NETWORKS[0] == ((2, 2, 1), 1)
    assert max(N) >= 1_000_000
    assert any(n >= 1_000_000 and m == 1 for n, (_, m) in zip(N, backprop.NETWORKS, strict=True))
    assert any(n >= 1_000_000 and m >= 1024 for n, (_, m) in zip(N, backprop.NETWORKS, strict=True))
    assert backprop.TURNS >= 7


# --- page -----------------------------------------------------------------------------------------

ROWS = [
    ROW,
    replace(ROW, threads=2, reference=3e-5, ratio=1.5, low=1.25, high=1.75, deviation=0.25),
    replace(ROW, sizes=(9, 9, 9, 9, 9, 1), dtype="float32", ratio=0.25, low=0.2, high=0.3),
]


def test_the_section_tells_where_the_reference_is_slower():
    text = section(ROWS)
    assert "at most 0.25 of what rounding allows" in text
    assert "- one thread: the reference takes 0.25 to 0.50 times as long" in text
    one = "the quartiles of a ratio are up to 1.9 times apart; nowhere slower."
    assert f"in the middle 0.38; {one}" in text
    assert "up to 1.4 times apart; slower at 3-4-1 batch 5 float64 (1.50, 1.25 to 1.75)." in text
    assert "| 5 x 9, 1 " in text
    assert text.count("3-4-1") == 2  # one line for both numbers of threads, and the sentence


def test_a_ratio_that_is_no_number_is_not_called_faster():
    assert "slower at 3-4-1" in section([replace(ROW, ratio=float("nan"))])


def test_the_figure_holds_every_row():
    (axes,) = figure(ROWS).axes
    assert len(axes.containers) == len(ROWS)
    assert {text.get_text() for text in axes.get_legend().get_texts()} == {
        "one thread",
        "2 threads",
        "float64",
        "float32",
    }


def test_page_table_and_figure_are_written(tmp_path):
    write(tmp_path, ROWS)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "backprop.csv",
        "backprop.md",
        "backprop.png",
        "backprop.svg",
    ]
    frame = pd.read_csv(io.StringIO((tmp_path / "backprop.csv").read_text("utf-8")))
    assert list(frame["ratio"]) == [0.5, 1.5, 0.25]
    assert (tmp_path / "backprop.md").read_text("utf-8") == section(ROWS) + "\n"


# --- processes ------------------------------------------------------------------------------------


def fake_process(monkeypatch, tmp_path, program):
    """Put a program in the place of the interpreter that would measure."""
    script = tmp_path / "python"
    script.write_text(f"#!/bin/sh\n{program}\n", "utf-8")
    script.chmod(0o755)
    monkeypatch.setattr(backprop.sys, "executable", str(script))


def test_each_number_of_threads_has_a_process_that_is_told_so(monkeypatch, tmp_path):
    line = dumps(asdict(ROW)).replace('"threads": 1', '"threads": %s')
    program = f"printf '{line}\\n' $OPENBLAS_NUM_THREADS; test $4 = $OMP_NUM_THREADS"
    fake_process(monkeypatch, tmp_path, program)
    assert [row.threads for row in backprop.measure([1, 2])] == [1, 2]


def test_a_process_that_fails_is_an_error(monkeypatch, tmp_path):
    fake_process(monkeypatch, tmp_path, "exit 7")
    with pytest.raises(RuntimeError, match=r"--here 1 --turns 3 ended with exit code 7"):
        list(backprop.measure([1], turns=3))


def test_the_command_prints_the_section_and_writes_the_files(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(backprop, "measure", lambda threads, turns: ROWS[: len(threads) + turns])
    backprop.main(["--threads", "1", "--turns", "3", "--out", str(tmp_path)])
    assert capsys.readouterr().out == section(ROWS) + "\n"
    assert (tmp_path / "backprop.md").exists()


# --- PyTorch itself -------------------------------------------------------------------------------


@pytest.mark.skipif(find_spec("torch") is None, reason="PyTorch is not installed")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_pytorch_agrees_in_all_its_ways_and_each_computes_a_gradient(dtype):
    row = measure_network((20, 30, 10, 3), 16, dtype, 1, **QUICK)
    assert row.deviation <= 1
    problem = Case(sizes=(4, 3, 2), batch=5, dtype=dtype, reduction="sum").problem()
    pairs = [(W.copy(), b.copy()) for W, b in zip(problem.weights, problem.biases, strict=True)]
    data = problem.inputs.copy(), problem.targets.copy()
    torch = EagerTorch(pairs, *data)
    assert row.way in torch.ways
    assert len(torch.ways) == 3
    before = torch.gradient()
    for array in (*data, *(array for pair in pairs for array in pair)):
        np.multiply(array, 2, out=array)  # the same memory: the next gradient is another one
    for way in torch.ways.values():
        way()
    assert not np.array_equal(torch.gradient(), before)
