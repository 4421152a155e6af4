r"""Loss and gradient in units of the loss, counted and by the clock.

In matrix products the ratio is w = 3 - n_0 n_1 / M, M = sum n_{l-1} n_l. Time is that of the
products and of what is done entry by entry, on m n_l numbers a layer:

    loss             T = G + E_f            E_f: biases, sigmoids, the loss itself
    loss, gradient   w G + E_f + E_b        E_b: sigma', its product with the error, sums for b

    ratio = w - ((w - 1) E_f - E_b) / T

E_f and E_b are timed by themselves, on the same buffers and in the same turns as T, in processor
time, which other programs on the machine do not enter.
"""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.studies.cost import (
    FlopCount,
    cost_ratio,
    count_flops,
    processor_clock,
    time_in_turns,
)
from gradcheck.studies.report.figures import BLUE, GREY, ORANGE, STYLE
from gradcheck.studies.report.network import Network, pairs
from gradcheck.studies.report.settings import Settings
from reference_models.activations import decay, sigmoid, sigmoid_prime_from_decay
from reference_models.losses import LOSSES

RATIO_BATCH = 256
RATIO_TURNS = 5
WITHIN = 0.15
"""How near 3 - n_0 n_1 / M the time ratio of a large network is wanted."""
LARGE_PASS = 10**8
"""Flops of a forward pass from which on a network is large: arithmetic takes the time."""
RATIOS = "cost_ratio"
"""The name of the table and of the figure."""


def measure_ratio(network: Network, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """What loss and gradient together cost, in forward passes."""
    forward_flops, gradient_flops = flops(network)
    w = cost_ratio(network.sizes)
    turns = time_in_turns(
        lambda: network.loss(network.parameters),
        lambda: network.gradient(network.parameters),
        lambda: entries_forward(network),
        lambda: entries_backward(network),
        turns=RATIO_TURNS,
        minimum_seconds=settings.timing_seconds,
        clock=processor_clock(),
    )
    E_f, E_b = turns.ratio(2, 0).median, turns.ratio(3, 0).median  # in units of T
    row = {
        "sizes": list(network.sizes),
        "m": network.m,
        "N": network.N,
        "gemm_ratio": gradient_flops.gemm / forward_flops.gemm,
        "formula": w,
        "flop_ratio": gradient_flops.total / forward_flops.total,
        "is_large": forward_flops.gemm >= LARGE_PASS,
    }
    measured = turns.ratio(1, 0)
    timing = {
        "ratio": measured.median,
        "low": measured.q25,
        "high": measured.q75,
        "with_entries": w - ((w - 1) * E_f - E_b),
        "entries_share": E_f,
    }
    return row, timing


def entries_forward(network: Network) -> None:
    """Do entry by entry what the loss does, without its matrix products: E_f."""
    out, C = network.workspace, LOSSES["cross_entropy"]
    *hidden, last = out.layers
    for (_, b), layer in zip(pairs(network.parameters), out.layers, strict=True):
        np.copyto(layer.z, b)
        np.add(layer.a, layer.z, out=layer.z)
    for layer in hidden:
        sigmoid(layer.z, out=layer.a, e=layer.e, scratch=layer.z)
    e, scratch = decay(last.z, out=last.e), (last.a, out.scratch)
    np.add.reduce(C.value(last.z, network.Y, e=e, out=last.delta, scratch=scratch), axis=None)


def entries_backward(network: Network) -> None:
    """Do entry by entry what the gradient does beyond that: E_b."""
    out, C = network.workspace, LOSSES["cross_entropy"]
    *hidden, last = out.layers
    scratch = (last.a, out.scratch)
    C.residual(last.z, network.Y, e=last.e, out=last.delta, scratch=scratch)
    np.divide(last.delta, network.m, out=last.delta)
    for layer in out.layers:
        np.add.reduce(layer.delta, axis=0, out=layer.db)
    for layer in hidden:  # written to a, not over e and delta, to be repeated at the same numbers
        slope = sigmoid_prime_from_decay(layer.e, one_plus_e=layer.z, out=layer.a, scratch=layer.a)
        np.multiply(layer.delta, slope, out=layer.a)


def flops(network: Network) -> tuple[FlopCount, FlopCount]:
    """Count one loss and one gradient from inside: whatever computes them."""
    _, forward = count_flops(lambda network: network.loss(network.parameters), network)
    _, gradient = count_flops(lambda network: network.gradient(network.parameters), network)
    return forward, gradient


def ratio_frame(ratios: list[dict[str, Any]], timings: list[dict[str, Any]]) -> pd.DataFrame:
    """Return one line a network, for the CSV file."""
    rows = zip(ratios, timings, strict=True)
    frame = pd.DataFrame({**row, **timing} for row, timing in rows)
    return frame.assign(sizes=["-".join(map(str, sizes)) for sizes in frame["sizes"]])


def ratio_figure(frame: pd.DataFrame) -> Figure:
    """Measured ratios against 3 - n_0 n_1 / M, the large networks' alone."""
    large = frame[frame["is_large"]] if frame["is_large"].any() else frame
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 4.6), layout="constrained")
        axes = figure.subplots()
        w = np.array([1.9, 3.0])
        axes.fill_between(w, (1 - WITHIN) * w, (1 + WITHIN) * w, color="#eeeeee", lw=0)
        axes.plot(w, w, color=GREY, lw=1, label=f"time as flops, ± {WITHIN:.0%}")
        error = np.array([large["ratio"] - large["low"], large["high"] - large["ratio"]])
        axes.errorbar(large["formula"], large["ratio"], yerr=error, fmt="o", ms=5, lw=1,
                      capsize=2, color=BLUE, label="time measured, with quartiles")  # fmt: skip
        axes.plot(large["formula"], large["with_entries"], "_", ms=16, mew=2, color=ORANGE,
                  label="flops, and entry by entry timed apart")  # fmt: skip
        axes.set_xlabel("3 - n_0 n_1 / M")
        axes.set_ylabel("(loss and gradient) / loss")
        axes.set_title("The price of a gradient of large networks")
        axes.legend(loc="upper left", frameon=False, fontsize=9)
    return figure
