"""Checks Hessian-vector products by finite differences of the gradient.

Symbols: x the point, v the direction, grad f the gradient; the product is the Jacobian of one
column

    H v = d/dt grad f(x + t v)   at t = 0

(Pearlmutter 1994, section 2). With w = 2^e v, 2^e chosen so that w is about as large as x, the
witness is the derivative of grad f(x + t w), over 2^e. The sum x + t w is rounded: to the noise
of the gradient is added what that rounding does to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from gradcheck.arrays import Array, FloatArray, as_array, like
from gradcheck.checks.contract import REPEATS, DefectError, Layout, UnderTest
from gradcheck.checks.examine import check_options, default_resolution, examine, repeat_line
from gradcheck.checks.outputs import Columns, Outputs
from gradcheck.differences.lines import Lines
from gradcheck.differences.noise import UNDERESTIMATE
from gradcheck.outcomes.comparison import Comparison
from gradcheck.outcomes.judging import compare
from gradcheck.outcomes.outcome import Outcome
from gradcheck.pytree import (
    Leaf,
    Structure,
    arrays_like,
    copy_of,
    named_leaves,
    originals_of,
    structure_of,
    with_leaves,
)
from gradcheck.splitmix64 import Stream

ROUNDINGS = 4
"""Random roundings of x whose effect on the gradient is looked at."""


def check_hessian_vector_product(
    gradient: Callable[[Any], Any],
    product: Callable[[Any, Any], Any],
    x: Any,
    v: Any,
    *,
    noise: float | None = None,
    budget: int | None = None,
    resolution: float | None = None,
    seed: int = 0,
) -> Outcome:
    """Check that `product(x, v)` is the derivative of `gradient` at x in the direction v.

    The witness is `gradient`, which is believed: check it first. If it is a gradient, its
    derivative is the Hessian. Every coordinate of H v is compared under a bound of its own and
    named ``(H v) at W1[0,3]``.

    Args:
        gradient: takes x's structure, returns the same structure of derivatives.
        product: takes x and v, returns x's structure.
        x: a floating-point array, or a dict, list or tuple of them (nested).
        v: the direction, in x's structure.
        noise: the absolute error of one coordinate of the gradient, if you know it; else each
            is estimated.
        budget: the most calls of gradient to spend.
        resolution: the relative error that must not go unseen; defaults as `check_gradient`.
        seed: picks the points at which the noise is sampled.

    Returns:
        The outcome; `forward_passes` counts calls of gradient, `backward_passes` those of product.

    Raises:
        TypeError: x or v is not made of floating-point arrays, or gradient does not return real
            numbers.
        ValueError: a number out of its range, or a v that is not of x's structure or not finite.

    >>> import numpy as np
    >>> A = np.array([[2.0, 1.0], [1.0, 3.0]])   # f = x.A x / 2
    >>> x, v = np.array([1.0, 1.0]), np.array([1.0, -1.0])
    >>> check_hessian_vector_product(lambda x: A @ x, lambda x, v: A @ v, x, v).verdict.value
    'PASS'
    >>> triangle = np.triu(A)   # half of the symmetric part is missing
    >>> wrong = check_hessian_vector_product(lambda x: A @ x, lambda x, v: triangle @ v, x, v)
    >>> [d.name for d in wrong.discrepancies]
    ['(H v) at x[1]']
    """
    check_options(noise, budget, resolution, seed)
    structure = structure_of(x)
    direction = _direction(structure, v)
    layout = Layout("product(x, v)", "the product at", structure)
    gradients = Outputs("gradient", _gradient_vector(gradient, structure), budget)
    lines = Lines(lambda pair: gradients.count(pair["x"]), {"x": x, "v": v})
    gradients.reserve = REPEATS
    ray = _Ray(gradients, x, direction)
    asked = resolution if resolution is not None else default_resolution(structure)
    renamed = (replace(leaf, name=f"(H v) at {leaf.name}") for leaf in structure.leaves)
    names = Structure(tuple(renamed))
    test = UnderTest(lines, _on_pair(product), layout, names, gradients.first, "gradient")
    along = Outputs("gradient", ray, None)
    columns = Columns(along, ray.start, _split(names), noise, budget, asked, seed, test.notes)

    test.latest = lambda: gradients.first

    def witness(g: FloatArray) -> Comparison:
        rounding = ray.rounding_noise(Stream(seed, "check"))
        estimate = columns.estimate(ray.unit * g[:, None], rounding)
        test.noise = columns.bounds_of_noise()
        if not direction.any():
            estimate.reach[:] = 0  # nothing was moved
        estimate.value, estimate.bound = estimate.value / ray.unit, estimate.bound / ray.unit
        return compare(names, g, estimate, resolution=asked)

    outcome = examine(test, witness, resolution=asked, budget=budget)
    options = {"noise": noise, "budget": budget, "resolution": resolution}
    repeat = repeat_line(
        "check_hessian_vector_product(gradient, product, x, v", **options, seed=seed
    )
    return replace(outcome, forward_passes=gradients.evaluations, repeat=repeat)


class _Ray:
    """t -> gradient(x + t w), w = unit v: as far as v goes, t moves x by about its own size.

    Attributes:
        unit: a power of two.
        start: t = 0, as the point of a function of one coordinate.
    """

    def __init__(self, gradients: Outputs, x: Any, v: FloatArray) -> None:
        self._gradients = gradients
        self._point, leaves = copy_of(x)
        self._originals = originals_of(x)
        self._arrays = leaves
        self._leaves = [leaf.reshape(-1) for leaf in leaves]
        self._saved = [leaf.copy() for leaf in self._leaves]
        self._x = np.concatenate([leaf.astype(v.dtype) for leaf in self._saved] or [v])
        self.unit = _power_of_two(self._x) / _power_of_two(v)
        self._w = self.unit * v
        self.start = np.zeros(1, dtype=v.dtype)

    def __call__(self, t: FloatArray) -> FloatArray:
        return self._gradient_at(self._x + t[0] * self._w)

    def rounding_noise(self, stream: Stream) -> FloatArray:
        """Return what rounding x + t w does to each coordinate of the gradient.

        Rounding moves x_j by r_j, |r_j| <= ulp(x_j) / 2, where v_j is not 0. Its effect
        sum_j H_kj r_j has at most the variance sum_j (H_kj ulp(x_j) / 2)^2, and so has that of
        ulp(x_j) / 2 with random signs, which is sampled (with whole ulps, then halved).
        """
        ulps = np.concatenate([np.abs(np.spacing(leaf)) for leaf in self._saved] or [self._x])
        ulps = np.where(self._w != 0, ulps.astype(self._w.dtype), 0)
        here = self._gradient_at(self._x)
        squares = np.zeros(len(here))
        for _ in range(ROUNDINGS):
            signs = stream.signs(len(ulps))
            squares += (self._gradient_at(self._x + signs * ulps) - here).astype(float) ** 2
        rms = np.sqrt(squares / ROUNDINGS)
        return UNDERESTIMATE * np.nan_to_num(rms, nan=np.inf, posinf=np.inf) / 2

    def _gradient_at(self, vector: FloatArray) -> FloatArray:
        start = 0
        for leaf in self._leaves:
            leaf[...] = vector[start : start + leaf.size]
            start += leaf.size
        pairs = zip(self._originals, self._arrays, strict=True)
        return self._gradients(with_leaves(self._point, [like(o, a.copy()) for o, a in pairs]))


def _power_of_two(vector: FloatArray) -> float:
    """Return the power of two at or below the largest |entry|, or 1 where all are 0."""
    largest = float(np.max(np.abs(vector), initial=0.0)) or 1.0
    return float(np.exp2(np.floor(np.log2(largest))))


def _gradient_vector(
    gradient: Callable[[Any], Any], structure: Structure
) -> Callable[[Any], FloatArray]:
    layout = Layout("gradient(x)", "the gradient of", structure)

    def vector(x: Any) -> FloatArray:
        try:
            return layout.vector(gradient(x))
        except DefectError as defect:
            raise ValueError(f"gradient is no gradient at x: {defect.detail}") from None

    return vector


def _direction(structure: Structure, v: Any) -> FloatArray:
    """Lay v out as one vector in the order of x, in the precision that t is held in."""
    given: dict[str, Array] = {}
    for i, part in arrays_like(structure.tree, v, "v"):
        leaf = structure.leaves[i]
        called = "v" if len(structure.leaves) == 1 else f"v at {leaf.name}"
        ((_, given[leaf.name]),) = named_leaves(as_array(part, called), called)
    shapes = {name: array.shape for name, array in given.items()}
    expected = {leaf.name: leaf.shape for leaf in structure.leaves}
    if shapes != expected:
        raise ValueError(f"v has arrays of shapes {shapes}, but x has {expected}")
    dtypes = {leaf.dtype for leaf in structure.leaves} | {array.dtype for array in given.values()}
    dtype = np.longdouble if np.dtype(np.longdouble) in dtypes else np.float64
    parts = [array.reshape(-1).astype(dtype) for array in given.values()]
    vector = np.concatenate(parts or [np.empty(0)])
    bad = np.flatnonzero(~np.isfinite(vector))
    if bad.size:
        raise ValueError(
            f"v must be finite, but is {vector[bad[0]]} at {structure.name(int(bad[0]))}"
        )
    return vector


def _on_pair(product: Callable[[Any, Any], Any]) -> Callable[[Any], Any]:
    return lambda pair: product(pair["x"], pair["v"])


def _split(structure: Structure) -> list[Structure]:
    """Make a structure of its own of every coordinate."""
    return [
        Structure((Leaf(structure.name(k), (), structure.leaf_of(k).dtype, 0, 1),))
        for k in range(structure.size)
    ]
