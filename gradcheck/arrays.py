"""Numbers of any library as numpy arrays, and numpy arrays as that library's again.

What is taken: numpy arrays, real numbers, lists and tuples of them, whatever has `__array__`,
`to_numpy` (pandas) or DLPack (torch, jax, cupy, ...). No library is imported: each is known by
what its objects can do.
"""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
FloatArray = npt.NDArray[np.floating[Any]]
Float64Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]


def is_numbers(value: Any) -> bool:
    """Whether a list or tuple holds nothing but numbers, or such lists: then it is one array."""
    if not isinstance(value, list | tuple) or hasattr(value, "_fields") or not value:
        return False
    return all(isinstance(v, Real) or is_numbers(v) for v in value)


def as_array(value: Any, name: str) -> Array:
    """Return a value as a numpy array.

    Args:
        value: an array of any library, a number, or lists of numbers.
        name: what it is called in messages.

    Raises:
        TypeError: it is none of these; the message says what it is.
    """
    if isinstance(value, np.ndarray | np.generic | int | float | complex):
        array = np.asarray(value)
    elif isinstance(value, Real):  # a fraction
        array = np.asarray(float(value))
    elif isinstance(value, list | tuple):
        array = _of_lists(value, name)
    else:
        array = _of_a_library(value, name)
    if array.dtype.kind == "O":
        raise TypeError(f"{name} is {kind_of(value)} of Python objects, not of real numbers")
    return array


def kind_of(value: Any) -> str:
    """Say what a value is, as its user would.

    >>> kind_of(None), kind_of("0.5"), kind_of([1.0]), kind_of({"a": 1})
    ('None', "text ('0.5')", 'a list', 'a dict with the keys a')
    """
    if value is None:
        return "None"
    if isinstance(value, str | bytes):
        return f"text ({value!r:.40})"
    if isinstance(value, dict):
        return f"a dict with the keys {', '.join(map(str, value))}"
    if isinstance(value, np.ndarray) or hasattr(value, "shape"):
        return f"{_library(value)}array of shape {tuple(value.shape)}"
    name = type(value).__name__
    return f"{'an' if name[:1] in 'aeiouAEIOU' else 'a'} {name}"


def like(original: Any, array: Array) -> Any:
    """Return a numpy array as what the original is: a list, a number, a tensor of its library.

    Where that is not known it stays a numpy array.
    """
    if isinstance(original, np.ndarray):
        return array
    if isinstance(original, np.generic | float | list | tuple):
        return _nested(original, array)
    return _of_their_library(original, array)


def _of_their_library(original: Any, array: Array) -> Any:
    if hasattr(original, "new_tensor"):  # torch, also with a gradient asked for
        return original.new_tensor(array).requires_grad_(original.requires_grad)
    if hasattr(original, "iloc"):  # pandas, with its labels
        labelled = original.copy()
        labelled.iloc[...] = array
        return labelled
    if hasattr(original, "__array_namespace__"):  # jax, cupy and others of the array API
        return original.__array_namespace__().asarray(array)
    return array


def is_of_jax(value: Any) -> bool:
    """Whether a value is an array of jax."""
    return type(value).__module__.partition(".")[0] in ("jax", "jaxlib")


def _library(value: Any) -> str:
    module = type(value).__module__.partition(".")[0]
    known = {"numpy": "an ", "jaxlib": "a jax ", "builtins": "an ", "__main__": "an "}
    return known.get(module, f"a {module} ")


def _nested(original: Any, array: Any) -> Any:
    """Return a number, or nested lists or tuples of numbers, like the original."""
    if isinstance(original, np.generic):
        return array[()]
    if not isinstance(original, list | tuple):
        return float(array)
    values = [_nested(o, a) for o, a in zip(original, array, strict=True)]
    return tuple(values) if isinstance(original, tuple) else values


def _of_lists(value: Any, name: str) -> Array:
    """Make an array of nested lists; their entries may be numbers or arrays of one shape."""
    try:
        parts = [as_array(v, f"{name}[{i}]") for i, v in enumerate(value)]
        return np.array(parts) if parts else np.empty(0)
    except ValueError:
        shapes = ", ".join(str(part.shape) for part in parts[:3])
        raise TypeError(
            f"{name} is {kind_of(value)} of rows of different shapes ({shapes}, ...), not one array"
        ) from None


def _of_a_library(value: Any, name: str) -> Array:
    """Read a tensor, a labelled array or whatever exports its numbers."""
    if value is None or isinstance(value, str | bytes | dict):
        raise TypeError(f"{name} is {kind_of(value)}, not an array of real numbers")
    try:
        if hasattr(value, "detach"):  # torch: numbers without their history, on the host
            value = value.detach().cpu()
        if hasattr(value, "to_numpy"):
            return np.asarray(value.to_numpy())
        if hasattr(value, "__array__"):
            return np.asarray(value)
        if hasattr(value, "__dlpack__"):
            return np.from_dlpack(value)
    except Exception as error:
        kind = f"{name} is {kind_of(value)}"
        if "bfloat16" in str(getattr(value, "dtype", "")):
            raise TypeError(f"{kind} of bfloat16, which numpy has not; use .float()") from error
        raise TypeError(f"{kind} that cannot be read: {error}") from error
    raise TypeError(f"{name} is {kind_of(value)}, not an array of real numbers")
