"""Checks Jacobians by finite differences of every output of a vector function."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from gradcheck.arrays import FloatArray
from gradcheck.checks.contract import REPEATS, Layout, UnderTest
from gradcheck.checks.examine import check_options, default_resolution, examine, repeat_line
from gradcheck.checks.outputs import Columns, Outputs
from gradcheck.differences.bounds import read_bounds
from gradcheck.differences.lines import Lines
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.judging import compare
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Kind
from gradcheck.patterns.causes import likely_cause
from gradcheck.patterns.diagnose import UNKNOWN
from gradcheck.pytree import Leaf, Structure, structure_of

NAMED = 5
"""So many wrong outputs are named by the diagnosis; more have something else in common."""


def check_jacobian(
    F: Callable[[Any], Any],
    jacobian: Callable[[Any], Any],
    x: Any,
    *,
    noise: float | None = None,
    budget: int | None = None,
    resolution: float | None = None,
    seed: int = 0,
    bounds: Any = None,
) -> Outcome:
    """Check that `jacobian` holds the derivative of every output of `F` by every coordinate of x.

    What is said of `check_gradient` holds for every output. Entries are named by output and
    coordinate, ``F[2] by W1[0,3]``.

    Args:
        F: takes x's structure, returns an array of real numbers of any shape.
        jacobian: takes x's structure, returns the same structure with arrays of shape
            F(x).shape + leaf.shape.
        x: a floating-point array, or a dict, list or tuple of them (nested).
        noise: the absolute error of one output of F, if you know it; else each is estimated.
        budget: the most evaluations of F to spend.
        resolution: the relative error that must not go unseen; defaults as `check_gradient`.
        seed: picks the directions along which the noise is sampled, and with a budget the
            order of the coordinates.
        bounds: (lo, hi), which x never leaves, as in `check_gradient`.

    Returns:
        The outcome; `forward_passes` counts evaluations of F, `backward_passes` calls of jacobian.

    Raises:
        TypeError: x is not made of floating-point arrays, or F does not return real numbers.
        ValueError: an argument out of its range, or an F whose shape changes.

    >>> import numpy as np
    >>> def F(x):
    ...     return np.array([x[0] * x[1], np.sin(x[0])])
    >>> def jacobian(x):
    ...     return np.array([[x[1], x[0]], [np.cos(x[0]), 0.0]])
    >>> check_jacobian(F, jacobian, np.array([0.5, 2.0])).verdict.value
    'PASS'
    >>> wrong = check_jacobian(F, lambda x: jacobian(x).T, np.array([0.5, 2.0]))
    >>> [d.name for d in wrong.discrepancies]
    ['F[0] by x[1]', 'F[1] by x[0]']
    """
    check_options(noise, budget, resolution, seed)
    structure = structure_of(x)
    limits = read_bounds(bounds, x, structure)
    outputs = Outputs("F", F, budget)
    lines = Lines(outputs.count, x, bounds=limits)
    shape, outputs.reserve = outputs.shape, REPEATS
    shortest = outputs.first.dtype.itemsize if outputs.first.dtype.kind == "f" else 8
    reached = default_resolution(structure, shortest)
    asked = resolution if resolution is not None else reached
    rows = [_renamed(structure, f"{_indexed('F', shape, k)} by ") for k in range(prod(shape))]
    names = _stacked(rows)
    layout = Layout("jacobian(x)", "the Jacobian by", structure, shape)
    test = UnderTest(lines, jacobian, layout, names, outputs.first, "F")
    columns = Columns(outputs, x, rows, noise, budget, asked, seed, test.notes, limits, test.moved)

    test.latest = lambda: outputs.first

    def witness(g: FloatArray) -> Comparison:
        estimate = columns.estimate(g.reshape(len(rows), structure.size))
        test.noise = columns.bounds_of_noise()
        return compare(names, g, estimate, resolution=asked, outputs=len(rows))

    def diagnosis(comparison: Comparison) -> str:
        return _diagnosis(comparison, structure, shape)

    outcome = examine(test, witness, resolution=asked, budget=budget, diagnosis=diagnosis)
    options = {"noise": noise, "budget": budget, "resolution": resolution}
    repeat = repeat_line("check_jacobian(F, jacobian, x", **options, seed=seed)
    return replace(outcome, forward_passes=outputs.evaluations, repeat=repeat)


def _indexed(name: str, shape: tuple[int, ...], k: int) -> str:
    """Name output k of an array: ``F[1,2]``; ``F`` where there is but one number."""
    if not shape:
        return name
    return f"{name}[{','.join(str(int(i)) for i in np.unravel_index(k, shape))}]"


def _renamed(structure: Structure, prefix: str) -> Structure:
    leaves = (replace(leaf, name=prefix + leaf.name) for leaf in structure.leaves)
    return Structure(tuple(leaves))


def _stacked(rows: Sequence[Structure]) -> Structure:
    """Put the structures of several outputs one after the other."""
    leaves, start = [], 0
    for row in rows:
        leaves += [replace(leaf, start=start + leaf.start) for leaf in row.leaves]
        start += row.size
    return Structure(tuple(leaves))


def _diagnosis(comparison: Comparison, structure: Structure, shape: tuple[int, ...]) -> str:
    """Read the entries as matrices dF/dleaf, a row an output; name outputs that are wrong alone."""
    K, N, c = prod(shape), structure.size, comparison
    if not np.any(c.kind == Kind.FAILED):
        return ""
    entries = np.arange(K * N).reshape(K, N)
    order = np.concatenate(
        [entries[:, leaf.start : leaf.stop].reshape(-1) for leaf in structure.leaves]
    )
    leaves = (
        Leaf(f"dF/d{leaf.name}", (K, leaf.size), leaf.dtype, K * leaf.start, K * leaf.size)
        for leaf in structure.leaves
    )
    matrices = replace(
        c,
        structure=Structure(tuple(leaves)),
        engine=c.engine[order],
        oracle=c.oracle[order],
        bound=c.bound[order],
        allowance=c.allowance[order],
        kind=c.kind[order],
    )
    wrong = np.flatnonzero((c.kind == Kind.FAILED).reshape(K, N).any(axis=1))
    told = [likely_cause(matrices, otherwise="")]
    if 0 < len(wrong) < K and len(wrong) <= NAMED:
        told.append("only in " + ", ".join(_indexed("F", shape, int(k)) for k in wrong))
    return "; ".join(part for part in told if part) or UNKNOWN
