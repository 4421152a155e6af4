r"""Right engines that compute in different ways, and engines of wider classes of arithmetic.

One engine, `Variant`, made of parts that are chosen by name. The right ones show whether a verdict
ever accuses a right engine; the others, whether the class of an engine is recognised.

Symbols, for layers l = 1..L and m examples, which are rows; sums run over k:

    X, Y             inputs (m, n_0) and targets (m, n_L);  a_0 = X
    W_l, b_l         weights (n_l, n_{l-1}) and biases (n_l,)
    z_l, a_l         pre-activations and activations sigma(z_l), (m, n_l)
    s_l              slope sigma'(z_l)
    r                residual, sigma(z_L) - Y
    delta_l          dC/dz_l, (m, n_l);   M = m for `mean`, 1 for `sum`

Forward:   z_l = a_{l-1} W_l^T + b_l,   a_l = sigma(z_l)
Backward:  delta_L = r / M  (cross-entropy)  or  r s_L / M  (quadratic)
           delta_{l-1} = (delta_l W_l) s_{l-1}
           dC/dW_l = delta_l^T a_{l-1},   dC/db_l = 1^T delta_l

Everything is computed in the problem's dtype, but for fused multiply-add, which rounds to it, and
numpy's own sums of float16 (`blas`, `pairwise`), which accumulate in float32.

    >>> CORRECT["pairwise"]().info.arithmetic, WIDER["tf32"]().info.arithmetic
    ('cancellation_free', 'tf32')
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from gradcheck.arrays import Array
from gradcheck.engines.base import EngineInfo, Unsupported
from gradcheck.problem import LOSSES, REDUCTIONS, Gradient, Problem, require_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gradcheck.engines.base import Engine

    Product: TypeAlias = Callable[[Array, Array], Array]
    Function: TypeAlias = Callable[[Array], Array]

DTYPES = ("float16", "float32", "float64")

BLOCK = 8
"""Terms in a block of the sum `blocked`."""

GOLDEN = 0.6180339887498949
"""(sqrt 5 - 1) / 2: the order of k GOLDEN mod 1 leaves no two neighbours beside each other."""


# ---------------------------------------------------------------- the order of a sum: A (m, n) by B


def sum_blas(A: Array, B: Array) -> Array:
    """A @ B, as numpy does it."""
    product: Array = A @ B
    return product


def sum_forward(A: Array, B: Array) -> Array:
    """Term by term, first to last."""
    return in_order(A, B, range(A.shape[1]))


def sum_reversed(A: Array, B: Array) -> Array:
    """Term by term, last to first."""
    return in_order(A, B, range(A.shape[1])[::-1])


def sum_shuffled(A: Array, B: Array) -> Array:
    """Term by term, in the order of k GOLDEN mod 1."""
    return in_order(A, B, np.argsort(np.arange(A.shape[1]) * GOLDEN % 1).tolist())


def sum_blocked(A: Array, B: Array) -> Array:
    """Blocks of 8 neighbours, each first to last, then the blocks' sums first to last."""
    starts = range(0, A.shape[1], BLOCK)
    sums = [sum_forward(A[:, k : k + BLOCK], B[k : k + BLOCK]) for k in starts]
    total: Array = sum(sums[1:], start=sums[0])
    return total


def sum_pairwise(A: Array, B: Array) -> Array:
    """As numpy adds contiguous terms: halves of halves down to 128, eight by eight in there."""
    terms = np.ascontiguousarray(A[:, None, :] * B.T[None, :, :])
    total: Array = terms.sum(axis=2, dtype=A.dtype)
    return total


def sum_fused(A: Array, B: Array) -> Array:
    """Fused multiply-add, first to last: total = round(total + A_ik B_kj), rounded once.

    For float16 and float32. Their products are exact in float64, and the sum with them, rounded
    to odd there, rounds to the narrower dtype as the exact sum does (Boldo and Melquiond 2008,
    IEEE Trans. Computers 57(4), section 3).
    """
    total = np.zeros((A.shape[0], B.shape[1]), A.dtype)
    X, Y = A.astype(np.float64), B.astype(np.float64)
    for k in range(A.shape[1]):
        total = add_to_odd(total.astype(np.float64), X[:, k, None] * Y[k]).astype(A.dtype)
    return total


def in_order(A: Array, B: Array, order: Iterable[int]) -> Array:
    """Accumulate A_ik B_kj over k in the given order."""
    first, *rest = order
    total: Array = A[:, first, None] * B[first]
    for k in rest:
        total = total + A[:, k, None] * B[k]
    return total


