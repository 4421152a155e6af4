"""What the gradient costs by finite differences and by backpropagation, as N grows.

Passes of differences are counted by wrapping the loss, flops by counting every numpy operation
(`gradcheck.studies.cost`), seconds by the clock. The passes of a gradient are counted from inside
(`inside`). Differences are taken one at a time (`million.plain_passes`), in batches and by layers
(`cost.ways`). Where a run to the end takes too long, its seconds are foretold from a sample
(`extrapolation`): such numbers are marked `extrapolated` and enter no fit (`cost.regimes`).
"""

from __future__ import annotations

import time
from typing import Any

import pandas as pd

from gradcheck.checks.gradient import check_gradient
from gradcheck.differences.finite_difference import difference_quotients
from gradcheck.differences.stencils import CENTRAL_2
from gradcheck.studies.cost import (
    Timing,
    central_difference_passes,
    counted_loss,
    forward_difference_passes,
    gemm_flops_backward,
    gemm_flops_forward,
    time_call,
)
from gradcheck.studies.report.cost.ratio import (
    RATIO_BATCH,
    RATIOS,
    flops,
    measure_ratio,
    ratio_figure,
    ratio_frame,
)
from gradcheck.studies.report.cost.regimes import fit_pass, growth
from gradcheck.studies.report.cost.ways import (
    Batched,
    Layered,
    by_layers,
    copies_at_once,
    flops_of_a_copy,
    in_batches,
)
from gradcheck.studies.report.extrapolation import Foretold
from gradcheck.studies.report.in_place import InPlace
from gradcheck.studies.report.inside import counted_passes
from gradcheck.studies.report.million import plain_passes
from gradcheck.studies.report.million.plain_passes import STEP, Backprop, number_learned
from gradcheck.studies.report.network import Network
from gradcheck.studies.report.progress import section_progress
from gradcheck.studies.report.section import Section
from gradcheck.studies.report.settings import Settings

Group = dict[str, Any]


def measure(settings: Settings) -> Section:
    """Measure every network of the settings, then fit how time grows with N."""
    start = time.perf_counter()
    rows, timings = [], []
    of_two_layers = [(2 * h, h, 1) for h in settings.hidden]
    networks = sorted([*of_two_layers, settings.million_network], key=number_learned)
    with section_progress("cost", len(networks) + len(settings.ratio_networks)) as advance:
        for sizes in networks:
            row, timing = _measure_network(Network(sizes, 1, settings.seed), settings)
            rows.append(row)
            timings.append(timing)
            advance(1)
        ratios, ratio_timings = [], []
        for sizes in settings.ratio_networks:
            ratio, timing = measure_ratio(Network(sizes, RATIO_BATCH, settings.seed), settings)
            ratios.append(ratio)
            ratio_timings.append(timing)
            advance(1)
    checks = [row.pop("check_passes") for row in rows]
    clock = {
        "seconds": time.perf_counter() - start,
        "networks": timings,
        "ratios": ratio_timings,
        "growth": _growth(rows, timings),
        "foretold": _foretold(rows, timings),
    }
    frames = {"cost": _frame(rows, checks, timings), RATIOS: ratio_frame(ratios, ratio_timings)}
    results = {"networks": rows, "ratios": ratios}
    figures = {RATIOS: ratio_figure(frames[RATIOS])}
    return Section(results, {"check_passes": checks}, clock, frames, figures)


def _measure_network(network: Network, settings: Settings) -> tuple[Group, Group]:
    N, sizes, m = network.N, network.sizes, network.m
    forward_flops, gradient_flops = flops(network)
    with counted_passes() as taken:
        network.gradient(network.parameters)
    pass_time = time_call(
        lambda: network.loss(network.parameters), minimum_seconds=settings.timing_seconds
    )
    gradient_time = time_call(
        lambda: network.gradient(network.parameters), minimum_seconds=settings.timing_seconds
    )
    told = plain_passes.foretold(sizes, settings)  # before the run that it foretells
    plain = _plain(sizes, settings)
    central = _central(network) if settings.longest_central_run >= N else None
    copies = copies_at_once(network)
    is_shared = copies > 1 and settings.longest_central_run >= N
    batched = in_batches(network) if is_shared else None
    layered = by_layers(network)
    gemm = gemm_flops_forward(sizes, m)
    row = {
        "sizes": list(sizes),
        "m": m,
        "N": N,
        "forward_difference_passes": plain.counted if plain else None,
        "central_difference_passes": central,
        "copies": copies,
        "batched_passes": batched.passes if batched else None,
        "batched_flops": batched.flops if batched else None,
        "layered_differences": layered.differences,
        "layered_flops": layered.flops,
        "layered_work": layered.passes,
        "backprop_forward_passes": taken.forward,
        "backprop_backward_passes": taken.backward,
        "forward_flops": forward_flops.total,
        "backprop_flops": gradient_flops.total,
        "gemm_as_formula": forward_flops.gemm == flops_of_a_copy(network).gemm == gemm
        and gradient_flops.gemm == gemm + gemm_flops_backward(sizes, m),
        "passes_as_formula": _as_formulas(N, plain, central, batched, layered),
        "agree": _agree(sizes, settings.seed, plain, batched) and layered.deviation <= 1,
        "check_passes": _check_passes(network) if settings.longest_check >= N else None,
    }
    timing = {
        "forward_pass": _quartiles(pass_time),
        "backprop": _quartiles(gradient_time),
        "forward_differences": _taken_or_foretold(plain, told),
        "in_batches": {"seconds": batched.seconds if batched else None},
        "by_layers": {"seconds": layered.seconds},
        "foretold": {
            **told.to_json(),
            "alone": plain_passes.alone(sizes, settings).to_json(),
        },
    }
    return row, timing


