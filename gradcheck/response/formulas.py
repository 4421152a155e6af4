r"""What engines compute in place of a quantity: functions of z with at most one parameter.

Symbols: p = sigmoid(z), q = 1 - p, y the target, c the parameter: an epsilon, or a limit of |z|.
Each function is monotone in its parameter at every z, which makes the parameters that fit an
interval (names.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Float64Array
from gradcheck.response.curve import ACTIVATION, DELTA, LOSS, SLOPE

EPSILON, LIMIT, NONE = "eps", "t", ""
DTYPES = ("float32", "float64")


class Point(NamedTuple):
    """Where a formula is taken: arrays over z, and rows of p and q as they may be rounded.

    Attributes:
        z, p, q: z, sigmoid(z) and 1 - sigmoid(z).
        y: the target, 0 or 1.
        c: the parameter.
        i, j: relative errors of p and errors of q.
    """

    z: Float64Array
    p: Float64Array
    q: Float64Array
    y: float
    c: Float64Array
    i: Float64Array | float = 0.0
    j: Float64Array | float = 0.0

    @classmethod
    def of(
        cls,
        z: Float64Array,
        y: float,
        c: Float64Array,
        i: Float64Array | float = 0.0,
        j: Float64Array | float = 0.0,
    ) -> Point:
        """Return the point of z, with p and q wrong by i times p and by j."""
        p, q = sigmoids(z)
        return cls(z, np.minimum(p * (1 + i), 1), np.maximum(q + j, 0), y, c, i, j)

    @property
    def error(self) -> Float64Array:
        """Return p - y, which has one term."""
        return -self.q if self.y else self.p

    @property
    def tail(self) -> Float64Array:
        """The lesser of p and q."""
        return np.minimum(self.p, self.q)

    @property
    def slope(self) -> Float64Array:
        """Return p q."""
        return self.p * self.q

    @property
    def clipped(self) -> Point:
        """The same with z clipped to [-c, c]."""
        return Point.of(np.clip(self.z, -self.c, self.c), self.y, self.c, self.i, self.j)

    @property
    def is_inside(self) -> npt.NDArray[np.bool_]:
        """Whether |z| <= c."""
        return np.asarray(np.abs(self.z) <= self.c)

    def quotients(self, p: Float64Array, q: Float64Array) -> Float64Array:
        """Return (-y / p + (1 - y) / q) p q with other p and q in the quotients."""
        return -self.slope / p if self.y else self.slope / q


Function = Callable[[Point], Float64Array]


@dataclass(frozen=True)
class Formula:
    """One function of z.

    Attributes:
        quantity: of which curves.
        text: in words, with {e} for the parameter.
        of: the function.
        parameter: EPSILON, LIMIT or NONE.
    """

    quantity: str
    text: str
    of: Function
    parameter: str = NONE

    @property
    def span(self) -> tuple[float, float]:
        """Return between which numbers the parameter lies."""
        return {EPSILON: (1e-20, 0.4), LIMIT: (1e-2, 900.0), NONE: (1.0, 1.0)}[self.parameter]


def sigmoids(z: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Return sigmoid(z) and sigmoid(-z)."""
    e = np.exp(-np.abs(z))
    large, small = 1 / (1 + e), e / (1 + e)
    return np.where(z >= 0, large, small), np.where(z >= 0, small, large)


def clip(p: Float64Array, c: Float64Array) -> Float64Array:
    """Return p clipped to [c, 1 - c]."""
    return np.minimum(np.maximum(p, c), 1 - c)


def cross_entropy(p: Float64Array, q: Float64Array, y: float) -> Float64Array:
    """Return -log p for y = 1, -log q for y = 0."""
    return -np.log(p) if y else -np.log(q)


def clipped_error(x: Point) -> Float64Array:
    """Return p - y of p clipped to [c, 1 - c], of one term where that is in the tail."""
    q = np.where(x.z > 0, np.maximum(x.q, x.c), 1 - np.maximum(x.p, x.c))
    p = np.where(x.z > 0, 1 - np.maximum(x.q, x.c), np.maximum(x.p, x.c))
    return -q if x.y else p


