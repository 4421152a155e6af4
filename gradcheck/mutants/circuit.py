"""Mistakes in the gates of circuits: a local derivative that is wrong, or a sweep that is.

Symbols: f = f(x, y) a gate, g = dC/df, C the output. The right rules are those of
`reference_models.gates`; each mutant puts another one in the place of one of them. A gate's
black box is

    C(x, y) = sum of c * f(x, y),   c random and fixed,

so that g = c differs from entry to entry; matrices are square, lest a wrong rule be found out by
its shape.

    >>> from gradcheck.checks.gradient import check_gradient
    >>> wrong = WRONG_GATES["multiply_x_own_input"]
    >>> print(wrong.equation)
    gate f = x * y: dC/dx = g * x; expected dC/dx = g * y
    >>> check_gradient(*wrong.black_box()).verdict.value
    'FAIL'
    >>> check_gradient(*wrong.right()).verdict.value
    'PASS'
"""

# ruff: noqa: ARG005 - every rule takes g, f and the inputs, whether it needs them or not

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from gradcheck.mutants.mutant import FAIL
from gradcheck.splitmix64 import Stream
from reference_models import gates
from reference_models.activations import sigmoid
from reference_models.circuit import Circuit, variable

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from reference_models.node import Gate, Node

Point = dict[str, Any]
Rule = Callable[..., Any]
Collect: TypeAlias = "Callable[[dict[Node, Any], Node, Any], None]"
"""What is done with g df/dx on its arrival at x."""
Rules: TypeAlias = "Mapping[tuple[Node, int], Rule]"
"""Rules in place of the right ones, by the node of a gate and the number of its input."""


class BlackBox(NamedTuple):
    """The arguments of `gradcheck.check_gradient`."""

    f: Callable[[Point], float]
    gradient: Callable[[Point], Point]
    x: Point


@dataclass(frozen=True)
class Setting:
    """How a gate is put into a circuit: the shapes of its inputs, and its parameters.

    Attributes:
        gate: the gate.
        shapes: of x, or of x and y.
        parameters: what follows the inputs.
        positive: the inputs are to be positive.
    """

    gate: Gate
    shapes: tuple[tuple[int, ...], ...] = ((3, 3),)
    parameters: tuple[Any, ...] = ()
    positive: bool = False

    def node(self) -> Node:
        """Build f(x, y)."""
        inputs = [variable(name, shape) for name, shape in zip("xy", self.shapes, strict=False)]
        f: Node = self.gate(*inputs, *self.parameters)
        return f

    def black_box(self, rules: Mapping[int, Rule]) -> BlackBox:
        """Make sum(c * f(x, y)) and its gradient, with other rules for some inputs of f."""
        f = self.node()
        C = (variable("c", f.shape) * f).sum()
        return black_box(C, self.point(), {(f, number): rule for number, rule in rules.items()})

    def point(self) -> Point:
        """Draw x and y: the same numbers each time."""
        drawn = {
            name: Stream(0, f"{self.gate.name} {name}").normal(shape)
            for name, shape in zip("xy", self.shapes, strict=False)
        }
        return {name: np.abs(a) + 0.5 if self.positive else a for name, a in drawn.items()}


TWO = ((3, 3), (3, 3))
SETTINGS = {
    setting.gate.name: setting
    for setting in (
        Setting(gates.add, TWO),
        Setting(gates.subtract, TWO),
        Setting(gates.multiply, TWO),
        Setting(gates.divide, TWO, positive=True),
        Setting(gates.negate),
        Setting(gates.power, parameters=(3,), positive=True),
        Setting(gates.exp),
        Setting(gates.log, positive=True),
        Setting(gates.sigmoid),
        Setting(gates.softplus),
        Setting(gates.tanh),
        Setting(gates.total),
        Setting(gates.mean),
        Setting(gates.matmul, TWO),
        Setting(gates.transpose),
        Setting(gates.broadcast_to, ((3,),), ((3, 3),)),
        Setting(gates.sum_to, ((3, 3),), ((3,),)),
    )
}
"""Every gate of the table, by name."""


def accumulate(g: dict[Node, Any], x: Node, passed: Any) -> None:
    """g_x is the sum over the gates that x enters."""
    g[x] = g[x] + passed if x in g else passed


