r"""One quantity as a function of z: what the engine gives, beside what is right.

Symbols: p = sigmoid(z), y the target.

    delta        p - y (cross-entropy) or (p - y) sigmoid'(z) (quadratic): dC/db_1 of 1-1
    dC/dW        the same, times the input 1: dC/dW_1 of 1-1
    loss         C of 1-1
    slope        sigmoid'(z) of the hidden unit of 1-1-1
    activation   sigmoid(z) of the hidden unit of 1-1-1

delta and dC/dW are exact by ball arithmetic, correctly rounded to float64; the others are made of
e^-|z| without cancellation, within 8 v, v = 2^-53.

**Bounds** are those of the rounding model for a layer of as many units as there are z, whose
derivatives are independent. The slope and the activation are quotients of derivatives, for which
EXTRA more roundings are allowed; the loss, entry by entry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Float64Array
from gradcheck.certified.gradient import certified_gradient
from gradcheck.problem import Architecture, Problem
from gradcheck.rounding import gradient_bound
from gradcheck.rounding.bounded import Worst
from gradcheck.rounding.gradient import forward
from gradcheck.rounding.loss import COSTS
from gradcheck.rounding.sigmoid import sigma, sigma_prime, softplus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DELTA, WEIGHT, LOSS, SLOPE, ACTIVATION = "delta", "dC/dW", "loss", "slope", "activation"
QUANTITIES = (DELTA, WEIGHT, LOSS, SLOPE, ACTIVATION)
HIDDEN = (SLOPE, ACTIVATION)

EXTRA = 8
"""Roundings between sigmoid' and the quotient of derivatives that shows it: two products and two
divisions by M in each of both, and the quotient itself."""

UNIT = 2.0**-53


@dataclass(frozen=True, eq=False)
class Curve:
    """What an engine gives for one quantity, z by z.

    Attributes:
        quantity: one of QUANTITIES.
        loss: of the architecture.
        y: the target.
        dtype: in which the engine was asked.
        z: in increasing order.
        value: the engine's; NaN where it gave no number.
        told: what happened in place of an answer, "" where there is one.
        calls: how often the engine was asked, for all curves of this network together.
    """

    quantity: str
    loss: str
    y: float
    dtype: str
    z: Float64Array
    value: Float64Array
    told: tuple[str, ...]
    calls: int = 0

    @cached_property
    def exact(self) -> Float64Array:
        """What is right."""
        return _kept(exact_of, (self.quantity, self.loss, self.y, self.dtype), self.z)

    def bound(self, model: str) -> Float64Array:
        """Return what |value - exact| does not exceed in a rounding model."""
        return _kept(bound_of, (self.quantity, self.loss, self.y, self.dtype, model), self.z)

    def is_beyond(self, model: str) -> npt.NDArray[np.bool_]:
        """Return where the engine gives what no engine of the model gives."""
        with np.errstate(all="ignore"):
            within = self._off <= self.bound(model)
        return np.asarray(~within & ~self._is_nothing_asked)

    @cached_property
    def _off(self) -> Float64Array:
        return np.abs(self.value - self.exact)

    @cached_property
    def _is_nothing_asked(self) -> npt.NDArray[np.bool_]:
        """Where no number is expected: refused, or no loss of an engine that never gave one."""
        refused = np.array([told.startswith("refused") for told in self.told], bool)
        if self.quantity != LOSS or not self.has_no_value:
            return refused
        answered = np.array([not told for told in self.told], bool)
        return np.asarray(refused | (np.isnan(self.value) & answered))

    @property
    def has_no_value(self) -> bool:
        """Whether the engine never gave a number."""
        return bool(np.isnan(self.value).all())

    def to_json(self) -> dict[str, Any]:
        """Return the curve as plain values."""
        return {
            "quantity": self.quantity,
            "loss": self.loss,
            "y": self.y,
            "dtype": self.dtype,
            "z": self.z.tolist(),
            "value": self.value.tolist(),
            "told": list(self.told),
            "calls": self.calls,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Curve:
        """Read what `to_json` has written."""
        z, value = (np.array([float(x) for x in record[name]]) for name in ("z", "value"))
        about = (record["quantity"], record["loss"], record["y"], record["dtype"])
        return cls(*about, z, value, tuple(record["told"]), record["calls"])


# ------------------------------------------------------------------------------------ what is right


_tables: dict[tuple[Any, ...], dict[float, float]] = {}
"""What is known by z already: most engines are asked about the same grid."""

MOST_KEPT = 20_000


def _kept(
    function: Callable[..., Float64Array], about: tuple[Any, ...], z: Float64Array
) -> Float64Array:
    """Call a function about those z only that it has not been called about."""
    table = _tables.setdefault((function.__name__, *about), {})
    if len(table) > MOST_KEPT:
        table.clear()
    asked = z.tolist()
    try:
        return np.array([table[x] for x in asked])
    except KeyError:
        new = [x for x in asked if x not in table]
    table.update(zip(new, function(*about, np.array(new)).tolist(), strict=True))
    return np.array([table[x] for x in asked])


def exact_of(quantity: str, loss: str, y: float, dtype: str, z: Float64Array) -> Float64Array:
    """Return what is right at every z."""
    if quantity in (DELTA, WEIGHT):
        return certified_gradient(layer(loss, y, dtype, z)).gradient[len(z) :]
    if quantity == SLOPE:
        return sigma_prime(z)
    if quantity == ACTIVATION:
        return sigma(z)
    if loss == "quadratic":
        return ((1 - y) * sigma(z) - y * sigma(-z)) ** 2 / 2
    return (1 - y) * softplus(z) + y * softplus(-z)


def bound_of(
    quantity: str, loss: str, y: float, dtype: str, model: str, z: Float64Array
) -> Float64Array:
    """Return what rounding in a model does not exceed at every z."""
    problem = layer(loss, y, dtype, z)
    if quantity in (DELTA, WEIGHT):
        both = gradient_bound(problem, model)
        return both[len(z) :] if quantity == DELTA else both[: len(z)]
    rounding = Worst.of(problem, model)
    with np.errstate(all="ignore"):  # a bound may be infinite
        last = forward(problem, rounding)[-1]
        if quantity == LOSS:
            found = COSTS[loss](last, problem, rounding)
            roundings = 0
        else:
            found = last.s if quantity == SLOPE else last.a
            roundings = EXTRA
        size = np.abs(found.x) + 2 * found.d
        d = found.d + rounding.relative(roundings) * size + roundings * rounding.eta
        d = np.ravel(d + 16 * UNIT * size)
    return np.where(np.isfinite(d), d, np.inf)


def layer(loss: str, y: float, dtype: str, z: Float64Array) -> Problem:
    """Return the network 1-n, a unit for each z, with W = b = z / 2 and the input 1."""
    half = (z / 2).astype(dtype)
    n = len(z)
    return Problem(
        Architecture((1, n), loss, "sum"),
        (half[:, None],),
        (half,),
        np.ones((1, 1), dtype),
        np.full((1, n), y, dtype),
    )
