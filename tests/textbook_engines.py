"""Engines as textbooks have them, and with one part replaced: `py:textbook_engines:NAME`."""

import random

import numpy as np

from gradcheck import Unsupported


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e)).astype(z.dtype)


def by_tanh(z):
    return ((1 + np.tanh(z / 2)) / 2).astype(z.dtype)


def a_one_minus_a(z, a):
    return a * (1 - a)


def p_minus_y(p, y, z):
    return p - y


def on_logits(p, y, z):
    return np.logaddexp(0, z) - y * z


def of_every_course(p, y, z):
    return -(y * np.log(p) + (1 - y) * np.log(1 - p))


def build(
    sig=sigmoid, slope=a_one_minus_a, residual=p_minus_y, loss=on_logits, order=None, mean=None
):
    """Make an engine.

    Args:
        sig, slope: sigma(z), and sigma'(z) of z and a.
        residual, loss: dC/dz_L and C, entry by entry, for cross-entropy, of p, y and z.
        order: of the batch in sums, of its size m.
        mean: what a residual is divided by, of m and n_L; it is scaled back.
    """

    def value_and_grad(problem):
        network, (m, n) = problem.architecture, problem.targets.shape
        k = 1 / m if network.reduction == "mean" else 1.0
        zs, acts = [], [problem.inputs]
        for W, b in zip(problem.weights, problem.biases, strict=True):
            zs.append(acts[-1] @ W.T + b)
            acts.append(sig(zs[-1]))
        z, p, y = zs[-1], acts[-1], problem.targets
        with np.errstate(all="ignore"):
            if network.loss == "quadratic":
                value, d = np.sum((p - y) ** 2) / 2 * k, (p - y) * slope(z, p)
            else:
                value, d = np.sum(loss(p, y, z)) * k, residual(p, y, z)
        d, scale = (d * k, 1.0) if mean is None else (d / mean(m, n), mean(m, n) * k)
        i = np.array(order(m)) if order else np.arange(m)
        layers = []
        for layer in range(len(problem.weights) - 1, -1, -1):
            terms = d[i][:, :, None] * acts[layer][i][:, None, :]
            layers.append((np.add.reduce(terms, axis=0) * scale, np.add.reduce(d[i]) * scale))
            if layer:
                d = (d @ problem.weights[layer]) * slope(zs[layer - 1], acts[layer])
        return float(value), layers[::-1]

    return value_and_grad


# --- right ----------------------------------------------------------------------------------------

textbook = build()
tanh = build(sig=by_tanh)
textbook_log = build(loss=of_every_course)
any_order = build(order=lambda m: random.sample(range(m), m))
mean_of_elements = build(mean=lambda m, n: m * n)


def less_its_entropy(p, y, z):
    with np.errstate(all="ignore"):
        return on_logits(p, y, z) + np.nan_to_num(y * np.log(y) + (1 - y) * np.log(1 - y))


less_a_constant = build(loss=less_its_entropy)
"""The gradient is right; the loss is less by the entropy of the targets."""

# --- wrong ----------------------------------------------------------------------------------------

cut_at_15 = build(sig=lambda z: np.where(z > 15, 1, np.where(z < -15, 0, sigmoid(z))))
nan_loss = build(loss=lambda p, y, z: np.nan * z)


def exact_slope(z, a):
    return sigmoid(z) * sigmoid(-z)


def exact_residual(p, y, z):
    return (1 - y) * sigmoid(z) - y * sigmoid(-z)


def _zero_beyond(limit, value):
    return lambda *given: np.where(np.abs(given[-1]) > limit, 0, value(*given))


strict = build(slope=exact_slope, residual=exact_residual)
"""Right, and nothing cancels but the residual of the quadratic loss."""

residual_0_beyond_37 = build(slope=exact_slope, residual=_zero_beyond(37, exact_residual))
"""0 where z > 37 as p - y is, but with all digits below."""

sigmoid_0_below_minus_40 = build(
    sig=lambda z: np.where(z < -40, 0, sigmoid(z)).astype(z.dtype), slope=exact_slope
)
"""As small as the error of a sigmoid of absolute accuracy, which this one is not."""


def kept_in(dtype):
    """The textbook's, with all numbers in a wider format; the gradient is rounded at last."""

    def value_and_grad(problem):
        value, layers = textbook(problem.astype(dtype))
        return value, [(W.astype(problem.dtype), b.astype(problem.dtype)) for W, b in layers]

    return value_and_grad


kept_in_float64, kept_in_longdouble = kept_in(np.float64), kept_in(np.longdouble)


def cut_off_at_20(problem):
    """0 for the residual of float32 problems where z > 20, which rounding in float64 is not."""
    value, layers = kept_in_float64(problem)
    z = float(problem.weights[-1].sum() + problem.biases[-1].sum())
    is_cut = problem.dtype == np.float32 and len(problem.weights) == 1 and z > 20
    return value, [(W * (not is_cut), b * (not is_cut)) for W, b in layers]


def floored(problem):
    """(p - y) / max(p (1 - p), 1e-12) p (1 - p); the loss is right down to log p = -100."""
    network, m = problem.architecture, len(problem.inputs)
    if network.depth > 1 or network.loss != "cross_entropy":
        raise Unsupported("one layer, cross-entropy")
    k = 1 / m if network.reduction == "mean" else 1.0
    with np.errstate(all="ignore"):
        p = 1 / (1 + np.exp(-(problem.inputs @ problem.weights[0].T + problem.biases[0])))
        y = problem.targets
        logs = y * np.maximum(np.log(p), -100) + (1 - y) * np.maximum(np.log(1 - p), -100)
    d = (p - y) / np.maximum(p * (1 - p), 1e-12) * p * (1 - p) * k
    return float(-np.sum(logs) * k), [(d.T @ problem.inputs, d.sum(0))]


def only_its_own_sizes(problem):
    """The textbook's, for one architecture."""
    if problem.architecture.sizes != (3, 4, 2):
        raise Unsupported("3-4-2")
    return textbook(problem)
