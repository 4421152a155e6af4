"""All wrong formulas, by place. A new module of formulas needs its line here."""

from __future__ import annotations

from collections.abc import Set as AbstractSet

from gradcheck.diagnosis import bias_gradient, hidden_error, output_error, weight_gradient
from gradcheck.diagnosis.formula import BIAS, HIDDEN, OUTPUT, WEIGHT, Formula

Library = dict[str, tuple[Formula, ...]]

LIBRARY: Library = {
    OUTPUT: output_error.FORMULAS,
    HIDDEN: hidden_error.FORMULAS,
    WEIGHT: weight_gradient.FORMULAS,
    BIAS: bias_gradient.FORMULAS,
}


def only(library: Library, keys: AbstractSet[tuple[str, str]]) -> Library:
    """Return the formulas of these places and keys."""
    return {
        place: tuple(f for f in formulas if (place, f.key) in keys)
        for place, formulas in library.items()
    }


def size(library: Library) -> int:
    """How many formulas there are."""
    return sum(map(len, library.values()))
