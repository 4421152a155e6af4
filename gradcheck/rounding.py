r"""How far rounding can take a right gradient, or loss, from the exact one: computed in advance.

A forward and a backward sweep of componentwise absolute values, in float64, bound the error of
every engine of a declared class of algorithms. Nothing is measured and nothing is tuned.

Symbols, for layers l = 1..L and m examples, which are rows:

    x, x^, x~        a number: exact; as the engine computes it; as the sweep computes it
    dx               certain bound of both |x^ - x| and |x~ - x|
    u, eta           unit roundoff and smallest subnormal number of the problem's dtype
    tiny, largest    its smallest normal and its largest number
    gamma_k          k u / (1 - k u), infinite for k u >= 1
    u_g, eta_g       the same two of the format that inputs of products are rounded to, or 0
    k_e              the error of exp in units of u
    W_l, b_l, X, Y   weights (n_l, n_{l-1}), biases, inputs, targets;  a_0 = X,  da_0 = 0
    z, a, s          pre-activation, sigma(z), sigma'(z);   M = m for `mean`, 1 for `sum`

**The sweep is a member of the class.** It computes x~ in float64 without cancellation, and its
unit roundoff is at most u: every bound that holds for the engine holds for it. Hence
|x| <= |x~| + dx and |x^| <= |x~| + 2 dx, and no exact value is needed.

**Products.** p = sum_k x_k y_k of n terms, in any order, with or without fused multiply-add
(Higham 2002, section 3.1), the inputs rounded to u_g first:

    x^ y^ - x y = (x^ - x) y^ + x (y^ - y)
    dp = sum_k [dx_k (|y_k| + dy_k) + |x_k| dy_k] + G_n sum_k (|x_k| + dx_k)(|y_k| + dy_k)
         + (eta + eta_g) sum_k (2 + |x_k| + |y_k|)
    G_n = (1 + u_g)^2 (1 + gamma_n) - 1

The last line of dp: a product that underflows errs by eta / 2, once in the engine and twice in the
sweep; an input rounded to a subnormal number by eta_g / 2 times the other factor; G_n x_k in the
sweep by eta / 2 times it. Adding a bias makes n + 1 of n. One product x y followed by k roundings
has gamma_k in place of G_n and (2 + k) eta for underflow, 2 eta of it for four products in the
sweep.

**Sigmoid.** Exactly, for h >= 0,

    sigma(z + h) - sigma(z) = sigma(z + h) sigma(-z) (1 - e^-h),

a product of positive factors. With |z^ - z| <= dz, |z~ - z| <= dz, and one more dz for the rounding
of the arguments (dz >= gamma_2 |z| as z is a sum of two terms or more),

    |sigma(z^) - sigma(z)| <= E = (1 - e^-dz) max[ sigma(z~+3dz) sigma(2dz-z~),
                                                   sigma(z~+2dz) sigma(3dz-z~) ] <= 1.

Then da = E + gamma_{k_s} (a + 2 E) + k_a u + 2 f. A sigmoid made of exp, +, / has relative error
k_s u, k_s = k_e + 2. One made of tanh, (1 + tanh(z/2)) / 2, has tanh within 4 u and a sum below 2:
absolute error k_a u, k_a = (4 + 2) / 2 = 3. f is eta, or tiny where e^-|z^| can be below 4 tiny:
there 1 / (1 + e^-z) overflows inside and answers 0, and functions may flush subnormal results.

**Slope.** s(a) = a (1 - a) gives s(a + h) - s(a) = h (1 - 2 a - h); |1 - 2 a| = tanh(|z|/2) <= t,
t = tanh((|z~| + dz) / 2). So |sigma'(z^) - sigma'(z)| <= E (t + E), and

    ds = E (t + E) + gamma_{k_p} (s + 2 E (t + E)) + 2 f           cancellation-free
    or da (t + da) + gamma_3 (s + ds + da (t + da)) + 2 eta        a (1 - a), if greater

with k_p = k_e + 5. An error of exp in 1 / (1 + e^-z) counts by the factor sigma(-z), in
1 / (1 + e^z) by sigma(z), so in the product sigma(z) sigma(-z) once in all; two sums, two quotients
and the product add 5. In e / (1 + e)^2 it counts by |1 - e| / (1 + e), and 4 are added. The second
line also holds (1 - tanh^2(z/2)) / 4: error (4 + 4 + 1) |1 - 2 a| u / 4 and two roundings.

**Residual.** r = sigma(z) - y = (1 - y) sigma(z) - y sigma(-z), its terms' sum
B = (1 - y) sigma(z) + y sigma(-z), which is |r| only for y = 0 and y = 1:

    dr = E + gamma_{k_s+3} (B + 2 E) + 2 f                         cancellation-free
    or da + gamma_1 (|r| + dr + da) + eta                          p - y, if greater

**Backward.** delta_L = r / M or r s / M (two roundings for M: 1/M, and the product with it);
delta_{l-1} = (delta_l W_l) s_{l-1}; dC/dW_l = delta_l^T a_{l-1}; dC/db_l = delta_l^T 1. Engines
that divide by M last are covered: two roundings of the result are at most two of every term, and
what underflows before the division is made smaller by it.

**Loss.** |dC/dz| = |r| grows by E at most while z moves by dz: C moves by D = dz (|r| + E) at most,

    dC = D + gamma_{k_c} (C + 2 D) + 2 f,   k_c = k_e + 8

for C = (1 - y) softplus(z) + y softplus(-z), softplus(z) = max(z, 0) + log1p(e^-|z|): exp k_e,
log1p 4, the sum 1; 1 - y, the product and the sum 3. Classes that cancel may compute
max(z, 0) - y z + log1p(e^-|z|), whose terms are |z| twice and at most C, or
-y log a - (1 - y) log(1 - a), where |log a^ - log a| <= -log(1 - da / a). The quadratic loss is the
product r r, halved exactly.

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

Sources: Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 2.2, 3.1,
3.3; Higham and Mary (2019), SIAM J. Sci. Comput. 41. Not covered: arithmetic that flushes all
subnormal numbers to 0, products of Strassen's kind, functions less accurate than stated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import numpy.typing as npt

from gradcheck.problem import dtype_name, require_name

if TYPE_CHECKING:
    from gradcheck.problem import Problem

FloatArray = npt.NDArray[np.float64]

UNIT = 2.0**-53
"""v, the unit roundoff of the sweep itself."""

OPERATIONS = 64
"""More operations than stand between two calls of `upward`, sums of n terms apart."""

SQUARES = 2.0**-900
"""Sums of scaled squares from here on have lost nothing to underflow (terms below 2^-1074)."""

K_EXP = {"float16": 4.0, "float32": 4.0, "float64": 2.0}
"""k_e: numpy's float32 exp errs by up to 3.57 u (measured, every argument); float16 is rounded from
it or worse; float64 is accurate to one unit in the last place."""

K_LOG = 4.0
K_TANH = 4.0
"""log, log1p and tanh: two units in the last place."""


@dataclass(frozen=True)
class Arithmetic:
    """A class of algorithms, by the rounding errors that its members may make.

    Each row of ARITHMETICS allows what the rows above it allow.

    Attributes:
        name: as engines declare it.
        meaning: in words, for reports.
        cancels: the residual may be p - y, the slope a (1 - a), the loss made of log p.
        k_a: absolute error of the sigmoid in units of u.
        u_g: unit roundoff of the inputs of products; 0 where they are not rounded.
        eta_g: smallest subnormal number of that format.
    """

    name: str
    meaning: str
    cancels: bool = False
    k_a: float = 0.0
    u_g: float = 0.0
    eta_g: float = 0.0


K_ABSOLUTE = (K_TANH + 2) / 2

ARITHMETICS: dict[str, Arithmetic] = {
    row.name: row
    for row in (
        Arithmetic("cancellation_free", "nothing is subtracted that may be nearly equal"),
        Arithmetic("p_minus_y", "residual p - y and slope a (1 - a)", cancels=True),
        Arithmetic(
            "absolute_sigmoid",
            "a sigmoid of absolute accuracy only, such as one made of tanh",
            cancels=True,
            k_a=K_ABSOLUTE,
        ),
        # 11 significant bits, the exponents of float32: 2^-126 2^-10
        Arithmetic(
            "tf32",
            "inputs of products rounded to TF32",
            cancels=True,
            k_a=K_ABSOLUTE,
            u_g=2.0**-11,
            eta_g=2.0**-136,
        ),
        # 8 significant bits, the exponents of float32: 2^-126 2^-7
        Arithmetic(
            "bfloat16",
            "inputs of products rounded to bfloat16",
            cancels=True,
            k_a=K_ABSOLUTE,
            u_g=2.0**-8,
            eta_g=2.0**-133,
        ),
    )
}


def gradient_bound(problem: Problem, arithmetic: str = "cancellation_free") -> FloatArray:
    """Bound the rounding error of every coordinate of the gradient.

    Args:
        problem: of dtype float16, float32 or float64, which is what the engine computes in.
        arithmetic: a name in ARITHMETICS.

    Returns:
        What |computed - exact derivative| does not exceed, as one vector in the order of
        `problem.parameters`; infinite where nothing is known.

    Raises:
        TypeError: another dtype; an arithmetic that is not text.
        ValueError: an unknown arithmetic.

    >>> from gradcheck.case import Case
    >>> gradient_bound(Case(sizes=(2, 1)).problem()) < 1e-15  # W1[0,0], W1[0,1], b1[0]
    array([ True,  True,  True])
    """
    return _gradient(problem, Worst.of(problem, arithmetic))


def gradient_deviation(problem: Problem, arithmetic: str = "cancellation_free") -> FloatArray:
    """Estimate the standard deviation of the rounding error of every coordinate of the gradient.

    Squares are taken of scaled numbers, so that none is lost to underflow.

    Args:
        problem: of dtype float16, float32 or float64.
        arithmetic: a name in ARITHMETICS.

    Raises:
        TypeError: another dtype; an arithmetic that is not text.
        ValueError: an unknown arithmetic.
    """
    return _gradient(problem, Deviation.of(problem, arithmetic))


def loss_bound(problem: Problem, arithmetic: str = "cancellation_free") -> float:
    """Bound the rounding error of the loss: the noise of one forward pass.

    Args:
        problem: of dtype float16, float32 or float64.
        arithmetic: a name in ARITHMETICS.

    Raises:
        TypeError: another dtype; an arithmetic that is not text.
        ValueError: an unknown arithmetic.

    >>> from gradcheck.case import Case
    >>> loss_bound(Case(sizes=(2, 1)).problem()) < 1e-14
    True
    """
    rounding = Worst.of(problem, arithmetic)
    with np.errstate(all="ignore"):  # a bound may be infinite
        entries = COSTS[problem.architecture.loss](
            forward(problem, rounding)[-1], problem, rounding
        )
        ones = Bounded.exact(np.ones((entries.x.size, 1)))
        flat = Bounded(entries.x.reshape(1, -1), entries.d.reshape(1, -1))
        total = rounding.scaled(rounding.product(flat, ones))
    return float(np.where(np.isfinite(total.d), total.d, np.inf).item())


# ------------------------------------------------------------------------------------- the numbers


class Bounded(NamedTuple):
    """Numbers x~ with dx, the bound of their error and of the engine's."""

    x: FloatArray
    d: FloatArray

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
    def most(self) -> FloatArray:
        """|x~| + dx, which |x| does not exceed."""
        return np.abs(self.x) + self.d

    @property
    def most_computed(self) -> FloatArray:
        """|x~| + 2 dx, which |x^| does not exceed."""
        return np.abs(self.x) + 2 * self.d


