"""One mistake, one heading: the failing problems of a run, grouped by what is wrong.

One mistake looks different on different problems: a factor 1/n_0 is 1/2, 1/m or 1/n_l, whichever
is equal there. Every problem has its suspects, all that would give its numbers; a mistake that is
there is among the suspects of every problem on which it shows. So few mistakes are sought that
explain all problems: first those that are the only suspect of some problem, and of these always the
one that explains most of what is left. What some of them allow and others do not is dropped.

A problem whose cause is not known by itself joins a mistake that fits it:

    the same problem has that cause by another property, or
    the mistake is the only one that is named at the step that is wrong, or
    where the step is not known either, it is the only one that is named at all, or that is named
    by the same property.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from gradcheck.diagnosis.formula import BIAS, WEIGHT
from gradcheck.diagnosis.linear import is_asked
from gradcheck.diagnosis.one_unit import KEY as UNITS
from gradcheck.patterns.diagnose import UNKNOWN
from gradcheck.verification.factors import Product
from gradcheck.verification.failing import DELTAS, Failing, Id, is_pattern_of
from gradcheck.verification.findings import Witness
from gradcheck.verification.group import (
    LEAST_PART,
    Group,
    commonest,
    interval_of,
    sentences_of,
    what_of,
)
from gradcheck.verification.joined import (
    below,
    joined,
    of_one_delta,
    of_one_loss,
    of_the_same_loss,
    parted,
    with_its_loss,
)
from gradcheck.verification.suspects import case_of
from gradcheck.verification.unnamed import unnamed

LEAST_KNOWN = 0.5
"""The part that a mistake must explain of those problems which it could explain: those and the ones
without a known cause at its step, which were held to every formula, too. In one problem of three
the batch is a single example, and many formulas are the same there."""
LEAST_SHARE = 0.01
"""The part of all failing problems that a mistake must explain: less is a coincidence."""

FEWEST = 3
"""Problems that bear out a mistake which none of them bears out by itself."""


def grouped(witnesses: Iterable[Witness]) -> list[Group]:
    """Group failing problems by their mistakes, in the order of the log."""
    every = [Failing.of(witness, n) for n, witness in enumerate(witnesses)]
    formulas, rest = parted(every, lambda one: bool(one.ranks) and not is_pattern_of(one))
    failing = Counter(step for one in every for step in one.steps)
    units, formulas = parted(formulas, _is_of_units)
    unknown = Counter(step for one in (*units, *rest) for step in one.steps)
    small = Counter(step for one in (*units, *rest) if _is_small(one) for step in one.steps)

    def is_borne(group: Group) -> bool:
        if len(group.members) < LEAST_SHARE * len(every):
            return False
        held = (small if group.is_linear else unknown) - _alike_in_words(group, rest)
        products = failing[WEIGHT] + failing[BIAS] if group.place in DELTAS else 0
        return _is_borne(group, failing[group.place] + products, held[group.place])

    groups, open_ones = parted(_covered(formulas), is_borne)
    groups, units = joined(groups, units, alone=False)
    more, open_units = parted(_covered(units), is_borne)
    groups, open_ones = [*groups, *more], [*open_ones, *open_units]
    rest += [one.without_suspects() for group in open_ones for one in group.members]
    groups, rest = joined(groups, rest, alone=True)
    patterns, rest = parted(rest, is_pattern_of)
    errors, rest = parted(rest, lambda one: bool(one.steps & DELTAS))
    alone = not groups and not errors
    seen, rest = joined(list(unnamed(patterns)), rest, alone=alone)
    groups, seen = of_one_delta(groups, seen)
    groups = of_one_loss([*groups, *below([*seen, *unnamed([*errors, *rest])])])
    groups = with_its_loss(of_the_same_loss(groups))
    return sorted(groups, key=lambda group: group.every[0].number)


def _alike_in_words(group: Group, rest: list[Failing]) -> Counter[str]:
    """Count patterns that say what a mistake says, of other numbers: "is 0 where ..."."""
    says, where, _ = group.what.partition(" where ")
    alike = (one for one in rest if where and is_pattern_of(one))
    steps = (one.steps for one in alike if one.named[0].sentence.startswith(says + where))
    return Counter(step for each in steps for step in each)


def _covered(left: list[Failing]) -> Iterator[Group]:
    """Yield the mistakes that explain most of what is left, one after the other."""
    while left:
        mistake = _likeliest(left)
        members = _compatible(mistake, [one for one in left if mistake in one.ranks])
        members = _alike(mistake, members)
        yield Group(what_of(mistake, members), mistake, mistake[0], tuple(members))
        numbers = {one.number for one in members}
        left = [one for one in left if one.number not in numbers]


def _likeliest(left: Sequence[Failing]) -> Id:
    """Return the mistake that explains most, of those that are some problem's only suspect.

    Of equals, that which stands further in front among the suspects.
    """
    sure = {mistake for one in left if one.is_sure for mistake in one.ranks}
    count: Counter[Id] = Counter()
    ranks: Counter[Id] = Counter()
    for one in left:
        for mistake, rank in one.ranks.items():
            count[mistake] += 1
            ranks[mistake] += rank
    pool = [mistake for mistake in count if mistake in sure] or list(count)
    return max(pool, key=lambda mistake: (count[mistake], -ranks[mistake]))


def _compatible(mistake: Id, members: list[Failing]) -> list[Failing]:
    """Return the most problems that one number explains, where intervals of it are known."""
    ends = [end for one in members if (end := interval_of(one, mistake))]
    if not ends:
        return members
    best = max((low for low, _ in ends), key=lambda x: sum(lo <= x <= hi for lo, hi in ends))
    kept = []
    for one in members:
        end = interval_of(one, mistake)
        if end is None or end[0] <= best <= end[1]:
            kept.append(one)
    return kept


def _alike(mistake: Id, members: list[Failing]) -> list[Failing]:
    """Leave out the few that say it with another number, where all others allow the same one."""
    if isinstance(mistake[1], Product) or any(interval_of(one, mistake) for one in members):
        return members
    best = commonest(mistake, members)
    alike = [one for one in members if best in sentences_of(one, mistake)]
    return alike if len(members) - len(alike) < LEAST_PART * len(members) else members


def _is_borne(group: Group, failing: int, unknown: int) -> bool:
    """Whether a cause is borne out: by one problem alone, or by several that are not alike.

    Points that are all alike, as one problem may have, bear many formulas. A mistake shows on more
    than a few of the problems on which its step is wrong: what explains less is a coincidence.

    Args:
        group: the problems that it explains.
        failing: the findings in which its step is wrong, as far as that is known; of a delta, whose
            products are both wrong, also those of one product.
        unknown: those of them that no formula explains, and which were held to this one.
    """
    members = len(group.members)
    part = 0 if group.is_linear else LEAST_PART * failing
    if members < max(part, LEAST_KNOWN * (members + unknown)):
        return False
    alone = any(not m.witness.finding.diagnosis.startswith(UNKNOWN) for m in group.members)
    tokens = {one.witness.token for one in group.members}
    structures = {tuple(token.split(":")[1:5]) for token in tokens}
    return alone or (len(tokens) >= FEWEST and len(structures) > 1)


def _is_small(one: Failing) -> bool:
    case = case_of(one.witness.token)
    return case is None or is_asked(case.architecture.n_parameters, case.batch)


def _is_of_units(one: Failing) -> bool:
    """Whether what is told is what single units give: a formula, if one is known, says why."""
    return all(key == UNITS for _, key in one.ranks)
