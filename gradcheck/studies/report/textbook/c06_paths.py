"""C6: a weight acts on the loss along every path to it, and the contributions add.

Symbols as in `reference_models.paths`: d(v, s) the local derivative on the edge v -> s,

    dC/dv = sum over all paths from v to C of the product of d along the path       (by paths)
    dC/dv = sum over the edges v -> s of d(v, s) dC/ds, each dC/ds remembered        (recursion)

In a network of one input, D hidden layers of n neurons and one output the first weight has
n^(D-1) paths of D + 2 edges. Multiplications for its derivative:

    by paths    (D + 1) n^(D-1)
    recursion   2 + 2 n + n^2 (D - 2)      one an edge, D >= 2

For D fixed both are powers of n, the recursion only towards large n: its logarithm bends by at most
log(1 + 1/n + 1/n^2) between the smallest n and infinity (D = 4).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gradcheck.problem import Problem
from gradcheck.problems.case import Case
from gradcheck.studies.report.figures import BLUE, GREEN, GREY, ORANGE, PURPLE, STYLE, WIDTH
from gradcheck.studies.report.fits import PowerLaw, fit_power_law
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.witness import rounding_bounds, worst_ratio
from reference_models import sigmoid_network
from reference_models.paths import (
    Graph,
    Multiplications,
    count_multiplications,
    derivatives,
    neurons,
    sum_over_paths,
)

NETWORKS = ((3, 2, 3, 2), (2, 3, 3, 1), (4, 2, 2, 2, 1))
LOSSES = ("cross_entropy", "quadratic")
DEPTHS = {2: range(2, 13), 3: range(2, 9), 4: range(2, 8)}
DEPTH, WIDTHS = 4, (4, 5, 6, 8, 10, 12, 14)
BEND = float(np.log(1 + 1 / WIDTHS[0] + 1 / WIDTHS[0] ** 2) / np.log(WIDTHS[-1] / WIDTHS[0]))

ByPaths = Callable[[Graph, str], Any]
Recursion = Callable[[Graph], dict[str, Any]]
Count = Callable[[int, int], Multiplications]


def measure(
    settings: Settings,
    by_paths: ByPaths = sum_over_paths,
    recursion: Recursion = derivatives,
    count: Count = count_multiplications,
) -> Evidence:
    """Compare sums over paths with backprop, and count what both cost."""
    table = _table(count)
    by_depth, by_width = table[table["series"] == "depth"], table[table["series"] == "width"]
    return Evidence(
        (
            _equal_in_rationals(settings, by_paths, recursion),
            _equal_to_the_bit(settings, by_paths),
            _equal_within_rounding(settings, by_paths),
            *(_depth(by_depth[by_depth["width"] == n], n) for n in DEPTHS),
            _width(by_width),
            _single_neurons(count),
            _times(settings, by_paths, recursion),
        ),
        frames={"c6_paths": table},
        figures={"c6_paths": draw(table)},
    )


# --- equality -------------------------------------------------------------------------------------


def _equal_in_rationals(settings: Settings, by_paths: ByPaths, recursion: Recursion) -> Finding:
    equal, starts, paths = 0, 0, 0
    for problem in _problems(settings, "generic"):
        graph = {
            v: {s: Fraction(float(d)) for s, d in edges.items()}
            for v, edges in _graph(problem).items()
        }
        remembered = recursion(graph)
        number = derivatives({v: dict.fromkeys(edges, 1) for v, edges in graph.items()})
        for v in _starts(graph):
            equal += by_paths(graph, v) == remembered[v]
            starts += 1
            paths += number[v]
    return Finding(
        "in rational arithmetic the sum over the paths equals the recursion exactly for {equal} of "
        "{starts} weights, biases and inputs of {networks} random networks, {paths} paths",
        equal == starts > 0,
        {
            "equal": equal,
            "starts": starts,
            "networks": len(NETWORKS) * len(LOSSES),
            "paths": int(paths),
        },
    )


def _equal_to_the_bit(settings: Settings, by_paths: ByPaths) -> Finding:
    """All z = 0: every number is dyadic, so both must give the same bits."""
    compared = [
        (float(by_paths(graph, v)), g)
        for problem in _problems(settings, "zero_preactivations")
        for graph in [_graph(problem)]
        for v, g in _backprop(problem).items()
    ]
    equal = sum(one == other for one, other in compared)
    return Finding(
        "where every number is dyadic it has the bits of vectorised backprop in {equal} of {n} "
        "derivatives, {zeros} of them zero",
        equal == len(compared) > 0,
        {
            "equal": equal,
            "n": len(compared),
            "zeros": sum(g == 0 for _, g in compared),
        },
    )


def _equal_within_rounding(settings: Settings, by_paths: ByPaths) -> Finding:
    pairs = []
    for problem in _problems(settings, "generic"):
        graph = _graph(problem)
        bounds = rounding_bounds(graph, _parameters(problem), problem.inputs[0])
        pairs += [
            (float(by_paths(graph, v)) - g, 2 * bounds[v]) for v, g in _backprop(problem).items()
        ]
    worst = worst_ratio(pairs)
    return Finding(
        "elsewhere the two differ by at most {worst} of what rounding can do in {n} derivatives",
        worst <= 1,
        {"n": len(pairs)},
        {"worst": worst},
    )


def _problems(settings: Settings, corner: str) -> list[Problem]:
    """One example each, targets 0 and 1."""
    return [
        Case(sizes=sizes, loss=loss, corner=corner, seed=settings.seed + i).problem()
        for i, sizes in enumerate(NETWORKS)
        for loss in LOSSES
    ]


def _parameters(problem: Problem) -> list[tuple[Any, Any]]:
    return list(zip(problem.weights, problem.biases, strict=True))


def _graph(problem: Problem) -> Graph:
    example = (problem.inputs[0], problem.targets[0])
    return neurons(_parameters(problem), *example, cost=problem.architecture.loss)


def _starts(graph: Graph) -> list[str]:
    return [v for v in graph if v[0] in "Wbx"]


def _backprop(problem: Problem) -> dict[str, float]:
    """Return the gradient of `sigmoid_network` by the names of the graph's nodes."""
    _, blocks = sigmoid_network.value_and_grad(
        _parameters(problem), problem.inputs, problem.targets, cost=problem.architecture.loss
    )
    named: dict[str, float] = {}
    for l, (dW, db) in enumerate(blocks, start=1):  # noqa: E741  (the layer's symbol)
        named |= {f"W{l}[{j},{k}]": float(dW[j, k]) for j, k in np.ndindex(dW.shape)}
        named |= {f"b{l}[{j}]": float(d) for j, d in enumerate(db)}
    return named


