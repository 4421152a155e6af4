"""Derivatives of any order from values on a circle: a witness that knows no derivative rule.

    f^(k)(0) = k! / (n r^k) sum_j f(r w^j) w^(-jk),    w = exp(2 pi i / n)

Cauchy's integral by the trapezoidal rule with n points (Lyness and Moler 1967). Errors, for f
analytic in |t| <= R with |f| <= M there:

    truncation    k!/r^k  M (r/R)^n / (1 - (r/R)^n),  from the Taylor coefficients beyond n
    rounding      k!/r^k  rho M, for values within rho M

M is the largest value seen on n points of the circle R, doubled. Computed in extended precision.
"""

import math

import numpy as np

POINTS = 32


def circle(radius):
    turn = 2 * np.arctan2(np.longdouble(0), np.longdouble(-1))
    return radius * np.exp(np.clongdouble(1j) * turn * np.arange(POINTS) / POINTS)


def derivative(f, order, *, inner, outer, gates):
    """f^(order)(0) of a function of one complex number, and its error, entry by entry.

    inner, outer: the radii r < R. gates: how many gates f has, of at most 40 roundings each.
    """
    t = circle(inner)
    near = np.array([f(t_j) for t_j in t])
    M = 2 * np.max(np.abs([f(t_j) for t_j in circle(outer)]), axis=0)
    scale = math.factorial(order) / inner**order
    value = np.tensordot((t / inner) ** -order, near, axes=1).real / POINTS * scale
    rest = (inner / outer) ** POINTS
    rho = 40 * gates * float(np.finfo(np.longdouble).eps) / 2
    return value, (scale * M * (rest / (1 - rest) + rho)).astype(float)
