r"""Two losses on real data and the points where their gradients vanish.

**A minimum.** Logistic regression on three features of the breast cancer data, in which the
classes overlap, so that the convex loss J has a minimum. With Z = [X, 1], m examples, z_i the rows
of Z and p = sigma(Z theta):

    Hessian  H = Z^T diag(p (1 - p)) Z / m
    |H(theta) - H(theta')| <= T |theta - theta'|,   T = mean |z_i|^3 / (6 sqrt 3)

as |sigma''| <= 1 / (6 sqrt 3), reached where p = 1/2 +- 1 / (2 sqrt 3).

**A saddle.** The sigmoid network of one hidden layer with zero weights, whose output biases are
the logits of the classes' frequencies f. There a_1 = 1/2 and p = f for all examples, so that

    dC/db_2 = mean(p - Y) = 0,   dC/dW_2 = dC/db_2 / 2 = 0,   dC/da_1 = 0 as W_2 = 0:

the whole gradient is zero. Along W_1 = -t e v^T, W_2 = t w e^T, b_2 - t w / 2, e one hidden unit,

    C = C_0 - t^2 sigma_1 / 4 + O(t^4)

with w and v the singular vectors of mean((p - Y) x^T) to its largest singular value sigma_1.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from reference_models import sigmoid_network
from reference_models.datasets import load_breast_cancer, standardise

Array = npt.NDArray[Any]
Parameters = list[tuple[Array, Array]]

FEATURES = ("mean radius", "mean texture", "mean smoothness")


class Convex(NamedTuple):
    """A batch for logistic regression and zero parameters to start from."""

    X: Array
    Y: Array
    start: Parameters


def tumours() -> Convex:
    """Return the standardised features of all examples; label 1 is benign."""
    data = load_breast_cancer()
    X = standardise(data.inputs[:, [data.feature_names.index(name) for name in FEATURES]])
    return Convex(X, data.labels[:, None].astype(float), [(np.zeros((1, X.shape[1])), np.zeros(1))])


def vector(parameters: Parameters) -> Array:
    """Return all parameters, or their derivatives, as one vector."""
    return np.concatenate([block.reshape(-1) for pair in parameters for block in pair])


def parameters_of(theta: Array, like: Parameters) -> Parameters:
    """Return a vector's entries in the shapes of parameters."""
    blocks = [block for pair in like for block in pair]
    parts = np.split(theta, np.cumsum([block.size for block in blocks])[:-1])
    shaped = [part.reshape(block.shape) for part, block in zip(parts, blocks, strict=True)]
    return list(zip(shaped[::2], shaped[1::2], strict=True))


def eigensystem(parameters: Parameters, X: Array) -> tuple[Array, Array]:
    """Return the eigenvalues of the convex loss's Hessian, rising, and its eigenvectors."""
    Z = np.column_stack([X, np.ones(len(X))])
    p = sigmoid_network.forward(parameters, X)
    found = np.linalg.eigh(Z.T @ (p * (1 - p) * Z) / len(X))
    return found.eigenvalues, found.eigenvectors


def rises_around(parameters: Parameters, convex: Convex, h: float) -> tuple[Array, Array]:
    """Return by how much the convex loss rises h away, either way along every eigenvector v_i.

    Returns:
        What was found, and h^2 mu_i / 2, which it is beside a minimum but for the third order.
    """
    mu, v = eigensystem(parameters, convex.X)
    x, J = vector(parameters), convex_loss(parameters, convex)
    here, ways = J(x), [sign * h * v_i for v_i in v.T for sign in (-1, 1)]
    return np.array([J(x + way) - here for way in ways]), np.repeat(h**2 * mu / 2, 2)


def convex_loss(like: Parameters, convex: Convex) -> Callable[[Array], float]:
    """Return the convex loss as a function of one vector."""
    return lambda x: float(sigmoid_network.loss(parameters_of(x, like), convex.X, convex.Y))


def third_derivative_bound(X: Array) -> float:
    """Return T."""
    lengths = np.sqrt(1 + np.sum(X**2, axis=1))
    return float(np.mean(lengths**3) / (6 * 3**0.5))


def saddle(X: Array, Y: Array, hidden: int) -> Parameters:
    """Return the network's parameters at the saddle."""
    f = Y.mean(axis=0)
    zero = [(np.zeros((hidden, X.shape[1])), np.zeros(hidden))]
    return [*zero, (np.zeros((Y.shape[1], hidden)), np.log(f / (1 - f)))]


def saddle_rounding(m: int, outputs: int, hidden: int) -> float:
    """Return what rounding may leave of the gradient's norm at the saddle.

    Each dC/db_2 is a mean of m numbers of size at most 1, each within 8 u, and each of `hidden`
    entries dC/dW_2 beside it half as large; gamma_(m + 10) with one addition and one product more.
    """
    entries = outputs * (1 + hidden / 4)
    return float((m + 10) * 2.0**-53 * entries**0.5)


def down_from_saddle(theta: Parameters, X: Array, Y: Array, t: float) -> tuple[Parameters, float]:
    """Return the parameters at t on the way down, and sigma_1."""
    (W1, b1), (W2, b2) = theta
    slopes = (sigmoid_network.forward(theta, X) - Y).T @ X / len(X)
    w, sigma, v = np.linalg.svd(slopes, full_matrices=False)
    e = np.eye(len(b1))[0]
    W1, W2 = W1 - t * np.outer(e, v[0]), W2 + t * np.outer(w[:, 0], e)
    return [(W1, b1), (W2, b2 - t * w[:, 0] / 2)], float(sigma[0])
