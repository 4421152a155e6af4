"""A computational circuit and the three ways through it.

    forward                the value of every node, each shared subexpression once
    backward               symbol to number: the values of the gradient, as Torch and Caffe return
    gradient               symbol to symbol: a new circuit that computes the gradient, as Theano
                           and TensorFlow build; it can be differentiated again

Symbols: C the output, f a node, x a node that enters f through a gate, g_f = dC/df.

    g_C = 1
    g_x = sum over the gates f that x enters:  g_f df/dx        (the chain rule)

taken from the output back, so that g_f is complete before it is passed on (Linnainmaa 1970;
Griewank and Walther 2008, chapter 3; Goodfellow, Bengio and Courville 2016, section 6.5). Both
kinds of differentiation are one sweep with the same rules, over values or over nodes.

>>> x, y, z = variable("x"), variable("y"), variable("z")
>>> f = (x + y) * z
>>> circuit = Circuit(f)
>>> values = circuit.forward({"x": -2.0, "y": 5.0, "z": -4.0})
>>> float(values[f])
-12.0
>>> gradient = circuit.backward(values)
>>> [float(gradient[v]) for v in (x, y, z)]
[-4.0, -4.0, 3.0]
>>> circuit.gradient([x, y, z]).outputs
(<multiply ()>, <multiply ()>, <multiply ()>)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

import reference_models.gates  # noqa: F401  (the operators of nodes look up its table)
from reference_models.node import CONSTANT, VARIABLE, Node, constant, variable

__all__ = ["Circuit", "Values", "variable"]

Values = dict[Node, Any]


class Circuit:
    """Outputs as functions of variables.

    Args:
        outputs: one node or more.
        variables: what values are given for; those the outputs depend on are added.

    Attributes:
        nodes: the outputs and all they depend on, inputs before the gates they enter.

    Raises:
        ValueError: no output, or two variables of one name.
        TypeError: an output that is no node.
    """

    def __init__(self, *outputs: Node, variables: Iterable[Node] = ()) -> None:
        if not outputs:
            raise ValueError("a circuit must have at least one output, has none")
        for output in outputs:
            if not isinstance(output, Node):
                raise TypeError(f"an output must be a node, is a {type(output).__name__}")
        self.outputs = outputs
        self.nodes = _in_order(outputs)
        self.variables: dict[str, Node] = {}
        for node in (*variables, *self.nodes):
            if node.gate is VARIABLE and self.variables.setdefault(_name(node), node) is not node:
                other = self.variables[_name(node)].shape
                raise ValueError(f"two variables {_name(node)!r}, of shapes {other}, {node.shape}")

    def __repr__(self) -> str:
        return f"<circuit of {', '.join(self.variables)}: {len(self.nodes)} nodes>"

    def forward(
        self, values: Mapping[str, Any], *, moved: Mapping[Node, Any] | None = None
    ) -> Values:
        """Return the value of every node.

        Args:
            values: arrays or numbers by the names of the variables. Their common dtype is that of
                the computation; integers become float64.
            moved: values put in place of what nodes would compute, to see what moves with them.

        Raises:
            ValueError: a variable without value, a value without variable, a wrong shape, a dtype
                that is not floating-point, a moved node of another circuit.
        """
        dtype = self._checked(values)
        moved = moved or {}
        for node in moved:
            if node not in self.nodes:
                raise ValueError(f"moved has {node}, which is no node of this circuit")
        found: Values = {}
        for node in self.nodes:
            if node in moved:
                found[node] = _shaped(f"moved {node}", moved[node], node.shape, dtype)
            elif node.gate is VARIABLE:
                name = _name(node)
                found[node] = _shaped(f"variable {name!r}", values[name], node.shape, dtype)
            elif node.gate is CONSTANT:
                found[node] = np.broadcast_to(np.asarray(node.parameters[0], dtype), node.shape)
            else:
                inputs = (found[x] for x in node.inputs)
                found[node] = node.gate.forward(*inputs, *node.parameters)
        return found

    def evaluate(self, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """Return the values of the outputs. Arguments and errors are those of `forward`."""
        found = self.forward(values)
        return tuple(found[output] for output in self.outputs)

    def backward(
        self, values: Values, wrt: Sequence[Node] | None = None, *, seed: Any = None
    ) -> Values:
        """Return dC/df, a value, for each node of `wrt` and each node f between it and C.

        Args:
            values: what `forward` has returned.
            wrt: nodes to differentiate by, all variables by default. What C does not depend on
                has the derivative zero.
            seed: dC/dC where C is no scalar: an array of its shape, which weighs its entries.

        Raises:
            ValueError: several outputs; an output that is no scalar, without seed; a seed of
                another shape.
        """
        C = self._output(None if seed is None else np.shape(seed))
        wrt = list(self.variables.values()) if wrt is None else wrt
        one = np.ones_like(values[C])
        g_C = one if seed is None else np.asanyarray(seed, one.dtype)
        g = self._sweep(wrt, g_C, values.__getitem__)
        for x in wrt:
            g.setdefault(x, np.zeros(x.shape, values[C].dtype))
        return g

    def gradient(self, wrt: Sequence[Node], *, seed: Node | None = None) -> Circuit:
        """Return the circuit of dC/dx for each x of `wrt`, in the variables of this one.

        The derivative by a node that C does not depend on is the constant zero, in the node's
        shape. Arguments and errors are those of `backward`, with a node for a seed.
        """
        C = self._output(None if seed is None else seed.shape)
        g_C = constant(1.0, C.shape) if seed is None else seed
        g = self._sweep(wrt, g_C, lambda node: node)
        derivatives = (g[x] if x in g else constant(0.0, x.shape) for x in wrt)
        variables = (*self.variables.values(), *Circuit(g_C).variables.values())
        return Circuit(*derivatives, variables=variables)

    def _sweep(self, wrt: Sequence[Node], seed: Any, meaning: Callable[[Node], Any]) -> Values:
        """Run the chain rule from C back, over what the nodes mean: their values, or themselves.

        Only nodes on a path from `wrt` to C are visited.
        """
        depends = self._dependent(wrt)
        g: Values = {self.outputs[0]: seed}
        for f in reversed(self.nodes):
            if f not in g or f not in depends:
                continue
            inputs = [meaning(x) for x in f.inputs]
            for x, rule in zip(f.inputs, f.gate.rules, strict=True):
                if x in depends:
                    passed = rule(g[f], meaning(f), *inputs, *f.parameters)
                    g[x] = g[x] + passed if x in g else passed
        return g

    def _dependent(self, wrt: Sequence[Node]) -> set[Node]:
        """Return the nodes that depend on `wrt`, these included."""
        depends = set(wrt)
        for node in self.nodes:
            if any(x in depends for x in node.inputs):
                depends.add(node)
        return depends

    def _output(self, seed: tuple[int, ...] | None) -> Node:
        """Return C, after checking that there is one and that a seed of this shape suits it."""
        if len(self.outputs) != 1:
            raise ValueError(f"{len(self.outputs)} outputs, must be one to be differentiated")
        C = self.outputs[0]
        if seed is None and C.shape != ():
            raise ValueError(f"the output has shape {C.shape}; without a seed it must be a scalar")
        if seed is not None and seed != C.shape:
            raise ValueError(f"seed has shape {seed}, must have shape {C.shape}")
        return C

    def _checked(self, values: Mapping[str, Any]) -> np.dtype[Any]:
        """Return the dtype of the computation, after checking the names."""
        names = ", ".join(self.variables)
        for name in values:
            if name not in self.variables:
                raise ValueError(f"{name!r} is no variable of this circuit, which has {names}")
        for name in self.variables:
            if name not in values:
                raise ValueError(f"variable {name!r} has no value; there are {', '.join(values)}")
        dtype = np.result_type(*values.values()) if values else np.dtype(np.float64)
        if dtype.kind in "iu":
            return np.dtype(np.float64)
        if dtype.kind not in "fc":
            raise ValueError(f"values have dtype {dtype}, must be floating-point numbers")
        return dtype


def _in_order(outputs: Iterable[Node]) -> tuple[Node, ...]:
    """Return the nodes that the outputs depend on, in the order in which they were made."""
    found, waiting = set(outputs), list(outputs)
    while waiting:
        for x in waiting.pop().inputs:
            if x not in found:
                found.add(x)
                waiting.append(x)
    return tuple(sorted(found, key=lambda node: node.serial))


def _name(node: Node) -> str:
    """Return the name of a variable."""
    return str(node.parameters[0])


def _shaped(name: str, value: Any, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Any:
    array = np.asanyarray(value, dtype)
    if array.shape != shape:
        raise ValueError(f"{name} has a value of shape {array.shape}, must have shape {shape}")
    return array
