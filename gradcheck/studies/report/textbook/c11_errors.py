"""C11: the error of a neuron, and the four equations of backpropagation, each by itself.

Symbols as in `reference_models.sigmoid_network`, for m examples; delta_l = dC/dz_l, (m, n_l):

    delta_L     = dC/dz_L = dC/da_L * sigma'(z_L)                                   (1)
    delta_{l-1} = (delta_l W_l) * sigma'(z_{l-1})                                   (2)
    dC/db_l     = sum over examples of delta_l                                      (3)
    dC/dW_l     = delta_l^T a_{l-1}                                                 (4)

(Rumelhart, Hinton and Williams 1986; Nielsen 2015, chapter 2, BP1 to BP4.)

Each equation is tested alone: what it takes is not computed by another equation but *measured*.
D_l and its error bound B_l are differences of the loss when z_l is moved and all before it stays.
Then with both sides of (2) from differences, for one,

    |(D_l W_l) * sigma'(z_{l-1}) - D_{l-1}|  <=  B_{l-1} + (B_l |W_l|) * sigma'(z_{l-1}) + rounding

and so for (3) and (4) with differences when b_l and W_l are moved. The rounding is that of the
equation's own evaluation, k = n + m + 16 operations at most on each of its terms: k u times the
sum of their absolute values.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from gradcheck.outcomes.outcome import Outcome
from gradcheck.problem import Problem
from gradcheck.problems.case import Case
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import Claim, Evidence, Finding
from gradcheck.studies.report.textbook.witness import U, differences, held_against, told
from reference_models.activations import sigmoid, sigmoid_prime
from reference_models.circuit import Circuit, Values
from reference_models.circuit_models import LossCircuit, network_values, sigmoid_network
from reference_models.node import Node

Array = npt.NDArray[Any]

NETWORKS = (
    ((3, 4, 2), "cross_entropy"),
    ((3, 4, 2), "quadratic"),
    ((2, 3, 2, 1), "cross_entropy"),
    ((2, 2, 3, 2), "quadratic"),
)
EXAMPLES = 3


# --- the four equations ---------------------------------------------------------------------------


class Equations(NamedTuple):
    """The four equations as functions."""

    output: Callable[[Array, Array, str], Array]
    recursion: Callable[[Array, Array, Array], Array]
    bias: Callable[[Array], Array]
    weight: Callable[[Array, Array], Array]


def output(z: Array, Y: Array, cost: str) -> Array:
    """(1), for the mean over the examples.

    Cross-entropy: dC/da = (a - y) / (a (1 - a)), so delta = a - y. Quadratic: dC/da = a - y.
    """
    residual = (sigmoid(z) - Y) / len(z)
    return np.asarray(residual * sigmoid_prime(z) if cost == "quadratic" else residual)


def recursion(delta: Array, W: Array, z_below: Array) -> Array:
    """(2)."""
    return np.asarray((delta @ W) * sigmoid_prime(z_below))


def bias(delta: Array) -> Array:
    """(3)."""
    return np.asarray(delta.sum(axis=0))


def weight(delta: Array, a_below: Array) -> Array:
    """(4)."""
    return np.asarray(delta.T @ a_below)


EQUATIONS = Equations(output, recursion, bias, weight)


# --- the differences ------------------------------------------------------------------------------


class Measured(NamedTuple):
    """A derivative of the loss by differences, and its bound."""

    value: Array
    bound: Array


class Network:
    """A network's loss at a point, and what moves it.

    Attributes:
        W: weights of layer l at index l - 1.
        z, a: pre-activations at index l - 1; activations of layer l at index l, the inputs first.
        D_z, D_b, D_W: dC/dz_l, dC/db_l, dC/dW_l by differences, at index l - 1.
    """

    def __init__(self, problem: Problem, seed: int) -> None:
        parameters = list(zip(problem.weights, problem.biases, strict=True))
        self.problem, self._seed = problem, seed
        self.model: LossCircuit = sigmoid_network(
            problem.architecture.sizes, EXAMPLES, cost=problem.architecture.loss
        )
        self._values = network_values(parameters, problem.inputs, problem.targets)
        self.found = self.model.circuit.forward(self._values)
        self.W = list(problem.weights)
        self.z = [self.found[node] for node in self.model.z]
        self.a = [problem.inputs, *(self.found[node] for node in self.model.a[:-1])]
        self.D_z = [self._moved(node) for node in self.model.z]
        weights, biases = self.model.parameters[::2], self.model.parameters[1::2]
        self.D_W = [self._moved(node) for node in weights]
        self.D_b = [self._moved(node) for node in biases]

    def _moved(self, node: Node) -> Measured:
        circuit = self.model.circuit

        def loss(value: Array) -> Any:
            return circuit.forward(self._values, moved={node: value})[circuit.outputs[0]]

        return Measured(*differences(loss, np.array(self.found[node]), seed=self._seed))


def measure(
    settings: Settings,
    equations: Equations = EQUATIONS,
    backward: Callable[..., Values] = Circuit.backward,
) -> Evidence:
    """Hold the error and each equation against differences of the loss."""
    networks = [
        Network(
            Case(
                sizes=sizes, loss=cost, batch=EXAMPLES, targets="soft", seed=settings.seed
            ).problem(),
            settings.seed,
        )
        for sizes, cost in NETWORKS
    ]
    tests: dict[str, Callable[[Network], list[Outcome]]] = {
        "dC/dz by backprop, every neuron's z moved": lambda net: _errors(net, backward),
        "(1) delta_L = dC/da_L * sigma'(z_L), z_L moved": lambda net: _output(net, equations),
        "(2) delta_(l-1) = (delta_l W_l) * sigma'(z_(l-1)), z_l and z_(l-1) moved": (
            lambda net: _recursion(net, equations)
        ),
        "(3) dC/db = delta, z_l and b_l moved": lambda net: _bias(net, equations),
        "(4) dC/dw = a delta, z_l and W_l moved": lambda net: _weight(net, equations),
    }
    return Evidence(
        tuple(
            _finding(name, [o for net in networks for o in test(net)])
            for name, test in tests.items()
        )
    )


def _finding(name: str, outcomes: list[Outcome]) -> Finding:
    found = told(outcomes)
    return Finding(
        "{name}: {n} numbers, the worst off by {worst} of what the differences allow; an error "
        "of {seen} would have been seen in any that is not small beside its neighbours",
        found.passed,
        {"name": name, "n": found.n},
        {"worst": found.worst, "seen": found.seen},
    )


def _errors(net: Network, backward: Callable[..., Values]) -> list[Outcome]:
    delta = backward(net.model.circuit, net.found, net.model.z)
    return [
        held_against(D.value, D.bound, np.asarray(delta[node]))
        for node, D in zip(net.model.z, net.D_z, strict=True)
    ]


def _output(net: Network, equations: Equations) -> list[Outcome]:
    D, z, Y = net.D_z[-1], net.z[-1], net.problem.targets
    cost = net.problem.architecture.loss
    size = (sigmoid(z) + Y) * (sigmoid_prime(z) if cost == "quadratic" else 1.0) / EXAMPLES
    return [held_against(D.value, D.bound + _k(net) * U * size, equations.output(z, Y, cost))]


def _recursion(net: Network, equations: Equations) -> list[Outcome]:
    outcomes = []
    for (below, D), W, z in zip(pairwise(net.D_z), net.W[1:], net.z[:-1], strict=True):
        off = (D.bound + _k(net) * U * np.abs(D.value)) @ np.abs(W) * sigmoid_prime(z)
        formula = equations.recursion(D.value, W, z)
        outcomes.append(held_against(below.value, below.bound + off, formula))
    return outcomes


def _bias(net: Network, equations: Equations) -> list[Outcome]:
    outcomes = []
    for D, by_b in zip(net.D_z, net.D_b, strict=True):
        off = (D.bound + _k(net) * U * np.abs(D.value)).sum(axis=0)
        outcomes.append(held_against(by_b.value, by_b.bound + off, equations.bias(D.value)))
    return outcomes


def _weight(net: Network, equations: Equations) -> list[Outcome]:
    outcomes = []
    for D, by_W, a in zip(net.D_z, net.D_W, net.a, strict=True):
        off = (D.bound + _k(net) * U * np.abs(D.value)).T @ np.abs(a)
        outcomes.append(held_against(by_W.value, by_W.bound + off, equations.weight(D.value, a)))
    return outcomes


def _k(net: Network) -> int:
    return max(net.problem.architecture.sizes) + EXAMPLES + 16


CLAIM = Claim(
    id="C11",
    title="Four equations give the gradient",
    statement="The error delta of a neuron is dC/dz, and four equations give the gradient from it: "
    "at the output, from layer to layer, dC/db = delta and dC/dw = a delta",
    how="each equation alone: both of its sides from differences of the loss when z, b or W is "
    f"moved, each with its error bound; {len(NETWORKS)} networks with {EXAMPLES} examples",
    source="Rumelhart, Hinton and Williams 1986; Nielsen 2015, chapter 2",
    measure=measure,
)
