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
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias, TypeVar

from gradcheck.diagnose import UNKNOWN
from gradcheck.diagnosis.formula import ANSWER, BIAS, HIDDEN, OUTPUT, WEIGHT
from gradcheck.diagnosis.linear import LINEAR, is_asked
from gradcheck.diagnosis.one_unit import KEY as UNITS
from gradcheck.rounding import ARITHMETICS
from gradcheck.verdict import Reason
from gradcheck.verify.factors import Product, giving
from gradcheck.verify.findings import TOO_SMALL, Finding, Witness, is_named_loss, loss_of
from gradcheck.verify.phrases import at_layer, common, of_any_layer, skeleton
from gradcheck.verify.signature import DIED, kind, label
from gradcheck.verify.suspects import (
    KEPT,
    LIMIT,
    Named,
    Place,
    case_of,
    depth_of,
    is_pattern,
    lost,
    named,
    sizes_of,
    told_limit,
)

T = TypeVar("T")

Id: TypeAlias = tuple[str, str | Product]
"""A mistake: its step, and its key or the factor that it is."""

STEP_NAMES = {
    OUTPUT: "delta_L",
    HIDDEN: "delta_l",
    WEIGHT: "dC/dW_l",
    BIAS: "dC/db_l",
    ANSWER: "the gradient",
}

DELTAS = frozenset((OUTPUT, HIDDEN))

PATTERN = "pattern"
"""The key of all patterns of one step."""

STEPS_OF_A_RANK = 1000

LEAST_PART = 0.1
"""The part of the problems that fail at one step which a mistake at that step must explain."""

LEAST_BELOW = 0.2
"""At most so many patterns of single products, for each problem of a wrong delta, are its own."""

LEAST_KNOWN = 0.5
"""The part that a mistake must explain of those problems which it could explain: those and the ones
without a known cause at its step, which were held to every formula, too. In one problem of three
the batch is a single example, and many formulas are the same there."""

FEWEST = 3
"""Problems that bear out a mistake which none of them bears out by itself."""

REASONS = {
    Reason.NONFINITE.value: "the gradient is not finite",
    Reason.SHAPE.value: "the answer has the wrong shape",
    Reason.DTYPE.value: "the gradient has another dtype than the parameters",
    Reason.NONDETERMINISTIC.value: "two calls with the same arguments differ",
    Reason.INPUT_CHANGED.value: "the engine changes its inputs",
    Reason.ALIASED.value: "the answer shares memory with something that changes",
    Reason.LOSS.value: "the loss is not the one that is meant",
}
LABELS = {
    "clipped loss": "the gradient is that of a clipped loss",
    "floored slope": "delta_L is divided by a floored slope",
}
RAISED = {DIED: "the engine dies"}

NOT_OF_THIS = "the gradient is not that of this loss either"
UNDECIDED = "whether the gradient is that of this loss could not be decided"
RETURNED = "the returned loss "
UNNAMED = "the loss is not the one that is meant"
NO_MORE = "the gradient is wrong"
WRONG = "is wrong in a way that nothing explains"


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
    return _is_of_a_formula(found) or found.reason == Reason.NONDETERMINISTIC.value


def _is_of_a_formula(found: Finding) -> bool:
    """Whether a wrong formula may be behind a finding: no class of arithmetic explains it."""
    return found.reason == Reason.MISMATCH.value and label(found) not in ARITHMETICS


def _place(witness: Witness) -> Place | None:
    """Return where a problem is wrong; another loss shows in the output error."""
    if not _is_of_a_formula(witness.finding):
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
        if found.interval or self.what in _sentences(one, self.mistake):
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
        return replace(self, mistake=likeliest, what=_what(likeliest, self.members))

    def allows(self, one: Failing) -> bool:
        """Whether a problem fails in this way: what explains the members is among its suspects.

        Where no cause is known, the same must be known of the problem, or the step be the same.
        """
        if self.mistake is not None:
            return bool(self.common & one.ranks.keys())
        first = self.members[0]
        if _common(first) == _common(one):
            return True
        place = first.place
        return place is not None and bool(place.steps & one.steps)


