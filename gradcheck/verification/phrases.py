"""One sentence for many problems: layers beside l, and numbers that differ written as ranges.

No number is just left out: what remains would have holes ("exactly at , or").
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

INDEX = re.compile(r"(?<!\bn)_([0-9]+)|(?<=\bn)_([1-9][0-9]*)")
RELATIVE = re.compile(r"_\{[lL]([-+][0-9]+)\}")
NUMBER = re.compile(r"(?<![\w.^])-?[0-9]+(?:\.[0-9]+)?(?:e[-+]?[0-9]+)?(?![\w.]*[\w(])")
PLACE = re.compile(
    r" in ((rows?|columns?|units?|entry|entries|examples?) [0-9].*|every wrong entry)"
)
SOMEWHERE = " in some places"
COUNTED = re.compile(r", (but|it lacks) .*")
OR_SO = " (or so)"
NEARLY = 0.05
"""Numbers that are measured agree if they do to this much of themselves."""

LETTERS = "cdefgh"


def of_any_layer(says: str, layer: int, last: int = 0) -> str:
    """Write a sentence about one layer for any: indices beside l, or L in the last layer.

    >>> of_any_layer("delta_3 is (delta_4 * sigmoid'(z_4)) W_4", 3)
    "delta_l is (delta_{l+1} * sigmoid'(z_{l+1})) W_{l+1}"
    >>> of_any_layer("delta_2 has an extra factor 1/n_0", 2, last=2)
    'delta_L has an extra factor 1/n_0'
    """
    name = "L" if layer == last else "l"

    def index(found: re.Match[str]) -> str:
        apart = int(found[1] or found[2]) - layer
        return f"_{{{name}{apart:+d}}}" if apart else f"_{name}"

    return INDEX.sub(index, says.removesuffix(OR_SO)) if layer else says.removesuffix(OR_SO)


def at_layer(sentence: str, layer: int) -> str:
    """Write a sentence about any layer for one.

    >>> at_layer("delta_l is (delta_{l+1} * sigmoid'(z_{l+1})) W_{l+1}", 3)
    "delta_3 is (delta_4 * sigmoid'(z_4)) W_4"
    """
    found = RELATIVE.sub(lambda at: f"_{layer + int(at[1])}", sentence)
    return re.sub(r"_[lL](?![\w}])", f"_{layer}", found)


def skeleton(text: str) -> str:
    """Return a sentence without what differs from problem to problem: numbers, rows, counts.

    >>> skeleton("delta_l is cut off where |z_l| > 15"), skeleton("dC/dW_l is 0 in rows 0 to 7")
    ('delta_l is cut off where |z_l| > #', 'dC/dW_l is #')
    """
    return NUMBER.sub("#", COUNTED.sub("", PLACE.sub("", text)))


def common(sentences: Sequence[str]) -> str:
    """Return one whole sentence for all: numbers that differ are named, with their range.

    Where sentences differ in more than numbers, the most frequent kind of them is told.

    >>> common(["delta_l is 0 where it is below 1e-08", "delta_l is 0 where it is below 1e-06"])
    'delta_l is 0 where it is below c, c = 1e-08 or 1e-06'
    >>> common(["dC/dW_l is 0 in row 0", "dC/dW_l is 0 in rows 1, 4"])
    'dC/dW_l is 0 in some places'
    >>> common(["dC/dW_l is 0", "dC/dW_l is 0", "dC/dW_l is 0 in rows 1, 4"])
    'dC/dW_l is 0 in some places'
    """
    if len(set(sentences)) <= 1:
        return next(iter(sentences), "")
    short = [COUNTED.sub("", PLACE.sub(_somewhere, s)) for s in sentences]
    kinds = Counter(map(skeleton, short))
    [(kind, _)] = kinds.most_common(1)
    kind = kind + SOMEWHERE if kind + SOMEWHERE in kinds else kind  # which is true of both
    told = [s for s in short if skeleton(s) == kind]
    columns = list(zip(*(NUMBER.findall(s) for s in told), strict=True))
    letters: dict[tuple[str, ...], str] = {}
    columns = [_of_one(column) for column in columns]
    for column in columns:
        if len(set(column)) > 1 and len(letters) < len(LETTERS):
            letters.setdefault(column, LETTERS[len(letters)])
    numbers = iter(letters.get(column, column[0]) for column in columns)
    ranges = [f", {letter} {_range(column)}" for column, letter in letters.items()]
    return NUMBER.sub(lambda _: next(numbers), told[0]) + "".join(ranges)


def _somewhere(found: re.Match[str]) -> str:
    """Say of places that differ only that there are some; one entry is somewhere anyway."""
    return "" if found.string[: found.start()].endswith("one wrong entry") else SOMEWHERE


def _of_one(column: tuple[str, ...]) -> tuple[str, ...]:
    """Take numbers that nearly agree for one that was measured: the most frequent of them."""
    low, high = min(map(float, column)), max(map(float, column))
    [(best, _)] = Counter(column).most_common(1)
    return (best,) * len(column) if high - low <= NEARLY * abs(high) else column


def _range(column: Sequence[str]) -> str:
    every = sorted(set(column), key=float)
    return f"= {every[0]} or {every[1]}" if len(every) == 2 else f"from {every[0]} to {every[-1]}"
