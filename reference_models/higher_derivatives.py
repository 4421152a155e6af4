"""Second derivatives from circuits that compute gradients.

Symbols: C a scalar, w nodes, g = dC/dw, H = d^2 C / dw^2, v a direction with the shapes of w:

    H v = d(g . v)/dw        with v held fixed

(Pearlmutter 1994; Griewank and Walther 2008, section 3.4): the gradient's circuit is differentiated
once more. Third and higher derivatives are reached in the same way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from operator import add
from typing import Any

import numpy as np
import numpy.typing as npt

from reference_models.circuit import Circuit
from reference_models.node import Node, variable

Array = npt.NDArray[Any]


def hessian_vector_product(circuit: Circuit, w: Sequence[Node], v: Sequence[Node]) -> Circuit:
    """Return the circuit of H v, one output for each node of w.

    Args:
        circuit: a circuit of one scalar output C.
        w: the nodes to differentiate by, at least one.
        v: the direction, nodes with the shapes of w that do not depend on w.

    Raises:
        ValueError: no nodes, or directions of other shapes.

    >>> x, v = variable("x"), variable("v")
    >>> product = hessian_vector_product(Circuit(x**3), [x], [v])  # 6 x v
    >>> float(*product.evaluate({"x": 2.0, "v": 10.0}))
    120.0
    """
    if not w:
        raise ValueError("w is empty, must hold at least one node")
    shapes, directions = [x.shape for x in w], [x.shape for x in v]
    if shapes != directions:
        raise ValueError(f"v has shapes {directions}, must have those of w, {shapes}")
    g = circuit.gradient(w).outputs
    g_dot_v = reduce(add, ((g_x * v_x).sum() for g_x, v_x in zip(g, v, strict=True)))
    variables = (*circuit.variables.values(), *Circuit(*v).variables.values())
    return Circuit(g_dot_v, variables=variables).gradient(w)


def hessian(circuit: Circuit, w: Sequence[Node], values: Mapping[str, Any]) -> Array:
    """Return H, (N, N), for the N entries of all nodes of w in their order, row by row.

    Column j is H v for the unit vector v = e_j: N runs of one circuit.

    Args:
        circuit: a circuit of one scalar output C.
        w: the nodes to differentiate by, at least one.
        values: arrays or numbers by the names of the variables.

    Raises:
        ValueError: no nodes, or values as refused by `Circuit.forward`.

    >>> x, y = variable("x"), variable("y")
    >>> hessian(Circuit(x * x * y), [x, y], {"x": 3.0, "y": 5.0})
    array([[10.,  6.],
           [ 6.,  0.]])
    """
    v = [variable(f"direction of node {i}", x.shape) for i, x in enumerate(w)]
    product = hessian_vector_product(circuit, w, v)
    identity = np.eye(sum(x.size for x in w), dtype=_dtype(circuit, values))
    columns = []
    for e_j in identity:
        parts = np.split(e_j, np.cumsum([x.size for x in w])[:-1])
        direction = {
            d.parameters[0]: part.reshape(d.shape) for d, part in zip(v, parts, strict=True)
        }
        columns.append(
            np.concatenate([np.ravel(c) for c in product.evaluate({**values, **direction})])
        )
    return np.stack(columns, axis=1)


def _dtype(circuit: Circuit, values: Mapping[str, Any]) -> Any:
    return circuit.forward(values)[circuit.outputs[0]].dtype