class Layer(NamedTuple):
    """One layer: z, a = sigma(z), b = sigma(-z), s = sigma'(z), and E, t, f of the text above."""

    z: Bounded
    a: Bounded
    b: FloatArray
    s: Bounded
    E: FloatArray
    t: FloatArray
    f: FloatArray


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
        format_ = np.finfo(problem.dtype)
        return cls(
            ARITHMETICS[arithmetic],
            u=float(format_.eps) / 2,
            eta=float(format_.smallest_subnormal),
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

    def total(self, *terms: npt.ArrayLike, n: int = 1) -> FloatArray:
        """The size of several errors together; the last one is a sum of n terms."""
        raise NotImplementedError

    def product(self, x: Bounded, y: Bounded, plus: FloatArray | None = None) -> Bounded:
        """The matrix product x y, plus a vector that is given."""
        raise NotImplementedError

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

    def allowed(self, strict: FloatArray, cancelling: FloatArray) -> FloatArray:
        """The greater of both errors where the class may cancel, else the strict one."""
        return np.maximum(strict, cancelling) if self.row.cancels else strict


class Worst(Rounding):
    """Errors add up at their largest."""

    def relative(self, k: float) -> float:
        """gamma_k."""
        return k * self.u / (1 - k * self.u) if k * self.u < 1 else np.inf

    def total(self, *terms: npt.ArrayLike, n: int = 1) -> FloatArray:
        """The sum, rounded upward."""
        return upward(sum(map(np.asarray, terms), start=np.zeros(())), n)

    def product(self, x: Bounded, y: Bounded, plus: FloatArray | None = None) -> Bounded:
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

    def total(self, *terms: npt.ArrayLike, n: int = 1) -> FloatArray:  # noqa: ARG002  (as Worst)
        """The root of the sum of squares; np.hypot neither underflows nor overflows."""
        result = np.zeros(())
        for term in terms:
            result = np.hypot(result, np.asarray(term, np.float64))
        return result

    def product(self, x: Bounded, y: Bounded, plus: FloatArray | None = None) -> Bounded:
        """Products with the random walk and the drift of their partial sums."""
        n, plus = terms_of(x, plus)
        X, Y, p = np.abs(x.x), np.abs(y.x), x.x @ y.x
        squares = root_sum_squares(X, Y)
        moved = root_sum_squares(x.d, Y)
        if y.d.any():
            moved = np.hypot(moved, root_sum_squares(X, y.d))
        ones = np.ones_like(p)
        together = np.divide(np.abs(p), squares, out=ones, where=squares > 0)
        walk = np.hypot(self.relative(1) * np.sqrt(1 + n / 2), self.row.u_g * np.sqrt(2 / 3))
        drift = self.relative(1) * np.sqrt(n / 3) * np.abs(p + plus)
        bias = self.relative(1) * np.sqrt(1 + n / 2) * np.abs(plus)
        underflow = (self.eta + self.row.eta_g) * np.sqrt(n)
        moved = self.total(moved, moved * together)
        return Bounded(p + plus, self.total(moved, walk * squares, drift, bias, underflow))


def terms_of(x: Bounded, plus: FloatArray | None) -> tuple[int, FloatArray]:
    """Return how many terms a row of x times a column plus a number has, and the number or 0."""
    n = x.x.shape[1]
    return (n, np.zeros(1)) if plus is None else (n + 1, plus)


def upward(bound: FloatArray, n: int) -> FloatArray:
    """Make up for the rounding of a bound that n + OPERATIONS operations led to."""
    return bound * (1 + 2 * (n + OPERATIONS) * UNIT)


def root_sum_squares(X: FloatArray, Y: FloatArray) -> FloatArray:
    """Return sqrt(sum_k (X_ik Y_kj)^2) for numbers that are not negative.

    Rows of X and columns of Y are scaled to 1 first. Where the squares are still too small to be
    trusted, the sum without squares stands in, which is at least as large.
    """
    rows, columns = X.max(axis=1, keepdims=True), Y.max(axis=0)
    rows, columns = np.where(rows > 0, rows, 1.0), np.where(columns > 0, columns, 1.0)
    squares = (X / rows) ** 2 @ (Y / columns) ** 2
    result = np.sqrt(squares) * rows * columns
    if (squares < SQUARES).any():
        result = np.where(squares < SQUARES, X @ Y, result)
    return result


# ------------------------------------------------------------------------------------- the network


def forward(problem: Problem, rounding: Rounding) -> list[Layer]:
    """Return the layers 1..L."""
    layers: list[Layer] = []
    a = Bounded.exact(problem.inputs)
    for W, b in zip(problem.weights, problem.biases, strict=True):
        z = rounding.product(a, Bounded.exact(W.T), np.asarray(b, np.float64))
        layers.append(activation(z, rounding))
        a = layers[-1].a
    return layers


def activation(z: Bounded, rounding: Rounding) -> Layer:
    """Return a layer of its pre-activations."""
    row, total, relative = rounding.row, rounding.total, rounding.relative
    a, b = sigma(z.x), sigma(-z.x)
    s = sigma_prime(z.x)
    E = total(increment(z.x, z.d))
    t = total(np.tanh((np.abs(z.x) + z.d) / 2))
    flushed = np.abs(z.x) + 3 * z.d > -np.log(4 * rounding.tiny)
    f = np.where(flushed, rounding.tiny, rounding.eta)
    da = total(E, relative(rounding.k_s) * (a + 2 * E), row.k_a * relative(1), 2 * f)
    moved = E * (t + E)
    strict = total(moved, relative(rounding.k_p) * (s + 2 * moved), 2 * f)
    moved = da * (t + da)
    cancelling = total(moved, relative(3) * (s + strict + moved), 2 * rounding.eta)
    ds = rounding.allowed(strict, cancelling)
    return Layer(z, Bounded(a, da), b, Bounded(s, ds), E, t, f)


def residual(last: Layer, y: FloatArray, rounding: Rounding) -> Bounded:
    """Return r = sigma(z) - y."""
    total, relative = rounding.total, rounding.relative
    left, right = (1 - y) * last.a.x, y * last.b
    r = left - right
    strict = total(last.E, relative(rounding.k_s + 3) * (left + right + 2 * last.E), 2 * last.f)
    da = last.a.d
    cancelling = total(da, relative(1) * (np.abs(r) + strict + da), rounding.eta)
    return Bounded(r, rounding.allowed(strict, cancelling))


def backward(problem: Problem, layers: list[Layer], rounding: Rounding) -> list[FloatArray]:
    """Return the error's size in the blocks W_1, b_1, W_2, ..."""
    last = layers[-1]
    delta = residual(last, np.asarray(problem.targets, np.float64), rounding)
    if problem.architecture.loss == "quadratic":
        delta = rounding.times(delta, last.s)
    delta = rounding.scaled(delta)
    ones = Bounded.exact(np.ones((problem.batch, 1)))
    blocks = []
    for i in reversed(range(len(layers))):  # layer l = i + 1
        a = layers[i - 1].a if i else Bounded.exact(problem.inputs)
        blocks += [rounding.product(delta.T, ones).d, rounding.product(delta.T, a).d]
        if i:
            back = rounding.product(delta, Bounded.exact(problem.weights[i]))
            delta = rounding.times(back, layers[i - 1].s)
    return blocks[::-1]


def _gradient(problem: Problem, rounding: Rounding) -> FloatArray:
    with np.errstate(all="ignore"):  # a bound may be infinite
        blocks = backward(problem, forward(problem, rounding), rounding)
        flat = np.concatenate([block.ravel() for block in blocks])
    return np.where(np.isfinite(flat), flat, np.inf)


# --------------------------------------------------------------------------------------- functions


def sigma(z: FloatArray) -> FloatArray:
    """Return 1 / (1 + e^-z), of relative accuracy for either sign."""
    result: FloatArray = np.exp(np.minimum(z, 0)) / (1 + np.exp(-np.abs(z)))
    return result


def sigma_prime(z: FloatArray) -> FloatArray:
    """Return e / (1 + e)^2, e = e^-|z|."""
    e = np.exp(-np.abs(z))
    result: FloatArray = e / (1 + e) ** 2
    return result


def softplus(z: FloatArray) -> FloatArray:
    """Return log(1 + e^z)."""
    return np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z)))