def sweep(
    circuit: Circuit,
    values: dict[Node, Any],
    rules: Rules,
    collect: Collect = accumulate,
) -> dict[str, Array]:
    """Run the chain rule from the output back; return dC/dx by the variables' names."""
    (C,) = circuit.outputs
    g: dict[Node, Any] = {C: np.ones_like(values[C])}
    for f in reversed(circuit.nodes):
        inputs = [values[x] for x in f.inputs]
        for number, (x, right) in enumerate(zip(f.inputs, f.gate.rules, strict=True)):
            rule = rules.get((f, number), right)
            collect(g, x, rule(g[f], values[f], *inputs, *f.parameters))
    return {name: np.asarray(g[x]) for name, x in circuit.variables.items()}


def black_box(
    C: Node,
    x: Point,
    rules: Rules,
    collect: Collect = accumulate,
) -> BlackBox:
    """Make a function of x and its gradient by the rules; other variables are drawn and fixed."""
    circuit = Circuit(C)
    fixed = {
        name: Stream(0, f"fixed {name}").normal(node.shape)
        for name, node in circuit.variables.items()
        if name not in x
    }

    def f(point: Point) -> float:
        (value,) = circuit.evaluate(point | fixed)
        return float(value)

    def gradient(point: Point) -> Point:
        found = sweep(circuit, circuit.forward(point | fixed), rules, collect)
        return {name: np.array(found[name]) for name in point}

    return BlackBox(f, gradient, x)


@dataclass(frozen=True)
class WrongGate:
    """A gate one of whose local derivatives is wrong.

    Attributes:
        name: the gate, the input and the mistake.
        mistake: in one sentence.
        equation: which derivative is wrong, and what the right one is.
        gate: the gate's name.
        number: that of the input.
        rule: g times the wrong local derivative.
        expected: the verdict.
    """

    name: str
    mistake: str
    equation: str
    gate: str
    number: int
    rule: Rule
    expected: str = FAIL

    def black_box(self) -> BlackBox:
        """Make a function through this gate, with the wrong gradient."""
        return SETTINGS[self.gate].black_box({self.number: self.rule})

    def right(self) -> BlackBox:
        """Make the same function with the right gradient."""
        return SETTINGS[self.gate].black_box({})


@dataclass(frozen=True)
class WrongSweep:
    """A sweep that collects wrongly what reaches a node along several paths.

    Attributes:
        name: of the mistake.
        mistake: in one sentence.
        equation: which equation is wrong, and what the right one is.
        collect: what is done with g df/dx on its arrival at x.
        expected: the verdict.
    """

    name: str
    mistake: str
    equation: str
    collect: Collect
    expected: str = FAIL

    def black_box(self) -> BlackBox:
        """Make a function whose variables enter several gates, with the wrong gradient."""
        return black_box(self.output(), SETTINGS["multiply"].point(), {}, self.collect)

    def right(self) -> BlackBox:
        """Make the same function with the right gradient."""
        return black_box(self.output(), SETTINGS["multiply"].point(), {})

    def output(self) -> Node:
        """Build sum(c * (x y + sigmoid(x) + x))."""
        x, y, c = (variable(name, (3, 3)) for name in "xyc")
        C: Node = (c * (x * y + gates.sigmoid(x) + x)).sum()
        return C


def overwrite(g: dict[Node, Any], x: Node, passed: Any) -> None:
    """Keep what arrives last."""
    g[x] = passed


def keep_first(g: dict[Node, Any], x: Node, passed: Any) -> None:
    """Keep what arrives first."""
    g.setdefault(x, passed)


def average(g: dict[Node, Any], x: Node, passed: Any) -> None:
    """Take the mean of what is there and what arrives."""
    g[x] = (g[x] + passed) / 2 if x in g else passed


def multiply_up(g: dict[Node, Any], x: Node, passed: Any) -> None:
    """Take the product of what is there and what arrives."""
    g[x] = g[x] * passed if x in g else passed


SUM = "expected g_x = sum over the gates f that x enters of g_f df/dx"

WRONG_SWEEPS = {
    wrong.name: wrong
    for wrong in (
        WrongSweep(
            "paths_overwritten",
            "Where a node enters several gates, the gradient of one path overwrites the others.",
            f"sweep: g_x is g_f df/dx of one gate f only, the last to arrive; {SUM}",
            overwrite,
        ),
        WrongSweep(
            "first_path_kept",
            "Where a node enters several gates, only the first path to arrive is kept.",
            f"sweep: g_x is g_f df/dx of one gate f only, the first to arrive; {SUM}",
            keep_first,
        ),
        WrongSweep(
            "paths_averaged",
            "Where a node enters several gates, the paths are averaged.",
            f"sweep: g_x is a mean over the gates f; {SUM}",
            average,
        ),
        WrongSweep(
            "paths_multiplied",
            "Where a node enters several gates, the paths are multiplied.",
            f"sweep: g_x is a product over the gates f; {SUM}",
            multiply_up,
        ),
    )
}

