"""A circuit printed as textbooks draw it: values above, gradients below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from reference_models.circuit import Circuit
from reference_models.node import CONSTANT, VARIABLE, Node

WIDTH = 100
GAP = "  "


def drawing(
    circuit: Circuit, values: Mapping[str, Any], *, names: Mapping[str, Node] | None = None
) -> str:
    """Return a table with a column a node: its name, expression, value, and the gradient dC/df.

    Columns stand in the order of computation. Arrays are shown by their shape and their Euclidean
    norm; a node on no path from a variable to the output has no gradient.

    Args:
        circuit: a circuit of one scalar output.
        values: arrays or numbers by the names of the variables.
        names: what to call gates; v1, v2, ... by default.

    Raises:
        ValueError: as `Circuit.forward` and `Circuit.backward` do.

    >>> from reference_models.circuit import variable
    >>> x, y, z = variable("x"), variable("y"), variable("z")
    >>> q = x + y
    >>> f = q * z
    >>> point = {"x": -2.0, "y": 5.0, "z": -4.0}
    >>> print(drawing(Circuit(f), point, names={"q": q, "f": f}))
               x   y   z      q      f
                          x + y  q * z
    value     -2   5  -4      3    -12
    gradient  -4  -4   3     -4      1
    """
    found = circuit.forward(values)
    gradients = circuit.backward(found)
    called = _called(circuit, names or {})
    columns = [["", "", "value", "gradient"]]
    for node in circuit.nodes:
        if node.gate is not CONSTANT:
            gradient = _shown(gradients[node]) if node in gradients else ""
            columns.append([called[node], _written(node, called), _shown(found[node]), gradient])
    return "\n\n".join(_rows([columns[0], *block]) for block in _blocks(columns[1:]))


def _called(circuit: Circuit, names: Mapping[str, Node]) -> dict[Node, str]:
    """Return the name of every node: as given, its own, its number, or v1, v2, ..."""
    called = {node: name for name, node in names.items()}
    unnamed = 0
    for node in circuit.nodes:
        if node in called:
            continue
        if node.gate in (VARIABLE, CONSTANT):
            called[node] = f"{node.parameters[0]}".removesuffix(".0")
        else:
            unnamed += 1
            called[node] = f"v{unnamed}"
    return called


def _written(node: Node, called: Mapping[Node, str]) -> str:
    if node.gate is VARIABLE:
        return ""
    return node.gate.written(*(called[x] for x in node.inputs), *map(str, node.parameters))


def _shown(value: Any) -> str:
    array = np.asarray(value)
    if array.shape == ():
        return f"{array[()]:.6g}"
    return f"{array.shape} |{np.linalg.norm(array):.6g}|"


def _blocks(columns: list[list[str]]) -> list[list[list[str]]]:
    """Split the columns into blocks that fit the page."""
    blocks: list[list[list[str]]] = [[]]
    used = len("gradient")
    for column in columns:
        width = len(GAP) + max(map(len, column))
        if blocks[-1] and used + width > WIDTH:
            blocks.append([])
            used = len("gradient")
        blocks[-1].append(column)
        used += width
    return blocks


def _rows(columns: list[list[str]]) -> str:
    """Set the columns side by side, the first to the left, all others to the right."""
    widths = [max(map(len, column)) for column in columns]
    lines = []
    for head, *cells in zip(*columns, strict=True):
        right = (cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))
        lines.append(GAP.join([head.ljust(widths[0]), *right]).rstrip())
    return "\n".join(lines)