def increment(z: FloatArray, d: FloatArray) -> FloatArray:
    """Return E: how far sigma moves while z moves by d, from anywhere within d of z."""
    up, down = sigma(z + 3 * d) * sigma(2 * d - z), sigma(z + 2 * d) * sigma(3 * d - z)
    E = -np.expm1(-d) * np.maximum(up, down)
    return np.where(np.isfinite(d), E, np.inf)


# ------------------------------------------------------------------------------------------ losses


def cross_entropy(last: Layer, problem: Problem, rounding: Rounding) -> Bounded:
    """Return the cross-entropy entry by entry."""
    total, relative = rounding.total, rounding.relative
    y = np.asarray(problem.targets, np.float64)
    z, d = last.z
    r = residual(last, y, rounding)
    C = (1 - y) * softplus(z) + y * softplus(-z)
    moved = d * (r.most + last.E)
    strict = total(moved, relative(rounding.k_c) * (C + 2 * moved), 2 * last.f)
    by_logits = total(strict, relative(rounding.k_c) * 2 * (np.abs(z) + 2 * d))
    logs = np.where(y > 0, y * log_error(last.a.x, last.a.d), 0)
    logs = logs + np.where(y < 1, (1 - y) * log_error(last.b, last.a.d), 0)
    # log, 1 - a, 1 - y, the product and the sum
    by_logs = total(logs, relative(K_LOG + 4) * (C + moved + logs), relative(1), 3 * rounding.eta)
    return Bounded(C, rounding.allowed(strict, np.maximum(by_logits, by_logs)))


def log_error(p: FloatArray, d: FloatArray) -> FloatArray:
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
