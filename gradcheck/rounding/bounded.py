r"""Numbers with the bound of their error, and the arithmetic of both.

Symbols as in the package's text.

**Products.** p = sum_k x_k y_k of n terms, in any order, with or without fused multiply-add
(Higham 2002, section 3.1), the inputs rounded to u_g first:

    x^ y^ - x y = (x^ - x) y^ + x (y^ - y)
    dp = sum_k [dx_k (|y_k| + dy_k) + |x_k| dy_k] + G_n sum_k (|x_k| + dx_k)(|y_k| + dy_k)
         + (eta + eta_g) sum_k (2 + |x_k| + dx_k + |y_k| + dy_k)
    G_n = (1 + u_g)^2 (1 + gamma_n) - 1

The last line of dp: a product that underflows errs by eta / 2, once in the engine and twice in the
sweep; an input rounded to a subnormal number by eta_g / 2 times the other factor; G_n x_k in the
sweep by eta / 2 times it. Adding a bias makes n + 1 of n. One product x y followed by k roundings
has gamma_k in place of G_n and (2 + k) eta for underflow, 2 eta of it for four products in the
sweep.

**The sweep's own rounding.** A bound is a sum of products of bounds, without subtraction: k
operations on the way make it too small by at most (1 - v)^k, v = 2^-53, so it is multiplied by
1 + 2 k v >= (1 - v)^-k (`upward`); k = n + 64 for sums of n terms, a function counted as 4. Because
every stored bound is certain and all functions above are monotone in it, nothing accumulates.
Where a number may leave the range of the dtype, the bound of all that is computed from it is
infinite; no bound is NaN.

**Standard deviations.** The same sweep with roots of sums of squares for sums, and k u / sqrt(3),
the deviation of an error uniform in +-k u, for gamma_k. Rounding the partial sums of n terms p_k
whose sum is p: u^2/3 [(1 + n/2) sum p_k^2 + n/3 p^2], a random walk and a drift. Errors brought
into a sum, of variance V if independent, are given V (1 + p^2 / sum p_k^2): equal examples make
equal errors, which grow as p does. All else is modelled as independent (Higham and Mary 2019),
which it need not be: a calibrated figure, no bound. It fails for long sums of equal terms, whose
partial sums are rounded the same way again and again: 8.4 deviations are exceeded from about 500
equal examples on, if they are added one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from gradcheck.arrays import Float64Array
from gradcheck.problem import dtype_name, require_name
from gradcheck.rounding.arithmetic import ARITHMETICS, K_EXP, K_LOG, Arithmetic

if TYPE_CHECKING:
    from gradcheck.problem import Problem

UNIT = 2.0**-53
"""v, the unit roundoff of the sweep itself."""

OPERATIONS = 64
"""More operations than stand between two calls of `upward`, sums of n terms apart."""

SQUARES = 2.0**-900
"""Sums of scaled squares from here on have lost nothing to underflow (terms below 2^-1074)."""


class Bounded(NamedTuple):
    """Numbers x~ with dx, the bound of their error and of the engine's."""

    x: Float64Array
    d: Float64Array

    @classmethod
    def exact(cls, x: npt.ArrayLike) -> Bounded:
        """Numbers that are given, not computed."""
        x = np.asarray(x, np.float64)
        return cls(x, np.zeros_like(x))

    @property
    def T(self) -> Bounded:  # noqa: N802  (as numpy calls it)
        """The transpose."""
        return Bounded(self.x.T, self.d.T)

    @property
    def most(self) -> Float64Array:
        """|x~| + dx, which |x| does not exceed."""
        return np.abs(self.x) + self.d

    @property
    def most_computed(self) -> Float64Array:
        """|x~| + 2 dx, which |x^| does not exceed."""
        return np.abs(self.x) + 2 * self.d