def add_to_odd(x: Array, y: Array) -> Array:
    """Add float64 numbers: the exact sum, or of its two neighbours the one with an odd last bit.

    s = round(x + y) and its error, exactly (Knuth's TwoSum); an even s moves one step to the error.
    """
    s = x + y
    of_y = s - x
    error = (x - (s - of_y)) + (y - of_y)
    even = (s.view(np.int64) & 1) == 0
    odd: Array = np.where(
        even & (np.abs(error) > 0), np.nextafter(s, np.copysign(np.inf, error)), s
    )
    return odd


SUMS: dict[str, Product] = {
    "blas": sum_blas,
    "forward": sum_forward,
    "reversed": sum_reversed,
    "shuffled": sum_shuffled,
    "blocked": sum_blocked,
    "pairwise": sum_pairwise,
    "fused": sum_fused,
}


# ------------------------------------------------------------------- the format of products' inputs


def unrounded(x: Array) -> Array:
    """As they are."""
    return x


def to_tf32(x: Array) -> Array:
    """10 explicit bits of the significand, the exponents of float32."""
    return without_last_bits(x, 13)


def to_bfloat16(x: Array) -> Array:
    """7 explicit bits of the significand, the exponents of float32."""
    return without_last_bits(x, 16)


def without_last_bits(x: Array, dropped: int) -> Array:
    """Round float32 to the nearest number whose last bits are 0, to even where two are nearest.

    Sign, exponent and significand are one integer, which carries into the exponent as it should.
    """
    bits = np.ascontiguousarray(x).view(np.uint32).astype(np.uint64)
    last = (bits >> np.uint64(dropped)) & np.uint64(1)
    rounded = bits + last + np.uint64((1 << (dropped - 1)) - 1)
    kept = (rounded >> np.uint64(dropped) << np.uint64(dropped)).astype(np.uint32)
    result: Array = np.where(np.isfinite(x), kept.view(np.float32), x)
    return result


PRODUCTS: dict[str, Function] = {"exact": unrounded, "tf32": to_tf32, "bfloat16": to_bfloat16}


# -------------------------------------------------------------------------------------- the sigmoid


def sigmoid_naive(z: Array) -> Array:
    """1 / (1 + e^-z), where e^-z may overflow and the answer be 0."""
    result: Array = 1 / (1 + np.exp(-z))
    return result


def sigmoid_stable(z: Array) -> Array:
    """1 / (1 + e) for z >= 0 and e / (1 + e) below, e = e^-|z|."""
    e = np.exp(-np.abs(z))
    return np.where(z >= 0, 1 / (1 + e), e / (1 + e))


def sigmoid_exp_ratio(z: Array) -> Array:
    """e^z / (1 + e^z) for both signs, with z held below log(largest) - 1 lest e^z overflow.

    There 1 - sigma(z) is e / largest at most, below u / 10 in all three dtypes.
    """
    e = np.exp(np.minimum(z, float(np.log(np.float64(np.finfo(z.dtype).max))) - 1))
    result: Array = e / (1 + e)
    return result


def sigmoid_tanh(z: Array) -> Array:
    """(1 + tanh(z/2)) / 2: of absolute accuracy only."""
    result: Array = (1 + np.tanh(z / 2)) / 2
    return result


SIGMOIDS: dict[str, Function] = {
    "naive": sigmoid_naive,
    "stable": sigmoid_stable,
    "exp_ratio": sigmoid_exp_ratio,
    "tanh": sigmoid_tanh,
}


# ---------------------------------------------------------------------------------------- the slope


def two_sigmoids(z: Array, sigma: Function) -> Array:
    """sigma(z) sigma(-z)."""
    s: Array = sigma(z) * sigma(-z)
    return s


def exponential(z: Array, sigma: Function) -> Array:  # noqa: ARG001  (as the other slopes)
    """The form e / (1 + e)^2, e = e^-|z|."""
    e = np.exp(-np.abs(z))
    s: Array = e / ((1 + e) * (1 + e))
    return s


def a_one_minus_a(z: Array, sigma: Function) -> Array:
    """The form a (1 - a), which cancels for z > 0."""
    a = sigma(z)
    s: Array = a * (1 - a)
    return s


SLOPES: dict[str, Callable[[Array, Function], Array]] = {
    "two_sigmoids": two_sigmoids,
    "exponential": exponential,
    "a_one_minus_a": a_one_minus_a,
}


# --------------------------------------------------------------- the residual, and the loss with it


