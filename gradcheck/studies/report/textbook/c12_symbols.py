"""C12: symbol-to-number and symbol-to-symbol differentiation of one circuit.

`Circuit.backward` takes values and returns values; `Circuit.gradient` takes a circuit and returns
a circuit, which is differentiated again like any other (Goodfellow, Bengio and Courville 2016,
section 6.5.5). Both send the same rules through the same gates in the same order: their first
derivatives are the same bits.

Each higher derivative is compared with central differences of the one before it, the second with
differences of what symbol to number returns:

    H v   = d/dt grad C(w + t v)            (Pearlmutter 1994)
    T v v = grad of v . H v

and the derivatives of sigma with their closed forms. With p = sigma(x), q = sigma(-x):

    sigma' = p q      sigma'' = p q (q - p)      sigma''' = p q (1 - 6 p q)

Rounding: the circuits of sigma's derivatives compute sums of monomials in p and q of at most
four factors whose absolute values add up to at most p q, p q and p q (1 + 2 p q). Each factor is
within 4 u, and each gate on the way rounds once: the error is at most (16 + gates) u times that.
The exact values are taken at 60 digits.

**Libraries.** Those that the settings name are asked for second and third derivatives of functions
written in their own operations, each compared with differences of the one before it. If a library
that is said to return values returns what can be differentiated, that speaks against the wording.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.checks.gradient import check_gradient
from gradcheck.checks.hessian import check_hessian_vector_product
from gradcheck.outcomes.outcome import Outcome
from gradcheck.problems.case import Case
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.textbook.claim import CONFIRMED, REFINED, Claim, Evidence, Finding
from gradcheck.studies.report.textbook.libraries import LIBRARIES, Function, Library, version
from gradcheck.studies.report.textbook.witness import U, told, worst_ratio
from reference_models.circuit import Circuit, Values, variable
from reference_models.circuit_models import network_values, sigmoid_network
from reference_models.gates import exp, log, sigmoid, softplus, tanh
from reference_models.node import Node

Array = npt.NDArray[Any]
Backward = Callable[..., Values]
Gradient = Callable[[Circuit, Sequence[Node]], Circuit]

NETWORKS = (((3, 1), "cross_entropy"), ((3, 3, 2), "cross_entropy"), ((2, 2, 2, 1), "quadratic"))
EXAMPLES = 3
POINTS = np.arange(1, 9) / 4.0  # 1/4 to 2
FUNCTIONS: dict[str, Callable[[Node], Node]] = {
    "sigmoid(x)": sigmoid,
    "tanh(x)": tanh,
    "softplus(x)": softplus,
    "exp(x) / (1 + x^2)": lambda x: exp(x) / (1.0 + x * x),
    "log(1 + exp(x)) x^3": lambda x: log(1.0 + exp(x)) * x**3,
    "x^-2 - sigmoid(x)^2": lambda x: x**-2 - sigmoid(x) ** 2,
}
IN_LIBRARIES: dict[str, Function] = {
    "1 / (1 + exp(-x))": lambda x, exp, log: 1 / (1 + exp(-x)),  # noqa: ARG005 - one signature
    "exp(x) / (1 + x^2)": lambda x, exp, log: exp(x) / (1 + x * x),  # noqa: ARG005
    "log(1 + exp(x)) x^3": lambda x, exp, log: log(1 + exp(x)) * x**3,
}
SIGMOID_AT = np.linspace(-20.0, 20.0, 81)
DIGITS = 60


def measure(
    settings: Settings,
    backward: Backward = Circuit.backward,
    gradient: Gradient = Circuit.gradient,
    libraries: Mapping[str, Callable[[], Library]] = LIBRARIES,
) -> Evidence:
    """Differentiate once in both ways, then again where there is something to differentiate."""
    networks = [_Network(settings, sizes, cost) for sizes, cost in NETWORKS]
    of_libraries = [
        _of_library(libraries[name](), version(name), settings.seed) for name in settings.libraries
    ]
    return Evidence(
        (
            _same_bits(networks, backward, gradient),
            _again(backward, gradient, settings.libraries),
            _of_functions(settings, backward, gradient),
            _of_networks(settings, networks, backward, gradient),
            *(_closed_form(order, gradient) for order in (1, 2, 3)),
            *of_libraries,
        ),
        expected=REFINED if any(finding.contradicts for finding in of_libraries) else CONFIRMED,
    )


# --- first derivatives ----------------------------------------------------------------------------


class _Network:
    """The circuit of a network's loss and the values of its variables."""

    def __init__(self, settings: Settings, sizes: tuple[int, ...], cost: str) -> None:
        case = Case(sizes=sizes, loss=cost, batch=EXAMPLES, targets="soft", seed=settings.seed)
        problem = case.problem()
        parameters = list(zip(problem.weights, problem.biases, strict=True))
        model = sigmoid_network(sizes, EXAMPLES, cost=cost)
        self.circuit, self.w = model.circuit, list(model.parameters)
        self.values: dict[str, Array] = network_values(parameters, problem.inputs, problem.targets)

    @property
    def point(self) -> dict[str, Array]:
        return {_name(node): self.values[_name(node)] for node in self.w}

    def named(self, derivatives: Sequence[Any]) -> dict[str, Array]:
        """Return derivatives by the parameters, in their order, by the parameters' names."""
        return {_name(w): np.array(d) for w, d in zip(self.w, derivatives, strict=True)}


