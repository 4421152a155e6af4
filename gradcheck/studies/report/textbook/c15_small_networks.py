"""C15: two neurons in a chain, and three inputs with two hidden neurons and one output.

Written out for one example, as on paper (a_0 = x, delta_L = dC/dz_L):

    1-1-1    dC/dw_2 = a_1 delta_2            dC/dw_1 = x sigma'(z_1) w_2 delta_2
             dC/db_2 = delta_2                dC/db_1 = 1 sigma'(z_1) w_2 delta_2

    3-2-1    dC/dW_2[0,j] = a_1[j] delta_2    dC/dW_1[j,k] = x[k] sigma'(z_1[j]) W_2[0,j] delta_2
             dC/db_2      = delta_2           dC/db_1[j]   = 1 sigma'(z_1[j]) W_2[0,j] delta_2

and vectorised, W_1 of 2 x 3 and W_2 of 1 x 2,

    dC/dW_2 = delta_2^T a_1        dC/dW_1 = ((delta_2 W_2) * sigma'(z_1))^T x.

Both are compared to the bit at points where every number is dyadic (all z = 0), and elsewhere
within twice the bound on rounding of `witness`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.problem import Problem
from gradcheck.problems.case import Case
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
from gradcheck.studies.report.textbook.witness import rounding_bounds, worst_ratio
from reference_models import sigmoid_network
from reference_models.activations import sigmoid, sigmoid_prime
from reference_models.losses import LOSSES
from reference_models.paths import neurons, paths

Array = npt.NDArray[Any]
Factors = dict[str, tuple[float, ...]]
Vectorised = Callable[..., Any]

CHAIN, NETWORK = (1, 1, 1), (3, 2, 1)
COSTS = ("cross_entropy", "quadratic")
PROBLEMS = 20
WIDER = ((4, 1), (2, 5, 3), (3, 2, 4, 1), (5, 4, 3, 2))


def chain(w_1: Any, b_1: Any, w_2: Any, b_2: Any, x: Any, y: Any, cost: str) -> Factors:
    """Return the factors of every derivative of two neurons in a chain."""
    z_1 = w_1 * x + b_1
    a_1 = sigmoid(z_1)
    delta_2 = LOSSES[cost].residual(w_2 * a_1 + b_2, y)
    return {
        "W1[0,0]": (x, sigmoid_prime(z_1), w_2, delta_2),
        "b1[0]": (1.0, sigmoid_prime(z_1), w_2, delta_2),
        "W2[0,0]": (a_1, delta_2),
        "b2[0]": (1.0, delta_2),
    }


def two_hidden(
    W_1: Array, b_1: Array, W_2: Array, b_2: Array, x: Array, y: Any, cost: str
) -> Factors:
    """Return the factors of every derivative of the network 3-2-1."""
    z_1 = [sum(W_1[j, k] * x[k] for k in range(3)) + b_1[j] for j in range(2)]
    a_1 = [sigmoid(z) for z in z_1]
    delta_2 = LOSSES[cost].residual(W_2[0, 0] * a_1[0] + W_2[0, 1] * a_1[1] + b_2[0], y)
    factors: Factors = {"b2[0]": (1.0, delta_2)}
    for j in range(2):
        below = (sigmoid_prime(z_1[j]), W_2[0, j], delta_2)
        factors |= {f"W1[{j},{k}]": (x[k], *below) for k in range(3)}
        factors |= {f"b1[{j}]": (1.0, *below), f"W2[0,{j}]": (a_1[j], delta_2)}
    return factors


def measure(
    settings: Settings,
    vectorised: Vectorised = sigmoid_network.value_and_grad,
    written_out: tuple[Callable[..., Factors], Callable[..., Factors]] = (chain, two_hidden),
) -> Evidence:
    """Multiply what is written out and compare it with the vectorised form."""
    in_chain, in_network = written_out
    return Evidence(
        (
            _to_the_bit("two neurons in a chain", CHAIN, in_chain, settings, vectorised),
            _within_rounding("two neurons in a chain", CHAIN, in_chain, settings, vectorised),
            _to_the_bit("3-2-1", NETWORK, in_network, settings, vectorised),
            _within_rounding("3-2-1", NETWORK, in_network, settings, vectorised),
            _one_path_each(in_network, settings),
            _shapes(settings, vectorised),
        )
    )


# --- both forms -----------------------------------------------------------------------------------


def _problem(sizes: tuple[int, ...], cost: str, corner: str, seed: int) -> Problem:
    return Case(sizes=sizes, loss=cost, corner=corner, seed=seed).problem()


def _problems(sizes: tuple[int, ...], corner: str, first: int) -> Iterator[Problem]:
    """Yield PROBLEMS problems of either loss, from the first seed on."""
    for seed in range(first, first + PROBLEMS):
        for cost in COSTS:
            yield _problem(sizes, cost, corner, seed)


def _parameters(problem: Problem) -> list[tuple[Array, Array]]:
    return list(zip(problem.weights, problem.biases, strict=True))


def _factors(problem: Problem, written_out: Callable[..., Factors]) -> Factors:
    (W_1, b_1), (W_2, b_2) = _parameters(problem)
    x, y, cost = problem.inputs[0], problem.targets[0, 0], problem.architecture.loss
    if problem.architecture.sizes == CHAIN:
        return written_out(W_1[0, 0], b_1[0], W_2[0, 0], b_2[0], x[0], y, cost)
    return written_out(W_1, b_1, W_2, b_2, x, y, cost)


def _entries(problem: Problem, vectorised: Vectorised) -> dict[str, float]:
    """Return the vectorised gradient by the names of its entries."""
    _, blocks = vectorised(
        _parameters(problem), problem.inputs, problem.targets, cost=problem.architecture.loss
    )
    entries: dict[str, float] = {}
    for l, (dW, db) in enumerate(blocks, start=1):  # noqa: E741  (the layer's symbol)
        entries |= {f"W{l}[{j},{k}]": float(dW[j, k]) for j, k in np.ndindex(dW.shape)}
        entries |= {f"b{l}[{j}]": float(db[j]) for j in range(len(db))}
    return entries


def _to_the_bit(
    name: str,
    sizes: tuple[int, ...],
    written_out: Callable[..., Factors],
    settings: Settings,
    vectorised: Vectorised,
) -> Finding:
    equal, n, zeros = 0, 0, 0
    for problem in _problems(sizes, "zero_preactivations", settings.seed):
        factors, entries = _factors(problem, written_out), _entries(problem, vectorised)
        for entry in factors.keys() | entries.keys():
            product = float(np.prod(factors.get(entry, (np.nan,))))
            equal += product == entries.get(entry)
            zeros += product == 0
            n += 1
    return Finding(
        "{name}, dyadic points: the product of the factors has the bits of the vectorised form in "
        "{equal} of {n} derivatives, {zeros} of them zero",
        equal == n > zeros,
        {"name": name, "equal": equal, "n": n, "zeros": zeros},
    )


def _within_rounding(
    name: str,
    sizes: tuple[int, ...],
    written_out: Callable[..., Factors],
    settings: Settings,
    vectorised: Vectorised,
) -> Finding:
    pairs = []
    for problem in _problems(sizes, "generic", settings.seed):
        x, y = problem.inputs[0], problem.targets[0]
        graph = neurons(_parameters(problem), x, y, cost=problem.architecture.loss)
        bounds = rounding_bounds(graph, _parameters(problem), x)
        factors, entries = _factors(problem, written_out), _entries(problem, vectorised)
        pairs += [
            (
                float(np.prod(factors.get(v, (np.nan,)))) - entries.get(v, np.nan),
                2 * bounds.get(v, 0.0),
            )
            for v in factors.keys() | entries.keys()
        ]
    worst = worst_ratio(pairs)
    return Finding(
        "{name}, random points: {n} derivatives differ by at most {worst} of what rounding can do",
        worst <= 1,
        {"name": name, "n": len(pairs)},
        {"worst": worst},
    )


# --- paths and shapes -----------------------------------------------------------------------------


def _one_path_each(written_out: Callable[..., Factors], settings: Settings) -> Finding:
    """Hold the factors written out against those found by walking the network's graph."""
    problem = _with_three_inputs(settings.seed)
    graph = neurons(_parameters(problem), problem.inputs[0], problem.targets[0])
    factors = _factors(problem, written_out)
    lines: list[str] = []
    equal = 0
    for v in sorted(factors, key=lambda v: (v[1], v)):
        walked = list(paths(graph, v))
        same = len(walked) == 1 and _multiset(_merged(factors[v])) == _multiset(walked[0].factors)
        equal += same
        lines += map(str, walked)
    return Finding(
        "3-2-1, path by path, at a dyadic point: {n} weights and biases, {equal} with one path "
        "and the factors written out\n\n```text\n{table}\n```",
        equal == len(factors) == len([v for v in graph if v[0] in "Wb"]),
        {"n": len(factors), "equal": equal, "table": "\n".join(lines)},
    )


