"""What is known of one problem that fails: the mistakes that would give its numbers, and the step.

A finding lists its suspects. Where it lists none, its diagnosis is read: `layer N: <what>; expected
<equation>; ...`, with what else would give the numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import inf

from gradcheck.diagnosis.finding import SOME
from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT
from gradcheck.problems.case import Case, parse
from gradcheck.verification.factors import Sizes, factor_of
from gradcheck.verification.findings import Witness
from gradcheck.verification.phrases import of_any_layer, skeleton

LAYER = re.compile(r"(?:layer ([0-9]+)|all layers): (.*)")
LOST = re.compile(r"unknown; layer ([0-9]+): (.*)")
STEP = re.compile(r"(delta|dC/dW|dC/db)_([0-9]+|l)")
ELSE = "or else, with the same numbers: "
A_PATTERN = "a pattern, no formula"
PATTERNS = frozenset(
    [
        *("zero entries", "entry", "permuted", "ratio of some", "confined", "examples"),
        *("units zero", "units"),
    ]
)
"""The keys of what is seen of a step, of which no cause is known."""

ARRAY = re.compile(r"([Wb])([0-9]+) (holds|has|is) (.*)")
LIMIT = "a limit"
INTERVAL = re.compile(
    LIMIT + r" (?:between (\S+) and (\S+?)|below (\S+?))(?:, e\.g\. (\S+?))?(?=[\],;]*(?: |$))"
)
"""How the interval is told in which a limit lies."""

KEPT = "kept between calls"
"""The key of all that is said of answers that depend on the calls before."""

USUAL = tuple(sorted({*(10.0**k for k in range(-16, 1)), *range(1, 51), 100, 500, 700, 709}))
"""Limits that programs have."""

SHARP = 1e-3
"""An interval this narrow, beside its end, is told as one number."""

STEPS: Mapping[str, str] = {"delta": HIDDEN, "dC/dW": WEIGHT, "dC/db": BIAS}


@dataclass(frozen=True)
class Named:
    """One mistake that would give the numbers of one problem.

    Attributes:
        place: the step.
        key: what it is, without layers and numbers.
        interval: in which a limit lies that the sentence leaves out; None where it has none.
        factor: the factor that the step has too much, None where it is something else.
        layer, says, expected: as told of this problem.
        sentence: as told of any layer.
    """

    place: str
    key: str
    interval: tuple[float, float] | None
    factor: float | None
    layer: int
    says: str
    expected: str
    sentence: str


@dataclass(frozen=True)
class Place:
    """Where something is wrong, of which no more is known: a step, or one of several."""

    steps: frozenset[str]
    layer: int
    says: str


@lru_cache(maxsize=4096)
def case_of(token: str) -> Case | None:
    """Return the case of a token, None for a problem that no token stands for."""
    try:
        return parse(token)
    except ValueError:
        return None


def depth_of(token: str) -> int:
    """Return the number of layers, 0 where it is not known."""
    case = case_of(token)
    return case.architecture.depth if case else 0


def sizes_of(token: str, layer: int) -> Sizes | None:
    """Return the sizes of a problem, seen from a layer."""
    case = case_of(token)
    if case is None:
        return None
    is_mean, is_short = case.reduction == "mean", case.dtype != "float64"
    return Sizes(case.sizes, case.batch, layer, is_mean, is_short)


def named(witness: Witness) -> tuple[Named, ...]:
    """Return every mistake that would give the numbers of a problem, the likeliest first."""
    found = witness.finding
    if found.suspects:
        parts = [(s.place, s.layer, s.key, s.says, s.expected) for s in found.suspects]
    else:
        parts = list(_told(witness))
    return tuple(_named(witness.token, *part) for part in parts)


def _named(token: str, place: str, layer: int, key: str, says: str, expected: str) -> Named:
    sentence = of_any_layer(says, layer, depth_of(token) if place == OUTPUT else 0)
    interval = interval_of(says)
    sentence = INTERVAL.sub(LIMIT, sentence) if interval else sentence
    sizes = sizes_of(token, layer)
    factor = factor_of(says.partition(" ")[2], sizes) if sizes and STEP.match(says) else None
    key = KEPT if equals_each_time(expected) else key.removesuffix(SOME) or skeleton(sentence)
    return Named(place, key, interval, factor, layer, says, expected, sentence)


def interval_of(says: str) -> tuple[float, float] | None:
    """Return the interval in which a limit is said to lie.

    >>> interval_of("delta_1 is 0 where |z_1| is beyond a limit between 14.2 and 15.8, e.g. 15")
    (14.2, 15.8)
    >>> interval_of("delta_1 is clipped to [a limit below 1e-07, 1]")
    (-inf, 1e-07)
    """
    found = INTERVAL.search(says)
    if found is None:
        return None
    low, high, below = found[1], found[2], found[3]
    return (float(low), float(high)) if low else (-inf, float(below))


def told_limit(low: float, high: float) -> str:
    """Tell the interval of a limit, and a usual number if there is one in it."""
    short = next((n for n in USUAL if low <= n < high), None)
    if high - low <= SHARP * high:
        return f"{high:.4g}"
    between = f"below {high:.4g}" if low <= 0 else f"between {low:.4g} and {high:.4g}"
    return f"{LIMIT} {between}" + (f", e.g. {short:g}" if short is not None else "")


def equals_each_time(expected: str) -> bool:
    """Whether an equation says that answers must not depend on the calls before."""
    return expected.endswith("each time")


def _told(witness: Witness) -> Iterable[tuple[str, int, str, str, str]]:
    """Read the diagnosis: what is wrong first, and what else would give the numbers."""
    first, *rest = witness.finding.diagnosis.split("; ")
    if array := ARRAY.fullmatch(first):
        name, layer = "dC/dW" if array[1] == "W" else "dC/db", int(array[2])
        says = f"{name}_{layer} {array[3]} {array[4]}"
        yield place_of(witness.token, says), layer, "entry", says, ""
    found = LAYER.fullmatch(first)
    if not found:
        return
    layer = int(found[1] or 0)
    equation = next((r for r in rest if r.startswith("expected ")), "").removeprefix("expected ")
    others = [r.removeprefix(ELSE) for r in rest if r.startswith(ELSE)]
    for says in (found[2], *others):
        yield place_of(witness.token, says), layer, "", says, equation


def place_of(token: str, says: str) -> str:
    """Return the step that a sentence begins with."""
    if says.startswith("delta_L"):
        return OUTPUT
    step = STEP.match(says)
    if step is None:
        return ANSWER
    place = STEPS[step[1]]
    return OUTPUT if place == HIDDEN and step[2] == str(depth_of(token)) else place


def is_pattern(witness: Witness) -> bool:
    """Whether what is told is a pattern, of which no cause is known."""
    found = witness.finding
    if found.suspects:
        return all(suspect.key in PATTERNS for suspect in found.suspects)
    return A_PATTERN in found.diagnosis or ARRAY.match(found.diagnosis) is not None


def lost(witness: Witness) -> Place | None:
    """Return where a problem is wrong whose cause is not known, None where that is not either."""
    found = LOST.match(witness.finding.diagnosis)
    if found is None:
        return None
    says = found[2].partition("; ")[0].partition(", and nothing above")[0]
    where = re.split(r",? (?:is|are) wrong\b", says)[0]
    named_there = STEP.finditer(re.split(r", (?!dC)", where)[0])
    steps = {place_of(witness.token, step[0]) for step in named_there}
    return Place(frozenset(steps), int(found[1]), where) if steps else None