def _name(node: Node) -> str:
    return str(node.parameters[0])


def _scalar(function: Callable[[Node], Node]) -> tuple[Circuit, Node]:
    """Return the circuit of the sum of a function over the points."""
    x = variable("x", POINTS.shape)
    return Circuit(function(x).sum()), x


def _same_bits(networks: list[_Network], backward: Backward, gradient: Gradient) -> Finding:
    subjects: list[tuple[Circuit, list[Node], dict[str, Array]]] = [
        (net.circuit, net.w, net.values) for net in networks
    ]
    for function in FUNCTIONS.values():
        circuit, x = _scalar(function)
        subjects.append((circuit, [x], {"x": POINTS}))
    equal, n = 0, 0
    for dtype in (np.float32, np.float64):
        for circuit, w, values in subjects:
            at = {name: np.asarray(value, dtype) for name, value in values.items()}
            numbers = backward(circuit, circuit.forward(at), w)
            for node, other in zip(w, gradient(circuit, w).evaluate(at), strict=True):
                equal += int(np.sum(np.asarray(numbers[node]) == other))
                n += node.size
    return Finding(
        "{equal} of {n} first derivatives of {networks} networks and {functions} functions are the "
        "same to the last bit by both, in float32 and float64",
        equal == n > 0,
        {"n": n, "networks": len(networks), "functions": len(FUNCTIONS)},
        {"equal": equal},
    )


def _again(backward: Backward, gradient: Gradient, asked: tuple[str, ...]) -> Finding:
    """Try to make a circuit of what each kind returns, and to differentiate that."""
    circuit, x = _scalar(sigmoid)
    returned = {
        "symbol to number": backward(circuit, circuit.forward({"x": POINTS}), [x])[x],
        "symbol to symbol": gradient(circuit, [x]).outputs[0],
    }
    found = {kind: _differentiable(result, x, gradient) for kind, result in returned.items()}
    return Finding(
        "what symbol to number returns, {number}, can be differentiated again: {number_again}; "
        "what symbol to symbol returns, {symbol}: {symbol_again}. Libraries that are installed "
        "and were asked for the same: {asked}",
        found == {"symbol to number": False, "symbol to symbol": True},
        {
            "number": type(returned["symbol to number"]).__name__,
            "number_again": "yes" if found["symbol to number"] else "no",
            "symbol": type(returned["symbol to symbol"]).__name__,
            "symbol_again": "yes" if found["symbol to symbol"] else "no",
            "asked": ", ".join(LIBRARIES[name].name for name in asked)
            or "none of " + ", ".join(library.name for library in LIBRARIES.values()),
        },
    )


def _differentiable(result: Any, x: Node, gradient: Gradient) -> bool:
    try:
        return bool(gradient(Circuit(result.sum()), [x]).outputs)
    except TypeError:
        return False