def grouped(witnesses: Iterable[Witness]) -> list[Group]:
    """Group failing problems by their mistakes, in the order of the log."""
    every = [Failing.of(witness, n) for n, witness in enumerate(witnesses)]
    formulas, rest = _parted(every, lambda one: bool(one.ranks) and not _is_pattern(one))
    failing = Counter(step for one in every for step in one.steps)
    units, formulas = _parted(formulas, _is_of_units)
    unknown = Counter(step for one in (*units, *rest) for step in one.steps)
    small = Counter(step for one in (*units, *rest) if _is_small(one) for step in one.steps)

    def is_borne(group: Group) -> bool:
        held = small if group.is_linear else unknown
        products = failing[WEIGHT] + failing[BIAS] if group.place in DELTAS else 0
        return _is_borne(group, failing[group.place] + products, held[group.place])

    groups, open_ones = _parted(_covered(formulas), is_borne)
    groups, units = _joined(groups, units, alone=False)
    more, open_units = _parted(_covered(units), is_borne)
    groups, open_ones = [*groups, *more], [*open_ones, *open_units]
    rest += [one.without_suspects() for group in open_ones for one in group.members]
    groups, rest = _joined(groups, rest, alone=True)
    patterns, rest = _parted(rest, _is_pattern)
    errors, rest = _parted(rest, lambda one: bool(one.steps & DELTAS))
    alone = not groups and not errors
    seen, rest = _joined(list(_unnamed(patterns)), rest, alone=alone)
    groups, seen = _of_one_delta(groups, seen)
    groups = _of_one_loss([*groups, *_below([*seen, *_unnamed([*errors, *rest])])])
    groups = _with_its_loss(_of_the_same_loss(groups))
    return sorted(groups, key=lambda group: group.every[0].number)


def _parted(every: Iterable[T], holds: Callable[[T], bool]) -> tuple[list[T], list[T]]:
    """Return those for which something holds, and the others."""
    parts: tuple[list[T], list[T]] = ([], [])
    for one in every:
        parts[not holds(one)].append(one)
    return parts


# --- few mistakes that explain all ----------------------------------------------------------------


def _covered(left: list[Failing]) -> Iterator[Group]:
    """Yield the mistakes that explain most of what is left, one after the other."""
    while left:
        mistake = _likeliest(left)
        members = _compatible(mistake, [one for one in left if mistake in one.ranks])
        members = _alike(mistake, members)
        yield Group(_what(mistake, members), mistake, mistake[0], tuple(members))
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
    ends = [end for one in members if (end := _interval(one, mistake))]
    if not ends:
        return members
    best = max((low for low, _ in ends), key=lambda x: sum(lo <= x <= hi for lo, hi in ends))
    kept = []
    for one in members:
        end = _interval(one, mistake)
        if end is None or end[0] <= best <= end[1]:
            kept.append(one)
    return kept


def _alike(mistake: Id, members: list[Failing]) -> list[Failing]:
    """Leave out the few that say it with another number, where all others allow the same one."""
    if isinstance(mistake[1], Product) or any(_interval(one, mistake) for one in members):
        return members
    best = _commonest(mistake, members)
    alike = [one for one in members if best in _sentences(one, mistake)]
    return alike if len(members) - len(alike) < LEAST_PART * len(members) else members


def _commonest(mistake: Id, members: Sequence[Failing]) -> str:
    """Return the sentence that most problems allow."""
    every = (dict.fromkeys(_sentences(one, mistake)) for one in members)
    [(best, _)] = Counter(sentence for some in every for sentence in some).most_common(1)
    return best


def _interval(one: Failing, mistake: Id) -> tuple[float, float] | None:
    found = one.told(mistake)
    return found.interval if found else None


