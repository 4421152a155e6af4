"""What was found wrong in one place of one layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gradcheck.diagnosis.factors import FACTOR

if TYPE_CHECKING:
    from gradcheck.diagnosis.formula import Formula, Value
    from gradcheck.patterns.blocks import Holds

FORMULA, PATTERN, UNKNOWN = "formula", "pattern", "unknown"


SOME = " in some units"
"""What the key of a formula ends with that some units have; in narrow layers all units may."""


@dataclass(frozen=True)
class Candidate:
    """One mistake that would give what was seen.

    Attributes:
        key: of the formula, the factor or the pattern.
        says: what is wrong, with layers and numbers.
        formula: None for factors and patterns.
        c, doubt: the number that was fitted, and how far it may be off.
        value: of a pattern, what the step gives, where it says that.
        holds: of a pattern in one block, whether another problem's block has it too.
    """

    key: str
    says: str
    formula: Formula | None = None
    c: float = 0.0
    doubt: float = 0.0
    value: Value | None = None
    holds: Holds | None = None

    def agrees(self, other: Candidate) -> bool:
        """Whether both are the same mistake, seen on two problems."""
        if self.key.removesuffix(SOME) != other.key.removesuffix(SOME):
            return False
        if self.key.endswith(SOME) or other.key.endswith(SOME):
            return True
        one, two = self.formula, other.formula
        if one is not None and two is not None and one.span and two.span:
            overlap = max(one.span[0], two.span[0]) <= min(one.span[1], two.span[1])
            return one.family is two.family and overlap
        if one is not None and two is not None and one.family is not None:
            return one.family is two.family
        if one is not two:
            return False
        fitted = self.key == FACTOR or (self.formula is not None and self.formula.is_term)
        return not fitted or abs(self.c - other.c) <= self.doubt + other.doubt + 1e-5 * abs(self.c)


@dataclass(frozen=True)
class Finding:
    """What is wrong in one place of one layer.

    Attributes:
        place: the step.
        layer: 0 for the whole answer.
        kind: FORMULA, PATTERN or UNKNOWN.
        candidates: what would give it, the likeliest first; none if UNKNOWN.
        says: what is known of an UNKNOWN mistake.
        detail: what is to be added at the end.
    """

    place: str
    layer: int
    kind: str
    candidates: tuple[Candidate, ...] = ()
    says: str = ""
    detail: str = ""

    def names(self) -> set[str]:
        """The keys of the candidates."""
        return {c.key for c in self.candidates}