# --- second and third derivatives -----------------------------------------------------------------


def _of_functions(settings: Settings, backward: Backward, gradient: Gradient) -> Finding:
    outcomes = [
        outcome
        for function in FUNCTIONS.values()
        for outcome in _function_checks(function, settings.seed, backward, gradient)
    ]
    found = told(outcomes)
    return Finding(
        "second and third derivatives of {functions} functions against differences of the one "
        "before: {n} numbers, the worst off by {worst} of what the differences allow; a relative "
        "error of {seen} would have been seen",
        found.passed,
        {"functions": len(FUNCTIONS), "n": found.n},
        {"worst": found.worst, "seen": found.seen},
    )


def _function_checks(
    function: Callable[[Node], Node], seed: int, backward: Backward, gradient: Gradient
) -> list[Outcome]:
    """Differentiate at all points at once: the derivative of the sum of f' is f'', and so on."""
    circuit, x = _scalar(function)
    second = gradient(Circuit(gradient(circuit, [x]).outputs[0].sum()), [x])
    third = gradient(Circuit(second.outputs[0].sum()), [x])

    def first_by_numbers(at: Array) -> Any:
        return np.sum(backward(circuit, circuit.forward({"x": at}), [x])[x])

    def second_summed(at: Array) -> Any:
        return np.sum(second.evaluate({"x": at})[0])

    return [
        check_gradient(first_by_numbers, _values_of(second), POINTS, seed=seed),
        check_gradient(second_summed, _values_of(third), POINTS, seed=seed),
    ]


def _values_of(circuit: Circuit) -> Callable[[Array], Array]:
    return lambda at: np.array(circuit.evaluate({"x": at})[0])


def _of_networks(
    settings: Settings, networks: list[_Network], backward: Backward, gradient: Gradient
) -> Finding:
    outcomes = [
        outcome
        for net in networks
        for outcome in _network_checks(net, settings.seed, backward, gradient)
    ]
    found = told(outcomes)
    return Finding(
        "H v and its own derivative along v for {networks} networks: {n} numbers, the worst off by "
        "{worst} of what differences of gradients and of v.H v allow; an error of {seen} would "
        "have been seen in any that is not small beside its neighbours",
        found.passed,
        {"networks": len(networks), "n": found.n},
        {"worst": found.worst, "seen": found.seen},
    )


def _network_checks(
    net: _Network, seed: int, backward: Backward, gradient: Gradient
) -> list[Outcome]:
    generator = np.random.default_rng(seed)
    v = [variable(f"v {_name(node)}", node.shape) for node in net.w]
    direction = {_name(node): generator.standard_normal(node.shape) for node in net.w}
    H_v = gradient(Circuit(_dot(gradient(net.circuit, net.w).outputs, v)), net.w)
    v_H_v = Circuit(_dot(H_v.outputs, v))
    T_v_v = gradient(v_H_v, net.w)

    def by_numbers(w: dict[str, Array]) -> dict[str, Array]:
        found = backward(net.circuit, net.circuit.forward(net.values | w), net.w)
        return {_name(node): np.array(found[node]) for node in net.w}

    def evaluated(circuit: Circuit, w: dict[str, Array], v: dict[str, Array]) -> tuple[Any, ...]:
        values = net.values | w | {f"v {name}": value for name, value in v.items()}
        return circuit.evaluate({name: values[name] for name in circuit.variables})

    def product(w: dict[str, Array], v: dict[str, Array]) -> dict[str, Array]:
        return net.named(evaluated(H_v, w, v))

    def curvature(w: dict[str, Array]) -> Any:
        return evaluated(v_H_v, w, direction)[0]

    def third(w: dict[str, Array]) -> dict[str, Array]:
        return net.named(evaluated(T_v_v, w, direction))

    return [
        check_hessian_vector_product(by_numbers, product, net.point, direction, seed=seed),
        check_gradient(curvature, third, net.point, seed=seed),
    ]


def _dot(nodes: Sequence[Node], v: Sequence[Node]) -> Node:
    return reduce(add, ((node * v_x).sum() for node, v_x in zip(nodes, v, strict=True)))


