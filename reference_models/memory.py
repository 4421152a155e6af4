"""Arrays that start where a line of the cache starts: long rows are written fastest there."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

LINE = 64
"""Bytes of a line of the cache."""
LARGE = 2**16
"""Bytes from which on writing an array takes longer than finding where to start it."""


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Make an array with undefined entries; a large one starts at a multiple of LINE bytes.

    Args:
        shape: of the array.
        dtype: of the array.

    >>> aligned_empty((300, 300), np.dtype(np.float64)).ctypes.data % LINE
    0
    """
    size = prod(shape) * dtype.itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    return memory[start : start + size].view(dtype).reshape(shape)
