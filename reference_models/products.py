"""Products of matrices, also of the shapes that `numpy.matmul` is slow at.

It is made for many rows times many columns. A column by a row (dC/dW = delta^T a for a single
example) it computes entry by entry, in ten times the time that writing the result takes; for two
or three rows it first copies the large matrix, in twice the time of a product row by row.

**Flags.** A kernel of a BLAS may compute with padding whose result it throws away. OpenBLAS has one
for AVX-512 (`SkylakeX`, float32, a matrix of n rows of 5 numbers by a vector, n = 2 or 3 modulo 4)
that fills a vector register from memory which nobody has written. If a signalling NaN lies there,
the processor notes an invalid operation, and numpy warns of an "invalid value encountered in
matmul" once in a while, of a product that is right. So nothing here asks for that flag, and what
calls `product`, many times a pass, is `deaf` to it as a whole: a result that is not finite shows in
its value, which is what is judged.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

FEW = 3
"""Rows up to which a product with a large matrix is faster row by row."""
LARGE = 2**14
"""Entries from which on a matrix is large."""
SMALLEST_BUFFER = 16
"""The least numpy allows, in entries: too small to be used for rows longer than this."""


deaf = np.errstate(invalid="ignore")
"""Decorates functions that do not ask for the flag of invalid operations."""


@deaf
def matmul(A: Array, B: Array, *, out: Array | None = None) -> Array:
    """Multiply matrices as `numpy.matmul`, deaf to the flag of invalid operations.

    Args:
        A: (..., m, k), or (k,).
        B: (..., k, n), or (k,).
        out: receives the result.

    >>> matmul(np.array([[np.inf, 1.0]]), np.array([[0.0], [1.0]]))
    array([[nan]])
    """
    result: Array = np.matmul(A, B, out=out)
    return result


def product(A: Array, B: Array, *, out: Array) -> Array:
    """Write A B into `out`; to be called by what is `deaf`.

    The order of summation depends on the shapes alone.

    Args:
        A: (m, k).
        B: (k, n).
        out: receives the result, (m, n).

    >>> product(np.eye(2), np.array([[1.0, 2.0], [3.0, 4.0]]), out=np.empty((2, 2)))
    array([[1., 2.],
           [3., 4.]])
    """
    m, k = A.shape
    if k == 1:
        return outer_product(A[:, 0], B[0], out=out)
    if 1 < m <= FEW and B.size >= LARGE:
        np.matmul(A[:, None, :], B, out=out[:, None, :])  # a stack of rows
        return out
    return np.matmul(A, B, out=out)


def outer_product(x: Array, y: Array, *, out: Array) -> Array:
    """Write x y^T, (x y^T)_jk = x_j y_k, into `out`.

    The bits are those of `numpy.matmul`, but for the sign of a zero: x_j y_k has the sign of the
    product, where a sum that starts from 0 has none.

    Args:
        x: column, (n,).
        y: row, (k,).
        out: receives the result, (n, k).

    >>> outer_product(np.array([1.0, 2.0]), np.array([3.0, 4.0]), out=np.empty((2, 2)))
    array([[3., 4.],
           [6., 8.]])
    """
    if out.size < LARGE:
        return np.multiply.outer(x, y, out=out)
    # Repeated operands would be copied into buffers of 8192 entries, four times the work.
    before = np.setbufsize(SMALLEST_BUFFER)
    try:
        return np.multiply.outer(x, y, out=out)
    finally:
        np.setbufsize(before)
