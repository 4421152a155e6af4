r"""The witness: differences of forward passes in balls, with a truncation term that is certain.

Symbols: phi(t) = C(x + t e_j) the loss along one coordinate; h the step; M3 >= |phi'''(t)| for
every real t. By Taylor's theorem, for some t in (-h, h),

    phi'(0) = [phi(h) - phi(-h)] / (2h) - h^2/6 phi'''(t).

Both passes are balls, and +- h^2 M3 / 6 is added: the sum encloses the derivative, and no formula
of backpropagation enters. At p bits the difference is unsure by about 2^-p / h, the truncation by
h^2 M3 / 6. With h the power of two just below (2^-p / max(M3, 1))^(1/3), about 2^(-2p/3) M3^(1/3)
is left.

**M3.** Let the parameter belong to layer l, let ' be d/dt, and let z_k bound every |entry| of the
k-th derivative of a layer's pre-activations, at every t; a_k the same of its activations.

    layer l        Z' is an input or activation of the layer below, or 1:
                   z_1 = max(1, |X|) for l = 1, else 1;   z_2 = z_3 = 0
    activations    |sigma'| <= 1/4,  |sigma''| <= 1/10,  |sigma'''| <= 1/8
                   a_1 = z_1/4
                   a_2 = z_1^2/10 + z_2/4
                   a_3 = z_1^3/8 + 3 z_1 z_2/10 + z_3/4
    next layer     z_k = |W| a_k,   |W| = max over rows i of sum_j |W_ij|
    loss of one output, |q'| <= q_1, |q''| <= q_2, |q'''| <= q_3:
                   q_3 z_1^3 + 3 q_2 z_1 z_2 + q_1 z_3
    cross-entropy  q' = sigma - y:  q_1 = 1,  q_2 = 1/4,  q_3 = 1/10
    quadratic      q' = (sigma - y) sigma':  q_1 = 1/4,  q_2 = 1/16 + 1/10,  q_3 = 3/40 + 1/8

(the chain rule of Faa di Bruno), summed over outputs and examples and divided by M. With s = sigma'
in (0, 1/4]: sigma'' = s (1 - 2 sigma), at most 1/(6 sqrt 3) < 1/10; sigma''' = s (1 - 6 s), between
-1/8 (s = 1/4) and 1/24 (s = 1/12). For the quadratic loss q'' = s^2 + (sigma - y) sigma'' and
q''' = 3 s sigma'' + (sigma - y) sigma'''.

The bounds know nothing of saturation, and need not: every bit of precision takes 2/3 of a bit off.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from flint import arb, arb_mat, ctx

from gradcheck.certified.ball_network import BallNetwork, activation, loss_of, preactivation
from gradcheck.certified.balls import require_bits
from gradcheck.problem import Problem
from gradcheck.pytree import Structure, structure_of

COST_BOUNDS = {
    "cross_entropy": ((1, 1), (1, 4), (1, 10)),
    "quadratic": ((1, 4), (13, 80), (1, 5)),
}
"""q_1, q_2, q_3 as fractions."""

SIZE_PRECISION = 64
"""Bits of M3: sums and products of positive numbers, whose size alone matters."""


@dataclass(frozen=True)
class Witness:
    """Derivatives enclosed by forward passes alone.

    Attributes:
        structure: the names of the coordinates.
        enclosures: one ball a coordinate, in the order of `problem.parameters`.
        exponents: k of the step h = 2^-k, one a layer.
        precision: bits of the forward passes.
        forward_passes: how many there were; each begins at the layer of its parameter.
    """

    structure: Structure
    enclosures: list[arb]
    exponents: list[int]
    precision: int
    forward_passes: int

    def convicts(self, gradient: Sequence[arb]) -> list[str]:
        """Name the coordinates where another enclosure of the same number is disjoint from this.

        Two enclosures of one number share it: where they are disjoint, one of them is wrong.

        Args:
            gradient: balls in the order of `problem.parameters`.
        """
        pairs = zip(self.enclosures, gradient, strict=True)
        return [self.structure.name(j) for j, (d, g) in enumerate(pairs) if not _may_be_equal(d, g)]

    def contains(self, gradient: Sequence[arb]) -> npt.NDArray[np.bool_]:
        """Tell for each coordinate whether another enclosure lies inside this one."""
        pairs = zip(self.enclosures, gradient, strict=True)
        return np.array([bool(g in d) for d, g in pairs], dtype=np.bool_)

    def bits(self) -> npt.NDArray[np.float64]:
        """Return the relative accuracy b of each enclosure, r <= 2^-b |c|; 0 where it holds 0.

        A relative error above 2^(2-b) in another enclosure is convicted.
        """
        bits = [d.rel_accuracy_bits() for d in self.enclosures]
        return np.maximum(np.array(bits, dtype=np.float64), 0.0)


def enclosed_differences(problem: Problem, *, precision: int = 256) -> Witness:
    """Enclose the gradient by central differences, two forward passes a coordinate.

    Args:
        problem: of any dtype; its numbers are taken exactly.
        precision: bits of the forward passes; about 2/3 of them are left in the gradient.

    Raises:
        TypeError: a precision that is not a whole number.
        ValueError: a precision below 2.

    >>> from gradcheck.problems.case import Case
    >>> from gradcheck.certified.ball_network import ball_gradient
    >>> problem = Case(sizes=(3, 4, 1), batch=2).problem()
    >>> witness = enclosed_differences(problem, precision=256)
    >>> loss, gradient = ball_gradient(problem, precision=256)
    >>> bool(witness.contains(gradient).all()), bool(witness.bits().min() > 100)
    (True, True)
    """
    with ctx.workprec(require_bits("precision", precision)):
        network = BallNetwork.of(problem)
        with ctx.workprec(SIZE_PRECISION):
            bounds = third_derivative_bounds(network)
            exponents = [step_exponent(M3, precision) for M3 in bounds]
        A = network.inputs
        enclosures = []
        for i, (W, b) in enumerate(zip(network.weights, network.biases, strict=True)):
            for parameter in (W, b):
                enclosures += layer_differences(network, i, A, parameter, exponents[i], bounds[i])
            A = activation(preactivation(W, b, A)).A
    structure = structure_of(problem.parameters)
    return Witness(structure, enclosures, exponents, precision, 2 * structure.size)


def third_derivative_bounds(network: BallNetwork) -> list[arb]:
    """Return M3 of the parameters of layer 1, 2, ..., L: certain for the upper end of each ball."""
    q1, q2, q3 = (arb(n) / d for n, d in COST_BOUNDS[network.loss])
    terms = arb(network.targets.nrows() * network.targets.ncols()) / network.divisor
    norms = [row_sum_norm(W) for W in network.weights]
    bounds = []
    for i in range(len(norms)):
        z1, z2, z3 = arb(1), arb(0), arb(0)
        if i == 0:
            z1 = largest(network.inputs).max(arb(1))
        for norm in norms[i + 1 :]:
            a1 = z1 / 4
            a2 = z1**2 / 10 + z2 / 4
            a3 = z1**3 / 8 + 3 * z1 * z2 / 10 + z3 / 4
            z1, z2, z3 = norm * a1, norm * a2, norm * a3
        bounds.append(terms * (q3 * z1**3 + 3 * q2 * z1 * z2 + q1 * z3))
    return bounds


def row_sum_norm(W: arb_mat) -> arb:
    """Return the largest sum of |entries| over a row."""
    entries, n = W.entries(), W.ncols()
    rows = [entries[start : start + n] for start in range(0, len(entries), n)]
    return max_of([sum(map(abs, row), start=arb(0)) for row in rows])


def largest(matrix: arb_mat) -> arb:
    """Return the largest |entry|."""
    return max_of([abs(entry) for entry in matrix.entries()])


def max_of(balls: Sequence[arb]) -> arb:
    """Return the largest of at least one ball."""
    top = balls[0]
    for ball in balls[1:]:
        top = top.max(ball)
    return top


def step_exponent(M3: arb, precision: int) -> int:
    """Return the k of h = 2^-k, the power of two just below (2^-p / max(M3, 1))^(1/3)."""
    size = float(M3.max(arb(1)).log() / arb(2).log())
    return math.ceil((precision + size) / 3)


def layer_differences(
    network: BallNetwork, i: int, A: arb_mat, parameter: arb_mat, exponent: int, M3: arb
) -> list[arb]:
    """Return the enclosures for one weight matrix or bias, row by row.

    Args:
        network: whose parameters are moved, one after the other, and put back.
        i: the index of the layer; the first is 0.
        A: what enters it.
        parameter: `network.weights[i]` or `network.biases[i]`.
        exponent: k of h = 2^-k.
        M3: the bound on the third derivative.
    """
    h = arb((1, -exponent))
    truncation = arb(0, (h**2 * M3 / 6).upper())
    enclosures = []
    for row in range(parameter.nrows()):
        for column in range(parameter.ncols()):
            x = parameter[row, column]
            parameter[row, column] = x + h
            right = loss_from(network, i, A)
            parameter[row, column] = x - h
            left = loss_from(network, i, A)
            parameter[row, column] = x
            enclosures.append((right - left) / (2 * h) + truncation)
    return enclosures


def loss_from(network: BallNetwork, i: int, A: arb_mat) -> arb:
    """Return the loss of A entering the layer with index i: the rest of a forward pass."""
    Z = preactivation(network.weights[i], network.biases[i], A)
    for W, b in zip(network.weights[i + 1 :], network.biases[i + 1 :], strict=True):
        Z = preactivation(W, b, activation(Z).A)
    return loss_of(network, Z)


def _may_be_equal(first: arb, second: arb) -> bool:
    """Tell whether two balls share a number; one that is not finite may be any number."""
    return not (first.is_finite() and second.is_finite()) or bool(first.overlaps(second))
