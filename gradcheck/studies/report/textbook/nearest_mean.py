"""Classifies by the nearest class mean, which takes no training.

What training has found is good only if it tells more held-out examples right than this does.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def right_by_nearest_mean(X: Array, Y: Array, test: Array, labels: Array) -> int:
    """Count the examples whose nearest mean is that of their class.

    Args:
        X: the examples that the means are taken over.
        Y: their classes: one column of 0 and 1, or one column a class.
        test: examples to classify.
        labels: their classes, from 0.

    >>> X, Y = np.array([[0.0], [2.0], [8.0]]), np.array([[0.0], [0.0], [1.0]])
    >>> right_by_nearest_mean(X, Y, np.array([[4.0], [5.0], [5.0]]), np.array([0, 1, 0]))
    2
    """
    of_class = Y if Y.shape[1] > 1 else np.column_stack([1 - Y, Y])
    means = of_class.T @ X / of_class.sum(axis=0)[:, None]
    away = np.sum((test[:, None] - means) ** 2, axis=2)
    return int(np.sum(np.argmin(away, axis=1) == labels))
