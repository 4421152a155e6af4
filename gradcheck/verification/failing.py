"""One failing problem, and all the mistakes that would explain it."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from gradcheck.diagnosis.formula import HIDDEN, OUTPUT
from gradcheck.outcomes.reasons import Reason
from gradcheck.rounding import ARITHMETICS
from gradcheck.verification.factors import Product, giving
from gradcheck.verification.findings import Finding, Witness, loss_of
from gradcheck.verification.phrases import skeleton
from gradcheck.verification.signature import kind, label
from gradcheck.verification.suspects import (
    Named,
    Place,
    depth_of,
    is_pattern,
    lost,
    named,
    sizes_of,
)

Id: TypeAlias = tuple[str, str | Product]
"""A mistake: its step, and its key or the factor that it is."""


PATTERN = "pattern"
"""The key of all patterns of one step."""
STEPS_OF_A_RANK = 1000


DELTAS = frozenset((OUTPUT, HIDDEN))


@dataclass(frozen=True)
class Failing:
    """One finding that fails, and all that would explain it.

    Attributes:
        witness: the problem and the finding.
        ranks: the mistakes that would give its numbers, with their rank; none where none is known.
        named: the same as they are told of this problem.
        place: where it is wrong, if no more is known.
        number: its place in the log.
    """

    witness: Witness
    ranks: dict[Id, int] = field(hash=False)
    named: tuple[Named, ...]
    place: Place | None
    number: int = 0

    @classmethod
    def of(cls, witness: Witness, number: int = 0) -> Failing:
        """Read a finding."""
        found = witness.finding
        every = named(witness) if _may_have_a_cause(found) else ()
        if every and is_pattern(witness):
            pattern = replace(every[0], key=PATTERN, factor=None)
            return cls(witness, {(pattern.place, PATTERN): 0}, (pattern,), None, number)
        ranks: dict[Id, int] = {}
        for rank, one in enumerate(every):
            for step, each in enumerate(_ids(one, witness)):
                ranks.setdefault((one.place, each), STEPS_OF_A_RANK * rank + step)
        return cls(witness, ranks, every, _place(witness), number)

    def without_suspects(self) -> Failing:
        """Return what is left where the suspects are not borne out: the place."""
        steps = frozenset(place for place, _ in self.ranks)
        layer = self.named[0].layer
        says = self.named[0].says.partition(" ")[0]
        place = self.place or (Place(steps, layer, says) if layer else None)
        return replace(self, ranks={}, named=(), place=place)

    @property
    def steps(self) -> frozenset[str]:
        """The steps that may be wrong; none where that is not known."""
        if self.ranks or self.place is None:
            return frozenset(place for place, _ in self.ranks)
        return self.place.steps

    @property
    def is_sure(self) -> bool:
        """Whether it has one suspect only."""
        return len({rank // STEPS_OF_A_RANK for rank in self.ranks.values()}) == 1

    def told(self, mistake: Id) -> Named | None:
        """Return the suspect that a mistake is on this problem, None where it is none."""
        if mistake not in self.ranks:
            return None
        return self.named[self.ranks[mistake] // STEPS_OF_A_RANK]


def _may_have_a_cause(found: Finding) -> bool:
    """Whether a finding names what is wrong in a formula, or what is kept between calls."""
    return is_of_a_formula(found) or found.reason == Reason.NONDETERMINISTIC.value


def is_of_a_formula(found: Finding) -> bool:
    """Whether a wrong formula may be behind a finding: no class of arithmetic explains it."""
    return found.reason == Reason.MISMATCH.value and label(found) not in ARITHMETICS


def _place(witness: Witness) -> Place | None:
    """Return where a problem is wrong; another loss shows in the output error."""
    if not is_of_a_formula(witness.finding):
        return None
    depth = depth_of(witness.token)
    other_loss = Place(frozenset([OUTPUT]), depth, f"delta_{depth}")
    return lost(witness) or (other_loss if label(witness.finding) else None)


def _ids(one: Named, witness: Witness) -> Sequence[str | Product]:
    """Return what a suspect may be over all problems; a number that has a meaning comes first."""
    sizes = sizes_of(witness.token, one.layer)
    if one.factor is None or sizes is None:
        return [one.key]
    every = giving(one.factor, one.place, sizes)
    says, mean = one.says.partition(" ")[2], sizes.is_mean
    return sorted(every, key=lambda p: p.says(one.place, sizes, is_mean=mean) != says)


def is_pattern_of(one: Failing) -> bool:
    """Whether a pattern of the wrong entries is all that is known."""
    return any(key == PATTERN for _, key in one.ranks)


def common_of(one: Failing) -> Hashable:
    """Return what problems without a known cause have in common."""
    found = one.witness.finding
    if found.reason != Reason.MISMATCH.value:
        return found.reason, kind(found) or skeleton(loss_of(found)[0])
    if label(found) and not one.ranks:
        return found.reason, label(found)
    if loss_of(found)[0] and not one.ranks:
        return found.reason, skeleton(loss_of(found)[0])
    if is_pattern_of(one):
        return found.reason, PATTERN, one.steps
    if one.place is not None:
        return found.reason, one.place.steps & DELTAS or one.place.steps
    return found.reason, skeleton(pattern_text(found))


def pattern_text(found: Finding) -> str:
    """Return what the wrong coordinates have in common, less which arrays they are in."""
    first = found.diagnosis.partition("; ")[0]
    return "" if first.startswith(("only ", "unknown")) else first