# --- libraries ------------------------------------------------------------------------------------


def _of_library(library: Library, version: str, seed: int) -> Finding:
    """Ask a library to differentiate what it has returned."""
    usual = {library.usual_again(f, POINTS) for f in IN_LIBRARIES.values()}
    outcomes = [
        check_gradient(_summed(library.derivative(f, order - 1)), library.derivative(f, order),
                       POINTS, seed=seed)
        for f in IN_LIBRARIES.values()
        for order in (1, 2, 3)
    ]  # fmt: skip
    found = told(outcomes)
    return Finding(
        "{library} {version} ({as_said}): what its usual call returns can be differentiated again: "
        "{usual}; where it is asked to, it differentiates what it returned: first, second and "
        "third derivatives of {functions} functions against differences of the one before, {n} "
        "numbers, the worst off by {worst} of what the differences allow",
        found.passed,
        {
            "library": library.name,
            "as_said": library.as_said,
            "usual": " or ".join("yes" if again else "no" for again in sorted(usual)),
            "functions": len(IN_LIBRARIES),
            "n": found.n,
        },
        {"worst": found.worst},
        {"version": version},
        contradicts=library.contradicts,
    )


def _summed(derivative: Callable[[Array], Array]) -> Callable[[Array], Any]:
    return lambda at: np.sum(derivative(at))


# --- the closed forms of sigma --------------------------------------------------------------------


def _closed_form(order: int, gradient: Gradient) -> Finding:
    """Compare a derivative of sigma with its closed form at 60 digits."""
    x = variable("x", SIGMOID_AT.shape)
    node: Node = sigmoid(x)
    for _ in range(order):
        node = gradient(Circuit(node.sum()), [x]).outputs[0]
    circuit = Circuit(node)
    values = circuit.evaluate({"x": SIGMOID_AT})[0]
    k = 16 + len(circuit.nodes)
    pairs = []
    with localcontext() as context:
        context.prec = DIGITS
        for at, value in zip(SIGMOID_AT.tolist(), values.tolist(), strict=True):
            exact, size = _exact(Decimal(at), order)
            pairs.append((float(Decimal(value) - exact), k * U * float(size)))
    worst = worst_ratio(pairs)
    largest = max(abs(d) for d, _ in pairs)
    return Finding(
        "{form} at {n} points from {first:g} to {last:g}: off by at most {largest}, {worst} of "
        "what rounding can do",
        worst <= 1,
        {
            "form": FORMS[order],
            "n": len(pairs),
            "first": float(SIGMOID_AT[0]),
            "last": float(SIGMOID_AT[-1]),
        },
        {"largest": largest, "worst": worst},
    )


FORMS = {
    1: "sigma' = p q",
    2: "sigma'' = p q (q - p)",
    3: "sigma''' = p q (1 - 6 p q)",
}


def _exact(x: Decimal, order: int) -> tuple[Decimal, Decimal]:
    """Return a derivative of sigma, and what its monomials add up to without their signs."""
    p, q = 1 / (1 + (-x).exp()), 1 / (1 + x.exp())
    s = p * q
    return {1: (s, s), 2: (s * (q - p), s), 3: (s * (1 - 6 * s), s * (1 + 2 * s))}[order]


CLAIM = Claim(
    id="C12",
    title="Symbolic derivatives can be differentiated again",
    statement="Symbol-to-number differentiation (as in Torch and Caffe) returns values; "
    "symbol-to-symbol (as in Theano and TensorFlow) returns a graph that can be differentiated "
    "again",
    how="both on one type of circuit: first derivatives compared to the bit; second and third ones "
    "against differences of the one before, those of sigma against their closed forms; the same of "
    "the libraries that are installed",
    precise="the two kinds are as they are said to be; the libraries are no longer told apart by "
    "them: PyTorch, which Torch has become, returns values unless asked, and then a graph that it "
    "differentiates again",
    source="Goodfellow, Bengio and Courville 2016, section 6.5.5",
    measure=measure,
    expected=REFINED,
)
