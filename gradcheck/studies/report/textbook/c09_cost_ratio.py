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

**Parts.** Time is not flops. The networks that take most and least of it over their flops are
named, and their parts timed by themselves (`cost.parts`). Which these are depends on the kernel of
the linear algebra. Other engines are timed where they are installed.

**Batch 1.** The same counts, but dC/dW is an outer product of two vectors there, which multiplies
and adds nothing. Here it counts as every other product of matrices, 2 flops an entry; by
multiplications and additions that are done

    (forward + backward) / forward = 5/2 - n_0 n_1 / M.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.studies.cost import cost_ratio, count_flops, processor_clock, time_in_turns
from gradcheck.studies.report.cost.parts import parts
from gradcheck.studies.report.figures import BLUE, GREY, ORANGE, STYLE
from gradcheck.studies.report.kernel import kernel
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook import engines_timed
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
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

BOUND = 3.0
"""The least of the bounds that there are for any computation, in losses."""
ENGINES = ("torch", "jax", "tensorflow", "pytensor", "autograd", "sklearn")
WEIGHED = (128, 128, 128, 1)
"""The network whose gradient these engines compute."""

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
            _bounded(rows),
            _time(rows),
            _furthest(rows, settings),
            _engines(settings),
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


def _furthest(rows: list[dict[str, Any]], settings: Settings) -> Finding:
    """Name the networks furthest from their flops on either side; parts are only told."""
    ruled = [row for row in rows if row["arithmetic_rules"]]
    ordered = sorted(ruled, key=lambda row: row["time_ratio"] / row["flop_ratio"])
    told: dict[str, Any] = {"kernel": kernel()}
    for side, row in (("least", ordered[0]), ("most", ordered[-1])):
        sizes = tuple(map(int, row["sizes"].split("-")))
        found = parts(Network(sizes, BATCH, settings.seed), settings.timing_seconds / 10)
        told |= {
            side: _short(row["sizes"]),
            f"{side}_time": row["time_ratio"],
            f"{side}_flops": row["flop_ratio"],
            f"{side}_forward": found.forward,
            f"{side}_backward": found.backward,
            f"{side}_parts": found.ratio,
        }
    return Finding(
        "furthest from its flops below is {least}, {least_time:.2f} for {least_flops:.2f}, and "
        "above {most}, {most_time:.2f} for {most_flops:.2f}; another kernel than {kernel} has "
        "others. By themselves, forward and backward products of {least} compute "
        "{least_forward:.2g} and {least_backward:.2g} Gflop/s, those of {most} "
        "{most_forward:.2g} and {most_backward:.2g}; with what is done entry by entry the parts "
        "add up to {least_parts:.2f} and {most_parts:.2f}. Their flops are among the {n} that "
        "are exactly those of the formula",
        len(ruled) == sum(row["exact"] for row in ruled) > 0,
        {"n": len(ruled)},
        timings=told,
    )


def _bounded(rows: list[dict[str, Any]]) -> Finding:
    most = max(row["all_flops_ratio"] for row in rows)
    return Finding(
        "with what is done entry by entry, all flops are at most {most:.3f} losses: below the "
        "least of the bounds, 3 to 5, that hold for the gradient of any computation",
        most < BOUND,
        {"most": most},
    )


def _engines(settings: Settings) -> Finding:
    """Tell what other engines take; of the count, only that it is that of the network."""
    network = Network(WEIGHED, BATCH, settings.seed)
    loss, both, _ = _flops(network, sigmoid_network.value_and_grad)
    return Finding(
        "loss and gradient over loss in time, {sizes}, {m} examples, flops {ratio:.2f}, by other "
        "engines: {engines}",
        _as_formula(WEIGHED, loss.gemm, both.gemm),
        {"sizes": "-".join(map(str, WEIGHED)), "m": BATCH, "ratio": both.gemm / loss.gemm},
        timings={"engines": engines_timed.ratios(ENGINES, network, settings.timing_seconds)},
    )


def _batch_one(rows: list[dict[str, Any]]) -> Finding:
    """Told apart: two flops a weight for every example of the batch; time is only told."""
    largest = max(rows, key=lambda row: row["N"])
    same = sum(row["exact_batch_1"] for row in rows)
    as_batch = all(
        (row["flops_a_weight_batch_1"], row["flops_a_weight"]) == (2, 2 * BATCH) for row in rows
    )
    single = [row["time_ratio_batch_1"] for row in rows]
    return Finding(
        "batch 1 told apart: {same} of {n} flop ratios are the same, but a weight serves {few:g} "
        "flops of a forward pass and not {many:g}; {sizes} computes {slow:.2g} Gflop/s and not "
        "{fast:.2g}. In time it takes {single:.1f} losses ({from_least:.1f} to {to_most:.1f} over "
        "all networks), against {flop_ratio:.2f} in flops, or {lean:.2f} where an outer product is "
        "counted as the multiplications that it is; at {m} examples {large:.2f}",
        same == len(rows) and as_batch,
        {
            "same": same,
            "n": len(rows),
            "few": largest["flops_a_weight_batch_1"],
            "many": largest["flops_a_weight"],
            "sizes": largest["sizes"],
            "flop_ratio": largest["flop_ratio"],
            "lean": largest["flop_ratio"] - 0.5,
            "m": BATCH,
        },
        timings={
            "slow": largest["gflop_s_batch_1"],
            "fast": largest["gflop_s"],
            "single": largest["time_ratio_batch_1"],
            "from_least": min(single),
            "to_most": max(single),
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
    "logistic regression to deep networks; the networks furthest from their flops taken to parts; "
    "batch 1 told apart",
    precise="in flops of matrix products, loss and gradient cost 3 - n_0 n_1 / M losses, "
    "M = sum n_{l-1} n_l: exactly 2 for logistic regression, towards 3 for deep networks, whose "
    "backward pass alone costs nearly two forward passes",
    source='Nielsen 2015, chapter 2: "the total cost of backpropagation is roughly the same as '
    'making just two forward passes through the network"; bounds for any computation: Griewank and '
    'Walther, "Evaluating Derivatives", 2008, chapters 3 and 4; Baur and Strassen 1983',
    measure=measure,
    look=f"figures/{NAME}.svg",
    expected=REFINED,
)