# --- counts ---------------------------------------------------------------------------------------


def _table(count: Count) -> pd.DataFrame:
    cells = [("depth", depth, n) for n, depths in DEPTHS.items() for depth in depths]
    cells += [("width", DEPTH, n) for n in WIDTHS]
    rows = [
        {"series": series, "depth": depth, "width": n, **count(depth, n)._asdict()}
        for series, depth, n in cells
    ]
    return pd.DataFrame(rows)


def _depth(rows: pd.DataFrame, n: int) -> Finding:
    """Exponential: log(count) is a straight line in D. Linear: so is the count itself.

    What D + 1 adds to the exponential's slope is at most its own largest step, log(4/3).
    """
    depth = rows["depth"].to_numpy()
    paths = fit_power_law(np.exp(depth), rows["paths"])
    by_paths = fit_power_law(np.exp(depth), rows["by_paths"])
    slope, error = _straight_line(depth, rows["remembered"])
    bend = float(np.log((depth[0] + 2) / (depth[0] + 1)))
    holds = (
        _is_base(paths, n)
        and np.log(n) <= by_paths.exponent <= np.log(n) + bend + 3 * by_paths.standard_error
        and rows["by_paths"].tolist() == [(D + 1) * n ** (D - 1) for D in depth.tolist()]
        and bool(np.all(np.diff(rows["remembered"]) == n**2))
    )
    return Finding(
        "{n} neurons a layer, {first} to {last} hidden layers: with each the paths grow "
        "{base:g} ± {base_error:.0g} times and the multiplications along them {growth:.2f} ± "
        "{growth_error:.2f} times, to {most}; those of the recursion grow by {slope:g} ± "
        "{slope_error:.0g}, to {least}",
        holds,
        {
            "n": n,
            "first": int(depth[0]),
            "last": int(depth[-1]),
            "most": int(rows["by_paths"].iloc[-1]),
            "least": int(rows["remembered"].iloc[-1]),
            "base": round(float(np.exp(paths.exponent)), 9),
            "base_error": _cleared(np.exp(paths.exponent) * paths.standard_error),
            "growth": round(float(np.exp(by_paths.exponent)), 9),
            "growth_error": _cleared(np.exp(by_paths.exponent) * by_paths.standard_error),
            "slope": round(slope, 9),
            "slope_error": _cleared(error),
        },
    )


