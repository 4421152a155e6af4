"""What every source of functions yields: a function with its own library's derivative, and a point.

Nothing here is written for this project: the functions, their derivatives and most of the points
are those of the libraries. A function with many outputs becomes a scalar by random weights, for a
plain sum cancels what is asked (the outputs of a softmax sum to 1).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

LARGEST = 150
"""Numbers in a point: larger points cost time and show nothing else."""


@dataclass(frozen=True)
class Sample:
    """A function, its derivative and a point.

    Attributes:
        source: the library, and which part of it.
        dtype: of the point.
        name: of the function, and which of its points.
        f: the function; for a product, the gradient that is differentiated.
        derivative: of f: gradient(x), jacobian(x), or product(x, v).
        x: the point.
        kind: "gradient", "jacobian" or "product".
        v: the direction of a product.
    """

    source: str
    dtype: str
    name: str
    f: Callable[[Any], Any]
    derivative: Callable[..., Any]
    x: Any
    kind: str = "gradient"
    v: Any = None


def generator(*names: object) -> np.random.Generator:
    """Return the random numbers that belong to a name, on every machine the same."""
    return np.random.default_rng(zlib.crc32(" ".join(map(str, names)).encode()))


def some(count: int | None, items: list[Any], *names: object) -> list[Any]:
    """Draw `count` items without replacement, in their order; all where count is None."""
    if count is None or count >= len(items):
        return items
    chosen = generator("some", *names).choice(len(items), count, replace=False)
    return [items[i] for i in sorted(chosen)]