def _as_formulas(
    N: int,
    plain: plain_passes.Passes | None,
    central: int | None,
    batched: Batched | None,
    layered: Layered,
) -> bool:
    """Whether all passes that were taken are N + 1, or 2N."""
    return (
        (plain is None or plain.counted == forward_difference_passes(N))
        and central in (None, central_difference_passes(N))
        and (batched is None or batched.passes == forward_difference_passes(N))
        and layered.differences == central_difference_passes(N)
    )


def _taken_or_foretold(plain: plain_passes.Passes | None, told: Foretold) -> Group:
    """Return the seconds of a run to the end, or those that are foretold of it."""
    if plain is None:
        return {**told.to_json(), "extrapolated": True}
    return {"seconds": plain.taken, "low": None, "high": None, "extrapolated": False}


def _plain(sizes: tuple[int, ...], settings: Settings) -> plain_passes.Passes | None:
    """Return all forward differences, one at a time, where they are run to the end."""
    is_run = number_learned(sizes) <= settings.longest_run
    if not is_run and not (settings.run_the_million and sizes == settings.million_network):
        return None
    return plain_passes.every_weight(sizes, settings.seed, difference_quotients)


def _agree(
    sizes: tuple[int, ...],
    seed: int,
    plain: plain_passes.Passes | None,
    batched: Batched | None,
) -> bool:
    """Whether backprop is within the bounds of whatever forward differences were taken."""
    if plain is None and batched is None:
        return True
    backprop = Backprop(sizes, seed)
    return (plain is None or backprop.worst(plain) <= 1) and (
        batched is None or backprop.worst_of(slice(None), batched.D) <= 1
    )


def _central(network: Network) -> int:
    """Take all central differences; return the passes counted."""
    loss = counted_loss(network.loss)
    lines = InPlace(loss, network.parameters)
    loss.reset()  # f(x) itself does not enter
    difference_quotients(lines, STEP, stencil=CENTRAL_2)
    return loss.cost.forward_passes


def _check_passes(network: Network) -> int:
    """Count the forward passes of the check with error bounds, all coordinates decided."""
    loss = counted_loss(network.loss)

    def gradient(parameters: dict[str, Any]) -> dict[str, Any]:
        return {name: array.copy() for name, array in network.gradient(parameters).items()}

    check_gradient(loss, gradient, network.parameters)
    return loss.cost.forward_passes


def _growth(rows: list[Group], timings: list[Group]) -> Group:
    """Fit one pass, and all differences one at a time, to what was measured."""
    pairs = list(zip(rows, timings, strict=True))
    one = fit_pass([(row["N"], t["forward_pass"]["median"]) for row, t in pairs])
    plain = [(row["N"], t["forward_differences"]) for row, t in pairs]
    return growth(one, [(N, t["seconds"]) for N, t in plain if not t["extrapolated"]])


def _foretold(rows: list[Group], timings: list[Group]) -> Group | None:
    """Set the largest run to the end beside what was foretold of it."""
    told = [t.pop("foretold") for t in timings]
    run = [i for i, t in enumerate(timings) if not t["forward_differences"]["extrapolated"]]
    if not run:
        return None
    last = run[-1]
    taken = timings[last]["forward_differences"]["seconds"]
    return {"N": rows[last]["N"], "taken": taken, **told[last]}


def _quartiles(timing: Timing) -> dict[str, float]:
    return {"median": timing.median, "low": timing.q25, "high": timing.q75}


def _frame(rows: list[Group], checks: list[int | None], timings: list[Group]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            **row,
            "sizes": "-".join(map(str, row["sizes"])),
            "check_passes": check,
            **{f"{what}_{name}": value for what, t in timing.items() for name, value in t.items()},
        }
        for row, check, timing in zip(rows, checks, timings, strict=True)
    )