def _width(rows: pd.DataFrame) -> Finding:
    by_paths = fit_power_law(rows["width"], rows["by_paths"])
    recursion = fit_power_law(rows["width"], rows["remembered"])
    return Finding(
        "with {D} hidden layers and {first} to {last} neurons each, the multiplications along the "
        "paths grow as width^({exponent:g} ± {error:.0g}), those of the recursion as "
        "width^({exponent_2:.2f} ± {error_2:.2f} ± {bend:.2f})",
        by_paths.identifies(DEPTH - 1) and recursion.identifies(2, BEND),
        {
            "D": DEPTH,
            "first": WIDTHS[0],
            "last": WIDTHS[-1],
            "exponent": round(by_paths.exponent, 9),
            "error": _cleared(by_paths.standard_error),
            "exponent_2": round(recursion.exponent, 9),
            "error_2": _cleared(recursion.standard_error),
            "bend": round(BEND, 9),
        },
    )


def _single_neurons(count: Count) -> Finding:
    depths = range(2, 9)
    counts = [count(D, 1) for D in depths]
    return Finding(
        "with one neuron a layer, {first} to {last} layers, {paths} path and {by_paths} to "
        "{by_paths_last} multiplications along it, {recursion} to {recursion_last} by recursion",
        all(c.paths == 1 for c in counts)
        and bool(np.all(np.diff([c.by_paths for c in counts]) == 1))
        and bool(np.all(np.diff([c.remembered for c in counts]) == 1)),
        {
            "first": depths[0],
            "last": depths[-1],
            "paths": max(c.paths for c in counts),
            "by_paths": counts[0].by_paths,
            "by_paths_last": counts[-1].by_paths,
            "recursion": counts[0].remembered,
            "recursion_last": counts[-1].remembered,
        },
        contradicts=True,
    )


def _times(settings: Settings, by_paths: ByPaths, recursion: Recursion) -> Finding:
    """Time one derivative both ways; what is judged is that they agree."""
    sizes = (1, *[4] * 6, 1)
    problem = Case(sizes=sizes, seed=settings.seed).problem()
    graph = _graph(problem)
    bound = rounding_bounds(graph, _parameters(problem), problem.inputs[0])["W1[0,0]"]
    start = time.perf_counter()
    one = float(by_paths(graph, "W1[0,0]"))
    middle = time.perf_counter()
    every = recursion(graph)
    end = time.perf_counter()
    return Finding(
        "in a network {sizes} one derivative by paths took {by_paths:seconds}, all {n} by "
        "recursion {recursion:seconds}; they agree within rounding",
        abs(one - float(every["W1[0,0]"])) <= 2 * bound,
        {"sizes": "-".join(map(str, sizes)), "n": len(_starts(graph))},
        timings={"by_paths": middle - start, "recursion": end - middle},
    )