def by_epsilon(quantity: str, many: dict[str, Function]) -> tuple[Formula, ...]:
    """Make formulas with an epsilon."""
    return tuple(Formula(quantity, text, of, EPSILON) for text, of in many.items())


def by_limit(quantity: str, many: dict[str, Function]) -> tuple[Formula, ...]:
    """Make formulas with a limit of |z|."""
    return tuple(Formula(quantity, text, of, LIMIT) for text, of in many.items())


def plainly(quantity: str, many: dict[str, Function]) -> tuple[Formula, ...]:
    """Make formulas without a parameter."""
    return tuple(Formula(quantity, text, of) for text, of in many.items())


OUTPUT_ERRORS = by_epsilon(
    DELTA,
    {
        "the derivative of the loss with p clipped to [{e}, 1 - {e}], 0 beyond": (
            lambda x: np.where(x.tail >= x.c, x.error, 0)
        ),
        "p - y with p clipped to [{e}, 1 - {e}]": clipped_error,
        "(p - y) p (1 - p) / max(p (1 - p), {e})": (
            lambda x: x.error * x.slope / np.maximum(x.slope, x.c)
        ),
        "(p - y) p (1 - p) / (p (1 - p) + {e})": lambda x: x.error * x.slope / (x.slope + x.c),
        "[-y / (p + {e}) + (1 - y) / (1 - p + {e})] p (1 - p)": (
            lambda x: x.quotients(x.p + x.c, x.q + x.c)
        ),
        "[-y / q + (1 - y) / (1 - q)] p (1 - p), q = p clipped to [{e}, 1 - {e}]": (
            lambda x: x.quotients(clip(x.p, x.c), clip(x.q, x.c))
        ),
        "[-y / max(p, {e}) + (1 - y) / max(1 - p, {e})] p (1 - p)": (
            lambda x: x.quotients(np.maximum(x.p, x.c), np.maximum(x.q, x.c))
        ),
    },
) + by_limit(
    DELTA,
    {
        "p - y with z clipped to [-{e}, {e}]": lambda x: x.clipped.error,
        "p - y with a sigmoid that is 0 and 1 beyond |z| = {e}": (
            lambda x: np.where(x.is_inside, x.error, (x.z > 0) - x.y)
        ),
        "p - y within |z| = {e}, 0 beyond": lambda x: np.where(x.is_inside, x.error, 0),
    },
)

SLOPES = (
    by_limit(
        SLOPE,
        {
            "a (1 - a) within |z| = {e}, 0 beyond": lambda x: np.where(x.is_inside, x.slope, 0),
            "sigmoid'(z) with z clipped to [-{e}, {e}]": lambda x: x.clipped.slope,
        },
    )
    + by_epsilon(
        SLOPE,
        {
            "a (1 - a) with a clipped to [{e}, 1 - {e}]": (
                lambda x: np.maximum(x.tail, x.c) * (1 - np.maximum(x.tail, x.c))
            ),
            "a (1 - a) where a is in [{e}, 1 - {e}], 0 beyond": (
                lambda x: np.where(x.tail >= x.c, x.slope, 0)
            ),
            "a (1 - a) + {e}": lambda x: x.slope + x.c,
            "max(a (1 - a), {e})": lambda x: np.maximum(x.slope, x.c),
        },
    )
    + plainly(
        SLOPE,
        {
            "1": lambda x: np.ones_like(x.z),
            "a": lambda x: x.p,
            "1 - a": lambda x: x.q,
            "a^2": lambda x: x.p * x.p,
            "a (1 + a)": lambda x: x.p * (1 + x.p),
            "1 - a^2": lambda x: x.q * (1 + x.p),
            "(1 - a)^2": lambda x: x.q * x.q,
            "z (1 - z)": lambda x: x.z * (1 - x.z),
            "sigmoid'(a)": lambda x: np.prod(sigmoids(x.p), axis=0),
            "the derivative of relu": lambda x: np.where(x.z > 0, 1.0, 0.0),
            "1 - tanh(z)^2": lambda x: 1 / np.cosh(np.minimum(np.abs(x.z), 350)) ** 2,
        },
    )
)

