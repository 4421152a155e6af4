"""What a factor is made of, judged over all problems that fail.

On one problem a factor is a number: 1/2 may be 1/m, 1/n_0, 1/n_l or 1/2 itself. Over problems of
many sizes few products of sizes give all the numbers, and most often only one does.

Symbols: m examples, n_0 features, n_l units of layer l, L the last layer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import isclose, isfinite, log, sqrt

from gradcheck.diagnosis.formula import OUTPUT
from gradcheck.patterns.blocks import told_factor

NEAR_1 = 1e-3
"""A factor that is this near to 1 is told by its distance, which no sizes give."""

LARGEST_PART = 16
"""A number that is 1 / k up to this k is told so."""

LARGEST_NUMBER = 256
"""The largest number that a program would hold in place of a size."""

CLOSE, CLOSE_IN_SHORT = 1e-3, 2e-2
"""How well a number is known that is told as a factor: in float64, and in shorter formats."""

BATCH = {"m": 0, "m - 1": -1, "m + 1": 1}
"""Symbols of the batch, and what they are beside m."""

TOKEN = re.compile(r"\s*(n_[0-9]+|m\b|sqrt|log|[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?|[-+*/()])")


@dataclass(frozen=True)
class Sizes:
    """The sizes of one problem, seen from one layer of it.

    Attributes:
        widths: n_0, ..., n_L.
        m: examples.
        layer: l; 0 for the whole answer.
        is_mean: the loss is the mean over the batch.
        is_short: the problem is of a shorter format than float64.
    """

    widths: tuple[int, ...]
    m: int
    layer: int
    is_mean: bool
    is_short: bool = False

    def value(self, symbol: str) -> float:
        """Return a size by its name, NaN where there is none.

        >>> Sizes((3, 4, 1), 2, 1, True).value("n_{l+1}")
        1.0
        """
        if symbol in BATCH:
            return float(self.m + BATCH[symbol])
        at = {"n_0": 0, "n_L": len(self.widths) - 1, "n_l": self.layer}.get(symbol)
        if symbol.startswith("n_{l"):
            at = self.layer + int(symbol[4:-1])
        if at is None:
            at = int(symbol[2:])
        return float(self.widths[at]) if 0 <= at < len(self.widths) else float("nan")

    def name(self, symbol: str) -> str:
        """Write a size with the number of its layer."""
        last = {"n_L": len(self.widths) - 1, "n_l": self.layer}
        if symbol in last:
            return f"n_{last[symbol]}"
        return f"n_{self.layer + int(symbol[4:-1])}" if symbol.startswith("n_{l") else symbol


@dataclass(frozen=True)
class Product:
    """A number times powers of sizes.

    >>> Product(1.0, (("m", -1.0), ("n_0", -1.0))).text()
    '1/(m n_0)'
    """

    number: float
    powers: tuple[tuple[str, float], ...] = ()

    def value(self, sizes: Sizes) -> float:
        """Return the factor that it is on one problem."""
        found = self.number
        for symbol, power in self.powers:
            size = sizes.value(symbol)
            found *= size**power if size else float("nan")
        return found

    def text(self, sizes: Sizes | None = None) -> str:
        """Write it, for any layer or for one problem's."""
        above = [self._power(s, p, sizes) for s, p in self.powers if p > 0]
        below = [self._power(s, -p, sizes) for s, p in self.powers if p < 0]
        if self.number >= 1 or not self.powers:
            above = [*[told(self.number)] * (self.number != 1 or not above), *above]
        else:
            below = [told(1 / self.number), *below]
        top = " ".join(above) or "1"
        rest = " ".join(below)
        if " " in rest and not rest.startswith("("):
            rest = f"({rest})"
        return f"{top}/{rest}" if rest else top

    @staticmethod
    def _power(symbol: str, power: float, sizes: Sizes | None) -> str:
        name = sizes.name(symbol) if sizes else symbol
        name = f"({name})" if " " in name else name
        return {1.0: name, 0.5: f"sqrt({name})"}.get(power, f"{name}^{power:g}")

    def says(self, place: str, sizes: Sizes | None = None, *, is_mean: bool) -> str:
        """Say what a step has that has this factor too much."""
        if place == OUTPUT and is_mean and ("m", 1.0) in self.powers:
            rest = Product(1 / self.number, tuple((s, -p) for s, p in self.powers if s != "m"))
            if rest == Product(1.0):
                return "lacks the factor 1/m"
            return f"is divided by {rest.text(sizes).strip('()')} in place of m"
        if place == OUTPUT and is_mean and self == Product(1.0, (("m", -1.0),)):
            return "has the factor 1/m twice"
        return f"has an extra factor {self.text(sizes)}"


def told(number: float) -> str:
    """Write a number, a simple fraction as one, and one near 1 by its distance from 1.

    >>> told(2.0), told(0.5), told(0.3183), told(1 - 1e-5)
    ('2', '1/2', '0.3183', '1 - 1e-05')
    """
    whole = _part(number)
    return f"1/{whole}" if whole else told_factor(number)


def _part(number: float) -> int:
    """Return k of 1 / k, 0 where a number is none."""
    whole = round(1 / number) if 0 < abs(number) < 1 else 0
    is_part = 1 < whole <= LARGEST_PART and isclose(whole * number, 1, rel_tol=CLOSE / 10)
    return whole if is_part else 0


