r"""C23: the chain rule in a specific order of operations is highly efficient.

Symbols: a graph of scalars, d(v, s) = ds/dv the local derivative on the edge v -> s; sources v_i,
by which is differentiated, and ends C_o. Every edge visited is one multiplication:

    forward accumulation, a sweep a source:   dv_i/dv_i = 1,   ds/dv_i = sum_v dv/dv_i d(v, s)
    reverse accumulation, a sweep an end:     dC/dC = 1,       dC/dv = sum_s d(v, s) dC/ds

Both form the same sums of the same products, in another order (Griewank and Walther 2008,
section 3.2). A forward sweep visits the edges that its source leads to, a reverse sweep those that
lead to its end: with one end and many sources reverse takes every edge once; with one source and
many ends forward does. The least number of multiplications of any order is NP-complete to find
(Naumann 2008).

In a network n-n-n-n, its N = 3 (n^2 + n) weights and biases the sources, its loss for one example
the end, a weight of layer 1, 2, 3 leads to (n + 1)^2, 2 n + 1 and 2 edges:

    forward   (n^2 + n) (n + 2)^2          (n + 2)^2 / 3 a derivative
    reverse   5 n^2 + 4 n                  less than 5/3 a derivative
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from graphlib import TopologicalSorter
from typing import Any

import pandas as pd

from gradcheck.problems.case import Case
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import REFINED, Claim, Evidence, Finding
from reference_models.counting import Tally
from reference_models.paths import Graph, derivatives, neurons, reachable

Forward = Callable[..., dict[str, Any]]
Reverse = Callable[..., dict[str, Any]]

NETWORKS = ((8, 8, 1), (5, 4, 3, 1), (2, 6, 2))
WIDTHS = (2, 3, 4, 6, 8)
FUNNEL = (1, 8, 8, 12)
"""More outputs than inputs; turned round, more inputs than outputs."""


def accumulate_forward(graph: Graph, source: str, *, tally: Tally) -> dict[str, Any]:
    """Return ds/d(source) of every node s that the source leads to."""
    part = reachable(graph, source)
    ds: dict[str, Any] = {source: 1}
    for v in reversed(list(TopologicalSorter(part).static_order())):  # before its successors
        for s, d in part[v].items():
            ds[s] = ds.get(s, 0) + tally.times(ds[v], d)
    return ds


def measure(
    settings: Settings, forward: Forward = accumulate_forward, reverse: Reverse = derivatives
) -> Evidence:
    """Differentiate the same graphs in both orders and count the multiplications."""
    wide = [(n, n, n, n) for n in WIDTHS]
    rows = [_by_weights(sizes, settings.seed, forward, reverse) for sizes in (*NETWORKS, *wide)]
    ways = [_by_inputs(sizes, settings.seed, forward, reverse) for sizes in (FUNNEL[::-1], FUNNEL)]
    return Evidence(
        (
            _equal([*rows, *ways]),
            _fewer(rows[: len(NETWORKS)]),
            _growth(rows[len(NETWORKS) :]),
            _turned_round(*ways),
        ),
        frames={"c23_order": pd.DataFrame([*rows, *ways])},
    )


# --- both orders ----------------------------------------------------------------------------------


def _by_weights(
    sizes: tuple[int, ...], seed: int, forward: Forward, reverse: Reverse
) -> dict[str, Any]:
    """Differentiate the loss by weights and biases."""
    graph = {v: edges for v, edges in _network(sizes, seed).items() if v[0] != "x"}
    sources = [v for v in graph if v[0] in "Wb"]
    return _row(sizes, "loss by weights", graph, sources, ["C"], forward, reverse)


def _by_inputs(
    sizes: tuple[int, ...], seed: int, forward: Forward, reverse: Reverse
) -> dict[str, Any]:
    """Differentiate the last layer's z by the inputs."""
    graph = {
        v: {s: d for s, d in edges.items() if s != "C"}
        for v, edges in _network(sizes, seed).items()
        if v[0] in "xz"
    }
    ends = [f"z{len(sizes) - 1}[{o}]" for o in range(sizes[-1])]
    sources = [v for v in graph if v[0] == "x"]
    return _row(sizes, "outputs by inputs", graph, sources, ends, forward, reverse)