def _sentences(one: Failing, mistake: Id) -> list[str]:
    """Return what a mistake may be called, by one problem."""
    return [n.sentence for n in one.named if (n.place, n.key) == mistake]


def _what(mistake: Id, members: Sequence[Failing]) -> str:
    """Say what is wrong, in a sentence that is true of all members."""
    place, key = mistake
    if isinstance(key, Product):
        sizes = [sizes_of(one.witness.token, 0) for one in members]
        is_mean = all(size is None or size.is_mean for size in sizes)
        says = key.says(place, is_mean=is_mean)
        says = says.replace("n_l", "n_L").replace("n_{l", "n_{L") if place == OUTPUT else says
        return f"{STEP_NAMES[place]} {says}"
    every = [_sentences(one, mistake) for one in members]
    best = _commonest(mistake, members)
    told = common([best if best in some else some[0] for some in every])
    ends = [end for one in members if (end := _interval(one, mistake))]
    if not ends:
        return told
    return told.replace(LIMIT, told_limit(max(e[0] for e in ends), min(e[1] for e in ends)))


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


# --- what is not known by itself ------------------------------------------------------------------


def _joined(
    groups: list[Group], rest: list[Failing], *, alone: bool
) -> tuple[list[Group], list[Failing]]:
    """Let problems whose cause is not known join the mistake that fits them.

    Args:
        groups: the mistakes.
        rest: the problems.
        alone: there is no other mistake, so that one may join of which not even a step is known.
    """
    home = {one.witness.token: n for n, group in enumerate(groups) for one in group.members}
    joined: dict[int, list[Failing]] = {}
    left = []
    for one in rest:
        number = _home(one, groups, home) if alone or one.steps else None
        if number is None:
            left.append(one)
        else:
            joined.setdefault(number, []).append(one)
    new = [(*group.joined, *joined.get(n, ())) for n, group in enumerate(groups)]
    return [replace(g, joined=every) for g, every in zip(groups, new, strict=True)], left


def _below(groups: list[Group]) -> list[Group]:
    """Let what has no known cause be one heading with what is above it: the loss, or a delta.

    All products of a wrong delta are wrong, and one of them may be right by chance; a forward pass
    that is not the one that is meant makes wrong losses and wrong deltas.
    """
    here, others = _parted(groups, _is_about_numbers)
    total = sum(len(group.every) for group in here)
    tops = [g for g in here if g.mistake is None and g.members[0].steps & DELTAS]
    tops.sort(key=lambda g: (OUTPUT not in g.members[0].steps, -len(g.every)))
    losses = sorted(filter(_tells_a_loss, here), key=lambda g: -len(g.every))
    tops = losses or tops
    top = next(iter(tops), None)
    if top is None or sum(len(g.every) for g in tops) < LEAST_PART * total:
        return groups
    joined = [one for group in here if group is not top for one in group.every]
    return [replace(top, joined=(*top.joined, *joined)), *others]


def _tells_a_loss(group: Group) -> bool:
    return bool(loss_of(group.members[0].witness.finding)[0])


def _of_one_delta(groups: list[Group], seen: list[Group]) -> tuple[list[Group], list[Group]]:
    """Let the few patterns of single products join the only mistake, if that is a wrong delta."""
    patterns = [one for group in seen for one in group.every]
    if len(groups) != 1 or groups[0].place not in DELTAS or not patterns:
        return groups, seen
    if len(patterns) > LEAST_BELOW * len(groups[0].every):
        return groups, seen
    return [replace(groups[0], joined=(*groups[0].joined, *patterns))], []


