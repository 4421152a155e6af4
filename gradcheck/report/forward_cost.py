"""What the gradient costs by finite differences and by backpropagation, as N grows.

Passes of differences are counted by wrapping the loss, flops by counting every numpy operation
(`gradcheck.studies.cost`), seconds by the clock. The passes of a gradient are counted from inside
(`inside`). Where a run to the end takes too long, a forward pass is timed and the rest is
multiplied out: such numbers are marked `extrapolated` and counted nowhere.

**Loss and gradient in units of the loss.** In matrix products the ratio is w = 3 - n_0 n_1 / M,
M = sum n_{l-1} n_l. Time is that of the products and of what is done entry by entry, on m n_l
numbers a layer:

    loss             T = G + E_f            E_f: biases, sigmoids, the loss itself
    loss, gradient   w G + E_f + E_b        E_b: sigma', its product with the error, sums for b

    ratio = w - ((w - 1) E_f - E_b) / T

E_f and E_b are timed by themselves, on the same buffers and in the same turns as T, in processor
time, which other programs on the machine do not enter.
"""

from __future__ import annotations

import time
from itertools import pairwise
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from gradcheck.checks.gradient import check_gradient
from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.differences.lines import Lines
from gradcheck.differences.stencils import CENTRAL_2, FORWARD, Stencil
from gradcheck.report.figures import BLUE, GREY, ORANGE, STYLE
from gradcheck.report.fits import PowerLaw, fit_power_law
from gradcheck.report.inside import counted_passes
from gradcheck.report.progress import section_progress
from gradcheck.report.section import Section
from gradcheck.report.settings import Settings
from gradcheck.splitmix64 import Stream
from gradcheck.studies.cost import (
    FlopCount,
    Timing,
    central_difference_passes,
    cost_ratio,
    count_flops,
    counted_loss,
    forward_difference_passes,
    gemm_flops_backward,
    gemm_flops_forward,
    processor_clock,
    time_call,
    time_in_turns,
)
from reference_models import sigmoid_network
from reference_models.activations import decay, sigmoid, sigmoid_prime_from_decay
from reference_models.losses import LOSSES

RATIO_BATCH = 256
RATIO_TURNS = 5
WITHIN = 0.15
"""How near 3 - n_0 n_1 / M the time ratio of a large network is wanted."""
LARGE_PASS = 10**8
"""Flops of a forward pass from which on a network is large: arithmetic takes the time."""
STEP = 2.0**-20
UPPER_DECADES = 2.0
"""Times are fitted over this many decades of N, where arithmetic and not calls take the time."""