def _network(sizes: tuple[int, ...], seed: int) -> Graph:
    """Return the graph of a random network in rational numbers."""
    problem = Case(sizes=sizes, corner="generic", seed=seed).problem()
    parameters = list(zip(problem.weights, problem.biases, strict=True))
    graph = neurons(parameters, problem.inputs[0], problem.targets[0])
    return {v: {s: Fraction(float(d)) for s, d in edges.items()} for v, edges in graph.items()} | {
        "C": {}
    }


def _row(
    sizes: tuple[int, ...],
    what: str,
    graph: Graph,
    sources: list[str],
    ends: list[str],
    forward: Forward,
    reverse: Reverse,
) -> dict[str, Any]:
    ahead, back = Tally(), Tally()
    one = {v: forward(graph, v, tally=ahead) for v in sources}
    other = {C: reverse(_leading_to(graph, C), C, tally=back) for C in ends}
    pairs = [(v, C) for v in sources for C in ends]
    return {
        "sizes": "-".join(map(str, sizes)),
        "what": what,
        "derivatives": len(pairs),
        "edges": sum(map(len, graph.values())),
        "equal": sum(one[v].get(C, 0) == other[C].get(v, 0) for v, C in pairs),
        "forward": ahead.multiplications,
        "reverse": back.multiplications,
    }


def _leading_to(graph: Graph, end: str) -> Graph:
    """Return the part of the graph that leads to an end."""
    part: Graph = {end: {}}
    for v in TopologicalSorter(graph).static_order():  # after its successors
        edges = {s: d for s, d in graph[v].items() if s in part}
        if edges:
            part[v] = edges
    return part


# --- findings -------------------------------------------------------------------------------------


def _equal(rows: list[dict[str, Any]]) -> Finding:
    equal, n = (sum(row[name] for row in rows) for name in ("equal", "derivatives"))
    return Finding(
        "in rational arithmetic both orders give the same {equal} of {n} derivatives, in "
        "{networks} random networks",
        equal == n > 0,
        {"equal": equal, "n": n, "networks": len(rows)},
    )


def _fewer(rows: list[dict[str, Any]]) -> Finding:
    """In reverse every edge is taken once, however many derivatives there are."""
    counted = ", ".join(f"{row['sizes']} {row['forward']} and {row['reverse']}" for row in rows)
    return Finding(
        "multiplications for the derivatives of the loss, forward and in reverse, where each edge "
        "takes one: {counted}",
        all(row["reverse"] == row["edges"] < row["forward"] for row in rows),
        {"counted": counted},
    )


def _growth(rows: list[dict[str, Any]]) -> Finding:
    return Finding(
        "n-n-n-n: forward a derivative takes (n + 2)^2 / 3 multiplications, in reverse less than "
        "5/3; for n = {last} it is {forward:,} against {reverse:,} in all",
        all(
            row["forward"] == (n**2 + n) * (n + 2) ** 2 and row["reverse"] == 5 * n**2 + 4 * n
            for n, row in zip(WIDTHS, rows, strict=True)
        ),
        {
            "last": WIDTHS[-1],
            "forward": rows[-1]["forward"],
            "reverse": rows[-1]["reverse"],
        },
    )


def _turned_round(one_output: dict[str, Any], one_input: dict[str, Any]) -> Finding:
    """Where outputs outnumber inputs the other order is the efficient one."""
    return Finding(
        "of {n} outputs by one input, {sizes}, reverse takes {reverse} multiplications and "
        "forward {forward}; turned round {mirrored_reverse} and {mirrored_forward}",
        one_input["forward"] < one_input["reverse"]
        and one_output["reverse"] < one_output["forward"],
        {
            "n": one_input["derivatives"],
            "sizes": one_input["sizes"],
            "reverse": one_input["reverse"],
            "forward": one_input["forward"],
            "mirrored_reverse": one_output["reverse"],
            "mirrored_forward": one_output["forward"],
        },
        contradicts=True,
    )


CLAIM = Claim(
    id="C23",
    title="Backprop: the chain rule, ordered efficiently",
    statement="Backpropagation is the chain rule in a specific order of operations that is highly "
    "efficient",
    how="forward and reverse accumulation on the same graphs in rational arithmetic, their "
    "multiplications counted; a network with more outputs than inputs, and the same turned round",
    precise="the order from the loss back takes every local derivative once, whatever the number "
    "of weights, which is why C7 and C8 are dear and C9 is cheap. That is so for one output: "
    "where outputs outnumber inputs the order from the inputs on is the efficient one",
    source="Goodfellow, Bengio and Courville 2016, section 6.5; Griewank and Walther 2008, "
    "chapter 3",
    measure=measure,
    expected=REFINED,
)
