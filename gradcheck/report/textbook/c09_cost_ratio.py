r"""C9: what loss and gradient cost together, in units of the loss.

Symbols: layers of n_0, ..., n_L units, M = sum_l n_{l-1} n_l, a batch of m examples.

    forward     z_l = a_{l-1} W_l^T              l = 1..L:  2 m M flops
    backward    dC/dW_l = delta_l^T a_{l-1}      l = 1..L:  2 m M flops
                delta_l W_l, handed down         l = 2..L:  2 m (M - n_0 n_1) flops

    (forward + backward) / forward = 3 - n_0 n_1 / M

The counts are compared as whole numbers: flops of both, times M, are flops of the loss, times
3 M - n_0 n_1. Loss and gradient are timed in turns, so that the machine's changes of pace
enter both alike, and in processor time, which other programs do not enter; the ratio is the median
of the turns' ratios, its error their quartiles.

**Batch 1.** A number read from memory serves 2 m flops of a forward pass: at m = 1 the weights'
way to the processor takes the time and not the arithmetic. The backward pass reads M - n_0 n_1
weights and writes M derivatives, most machines reading what they write to: as memory traffic

    (forward + backward) / forward = 4 - n_0 n_1 / M,

if dC/dW, a column by a row at m = 1, is written as fast as memory takes it: what was made for
products of matrices may take ten times as long.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.report.figures import BLUE, GREY, ORANGE, STYLE
from gradcheck.report.network import Network
from gradcheck.report.settings import Settings
from gradcheck.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.cost import cost_ratio, count_flops, processor_clock, time_in_turns
from reference_models import sigmoid_network

ARCHITECTURES: tuple[tuple[int, ...], ...] = (
    (30, 1),
    (1000, 1),
    (784, 10),
    (784, 30, 10),
    (784, 100, 10),
    (64, 30, 10),
    (256, 256, 1),
    (20, 30, 10, 1),
    (128, 128, 128, 1),
    (100, 400, 10),
    (256, 256, 256, 256, 1),
    (20, 300, 300, 10),
    (128,) * 6 + (1,),
    (128,) * 11 + (1,),
)
BATCH = 256
EQUAL_WIDTH, DEPTHS = 16, (1, 2, 4, 8, 16, 32, 64)
ROUNDS = 5
ARITHMETIC = 100_000
"""M m from which on a pass is arithmetic and not calls: 0.2 Mflop."""
MARGIN = 2.0
"""How far the time ratio may be off the flop ratio, as a factor; time is not flops."""

ValueAndGrad = Callable[..., Any]


class Timed(NamedTuple):
    """Seconds of loss and gradient over loss: median and quartiles of the turns; of the loss."""

    ratio: float
    low: float
    high: float
    forward: float


def measure(
    settings: Settings, value_and_grad: ValueAndGrad = sigmoid_network.value_and_grad
) -> Evidence:
    """Count and time every architecture, at a large batch and at batch 1."""
    rows = [_row(sizes, value_and_grad, settings) for sizes in ARCHITECTURES]
    frame = pd.DataFrame(rows)
    return Evidence(
        (
            _whole(rows),
            _counted(rows),
            _deep(value_and_grad, settings.seed),
            _time(rows),
            _batch_one(rows),
        ),
        {NAME: frame},
        {NAME: _figure(frame)},
    )


def _row(
    sizes: tuple[int, ...], value_and_grad: ValueAndGrad, settings: Settings
) -> dict[str, Any]:
    network = Network(sizes, BATCH, settings.seed)
    loss, both, shapes = _flops(network, value_and_grad)
    large = _timed(network, value_and_grad, settings.timing_seconds)
    alone = Network(sizes, 1, settings.seed)
    loss_alone, both_alone, _ = _flops(alone, value_and_grad)
    single = _timed(alone, value_and_grad, settings.timing_seconds)
    ours = [array.shape for array in network.parameters.values()]
    return {
        "sizes": "-".join(map(str, sizes)),
        "layers": len(sizes) - 1,
        "N": network.N,
        "every_derivative": shapes == ours,
        "forward_gemm_flops": loss.gemm,
        "both_gemm_flops": both.gemm,
        "exact": _as_formula(sizes, loss.gemm, both.gemm),
        "flop_ratio": both.gemm / loss.gemm,
        "formula": cost_ratio(sizes),
        "all_flops_ratio": both.total / loss.total,
        "arithmetic_rules": loss.gemm >= 2 * ARITHMETIC,
        "time_ratio": large.ratio,
        "time_low": large.low,
        "time_high": large.high,
        "time_ratio_batch_1": single.ratio,
        "time_low_batch_1": single.low,
        "time_high_batch_1": single.high,
        "exact_batch_1": _as_formula(sizes, loss_alone.gemm, both_alone.gemm),
        "flops_a_weight": loss.gemm / _matrix_entries(sizes),
        "flops_a_weight_batch_1": loss_alone.gemm / _matrix_entries(sizes),
        "gflop_s": loss.gemm / large.forward / 1e9,
        "gflop_s_batch_1": loss_alone.gemm / single.forward / 1e9,
        "memory_ratio": 1 + cost_ratio(sizes),
    }


# --- counts ---------------------------------------------------------------------------------------


def _pairs(network: Network) -> list[tuple[Any, Any]]:
    arrays = iter(network.parameters.values())
    return list(zip(arrays, arrays, strict=True))


def _flops(network: Network, value_and_grad: ValueAndGrad) -> tuple[Any, Any, list[Any]]:
    """Count the loss, and loss with gradient; return the shapes of the gradient as well."""
    arguments = (_pairs(network), network.X, network.Y)
    _, loss = count_flops(sigmoid_network.loss, *arguments, out=network.workspace)
    (_, gradient), both = count_flops(value_and_grad, *arguments, out=network.workspace)
    return loss, both, [np.shape(array) for pair in gradient for array in pair]


def _matrix_entries(sizes: tuple[int, ...]) -> int:
    """M."""
    return sum(n_in * n for n_in, n in pairwise(sizes))


def _as_formula(sizes: tuple[int, ...], loss: int, both: int) -> bool:
    M = _matrix_entries(sizes)
    return both * M == loss * (3 * M - sizes[0] * sizes[1])


def _whole(rows: list[dict[str, Any]]) -> Finding:
    complete = sum(row["every_derivative"] for row in rows)
    return Finding(
        "{complete} of {n} gradients hold one derivative for every weight and bias, up to "
        "N = {N:,}, from one call",
        complete == len(rows),
        {"complete": complete, "n": len(rows), "N": max(row["N"] for row in rows)},
    )


def _counted(rows: list[dict[str, Any]]) -> Finding:
    exact = sum(row["exact"] for row in rows)
    single = {row["flop_ratio"] for row in rows if row["layers"] == 1}
    return Finding(
        "flops of matrix products, counted: for {exact} of {n} architectures loss and gradient "
        "cost exactly 3 - n_0 n_1 / M losses, {low:.3f} to {high:.3f}; for logistic regression "
        "and other single layers {single}",
        exact == len(rows) and single == {2.0},
        {
            "exact": exact,
            "n": len(rows),
            "low": min(row["flop_ratio"] for row in rows),
            "high": max(row["flop_ratio"] for row in rows),
            "single": ", ".join(f"{ratio:g}" for ratio in sorted(single)),
        },
    )


def _deep(value_and_grad: ValueAndGrad, seed: int) -> Finding:
    """L layers of equal width: n_0 n_1 / M = 1/L, so the ratio is 3 - 1/L."""
    kept, last = 0, 0.0
    for L in DEPTHS:
        loss, both, _ = _flops(Network((EQUAL_WIDTH,) * (L + 1), 2, seed), value_and_grad)
        kept += both.gemm * L == loss.gemm * (3 * L - 1)
        last = both.gemm / loss.gemm
    return Finding(
        "L layers of equal width, L = {depths}: {kept} of {n} ratios are exactly 3 - 1/L; the last "
        "is {last:.3f}",
        kept == len(DEPTHS),
        {"depths": ", ".join(map(str, DEPTHS)), "kept": kept, "n": len(DEPTHS), "last": last},
        contradicts=True,
    )


# --- time -----------------------------------------------------------------------------------------


def _timed(network: Network, value_and_grad: ValueAndGrad, seconds: float) -> Timed:
    """Time loss and gradient in turns, each turn a tenth of `seconds` or one call of each."""
    pairs, X, Y, out = _pairs(network), network.X, network.Y, network.workspace
    turns = time_in_turns(
        lambda: sigmoid_network.loss(pairs, X, Y, out=out),
        lambda: value_and_grad(pairs, X, Y, out=out),
        turns=ROUNDS,
        minimum_seconds=seconds / 10,
        clock=processor_clock(),
    )
    both = turns.ratio(1, 0)
    return Timed(both.median, both.q25, both.q75, turns.median(0))


def _time(rows: list[dict[str, Any]]) -> Finding:
    """Judge the middle of all architectures, not each: one turn may be disturbed."""
    ruled = [row for row in rows if row["arithmetic_rules"]]
    off = [row["time_ratio"] / row["flop_ratio"] for row in ruled]
    middle = float(np.median(off))
    return Finding(
        "time, {m} examples, {n} architectures of {flops:,} flops and more a pass: loss and "
        "gradient take {low:.2f} to {high:.2f} times the loss alone; over the flop ratio that is "
        "{middle:.2f} (median), to be within a factor {margin:g}",
        bool(1 / MARGIN <= middle <= MARGIN),
        {"m": BATCH, "n": len(ruled), "flops": 2 * ARITHMETIC, "margin": MARGIN},
        timings={
            "low": min(row["time_ratio"] for row in ruled),
            "high": max(row["time_ratio"] for row in ruled),
            "middle": middle,
        },
    )


def _batch_one(rows: list[dict[str, Any]]) -> Finding:
    """Told apart: two flops a weight for every example of the batch; time is only told."""
    largest = max(rows, key=lambda row: row["N"])
    same = sum(row["exact_batch_1"] for row in rows)
    as_batch = all(
        (row["flops_a_weight_batch_1"], row["flops_a_weight"]) == (2, 2 * BATCH) for row in rows
    )
    return Finding(
        "batch 1 told apart: {same} of {n} flop ratios are the same, but a weight read serves "
        "{few:g} flops of a forward pass and not {many:g}; {sizes} computes {slow:.2g} Gflop/s "
        "and not {fast:.2g}. Its time ratio is {single:.1f} ({low:.1f} to {high:.1f}), against "
        "{flop_ratio:.2f} in flops and {memory:.2f} in memory traffic; at {m} examples it is "
        "{large:.2f}",
        same == len(rows) and as_batch,
        {
            "same": same,
            "n": len(rows),
            "few": largest["flops_a_weight_batch_1"],
            "many": largest["flops_a_weight"],
            "sizes": largest["sizes"],
            "flop_ratio": largest["flop_ratio"],
            "memory": largest["memory_ratio"],
            "m": BATCH,
        },
        timings={
            "slow": largest["gflop_s_batch_1"],
            "fast": largest["gflop_s"],
            "single": largest["time_ratio_batch_1"],
            "low": largest["time_low_batch_1"],
            "high": largest["time_high_batch_1"],
            "large": largest["time_ratio"],
        },
    )


NAME = "c9_cost_ratio"


def _figure(frame: pd.DataFrame) -> Figure:
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8.0, 4.6), layout="constrained")
        axes = figure.subplots()
        ordered = frame.sort_values("formula", kind="stable")
        places = np.arange(len(ordered))
        axes.plot(places, ordered["formula"], "_", ms=20, mew=2, color=GREY,
                  label="flops, 3 - n_0 n_1 / M")  # fmt: skip
        for column, suffix, colour, name, fill in (
            ("time_ratio", "", BLUE, f"time, batch {BATCH}", BLUE),
            ("time_ratio_batch_1", "_batch_1", ORANGE, "time, batch 1", "white"),
        ):
            low = ordered[column] - ordered[f"time_low{suffix}"]
            high = ordered[f"time_high{suffix}"] - ordered[column]
            axes.errorbar(places, ordered[column],
                          yerr=[low, high], fmt="o", ms=5,
                          mfc=fill, color=colour, lw=1, label=name)  # fmt: skip
        axes.set_xticks(places, [_short(sizes) for sizes in ordered["sizes"]],
                        rotation=40, ha="right", fontsize=8)  # fmt: skip
        axes.set_yscale("log", base=2)
        axes.set_yticks([1, 2, 3, 4, 8, 16], ["1", "2", "3", "4", "8", "16"])
        axes.set_ylim(1, max(6.0, 1.2 * float(ordered["time_high_batch_1"].max())))
        axes.minorticks_off()
        axes.set_ylabel("(loss and gradient) / loss")
        axes.set_title("The price of a gradient, in forward passes")
        axes.legend(loc="upper left", frameon=False, fontsize=9)
    return figure


def _short(sizes: str) -> str:
    """Write n-n-...-n-k as repeats of n, and k."""
    parts = sizes.split("-")
    if len(parts) < 6:
        return sizes
    return f"{parts.count(parts[0])} x {parts[0]}, {parts[-1]}"


CLAIM = Claim(
    id="C9",
    title="Backprop costs about two forward passes",
    statement="Backprop gets every partial derivative from one forward and one backward pass, for "
    "about the price of two forward passes",
    how="flops of loss and gradient counted operation by operation, time measured beside, from "
    "logistic regression to deep networks; batch 1, where memory rules, told apart",
    precise="in flops of matrix products, loss and gradient cost 3 - n_0 n_1 / M losses, "
    "M = sum n_{l-1} n_l: exactly 2 for logistic regression, towards 3 for deep networks, whose "
    "backward pass alone costs nearly two forward passes",
    source="Griewank and Walther 2008, chapters 3 and 4; Baur and Strassen 1983",
    measure=measure,
    look=f"figures/{NAME}.svg",
    expected=REFINED,
)