def _with_three_inputs(seed: int) -> Problem:
    """Return the first dyadic point whose inputs are three different numbers, none of them 0."""
    while True:
        problem = _problem(NETWORK, "cross_entropy", "zero_preactivations", seed)
        if len({0.0, *problem.inputs[0].tolist()}) == 4:
            return problem
        seed += 1


def _merged(factors: tuple[float, ...]) -> tuple[float, ...]:
    """The edge z_1 -> z_2 carries W_2 sigma'(z_1): two of the factors on paper."""
    if len(factors) == 4:
        first, slope, W, last = factors
        return first, slope * W, last
    return factors


def _multiset(factors: tuple[float, ...]) -> list[float]:
    return sorted(map(float, factors))


def _shapes(settings: Settings, vectorised: Vectorised) -> Finding:
    equal, n, told = 0, 0, ""
    for sizes in (NETWORK, CHAIN, *WIDER):
        problem = _problem(sizes, "cross_entropy", "generic", settings.seed)
        parameters = _parameters(problem)
        _, blocks = vectorised(parameters, problem.inputs, problem.targets)
        for pair, gradients in zip(parameters, blocks, strict=True):
            for array, gradient in zip(pair, gradients, strict=True):
                equal += np.shape(gradient) == array.shape
                n += 1
        told = told or ", ".join(
            f"dW{l} is {' x '.join(map(str, dW.shape))}"
            for l, (dW, _) in enumerate(blocks, start=1)  # noqa: E741  (the layer's symbol)
        )
    return Finding(
        "3-2-1: {told}; {equal} of {n} gradients of {networks} networks have the shape of their "
        "matrix or vector",
        equal == n > 0 and told == "dW1 is 2 x 3, dW2 is 1 x 2",
        {"told": told, "equal": equal, "n": n, "networks": len(WIDER) + 2},
    )


CLAIM = Claim(
    id="C15",
    title="Gradients have the weights' shapes",
    statement="Two neurons in a chain; three inputs, two hidden neurons, one output, with W1 of "
    "2 x 3 and W2 of 1 x 2: gradients come in matrices of the same shapes",
    how="the chain of factors of every weight and bias written out by hand, multiplied and "
    f"compared with the vectorised form at {PROBLEMS} dyadic and {PROBLEMS} random points for "
    "both losses",
    source="Rumelhart, Hinton and Williams 1986; Nielsen 2015, chapter 2",
    measure=measure,
)
