"""Failing problems that one mistake explains, and what is said of all of them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT
from gradcheck.diagnosis.linear import LINEAR
from gradcheck.diagnosis.thresholds import UNTOLD
from gradcheck.verification.factors import Product
from gradcheck.verification.failing import PATTERN, Failing, Id, common_of, is_of_a_formula
from gradcheck.verification.phrases import at_layer, common
from gradcheck.verification.suspects import LIMIT, Named, depth_of, sizes_of, told_limit

STEP_NAMES = {
    OUTPUT: "delta_L",
    HIDDEN: "delta_l",
    WEIGHT: "dC/dW_l",
    BIAS: "dC/db_l",
    ANSWER: "the gradient",
}


LEAST_PART = 0.1
"""The part of the problems that fail at one step which a mistake at that step must explain."""


@dataclass(frozen=True)
class Group:
    """Failing problems that one mistake explains, or of which no more is known than where.

    Attributes:
        what: what is wrong, in a sentence about any layer.
        mistake: its step and key, None where no cause is known.
        place: the step; "" where it is not known.
        members: the problems that have it among their suspects, or have this in common.
        joined: problems whose cause is not known by themselves.
    """

    what: str
    mistake: Id | None
    place: str
    members: tuple[Failing, ...]
    joined: tuple[Failing, ...] = ()

    @property
    def every(self) -> list[Failing]:
        """All of them, in the order of the log."""
        return sorted((*self.members, *self.joined), key=lambda one: one.number)

    @property
    def is_named(self) -> bool:
        """Whether a cause is known."""
        return self.mistake is not None and self.mistake[1] != PATTERN

    @property
    def is_linear(self) -> bool:
        """Whether the mistake is a relation that is solved for: small problems are held to it."""
        key = self.mistake[1] if self.mistake else ""
        return isinstance(key, str) and key.startswith(LINEAR)

    @property
    def heading(self) -> str:
        """What is wrong, told of the last layer where a mistake shows there alone.

        Problems of one layer do not tell it from the others.
        """
        layers = [
            (found.layer, depth_of(one.witness.token))
            for one in self.members
            if (found := self.told(one)) is not None and self.is_named
        ]
        last = all(layer == depth for layer, depth in layers)
        if not last or max((depth for _, depth in layers), default=0) < 2:
            return self.what
        return re.sub(r"_({?)l(?![\w])", r"_\1L", self.what)

    def told(self, one: Failing) -> Named | None:
        """Tell the mistake of one problem, as its layers have it; None where it has another."""
        found = one.told(self.mistake) if self.mistake else None
        if found is None or self.mistake is None or not self.is_named:
            return found
        if isinstance(factor := self.mistake[1], Product):
            sizes = sizes_of(one.witness.token, found.layer)
            is_mean = bool(sizes and sizes.is_mean)
            step = found.says.partition(" ")[0]
            return replace(found, says=f"{step} {factor.says(found.place, sizes, is_mean=is_mean)}")
        is_open = found.interval or UNTOLD in found.sentence
        if is_open or self.what in sentences_of(one, self.mistake):
            return replace(found, says=at_layer(self.what, found.layer))
        return found

    @property
    def common(self) -> frozenset[Id]:
        """The mistakes that explain all members as well as the one that is told."""
        return frozenset.intersection(*(frozenset(one.ranks) for one in self.members))

    def with_smallest(self, one: Failing) -> Group:
        """Tell another mistake if a further problem allows that, and not the one that is told."""
        left = self.common & one.ranks.keys()
        if not left or self.mistake in left or not self.is_named:
            return self
        ranks = one.ranks, self.members[0].ranks
        likeliest = min(left, key=lambda mistake: tuple(rank[mistake] for rank in ranks))
        return replace(self, mistake=likeliest, what=what_of(likeliest, self.members))

    def allows(self, one: Failing) -> bool:
        """Whether a problem fails in this way: what explains the members is among its suspects.

        Where no cause is known, the same must be known of the problem, or the step be the same.
        """
        if self.mistake is not None:
            return bool(self.common & one.ranks.keys())
        first = self.members[0]
        if common_of(first) == common_of(one):
            return True
        place = first.place
        return place is not None and bool(place.steps & one.steps)


def sentences_of(one: Failing, mistake: Id) -> list[str]:
    """Return what a mistake may be called, by one problem."""
    return [n.sentence for n in one.named if (n.place, n.key) == mistake]


def commonest(mistake: Id, members: Sequence[Failing]) -> str:
    """Return the sentence that most problems allow."""
    every = (dict.fromkeys(sentences_of(one, mistake)) for one in members)
    [(best, _)] = Counter(sentence for some in every for sentence in some).most_common(1)
    return best


def interval_of(one: Failing, mistake: Id) -> tuple[float, float] | None:
    """Return the interval in which a mistake's number is, by one problem."""
    found = one.told(mistake)
    return found.interval if found else None


def what_of(mistake: Id, members: Sequence[Failing]) -> str:
    """Say what is wrong, in a sentence that is true of all members."""
    place, key = mistake
    if isinstance(key, Product):
        sizes = [sizes_of(one.witness.token, 0) for one in members]
        is_mean = all(size is None or size.is_mean for size in sizes)
        says = key.says(place, is_mean=is_mean)
        says = says.replace("n_l", "n_L").replace("n_{l", "n_{L") if place == OUTPUT else says
        return f"{STEP_NAMES[place]} {says}"
    every = [sentences_of(one, mistake) for one in members]
    best = commonest(mistake, members)
    told = common([best if best in some else some[0] for some in every])
    ends = [end for one in members if (end := interval_of(one, mistake))]
    if not ends:
        return told
    return told.replace(LIMIT, told_limit(max(e[0] for e in ends), min(e[1] for e in ends)))


def is_about_numbers(group: Group) -> bool:
    """Whether numbers of the gradient are wrong by no class of arithmetic."""
    return is_of_a_formula(group.members[0].witness.finding)
