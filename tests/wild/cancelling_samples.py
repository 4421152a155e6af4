"""Functions whose terms cancel at x: their noise is that of the terms, not of the value.

Written as the textbooks have them, not as an expert would; the derivatives beside them do not
cancel. Points lie at several distances from where the terms are equal.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from samples import Sample, generator, some

DISTANCES = (1e-9, 1e-8, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2)

P = np.array([0.1, 0.2, 0.3, 0.4])
"""A distribution."""


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max())
    return e / e.sum()


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


FUNCTIONS: dict[str, tuple[Any, Any, Any]] = {
    "(sqrt(x) - 1)^2": (
        lambda x: np.sum((np.sqrt(x) - 1) ** 2),
        lambda x: (x - 1) / (np.sqrt(x) + 1) / np.sqrt(x), 1.0),
    "exp(x) - 1 - x": (lambda x: np.sum(np.exp(x) - 1 - x), np.expm1, 0.0),
    "1 - cos x": (lambda x: np.sum(1 - np.cos(x)), np.sin, 0.0),
    "x - sin x": (lambda x: np.sum(x - np.sin(x)), lambda x: 2 * np.sin(x / 2) ** 2, 0.0),
    "x - log(1 + x)": (lambda x: np.sum(x - np.log(1 + x)), lambda x: x / (1 + x), 0.0),
    "x - 1 - log x": (lambda x: np.sum(x - 1 - np.log(x)), lambda x: (x - 1) / x, 1.0),
    "(x^2 - 2)^2": (
        lambda x: np.sum((x**2 - 2) ** 2), lambda x: 4 * x * (x**2 - 2), np.sqrt(2.0)),
    "cosh x - 1": (lambda x: np.sum(np.cosh(x) - 1), np.sinh, 0.0),
    "sqrt(1 + x^2) - 1": (
        lambda x: np.sum(np.sqrt(1 + x**2) - 1), lambda x: x / np.sqrt(1 + x**2), 0.0),
    "(1 + x)(1 - x) - 1": (lambda x: np.sum((1 + x) * (1 - x) - 1), lambda x: -2 * x, 0.0),
    "cross-entropy - floor": (
        lambda z: -P @ np.log(_softmax(z)) + P @ np.log(P),
        lambda z: _softmax(z) - P, np.log(P)),
    "binary cross-entropy - floor": (
        lambda z: np.sum(-P * np.log(_sigmoid(z)) - (1 - P) * np.log(1 - _sigmoid(z))
                         + P * np.log(P) + (1 - P) * np.log(1 - P)),
        lambda z: _sigmoid(z) - P, np.log(P / (1 - P))),
    "KL divergence": (
        lambda z: _softmax(z) @ (np.log(_softmax(z)) - np.log(P)),
        lambda z: _softmax(z) * (np.log(_softmax(z) / P)
                                 - _softmax(z) @ np.log(_softmax(z) / P)), np.log(P)),
    "variance E x^2 - (E x)^2": (
        lambda x: np.mean(x**2) - np.mean(x) ** 2,
        lambda x: 2 * (x - x.mean()) / x.size, 1.0),
    "trace - log det - n": (
        lambda x: np.sum(np.exp(x)) - np.sum(x) - x.size, np.expm1, 0.0),
}  # fmt: skip


def samples(*, each: int | None = None, seed: int = 0) -> Iterator[Sample]:
    """Yield each function at points near to where its terms cancel, at one or four numbers."""
    for name, (f, gradient, centre) in FUNCTIONS.items():
        for distance in some(each, list(DISTANCES), name, seed):
            random = generator(name, distance, seed)
            x = np.asarray(centre) + distance * random.standard_normal(4)
            yield Sample(
                "cancelling", "float64", f"{name} at {distance:g}",
                lambda x, f=f: float(f(x)), gradient, x,
            )  # fmt: skip
