"""What the models demand of their arguments, and what they say when it is not met."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Parameters = Sequence[tuple[Array, Array]]

DTYPES = tuple(
    np.dtype(t) for t in (np.float16, np.float32, np.float64, np.longdouble, np.complex128)
)


def require(name: str, array: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise ValueError unless `array` has the shape and the dtype, TypeError if it is no array."""
    if not isinstance(array, np.ndarray | np.generic):
        raise TypeError(f"{name} must be a numpy array, is a {type(array).__name__}")
    if array.shape != shape:
        raise ValueError(f"{name} has shape {array.shape}, must have shape {shape}")
    if array.dtype != dtype:
        raise ValueError(f"{name} has dtype {array.dtype}, must have the dtype of X, {dtype}")


def batch_of(X: Array) -> tuple[int, int]:
    """Return (m, n), the shape of a batch of inputs, after checking its rank, size and dtype."""
    if not isinstance(X, np.ndarray):
        raise TypeError(f"X must be a numpy array, is a {type(X).__name__}")
    if X.ndim != 2 or 0 in X.shape:
        raise ValueError(f"X has shape {X.shape}, must have shape (m, n) with m >= 1 and n >= 1")
    check_dtype("X", X.dtype, len(X))
    return X.shape[0], X.shape[1]


def check_dtype(name: str, dtype: np.dtype[Any], m: int) -> None:
    """Raise ValueError for a dtype that is not computed in, or that cannot hold the number m."""
    if dtype not in DTYPES:
        allowed = ", ".join(str(known) for known in DTYPES)
        raise ValueError(f"{name} has dtype {dtype}, must be one of {allowed}")
    largest = float(np.finfo(dtype).max)
    if not m <= largest:
        raise ValueError(f"m={m} examples exceed {largest}, the largest {dtype}")


def network_sizes(parameters: Parameters, X: Array, Y: Array | None) -> tuple[int, ...]:
    """Return the layer sizes (n_0, ..., n_L) of a network, after checking all its arrays.

    Args:
        parameters: (W_l, b_l) per layer, of shapes (n_l, n_{l-1}) and (n_l,).
        X: inputs, (m, n_0).
        Y: targets, (m, n_L); None where there are none.

    Raises:
        ValueError: a wrong shape or dtype, or no layer or no example at all.
        TypeError: something that is not an array.
    """
    m, n = batch_of(X)
    if len(parameters) == 0:
        raise ValueError("parameters is empty, must hold (W, b) of at least one layer")
    sizes = [n]
    for number, (W, b) in enumerate(parameters, start=1):
        rows = len(W) if isinstance(W, np.ndarray) and W.ndim == 2 else 1
        require(f"W{number}", W, (max(rows, 1), sizes[-1]), X.dtype)
        require(f"b{number}", b, (rows,), X.dtype)
        sizes.append(rows)
    if Y is not None:
        require("Y", Y, (m, sizes[-1]), X.dtype)
    return tuple(sizes)