@dataclass(frozen=True)
class Rounding:
    """The constants of one dtype and one class of algorithms, and M."""

    row: Arithmetic
    u: float
    eta: float
    tiny: float
    largest: float
    k_e: float
    M: int

    @classmethod
    def of(cls, problem: Problem, arithmetic: str) -> Self:
        """Look the constants up.

        Raises:
            TypeError: a dtype whose rounding is not in the tables; a name that is not text.
            ValueError: an unknown arithmetic.
        """
        require_name("arithmetic", arithmetic, tuple(ARITHMETICS))
        name = dtype_name(problem.dtype)
        if name not in K_EXP:
            raise TypeError(f"problem has dtype {name}; it must be one of {', '.join(K_EXP)}")
        format_, row = np.finfo(problem.dtype), ARITHMETICS[arithmetic]
        flushes = row.flushes and name != "float16"
        return cls(
            row,
            u=float(format_.eps) / 2,
            eta=float(format_.tiny if flushes else format_.smallest_subnormal),
            tiny=float(format_.tiny),
            largest=float(format_.max),
            k_e=K_EXP[name],
            M=problem.batch if problem.architecture.reduction == "mean" else 1,
        )

    @property
    def k_s(self) -> float:
        """Relative error of the sigmoid in units of u."""
        return self.k_e + 2

    @property
    def k_p(self) -> float:
        """Relative error of a cancellation-free slope in units of u."""
        return self.k_e + 5

    @property
    def k_c(self) -> float:
        """Relative error of a cancellation-free cross-entropy in units of u."""
        return self.k_e + K_LOG + 1 + 3

    def relative(self, k: float) -> float:
        """The size of k roundings of relative error u each."""
        raise NotImplementedError

    def total(self, *terms: npt.ArrayLike, n: int = 1) -> Float64Array:
        """The size of several errors together; the last one is a sum of n terms."""
        raise NotImplementedError

    def product(self, x: Bounded, y: Bounded, plus: Float64Array | None = None) -> Bounded:
        """The matrix product x y, plus a vector that is given."""
        raise NotImplementedError

    def row_sums(self, x: Bounded) -> Bounded:
        """The matrix product x 1."""
        return self.product(x, Bounded.exact(np.ones((x.x.shape[1], 1))))

    def times(self, x: Bounded, y: Bounded, roundings: int = 1) -> Bounded:
        """The product entry by entry, followed by as many roundings."""
        moved = self.total(x.d * (y.most + y.d), x.most * y.d)
        rounded = self.relative(roundings) * (x.most + x.d) * (y.most + y.d)
        return Bounded(x.x * y.x, self.total(moved, rounded, (2 + roundings) * self.eta))

    def scaled(self, x: Bounded) -> Bounded:
        """Divide by M, with two roundings: 1 / M, and the product with it."""
        if self.M == 1:
            return x
        rounded = self.relative(2) * x.most_computed / self.M
        return Bounded(x.x / self.M, self.total(x.d / self.M, rounded, 3 * self.eta))

    def allowed(self, strict: Float64Array, cancelling: Float64Array) -> Float64Array:
        """The greater of both errors where the class may cancel, else the strict one."""
        return np.maximum(strict, cancelling) if self.row.cancels else strict


class Worst(Rounding):
    """Errors add up at their largest."""

    def relative(self, k: float) -> float:
        """gamma_k."""
        return k * self.u / (1 - k * self.u) if k * self.u < 1 else np.inf

    def total(self, *terms: npt.ArrayLike, n: int = 1) -> Float64Array:
        """The sum, rounded upward."""
        first, *others = map(np.asarray, terms)
        return upward(sum(others, start=first), n)

    def product(self, x: Bounded, y: Bounded, plus: Float64Array | None = None) -> Bounded:
        """Products with G_n, infinite where a partial sum may overflow."""
        n, plus = terms_of(x, plus)
        gamma, u_g = self.relative(n), self.row.u_g
        G = u_g * (2 + u_g) + (1 + u_g) ** 2 * gamma
        X, Y = x.most + x.d, y.most + y.d
        moved = (x.d + G * X) @ Y
        if y.d.any():
            moved = moved + x.most @ y.d
        underflow = self.eta + self.row.eta_g
        underflow = underflow * (2 * n + X.sum(axis=1, keepdims=True) + Y.sum(axis=0))
        peak = self.M * (1 + G) * ((X.max(axis=0) @ Y).max() + np.max(np.abs(plus)))
        overflow = 0.0 if peak <= self.largest else np.inf
        bias = gamma * np.abs(plus)
        return Bounded(x.x @ y.x + plus, self.total(moved, bias, underflow, overflow, n=n))