def _of_one_loss(groups: list[Group]) -> list[Group]:
    """Tell what has no known cause under the loss, if all of its problems have the same other one.

    Where such a loss is flat, or for some targets, its wrong gradient may be right; where nothing
    shows the gradient to be wrong, it is taken for what it is elsewhere.
    """
    of_loss = [n for n, group in enumerate(groups) if not _is_about_numbers(group)]
    right = {_loss_of_all(groups[n]): n for n in of_loss}
    told: list[Group | None] = list(groups)
    for n, group in enumerate(groups):
        loss = "" if group.is_named or not _is_about_numbers(group) else _loss_of_all(group)
        if not loss:
            continue
        k = right.get(loss)
        other = None if k is None else told[k]
        is_shown = any(NOT_OF_THIS in one.witness.finding.detail for one in group.every)
        joined, what = group.joined, f"{loss}; {NOT_OF_THIS if is_shown else UNDECIDED}"
        if k is not None and other is not None:
            if not is_shown:
                told[k], told[n] = replace(other, joined=(*other.joined, *group.every)), None
                continue
            joined, told[k] = (*joined, *other.every), None
        told[n] = replace(group, what=what, joined=joined)
    return [group for group in told if group is not None]


def _of_the_same_loss(groups: list[Group]) -> list[Group]:
    """Let a returned loss join the loss that others name: one forward pass makes both.

    On a problem where agreement passes the loss alone differs, as it is returned.
    """
    named = {_of_any_kind(group.what): n for n, group in enumerate(groups) if _is_meant(group)}
    told: list[Group | None] = list(groups)
    for n, group in enumerate(groups):
        k = named.get(_of_any_kind(group.what)) if group.what.startswith(RETURNED) else None
        if k is not None and (other := told[k]) is not None:
            told[k], told[n] = replace(other, joined=(*other.joined, *group.every)), None
    return [group for group in told if group is not None]


def _is_meant(group: Group) -> bool:
    """Whether a group is about the loss that the gradient is of, or is not of."""
    return group.what.startswith("the loss ")


def _of_any_kind(what: str) -> str:
    """Return what a loss is called, whether returned or not; one that is too small has no name."""
    told = what.partition("; ")[0].replace(RETURNED, "the loss ", 1)
    return UNNAMED if TOO_SMALL in told else told


def _with_its_loss(groups: list[Group]) -> list[Group]:
    """Let a loss that has no name join the only mistake: one forward pass may make both."""
    numbers, others = _parted(groups, _is_about_numbers)
    rest, losses = _parted(others, lambda g: is_named_loss(g.members[0].witness.finding))
    if len(numbers) != 1 or not losses:
        return groups
    joined = [one for group in losses for one in group.every]
    return [replace(numbers[0], joined=(*numbers[0].joined, *joined)), *rest]


def _loss_of_all(group: Group) -> str:
    """Return the loss that all problems of a group have, "" where it is not one."""
    every = [loss_of(one.witness.finding)[0] for one in group.every]
    same = all(every) and len(set(map(skeleton, every))) == 1
    return common(every) if same else ""


def _is_about_numbers(group: Group) -> bool:
    return _is_of_a_formula(group.members[0].witness.finding)


def _home(one: Failing, groups: Sequence[Group], home: dict[str, int]) -> int | None:
    found = one.witness.finding
    if found.reason == Reason.NONDETERMINISTIC.value:
        return _only(n for n, group in enumerate(groups) if group.mistake == (ANSWER, KEPT))
    if not _is_of_a_formula(found):
        return None
    if (known := home.get(one.witness.token)) is not None:
        return known
    if steps := one.steps:
        places = steps | {ANSWER}  # what is wrong with every answer is wrong at every step
        return _only(n for n, group in enumerate(groups) if group.place in places)
    if len(groups) == 1:
        return 0
    return _only(n for n, group in enumerate(groups) if found.property in _properties(group))


def _only(numbers: Iterable[int]) -> int | None:
    every = list(numbers)
    return every[0] if len(every) == 1 else None


def _properties(group: Group) -> set[str]:
    return {one.witness.finding.property for one in group.members}


