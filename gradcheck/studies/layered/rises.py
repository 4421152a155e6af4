"""What moving P parameters of one layer does to the loss: a block of perturbations.

Symbols as in layered_difference.py; I examples at a time. All arrays have P for their last axis, so
that the numbers of a unit meet P neighbours in memory.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gradcheck.studies.layered.network import COST_RISES, sigmoid_rise

if TYPE_CHECKING:
    from gradcheck.arrays import Float64Array, IntArray
    from gradcheck.studies.layered.network import LayeredNetwork

ARRAYS = 14
"""A block takes at most so many arrays like its largest one: 7 of a workspace, 7 of P numbers."""


class Workspace:
    """Arrays of a block, kept from one to the next.

    Args:
        like: says what kind of array.
        numbers: in each.
    """

    def __init__(self, like: Float64Array, numbers: int) -> None:
        self._arrays = [np.empty_like(like, shape=numbers) for _ in range(7)]

    def array(self, which: int, *shape: int) -> Float64Array:
        """Return array number `which` in the given shape; what it held is lost."""
        return self._arrays[which][: math.prod(shape)].reshape(shape)

    def columns(self, which: int, matrix: Float64Array, columns: IntArray) -> Float64Array:
        """Fill array number `which` with columns of a matrix."""
        out = self.array(which, len(matrix), len(columns))
        np.take(matrix, columns, axis=1, out=out, mode="clip")
        return out


class Moved(NamedTuple):
    """What P perturbations meet in I examples.

    Attributes:
        a: what the moved parameter multiplies, (I, P).
        first: q and s of the unit that moves first, (I, P) each, and the weights W_{l+1}[:,j] that
            lead on from it, (n_{l+1}, P); None in the last layer.
        full: of the layers l+1 .. L-1: q and s, (I, n, 1), and the weights of the layer after.
        constants: of the cost, (I, n_L, 1), or (I, 1, P) in the last layer.
    """

    a: Float64Array
    first: tuple[Float64Array, Float64Array, Float64Array] | None
    full: tuple[tuple[Float64Array, Float64Array, Float64Array], ...]
    constants: tuple[Float64Array, ...]


def block_differences(
    network: LayeredNetwork,
    i: int,
    rows: IntArray,
    columns: IntArray,
    h: float,
    examples: int,
    workspace: Workspace,
) -> Float64Array:
    """Return D(h) of P parameters of one layer.

    Args:
        network: at the point.
        i: the index of the layer; the first is 0.
        rows: j of W_l[j,k] or b_l[j], (P,).
        columns: k, or n_{l-1} for a bias, (P,).
        h: the step.
        examples: how many are taken at once.
        workspace: with arrays of P times `examples` times the widest layer after layer l.
    """
    total = np.zeros_like(network.targets, shape=len(rows))
    for start in range(0, network.batch, examples):
        moved = moved_units(network, i, rows, columns, slice(start, start + examples), workspace)
        rise = rises(network, moved, h, workspace)
        rise -= rises(network, moved, -h, workspace)
        total += rise
    total /= 2 * h * network.divisor
    return total


def moved_units(
    network: LayeredNetwork,
    i: int,
    rows: IntArray,
    columns: IntArray,
    some: slice,
    workspace: Workspace,
) -> Moved:
    """Pick what the perturbations meet; arguments as in `block_differences`, of some examples."""
    a = workspace.columns(0, network.inputs[i][some], columns)
    constants = [c[some] for c in network.constants]
    if i == len(network.weights) - 1:
        own = [workspace.columns(1 + n, c, rows)[:, None] for n, c in enumerate(constants)]
        return Moved(a, None, (), tuple(own))
    unit = network.units[i]
    first = (
        workspace.columns(1, unit.q[some], rows),
        workspace.columns(2, unit.s[some], rows),
        workspace.columns(3, network.weights[i + 1], rows),
    )
    full = [
        (unit.q[some, :, None], unit.s[some, :, None], W)
        for unit, W in zip(network.units[i + 1 : -1], network.weights[i + 2 :], strict=True)
    ]
    return Moved(a, first, tuple(full), tuple(c[:, :, None] for c in constants))


def rises(network: LayeredNetwork, moved: Moved, t: float, workspace: Workspace) -> Float64Array:
    """Return how far f's sum over the examples of `moved` rises at x + t e, (P,)."""
    I, P = moved.a.shape  # noqa: E741 - the symbol
    d = np.multiply(moved.a, t, out=workspace.array(4, I, P))
    here, there = 5, 6
    if moved.first is None:
        d = d[:, None]
    else:
        q, s, onward = moved.first
        A = sigmoid_rise(d, q, s, workspace.array(there, I, P))
        d = workspace.array(here, I, len(onward), P)
        np.multiply(onward, A[:, None], out=d)
    for q, s, W in moved.full:
        A = sigmoid_rise(d, q, s, workspace.array(there, *d.shape))
        d = np.matmul(W, A, out=workspace.array(there, I, len(W), P))
        here, there = there, here
    rise = COST_RISES[network.loss](d, moved.constants, workspace.array(there, *d.shape))
    total: Float64Array = np.sum(rise, axis=(0, 1))
    return total
