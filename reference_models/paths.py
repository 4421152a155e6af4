"""Every path from a weight to the loss, and the recursion that remembers.

Symbols: a graph of scalars, C its end, d(v, s) the local derivative of s by v on the edge v -> s.

    dC/dv = sum over all paths v -> ... -> C of the product of d along the path         (paths)
    dC/dC = 1,   dC/dv = sum over the edges v -> s of d(v, s) dC/ds,                    (recursion)
            each dC/ds computed once and remembered

(Bauer 1974; Griewank and Walther 2008, chapter 3; Nielsen 2015, chapter 2, "the big picture".)
Both are the chain rule. The number of paths grows as width^depth, the number of edges as
width^2 depth.

The scalars may be of any kind with + and *: with `fractions.Fraction` both sides are exact.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from graphlib import TopologicalSorter
from itertools import count, pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reference_models.activations import sigmoid, sigmoid_prime
from reference_models.circuit import Circuit
from reference_models.counting import Tally
from reference_models.edges import Parameters, network_sizes
from reference_models.losses import divisor, loss_named
from reference_models.node import VARIABLE, Node
from reference_models.products import matmul

Array = npt.NDArray[Any]
Gradient = list[tuple[Array, Array]]
Graph = dict[str, dict[str, Any]]  # graph[v][s] = ds/dv, the local derivative on the edge v -> s


class Path(NamedTuple):
    """The nodes of a path in order, and the local derivatives between them."""

    nodes: tuple[str, ...]
    factors: tuple[Any, ...]

    def __str__(self) -> str:
        factors = " * ".join(f"{float(factor):.6g}" for factor in self.factors)
        return f"{' -> '.join(self.nodes)}: {factors}"

    def product(self, tally: Tally | None = None) -> Any:
        """Return the product of the factors: one multiplication less than there are factors."""
        tally = tally or Tally()
        product = self.factors[0]
        for factor in self.factors[1:]:
            product = tally.times(product, factor)
        return product


class Multiplications(NamedTuple):
    """What one derivative costs along all its paths and with memory, and what all cost with it.

    Attributes:
        paths: number of paths from the weight to the loss.
        by_paths: multiplications that form all their products.
        remembered: multiplications of the recursion for the same weight.
        remembered_all: multiplications of the recursion for every weight, bias and neuron.
    """

    paths: int
    by_paths: int
    remembered: int
    remembered_all: int


def paths(graph: Graph, start: str, end: str = "C") -> Iterator[Path]:
    """Return every path from `start` to `end`, one after the other.

    Raises:
        ValueError: `start` is `end` or is not in the graph, or the graph has a cycle.

    >>> diamond = {"w": {"p": 2, "q": 3}, "p": {"C": 5}, "q": {"C": 7}}
    >>> for path in paths(diamond, "w"):
    ...     print(path)
    w -> p -> C: 2 * 5
    w -> q -> C: 3 * 7
    """
    if start not in graph or start == end:
        raise ValueError(f"start={start!r} must be a node of the graph other than end={end!r}")
    TopologicalSorter(graph).prepare()
    return _walk(graph, start, end)


def _walk(graph: Graph, start: str, end: str) -> Iterator[Path]:
    waiting = [Path((start,), ())]
    while waiting:
        nodes, factors = path = waiting.pop()
        if nodes[-1] == end:
            yield path
            continue
        for successor, d in reversed(graph.get(nodes[-1], {}).items()):
            waiting.append(Path((*nodes, successor), (*factors, d)))


def sum_over_paths(graph: Graph, start: str, end: str = "C", *, tally: Tally | None = None) -> Any:
    """Return dC/d(start) as the sum over all paths of the products along them; 0 without a path.

    Each product is formed from the beginning, nothing is remembered. `tally` counts.

    >>> diamond = {"w": {"p": 2, "q": 3}, "p": {"C": 5}, "q": {"C": 7}}
    >>> sum_over_paths(diamond, "w")
    31
    """
    return sum(path.product(tally) for path in paths(graph, start, end))


def derivatives(graph: Graph, end: str = "C", *, tally: Tally | None = None) -> dict[str, Any]:
    """Return dC/dv for every node v of the graph by the recursion, one multiplication an edge.

    >>> diamond = {"w": {"p": 2, "q": 3}, "p": {"C": 5}, "q": {"C": 7}}
    >>> derivatives(diamond)
    {'C': 1, 'p': 5, 'q': 7, 'w': 31}
    """
    tally = tally or Tally()
    dC: dict[str, Any] = {end: 1}
    for v in TopologicalSorter(graph).static_order():  # successors first
        if v != end:
            dC[v] = sum(tally.times(d, dC[s]) for s, d in graph.get(v, {}).items())
    return dC


def reachable(graph: Graph, start: str) -> Graph:
    """Return the part of the graph that `start` leads to."""
    found: Graph = {}
    waiting = [start]
    while waiting:
        v = waiting.pop()
        if v not in found:
            found[v] = graph.get(v, {})
            waiting += found[v]
    return found


def local_derivatives(circuit: Circuit, values: Mapping[str, Any]) -> Graph:
    """Return the graph of a circuit of scalars: its gates' local derivatives at these values.

    Variables keep their names, gates are v1, v2, ... in order, and the output is C. An input that
    enters a gate twice, as in x * x, has the sum of both derivatives on its one edge.

    Raises:
        ValueError: a node that is no scalar, several outputs, or a variable named like a gate.

    >>> from reference_models.circuit import variable
    >>> x, y, z = variable("x"), variable("y"), variable("z")
    >>> graph = local_derivatives(Circuit((x + y) * z), {"x": -2.0, "y": 5.0, "z": -4.0})
    >>> for path in paths(graph, "x"):
    ...     print(path)
    x -> v1 -> C: 1 * -4
    """
    if any(node.shape != () for node in circuit.nodes) or len(circuit.outputs) != 1:
        raise ValueError("the circuit must be of scalars and have one output")
    found = circuit.forward(values)
    numbers = count(1)
    names = {circuit.outputs[0]: "C"}
    graph: Graph = {}
    for node in circuit.nodes:
        if node not in names:
            is_variable = node.gate is VARIABLE
            names[node] = str(node.parameters[0]) if is_variable else f"v{next(numbers)}"
        graph[names[node]] = {}
        _add_edges(graph, names, node, found)
    if len(graph) != len(circuit.nodes):
        raise ValueError(f"{', '.join(circuit.variables)}: no variable may be named like a gate")
    return graph


def _add_edges(
    graph: Graph, names: Mapping[Node, str], node: Node, found: Mapping[Node, Any]
) -> None:
    """Add the edges that enter a gate: its rules with 1 for the gradient that reaches it."""
    one = np.ones_like(found[node])
    for x, rule in zip(node.inputs, node.gate.rules, strict=True):
        d = rule(one, found[node], *(found[i] for i in node.inputs), *node.parameters)
        edges = graph[names[x]]
        edges[names[node]] = edges.get(names[node], 0) + d


def neurons(parameters: Parameters, x: Array, y: Array, *, cost: str = "cross_entropy") -> Graph:
    """Return the graph of a sigmoid network for one example, a node for every neuron and weight.

    Names count from 0: x[k] inputs, W1[j,k] weights, b1[j] biases, z1[j] neurons (by their
    pre-activations), C the loss. The local derivatives, with a_0 = x and a_l = sigma(z_l):

        W_l[j,k]   -> z_l[j]        a_{l-1}[k]
        b_l[j]     -> z_l[j]        1
        x[k]       -> z_1[j]        W_1[j,k]
        z_l[k]     -> z_{l+1}[j]    W_{l+1}[j,k] sigma'(z_l[k])
        z_L[j]     -> C             residual(z_L[j], y[j])

    Args:
        parameters: (W_l, b_l) per layer, of shapes (n_l, n_{l-1}) and (n_l,).
        x: one input, (n_0,).
        y: its target, (n_L,).
        cost: a name in `losses.LOSSES`.

    Raises:
        ValueError: a wrong shape, mixed dtypes, or an unknown name.
        TypeError: something that is not an array.
    """
    network_sizes(parameters, x[None], y[None])
    graph: Graph = {}
    below = [f"x[{k}]" for k in range(len(x))]
    a, slope = x, np.ones_like(x)
    for l, (W, b) in enumerate(parameters, start=1):  # noqa: E741  (the layer's symbol)
        z = matmul(W, a) + b
        names = [f"z{l}[{j}]" for j in range(len(z))]
        for k, lower in enumerate(below):
            graph[lower] = {name: W[j, k] * slope[k] for j, name in enumerate(names)}
        for j, name in enumerate(names):
            graph[f"b{l}[{j}]"] = {name: b.dtype.type(1)}
            graph |= {f"W{l}[{j},{k}]": {name: a_k} for k, a_k in enumerate(a)}
        below, a, slope = names, sigmoid(z), sigmoid_prime(z)
    residual = loss_named(cost).residual(z, y)
    return graph | {name: {"C": d} for name, d in zip(below, residual, strict=True)}


def gradient_by_paths(
    parameters: Parameters,
    X: Array,
    Y: Array,
    *,
    cost: str = "cross_entropy",
    reduction: str = "mean",
) -> Gradient:
    """Return [(dC/dW_l, dC/db_l), ...], every entry by itself as the sum over its paths.

    The arguments are those of `sigmoid_network.value_and_grad`. For small networks only.
    """
    network_sizes(parameters, X, Y)
    gradient = [(np.zeros_like(W), np.zeros_like(b)) for W, b in parameters]
    m = divisor(reduction, len(X))
    for x, y in zip(X, Y, strict=True):
        graph = neurons(parameters, x, y, cost=cost)
        for l, (dW, db) in enumerate(gradient, start=1):  # noqa: E741  (the layer's symbol)
            for j, k in np.ndindex(dW.shape):
                dW[j, k] += sum_over_paths(graph, f"W{l}[{j},{k}]")
            for j in range(len(db)):
                db[j] += sum_over_paths(graph, f"b{l}[{j}]")
    return [(dW / m, db / m) for dW, db in gradient]


def count_multiplications(depth: int, width: int, *, seed: int = 0) -> Multiplications:
    """Differentiate a random network by one weight in both ways and count the multiplications.

    The network has one input, `depth` hidden layers of `width` neurons and one output; the weight
    is W1[0,0]. The local derivatives themselves are the same for both and are not counted.

    Raises:
        ValueError: a depth or width below 1.

    >>> count_multiplications(3, 2)
    Multiplications(paths=4, by_paths=16, remembered=10, remembered_all=32)
    """
    if depth < 1 or width < 1:
        raise ValueError(f"depth={depth} and width={width} must be at least 1")
    generator = np.random.default_rng(seed)
    sizes = [1, *[width] * depth, 1]
    parameters = [
        (generator.standard_normal((n, n_in)), generator.standard_normal(n))
        for n_in, n in pairwise(sizes)
    ]
    graph = neurons(parameters, generator.standard_normal(1), np.ones(1))
    by_paths, remembered, remembered_all = Tally(), Tally(), Tally()
    number = sum(1 for path in paths(graph, "W1[0,0]") if path.product(by_paths) is not None)
    derivatives(reachable(graph, "W1[0,0]"), tally=remembered)
    derivatives(graph, tally=remembered_all)
    return Multiplications(
        number,
        by_paths.multiplications,
        remembered.multiplications,
        remembered_all.multiplications,
    )
