"""What a constant factor usually comes from: -1, 2, 1/2, m, 1/m, widths, the gradient's norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.blocks import told_factor
from gradcheck.diagnosis.formula import HIDDEN, OUTPUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gradcheck.diagnosis.symbols import Symbols

FACTOR = "factor"
"""The key of a factor that is just a number."""

LARGEST_DIVISOR = 1024
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
    yield Known("factor 1/log 2", "has an extra factor 1 / log 2", 1 / float(np.log(2)))
    if is_mean and place == OUTPUT:
        yield Known("divided by m - 1", "is divided by m - 1 in place of m", m / (m - 1))
        yield Known("divided by m + 1", "is divided by m + 1 in place of m", m / (m + 1))
    if place == OUTPUT:
        norm = float(np.sqrt(sum(np.sum(g**2) for g in _right(s))))
        if norm > 0:
            yield Known("norm", "is divided by the norm of the whole gradient", 1 / norm)


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
