"""Groups failing problems of which no cause is known by what they have in common."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from gradcheck.diagnosis.formula import HIDDEN, OUTPUT
from gradcheck.outcomes.reasons import Reason
from gradcheck.verification.failing import (
    DELTAS,
    PATTERN,
    Failing,
    common_of,
    is_pattern_of,
    pattern_text,
)
from gradcheck.verification.findings import Finding, loss_of
from gradcheck.verification.group import STEP_NAMES, Group
from gradcheck.verification.phrases import common, of_any_layer, skeleton
from gradcheck.verification.signature import DIED, kind, label
from gradcheck.verification.suspects import depth_of

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
NO_MORE = "the gradient is wrong"
WRONG = "is wrong in a way that nothing explains"


def unnamed(rest: Sequence[Failing]) -> Iterator[Group]:
    """Yield the problems without a known cause, by what they have in common."""
    groups: dict[Hashable, list[Failing]] = {}
    for one in rest:
        groups.setdefault(common_of(one), []).append(one)
    for members in groups.values():
        first = members[0]
        steps = first.steps
        place = next(iter(steps)) if len(steps) == 1 else ""
        mistake = (place, PATTERN) if is_pattern_of(first) else None
        yield Group(_what_is_seen(members), mistake, place, tuple(members))


def _what_is_seen(members: Sequence[Failing]) -> str:
    """Say what is known of problems without a known cause."""
    first = members[0]
    found = first.witness.finding
    if found.reason != Reason.MISMATCH.value or (label(found) and not first.ranks):
        return told_reason([one.witness.finding for one in members])
    if loss_of(found)[0] and not first.ranks:
        return _told_of_loss(members)
    if is_pattern_of(first):
        every = [one.named[0].sentence for one in members]
        if len(set(map(skeleton, every))) > 1:
            return f"{STEP_NAMES[first.named[0].place]} is wrong in some places"
        return common(every)
    if first.place is not None:
        places = [_place_of_any_layer(one) for one in members]
        return f"{common(places)} {WRONG}"
    return common([pattern_text(one.witness.finding) for one in members]) or NO_MORE


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