# Gate and input, what is wrong with it in two words, the wrong rule and the right one as the
# equation writes them, and the wrong rule.
# fmt: off
ROWS: tuple[tuple[str, str, str, str, str, Rule], ...] = (
    ("add", "x", "forgotten", "0", "g", lambda g, f, x, y: 0 * g),
    ("add", "x", "like a product", "g * y", "g", lambda g, f, x, y: g * y),
    ("add", "y", "sign", "-g", "g", lambda g, f, x, y: -g),
    ("add", "y", "halved", "g / 2", "g", lambda g, f, x, y: g / 2),

    ("subtract", "x", "sign", "-g", "g", lambda g, f, x, y: -g),
    ("subtract", "y", "sign", "g", "-g", lambda g, f, x, y: g),
    ("subtract", "y", "forgotten", "0", "-g", lambda g, f, x, y: 0 * g),

    ("multiply", "x", "own input", "g * x", "g * y", lambda g, f, x, y: g * x),
    ("multiply", "x", "output", "g * f", "g * y", lambda g, f, x, y: g * f),
    ("multiply", "x", "like a sum", "g", "g * y", lambda g, f, x, y: g),
    ("multiply", "y", "own input", "g * y", "g * x", lambda g, f, x, y: g * y),
    ("multiply", "y", "both inputs", "g * (x + y)", "g * x", lambda g, f, x, y: g * (x + y)),

    ("divide", "x", "not inverted", "g * y", "g / y", lambda g, f, x, y: g * y),
    ("divide", "x", "missing", "g", "g / y", lambda g, f, x, y: g),
    ("divide", "y", "sign", "g * f / y", "-g * f / y", lambda g, f, x, y: g * f / y),
    ("divide", "y", "power missing", "-g * x / y", "-g * f / y", lambda g, f, x, y: -g * x / y),
    ("divide", "y", "numerator missing", "-g / y ** 2", "-g * f / y",
     lambda g, f, x, y: -g / y**2),

    ("negative", "x", "sign", "g", "-g", lambda g, f, x: g),
    ("negative", "x", "forgotten", "0", "-g", lambda g, f, x: 0 * g),

    ("power", "x", "exponent kept", "g * n * x ** n", "g * n * x ** (n - 1)",
     lambda g, f, x, n: g * n * x**n),
    ("power", "x", "factor missing", "g * x ** (n - 1)", "g * n * x ** (n - 1)",
     lambda g, f, x, n: g * x ** (n - 1)),
    ("power", "x", "factor too small", "g * (n - 1) * x ** (n - 1)", "g * n * x ** (n - 1)",
     lambda g, f, x, n: g * (n - 1) * x ** (n - 1)),
    ("power", "x", "like an exponential", "g * f * log(x)", "g * n * x ** (n - 1)",
     lambda g, f, x, n: g * f * np.log(x)),

    ("exp", "x", "missing", "g", "g * f", lambda g, f, x: g),
    ("exp", "x", "input", "g * x", "g * f", lambda g, f, x: g * x),
    ("exp", "x", "like a power", "g * x * exp(x - 1)", "g * f",
     lambda g, f, x: g * x * np.exp(x - 1)),

    ("log", "x", "output", "g / f", "g / x", lambda g, f, x: g / f),
    ("log", "x", "not inverted", "g * x", "g / x", lambda g, f, x: g * x),
    ("log", "x", "base two", "g / (x * log(2))", "g / x", lambda g, f, x: g / (x * np.log(2))),

    ("sigmoid", "x", "missing", "g", "g * f * (1 - f)", lambda g, f, x: g),
    ("sigmoid", "x", "half of it", "g * f", "g * f * (1 - f)", lambda g, f, x: g * f),
    ("sigmoid", "x", "of the output", "g * sigmoid'(f)", "g * sigmoid'(x)",
     lambda g, f, x: g * sigmoid(f) * sigmoid(-f)),
    ("sigmoid", "x", "plus", "g * f * (1 + f)", "g * f * (1 - f)",
     lambda g, f, x: g * f * (1 + f)),
    ("sigmoid", "x", "of tanh", "g * (1 - f ** 2)", "g * f * (1 - f)",
     lambda g, f, x: g * (1 - f**2)),
    ("sigmoid", "x", "constant", "g / 4", "g * f * (1 - f)", lambda g, f, x: g / 4),

    ("softplus", "x", "other branch", "g * sigmoid(-x)", "g * sigmoid(x)",
     lambda g, f, x: g * sigmoid(-x)),
    ("softplus", "x", "slope twice", "g * sigmoid'(x)", "g * sigmoid(x)",
     lambda g, f, x: g * sigmoid(x) * sigmoid(-x)),
    ("softplus", "x", "of relu", "g * (x > 0)", "g * sigmoid(x)", lambda g, f, x: g * (x > 0)),

    ("tanh", "x", "square missing", "g * (1 - f)", "g * (1 - f ** 2)",
     lambda g, f, x: g * (1 - f)),
    ("tanh", "x", "of sigmoid", "g * f * (1 - f)", "g * (1 - f ** 2)",
     lambda g, f, x: g * f * (1 - f)),
    ("tanh", "x", "of the input", "g * (1 - x ** 2)", "g * (1 - f ** 2)",
     lambda g, f, x: g * (1 - x**2)),
    ("tanh", "x", "halved argument", "g * (1 - tanh(x / 2) ** 2)", "g * (1 - f ** 2)",
     lambda g, f, x: g * (1 - np.tanh(x / 2) ** 2)),

    ("sum", "x", "like a mean", "g / N in all N entries", "g in all N entries",
     lambda g, f, x: np.full(x.shape, g / x.size)),
    ("sum", "x", "times the input", "g * x", "g in all N entries", lambda g, f, x: g * x),
    ("sum", "x", "first only", "g in the first entry", "g in all N entries",
     lambda g, f, x: np.where(np.arange(x.size).reshape(x.shape) == 0, g, 0)),

    ("mean", "x", "like a sum", "g in all N entries", "g / N in all N entries",
     lambda g, f, x: np.full(x.shape, g)),
    ("mean", "x", "rows only", "g / n in all N entries, n rows", "g / N in all N entries",
     lambda g, f, x: np.full(x.shape, g / len(x))),

    ("matmul", "x", "not transposed", "g @ y", "g @ y.T", lambda g, f, x, y: g @ y),
    ("matmul", "x", "wrong side", "y.T @ g", "g @ y.T", lambda g, f, x, y: y.T @ g),
    ("matmul", "x", "entrywise", "g * y.T", "g @ y.T", lambda g, f, x, y: g * y.T),
    ("matmul", "y", "not transposed", "x @ g", "x.T @ g", lambda g, f, x, y: x @ g),
    ("matmul", "y", "itself transposed", "g.T @ x", "x.T @ g", lambda g, f, x, y: g.T @ x),
    ("matmul", "y", "wrong side", "g @ x.T", "x.T @ g", lambda g, f, x, y: g @ x.T),

    ("transpose", "x", "forgotten", "g", "g.T", lambda g, f, x: g),
    ("transpose", "x", "reversed", "g.T backwards", "g.T", lambda g, f, x: g.T[::-1]),

    ("broadcast_to_shape", "x", "mean", "the mean of g over the repeated axes",
     "the sum of g over the repeated axes", lambda g, f, x, n: g.mean(axis=0)),
    ("broadcast_to_shape", "x", "first only", "g in the first row",
     "the sum of g over the repeated axes", lambda g, f, x, n: g[0]),
    ("broadcast_to_shape", "x", "wrong axis", "the sum of g over the other axes",
     "the sum of g over the repeated axes", lambda g, f, x, n: g.sum(axis=1)),

    ("sum_to_shape", "x", "mean", "g / n repeated, n rows", "g repeated",
     lambda g, f, x, n: np.broadcast_to(g / len(x), x.shape)),
    ("sum_to_shape", "x", "first only", "g in the first row", "g repeated",
     lambda g, f, x, n: np.where(np.arange(len(x))[:, None] == 0, g, 0)),
    ("sum_to_shape", "x", "wrong axis", "g repeated along the other axis", "g repeated",
     lambda g, f, x, n: np.broadcast_to(g[:, None], x.shape)),
)
# fmt: on


def wrong_gate(gate: str, letter: str, words: str, wrong: str, right: str, rule: Rule) -> WrongGate:
    """Make a mutant of a row."""
    expression = SETTINGS[gate].gate.expression
    told = f"dC/d{letter} = {wrong}; expected dC/d{letter} = {right}"
    return WrongGate(
        name=f"{gate}_{letter}_{words.replace(' ', '_')}",
        mistake=f"The derivative of {expression} by {letter} is wrong: {words}.",
        equation=f"gate f = {expression}: {told}",
        gate=gate,
        number="xy".index(letter),
        rule=rule,
    )


WRONG_GATES = {made.name: made for made in (wrong_gate(*row) for row in ROWS)}
"""Every wrong gate, by name."""
