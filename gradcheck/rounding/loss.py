r"""The bound of the loss's rounding error.

Symbols as in the package's text.

**Loss.** |dC/dz| = |r| grows by E at most while z moves by dz: C moves by D = dz (|r| + E) at most,

    dC = D + gamma_{k_c} (C + 2 D) + 2 f,   k_c = k_e + 8

for C = (1 - y) softplus(z) + y softplus(-z), softplus(z) = max(z, 0) + log1p(e^-|z|): exp k_e,
log1p 4, the sum 1; 1 - y, the product and the sum 3. Classes that cancel may compute
max(z, 0) - y z + log1p(e^-|z|), whose terms are |z| twice and at most C, or
-y log a - (1 - y) log(1 - a), where |log a^ - log a| <= -log(1 - da / a). The quadratic loss is the
product r r, halved exactly.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.rounding.arithmetic import K_LOG
from gradcheck.rounding.bounded import Bounded, Worst
from gradcheck.rounding.gradient import Sweep, forward
from gradcheck.rounding.sigmoid import residual, softplus

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcheck.arrays import Float64Array
    from gradcheck.problem import Problem
    from gradcheck.rounding.bounded import Rounding
    from gradcheck.rounding.sigmoid import Layer


def loss_bound(problem: Problem, arithmetic: str = "cancellation_free") -> float:
    """Bound the rounding error of the loss: the noise of one forward pass.

    Args:
        problem: of dtype float16, float32 or float64.
        arithmetic: a name in ARITHMETICS.

    Raises:
        TypeError: another dtype; an arithmetic that is not text.
        ValueError: an unknown arithmetic.

    >>> from gradcheck.problems.case import Case
    >>> loss_bound(Case(sizes=(2, 1)).problem()) < 1e-14
    True
    """
    return swept_loss_bound(Sweep(problem, arithmetic))


def swept_loss_bound(sweep: Sweep) -> float:
    """Bound the rounding error of the loss of a problem that is swept already."""
    problem, rounding = sweep.problem, sweep.rounding
    with np.errstate(all="ignore"):  # a bound may be infinite
        entries = COSTS[problem.architecture.loss](sweep.layers[-1], problem, rounding)
        flat = Bounded(entries.x.reshape(1, -1), entries.d.reshape(1, -1))
        total = rounding.scaled(rounding.row_sums(flat))
    return float(np.where(np.isfinite(total.d), total.d, np.inf).item())


def loss_floor(problem: Problem, arithmetic: str = "cancellation_free") -> float:
    """Return the least value that rounding can bring the loss to; finite where the bound is not.

    log p^ may be -infinity where p^ may be 0, but from above log p^ <= log(p + d), so that
    -log p^ >= -log p - log(1 + d / p). The quadratic loss has its bound.

    Args:
        problem: of dtype float16, float32 or float64.
        arithmetic: a name in ARITHMETICS.

    Raises:
        TypeError, ValueError: as of `loss_bound`.

    >>> from gradcheck.problems.case import Case
    >>> loss_floor(Case(sizes=(2, 1)).problem()) > 0
    True
    """
    rounding = Worst.of(problem, arithmetic)
    with np.errstate(all="ignore"):
        last = forward(problem, rounding)[-1]
        entries = LEAST[problem.architecture.loss](last, problem, rounding)
        flat = Bounded(entries.x.reshape(1, -1), entries.d.reshape(1, -1))
        total = rounding.scaled(rounding.row_sums(flat))
    least = float((total.x - total.d).item())
    return least if np.isfinite(least) else -np.inf


def may_lose_a_log(problem: Problem, arithmetic: str) -> bool:
    """Say whether an output p, or 1 - p, may be computed as 0, whose logarithm is infinite.

    Then -y log p - (1 - y) log(1 - p) may be infinite, or 0 times that, whatever the target. With
    the bound d of |p^ - p| that is so unless p > 4 d, as in `log_error`.

    Args:
        problem: of dtype float16, float32 or float64.
        arithmetic: a name in ARITHMETICS.

    Raises:
        TypeError, ValueError: as of `loss_bound`.
    """
    if problem.architecture.loss != "cross_entropy":
        return False
    with np.errstate(all="ignore"):  # a bound may be infinite
        last = forward(problem, Worst.of(problem, arithmetic))[-1]
    return not bool(np.all(np.minimum(last.a.x, last.b) > 4 * last.a.d))


def cross_entropy(
    last: Layer,
    problem: Problem,
    rounding: Rounding,
    error: Callable[..., Float64Array] | None = None,
) -> Bounded:
    """Return the cross-entropy entry by entry; `error` bounds that of a logarithm."""
    error = log_error if error is None else error
    total, relative = rounding.total, rounding.relative
    y = np.asarray(problem.targets, np.float64)
    z, d = last.z
    r = residual(last, y, rounding)
    C = (1 - y) * softplus(z) + y * softplus(-z)
    moved = d * (r.most + last.E)
    strict = total(moved, relative(rounding.k_c) * (C + 2 * moved), 2 * last.f)
    by_logits = total(strict, relative(rounding.k_c) * 2 * (np.abs(z) + 2 * d))
    logs = np.where(y > 0, y * error(last.a.x, last.a.d), 0)
    logs = logs + np.where(y < 1, (1 - y) * error(last.b, last.a.d), 0)
    # log, 1 - a, 1 - y, the product and the sum
    by_logs = total(logs, relative(K_LOG + 4) * (C + moved + logs), relative(1), 3 * rounding.eta)
    return Bounded(C, rounding.allowed(strict, np.maximum(by_logits, by_logs)))


def log_rise(p: Float64Array, d: Float64Array) -> Float64Array:
    """Return what log p^ - log p does not exceed where |p^ - p| <= d: log(1 + d / p)."""
    return np.log1p(np.divide(d, p, out=np.full_like(p, np.inf), where=p > 0))


def log_error(p: Float64Array, d: Float64Array) -> Float64Array:
    """Return what |log p^ - log p| does not exceed where |p^ - p| <= d and |p~ - p| <= d.

    Infinite unless p > 4 d: then p - d >= 3 d, and the error is -log(1 - d / (p - d)).
    """
    ratio = np.divide(d, p - d, out=np.full_like(p, 0.5), where=p > 4 * d)
    return np.where(p > 4 * d, -np.log1p(-ratio), np.inf)


def quadratic(last: Layer, problem: Problem, rounding: Rounding) -> Bounded:
    """Return (sigma(z) - y)^2 / 2 entry by entry."""
    r = residual(last, np.asarray(problem.targets, np.float64), rounding)
    square = rounding.times(r, r, roundings=2)
    return Bounded(square.x / 2, square.d)


COSTS = {"cross_entropy": cross_entropy, "quadratic": quadratic}
LEAST: dict[str, Callable[..., Bounded]] = {
    "cross_entropy": partial(cross_entropy, error=log_rise),
    "quadratic": quadratic,
}
"""The same, with the bound of how much less than exact the computed one may be."""
