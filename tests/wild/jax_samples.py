"""JAX's functions in 64 bits: jax.nn, jax.scipy.special and jnp.linalg, with its own gradients.

Every function stands here with what its arguments are made of; points are drawn on several scales.
What is left out, and why:

- functions of integers only (bernoulli, factorial, gammasgn, one_hot, matrix_rank), and those that
  need special formats (scaled_matmul): there is nothing to differentiate;
- eig and eigvals: JAX does not differentiate eigenvectors of matrices without symmetry, and
  eigenvalues are complex;
- exp1, and expn below 1: their loops do not end at some points, as those of exp1 at (3.3, 1.3, 1.2,
  5e-5, 0.03, 0.06) and of expn(3, x) at (2.5e-6, 9.3e-7, 1.0e-6, 2.8e-6, 1.1e-7, 3.8e-7);
- points at which the value or the gradient is not finite: outside the domain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import nn
from jax.numpy import linalg
from jax.scipy import special
from samples import Sample, generator, some

SCALES = (1.0, 1e-6, 1e-2, 10.0, 1e3)
"""Of the points of functions of one number."""

Draw = Callable[[np.random.Generator, float], tuple[np.ndarray, ...]]


def _normal(*shapes: tuple[int, ...]) -> Draw:
    return lambda random, s: tuple(s * random.standard_normal(shape) for shape in shapes)


def _positive(*shapes: tuple[int, ...]) -> Draw:
    return lambda random, s: tuple(s * random.exponential(size=shape) for shape in shapes)


def _unit(*shapes: tuple[int, ...]) -> Draw:
    """In (0, 1): the smaller the scale, the nearer to 0."""
    return lambda random, s: tuple(random.uniform(size=shape) * min(s, 1.0) for shape in shapes)


def _spd(random: np.random.Generator, s: float) -> tuple[np.ndarray, ...]:
    A = random.standard_normal((4, 4))
    return (s * (A @ A.T + np.eye(4)),)


V, M = (6,), (4, 4)
LEFT_OUT_NN = {
    "get_scaled_dot_general_config", "one_hot", "scaled_dot_general", "scaled_matmul",
    "dot_product_attention", "log1mexp", "logsumexp", "logmeanexp", "identity",
}  # fmt: skip
NN = {name: (getattr(nn, name), _normal(V)) for name in sorted(dir(nn))
      if callable(getattr(nn, name)) and name[0] != "_" and name not in LEFT_OUT_NN}  # fmt: skip
NN |= {
    "log1mexp": (nn.log1mexp, _positive(V)),
    "logsumexp": (nn.logsumexp, _normal((2, 3))),
    "gelu exact": (lambda x: nn.gelu(x, approximate=False), _normal(V)),
    "dot_product_attention": (nn.dot_product_attention, _normal(*[(1, 2, 2, 3)] * 3)),
    "softmax of rows": (lambda x: nn.softmax(x, axis=0), _normal((3, 2))),
}
SPECIAL = {
    name: (getattr(special, name), draw)
    for draw, names in {
        _normal(V): "dawsn erf erfc erfcx expit fresnel i0 i0e i1 i1e log_ndtr log_softmax "
        "logsumexp ndtr sici softmax",
        _positive(V): "digamma entr expi gamma gammaln spence",
        _unit(V): "erfinv logit ndtri",
        _positive(V, V): "beta betaln boxcox boxcox1p gammainc gammaincc kl_div poch rel_entr "
        "xlog1py xlogy",
        _normal(V, V): "owens_t",
    }.items()
    for name in names.split()
}
SPECIAL |= {
    "betainc": (lambda x: special.betainc(2.0, 3.0, x), _unit(V)),
    "expn": (lambda x: special.expn(3, x + 1), _positive(V)),
    "bessel_jn": (lambda x: special.bessel_jn(x, v=3), _positive((3,))),
    "hyp1f1": (special.hyp1f1, _positive((3,), (3,), (3,))),
    "hyp2f1": (
        special.hyp2f1,
        lambda r, s: (*_positive((3,), (3,), (3,))(r, s), *_unit((3,))(r, s)),
    ),
    "multigammaln": (lambda a: special.multigammaln(a + 2, 3), _positive(V)),
    "polygamma": (lambda x: special.polygamma(2, x), _positive(V)),
    "zeta": (lambda q: special.zeta(3.0, q), _positive(V)),
}
LINALG = {
    name: (getattr(linalg, name), draw)
    for draw, names in {
        _normal(M): "cond det diagonal inv matrix_norm matrix_transpose norm pinv qr slogdet "
        "svd svdvals trace vector_norm",
        _spd: "cholesky eigh eigvalsh",
        _normal(M, M): "matmul tensordot",
        _normal(V, V): "outer vecdot",
        _normal((3,), (3,)): "cross",
        _normal((5, 3), (5, 2)): "lstsq",
        _normal(M, (4, 2)): "solve",
    }.items()
    for name in names.split()
}
LINALG |= {
    "matrix_power": (lambda A: linalg.matrix_power(A, 3), _normal(M)),
    "multi_dot": (lambda *A: linalg.multi_dot(A), _normal((3, 2), (2, 4), (4, 2))),
    "norm 1": (lambda A: linalg.norm(A, 1), _normal(M)),
    "norm nuc": (lambda A: linalg.norm(A, "nuc"), _normal(M)),
    "norm 2": (lambda A: linalg.norm(A, 2), _normal(M)),
    "tensorinv": (lambda a: linalg.tensorinv(a, 1), _normal((4, 2, 2))),
    "tensorsolve": (linalg.tensorsolve, _normal((2, 2, 4), (2, 2))),
}
TABLES = {"jax.nn": NN, "jax.scipy.special": SPECIAL, "jnp.linalg": LINALG}


def samples(
    dtype: str = "float64", *, functions: int | None = None, each: int = 5, seed: int = 0
) -> Iterator[Sample]:
    """Yield samples: each function at points of several scales.

    Args:
        dtype: "float64" or "float32".
        functions: how many functions; default: all.
        each: points of each function, at most.
        seed: which functions, and their points.
    """
    rows = [(part, name) for part, table in TABLES.items() for name in table]
    for part, name in some(functions, rows, "jax", seed):
        function, draw = TABLES[part][name]
        compiled = _Compiled(function, generator("jax", name))
        for scale in some(each, list(SCALES), part, name, seed):
            x = draw(generator(part, name, scale, seed), scale)
            x = tuple(array.astype(dtype) for array in x)
            if compiled.is_finite(x):
                yield Sample(
                    part, dtype, f"{name} at {scale:g}", compiled.value, compiled.gradient, x
                )


class _Compiled:
    """A function's outputs, weighed at random, and its gradient; compiled once for all points."""

    def __init__(self, function: Callable[..., Any], random: np.random.Generator) -> None:
        self._weights: list[Any] = []

        def total(x: tuple[Any, ...]) -> Any:
            outputs = [
                o for o in jax.tree.leaves(function(*x)) if jnp.issubdtype(o.dtype, jnp.floating)
            ]
            if not self._weights:
                self._weights = [random.standard_normal(o.shape) for o in outputs]
            weighed = zip(self._weights, outputs, strict=True)
            return sum(jnp.sum(w.astype(o.dtype) * o) for w, o in weighed)

        self._value = jax.jit(total)
        self._gradient = jax.jit(jax.grad(total))

    def value(self, x: Any) -> float:
        with jax.enable_x64(True):
            return float(self._value(x))

    def gradient(self, x: Any) -> tuple[np.ndarray, ...]:
        with jax.enable_x64(True):
            return tuple(np.array(g) for g in self._gradient(x))

    def is_finite(self, x: Any) -> bool:
        numbers = [self.value(x), *(float(np.abs(g).sum()) for g in self.gradient(x))]
        return bool(np.isfinite(numbers).all())
