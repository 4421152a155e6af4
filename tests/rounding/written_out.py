r"""The bounds of `gradcheck.rounding` as their texts write them, in balls of 200 bits.

Numbers are arrays of `arb`. A bound is written as `Forms`, those that an engine may have, by name:
of each form the terms by name, which add up, and of the forms the greatest counts.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from flint import arb

from gradcheck.problem import Problem

Array = np.ndarray[Any, Any]
Terms = dict[str, Array]
Forms = dict[str, Terms]

of: Callable[[Any], Array] = np.frompyfunc(lambda x: arb(float(x)), 1, 1)
exp: Callable[[Any], Array] = np.frompyfunc(lambda x: arb(x).exp(), 1, 1)
log: Callable[[Any], Array] = np.frompyfunc(lambda x: arb(x).log(), 1, 1)
log1p: Callable[[Any], Array] = np.frompyfunc(lambda x: arb(x).log1p(), 1, 1)
sqrt: Callable[[Any], Array] = np.frompyfunc(lambda x: arb(x).sqrt(), 1, 1)
tanh: Callable[[Any], Array] = np.frompyfunc(lambda x: arb(x).tanh(), 1, 1)
greater: Callable[[Any, Any], Array] = np.frompyfunc(lambda x, y: arb(x).max(arb(y)), 2, 1)
lesser: Callable[[Any, Any], Array] = np.frompyfunc(lambda x, y: arb(x).min(arb(y)), 2, 1)
size: Callable[[Any], Array] = np.frompyfunc(lambda x: abs(arb(x)), 1, 1)

TWO = arb(2)
FORMATS = {  # u, eta, tiny, k_e
    "float16": (TWO**-11, TWO**-24, TWO**-14, 4),
    "float32": (TWO**-24, TWO**-149, TWO**-126, 4),
    "float64": (TWO**-53, TWO**-1074, TWO**-1022, 2),
}
CLASSES = {  # cancels, flushes, log of a sum, k_a, u_g, eta_g
    "cancellation_free": (False, False, False, 0, 0, 0),
    "p_minus_y": (True, False, False, 0, 0, 0),
    "flushed": (True, True, False, 0, 0, 0),
    "log_sum": (True, True, True, 0, 0, 0),
    "absolute_sigmoid": (True, True, True, 3, 0, 0),
    "tf32": (True, True, True, 3, TWO**-11, TWO**-136),
    "bfloat16": (True, True, True, 3, TWO**-8, TWO**-133),
}
K_LOG = 4
ONLY = ""
"""The form of a bound that has one."""


@dataclass(frozen=True)
class Class:
    """A class of algorithms in one format; errors at their largest, or as random numbers."""

    dtype: str
    name: str
    M: int = 1
    random: bool = False

    def __post_init__(self) -> None:
        u, eta, tiny, k_e = FORMATS[self.dtype]
        cancels, flushes, log_sum, k_a, u_g, eta_g = CLASSES[self.name]
        eta = tiny if flushes and self.dtype != "float16" else eta
        told = {"u": u, "eta": eta, "tiny": tiny, "k_e": k_e, "cancels": cancels, "k_a": k_a,
                "log_sum": log_sum, "u_g": arb(u_g), "eta_g": arb(eta_g)}  # fmt: skip
        self.__dict__.update(told)

    def gamma(self, k: Any) -> Any:
        """k u / (1 - k u), or the standard deviation of an error uniform in +-k u."""
        return k * self.u / arb(3).sqrt() if self.random else k * self.u / (1 - k * self.u)

    def total(self, terms: Terms) -> Array:
        """Their sum; or the root of the squares of sums, of those alike before the comma."""
        if not self.random:
            return sum(terms.values(), start=of(0.0))
        kinds: Terms = {}
        for name, term in terms.items():
            kind = name.partition(",")[0]
            kinds[kind] = kinds.get(kind, of(0.0)) + term
        return sqrt(sum(term * term for term in kinds.values()))

    def bound(self, forms: Forms) -> Array:
        """The greatest total."""
        return reduce(greater, map(self.total, forms.values()))


# ------------------------------------------------------------------------------------- bounded.py


def product(c: Class, x: Array, dx: Array, y: Array, dy: Array, b: Array | None) -> Forms:
    """Bound x y + b, n terms each: |x| is at most |x~| + dx, and |x^| dx more."""
    n = x.shape[1] + (b is not None)
    b = of(np.zeros(1)) if b is None else b
    X, Y, ones = size(x) + 2 * dx, size(y) + 2 * dy, of(np.ones(x.shape)) @ of(np.ones(y.shape))
    if c.random:
        return {ONLY: _random_product(c, n, (size(x), dx, size(y), dy), x @ y, b)}
    gamma, u_g = c.gamma(n), c.u_g
    return {
        ONLY: {
            "error of x": dx @ Y,
            "error of y": (size(x) + dx) @ dy,
            "inputs rounded": (2 * u_g + u_g**2) * (X @ Y),
            "sum rounded": (1 + u_g) ** 2 * gamma * (X @ Y),
            "bias rounded": gamma * size(b) * ones / x.shape[1],
            "underflow": (c.eta + c.eta_g) * 2 * n * ones / x.shape[1],
            "underflow of x": (c.eta + c.eta_g) * (of(np.ones(x.shape)) @ Y),
            "underflow of y": (c.eta + c.eta_g) * (X @ of(np.ones(y.shape))),
        }
    }


def _random_product(c: Class, n: int, sizes: tuple[Array, ...], p: Array, b: Array) -> Terms:
    X, dx, Y, dy = sizes
    squares = (X * X) @ (Y * Y)
    V = (dx * dx) @ (Y * Y) + (X * X) @ (dy * dy)
    share = c.u / arb(3).sqrt()
    return {
        "errors": sqrt(V),
        "errors that are equal": sqrt(V * p * p / squares),
        "walk": share * sqrt((1 + arb(n) / 2) * squares),
        "walk with the bias": share * sqrt((1 + arb(n) / 2) * b * b) + 0 * p,
        "drift": share * sqrt(arb(n) / 3 * (p + b) ** 2),
        "inputs rounded": c.u_g * sqrt(2 * squares / 3),
        "underflow": (c.eta + c.eta_g) * arb(n).sqrt() + 0 * p,
    }


def times(c: Class, x: Array, dx: Array, y: Array, dy: Array, k: int) -> Forms:
    """Bound the product entry by entry, and k roundings."""
    return {
        ONLY: {
            "error of x": dx * (size(y) + 2 * dy),
            "error of y": (size(x) + dx) * dy,
            "rounded": c.gamma(k) * (size(x) + 2 * dx) * (size(y) + 2 * dy),
            "underflow": (2 + k) * c.eta + 0 * x,
        }
    }


def scaled(c: Class, x: Array, dx: Array) -> Forms:
    """Bound x / M: 1 / M rounded, and the product with it."""
    if c.M == 1:
        return {ONLY: {"error of x": dx}}
    return {
        ONLY: {
            "error of x": dx / c.M,
            "rounded": c.gamma(2) * (size(x) + 2 * dx) / c.M,
            "underflow": 3 * c.eta + 0 * x,
        }
    }


# ------------------------------------------------------------------------------------- sigmoid.py


def sigma(z: Array) -> Array:
    """1 / (1 + e^-z)."""
    return 1 / (1 + exp(-z))


def increment(z: Array, d: Array) -> Array:
    """E of the text."""
    far = greater(sigma(z + 3 * d) * sigma(2 * d - z), sigma(z + 2 * d) * sigma(3 * d - z))
    return (1 - exp(-d)) * far


def flush(c: Class, z: Array, d: Array) -> Array:
    """f of the text: tiny where e^-|z^| can be below 4 tiny."""
    below = np.array([bool(x > -(4 * c.tiny).log()) for x in (size(z) + 3 * d).ravel()])
    return np.where(below.reshape(z.shape), c.tiny, c.eta)


def activation(c: Class, z: Array, d: Array) -> Forms:
    """Bound the sigmoid: da."""
    a, E = sigma(z), increment(z, d)
    return {
        ONLY: {
            "moved": E,
            "rounded": c.gamma(c.k_e + 2) * a,
            "rounded, moved": c.gamma(c.k_e + 2) * 2 * E,
            "absolute": c.k_a * c.gamma(1) + 0 * z,
            "flushed": 2 * flush(c, z, d),
        }
    }


def slope(c: Class, z: Array, d: Array) -> Forms:
    """Bound the slope: ds."""
    s, E = sigma(z) * sigma(-z), increment(z, d)
    t = tanh((size(z) + d) / 2)
    gamma = c.gamma(c.k_e + 5)
    strict = {
        "moved": E * (t + E),
        "rounded": gamma * s,
        "rounded, moved": gamma * 2 * E * (t + E),
        "flushed": 2 * flush(c, z, d),
    }
    if not c.cancels:
        return {"strict": strict}
    da, ds = c.bound(activation(c, z, d)), c.total(strict)
    cancelling = {
        "moved": da * (t + da),
        "rounded": c.gamma(3) * s,
        "rounded, strict": c.gamma(3) * ds,
        "rounded, moved": c.gamma(3) * da * (t + da),
        "underflow": 2 * c.eta + 0 * z,
    }
    return {"strict": strict, "a (1 - a)": cancelling}


def residual(c: Class, z: Array, d: Array, y: Array) -> Forms:
    """Bound the residual: dr."""
    left, right, E = (1 - y) * sigma(z), y * sigma(-z), increment(z, d)
    B, gamma, f = left + right, c.gamma(c.k_e + 2 + 3), flush(c, z, d)
    strict = {"moved": E, "rounded": gamma * B, "rounded, moved": gamma * 2 * E, "flushed": 2 * f}
    if not c.cancels:
        return {"strict": strict}
    da, dr = c.bound(activation(c, z, d)), c.total(strict)
    p_minus_y = {
        "sigmoid": da,
        "rounded": c.gamma(1) * size(left - right),
        "rounded, strict": c.gamma(1) * dr,
        "rounded, moved": c.gamma(1) * da,
        "underflow": c.eta + 0 * z,
    }
    if not c.log_sum:
        return {"strict": strict, "p - y": p_minus_y}
    far = -c.u.log()
    fixed = c.k_e + K_LOG + 2 + 2 * c.k_e + 5
    gamma = c.gamma(far + fixed) / (far + fixed) * (lesser(size(z) + 2 * d, far) + fixed)
    log_sum = {"moved": E, "rounded": gamma * B, "rounded, moved": gamma * 2 * E, "flushed": 2 * f}
    return {"strict": strict, "p - y": p_minus_y, "log of a sum": log_sum}


# -------------------------------------------------------------------------- clipped.py, floored.py


def clipped(c: Class, z: Array, d: Array, y: Array, epsilon: arb) -> tuple[Array, Forms]:
    """Bound the clipped residual: where it is 0 for certain, and else dr or |r| + 2 dr."""
    p, q, E, f = sigma(z), sigma(-z), increment(z, d), flush(c, z, d)
    forms, dp = residual(c, z, d, y), c.bound(activation(c, z, d))
    dq = c.total({"E": E, "k": c.gamma(c.k_e + 2) * (q + 2 * E), "a": c.k_a * c.gamma(1) + 0 * z,
                  "f": 2 * f})  # fmt: skip
    apart = 4 * c.u * epsilon + 2 * c.eta
    p_min = greater(epsilon - apart, p - 2 * dp)
    q_min = greater(greater(epsilon - apart - c.u, c.u), q - dp - dq)
    if c.cancels:
        B = (1 - y) * p + y * q
        by_division = {
            "sigmoid": dp,
            "rounded": c.gamma(7) * B,
            "rounded, moved": c.gamma(7) * 2 * dp,
            "rounded, moved q": c.gamma(7) * dq,
            "underflow": 3 * c.eta + 0 * z,
            "underflow over p": 3 * c.eta / p_min,
            "underflow over q": 3 * c.eta / q_min,
        }
        forms = forms | {"by division": by_division}
    low, high = epsilon - apart, epsilon + apart
    holds = np.frompyfunc(lambda a, b, c, d: bool(a < b) or bool(c < d), 4, 1)
    zero = holds(p + 2 * dp, low, q + dp + dq, low - c.u).astype(bool)
    both = np.frompyfunc(lambda a, b, c, d: bool(a > b) and bool(c > d), 4, 1)
    inside = both(p - 2 * dp, high, q - dp - dq, high + c.u).astype(bool)
    r, dr = (1 - y) * p - y * q, c.bound(forms)
    strip = {"r": np.where(inside, 0 * r, size(r)), "2 dr": np.where(inside, 0 * r, dr)}
    return zero, {name: form | strip for name, form in forms.items()}


def floored(c: Class, z: Array, d: Array, y: Array, epsilon: arb) -> Forms:
    """Bound the residual with a floored slope: d rho."""
    r, s = (1 - y) * sigma(z) - y * sigma(-z), sigma(z) * sigma(-z)
    dr, ds = c.bound(residual(c, z, d, y)), c.bound(slope(c, z, d))
    high, low = lesser((s + 2 * ds) / epsilon, 1), lesser(greater(s - 2 * ds, 0) / epsilon, 1)
    return {
        ONLY: {
            "residual": dr * high,
            "slope": (size(r) + dr) * (high - low),
            "rounded": c.gamma(7) * size(r) * high,
            "rounded, moved": c.gamma(7) * 2 * dr * high,
            "underflow": 3 * c.eta + 0 * z,
            "underflow over epsilon": 3 * c.eta / epsilon + 0 * z,
        }
    }


# ---------------------------------------------------------------------------------------- loss.py


def softplus(z: Array) -> Array:
    """log(1 + e^z)."""
    return log1p(exp(z))


def log_error(p: Array, d: Array) -> Array:
    """How far log moves from anywhere within d of p to anywhere d away from there."""
    return -log(1 - d / (p - d))


def cross_entropy(
    c: Class, z: Array, d: Array, y: Array, logs: tuple[Array, Array] | None = None
) -> Forms:
    """Bound the cross-entropy of one entry, p > 4 da; or with other errors of its logarithms."""
    r, E = (1 - y) * sigma(z) - y * sigma(-z), increment(z, d)
    dr, da = c.bound(residual(c, z, d, y)), c.bound(activation(c, z, d))
    C, D = (1 - y) * softplus(z) + y * softplus(-z), d * (size(r) + dr + E)
    gamma = c.gamma(c.k_e + 8)
    strict = {
        "moved": D,
        "rounded": gamma * C,
        "rounded, moved": gamma * 2 * D,
        "flushed": 2 * flush(c, z, d),
    }
    if not c.cancels:
        return {"strict": strict}
    logits = strict | {"terms rounded": gamma * 2 * size(z), "terms, moved": gamma * 4 * d}
    p, q = logs or (log_error(sigma(z), da), log_error(sigma(-z), da))
    by_logs = {
        "log p": y * p,
        "log q": (1 - y) * q,
        "rounded": c.gamma(K_LOG + 4) * C,
        "rounded, moved": c.gamma(K_LOG + 4) * D,
        "rounded, logs": c.gamma(K_LOG + 4) * (y * p + (1 - y) * q),
        "1 - a": c.gamma(1) + 0 * z,
        "underflow": 3 * c.eta + 0 * z,
    }
    return {"strict": strict, "logits": logits, "logarithms": by_logs}


# ------------------------------------------------------------------------------------ gradient.py


def gradient(c: Class, problem: Problem) -> Array:
    """Bound every coordinate of the gradient, in the order of the parameters."""
    zs, a, da = [], of(problem.inputs), of(np.zeros(problem.inputs.shape))
    inputs = [(a, da)]
    for weights, biases in zip(problem.weights, problem.biases, strict=True):
        W, b = of(weights.T), of(biases)
        zs.append((a @ W + b, c.bound(product(c, a, da, W, 0 * W, b))))
        a, da = sigma(zs[-1][0]), c.bound(activation(c, *zs[-1]))
        inputs.append((a, da))
    y = of(problem.targets)
    delta, d = (1 - y) * a - y * sigma(-zs[-1][0]), c.bound(residual(c, *zs[-1], y))
    if problem.architecture.loss == "quadratic":
        delta, d = _times_slope(c, delta, d, *zs[-1])
    delta, d = delta / c.M, c.bound(scaled(c, delta, d))
    blocks = []
    ones, zeros = (of(np.full((problem.batch, 1), x)) for x in (1, 0))
    for W in problem.weights[::-1]:
        zs.pop(), inputs.pop()
        blocks += [c.bound(product(c, delta.T, d.T, ones, zeros, None)),
                   c.bound(product(c, delta.T, d.T, *inputs[-1], None))]  # fmt: skip
        if zs:
            back = (delta @ of(W), c.bound(product(c, delta, d, of(W), of(0 * W), None)))
            delta, d = _times_slope(c, *back, *zs[-1])
    return np.concatenate([block.ravel() for block in blocks[::-1]])


def _times_slope(c: Class, x: Array, dx: Array, z: Array, dz: Array) -> tuple[Array, Array]:
    s, ds = sigma(z) * sigma(-z), c.bound(slope(c, z, dz))
    return x * s, c.bound(times(c, x, dx, s, ds, 1))
