"""The reference backprop beside PyTorch's eager one: loss and gradient of the same network, timed.

    python -m gradcheck.studies.bench.backprop [--threads 1 2] [--turns 11] [--out DIR]

Both compute in one process, on the same numbers in the same memory, and take turns, so that the
machine's changes of pace enter both alike; a ratio is the median of the turns' ratios. Each number
of threads has a process of its own, whose environment sets it before anything is loaded; the time
of one thread is the processor's, which other programs on the machine do not enter. PyTorch may
choose among the ways it is ordinarily used in: the fastest of them is compared. No time counts
unless both gradients agree: a coordinate may differ by the two computed rounding bounds together.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise
from math import ceil, floor, log2
from pathlib import Path
from typing import Any, Protocol

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gradcheck.arrays import Array
from gradcheck.engines.torch_adapter import Torch
from gradcheck.problem import Problem
from gradcheck.problems.case import Case
from gradcheck.rounding import gradient_bound
from gradcheck.studies.cost import processor_clock, time_in_turns
from gradcheck.studies.report.figures import BLUE, GREEN, GREY, ORANGE, RED, STYLE, WIDTH, files
from gradcheck.studies.report.files import write_bytes, write_text
from gradcheck.studies.report.tables import markdown
from gradcheck.studies.report.words import number, seconds, times
from gradcheck.threads import THREAD_SETTINGS
from reference_models import sigmoid_network

NETWORKS: tuple[tuple[tuple[int, ...], int], ...] = (
    ((2, 2, 1), 1),
    ((20, 30, 10, 1), 1),
    ((20, 30, 10, 1), 16),
    ((97, 100, 1), 8),
    ((784, 30, 10), 32),
    ((784, 100, 10), 32),
    ((1000, 1), 1024),
    ((784, 30, 10), 1024),
    ((784, 100, 10), 1024),
    ((300, 300, 300, 1), 2),
    ((512, 512, 512, 1), 512),
    ((1000, 1000, 1), 1),
    ((1000, 1000, 1), 2),
    ((1000, 1000, 1), 4),
    ((1000, 1000, 1), 32),
    ((512, 512, 512, 512, 512, 1), 256),
    ((1000, 1000, 1), 1024),
)
"""Layer sizes and batch."""
DTYPES = ("float64", "float32")
THREADS = (1, 2)
TURNS = 11
SAMPLE_SECONDS = 0.005
SETTLE_SECONDS = 0.005
SEED = 1
MOST_TICKS = 8
REFERENCE, TORCH = "cancellation_free", "p_minus_y"


class DisagreementError(RuntimeError):
    """The two gradients differ by more than rounding can explain: no time is worth comparing."""


@dataclass(frozen=True)
class Row:
    """One network, batch, dtype and number of threads.

    Attributes:
        sizes: n_0, ..., n_L.
        m: examples.
        dtype: by name.
        threads: of linear algebra.
        N: weights and biases.
        reference: median seconds of the reference for loss and gradient.
        torch: the same of PyTorch, the fastest of its ways.
        way: which that is.
        ratio, low, high: reference over PyTorch, median and quartiles of the turns.
        deviation: largest difference of a coordinate, in units of what rounding allows.
    """

    sizes: tuple[int, ...]
    m: int
    dtype: str
    threads: int
    N: int
    reference: float
    torch: float
    way: str
    ratio: float
    low: float
    high: float
    deviation: float

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Row:
        """Read what `dataclasses.asdict` and JSON make of a row."""
        return cls(**{**content, "sizes": tuple(content["sizes"])})


# --- contestants ----------------------------------------------------------------------------------

Pairs = list[tuple[Array, Array]]


class Contestant(Protocol):
    """Computes loss and gradient, summed over the examples, in one or several ways."""

    ways: dict[str, Callable[[], object]]

    def gradient(self) -> Array:
        """Return the gradient as one vector, in the order W1, b1, W2, b2, ..."""


class Reference:
    """`reference_models.sigmoid_network`, in buffers that are kept.

    Args:
        pairs: (W_l, b_l).
        X: inputs, (m, n_0).
        Y: targets, (m, n_L).
    """

    def __init__(self, pairs: Pairs, X: Array, Y: Array) -> None:
        sizes = (X.shape[1], *(len(b) for _, b in pairs))
        out = sigmoid_network.Workspace(sizes, len(X), X.dtype)
        self._run: Callable[[], tuple[Any, Pairs]] = lambda: sigmoid_network.value_and_grad(
            pairs, X, Y, reduction="sum", out=out
        )
        self.ways: dict[str, Callable[[], object]] = {"reference": self._run}

    def gradient(self) -> Array:
        """Return the gradient as one vector, in the order W1, b1, W2, b2, ..."""
        _, layers = self._run()
        return np.concatenate([array.reshape(-1) for pair in layers for array in pair])


class EagerTorch:
    """PyTorch, operation by operation on a tape, on the arrays' own memory.

    Args:
        pairs: (W_l, b_l), writeable.
        X: inputs, (m, n_0), writeable.
        Y: targets, (m, n_L), writeable.

    Raises:
        NotInstalledError: PyTorch is not installed.
    """

    def __init__(self, pairs: Pairs, X: Array, Y: Array) -> None:
        Torch.source.require()
        import torch  # noqa: PLC0415 - heavy, loaded when needed

        F, sigmoid = torch.nn.functional, torch.sigmoid
        layers = [tuple(torch.from_numpy(array).requires_grad_() for array in p) for p in pairs]
        x, y = torch.from_numpy(X), torch.from_numpy(Y)
        leaves = [leaf for layer in layers for leaf in layer]

        def loss() -> Any:
            a = x
            for W, b in layers[:-1]:
                a = sigmoid(F.linear(a, W, b))
            z = F.linear(a, *layers[-1])
            return F.binary_cross_entropy_with_logits(z, y, reduction="sum")

        def fresh() -> None:
            for leaf in leaves:
                leaf.grad = None
            loss().backward()

        def zeroed() -> None:
            for leaf in leaves:
                leaf.grad.zero_()
            loss().backward()

        self._gradient: Callable[[], Any] = lambda: torch.autograd.grad(loss(), leaves)
        fresh()
        self.ways: dict[str, Callable[[], object]] = {
            "backward, .grad = None": fresh,
            "backward, .grad zeroed": zeroed,
            "autograd.grad": self._gradient,
        }

    def gradient(self) -> Array:
        """Return the gradient as one vector, in the order W1, b1, W2, b2, ..."""
        return np.concatenate([part.numpy().reshape(-1) for part in self._gradient()])


MakeContestant = Callable[[Pairs, Array, Array], Contestant]


# --- measurement ----------------------------------------------------------------------------------


def measure_network(
    sizes: tuple[int, ...],
    m: int,
    dtype: str,
    threads: int,
    *,
    rival: MakeContestant = EagerTorch,
    turns: int = TURNS,
    sample_seconds: float = SAMPLE_SECONDS,
    settle_seconds: float = SETTLE_SECONDS,
) -> Row:
    """Time both on one network, once their gradients agree.

    Args:
        sizes: n_0, ..., n_L.
        m: examples.
        dtype: by name.
        threads: that the process has.
        rival: who stands where PyTorch does.
        turns: samples of each.
        sample_seconds: about how long a sample lasts.
        settle_seconds: how long each runs untimed before its samples.

    Raises:
        DisagreementError: the gradients differ by more than rounding allows.
        NotInstalledError: PyTorch is not installed.
    """
    problem = Case(sizes=sizes, batch=m, dtype=dtype, reduction="sum", seed=SEED).problem()
    pairs = [(W.copy(), b.copy()) for W, b in zip(problem.weights, problem.biases, strict=True)]
    data = problem.inputs.copy(), problem.targets.copy()
    ours, theirs = Reference(pairs, *data), rival(pairs, *data)
    deviation = agreed(problem, ours.gradient(), theirs.gradient())
    timed = time_in_turns(
        *ours.ways.values(),
        *theirs.ways.values(),
        turns=turns,
        minimum_seconds=sample_seconds,
        settle_seconds=settle_seconds,
        clock=processor_clock() if threads == 1 else time.perf_counter,
    )
    fastest = min(range(1, 1 + len(theirs.ways)), key=timed.median)
    ratio = timed.ratio(0, fastest)
    return Row(
        sizes=sizes,
        m=m,
        dtype=dtype,
        threads=threads,
        N=problem.architecture.n_parameters,
        reference=timed.median(0),
        torch=timed.median(fastest),
        way=list(theirs.ways)[fastest - 1],
        ratio=ratio.median,
        low=ratio.q25,
        high=ratio.q75,
        deviation=deviation,
    )


def agreed(problem: Problem, ours: Array, theirs: Array) -> float:
    """Return the largest deviation in units of what rounding allows, if that is at most 1.

    Both are within their own bound of the exact gradient, so they are within the sum of both
    bounds of each other.

    Raises:
        DisagreementError: a coordinate deviates by more, or is no number.
    """
    allowed = gradient_bound(problem, REFERENCE) + gradient_bound(problem, TORCH)
    deviation = np.abs(ours.astype(np.float64) - theirs.astype(np.float64))
    wrong = ~(deviation <= allowed)
    if np.any(wrong):
        i = int(np.argmax(wrong))
        raise DisagreementError(
            f"{problem!r}: {np.count_nonzero(wrong)} of {wrong.size} coordinates disagree, first "
            f"coordinate {i}: {ours[i]!r} and {theirs[i]!r}, rounding allows {allowed[i]:.3g}"
        )
    return float(
        np.max(np.divide(deviation, allowed, out=np.zeros_like(allowed), where=allowed > 0))
    )


def measure_here(threads: int, turns: int = TURNS) -> Iterator[Row]:
    """Measure every network in this process, which has so many threads.

    Raises:
        DisagreementError: the gradients of a network differ by more than rounding allows.
        NotInstalledError: PyTorch is not installed.
    """
    Torch.source.require()
    import torch  # noqa: PLC0415 - heavy, loaded when needed

    torch.set_num_threads(threads)
    for dtype in DTYPES:
        for sizes, m in NETWORKS:
            yield measure_network(sizes, m, dtype, threads, turns=turns)


def measure(threads: Iterable[int] = THREADS, turns: int = TURNS) -> Iterator[Row]:
    """Measure every network, each number of threads in a process of its own.

    Raises:
        RuntimeError: a process failed; what it said went to standard error.
    """
    for n in threads:
        command = [sys.executable, "-m", __spec__.name, "--here", str(n), "--turns", str(turns)]
        environment = {**os.environ, **dict.fromkeys(THREAD_SETTINGS, str(n))}
        with subprocess.Popen(  # noqa: S603 - this interpreter, this module
            command, stdout=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        ) as process:
            assert process.stdout is not None  # noqa: S101 - it was asked for
            yield from (Row.from_json(json.loads(line)) for line in process.stdout)
        if process.returncode != 0:
            raise RuntimeError(f"{' '.join(command)} ended with exit code {process.returncode}")


# --- page -----------------------------------------------------------------------------------------


def section(rows: Sequence[Row]) -> str:
    """Write the comparison up in Markdown: what was found, then a table."""
    return "\n\n".join(
        [
            "## Reference backprop and PyTorch",
            "Loss and gradient of the same network on the same numbers, PyTorch's operation by "
            "operation (`linear`, `sigmoid`, `binary_cross_entropy_with_logits`; the fastest of "
            "`backward` with `.grad = None` or zeroed and `autograd.grad`), in turns in one "
            "process; the time of one thread is the processor's, that of several the clock's on "
            "the wall, which other programs on the machine enter; seconds are medians, a ratio "
            "below 1 is the reference's favour and comes with the quartiles of the turns. "
            "Before, both gradients were compared: they differ by at most "
            f"{number(max(row.deviation for row in rows))} of what rounding allows.",
            _finding(rows),
            markdown(_table(rows), left=1),
        ]
    )


def _finding(rows: Sequence[Row]) -> str:
    said = []
    for threads in sorted({row.threads for row in rows}):
        ratios = [row.ratio for row in rows if row.threads == threads]
        slower = [row for row in rows if row.threads == threads and not row.ratio <= 1]
        said.append(
            f"{_threads(threads)}: the reference takes {number(min(ratios))} to "
            f"{number(max(ratios))} times as long as PyTorch, in the middle "
            f"{number(float(np.median(ratios)))}; the quartiles of a ratio are up to "
            f"{times(_widest(rows, threads))} times apart; "
            + (f"slower at {'; '.join(map(_named, slower))}." if slower else "nowhere slower.")
        )
    return "\n".join(f"- {sentence}" for sentence in said)


def _widest(rows: Sequence[Row], threads: int) -> float:
    """Return by how much the quartiles differ where they differ most."""
    return max(row.high / row.low for row in rows if row.threads == threads)


def _named(row: Row) -> str:
    return (
        f"{_name(row.sizes)} batch {row.m} {row.dtype} "
        f"({row.ratio:.2f}, {row.low:.2f} to {row.high:.2f})"
    )


def _table(rows: Sequence[Row]) -> pd.DataFrame:
    """One line a network, batch and dtype; the numbers of threads side by side."""
    lines: dict[tuple[Any, ...], dict[str, str]] = {}
    for row in rows:
        line = lines.setdefault(
            (row.sizes, row.m, row.dtype),
            {
                "network": _name(row.sizes),
                "N": f"{row.N:,}",
                "batch": str(row.m),
                "dtype": row.dtype,
            },
        )
        line[f"reference, {_threads(row.threads)}"] = seconds(row.reference)
        line["PyTorch" + " " * row.threads] = seconds(row.torch)
        line["ratio" + " " * row.threads] = f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"
    return pd.DataFrame(lines.values()).fillna("")


def _threads(n: int) -> str:
    return "one thread" if n == 1 else f"{n} threads"


def _name(sizes: tuple[int, ...]) -> str:
    """Write n-n-...-n-k as repeats of n, and k."""
    if len(sizes) < 6:
        return "-".join(map(str, sizes))
    return f"{sizes.count(sizes[0])} x {sizes[0]}, {sizes[-1]}"


def figure(rows: Sequence[Row]) -> Figure:
    """Draw the ratio against the multiplications of a forward pass, m M."""
    colours = dict(
        zip(sorted({row.threads for row in rows}), (BLUE, ORANGE, GREEN, RED), strict=False)
    )
    with mpl.rc_context(STYLE):
        drawn = Figure(figsize=(WIDTH, 4.4), layout="constrained")
        axes = drawn.subplots()
        axes.axhline(1.0, color=GREY, lw=1)
        for row in rows:
            axes.errorbar(
                row.m * sum(n * k for n, k in pairwise(row.sizes)),
                row.ratio,
                yerr=[[row.ratio - row.low], [row.high - row.ratio]],
                fmt="o" if row.dtype == "float64" else "s",
                ms=5,
                lw=1,
                color=colours[row.threads],
                mfc=colours[row.threads] if row.dtype == "float64" else "white",
            )
        axes.set_xscale("log")
        axes.set_yscale("log", base=2)
        axes.set_ylim(
            min(0.25, 0.9 * min(row.low for row in rows)), max(2.0, *(row.high for row in rows))
        )
        low, high = (log2(limit) for limit in axes.get_ylim())
        every = 1 + int(high - low) // MOST_TICKS
        ticks = [k for k in range(ceil(low), floor(high) + 1) if k % every == 0]
        axes.set_yticks(
            [2.0**k for k in ticks], [str(2**k) if k >= 0 else f"1/{2**-k}" for k in ticks]
        )
        axes.minorticks_off()
        axes.set_xlabel("multiplications of a forward pass, m M")
        axes.set_ylabel("time of the reference / time of PyTorch")
        axes.set_title("Loss and gradient: the reference beside PyTorch (below 1: faster)")
        axes.legend(handles=_legend(colours), loc="lower right", frameon=False, fontsize=9)
    return drawn


def _legend(colours: dict[int, str]) -> list[Line2D]:
    by_threads = [
        Line2D([], [], marker="o", lw=1, color=colour, label=_threads(n))
        for n, colour in colours.items()
    ]
    marks = (("o", GREY, "float64"), ("s", "white", "float32"))
    by_dtype = [
        Line2D([], [], marker=marker, lw=0, color=GREY, mfc=fill, label=dtype)
        for marker, fill, dtype in marks
    ]
    return by_threads + by_dtype


# --- command --------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure and print the section; with --out also write it, the rows and the figure."""
    parser = argparse.ArgumentParser(prog="python -m gradcheck.studies.bench.backprop")
    parser.add_argument("--threads", type=int, nargs="+", default=THREADS, metavar="N")
    parser.add_argument("--turns", type=int, default=TURNS, help="samples of each, at least 3")
    parser.add_argument("--out", type=Path, help="folder for backprop.md, .csv, .svg and .png")
    parser.add_argument("--here", type=int, metavar="N", help="measure in this process, as JSON")
    given = parser.parse_args(arguments)
    if given.here is not None:
        for row in measure_here(given.here, given.turns):
            print(json.dumps(asdict(row)), flush=True)  # noqa: T201 - read by the parent process
        return
    rows = list(measure(given.threads, given.turns))
    print(section(rows))  # noqa: T201 - what the command is for
    if given.out is not None:
        write(given.out, rows)


def write(out: Path, rows: Sequence[Row]) -> None:
    """Write backprop.md, backprop.csv and the figure, as SVG and PNG, to a folder."""
    write_text(out / "backprop.md", section(rows) + "\n")
    frame = pd.DataFrame([{**asdict(row), "sizes": "-".join(map(str, row.sizes))} for row in rows])
    write_text(out / "backprop.csv", frame.to_csv(index=False, float_format="%.6g"))
    for name, content in files("backprop", figure(rows)).items():
        write_bytes(out / name, content)


if __name__ == "__main__":
    main()
