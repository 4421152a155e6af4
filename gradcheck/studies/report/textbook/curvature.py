r"""How far a forward difference of a network with one hidden layer may be off, by rigorous bounds.

Symbols: x inputs, a hidden activations, p outputs, y targets in [0, 1], v = W_2; C the mean over
the examples of the cross-entropy, summed over the outputs o. Along one coordinate

    C''(W_1[j,k]) = mean x_k^2 sum_o (p_o (1 - p_o) v_oj^2 sigma'_j^2 + (p_o - y_o) v_oj sigma''_j)
                  <= mean x_k^2 sum_o (v_oj^2 / 64 + |v_oj| / (6 sqrt 3)) = M
    C''(W_2[o,j]) = mean p_o (1 - p_o) a_j^2  <=  1/4 = M

from p (1-p) <= 1/4, sigma' <= 1/4, |sigma''| <= 1/(6 sqrt 3); biases are weights of an input 1. The
bounds hold wherever the coordinate is moved to, so by Taylor's theorem, with evaluations of C off
by at most eps_f,

    |(C(w + h e_j) - C(w)) / h - dC/dw_j|  <=  h M_j / 2 + 2 eps_f / h.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

SIGMOID_SECOND = 1 / (6 * 3**0.5)
"""max |sigma''|, at sigma = 1/2 +- 1/(2 sqrt 3)."""


def second_derivative_bounds(parameters: Sequence[tuple[Array, Array]], X: Array) -> Array:
    """Return M_j of every coordinate in the order W_1, b_1, W_2, b_2, as one vector.

    Args:
        parameters: (W_1, b_1), (W_2, b_2).
        X: inputs, (m, n_0).

    Raises:
        ValueError: a network with another number of layers.
    """
    if len(parameters) != 2:
        raise ValueError(f"a network with {len(parameters)} layers of weights; it must have 2")
    v = parameters[1][0]
    neuron = np.sum(v**2 / 64 + SIGMOID_SECOND * np.abs(v), axis=0)
    W_1 = np.outer(neuron, np.mean(X**2, axis=0))
    output = np.full(v.size + v.shape[0], 1 / 4)
    return np.concatenate([W_1.reshape(-1), neuron, output])


def forward_difference_bounds(M: Array, h: float, noise: float) -> Array:
    """Return h M_j / 2 + 2 eps_f / h."""
    return np.asarray(h * M / 2 + 2 * noise / h)
