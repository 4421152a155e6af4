"""Words and numbers of the outputs."""

from __future__ import annotations

import re
from math import isinf, isnan

from gradcheck.writing.terminal import printable

MISSING = "–"

LONGEST = 4000
LONGEST_LINE = 600

COORDINATE = re.compile(r"([Wb])([0-9]+)\[([0-9]+)(?:,([0-9]+))?\]")


def plain(value: object, most: int = LONGEST) -> str:
    r"""Write any text so that terminals, XML and UTF-8 files can hold it.

    What cannot be printed is spelled out; what is longer than `most` characters is cut.

    >>> plain("bell \x07, half a character \ud800")
    'bell \\x07, half a character \\ud800'
    """
    text = printable(str(value)[: most + 1])
    return text if len(text) <= most else text[: most - 1] + "…"


def line(value: object) -> str:
    r"""Write any text in one line.

    >>> line("two\n  lines")
    'two lines'
    """
    return plain(" ".join(plain(value).split()), LONGEST_LINE)


def number(value: float) -> str:
    """Write a measured size with two digits.

    >>> number(31276), number(0.0371), number(3.42e-11), number(float("inf"))
    ('31,000', '0.037', '3.4e-11', '∞')
    """
    if isnan(value):
        return MISSING
    if isinf(value):
        return "∞" if value > 0 else "-∞"
    if 10 <= abs(value) < 1e6:
        return f"{float(f'{value:.1e}'):,.0f}"
    return f"{value:.2g}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def exactly(value: float) -> str:
    """Write a number with all its digits.

    >>> exactly(0.1), exactly(-0.0), exactly(float("nan")), exactly(float("-inf"))
    ('0.1', '-0.0', 'NaN', '-Infinity')
    """
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return repr(value)


def seconds(value: float) -> str:
    """Write a duration with its unit.

    >>> seconds(0.0123), seconds(4.21), seconds(131.4), seconds(7300)
    ('12 ms', '4.2 s', '131 s', '2.0 h')
    """
    if value < 1:
        return f"{1000 * value:.0f} ms"
    if value < 3600:
        return f"{value:.1f} s" if value < 10 else f"{value:.0f} s"
    return f"{value / 3600:.1f} h"


def count(n: int, noun: str, plural: str = "") -> str:
    """Write a number of things.

    >>> count(1, "problem"), count(2000, "problem")
    ('1 problem', '2,000 problems')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"


def place(name: str) -> str:
    """Say where a coordinate is: rows of W_l are units of layer l, columns its inputs.

    >>> place("W2[1,3]"), place("b1[0]")
    ('layer 2, weight to unit 1 from input 3', 'layer 1, bias of unit 0')
    """
    found = COORDINATE.fullmatch(name)
    if found is None:
        return ""
    parameter, layer, row, column = found.groups()
    if parameter == "W" and column is not None:
        return f"layer {layer}, weight to unit {row} from input {column}"
    return f"layer {layer}, bias of unit {row}" if parameter == "b" and column is None else ""
