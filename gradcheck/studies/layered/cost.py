"""What layered differences cost, in operations as `gradcheck.studies.cost` counts them.

Symbols as in layered_difference.py.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from gradcheck.studies.cost import FlopCount, gemm_flops_forward

if TYPE_CHECKING:
    from collections.abc import Sequence

COST_OPERATIONS = {"cross_entropy": (4, 2), "quadratic": (7, 1)}
"""Flops and functions of the rise of one output's cost (layered_network.py)."""


def difference_operations(sizes: Sequence[int], m: int, loss: str, i: int, count: int) -> FlopCount:
    """Count the operations of D(h) for parameters of one layer.

    Args:
        sizes: n_0, ..., n_L.
        m: examples.
        loss: "cross_entropy" or "quadratic".
        i: the index of the layer.
        count: how many of its parameters.
    """
    is_last = i == len(sizes) - 2
    outputs = 1 if is_last else sizes[-1]
    full = sizes[i + 2 : -1]  # layers whose units all change
    units = 0 if is_last else 1 + sum(full)
    flops, functions = COST_OPERATIONS[loss]
    products = sum(2 * n * n_next for n, n_next in pairwise(sizes[i + 2 :]))
    # t a; v's sigmoid: product, sum, quotient, product; rank one; cost; its sum over everything
    elementwise = 1 + 4 * units + (0 if is_last else sizes[i + 2]) + (flops + 1) * outputs
    each = 2 * m * count
    return FlopCount(
        each * products, each * elementwise + count, each * (units + functions * outputs)
    )


def sweep_operations(sizes: Sequence[int], m: int) -> FlopCount:
    """Count the products of the forward pass at x and of the bounds."""
    # z and e: 2 m M each; X and Y: 2 m (M - n_0 n_1) each; the bounds: 2 (2 m) M
    return FlopCount(6 * gemm_flops_forward(sizes, m) - 4 * m * sizes[0] * sizes[1])


def all_operations(sizes: Sequence[int], m: int, loss: str, counts: Sequence[int]) -> FlopCount:
    """Count everything, `counts` being how many parameters of each layer are moved."""
    total = sweep_operations(sizes, m)
    for i, count in enumerate(counts):
        total += difference_operations(sizes, m, loss, i, count)
    return total


def forward_operations(sizes: Sequence[int], m: int, loss: str) -> FlopCount:
    """Count the operations of one plain forward pass.

    The bias; 1 / (1 + e^-z) is a change of sign, a sum and a quotient; the cost from z,
    max(z, 0) - y z + log1p(e^-|z|), is a change of sign, a product and two sums, that from a a
    difference, a square and a half; and the sum of all costs.
    """
    outputs, hidden = sizes[-1], sum(sizes[1:-1])
    sigmoid, bias, total = 3, 1, 1
    flops = 4 + bias + total if loss == "cross_entropy" else sigmoid + 3 + bias + total
    functions = 2 if loss == "cross_entropy" else 1
    return FlopCount(
        gemm_flops_forward(sizes, m),
        m * ((sigmoid + bias) * hidden + flops * outputs),
        m * (hidden + functions * outputs),
    )


def number_of(operations: FlopCount) -> int:
    """Return how many operations there are, functions counted as one each."""
    return operations.total + operations.transcendental