ACTIVATIONS = (
    by_limit(
        ACTIVATION,
        {
            "a sigmoid that is 0 and 1 beyond |z| = {e}": (
                lambda x: np.where(x.is_inside, x.p, x.z > 0)
            ),
            "the sigmoid of z clipped to [-{e}, {e}]": lambda x: x.clipped.p,
        },
    )
    + by_epsilon(ACTIVATION, {"the sigmoid clipped to [{e}, 1 - {e}]": lambda x: clip(x.p, x.c)})
    + plainly(
        ACTIVATION,
        {
            "tanh(z)": lambda x: np.tanh(x.z),
            "relu(z)": lambda x: np.maximum(x.z, 0),
            "z": lambda x: x.z,
            "log(1 + e^z)": lambda x: np.logaddexp(0, x.z),
            "(1 + z / (1 + |z|)) / 2": lambda x: (1 + x.z / (1 + np.abs(x.z))) / 2,
            "1/2 + arctan(z) / pi": lambda x: 0.5 + np.arctan(x.z) / np.pi,
            "min(max(z / 5 + 1/2, 0), 1)": lambda x: np.clip(x.z / 5 + 0.5, 0, 1),
            "min(max(z / 6 + 1/2, 0), 1)": lambda x: np.clip(x.z / 6 + 0.5, 0, 1),
            "min(max(z / 4 + 1/2, 0), 1)": lambda x: np.clip(x.z / 4 + 0.5, 0, 1),
            "1 - sigmoid(z)": lambda x: x.q,
            "sigmoid(2 z)": lambda x: sigmoids(2 * x.z)[0],
        },
    )
)

LOSSES = by_epsilon(
    LOSS,
    {
        "the cross-entropy of p clipped to [{e}, 1 - {e}]": (
            lambda x: cross_entropy(clip(x.p, x.c), clip(x.q, x.c), x.y)
        ),
        "-y log(p + {e}) - (1 - y) log(1 - p + {e})": (
            lambda x: cross_entropy(x.p + x.c, x.q + x.c, x.y)
        ),
    },
) + by_limit(
    LOSS,
    {
        "the cross-entropy with log p and log(1 - p) kept above -{e}": (
            lambda x: np.minimum(cross_entropy(x.p, x.q, x.y), x.c)
        ),
    },
)

FORMULAS: tuple[Formula, ...] = OUTPUT_ERRORS + SLOPES + ACTIVATIONS + LOSSES
"""In the order in which they are told: the simplest first. Errors and losses of cross-entropy."""

USUAL = {
    EPSILON: (
        *(x * 10.0**-k for k in range(1, 20) for x in (1, 5, 2)),
        *(float(np.finfo(dtype).eps) * share for dtype in DTYPES for share in (1.0, 0.5)),
    ),
    LIMIT: (0.5, 1.5, 2.5, *map(float, range(1, 120)), 88.7, 250.0, 500.0, 700.0, 709.0),
    NONE: (1.0,),
}
"""Parameters that people write, each with what may become of it in a dtype."""


def as_written(parameter: str, dtype: str) -> dict[str, float]:
    """Return what people write, and the numbers that it stands for.

    1 - eps is rounded in the dtype; an eps may have been rounded to float32.

    Args:
        parameter: EPSILON, LIMIT or NONE.
        dtype: of the engine's numbers.
    """
    kind = np.dtype(dtype).type
    written: dict[str, float] = {}
    for c in USUAL[parameter]:
        written[f"{c:.3g}"] = c
        if parameter == EPSILON:
            written.setdefault(f"{c:.3g} rounded", 1 - float(kind(1 - c)))
            written.setdefault(f"{c:.3g} as float32 has it", float(np.float32(c)))
    return written
