r"""What underflow can do to an engine that multiplies from the inputs up, as forward mode does.

With t the derivatives of z_l' and a_l' by one parameter of layer l, for l' = l..L,

    t_a = t_z sigma'(z_l'),    t_z = W_{l'+1} t_a,    dC/dtheta = sum_i dC/dz_L t_z.

A product that underflows errs by eta / 2, sums of subnormal numbers are exact, and what is lost in
t at a_l' or z_l' comes to dC/da_l' or dC/dz_l' times as much in dC/dtheta. With n_{l'-1} products
in each t_z, sums over examples and units, and twice the halves for what rounds these terms,

    U_l = eta [ m n_L + sum_{l <= l' < L} sum |dC/da_l'| + sum_{l' > l} n_{l'-1} sum |dC/dz_l'| ]

(Griewank and Walther 2008, section 3.1, for the accumulation; Higham 2002, section 2.8, for eta.)
The bounds of `gradient` are of products from the loss down, in which the factor of eta is what lies
below. Only a derivative that is itself a subnormal number is changed by either.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.arrays import Float64Array
from gradcheck.rounding.bounded import Worst
from gradcheck.rounding.sigmoid import sigma, sigma_prime

if TYPE_CHECKING:
    from gradcheck.problem import Problem

STRICTEST = "cancellation_free"


@np.errstate(all="ignore")  # a sum that overflows bounds nothing
def underflow_from_below(problem: Problem) -> Float64Array:
    """Return U_l of every derivative, layer by layer, W before b.

    Raises:
        TypeError: a dtype whose rounding is not in the tables.
    """
    eta = Worst.of(problem, STRICTEST).eta
    W = [np.asarray(weights, np.float64) for weights in problem.weights]
    z, a = [], np.asarray(problem.inputs, np.float64)
    for weights, biases in zip(W, problem.biases, strict=True):
        z.append(a @ weights.T + np.asarray(biases, np.float64))
        a = sigma(z[-1])
    delta = _delta(problem, z[-1])
    lost = eta * delta.size
    parts: list[Float64Array] = []
    for l in range(len(W), 0, -1):  # noqa: E741  (the layer's symbol)
        n, n_below = W[l - 1].shape
        if l < len(W):
            above = W[l].shape[1] * np.sum(np.abs(delta))
            dC_da = delta @ W[l]
            lost += eta * float(np.ceil(above + np.sum(np.abs(dC_da))))
            delta = dC_da * sigma_prime(z[l - 1])
        parts.append(np.full(n * n_below + n, lost))
    return np.concatenate(parts[::-1])


def _delta(problem: Problem, z: Float64Array) -> Float64Array:
    """Return dC/dz_L."""
    Y = np.asarray(problem.targets, np.float64)
    residual = (1 - Y) * sigma(z) - Y * sigma(-z)
    if problem.architecture.loss == "quadratic":
        residual = residual * sigma_prime(z)
    is_mean = problem.architecture.reduction == "mean"
    return np.asarray(residual / problem.batch if is_mean else residual)
