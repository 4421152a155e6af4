r"""What a float32 engine gives whose products take inputs of a shorter format, and how nearly.

Symbols as in the package's text, with one change: R rounds to the nearest number of the format,
ties to even, and x~ and x^ are both computed with R, so that dx bounds |x^ - x~|.

    z_l = R(a_{l-1}) R(W_l)^T + b_l
    delta_L = r / M  or  r s / M,     delta_{l-1} = [R(delta_l) R(W_l)] s_{l-1}
    dC/dW_l = R(delta_l)^T R(a_{l-1}),     dC/db_l = delta_l^T 1

M divides before the products, and biases and their gradients are not rounded.

**Inputs.** R is monotone, so that x~ - dx <= x^ <= x~ + dx gives

    |R(x^) - R(x~)| <= max[R(x~ + dx) - R(x~), R(x~) - R(x~ - dx)],

which is 0 where the whole interval rounds to one number: nearly everywhere, as dx is a few units of
float32 and the interval of one number of TF32 or bfloat16 is 2^13 or 2^16 units wide.

**Everything else.** Take x~ for the exact number that enters a step: |x~ - x| = 0 <= dx and
|x^ - x| <= dx, and the bounds of the class `absolute_sigmoid` hold for the engine's step. The
sweep's own step errs as well, by less than 2^-28 of what each of them allows the engine for
roundings, u being 2^-24 there and 2^-53 here: all are multiplied by 1 + 2^-24 (`total`).

Not covered: products that add up in less than float32 or without rounding to nearest; engines that
keep activations in the short format; division by an M that is no power of two after the products.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.problem import dtype_name, require_name
from gradcheck.rounding.arithmetic import ARITHMETICS
from gradcheck.rounding.bounded import Bounded, Worst
from gradcheck.rounding.gradient import backward, forward

if TYPE_CHECKING:
    import numpy.typing as npt

    from gradcheck.arrays import Float64Array
    from gradcheck.problem import Problem

FORMATS = {name: row for name, row in ARITHMETICS.items() if row.u_g}

LEAST_EXPONENT, OVERFLOW = -126, 2.0**128
"""Numbers of float32, TF32 and bfloat16 are subnormal below 2^LEAST_EXPONENT."""

OWN = 1 + 2.0**-24
"""What a bound is multiplied by for the rounding of the sweep itself."""


def emulated_gradient(problem: Problem, arithmetic: str) -> tuple[Float64Array, Float64Array]:
    """Compute the gradient that products of a shorter format give, and how far an engine may be.

    Args:
        problem: of dtype float32.
        arithmetic: "tf32" or "bfloat16".

    Returns:
        The gradient as one vector in the order of `problem.parameters`, and what the distance of
        a float32 engine from it does not exceed that rounds the inputs of its matrix products to
        nearest even and is of the class `absolute_sigmoid` otherwise; infinite where nothing is
        known.

    Raises:
        TypeError: another dtype; an arithmetic that is not text.
        ValueError: an arithmetic that rounds no inputs, or an unknown one.

    >>> from gradcheck.problems.case import Case
    >>> from gradcheck.rounding import gradient_bound
    >>> problem = Case(sizes=(4, 1), dtype="float32").problem()
    >>> gradient, bound = emulated_gradient(problem, "bfloat16")
    >>> bool(np.median(gradient_bound(problem, "bfloat16") / bound) > 100)
    True
    """
    require_name("arithmetic", arithmetic, tuple(FORMATS))
    name = dtype_name(problem.dtype)
    if name != "float32":
        raise TypeError(f"problem has dtype {name}; engines that round to {arithmetic} are float32")
    rounding = RoundedProducts.to(arithmetic, problem)
    with np.errstate(all="ignore"):  # a bound may be infinite
        blocks = backward(problem, forward(problem, rounding), rounding)
        gradient = np.concatenate([block.x.ravel() for block in blocks])
        bound = np.concatenate([block.d.ravel() for block in blocks])
    return gradient, np.where(np.isfinite(gradient) & np.isfinite(bound), bound, np.inf)


def round_to_format(x: Float64Array, u: float) -> Float64Array:
    """Return R(x): to nearest even, with the exponents of float32.

    Args:
        x: float64.
        u: unit roundoff of the format, 2^-p for p significant bits.

    >>> round_to_format(np.array([1 + 2.0**-8, 1 + 3 * 2.0**-8, 2.0**-134]), 2.0**-8)
    array([1.      , 1.015625, 0.      ])
    """
    _, exponent = np.frexp(x)  # |x| in [2^(exponent - 1), 2^exponent)
    unit = np.log2(2 * u).astype(int) + np.maximum(exponent - 1, LEAST_EXPONENT)
    rounded: Float64Array = np.ldexp(np.rint(np.ldexp(x, -unit)), unit)
    return np.where(np.abs(rounded) < OVERFLOW, rounded, np.copysign(np.inf, x))


@dataclass(frozen=True)
class RoundedProducts(Worst):
    """The class `absolute_sigmoid` in float32, with rounded inputs of products.

    Attributes:
        R_u: unit roundoff of the format.
    """

    R_u: float = 0.0

    @classmethod
    def to(cls, arithmetic: str, problem: Problem) -> RoundedProducts:
        """Look the constants up."""
        constants = vars(Worst.of(problem, "absolute_sigmoid"))
        return cls(**constants, R_u=FORMATS[arithmetic].u_g)

    def total(self, *terms: npt.ArrayLike, n: int = 1) -> Float64Array:
        """The sum, with what the sweep errs by."""
        return super().total(*terms, n=n) * OWN

    def rounded(self, x: Bounded) -> Bounded:
        """The inputs of a product."""
        low = np.where(x.d > 0, np.nextafter(x.x - x.d, -np.inf), x.x)
        high = np.where(x.d > 0, np.nextafter(x.x + x.d, np.inf), x.x)
        low, middle, high = (round_to_format(ends, self.R_u) for ends in (low, x.x, high))
        return Bounded(middle, np.where(low == high, 0, np.maximum(high - middle, middle - low)))

    def product(self, x: Bounded, y: Bounded, plus: Float64Array | None = None) -> Bounded:
        """The matrix product of rounded inputs, plus a vector that is given."""
        return super().product(self.rounded(x), self.rounded(y), plus)

    def row_sums(self, x: Bounded) -> Bounded:
        """Sums, which are no products: nothing is rounded first."""
        return super().product(x, Bounded.exact(np.ones((x.x.shape[1], 1))))
