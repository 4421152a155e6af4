"""Named structures of arrays as one flat vector, and the names of its coordinates.

A point x is an array, or a dict, list or tuple of arrays (nested as deep as you like); a list of
numbers is an array. Arrays may be those of any library (arrays.py).
Every leaf has a path: the dict keys and list positions that lead to it, and every number in a
leaf has a name made of that path and its index: ``W2[1,3]``, ``layers[0].b[2]``, ``x[5]``,
``x[0][1,6]`` where x is a list or tuple of arrays.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Array, as_array, is_numbers, kind_of


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
    """The shape of a point: what its leaves are called and where they stand in the vector.

    Attributes:
        leaves: its arrays.
        tree: the nested dicts, lists and tuples, with the number of a leaf in each leaf's place;
            None where it is of no matter.
    """

    leaves: tuple[Leaf, ...]
    tree: Any = field(default=None, compare=False)

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
    leaves: list[Leaf] = []
    start = 0
    for label, array in named_leaves(x, name):
        if any(leaf.name == label for leaf in leaves):
            raise ValueError(
                f"two arrays of {name} are both named {label!r}: rename a key, so that names tell "
                "them apart"
            )
        leaves.append(Leaf(label, array.shape, array.dtype, start, array.size))
        start += array.size
    return Structure(tuple(leaves), with_leaves(x, list(range(len(leaves)))))


def named_leaves(x: Any, name: str = "x") -> list[tuple[str, Array]]:
    """Return the arrays of a structure with their names, in the order of its vector.

    Args, errors: as of `structure_of`.
    """
    named = [(label, as_array(node, label)) for label, node in _walk(x, name, root=True)]
    for label, array in named:
        if array.dtype.kind != "f":
            whole = "; write 1.0, not 1, or use .astype(float)" if array.dtype.kind in "iu" else ""
            raise TypeError(
                f"{label} has dtype {array.dtype}; a point is made of real floating-point arrays "
                f"(float16, float32, float64 or longdouble){whole}"
            )
    return named


class UnlikeError(ValueError):
    """An answer that is not built as x is."""


def arrays_like(tree: Any, answer: Any, called: str) -> list[tuple[int, Any]]:
    """Return the numbers of the leaves with what the answer has in their places.

    Args:
        tree: that of the structure of x.
        answer: dicts, lists and tuples like those of x; in the place of a list or tuple an array
            with as many rows will do.
        called: what the answer is, for messages: ``gradient(x)``.

    Raises:
        UnlikeError: it is built otherwise.
    """
    if isinstance(tree, int):
        if isinstance(answer, Mapping):
            raise UnlikeError(f"{called} is {kind_of(answer)}, but must be one array")
        return [(tree, answer)]
    if isinstance(tree, Mapping):
        if not isinstance(answer, Mapping):
            raise UnlikeError(f"{called} is {kind_of(answer)}, but must be a dict, like x")
        lacks = ", ".join(str(key) for key in tree if key not in answer)
        adds = ", ".join(str(key) for key in answer if key not in tree)
        if lacks or adds:
            told = [f"lacks {lacks}"] * bool(lacks) + [f"has {adds}, which x has not"] * bool(adds)
            raise UnlikeError(f"{called} {' and '.join(told)}")
        parts = [(tree[key], answer[key], f"{called}[{key!r}]") for key in tree]
    else:
        if isinstance(answer, Mapping | str) or not _has_rows(answer):
            raise UnlikeError(f"{called} is {kind_of(answer)}, but must be a list or tuple, like x")
        if len(answer) != len(tree):
            raise UnlikeError(f"{called} has {len(answer)} parts, but x has {len(tree)}")
        pairs = enumerate(zip(tree, answer, strict=True))
        parts = [(t, a, f"{called}[{i}]") for i, (t, a) in pairs]
    return [found for part in parts for found in arrays_like(*part)]


def _has_rows(answer: Any) -> bool:
    """Whether an answer is a sequence, or an array that has rows."""
    return hasattr(answer, "__len__") and getattr(answer, "shape", (1,)) != ()


def leaves_of(x: Any) -> list[Array]:
    """Return the arrays of a structure, in the order of its vector."""
    return [as_array(node, label) for label, node in _walk(x, "", root=True)]


def originals_of(x: Any) -> list[Any]:
    """Return the leaves of a structure as they are, in the order of its vector."""
    return [node for _, node in _walk(x, "", root=True)]


def copy_of(x: Any, dtype: npt.DTypeLike | None = None) -> tuple[Any, list[Array]]:
    """Copy a structure; return the copy and its writable, contiguous leaves in order.

    Args:
        x: an array or scalar, or a dict, list or tuple of such, nested.
        dtype: of the copies; default: each array keeps its own.
    """
    leaves = [np.array(leaf, dtype=dtype, copy=True, order="C") for leaf in leaves_of(x)]
    return with_leaves(x, leaves), leaves


def with_leaves(x: Any, leaves: list[Any]) -> Any:
    """Return x's structure with other arrays in the places of its own, in the order of its vector.

    >>> with_leaves({"a": np.zeros(2), "b": [np.zeros(1)]}, [np.ones(1), np.ones(2)])
    {'a': array([1.]), 'b': [array([1., 1.])]}
    """
    return _rebuilt(x, iter(leaves))


def _rebuilt(node: Any, leaves: Iterator[Any]) -> Any:
    """Rebuild a part of a structure from the leaves that are left.

    No closure: it would refer to itself, and keep the leaves until such cycles are searched for.
    """
    if isinstance(node, np.ndarray) or is_numbers(node):
        return next(leaves)
    if isinstance(node, Mapping):
        return {key: _rebuilt(value, leaves) for key, value in node.items()}
    if isinstance(node, list):
        return [_rebuilt(value, leaves) for value in node]
    if isinstance(node, tuple):
        values = [_rebuilt(value, leaves) for value in node]
        return type(node)(*values) if hasattr(node, "_fields") else tuple(values)
    return next(leaves)


def _walk(node: Any, path: str, *, root: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield every leaf with its path; the keys of the outermost dict stand without a name."""
    if isinstance(node, np.ndarray) or is_numbers(node):  # first: asking for a Mapping is slow
        yield path, node
    elif isinstance(node, dict | Mapping):
        for key, value in node.items():
            yield from _walk(value, str(key) if root else f"{path}.{key}")
    elif isinstance(node, list | tuple):
        for position, value in enumerate(node):
            yield from _walk(value, f"{path}[{position}]")
    else:
        yield path, node
