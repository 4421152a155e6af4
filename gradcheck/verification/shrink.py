"""Shrinks a failure: looks for the smallest network that still fails in the same way.

In the same way is: by the same property and reason; the mistake that explains the failing problems
is among the suspects of the smaller one, on which it could otherwise not show (1/m where m = 1);
and the error has kept its size.

The order of simplicity is that of the tables in `gradcheck.problems.strata`, whose simplest option
stands first. Depth counts most, then units, examples, corner, weight scale, targets, loss,
reduction, dtype, and last the seed. First every network of at most three weights is tried as it is,
TINY: a mistake that needs equal widths, or a batch as large as a width, survives no change of one
of them. Then, from the failing case, one field at a time is made simpler, the boldest change first
(a network 1-1); the first candidate that fails in the same way takes the case's place; the search
ends where none does, or after CHECKS of them. It then tries the tiny networks again with the
numbers it has come to, and last whether another seed shows a larger error. A candidate of another
structure is another draw of numbers, which may happen to be harmless: SEEDS seeds are tried for
each network and batch, FEW_SEEDS for each corner and scale and for each tiny network.

Hypothesis shrinks what it has drawn itself, choice by choice. Here the failing case comes from a
log, perhaps of another machine, the fields are few and ordered, and every check may cost a worker
process: a greedy search over the fields ends sooner, and is the same for ever.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import inf
from typing import Any, TypeAlias, TypeVar

from gradcheck.engines.base import EngineInfo
from gradcheck.outcomes.reasons import Reason
from gradcheck.problem import LOSSES, REDUCTIONS, Architecture
from gradcheck.problems.case import Case, has_preactivations_within, parse
from gradcheck.problems.corners import (
    CORNERS,
    LEAST_BATCH,
    LEAST_OUTPUTS,
    REQUIRED_TARGETS,
    TARGETS,
)
from gradcheck.problems.strata import WEIGHT_SCALES
from gradcheck.verification.alone import is_told, told_of_calls
from gradcheck.verification.failing import Failing
from gradcheck.verification.failures import written
from gradcheck.verification.findings import Finding as Found
from gradcheck.verification.findings import Witness, read_finding
from gradcheck.verification.group import Group
from gradcheck.verification.mistakes import grouped
from gradcheck.verification.plan import DTYPES, EXACT
from gradcheck.verification.pool import Work
from gradcheck.verification.property import Finding
from gradcheck.verification.signature import DIED, kind
from gradcheck.verification.size import rank_of, size_of, worst_of
from gradcheck.verification.slot import Record
from gradcheck.verification.worker import Task
from gradcheck.writing.commands import replay_line

T = TypeVar("T")

Declared: TypeAlias = Callable[[str, Finding], object]
"""Whether a failing case, by token and finding, was declared beforehand."""

CHECKS = 100
SEEDS, FEW_SEEDS = 8, 3
LAST_SEEDS = 10
"""Seeds from 0 that are tried for the smallest network."""

TINY = ((1, 1), (2, 1), (1, 2), (3, 1), (1, 3), (1, 1, 1), (2, 1, 1), (1, 1, 2), (1, 1, 1, 1))
"""The networks of at most three weights, the simplest first."""

TINY_CHECKS = 60
"""For the tiny networks at the beginning; four times as many at the end, if none fails by then."""

EXTREMES: tuple[dict[str, Any], ...] = (
    {},
    {"corner": "saturated"},
    {"weight_scale": 10.0},
    {"weight_scale": 100.0},
)
"""What a tiny network may need to saturate a unit."""

PRECISIONS = (*DTYPES, *(name for name in EXACT if name not in DTYPES))


@dataclass(frozen=True)
class Way:
    """One way to fail: the problems, and their findings as the log has them.

    Attributes:
        group: what they have in common.
        found: token and finding of every failing problem of the run, by their numbers.
    """

    group: Group
    found: Sequence[tuple[str, Finding]]

    @property
    def failing(self) -> list[tuple[str, Finding]]:
        """Tokens and findings, in the order of the log."""
        return [self.found[one.number] for one in self.group.every]


def failures(records: Sequence[Record]) -> list[Way]:
    """Return the ways to fail, in the order in which they first occurred.

    Those that were declared are left out.
    """
    found = [
        (record["token"], finding)
        for record in records
        for finding in (record["findings"] if record["kind"] == "case" else ())
        if finding["verdict"] == "FAIL" and not finding.get("known")
    ]
    return ways(told_of_calls(found, records))


def ways(failing: Iterable[tuple[str, Finding]]) -> list[Way]:
    """Group failing problems by what is wrong."""
    found = list(failing)
    groups = grouped(_witness(token, finding) for token, finding in found)
    return [Way(group, found) for group in groups]


def _witness(token: str, finding: Finding) -> Witness:
    return Witness(token, read_finding(finding))


def _never(_token: str, _finding: Finding) -> bool:
    return False


def shrink(
    way: Way, info: EngineInfo, engine: str, declared: Declared = _never, *, command: str = ""
) -> Work[Record]:
    """Shrink one way to fail; the simplest problem with an error of its size is where it begins.

    An engine that dies or is silent is not asked again on purpose: the simplest of its failures
    is the smallest. So it is of what is right alone, which only the run repeats.

    Args:
        way: the problems that fail.
        info: what the engine supports.
        engine: names it, for the line that repeats the case.
        declared: what is declared stands for nothing that is not.
        command: repeats the whole run.

    Returns:
        The record of the failure.
    """
    members = _by_first_property(way.group)
    worst = worst_of(members)
    first = _start(members, worst)
    token, finding = way.found[first.number]
    case, checks = parse(token), 0
    is_of_calls = is_told(finding)
    if not is_of_calls and not _is_lost(first.witness.finding):
        case, finding, checks = yield from _search(case, finding, way.group, info, declared)
    worst_token, worst_finding = way.found[worst.number]
    return {
        **written(way.group, Failing.of(_witness(case.token, finding))),
        "worst": {"token": worst_token, "finding": worst_finding},
        "smallest": {"token": case.token, "finding": finding},
        "shrink_checks": checks,
        "replay": command if is_of_calls and command else replay_line(case.token, engine),
    }


def _by_first_property(group: Group) -> list[Failing]:
    """Return the problems that tell the mistake by the first property that any of them fails."""
    first = min((one.witness.finding.property for one in group.members), key=rank_of)
    return [one for one in group.members if one.witness.finding.property == first]


def _start(members: Sequence[Failing], worst: Failing) -> Failing:
    """Return the simplest of some problems whose error is of the size of the worst."""
    alike = [one for one in members if size_of(one).is_kept_from(size_of(worst))]

    def simplest(one: Failing) -> tuple[float, ...]:
        *structure, seed = simplicity(parse(one.witness.token))
        return (*structure, -size_of(one).decade, seed)

    return min(alike, key=simplest)


def simplicity(case: Case) -> tuple[float, ...]:
    """Return what is smaller for simpler cases."""
    return (
        len(case.sizes),
        sum(case.sizes),
        case.batch,
        list(CORNERS).index(case.corner),
        _place(case.weight_scale, WEIGHT_SCALES),
        list(TARGETS).index(case.targets),
        LOSSES.index(case.loss),
        REDUCTIONS.index(case.reduction),
        _place(case.dtype, PRECISIONS),
        case.seed,
    )


def simpler(case: Case, info: EngineInfo) -> Iterator[Case]:
    """Yield simpler cases that the engine says it supports, the boldest change of a field first."""
    seen = {case.token}
    for changed in _changes(case):
        try:
            candidate = replace(case, **changed)
        except ValueError:  # the fields rule each other out
            continue
        new = candidate.token not in seen and simplicity(candidate) < simplicity(case)
        if new and is_supported(candidate, info):
            seen.add(candidate.token)
            yield candidate


def is_supported(case: Case, info: EngineInfo) -> bool:
    """Whether the engine says that it takes a case."""
    limits: dict[str, Any] = dict(info.limits)
    most = {
        "max_depth": len(case.sizes) - 1,
        "max_width": max(case.sizes),
        "max_outputs": case.sizes[-1],
        "max_batch": case.batch,
        "max_parameters": case.architecture.n_parameters,
        "max_weight_scale": case.weight_scale,
    }
    return (
        case.dtype in info.dtypes
        and case.loss in info.losses
        and case.reduction in info.reductions
        and case.corner in limits.get("corners", [case.corner])
        and case.targets in limits.get("targets", [case.targets])
        and all(value <= limits.get(name, value) for name, value in most.items())
        and has_preactivations_within(case, limits.get("max_preactivation", inf))
    )


def tiny(case: Case, info: EngineInfo, *, often: bool = False) -> Iterator[Case]:
    """Yield the networks of at most three weights that are simpler than a case, and supported.

    Targets that need several outputs are left for binary ones where there is one output.

    Args:
        case: whose other fields they have.
        info: what the engine supports.
        often: try more seeds, and numbers that saturate a unit.
    """
    if case.architecture.n_weights <= max(Architecture(sizes).n_weights for sizes in TINY):
        return
    seeds = dict.fromkeys((case.seed, *range(SEEDS if often else FEW_SEEDS)))
    for seed, extreme, sizes in product(seeds, EXTREMES if often else ({},), TINY):
        targets = case.targets if sizes[-1] >= LEAST_OUTPUTS.get(case.targets, 1) else "binary"
        widths = [width for width in sizes if 1 < width < case.batch]
        for batch in dict.fromkeys((case.batch, *widths)):
            changed = {"sizes": sizes, "targets": targets, "batch": batch, "seed": seed}
            candidate = replace(case, **changed, **extreme)
            if simplicity(candidate) < simplicity(case) and is_supported(candidate, info):
                yield candidate


def _search(
    case: Case, finding: Finding, group: Group, info: EngineInfo, declared: Declared
) -> Work[tuple[Case, Finding, int]]:
    search = _Search(case, finding, group, declared)
    if group.is_linear:  # units and examples that are mixed are several
        yield from search.to_the_end(info)
        return search.case, search.finding, search.checks
    yield from search.first_of(tiny(case, info), TINY_CHECKS)
    yield from search.to_the_end(info)
    many = tiny(search.case, info, often=True)
    if (yield from search.first_of(many, search.checks + 4 * TINY_CHECKS)):
        yield from search.to_the_end(info)
    yield from search.larger_error()
    return search.case, search.finding, search.checks


class _Search:
    """The simplest case so far, and what has been tried."""

    def __init__(self, case: Case, finding: Finding, group: Group, declared: Declared) -> None:
        self.case, self.finding, self.checks = case, finding, 0
        self._first, self._size = finding, size_of(_failing(case, finding))
        self._group, self._declared = group, declared
        self._known, self._is_over = {case.token}, False

    def to_the_end(self, info: EngineInfo) -> Work[None]:
        """Make one field at a time simpler, until none can be or after CHECKS checks."""
        most = self.checks + CHECKS
        while (yield from self.first_of(simpler(self.case, info), most)):
            pass

    def larger_error(self) -> Work[None]:
        """Of equally small networks, take one whose error is decades larger."""
        case = self.case
        others = (replace(case, seed=seed) for seed in range(FEW_SEEDS))
        self._known -= {replace(case, seed=seed).token for seed in range(FEW_SEEDS)}
        self._known.add(case.token)
        decade = size_of(_failing(case, self.finding)).decade
        most = self.checks + FEW_SEEDS
        yield from self.first_of(others, most, above=decade)

    def first_of(
        self, candidates: Iterator[Case], most: int, *, above: float = -math.inf
    ) -> Work[bool]:
        """Go on with the first candidate that fails in the same way, if there is one.

        Args:
            candidates: other cases.
            most: the number of checks, over all searches, at which this one ends.
            above: the decade that its error must be above.
        """
        for candidate in candidates:
            if candidate.token in self._known:
                continue
            if self._is_over or self.checks >= most:
                return False
            self._known.add(candidate.token)
            self.checks += 1
            reply = yield Task(candidate.token, self._first["property"])
            if reply.finding is None or reply.event is not None:  # it costs a process: no more
                self._is_over = True
                return False
            if self._is_same(candidate, reply.finding, above):
                self.case, self.finding = candidate, reply.finding
                return True
        return False

    def _is_same(self, case: Case, finding: Finding, above: float) -> bool:
        """Whether a case fails in the same way, with an error of the same size or a larger one."""
        if any(finding[name] != self._first[name] for name in ("property", "verdict", "reason")):
            return False
        one = _failing(case, finding)
        size = size_of(one)
        return (
            size.decade > above
            and size.is_kept_from(self._size)
            and self._group.allows(one)
            and not self._declared(case.token, finding)
        )


def _failing(case: Case, finding: Finding) -> Failing:
    return Failing.of(_witness(case.token, finding))


def _changes(case: Case) -> Iterator[dict[str, Any]]:
    for sizes in _smaller_sizes(case):
        yield from _with_seeds(case, {"sizes": sizes})
    least = LEAST_BATCH.get(case.corner, 1)
    for batch in dict.fromkeys((least, case.batch // 2, case.batch - 1)):
        yield from _with_seeds(case, {"batch": batch})
    for corner in _before(case.corner, tuple(CORNERS)):
        targets = REQUIRED_TARGETS.get(corner, case.targets)
        yield from _with_seeds(case, {"corner": corner, "targets": targets}, FEW_SEEDS)
    for scale in _before(case.weight_scale, WEIGHT_SCALES):
        yield from _with_seeds(case, {"weight_scale": scale}, FEW_SEEDS)
    for name, options in (
        ("targets", tuple(TARGETS)),
        ("loss", LOSSES),
        ("reduction", REDUCTIONS),
        ("dtype", PRECISIONS),
    ):
        for option in _before(getattr(case, name), options):
            yield {name: option}
    for seed in range(min(case.seed, LAST_SEEDS)):
        yield {"seed": seed}


def _with_seeds(
    case: Case, changed: dict[str, Any], seeds: int = SEEDS
) -> Iterator[dict[str, Any]]:
    for seed in dict.fromkeys((case.seed, *range(seeds))):
        yield changed | {"seed": seed}


def _smaller_sizes(case: Case) -> Iterator[tuple[int, ...]]:
    """Yield 1-1 first, then networks without one of the layers, then with a narrower one."""
    sizes = case.sizes
    last = LEAST_OUTPUTS.get(case.targets, 1)
    if sizes != (1, last):
        yield (1, last)
    if len(sizes) > 3:
        yield (1, 1, last)
    for place in range(1, len(sizes) - 1):
        yield sizes[:place] + sizes[place + 1 :]
    for place, width in enumerate(sizes):
        least = last if place == len(sizes) - 1 else 1
        for narrower in dict.fromkeys((least, width // 2, width - 1)):
            if least <= narrower < width:
                yield (*sizes[:place], narrower, *sizes[place + 1 :])


def _before(value: T, table: Sequence[T]) -> Sequence[T]:
    """Return the simpler options of a table: those that stand before the value."""
    return table[: table.index(value)] if value in table else table


def _place(value: T, table: Sequence[T]) -> int:
    return table.index(value) if value in table else len(table)


def _is_lost(finding: Found) -> bool:
    is_raised = finding.reason == Reason.RAISED.value
    return is_raised and kind(finding) == DIED
