"""The parts of a computational circuit: nodes, and the gates that join them.

A node is a place where a value stands: a variable, a constant, or what a gate makes of the nodes
that enter it. A gate is one row of a table (`gates`): a function

    f = f(x, y, ...)

with one rule an input. A rule takes the gradient g = dC/df that reaches the gate, f and its inputs,
and returns what the gate passes on, g times its local derivative:

    rule_x(g, f, x, y, ...) = g df/dx.

A rule is written once and holds for numbers and for nodes alike: given arrays it returns values,
given nodes it returns nodes.

Equal nodes are one object (hash consing, Ershov 1958): the same gate on the same inputs is made
once, so that a shared subexpression is one node and is evaluated once. Nodes are numbered as they
are made, inputs before the gate they enter: the numbers are a topological order.
"""

from __future__ import annotations

import itertools
import math
import numbers
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Gate:
    """A row of the table of gates.

    Attributes:
        expression: the function of its inputs x, y and its parameter n, such as `x * y`, `x ** n`.
        forward: the function, on arrays.
        shape: the output's shape from the shapes of the inputs and the parameters; raises
            ValueError where they do not fit.
        rules: g times the local derivative by each input.
        entrywise: inputs are broadcast to the shape of the output first.
    """

    expression: str
    forward: Callable[..., Any]
    shape: Callable[..., Shape]
    rules: tuple[Callable[..., Any], ...]
    entrywise: bool = False
    name: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", self.forward.__name__)

    def __call__(self, *arguments: Any) -> Any:
        """Return a node where one of the inputs is a node, else the value.

        Raises:
            ValueError: shapes that do not fit, by the gate's name.
            TypeError: an array, or a node where a parameter belongs.
        """
        n = len(self.rules)
        if not any(isinstance(argument, Node) for argument in arguments):
            return self.forward(*arguments)
        inputs, parameters = tuple(map(as_node, arguments[:n])), arguments[n:]
        if any(isinstance(parameter, Node) for parameter in parameters):
            raise TypeError(f"{self.name}: n in {self.expression} must be no node")
        try:
            shape = self.shape(*(node.shape for node in inputs), *parameters)
        except ValueError as error:
            shapes = " and ".join(str(node.shape) for node in inputs)
            raise ValueError(f"{self.name}: shapes {shapes} do not fit: {error}") from None
        if self.entrywise:
            inputs = tuple(_stretched(node, shape) for node in inputs)
        return _consed(self, inputs, parameters, shape)

    def written(self, *names: str) -> str:
        """Return the expression with the inputs' names in it.

        >>> from reference_models.gates import multiply
        >>> multiply.written("q", "z")
        'q * z'
        """
        inputs, parameters = names[: len(self.rules)], names[len(self.rules) :]
        named = dict(zip("xy", inputs, strict=False)) | dict(zip("n", parameters, strict=False))
        return re.sub(r"\b[xyn]\b", lambda letter: named[letter[0]], self.expression)


