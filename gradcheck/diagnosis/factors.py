"""What a constant factor usually comes from: -1, 2, 1/2, m, 1/m, widths, the gradient's norm.

Symbols: m examples, n_l units of layer l, n_0 features; M = m for `mean`, 1 for `sum`.

One number may have several meanings on one problem (m = n_L, n_0 = 2): all of them are candidates
there, the likeliest first, and other problems tell which of them stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.diagnosis.formula import HIDDEN, OUTPUT
from gradcheck.patterns.blocks import told_factor

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradcheck.diagnosis.symbols import Symbols

FACTOR = "factor"
"""The key of a factor that is just a number."""

LARGEST_DIVISOR = 1024
NORMS = (1.0, 5.0, 0.5, 10.0, 0.1, 2.0, 0.25, 0.01, 100.0)
"""To which gradients are scaled down, as people choose it."""

NORM_EPSILONS = (0.0, 1e-6, 1e-8)
"""What is added to the norm before a gradient is divided by it."""

RESOLVED = 2e-2
"""A factor that is known less well than to this much of itself is not recognised."""


@dataclass(frozen=True)
class Known:
    """A factor with a meaning: its key, what is said of the step that has it, its value."""

    key: str
    says: str
    value: float


def known_factors(s: Symbols, layer: int, place: str) -> Iterator[Known]:
    """Yield the factors that have a meaning in a place, the likeliest first."""
    is_mean, m = s.M > 1, float(s.m)
    yield Known("zero", "is 0", 0.0)
    yield Known("sign", "has the wrong sign", -1.0)
    if s.m > 1:
        lacks = is_mean and place == OUTPUT
        yield Known("factor m", "lacks the factor 1/m" if lacks else "has an extra factor m", m)
        twice = "has the factor 1/m twice" if lacks else "has an extra factor 1/m"
        yield Known("factor 1/m", twice, 1 / m)
    yield Known("factor 2", "has an extra factor 2", 2.0)
    yield Known("factor 1/2", "has an extra factor 1/2", 0.5)
    yield from _widths(s, layer, place)
    yield from _features(s, layer, place)
    yield Known("factor 1/log 2", "has an extra factor 1 / log 2", 1 / float(np.log(2)))
    if is_mean and place == OUTPUT:
        yield Known("divided by m - 1", "is divided by m - 1 in place of m", m / (m - 1))
        yield Known("divided by m + 1", "is divided by m + 1 in place of m", m / (m + 1))
    yield from _compound(s, layer)
    if place == OUTPUT:
        norm = float(np.sqrt(sum(np.sum(g**2) for g in _right(s))))
        if norm > 0:
            yield Known("norm", "is divided by the norm of the whole gradient", 1 / norm)
        yield from _clipped_norms(norm)


def _clipped_norms(norm: float) -> Iterator[Known]:
    """Yield what scales a gradient g down to a norm of t: t / |g|, or t / (|g| + e)."""
    for t, e in product(NORMS, NORM_EPSILONS):
        told = f"is scaled so that the whole gradient has a norm of {t:g} at most"
        told += f", by {t:g} / (norm + {e:g})" if e else ""
        value = min(1.0, t / (norm + e)) if norm > 0 else 1.0
        yield Known(f"norm of {t:g} at most" + (f", {e:g}" if e else ""), told, value)


def _widths(s: Symbols, layer: int, place: str) -> Iterator[Known]:
    n = float(s.n(layer))
    if n > 1:
        yield Known("factor 1/n", f"has an extra factor 1/n_{layer}", 1 / n)
        yield Known("factor n", f"has an extra factor n_{layer}", n)
        if place == OUTPUT and s.M > 1:
            told = f"is divided by n_{layer} in place of m"
            yield Known("divided by n", told, s.m / n)
    elif place == OUTPUT and s.M > 1:
        yield Known("divided by n", f"is divided by n_{layer} in place of m", float(s.m))
    if place == HIDDEN and s.n(layer + 1) > 1:
        up = layer + 1
        yield Known("factor 1/n above", f"has an extra factor 1/n_{up}", 1 / s.n(up))


def _features(s: Symbols, layer: int, place: str) -> Iterator[Known]:
    """Yield n_0, the layer's fan-in n_{l-1} and, below the output, n_L: also in place of m."""
    low = layer - 1
    widths = [("n_0", "n_0, the number of features", 0)]
    if s.L > 1:
        widths.append(("n below", f"n_{low}" if low else widths[0][1], low))
    if layer < s.L:
        widths.append(("n of the output", f"n_{s.L}", s.L))
    for key, told, k in widths:
        n = float(s.n(k))
        if n > 1:
            yield Known(f"factor 1/{key}", f"is divided by {told}", 1 / n)
            yield Known(f"factor {key}", f"is multiplied by {told}", n)
        if place != HIDDEN and s.M > 1 and n != s.m:
            yield Known(f"divided by {key}", f"is divided by {told}, in place of m", s.m / n)


def _compound(s: Symbols, layer: int) -> Iterator[Known]:
    """Yield products and roots of m and of widths."""
    m, top, low = float(s.m), s.n(s.L), layer - 1
    rows = [
        ("2 m", "2 m", 2 * m, s.m > 1),
        ("m n_L", f"m n_{s.L}", m * top, s.m > 1 and top > 1),
        ("sqrt m", "sqrt(m)", m**0.5, s.m > 1),
        ("sqrt n", f"sqrt(n_{layer})", s.n(layer) ** 0.5, s.n(layer) > 1),
        ("sqrt n below", f"sqrt(n_{low})", s.n(low) ** 0.5, s.n(low) > 1),
    ]
    for key, told, value, has_meaning in rows:
        if has_meaning:
            over = f"({told})" if " " in told else told
            yield Known(f"factor 1/{key}", f"has an extra factor 1/{over}", 1 / value)
            yield Known(f"factor {key}", f"has an extra factor {told}", value)


def _right(s: Symbols) -> Iterator[np.typing.NDArray[np.float64]]:
    right = s.right()
    for layer in range(1, s.L + 1):
        yield right.weight_gradient(layer)
        yield right.bias_gradient(layer)


def named(r: float, doubt: float, s: Symbols, layer: int, place: str) -> list[Known]:
    """Name a factor r that is known to within a doubt; the plain number comes last."""
    if not doubt <= RESOLVED * max(abs(r), 1.0):
        return []
    if abs(r) <= doubt and r != 0:
        return []
    close = [k for k in known_factors(s, layer, place) if abs(k.value - r) <= doubt]
    if s.M > 1 and r > 0 and not close and place == OUTPUT:
        k = round(s.m / r)
        if 1 <= k <= LARGEST_DIVISOR and abs(s.m / k - r) <= doubt:
            close.append(Known(f"divided by {k}", f"is divided by {k} in place of m", s.m / k))
    return [*close, Known(FACTOR, f"has an extra factor {told_factor(r)}", r)]
