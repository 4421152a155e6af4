r"""What was seen of an engine on one problem, and how far from a wrong formula it may be.

Symbols: g the engine's gradient, R the rounding bound of the right one (`gradcheck.rounding`);
for a block dC/dW_l = delta^T a its **terms** T = |delta|^T |a|, and likewise for biases.

A right step whose errors above are right may deviate by the engine's own bound, and by that of the
float64 evaluation here, which is a member of every class: 2 R; or it is judged by the comparison
with the exact gradient, where there is one.

**Modelled, not derived:** a wrong formula's value has the terms T' and may deviate by

    ROOM kappa T' + 64 (m + 1) eta,     kappa = max of R / T over the unit's row, T right

that is, rounding takes as much of each term of the wrong formula as it may take of a term of the
right one, ROOM times over: room for cancellations that the right formula does not have. A wrong
formula is named only where nothing else fits, and is held to two other problems as well; the bound
decides no verdict.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.symbols import Symbols
from gradcheck.problem import dtype_name
from gradcheck.pytree import structure_of
from gradcheck.rounding import gradient_bound

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.problem import Problem

ROOM = 8.0

Pair = tuple["Array", "Array"]
"""dC/dW_l, and dC/db_l as a column."""


@dataclass(frozen=True)
class Seen:
    """One gradient, block by block.

    Attributes:
        symbols: of the problem.
        g: the engine's blocks by layer.
        wrong: which entries are wrong, if all that stands above them is right.
        kappa: by layer, one number a unit, (n_l, 1).
        least: what rounding may do to numbers that are nearly 0.
    """

    symbols: Symbols
    g: dict[int, Pair]
    wrong: dict[int, Pair]
    kappa: dict[int, Array]
    least: float

    @classmethod
    def of(cls, frame: Frame, gradient: Array, failed: Array | None = None) -> Seen:
        """Put a gradient beside the right one.

        Args:
            frame: of the problem.
            gradient: the engine's, as one vector.
            failed: the entries that are wrong by the exact gradient; default: beyond 2 R.
        """
        gradient = gradient.astype(np.float64)
        g = in_blocks(frame.symbols.problem, gradient)
        if failed is None:
            with np.errstate(invalid="ignore", over="ignore"):
                failed = ~(np.abs(gradient - frame.right) <= 2 * frame.bound)
        wrong = in_blocks(frame.symbols.problem, failed)
        return cls(frame.symbols, g, wrong, frame.kappa, frame.least)

    @property
    def is_wrong(self) -> bool:
        """Whether any entry is."""
        return any(bool(block.any()) for pair in self.wrong.values() for block in pair)

    def room(self, layer: int, terms: Array) -> Array:
        """Return how far a block made of terms of this size may be from the engine's."""
        return ROOM * self.kappa[layer] * terms + self.least

    def either_way(self, layer: int, terms: Array) -> Array:
        """Return terms with the room of a square block and of its transpose, the wider one."""
        if terms.shape[0] != terms.shape[1]:
            return terms
        kappa = self.kappa[layer]
        return np.maximum(terms, (kappa * terms).T / kappa)

    def fits(self, layer: int, which: int, value: Array, terms: Array | None = None) -> bool:
        """Whether the engine's block (0: weights, 1: biases) is this value, within the room."""
        size = np.abs(value) if terms is None else np.maximum(terms, np.abs(value))
        off = np.abs(self.g[layer][which] - value)
        return bool(np.all(np.isfinite(value) & (off <= self.room(layer, size))))


@dataclass(frozen=True)
class Frame:
    """What does not depend on the engine's answer.

    Attributes:
        symbols: of the problem.
        right: the right gradient in float64.
        bound: its rounding bound R.
        kappa, least: as in `Seen`.
    """

    symbols: Symbols
    right: Array
    bound: Array
    kappa: dict[int, Array]
    least: float

    @classmethod
    def of(cls, problem: Problem, arithmetic: str) -> Frame:
        """Compute them for a class of arithmetic."""
        s = Symbols.of(problem)
        right = s.right()
        blocks = [blocks_of(right, layer, right.delta[layer]) for layer in range(1, s.L + 1)]
        R = gradient_bound(problem, arithmetic)
        bounds = in_blocks(problem, R)
        kappa = {
            layer: _kappa(bounds[layer], terms_of(right, layer, right.delta[layer]))
            for layer in range(1, s.L + 1)
        }
        eta = float(np.finfo(problem.dtype).smallest_subnormal)
        flat = np.concatenate([block.ravel() for pair in blocks for block in pair])
        return cls(s, flat, R, kappa, 64 * (s.m + 1) * eta)


def blocks_of(s: Symbols, layer: int, delta: Array) -> Pair:
    """delta^T a_{l-1} and sum_i delta as a column."""
    return delta.T @ s.a[layer - 1], delta.sum(axis=0)[:, None]


def terms_of(s: Symbols, layer: int, delta: Array) -> Pair:
    """|delta|^T |a_{l-1}| and sum_i |delta| as a column."""
    size = np.abs(delta)
    return size.T @ np.abs(s.a[layer - 1]), size.sum(axis=0)[:, None]


def in_blocks(problem: Problem, vector: Array) -> dict[int, Pair]:
    """Cut a vector in the order of the parameters into blocks by layer."""
    parts = {}
    for leaf in structure_of(problem.parameters).leaves:
        parts[leaf.name] = vector[leaf.start : leaf.stop].reshape(leaf.shape)
    layers = range(1, problem.architecture.depth + 1)
    return {layer: (parts[f"W{layer}"], parts[f"b{layer}"][:, None]) for layer in layers}


def arithmetic_of(declared: str, problem: Problem) -> str:
    """Return the class that formulas are compared in: the declared one, else the widest."""
    wide = {"tf32", "bfloat16"}
    is_rounded = declared in wide and dtype_name(problem.dtype) == "float32"
    return declared if declared and (declared not in wide or is_rounded) else "absolute_sigmoid"


def _kappa(bounds: Pair, terms: Pair) -> Array:
    """Return the largest R / T of each row, the largest of all where a row has no terms."""
    R, T = np.hstack(bounds), np.hstack(terms)
    with np.errstate(all="ignore"):
        ratio = np.where(T > 0, R / T, 0.0).max(axis=1, keepdims=True)
    return np.where(ratio > 0, ratio, max(float(ratio.max()), 2.0**-40))
