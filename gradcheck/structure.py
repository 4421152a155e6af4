"""Named structures of arrays as one flat vector, and the names of its coordinates.

A point x is an array, or a dict, list or tuple of arrays (nested as deep as you like).
Every leaf has a path: the dict keys and list positions that lead to it, and every number in a
leaf has a name made of that path and its index: ``W2[1,3]``, ``layers[0].b[2]``, ``x[5]``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Leaf:
    """One array of a structure: its path as text, its shape, dtype and place in the vector."""

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    size: int

    @property
    def stop(self) -> int:
        """The vector position after the leaf's last number."""
        return self.start + self.size


@dataclass(frozen=True)
class Structure:
    """The shape of a point: what its leaves are called and where they stand in the vector."""

    leaves: tuple[Leaf, ...]

    @property
    def size(self) -> int:
        """How many numbers the structure holds in all."""
        return sum(leaf.size for leaf in self.leaves)

    def leaf_of(self, coordinate: int) -> Leaf:
        """Return the leaf that holds the vector position `coordinate`."""
        for leaf in self.leaves:
            if leaf.start <= coordinate < leaf.stop:
                return leaf
        raise IndexError(f"coordinate={coordinate} is not in 0..{self.size - 1}")

    def name(self, coordinate: int) -> str:
        """Name a coordinate: ``W2[1,3]``; a 0-d leaf is named by its path alone."""
        leaf = self.leaf_of(coordinate)
        if not leaf.shape:
            return leaf.name
        index = np.unravel_index(coordinate - leaf.start, leaf.shape)
        return f"{leaf.name}[{','.join(str(int(i)) for i in index)}]"


def structure_of(x: Any, name: str = "x") -> Structure:
    """Read the structure of x.

    Args:
        x: an array or scalar, or a dict, list or tuple of such, nested.
        name: what a bare array is called in messages.

    Raises:
        TypeError: a leaf that is not made of real floating-point numbers.
    """
    leaves = []
    start = 0
    for label, array in named_leaves(x, name):
        leaves.append(Leaf(label, array.shape, array.dtype, start, array.size))
        start += array.size
    return Structure(tuple(leaves))


def named_leaves(x: Any, name: str = "x") -> list[tuple[str, Array]]:
    """Return the arrays of a structure with their names, in the order of its vector.

    Args, errors: as of `structure_of`.
    """
    named = [(path or name, array) for path, array in _walk(x, "")]
    for label, array in named:
        if array.dtype.kind != "f":
            raise TypeError(
                f"{label} has dtype {array.dtype}; a point is made of real floating-point arrays "
                "(float16, float32, float64 or longdouble)"
            )
    return named


def leaves_of(x: Any) -> list[Array]:
    """Return the arrays of a structure, in the order of its vector."""
    return [array for _, array in _walk(x, "")]


def copy_of(x: Any, dtype: npt.DTypeLike | None = None) -> tuple[Any, list[Array]]:
    """Copy a structure; return the copy and its writable, contiguous leaves in order.

    Args:
        x: an array or scalar, or a dict, list or tuple of such, nested.
        dtype: of the copies; default: each array keeps its own.
    """
    leaves = [np.array(leaf, dtype=dtype, copy=True, order="C") for leaf in leaves_of(x)]
    return with_leaves(x, leaves), leaves


def with_leaves(x: Any, leaves: list[Array]) -> Any:
    """Return x's structure with other arrays in the places of its own, in the order of its vector.

    >>> with_leaves({"a": np.zeros(2), "b": [np.zeros(1)]}, [np.ones(1), np.ones(2)])
    {'a': array([1.]), 'b': [array([1., 1.])]}
    """
    given = iter(leaves)

    def rebuild(node: Any) -> Any:
        if isinstance(node, Mapping):
            return {key: rebuild(value) for key, value in node.items()}
        if isinstance(node, list):
            return [rebuild(value) for value in node]
        if isinstance(node, tuple):
            values = [rebuild(value) for value in node]
            return type(node)(*values) if hasattr(node, "_fields") else tuple(values)
        return next(given)

    return rebuild(x)


def _walk(node: Any, path: str) -> Iterator[tuple[str, Array]]:
    if isinstance(node, np.ndarray):  # asked first: asking for a Mapping is slow
        yield path, np.asarray(node)
    elif isinstance(node, dict | Mapping):
        for key, value in node.items():
            yield from _walk(value, f"{path}.{key}" if path else str(key))
    elif isinstance(node, list | tuple):
        for position, value in enumerate(node):
            yield from _walk(value, f"{path}[{position}]")
    else:
        yield path, np.asarray(node)
