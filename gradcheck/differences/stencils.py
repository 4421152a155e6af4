"""Finite-difference stencils for the first derivative, as exact rational tables.

Symbols: offsets k_i (integers), weights c_i (rationals), step h, accuracy p.

    f'(x) ~ D(h) = (1/h) sum_i c_i f(x + k_i h)

Taylor's theorem turns the claim "D is a first derivative, accurate to order p" into

    sum_i c_i k_i^q = [q = 1]        for q = 0 .. p        (moment conditions)
    sum_i c_i k_i^(p+1) != 0                               (p is not understated)

and gives the two constants of the error model |D(h) - f'| <= C1 eps_f / h + C2 |f^(p+1)| h^p:

    C1 = sum_i |c_i|                 C2 = |sum_i c_i k_i^(p+1)| / (p+1)!

Source: B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids",
Math. Comp. 51 (1988), 699-706, tables 1 and 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import factorial


@dataclass(frozen=True)
class Stencil:
    """A finite-difference formula that has passed its moment conditions.

    Args:
        name: what reports call it.
        accuracy: the order p of the truncation error h^p.
        offsets: the integers k_i.
        weights: the rationals c_i, one an offset, none of them zero.

    Raises:
        ValueError: the table is not the first-derivative formula of accuracy p that it claims.

    >>> Stencil("central", 2, (-1, 1), (Fraction(-1, 2), Fraction(1, 2))).noise_constant
    Fraction(1, 1)
    >>> Stencil("central", 2, (-1, 1), (Fraction(-1, 2), Fraction(1, 3)))
    Traceback (most recent call last):
    ValueError: stencil central: moment 0 is -1/6, but must be 0
    """

    name: str
    accuracy: int
    offsets: tuple[int, ...]
    weights: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if len(self.offsets) != len(self.weights) or len(set(self.offsets)) != len(self.offsets):
            raise ValueError(
                f"stencil {self.name}: {len(self.offsets)} offsets and {len(self.weights)} "
                "weights, but must be distinct offsets with one weight each"
            )
        if 0 in self.weights:
            raise ValueError(f"stencil {self.name}: a weight is 0; leave its offset out")
        for q in range(self.accuracy + 1):
            if self.moment(q) != (q == 1):
                raise ValueError(
                    f"stencil {self.name}: moment {q} is {self.moment(q)}, "
                    f"but must be {int(q == 1)}"
                )
        if self.moment(self.accuracy + 1) == 0:
            raise ValueError(
                f"stencil {self.name}: accuracy={self.accuracy} is understated, "
                f"moment {self.accuracy + 1} is 0 too"
            )

    def moment(self, q: int) -> Fraction:
        """Return sum_i c_i k_i^q."""
        return sum((c * k**q for c, k in zip(self.weights, self.offsets, strict=True)), Fraction(0))

    @cached_property
    def terms(self) -> tuple[tuple[int, float], ...]:
        """The pairs (k_i, c_i) with k_i != 0: f(x + k_i h) - f(x) is 0 at the others."""
        pairs = zip(self.offsets, self.weights, strict=True)
        return tuple((k, float(c)) for k, c in pairs if k)

    @cached_property
    def noise_constant(self) -> Fraction:
        """C1: what the stencil makes of an evaluation error eps_f, in units of eps_f / h."""
        return sum((abs(c) for c in self.weights), Fraction(0))

    def mirrored(self) -> Stencil:
        """Return the formula at the offsets -k_i with the weights -c_i: that of f(-x)."""
        offsets, weights = tuple(-k for k in self.offsets), tuple(-c for c in self.weights)
        return Stencil(f"{self.name}, mirrored", self.accuracy, offsets, weights)

    @property
    def truncation_constant(self) -> Fraction:
        """C2: the truncation error in units of |f^(p+1)| h^p."""
        return abs(self.moment(self.accuracy + 1)) / factorial(self.accuracy + 1)

    @cached_property
    def disagreement_noise(self) -> Fraction:
        """A: the most that evaluation errors eps_f can put into h |D(h) - D(2h)|, over eps_f.

        Equal points of the two stencils are merged before the absolute values are added:
        h (D(h) - D(2h)) = sum_k a_k f(x + k h),  a_k = c_k - c_(k/2) / 2,  A = sum_k |a_k|.
        """
        merged = dict(zip(self.offsets, self.weights, strict=True))
        for k, c in zip(self.offsets, self.weights, strict=True):
            merged[2 * k] = merged.get(2 * k, Fraction(0)) - c / 2
        return sum((abs(a) for a in merged.values()), Fraction(0))

    def best_step(self, noise: float, next_derivative: float) -> float:
        """Return h* = (C1 eps_f / (p C2 |f^(p+1)|))^(1/(p+1)), which minimises the error model."""
        p, c1, c2 = self.accuracy, float(self.noise_constant), float(self.truncation_constant)
        return float((c1 * noise / (p * c2 * next_derivative)) ** (1 / (p + 1)))

    def error_model(self, h: float, noise: float, next_derivative: float) -> float:
        """Return C1 eps_f / h + C2 |f^(p+1)| h^p."""
        c1, c2 = float(self.noise_constant), float(self.truncation_constant)
        return c1 * noise / h + c2 * next_derivative * h**self.accuracy


def _antisymmetric(name: str, accuracy: int, *positive: Fraction) -> Stencil:
    """Build a central stencil from its weights at offsets 1, 2, 3, ..."""
    ks = range(1, len(positive) + 1)
    pairs = [(-k, -c) for k, c in zip(ks, positive, strict=True)]
    pairs += list(zip(ks, positive, strict=True))
    pairs.sort()
    return Stencil(name, accuracy, tuple(k for k, _ in pairs), tuple(c for _, c in pairs))


FORWARD = Stencil("forward", 1, (0, 1), (Fraction(-1), Fraction(1)))
CENTRAL_2 = _antisymmetric("central", 2, Fraction(1, 2))
CENTRAL_4 = _antisymmetric("central, 4th order", 4, Fraction(2, 3), Fraction(-1, 12))
CENTRAL_6 = _antisymmetric(
    "central, 6th order", 6, Fraction(3, 4), Fraction(-3, 20), Fraction(1, 60)
)
CENTRAL_8 = _antisymmetric(
    "central, 8th order", 8, Fraction(4, 5), Fraction(-1, 5), Fraction(4, 105), Fraction(-1, 280)
)

ONE_SIDED_4 = Stencil(
    "one-sided, 4th order",
    4,
    (0, 1, 2, 3, 4),
    (Fraction(-25, 12), Fraction(4), Fraction(-3), Fraction(4, 3), Fraction(-1, 4)),
)
ON_ONE_SIDE = {1: ONE_SIDED_4, -1: ONE_SIDED_4.mirrored()}
"""What stands for a central formula where x may be moved to one side only."""

STENCILS = (FORWARD, CENTRAL_2, CENTRAL_4, CENTRAL_6, CENTRAL_8)
