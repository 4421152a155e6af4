"""Numbers as readers want them: few digits, a unit, an error."""

from __future__ import annotations

from math import floor, isfinite, log10
from typing import Any

MISSING = "–"


def number(value: float | None, digits: int = 2) -> str:
    """Write a number with few significant digits.

    >>> number(0.0371), number(3.4e-11), number(31276), number(None)
    ('0.037', '3.4e-11', '31,276', '–')
    """
    if value is None or not isfinite(value):
        return MISSING
    if value == 0:
        return "0"
    if float(value).is_integer() and abs(value) < 1e7:
        return f"{int(value):,}"
    if 1e-3 <= abs(value) < 10**digits:
        places = max(0, digits - 1 - floor(log10(abs(value))))
        return f"{value:.{places}f}"
    if 10**digits <= abs(value) < 1e5:
        return f"{value:,.0f}"
    return f"{value:.{digits - 1}e}".replace("e-0", "e-").replace("e+0", "e").replace("e+", "e")


def times(value: float | None, digits: int = 2) -> str:
    """Write a ratio that is known to a few digits only, without a power of ten.

    >>> times(38691.6), times(2.345), times(None)
    ('39,000', '2.3', '–')
    """
    if value is None or not isfinite(value):
        return MISSING
    rounded = float(f"{value:.{digits - 1}e}")
    return number(rounded, digits) if rounded < 10 or rounded >= 1e7 else f"{rounded:,.0f}"


def share(part: int, whole: int) -> str:
    """Write part of a whole in per cent; all and nothing are said only where they are exact.

    >>> share(1, 3), share(99_999, 100_000), share(1, 100_000), share(0, 5), share(5, 5)
    ('33.3 %', '> 99.9 %', '< 0.1 %', '0 %', '100 %')
    """
    if whole == 0:
        return MISSING
    if part in (0, whole):
        return "100 %" if part else "0 %"
    percent = 100 * part / whole
    if percent < 0.1:
        return "< 0.1 %"
    return "> 99.9 %" if percent > 99.9 else f"{percent:.1f} %"


def part_of(value: float) -> str:
    """Write a part of a whole: in per cent from one of them on, else as a power of ten.

    >>> part_of(0.1263), part_of(1.04e-6)
    ('13 %', '1.0e-6')
    """
    return f"{100 * value:.2g} %" if value >= 0.01 else number(value)


def plus_minus(law: dict[str, Any] | None, bend: float | None = None) -> str:
    """Write a fitted exponent with its standard error, both to the error's second digit.

    Args:
        law: the fit.
        bend: a systematic error, written behind the standard error.

    >>> plus_minus({"exponent": 1.98765, "standard_error": 0.0123})
    '1.988 ± 0.012'
    >>> plus_minus({"exponent": 1.0, "standard_error": 0.0})
    '1 ± 0'
    """
    if law is None:
        return MISSING
    value, error = law["exponent"], law["standard_error"]
    if error < 1e-6:
        rounded = f"{value:.6f}".rstrip("0").rstrip(".").replace("-0", "0")
        return f"{rounded} ± {'0' if error < 1e-12 else f'{error:.0e}'}"
    places = max(0, 1 - floor(log10(error)))
    systematic = "" if bend is None else f" ± {bend:.2f}"
    return f"{value:.{places}f} ± {error:.{places}f}{systematic}"


def seconds(value: float | None, digits: int = 2) -> str:
    """Write a duration with its unit.

    >>> seconds(3.21e-5), seconds(0.0123), seconds(4.2), seconds(131.4), seconds(7300)
    ('32 µs', '12 ms', '4.2 s', '130 s', '2.0 h')
    """
    if value is None:
        return MISSING
    for factor, unit in ((3600.0, "h"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if value >= factor and (unit != "h" or value >= 3600):
            scaled = float(f"{value / factor:.{digits - 1}e}")
            return f"{scaled:,.{max(0, digits - 1 - floor(log10(scaled)))}f} {unit}"
    return f"{value * 1e9:.0f} ns"


def count(n: int, noun: str, plural: str = "") -> str:
    """Write a number of things.

    >>> count(1, "problem"), count(2000, "problem")
    ('1 problem', '2,000 problems')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