class Deviation(Rounding):
    """Errors add up as independent random numbers do."""

    def relative(self, k: float) -> float:
        """The standard deviation of an error uniform in +-k u."""
        return float(k * self.u / np.sqrt(3))

    def total(self, *terms: npt.ArrayLike, n: int = 1) -> Float64Array:  # noqa: ARG002  (as Worst)
        """The root of the sum of squares; np.hypot neither underflows nor overflows."""
        return reduce(np.hypot, (np.asarray(term, np.float64) for term in terms))

    def product(self, x: Bounded, y: Bounded, plus: Float64Array | None = None) -> Bounded:
        """Products with the random walk and the drift of their partial sums."""
        n, plus = terms_of(x, plus)
        X, Y, p = Scaled.of(np.abs(x.x), axis=1), Scaled.of(np.abs(y.x), axis=0), x.x @ y.x
        squares = root_sum_squares(X, Y)
        moved = root_sum_squares(Scaled.of(x.d, axis=1), Y)
        if y.d.any():
            moved = np.hypot(moved, root_sum_squares(X, Scaled.of(y.d, axis=0)))
        ones = np.ones_like(p)
        together = np.divide(np.abs(p), squares, out=ones, where=squares > 0)
        walk = np.hypot(self.relative(1) * np.sqrt(1 + n / 2), self.row.u_g * np.sqrt(2 / 3))
        drift = self.relative(1) * np.sqrt(n / 3) * np.abs(p + plus)
        bias = self.relative(1) * np.sqrt(1 + n / 2) * np.abs(plus)
        underflow = (self.eta + self.row.eta_g) * np.sqrt(n)
        moved = self.total(moved, moved * together)
        return Bounded(p + plus, self.total(moved, walk * squares, drift, bias, underflow))


def terms_of(x: Bounded, plus: Float64Array | None) -> tuple[int, Float64Array]:
    """Return how many terms a row of x times a column plus a number has, and the number or 0."""
    n = x.x.shape[1]
    return (n, np.zeros(1)) if plus is None else (n + 1, plus)


def upward(bound: Float64Array, n: int) -> Float64Array:
    """Make up for the rounding of a bound that n + OPERATIONS operations led to."""
    return bound * (1 + 2 * (n + OPERATIONS) * UNIT)


class Scaled(NamedTuple):
    """Numbers that are not negative, the largest of each row or column, and (x / largest)^2."""

    x: Float64Array
    largest: Float64Array
    squares: Float64Array

    @classmethod
    def of(cls, x: Float64Array, axis: int) -> Scaled:
        """Scale rows (axis 1) or columns (axis 0) to 1, unless they are 0."""
        largest = x.max(axis=axis, keepdims=True)
        largest = np.where(largest > 0, largest, 1.0)
        return cls(x, largest, (x / largest) ** 2)


def root_sum_squares(X: Scaled, Y: Scaled) -> Float64Array:
    """Return sqrt(sum_k (X_ik Y_kj)^2) of rows of X and columns of Y.

    Where the squares are too small to be trusted though they are scaled, the sum without squares
    stands in, which is at least as large.
    """
    squares = X.squares @ Y.squares
    result = np.sqrt(squares) * X.largest * Y.largest
    if (squares < SQUARES).any():
        result = np.where(squares < SQUARES, X.x @ Y.x, result)
    return result