def _symbols(place: str) -> list[str]:
    """Name the sizes that a step may know; of the output error, L is l."""
    return ["m", "n_0", "n_l", "n_{l-1}", *([] if place == OUTPUT else ["n_{l+1}", "n_L"])]


def _products(place: str) -> Iterator[Product]:
    """Yield products of sizes, the simplest first."""
    symbols = _symbols(place)
    for symbol, power in product(symbols, (-1.0, 1.0)):
        yield Product(1.0, ((symbol, power),))
    for other in ("m - 1", "m + 1"):
        yield Product(1.0, (("m", 1.0), (other, -1.0)))
    for symbol, power, number in product(symbols, (-1.0, 1.0), (2.0, 0.5)):
        yield Product(number, ((symbol, power),))
    for symbol, power in product(symbols, (-0.5, 0.5, -2.0, 2.0)):
        yield Product(1.0, ((symbol, power),))
    for one, other in combinations(symbols, 2):
        for p, q in product((-1.0, 1.0), repeat=2):
            yield Product(1.0, ((one, p), (other, q)))


def _with_a_number(factor: float, place: str, sizes: Sizes) -> Iterator[Product]:
    """Yield one size with a whole number k that no size gives: m / 32, 3 n_l."""
    for symbol, power in product(_symbols(place), (-1.0, 1.0)):
        rest = factor / sizes.value(symbol) ** power
        for k in (rest, 1 / rest if rest else 0.0):
            if 2 < k <= LARGEST_NUMBER and isclose(k, round(k), rel_tol=CLOSE / 10):
                whole = float(round(k))
                yield Product(whole if k == rest else 1 / whole, ((symbol, power),))


def giving(factor: float, place: str, sizes: Sizes) -> list[Product]:
    """Return what gives a factor on one problem: the number itself first, then products.

    A product that is 1 on this problem is none of them: it would not show.
    """
    close = CLOSE_IN_SHORT if sizes.is_short else CLOSE
    part = _part(factor)
    if abs(factor - 1) < NEAR_1:
        return [Product(1 + float(f"{factor - 1:.2g}"))]
    found = [Product(1 / part if part else float(f"{factor:.4g}"))]
    for each in (*_products(place), *_with_a_number(factor, place, sizes)):
        value = each.value(sizes)
        if isfinite(value) and value != 1 and isclose(value, factor, rel_tol=close):
            found.append(each)
    return found


# --- reading what is said of one problem ----------------------------------------------------------


SAYS: tuple[tuple[re.Pattern[str], Callable[[float, Sizes], float]], ...] = (
    (re.compile(r"has an extra factor (.+)"), lambda value, _: value),
    (re.compile(r"lacks the factor (.+)"), lambda value, _: 1 / value),
    (re.compile(r"has the factor (.+) twice"), lambda value, _: value),
    (re.compile(r"is divided by (.+) in place of m"), lambda value, sizes: sizes.m / value),
)


def factor_of(says: str, sizes: Sizes) -> float | None:
    """Return the factor that a step is said to have too much, None where it is none.

    >>> sizes = Sizes((3, 4, 1), 6, 2, True)
    >>> factor_of("lacks the factor 1/m", sizes)
    6.0
    >>> factor_of("is divided by n_1 in place of m", sizes)
    1.5
    >>> factor_of("lacks the factor sigmoid'(z_2)", sizes) is None
    True
    """
    for pattern, factor in SAYS:
        if found := pattern.fullmatch(says):
            value = _Reader(found[1], sizes).value()
            return factor(value, sizes) if value else None
    return None


class _Reader:
    """Reads an expression of sizes: 1/(m n_2), m - 1, 2 m, 1 + 3e-05, 1 / log 2."""

    def __init__(self, text: str, sizes: Sizes) -> None:
        self._tokens, self._sizes = TOKEN.findall(text), sizes
        self._is_whole = not TOKEN.sub("", text).strip()

    def value(self) -> float | None:
        """Return its value, None where it is another text."""
        try:
            found = self._sum()
        except (ValueError, IndexError, ZeroDivisionError, KeyError):
            return None
        return found if self._is_whole and not self._tokens and isfinite(found) else None

    def _sum(self) -> float:
        found = self._product()
        while self._tokens and self._tokens[0] in "+-":
            sign = self._tokens.pop(0)
            found += self._product() if sign == "+" else -self._product()
        return found

    def _product(self) -> float:
        found = self._atom()
        while self._tokens and self._tokens[0] not in ("+", "-", ")"):
            how = self._tokens.pop(0) if self._tokens[0] in "*/" else "*"
            found = found / self._atom() if how == "/" else found * self._atom()
        return found

    def _atom(self) -> float:
        first = self._tokens.pop(0)
        if first == "(":
            found = self._sum()
            if self._tokens.pop(0) != ")":
                raise ValueError(first)
            return found
        if first == "-":
            return -self._atom()
        if first in ("sqrt", "log"):
            return {"sqrt": sqrt, "log": log}[first](self._atom())
        return self._sizes.value(first) if first[0] in "mn" else float(first)
