r"""The dyadic lattice: problems made of numbers n 2^q, their exact gradient, and a bit budget.

Symbols, for layers l = 1..L and m examples, which are rows:

    p, tiny, largest  significant bits, smallest normal and largest number of the engine's format
    X, Y, W_l, b_l    inputs, targets, weights, biases;   z, a = sigma(z), delta = dC/dz;  a_0 = X
    M                 m for `mean`, 1 for `sum`

The corner `zero_preactivations` has integer W_l and X, and biases that make every z exactly 0. An
engine with sigma(0) = 1/2 then has a = 1/2 and sigma' = 1/4 exactly:

    r = 1/2 - Y,   delta_L = r / M  (quadratic loss: r / 4 M),   delta_{l-1} = (delta_l W_l) / 4
    dC/dW_l = delta_l^T a_{l-1},   dC/db_l = sum of delta_l over the examples

**Bit budget.** A number v = sum_i t_i has the granularity g = 2^q if every t_i is a whole multiple
of g, and the size S = sum_i |t_i| / g. Every sum of some of the t_i is a multiple n g, |n| <= S.
If S <= 2^p, g >= tiny and S g <= largest, all of them are numbers of the format, none subnormal:
whatever is added to whatever first, each rounding returns its argument, and the result is v itself.
A fused multiply-add or a wider accumulator rounds less often, which changes nothing. From the
arrays, whose lowest set bit gives g, both are carried from step to step as if all products were
multiplied out:

    z = a W^T + b       g = min(g_a g_W, g_b),  S g = |a| |W|^T + |b|; the bias is one term more and
                        may come first or last
    r = 1/2 - Y         g = min(1/2, g_Y),      S g = max(1/2 + Y, 1), the 1 being that of the form
                        (1 - Y)/2 - Y/2, whose terms are multiples of g_Y / 2 and add up to 1/2
    delta_l W_l         g = g_delta g_W,        S = S_delta S_W
    delta_l^T a_{l-1}   g = g_delta g_a,        S = S_delta^T S_a;   db the same with ones for a

S is passed on, not |v|: a gradient summed path by path, or in forward mode, is covered too (S >= 1
for r, so that the factor of r is no longer than the product). A power of two in front alters
neither S nor a bit of n: 1/M, for which `mean` needs m a power of two, the slope 1/4, the 1/2 of
the quadratic loss and the 2 of its derivative may come first or last. They move g: it must be
>= 4 tiny after division by M, and S g <= largest / (4 M). Engines that declare to round the inputs
of products (tf32, bfloat16) are held to the bits of that format.

The exact gradient comes from the same steps in Python's integers n, without any engine.

Source: Higham (2002), Accuracy and Stability of Numerical Algorithms, 2nd ed., section 2.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ldexp
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from gradcheck.problem import dtype_name
from gradcheck.rounding import ARITHMETICS

if TYPE_CHECKING:
    from gradcheck.problem import Problem

Integers: TypeAlias = npt.NDArray[np.object_]

SLACK = 2
"""Binary places that the slope 1/4, or the factors of the quadratic loss, may move a number."""


@dataclass(frozen=True)
class Format:
    """Floating-point numbers: n 2^q, |n| <= 2^bits, 2^lowest normal, all below 2^highest."""

    name: str
    bits: int
    lowest: int
    highest: int

    @classmethod
    def of(cls, dtype: np.dtype[Any], arithmetic: str) -> Format:
        """Return the narrowest format that an engine of that arithmetic puts its numbers into."""
        info, row = np.finfo(dtype), ARITHMETICS[arithmetic]
        bits = int(info.nmant) + 1
        if not row.u_g:
            return cls(dtype_name(dtype), bits, int(info.minexp), int(info.maxexp))
        narrow = min(bits, -int(np.log2(row.u_g)))
        return cls(arithmetic, narrow, int(info.minexp), int(info.maxexp))

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return ldexp(1.0, self.lowest)


@dataclass(frozen=True)
class Dyadic:
    """Numbers n 2^q, each a sum of multiples of 2^q whose absolute values add up to S 2^q.

    >>> x = Dyadic.of(np.array([[0.75, -2.0]]))
    >>> x.n.tolist(), x.q
    ([[3, -8]], -2)
    >>> (x @ x.T).S.tolist(), (x @ x.T).q
    ([[73]], -4)
    """

    n: Integers
    S: Integers
    q: int

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> Dyadic:
        """Take floating-point numbers as they are, one term each."""
        numbers = [float(value) for value in values.ravel()]
        q = min((_lowest_bit(x) for x in numbers if x), default=0)
        n = np.array([int(ldexp(x, -q)) for x in numbers], dtype=object).reshape(values.shape)
        return cls(n, np.abs(n), q)

    @property
    def T(self) -> Dyadic:  # noqa: N802 - as numpy calls it
        """The transpose."""
        return Dyadic(self.n.T, self.S.T, self.q)

    def __matmul__(self, other: Dyadic) -> Dyadic:
        return Dyadic(self.n @ other.n, self.S @ other.S, self.q + other.q)

    def __add__(self, other: Dyadic) -> Dyadic:
        q = min(self.q, other.q)
        i, j = 2 ** (self.q - q), 2 ** (other.q - q)
        return Dyadic(self.n * i + other.n * j, self.S * i + other.S * j, q)

    def __neg__(self) -> Dyadic:
        return Dyadic(-self.n, self.S, self.q)

    def shifted(self, k: int) -> Dyadic:
        """Multiply by 2^k."""
        return Dyadic(self.n, self.S, self.q + k)

    def values(self) -> npt.NDArray[np.float64]:
        """Return the numbers as one vector, exact where n has at most 53 bits."""
        return np.array([ldexp(n, self.q) for n in self.n.ravel()], dtype=np.float64)


class LatticeGradient(NamedTuple):
    """The steps of backpropagation on a lattice problem, in integers.

    Attributes:
        steps: z1, ..., zL, delta1, ..., deltaL, W1, b1, ..., WL, bL; the last being derivatives.
        places: binary places by which dividing by M moves a number.
    """

    steps: dict[str, Dyadic]
    places: int

    def vector(self, problem: Problem) -> npt.NDArray[np.float64]:
        """Return the exact gradient in the order of `problem.parameters`."""
        return np.concatenate([self.steps[name].values() for name in problem.parameters])

    def longest(self) -> int:
        """Return the most significant bits that an error delta has."""
        errors = [step for name, step in self.steps.items() if name.startswith("delta")]
        return max(_bits(n) for step in errors for n in step.n.ravel())

    def excess(self, form: Format) -> str:
        """Name the first step that does not fit the format, or return ""."""
        for name, step in self.steps.items():
            S = int(step.S.max())
            needed = (S - 1).bit_length()  # of all numbers up to S, save S = 2^needed itself
            if needed > form.bits:
                return f"{name} may need {needed} significant bits; {form.name} has {form.bits}"
            if step.q - SLACK < form.lowest:
                return f"{name} may need 2^{step.q - SLACK}; {form.name} has 2^{form.lowest}"
            if S.bit_length() + step.q + self.places + SLACK > form.highest:
                return f"{name} may overflow in {form.name}"
        return ""


def lattice_gradient(problem: Problem) -> LatticeGradient:
    """Run backpropagation in integers on a problem whose pre-activations are all 0.

    Raises:
        ValueError: a pre-activation is not 0, or `mean` is taken of a number of examples that is no
            power of two.

    >>> from gradcheck.problems.case import Case
    >>> case = Case(sizes=(2, 1), corner="zero_preactivations", targets="zeros")
    >>> lattice_gradient(case.problem()).steps["b1"].values()
    array([0.5])
    """
    network, m = problem.architecture, problem.batch
    places = m.bit_length() - 1 if network.reduction == "mean" else 0
    if network.reduction == "mean" and m != 2**places:
        raise ValueError(f"the mean over m={m} examples is inexact; m must be a power of two")
    W = [Dyadic.of(weights) for weights in problem.weights]
    steps: dict[str, Dyadic] = {}
    a = [Dyadic.of(problem.inputs)]
    for l, b in enumerate(problem.biases):  # noqa: E741 - the layer's symbol, from 0 here
        z = a[l] @ W[l].T + Dyadic.of(b)
        if z.n.any():
            raise ValueError(
                f"z{l + 1} is not 0 in all units; the lattice needs zero_preactivations"
            )
        steps[f"z{l + 1}"] = z
        a.append(Dyadic.of(np.full(z.n.shape, 0.5)))
    r = a[-1] + -Dyadic.of(problem.targets)
    delta = Dyadic(r.n, np.maximum(r.S, 2**-r.q), r.q - places)
    if network.loss == "quadratic":
        delta = delta.shifted(-2)
    ones = Dyadic.of(np.ones(m))
    for l in reversed(range(network.depth)):  # noqa: E741
        steps[f"delta{l + 1}"] = delta
        steps[f"W{l + 1}"] = delta.T @ a[l]
        steps[f"b{l + 1}"] = delta.T @ ones
        delta = (delta @ W[l]).shifted(-2)
    return LatticeGradient(steps, places)


def _bits(n: int) -> int:
    """Return the length of n from its first set bit to its last."""
    return n.bit_length() - (n & -n).bit_length() + 1 if n else 0


def _lowest_bit(x: float) -> int:
    """Return the place of the last set bit of x != 0."""
    n, d = x.as_integer_ratio()
    return (n & -n).bit_length() - d.bit_length()