def softplus(z: Array) -> Array:
    """log(1 + e^z) = max(z, 0) + log1p(e^-|z|)."""
    result: Array = np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))
    return result


def residual_cancellation_free(z: Array, y: Array, sigma: Function, eps: float) -> Array:  # noqa: ARG001  (as the other residuals)
    """(1 - y) sigma(z) - y sigma(-z)."""
    r: Array = (1 - y) * sigma(z) - y * sigma(-z)
    return r


def cross_entropy_softplus(z: Array, y: Array, sigma: Function, eps: float) -> Array:  # noqa: ARG001  (as the other losses)
    """(1 - y) softplus(z) + y softplus(-z)."""
    entries: Array = (1 - y) * softplus(z) + y * softplus(-z)
    return entries


def residual_p_minus_y(z: Array, y: Array, sigma: Function, eps: float) -> Array:  # noqa: ARG001  (as the other residuals)
    """The difference p - y, p = sigma(z)."""
    return sigma(z) - y


def cross_entropy_logits(z: Array, y: Array, sigma: Function, eps: float) -> Array:  # noqa: ARG001  (as the other losses)
    """max(z, 0) - y z + log1p(e^-|z|)."""
    result: Array = np.maximum(z, 0) - y * z + np.log1p(np.exp(-np.abs(z)))
    return result


def clip_limits(p: Array, eps: float) -> tuple[Array, Array]:
    """Return eps and 1 - eps in the dtype of p."""
    low = np.asarray(eps, p.dtype)
    return low, 1 - low


def residual_clipped(z: Array, y: Array, sigma: Function, eps: float) -> Array:
    """The derivative of the clipped loss: 0 where p is clipped, by the chain rule elsewhere.

    dC/dz = [(1 - y) / (1 - p) - y / p] p (1 - p) for eps <= p <= 1 - eps.
    """
    p = sigma(z)
    low, high = clip_limits(p, eps)
    inside = (low <= p) & (p <= high)
    p = np.clip(p, low, high)
    return np.where(inside, ((1 - y) / (1 - p) - y / p) * (p * (1 - p)), np.zeros_like(p))


def cross_entropy_clipped(z: Array, y: Array, sigma: Function, eps: float) -> Array:
    """-(y log p + (1 - y) log(1 - p)) of p = sigma(z) clipped to [eps, 1 - eps]."""
    p = sigma(z)
    p = np.clip(p, *clip_limits(p, eps))
    result: Array = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    return result


Output: TypeAlias = "Callable[[Array, Array, Function, float], Array]"

RESIDUALS: dict[str, tuple[Output, Output]] = {
    "cancellation_free": (residual_cancellation_free, cross_entropy_softplus),
    "p_minus_y": (residual_p_minus_y, cross_entropy_logits),
    "clipped": (residual_clipped, cross_entropy_clipped),
}
"""r and the cross-entropy, entry by entry, of (z, y, sigma, eps)."""

BIASES = ("added", "as_weight")
MEANS = ("delta_divided", "delta_times_reciprocal", "gradient_divided")


# --------------------------------------------------------------------------------------- the engine