class Network:
    """A network with weights and a batch, and its loss and gradient in buffers that are kept.

    Args:
        sizes: n_0, ..., n_L.
        m: examples.
        seed: of weights, inputs and targets.
    """

    def __init__(self, sizes: tuple[int, ...], m: int, seed: int = 1) -> None:
        self.sizes, self.m = sizes, m
        self.parameters: dict[str, Any] = {}
        for layer, (n_in, n) in enumerate(pairwise(sizes), start=1):
            W = Stream(seed, f"W{layer}").normal((n, n_in)) / np.sqrt(n_in)
            self.parameters |= {f"W{layer}": W, f"b{layer}": np.zeros(n)}
        self.X = Stream(seed, "inputs").normal((m, sizes[0]))
        self.Y = Stream(seed, "targets").uniform((m, sizes[-1]))
        self.workspace = sigmoid_network.Workspace(sizes, m, np.float64)

    @property
    def N(self) -> int:  # noqa: N802 - the symbol
        """How many numbers are learned."""
        return sum(array.size for array in self.parameters.values())

    def loss(self, parameters: dict[str, Any]) -> Any:
        """Run one forward pass."""
        return sigmoid_network.loss(_pairs(parameters), self.X, self.Y, out=self.workspace)

    def gradient(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Run one forward and one backward pass; the arrays are the workspace's."""
        _, layers = sigmoid_network.value_and_grad(
            _pairs(parameters), self.X, self.Y, out=self.workspace
        )
        flat = [array for pair in layers for array in pair]
        return dict(zip(parameters, flat, strict=True))


def measure(settings: Settings) -> Section:
    """Measure every network of the settings, then fit how cost grows with N."""
    start = time.perf_counter()
    rows, timings = [], []
    with section_progress("cost", len(settings.hidden) + len(settings.ratio_networks)) as advance:
        for h in settings.hidden:
            row, timing = _measure_network(Network((2 * h, h, 1), 1, settings.seed), settings)
            rows.append(row)
            timings.append(timing)
            advance(1)
        ratios, ratio_timings = [], []
        for sizes in settings.ratio_networks:
            ratio, timing = _measure_ratio(Network(sizes, RATIO_BATCH, settings.seed), settings)
            ratios.append(ratio)
            ratio_timings.append(timing)
            advance(1)
    checks = [row.pop("check_passes") for row in rows]
    results = {"networks": rows, "ratios": ratios}
    measured = {"check_passes": checks, "passes_growth": _growth_of_passes(rows)}
    clock = {
        "seconds": time.perf_counter() - start,
        "networks": timings,
        "ratios": ratio_timings,
        "growth": _growth_of_time(rows, timings),
    }
    frames = {"cost": _frame(rows, checks, timings), RATIOS: _ratio_frame(ratios, ratio_timings)}
    return Section(results, measured, clock, frames, {RATIOS: _ratio_figure(frames[RATIOS])})


def _measure_network(network: Network, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    N, sizes, m = network.N, network.sizes, network.m
    forward_flops, gradient_flops = _flops(network)
    with counted_passes() as taken:
        network.gradient(network.parameters)
    pass_time = time_call(
        lambda: network.loss(network.parameters), minimum_seconds=settings.timing_seconds
    )
    gradient_time = time_call(
        lambda: network.gradient(network.parameters), minimum_seconds=settings.timing_seconds
    )
    forward = _run(network, FORWARD, settings.longest_run)
    central = _run(network, CENTRAL_2, settings.longest_central_run)
    row = {
        "sizes": list(sizes),
        "m": m,
        "N": N,
        "forward_difference_passes": forward[0],
        "central_difference_passes": central[0],
        "backprop_forward_passes": taken.forward,
        "backprop_backward_passes": taken.backward,
        "forward_flops": forward_flops.total,
        "backprop_flops": gradient_flops.total,
        "gemm_as_formula": forward_flops.gemm == gemm_flops_forward(sizes, m)
        and gradient_flops.gemm == gemm_flops_forward(sizes, m) + gemm_flops_backward(sizes, m),
        "passes_as_formula": forward[0] in (None, forward_difference_passes(N))
        and central[0] in (None, central_difference_passes(N)),
        "check_passes": _check_passes(network) if settings.longest_check >= N else None,
    }
    timing = {
        "forward_pass": _quartiles(pass_time),
        "backprop": _quartiles(gradient_time),
        "forward_differences": _difference_time(forward[1], N + 1, pass_time),
        "central_differences": _difference_time(central[1], 2 * N, pass_time),
    }
    return row, timing


def _measure_ratio(network: Network, settings: Settings) -> tuple[dict[str, Any], dict[str, Any]]:
    """What loss and gradient together cost, in forward passes."""
    forward_flops, gradient_flops = _flops(network)
    w = cost_ratio(network.sizes)
    turns = time_in_turns(
        lambda: network.loss(network.parameters),
        lambda: network.gradient(network.parameters),
        lambda: _entries_forward(network),
        lambda: _entries_backward(network),
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


def _entries_forward(network: Network) -> None:
    """Do entry by entry what the loss does, without its matrix products: E_f."""
    out, C = network.workspace, LOSSES["cross_entropy"]
    *hidden, last = out.layers
    for (_, b), layer in zip(_pairs(network.parameters), out.layers, strict=True):
        np.copyto(layer.z, b)
        np.add(layer.a, layer.z, out=layer.z)
    for layer in hidden:
        sigmoid(layer.z, out=layer.a, e=layer.e, scratch=layer.z)
    e, scratch = decay(last.z, out=last.e), (last.a, out.scratch)
    np.add.reduce(C.value(last.z, network.Y, e=e, out=last.delta, scratch=scratch), axis=None)


def _entries_backward(network: Network) -> None:
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


def _flops(network: Network) -> tuple[FlopCount, FlopCount]:
    """Count one loss and one gradient from inside: whatever computes them."""
    _, forward = count_flops(lambda network: network.loss(network.parameters), network)
    _, gradient = count_flops(lambda network: network.gradient(network.parameters), network)
    return forward, gradient


def _run(network: Network, stencil: Stencil, longest: int) -> tuple[int | None, float | None]:
    """Differentiate in every coordinate; return passes counted and seconds taken."""
    N = network.N
    if longest < N:
        return None, None
    loss = counted_loss(network.loss)
    start = time.perf_counter()
    lines = Lines(loss, network.parameters)
    if 0 not in stencil.offsets:
        loss.reset()  # f(x) itself does not enter
    difference_quotients(lines, STEP, stencil=stencil)
    return loss.cost.forward_passes, time.perf_counter() - start


def _check_passes(network: Network) -> int:
    """Count the forward passes of the check with error bounds, all coordinates decided."""
    loss = counted_loss(network.loss)

    def gradient(parameters: dict[str, Any]) -> dict[str, Any]:
        return {name: array.copy() for name, array in network.gradient(parameters).items()}

    check_gradient(loss, gradient, network.parameters)
    return loss.cost.forward_passes


def _difference_time(seconds: float | None, passes: int, pass_time: Timing) -> dict[str, Any]:
    if seconds is not None:
        return {"seconds": seconds, "low": None, "high": None, "extrapolated": False}
    low, median, high = (passes * t for t in (pass_time.q25, pass_time.median, pass_time.q75))
    return {"seconds": median, "low": low, "high": high, "extrapolated": True}


def _growth_of_passes(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Fit counted passes = C N^s."""

    def law(key: str) -> dict[str, Any] | None:
        points = [(row["N"], row[key]) for row in rows if row[key] is not None]
        return _law(*zip(*points, strict=True)) if points else None

    return {
        "forward_differences": law("forward_difference_passes"),
        "central_differences": law("central_difference_passes"),
        "backprop": law("backprop_forward_passes"),
    }


def _growth_of_time(rows: list[dict[str, Any]], timings: list[dict[str, Any]]) -> dict[str, Any]:
    """Fit seconds = C N^s over the upper decades of N."""
    lowest = max(row["N"] for row in rows) / 10**UPPER_DECADES
    chosen = [(row["N"], t) for row, t in zip(rows, timings, strict=True) if row["N"] >= lowest]
    N = [n for n, _ in chosen]
    return {
        "lowest": min(N),
        "forward_pass": _law(N, [t["forward_pass"]["median"] for _, t in chosen]),
        "forward_differences": _law(N, [t["forward_differences"]["seconds"] for _, t in chosen]),
        "backprop": _law(N, [t["backprop"]["median"] for _, t in chosen]),
    }


def _law(x: Any, y: Any) -> dict[str, Any] | None:
    if len(x) < 3:
        return None
    law: PowerLaw = fit_power_law(x, y)
    return {**law.to_json(), "from": min(x), "to": max(x)}


def _quartiles(timing: Timing) -> dict[str, float]:
    return {"median": timing.median, "low": timing.q25, "high": timing.q75}


def _frame(
    rows: list[dict[str, Any]], checks: list[int | None], timings: list[dict[str, Any]]
) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **row,
            "sizes": "-".join(map(str, row["sizes"])),
            "check_passes": check,
            **{f"{what}_{name}": value for what, t in timing.items() for name, value in t.items()},
        }
        for row, check, timing in zip(rows, checks, timings, strict=True)
    )


RATIOS = "cost_ratio"


def _ratio_frame(ratios: list[dict[str, Any]], timings: list[dict[str, Any]]) -> pd.DataFrame:
    rows = zip(ratios, timings, strict=True)
    frame = pd.DataFrame({**row, **timing} for row, timing in rows)
    return frame.assign(sizes=["-".join(map(str, sizes)) for sizes in frame["sizes"]])


def _ratio_figure(frame: pd.DataFrame) -> Figure:
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


def _pairs(parameters: dict[str, Any]) -> list[tuple[Any, Any]]:
    arrays = iter(parameters.values())
    return list(zip(arrays, arrays, strict=True))