def _is_base(law: PowerLaw, n: int) -> bool:
    """Whether the growth a layer, exp(slope), is nearest to this whole number with its error."""
    base = float(np.exp(law.exponent))
    return abs(base - n) + 3 * base * law.standard_error < 0.5


def _straight_line(x: Any, y: Any) -> tuple[float, float]:
    """Return the slope of a straight line by least squares, and its standard error."""
    dx, dy = x - np.mean(x), np.asarray(y, float) - np.mean(y)
    slope = float(dx @ dy / (dx @ dx))
    residual = dy - slope * dx
    return slope, _cleared(np.sqrt(residual @ residual / (len(x) - 2) / (dx @ dx)))


def _cleared(error: Any) -> float:
    """An error below 1e-9 is that of the fit's own arithmetic: the points lie on the law."""
    return round(float(error), 9) if error >= 1e-9 else 0.0


# --- figure ---------------------------------------------------------------------------------------


def draw(table: pd.DataFrame) -> Figure:
    """Multiplications against depth and against width."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2, sharey=True)
        _against_depth(left, table[table["series"] == "depth"])
        _against_width(right, table[table["series"] == "width"])
        left.set_ylabel("multiplications for one derivative")
    return figure


def _against_depth(axes: Axes, rows: pd.DataFrame) -> None:
    for n, colour in zip(DEPTHS, (BLUE, GREEN, PURPLE), strict=True):
        of = rows[rows["width"] == n]
        axes.semilogy(of["depth"], of["by_paths"], "o", ls="-", ms=4, color=colour)
        axes.semilogy(of["depth"], of["remembered"], "s", ls="--", ms=3.5, color=colour)
        last = of.iloc[-1]
        axes.annotate(
            f"{n} a layer",
            (last["depth"], last["by_paths"]),
            xytext=(6, 0),
            textcoords="offset points",
            color=colour,
            fontsize=9,
            va="center",
        )
    axes.set_xlim(1.5, 15.5)
    axes.set_xlabel("hidden layers")
    axes.set_title("Exponential and linear in depth")


def _against_width(axes: Axes, rows: pd.DataFrame) -> None:
    axes.loglog(rows["width"], rows["by_paths"], "o", ls="-", ms=4, color=ORANGE)
    axes.loglog(rows["width"], rows["remembered"], "s", ls="--", ms=3.5, color=ORANGE)
    axes.plot([], [], "o", ls="-", ms=4, color=GREY, label="path by path")
    axes.plot([], [], "s", ls="--", ms=3.5, color=GREY, label="remembered")
    axes.legend(loc="upper left", frameon=False)
    axes.set_xticks(WIDTHS, [str(n) for n in WIDTHS])
    axes.minorticks_off()
    axes.set_xlabel("neurons a layer")
    axes.set_title(f"{DEPTH} hidden layers: cubic and square")


CLAIM = Claim(
    id="C6",
    title="All paths add; memory saves work",
    statement="A weight acts on the loss along every path to it, and the contributions add; "
    "remembering intermediate values speeds this up",
    how="sums over every path against the recursion in rational arithmetic, and against vectorised "
    "backprop; multiplications counted with and without memory over depth and width",
    precise="one derivative takes (D + 1) n^(D-1) multiplications path by path and about n^2 D "
    "with memory, for D hidden layers of n neurons: exponential against linear in depth as soon as "
    "n >= 2; with n = 1 there is one path, and memory saves a single derivative nothing",
    source="Nielsen 2015, chapter 2; Griewank and Walther 2008, chapter 3",
    measure=measure,
    look="figures/c6_paths.svg",
    expected=REFINED,
)