class Node:
    """A place in a circuit. Made by `variable`, `constant` and the gates, never directly.

    Python's operators build circuits: + - * / @, unary -, ** with a number; `.T`, `.sum()` and
    `.mean()` do what they do to arrays. A number beside a node is a constant.
    """

    __slots__ = ("__weakref__", "gate", "inputs", "parameters", "serial", "shape")
    __array_ufunc__ = None  # arrays leave the operators to the node

    def __init__(
        self, gate: Gate, inputs: tuple[Node, ...], parameters: tuple[Any, ...], shape: Shape
    ) -> None:
        self.gate, self.inputs, self.parameters, self.shape = gate, inputs, parameters, shape
        self.serial = next(_SERIALS)

    def __repr__(self) -> str:
        label = f" {self.parameters[0]}" if self.gate in (VARIABLE, CONSTANT) else ""
        return f"<{self.gate.name}{label} {self.shape}>"

    @property
    def size(self) -> int:
        """Number of entries."""
        return math.prod(self.shape)

    @property
    def T(self) -> Node:  # noqa: N802  (the name it has on arrays)
        """The transpose."""
        return self._through("transpose")

    def sum(self) -> Node:
        """Return the sum of all entries."""
        return self._through("sum")

    def mean(self) -> Node:
        """Return the mean of all entries."""
        return self._through("mean")

    def __add__(self, other: Any) -> Node:
        return self._through("add", other)

    def __sub__(self, other: Any) -> Node:
        return self._through("subtract", other)

    def __mul__(self, other: Any) -> Node:
        return self._through("multiply", other)

    def __truediv__(self, other: Any) -> Node:
        return self._through("divide", other)

    def __matmul__(self, other: Any) -> Node:
        return self._through("matmul", other)

    def __radd__(self, other: Any) -> Node:
        return as_node(other) + self

    def __rsub__(self, other: Any) -> Node:
        return as_node(other) - self

    def __rmul__(self, other: Any) -> Node:
        return as_node(other) * self

    def __rtruediv__(self, other: Any) -> Node:
        return as_node(other) / self

    def __rmatmul__(self, other: Any) -> Node:
        return as_node(other) @ self

    def __neg__(self) -> Node:
        return self._through("negative")

    def __pow__(self, n: Any) -> Node:
        """Return x ** n; x ** 1 is x and x ** 0 the constant 1, so that no rule meets them."""
        if not isinstance(n, Node):
            if n == 0:
                return constant(1.0, self.shape)
            if n == 1:
                return self
        return self._through("power", n)

    def _through(self, name: str, *others: Any) -> Node:
        node: Node = GATES[name](self, *others)
        return node


def variable(name: str, shape: Shape = ()) -> Node:
    """Return the variable of this name and shape; twice the same is one node.

    Raises:
        ValueError: an empty name, or a size below 1.

    >>> variable("x") is variable("x")
    True
    """
    if not name:
        raise ValueError("name='' must not be empty")
    if any(size < 1 for size in shape):
        raise ValueError(f"shape={shape} of {name!r} must hold sizes of at least 1")
    return _consed(VARIABLE, (), (name,), tuple(shape))


def constant(value: Any, shape: Shape = ()) -> Node:
    """Return the node that has one number in all its entries.

    Raises:
        TypeError: anything but a number.
    """
    number = value[()] if isinstance(value, np.ndarray) else value
    number = number.item() if isinstance(number, np.generic) else number
    number = float(number) if isinstance(number, int) else number
    if not isinstance(number, numbers.Number | np.generic):
        raise TypeError(
            f"a constant must be one number, is a {type(value).__name__} of shape "
            f"{np.shape(value)}; arrays enter a circuit as values of its variables"
        )
    return _consed(CONSTANT, (), (number,), tuple(shape))


def as_node(value: Any) -> Node:
    """Return a node as it is, a number as a constant."""
    return value if isinstance(value, Node) else constant(value)


def _stretched(node: Node, shape: Shape) -> Node:
    """Broadcast a node to a shape; a constant is one already."""
    if node.shape == shape:
        return node
    if node.gate is CONSTANT:
        return constant(node.parameters[0], shape)
    stretched: Node = GATES["broadcast_to_shape"](node, shape)
    return stretched


def _consed(
    gate: Gate, inputs: tuple[Node, ...], parameters: tuple[Any, ...], shape: Shape
) -> Node:
    """Return the one node of this description. `repr` tells 0.0 from -0.0, which are equal."""
    key = (gate, inputs, parameters, repr(parameters), shape)
    node = _LIVING.get(key)
    if node is None:
        node = _LIVING[key] = Node(gate, inputs, parameters, shape)
    return node


def _leaf(name: str) -> Gate:
    def forward() -> None: ...

    forward.__name__ = name
    return Gate("c", forward, lambda *_: (), ())


VARIABLE, CONSTANT = _leaf("variable"), _leaf("constant")

GATES: dict[str, Gate] = {}
_SERIALS = itertools.count()
_LIVING: WeakValueDictionary[Any, Node] = WeakValueDictionary()