def _is_of_units(one: Failing) -> bool:
    """Whether what is told is what single units give: a formula, if one is known, says why."""
    return all(key == UNITS for _, key in one.ranks)


def _is_pattern(one: Failing) -> bool:
    return any(key == PATTERN for _, key in one.ranks)


def _common(one: Failing) -> Hashable:
    """Return what problems without a known cause have in common."""
    found = one.witness.finding
    if found.reason != Reason.MISMATCH.value:
        return found.reason, kind(found) or skeleton(loss_of(found)[0])
    if label(found) and not one.ranks:
        return found.reason, label(found)
    if loss_of(found)[0] and not one.ranks:
        return found.reason, skeleton(loss_of(found)[0])
    if _is_pattern(one):
        return found.reason, PATTERN, one.steps
    if one.place is not None:
        return found.reason, one.place.steps & DELTAS or one.place.steps
    return found.reason, skeleton(_pattern_text(found))


def _pattern_text(found: Finding) -> str:
    """Return what the wrong coordinates have in common, less which arrays they are in."""
    first = found.diagnosis.partition("; ")[0]
    return "" if first.startswith(("only ", "unknown")) else first


def _unnamed(rest: Sequence[Failing]) -> Iterator[Group]:
    """Yield the problems without a known cause, by what they have in common."""
    groups: dict[Hashable, list[Failing]] = {}
    for one in rest:
        groups.setdefault(_common(one), []).append(one)
    for members in groups.values():
        first = members[0]
        steps = first.steps
        place = next(iter(steps)) if len(steps) == 1 else ""
        mistake = (place, PATTERN) if _is_pattern(first) else None
        yield Group(_what_is_seen(members), mistake, place, tuple(members))


def _what_is_seen(members: Sequence[Failing]) -> str:
    """Say what is known of problems without a known cause."""
    first = members[0]
    found = first.witness.finding
    if found.reason != Reason.MISMATCH.value or (label(found) and not first.ranks):
        return told_reason([one.witness.finding for one in members])
    if loss_of(found)[0] and not first.ranks:
        return _told_of_loss(members)
    if _is_pattern(first):
        every = [one.named[0].sentence for one in members]
        if len(set(map(skeleton, every))) > 1:
            return f"{STEP_NAMES[first.named[0].place]} is wrong in some places"
        return common(every)
    if first.place is not None:
        places = [_place_of_any_layer(one) for one in members]
        return f"{common(places)} {WRONG}"
    return common([_pattern_text(one.witness.finding) for one in members]) or NO_MORE


def _told_of_loss(members: Sequence[Failing]) -> str:
    """Say what the loss is, and of what the gradient is, without the numbers of one problem."""
    what, then = loss_of(members[0].witness.finding)
    is_number = " where " in then
    if any(NOT_OF_THIS in one.witness.finding.detail for one in members):
        return f"{what}; {NOT_OF_THIS}"
    return what if is_number or not then else f"{what}; {then}"


def _place_of_any_layer(one: Failing) -> str:
    place, depth = one.place, depth_of(one.witness.token)
    if len(one.steps) > 1 and one.steps & DELTAS:  # one mistake makes both products wrong
        return STEP_NAMES[OUTPUT if OUTPUT in one.steps else HIDDEN]
    return of_any_layer(place.says, place.layer, depth) if place else ""


def told_reason(findings: Sequence[Finding]) -> str:
    """Say in a sentence why problems fail: no answer, a wrong shape, another class."""
    first = findings[0]
    if first.reason == Reason.MISMATCH.value:
        return LABELS.get(label(first), f"the gradient is that of {label(first)} arithmetic")
    if first.reason == Reason.RAISED.value:
        return RAISED.get(kind(first), f"the engine raises {kind(first)}")
    told = [f.diagnosis.partition("; ")[0].removeprefix("all layers: ") for f in findings]
    return common([t for t in told if t]) or REASONS.get(first.reason, first.reason)