@dataclass(frozen=True)
class Variant:
    """A backpropagation engine made of parts.

    Attributes:
        name: what it is called in reports.
        sums: a name in SUMS: how every product of matrices is added up, forward and backward.
        sigmoid: a name in SIGMOIDS.
        residual: a name in RESIDUALS, which also says how the cross-entropy is computed.
        slope: a name in SLOPES.
        products: a name in PRODUCTS: what the inputs of every product of matrices are rounded to.
        bias: "added" to the product, or "as_weight" of one more input, which is always 1.
        mean: where M comes in: delta_L / M, delta_L (1 / M), or every gradient / M.
        eps: where the residual "clipped" clips probabilities.

    Raises:
        TypeError: a part's name that is not text.
        ValueError: an unknown part; an eps outside (0, 1/2); parts that together are of no class:
            tanh with residual "cancellation_free", or rounded products with bias "as_weight".

    >>> Variant("mine", sums="reversed", slope="a_one_minus_a").info.arithmetic
    'p_minus_y'
    """

    name: str
    sums: str = "blas"
    sigmoid: str = "stable"
    residual: str = "cancellation_free"
    slope: str = "two_sigmoids"
    products: str = "exact"
    bias: str = "added"
    mean: str = "delta_divided"
    eps: float = 1e-7

    def __post_init__(self) -> None:
        require_name("sums", self.sums, tuple(SUMS))
        require_name("sigmoid", self.sigmoid, tuple(SIGMOIDS))
        require_name("residual", self.residual, tuple(RESIDUALS))
        require_name("slope", self.slope, tuple(SLOPES))
        require_name("products", self.products, tuple(PRODUCTS))
        require_name("bias", self.bias, BIASES)
        require_name("mean", self.mean, MEANS)
        if not 0 < self.eps < 0.5:
            raise ValueError(f"eps={self.eps}; it must be in (0, 1/2)")
        if self.sigmoid == "tanh" and self.residual == "cancellation_free":
            raise ValueError("sigmoid='tanh' cancels; residual must not be 'cancellation_free'")
        if self.products != "exact" and self.bias == "as_weight":
            raise ValueError(f"products={self.products!r} would round the bias; it must be 'added'")

    @cached_property
    def info(self) -> EngineInfo:
        """What its parts make of it: the class of arithmetic, the dtypes, the losses."""
        return EngineInfo(
            self.name,
            np.__version__,
            self._dtypes,
            ("cross_entropy",) if self.residual == "clipped" else LOSSES,
            REDUCTIONS,
            arithmetic=self._arithmetic,
        )

    def loss(self, problem: Problem) -> float:
        """Compute the loss in one forward pass.

        Raises:
            Unsupported: a dtype or loss not in `info`.
        """
        self._require_supported(problem)
        with np.errstate(all="ignore"):
            return self._loss(problem, self._pre_activations(problem)[-1])

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and the gradient.

        Raises:
            Unsupported: a dtype or loss not in `info`.
        """
        self._require_supported(problem)
        with np.errstate(all="ignore"):
            z = self._pre_activations(problem)
            return self._loss(problem, z[-1]), self._gradient(problem, z)

    def close(self) -> None:
        """Do nothing: it holds nothing."""

    # z_l = a_{l-1} W_l^T + b_l
    def _pre_activations(self, problem: Problem) -> list[Array]:
        z: list[Array] = []
        a = problem.inputs
        for W, b in zip(problem.weights, problem.biases, strict=True):
            if self.bias == "added":
                z.append(self._product(a, W.T) + b)
            else:
                one = np.ones((len(a), 1), a.dtype)
                z.append(self._product(np.hstack([a, one]), np.vstack([W.T, b])))
            a = self._sigma(z[-1])
        return z

    # delta_{l-1} = (delta_l W_l) s_{l-1},  dC/dW_l = delta_l^T a_{l-1},  dC/db_l = 1^T delta_l
    def _gradient(self, problem: Problem, z: list[Array]) -> Gradient:
        delta = self._delta_L(problem, z[-1])
        gradient: Gradient = []
        for i in reversed(range(len(z))):  # layer l = i + 1
            a = self._sigma(z[i - 1]) if i else problem.inputs
            gradient.append((self._product(delta.T, a), self._column_sums(delta)))
            if i:
                delta = self._product(delta, problem.weights[i]) * self._slope(z[i - 1])
        M = _divisor(problem)
        if self.mean == "gradient_divided":
            gradient = [(dW / M, db / M) for dW, db in gradient]
        return gradient[::-1]

    # delta_L = r / M  or  r s_L / M
    def _delta_L(self, problem: Problem, z: Array) -> Array:  # noqa: N802  (the symbol)
        delta = self._residual(problem, z)
        if problem.architecture.loss == "quadratic":
            delta = delta * self._slope(z)
        M = _divisor(problem)
        if self.mean == "delta_divided":
            delta = delta / M
        elif self.mean == "delta_times_reciprocal":
            delta = delta * (1 / M)
        return delta

    # C = sum C_ik / M,  C_ik = r^2 / 2  or the cross-entropy
    def _loss(self, problem: Problem, z: Array) -> float:
        if problem.architecture.loss == "quadratic":
            r = self._residual(problem, z)
            entries = r * r / 2
        else:
            _, cross_entropy = RESIDUALS[self.residual]
            entries = cross_entropy(z, problem.targets, self._sigma, self.eps)
        total = self._column_sums(entries.reshape(-1, 1))
        return float(total[0] / _divisor(problem))

    def _residual(self, problem: Problem, z: Array) -> Array:
        residual, _ = RESIDUALS[self.residual]
        return residual(z, problem.targets, self._sigma, self.eps)

    def _sigma(self, z: Array) -> Array:
        return SIGMOIDS[self.sigmoid](z)

    def _slope(self, z: Array) -> Array:
        return SLOPES[self.slope](z, self._sigma)

    def _product(self, A: Array, B: Array) -> Array:
        rounded = PRODUCTS[self.products]
        return SUMS[self.sums](rounded(A), rounded(B))

    def _column_sums(self, x: Array) -> Array:
        sums: Array = SUMS[self.sums](np.ones((1, len(x)), x.dtype), x)[0]
        return sums

    @property
    def _arithmetic(self) -> str:
        """The narrowest class of which every choice of a part is; "" where there is none."""
        if self.residual == "clipped":
            return ""
        if self.products != "exact":
            return self.products
        if self.sigmoid == "tanh":
            return "absolute_sigmoid"
        cancels = self.residual == "p_minus_y" or self.slope == "a_one_minus_a"
        return "p_minus_y" if cancels else "cancellation_free"

    @property
    def _dtypes(self) -> tuple[str, ...]:
        """Those in which the parts are what they say."""
        if self.products != "exact":
            return ("float32",)
        dtypes = [name for name in DTYPES if self.sums != "fused" or name != "float64"]
        if self.residual == "clipped":  # where 1 - eps rounds to 1, log(1 - p) is infinite again
            dtypes = [name for name in dtypes if 1 - np.dtype(name).type(self.eps) < 1]
        return tuple(dtypes)

    def _require_supported(self, problem: Problem) -> None:
        dtype, loss = problem.dtype.name, problem.architecture.loss
        if dtype not in self.info.dtypes:
            raise Unsupported(f"dtype {dtype}; {self.name} takes {', '.join(self.info.dtypes)}")
        if loss not in self.info.losses:
            raise Unsupported(f"loss {loss}; {self.name} takes {', '.join(self.info.losses)}")


def _divisor(problem: Problem) -> Array:
    """M, a number of the problem's dtype."""
    M = problem.batch if problem.architecture.reduction == "mean" else 1
    return np.asarray(M, problem.dtype)


