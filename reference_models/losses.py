"""Losses as pairs (value, residual), after Nielsen (2015), chapter 3: one formula each.

A loss takes the logits z of the last layer (a = sigma(z)) and the targets y in [0, 1]:

    value(z, y)      C, entry by entry,
    residual(z, y)   dC/dz, entry by entry.

Both rest on a - y written without cancellation where y is 0 or 1:

    a - y = (1 - y) sigma(z) - y sigma(-z),   as a = sigma(z) and 1 - a = sigma(-z).

>>> LOSSES["cross_entropy"].value(1e6, 1.0), LOSSES["cross_entropy"].value(1e6, 0.0)
(np.float64(0.0), np.float64(1000000.0))
>>> LOSSES["cross_entropy"].residual(0.0, 1.0)
np.float64(-0.5)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from reference_models.activations import (
    decay,
    log1p,
    negative_part,
    positive_part,
    sigmoid_from_decay,
    sigmoid_prime_from_decay,
)

Array = npt.NDArray[Any]
Scratch = tuple[Array | None, Array | None]

NO_SCRATCH: Scratch = (None, None)
REDUCTIONS = ("mean", "sum")


class LossFunction(Protocol):
    """A function of logits z and targets y (scalars or arrays of one dtype), entry by entry.

    `e` is exp(-|z|), where it is known already; it serves value and residual and is only read.
    `out` receives the result and `scratch` is overwritten: arrays of the shape and dtype of z,
    distinct from each other and from z, y and e. With all three, real arguments allocate nothing
    of array size.
    """

    def __call__(
        self,
        z: Any,
        y: Any,
        *,
        e: Any = None,
        out: Array | None = None,
        scratch: Scratch = NO_SCRATCH,
    ) -> Any:
        """Evaluate the function."""


@dataclass(frozen=True)
class Loss:
    """A loss C and its derivative by the logit: `value` is C, `residual` is dC/dz."""

    name: str
    value: LossFunction
    residual: LossFunction


def _difference(
    z: Any,
    y: Any,
    *,
    e: Any = None,
    out: Array | None = None,
    scratch: Scratch = NO_SCRATCH,
) -> Any:
    """Return a - y = (1 - y) sigma(z) - y sigma(-z), also dC/dz of the cross-entropy."""
    s, t = scratch
    e = decay(z) if e is None else e
    a = sigmoid_from_decay(z, e, out=out, scratch=t)
    left = np.multiply(np.subtract(1.0, y, out=s), a, out=out)
    one_minus_a = sigmoid_from_decay(np.negative(z, out=s), e, out=t, scratch=s)
    return np.subtract(left, np.multiply(y, one_minus_a, out=t), out=out)


def _cross_entropy_value(
    z: Any,
    y: Any,
    *,
    e: Any = None,
    out: Array | None = None,
    scratch: Scratch = NO_SCRATCH,
) -> Any:
    """C = -y log a - (1 - y) log(1 - a) = (1 - y) softplus(z) + y softplus(-z).

    softplus(z) = max(z, 0) + log1p(e),   softplus(-z) = -min(z, 0) + log1p(e).
    """
    s, t = scratch
    log1p_e = log1p(decay(z) if e is None else e, out=t)
    minus_log_one_minus_a = np.add(positive_part(z, out=out), log1p_e, out=out)
    left = np.multiply(np.subtract(1.0, y, out=s), minus_log_one_minus_a, out=out)
    minus_log_a = np.subtract(log1p_e, negative_part(z, out=s), out=t)
    return np.add(left, np.multiply(y, minus_log_a, out=t), out=out)


def _quadratic_value(
    z: Any,
    y: Any,
    *,
    e: Any = None,
    out: Array | None = None,
    scratch: Scratch = NO_SCRATCH,
) -> Any:
    """C = 1/2 (a - y)^2."""
    difference = _difference(z, y, e=e, out=out, scratch=scratch)
    return np.multiply(np.multiply(difference, difference, out=out), 0.5, out=out)


def _quadratic_residual(
    z: Any,
    y: Any,
    *,
    e: Any = None,
    out: Array | None = None,
    scratch: Scratch = NO_SCRATCH,
) -> Any:
    """dC/dz = (a - y) sigma'(z)."""
    s, t = scratch
    e = decay(z) if e is None else e
    difference = _difference(z, y, e=e, out=out, scratch=scratch)
    slope = sigmoid_prime_from_decay(e, out=s, scratch=t)
    return np.multiply(difference, slope, out=out)


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss("cross_entropy", _cross_entropy_value, _difference),
    "quadratic": Loss("quadratic", _quadratic_value, _quadratic_residual),
}


def loss_named(cost: str) -> Loss:
    """Look a loss up in LOSSES.

    Raises:
        ValueError: the name is not in the table.
    """
    if cost not in LOSSES:
        raise ValueError(f"cost={cost!r} is not a loss; choose from {', '.join(LOSSES)}")
    return LOSSES[cost]


def divisor(reduction: str, m: int) -> int:
    """Return what the sum over m examples is divided by: m for `mean`, 1 for `sum`.

    Raises:
        ValueError: an unknown reduction.
    """
    if reduction not in REDUCTIONS:
        raise ValueError(f"reduction={reduction!r} must be one of {', '.join(REDUCTIONS)}")
    return m if reduction == "mean" else 1
