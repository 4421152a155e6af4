"""Lets problems whose cause is not known by themselves join the mistake that fits them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TypeVar

from gradcheck.diagnosis.formula import ANSWER, OUTPUT
from gradcheck.outcomes.reasons import Reason
from gradcheck.verification.failing import DELTAS, Failing, is_of_a_formula
from gradcheck.verification.findings import TOO_SMALL, is_named_loss, loss_of
from gradcheck.verification.group import LEAST_PART, Group, is_about_numbers
from gradcheck.verification.phrases import common, skeleton
from gradcheck.verification.suspects import KEPT
from gradcheck.verification.unnamed import NOT_OF_THIS

T = TypeVar("T")

LEAST_BELOW = 0.2
"""At most so many patterns of single products, for each problem of a wrong delta, are its own."""
UNDECIDED = "whether the gradient is that of this loss could not be decided"
RETURNED = "the returned loss "
UNNAMED = "the loss is not the one that is meant"


def joined(
    groups: list[Group], rest: list[Failing], *, alone: bool
) -> tuple[list[Group], list[Failing]]:
    """Let problems whose cause is not known join the mistake that fits them.

    Args:
        groups: the mistakes.
        rest: the problems.
        alone: there is no other mistake, so that one may join of which not even a step is known.
    """
    home = {one.witness.token: n for n, group in enumerate(groups) for one in group.members}
    more: dict[int, list[Failing]] = {}
    left = []
    for one in rest:
        number = _home(one, groups, home) if alone or one.steps else None
        if number is None:
            left.append(one)
        else:
            more.setdefault(number, []).append(one)
    new = [(*group.joined, *more.get(n, ())) for n, group in enumerate(groups)]
    return [replace(g, joined=every) for g, every in zip(groups, new, strict=True)], left


def _home(one: Failing, groups: Sequence[Group], home: dict[str, int]) -> int | None:
    found = one.witness.finding
    if found.reason == Reason.NONDETERMINISTIC.value:
        return _only(n for n, group in enumerate(groups) if group.mistake == (ANSWER, KEPT))
    if not is_of_a_formula(found):
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


def below(groups: list[Group]) -> list[Group]:
    """Let what has no known cause be one heading with what is above it: the loss, or a delta.

    All products of a wrong delta are wrong, and one of them may be right by chance; a forward pass
    that is not the one that is meant makes wrong losses and wrong deltas.
    """
    here, others = parted(groups, is_about_numbers)
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


def of_one_delta(groups: list[Group], seen: list[Group]) -> tuple[list[Group], list[Group]]:
    """Let the few patterns of single products join the only mistake, if that is a wrong delta."""
    patterns = [one for group in seen for one in group.every]
    if len(groups) != 1 or groups[0].place not in DELTAS or not patterns:
        return groups, seen
    if len(patterns) > LEAST_BELOW * len(groups[0].every):
        return groups, seen
    return [replace(groups[0], joined=(*groups[0].joined, *patterns))], []


def of_one_loss(groups: list[Group]) -> list[Group]:
    """Tell what has no known cause under the loss, if all of its problems have the same other one.

    Where such a loss is flat, or for some targets, its wrong gradient may be right; where nothing
    shows the gradient to be wrong, it is taken for what it is elsewhere.
    """
    of_loss = [n for n, group in enumerate(groups) if not is_about_numbers(group)]
    right = {_loss_of_all(groups[n]): n for n in of_loss}
    told: list[Group | None] = list(groups)
    for n, group in enumerate(groups):
        loss = "" if group.is_named or not is_about_numbers(group) else _loss_of_all(group)
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


def of_the_same_loss(groups: list[Group]) -> list[Group]:
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


def with_its_loss(groups: list[Group]) -> list[Group]:
    """Let a loss that has no name join the only mistake: one forward pass may make both."""
    numbers, others = parted(groups, is_about_numbers)
    rest, losses = parted(others, lambda g: is_named_loss(g.members[0].witness.finding))
    if len(numbers) != 1 or not losses:
        return groups
    joined = [one for group in losses for one in group.every]
    return [replace(numbers[0], joined=(*numbers[0].joined, *joined)), *rest]


def _loss_of_all(group: Group) -> str:
    """Return the loss that all problems of a group have, "" where it is not one."""
    every = [loss_of(one.witness.finding)[0] for one in group.every]
    same = all(every) and len(set(map(skeleton, every))) == 1
    return common(every) if same else ""


def parted(every: Iterable[T], holds: Callable[[T], bool]) -> tuple[list[T], list[T]]:
    """Return those for which something holds, and the others."""
    parts: tuple[list[T], list[T]] = ([], [])
    for one in every:
        parts[not holds(one)].append(one)
    return parts