# --------------------------------------------------------------------------------------- the tables


TEXTBOOK = {"sigmoid": "naive", "residual": "p_minus_y", "slope": "a_one_minus_a"}

ROWS: dict[str, dict[str, str]] = {
    "blas": {},
    "naive": {"sums": "forward", "sigmoid": "naive"},
    "exp_ratio": {"sums": "reversed", "sigmoid": "exp_ratio", "bias": "as_weight"},
    "pairwise": {"sums": "pairwise", "slope": "exponential", "mean": "gradient_divided"},
    "blocked": {"sums": "blocked", "sigmoid": "naive", "mean": "delta_times_reciprocal"},
    "shuffled": {"sums": "shuffled", "sigmoid": "exp_ratio", "slope": "exponential"},
    "fused": {"sums": "fused"},
    "textbook": TEXTBOOK,
    "textbook_forward": TEXTBOOK | {"sums": "forward", "mean": "gradient_divided"},
    "textbook_reversed": TEXTBOOK | {"sums": "reversed", "sigmoid": "stable"},
    "textbook_pairwise": TEXTBOOK | {"sums": "pairwise", "sigmoid": "exp_ratio"},
    "textbook_blocked": TEXTBOOK | {"sums": "blocked", "slope": "two_sigmoids"},
    "textbook_shuffled": TEXTBOOK | {"sums": "shuffled", "bias": "as_weight"},
    "textbook_fused": TEXTBOOK | {"sums": "fused", "sigmoid": "stable"},
    "tanh": TEXTBOOK | {"sigmoid": "tanh"},
}

CORRECT: dict[str, Callable[[], Engine]] = {
    name: partial(Variant, name=name, **parts)  # type: ignore[arg-type]  # eps is no part of a row
    for name, parts in ROWS.items()
}
"""Right engines by name, each of the class that it declares."""

CLIPPED = partial(Variant, sigmoid="stable", residual="clipped", slope="a_one_minus_a")

WIDER: dict[str, Callable[[], Engine]] = {
    "tanh": CORRECT["tanh"],
    "clipped_1e-7": partial(CLIPPED, name="clipped_1e-7", eps=1e-7),
    "clipped_1e-12": partial(CLIPPED, name="clipped_1e-12", eps=1e-12),
    "tf32": partial(Variant, name="tf32", residual="p_minus_y", products="tf32"),
    "bfloat16": partial(Variant, name="bfloat16", residual="p_minus_y", products="bfloat16"),
}
"""Engines wider than a (1 - a), and engines of a clipped loss, which no class describes."""


def __getattr__(name: str) -> Callable[[], Engine]:
    """Make every name in CORRECT and WIDER a name of this module, for `py:` engines."""
    try:
        return (CORRECT | WIDER)[name]
    except KeyError:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
