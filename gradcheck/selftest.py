"""Is the checker itself sound here? Every mutant against every property, and clean engines.

A mutant is put to a property on the problems of a default run, in their order, where its mistake
can show; it is caught by the first FAIL. The property that is declared to catch it looks at all of
them, the others at the first FEW. Consistency is examined on small networks, exact tests on the
first cases of their own draw; wrong gates of circuits are checked by finite differences of the
circuit. A mutant that no property catches escapes. An engine that is right and FAILs is a false
alarm.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from itertools import islice

from gradcheck.certified.gradient import Certified, certified_gradient
from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.consistency import check_consistency
from gradcheck.checks.exact import TESTS
from gradcheck.checks.gradient import check_gradient
from gradcheck.engines.base import Engine, Unsupported
from gradcheck.engines.reference import neuron_by_neuron, vectorised
from gradcheck.engines.variants import CORRECT
from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.registry import MUTANTS
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problem import Problem, dtype_name
from gradcheck.problems.case import Case, sample_cases
from gradcheck.problems.strata import LimitsDict

EXAMPLES = 200
"""Problems within which a mutant must be caught."""

FEW = 1
"""Problems on which a property is asked that need not catch a mutant."""

EXACT_CASES = 2
"""Cases of each exact test."""

CLEAN = 20_000
"""Problems that right engines are put to."""

CHUNK = 25

SMALL = LimitsDict(max_parameters=40, max_batch=8)

Check = Callable[[Engine, Problem], Outcome]

PROPERTIES: Mapping[str, Check] = {
    "agreement": check_agreement,
    "consistency": check_consistency,
}
EXACT = "exact"
CIRCUIT = "circuit"

RIGHT: Mapping[str, Callable[[], Engine]] = {
    "reference": vectorised,
    "chain-rule": neuron_by_neuron,
    "backprop": Backprop,
    **CORRECT,
}


@dataclass(frozen=True)
class Caught:
    """What became of one mutant.

    Attributes:
        name, group: of the mutant.
        after: by property, the number of problems that it took; None where it was not caught.
    """

    name: str
    group: str
    after: Mapping[str, int | None]

    @property
    def escaped(self) -> bool:
        """Whether no property caught it."""
        return all(n is None for n in self.after.values())


@dataclass(frozen=True)
class Alarms:
    """What was said of right engines.

    Attributes:
        problems: how often one was asked.
        undecided: how often the answer was INCONCLUSIVE.
        false: who was accused, where and why.
    """

    problems: int
    undecided: int
    false: tuple[str, ...]


@dataclass
class Selftest:
    """The whole result.

    Attributes:
        mutants: one entry a mutant.
        alarms: on right engines.
        seconds: how long it took.
    """

    mutants: list[Caught] = field(default_factory=list)
    alarms: Alarms = field(default=Alarms(0, 0, ()))
    seconds: float = 0.0

    @property
    def escaped(self) -> list[str]:
        """The mutants that nobody caught."""
        return [caught.name for caught in self.mutants if caught.escaped]

    @property
    def is_sound(self) -> bool:
        """Whether every mutant was caught, no right engine accused, and both were asked at all."""
        asked = bool(self.mutants) and self.alarms.problems > 0
        return asked and not self.escaped and not self.alarms.false


# --- mutants --------------------------------------------------------------------------------------


@cache
def problems(name: str) -> tuple[Problem, ...]:
    """Return the problems of a property."""
    small = SMALL if name == "consistency" else LimitsDict()
    return tuple(case.problem() for case in sample_cases(EXAMPLES, 0, **small))


@cache
def exact_cases(test: str) -> tuple[Case, ...]:
    """Return the first cases of an exact test."""
    return tuple(islice(TESTS[test].cases(Backprop().info, "float64", 0), EXACT_CASES))


def caught(name: str, properties: Mapping[str, Check] = PROPERTIES) -> Caught:
    """Put a mutant to every property.

    Args:
        name: of the mutant.
        properties: the checks by name.
    """
    wrong = MUTANTS[name]
    after = {}
    for prop, check in properties.items():
        must = prop == wrong.caught_by[0]
        fit = (p for p in problems(prop) if wrong.shows.admits(p))
        after[prop] = _first_failure(check, wrong.make(), fit if must else islice(fit, FEW))
    if set(properties) == set(PROPERTIES):
        after[EXACT] = _first_exact(wrong.make())
    return Caught(name, wrong.group, after)


def _first_failure(check: Check, engine: Engine, asked: Iterator[Problem]) -> int | None:
    for n, problem in enumerate(asked, start=1):
        try:
            if check(engine, problem).verdict is Verdict.FAIL:
                return n
        except Unsupported:
            continue
    return None


def _first_exact(engine: Engine) -> int | None:
    """Return the number of the first case that fails, over all exact tests."""
    cases = ((test, case) for name, test in TESTS.items() for case in exact_cases(name))
    for n, (test, case) in enumerate(cases, start=1):
        if test.check(engine, case).verdict is Verdict.FAIL:
            return n
    return None


def caught_gate(name: str) -> Caught:
    """Put a wrong gate, or a wrong sweep over a circuit, to finite differences."""
    from gradcheck.mutants.circuit import WRONG_GATES, WRONG_SWEEPS  # noqa: PLC0415 - when used

    wrong = (WRONG_GATES | WRONG_SWEEPS)[name]
    fails = check_gradient(*wrong.black_box()).verdict is Verdict.FAIL
    return Caught(name, CIRCUIT, {"consistency": 1 if fails else None})


def _gates() -> list[str]:
    from gradcheck.mutants.circuit import WRONG_GATES, WRONG_SWEEPS  # noqa: PLC0415 - when used

    return [*WRONG_GATES, *WRONG_SWEEPS]


# --- right engines --------------------------------------------------------------------------------


def alarms(cases: Sequence[Case], check: Callable[..., Outcome] = check_agreement) -> Alarms:
    """Put every right engine to the same problems.

    Args:
        cases: the problems; their exact gradients are computed once.
        check: takes an engine, a problem and its exact gradient.
    """
    asked, undecided, false = 0, 0, []
    engines = {name: make() for name, make in RIGHT.items()}
    for case in cases:
        problem = case.problem()
        exact: Certified = certified_gradient(problem)
        for name, engine in engines.items():
            if dtype_name(problem.dtype) not in engine.info.dtypes:
                continue
            outcome = check(engine, problem, exact=exact)
            asked += 1
            undecided += outcome.verdict is Verdict.INCONCLUSIVE
            if outcome.verdict is Verdict.FAIL:
                false.append(f"{name} on {case.token}: {outcome.detail}")
    return Alarms(asked, undecided, tuple(false))


def _together(parts: Sequence[Alarms]) -> Alarms:
    return Alarms(
        sum(part.problems for part in parts),
        sum(part.undecided for part in parts),
        tuple(told for part in parts for told in part.false),
    )


# --- all of it ------------------------------------------------------------------------------------


def selftest(*, clean: int = CLEAN, jobs: int = 2, names: Sequence[str] | None = None) -> Selftest:
    """Put every mutant to every property, and every right engine to clean problems.

    Args:
        clean: how many clean problems, over all right engines.
        jobs: worker processes; 1 works in this one.
        names: of the mutants; default: all, and all wrong gates.
    """
    start = time.perf_counter()
    chosen = list(MUTANTS) if names is None else list(names)
    gates = _gates() if names is None else []
    each = -(-clean // (len(RIGHT) - 2))  # two of them have no float64
    cases = list(sample_cases(each, 1, **SMALL))
    chunks = [cases[i : i + CHUNK] for i in range(0, len(cases), CHUNK)]
    if jobs == 1:
        found = [*map(caught, chosen), *map(caught_gate, gates)]
        parts = list(map(alarms, chunks))
    else:
        with ProcessPoolExecutor(jobs) as pool:
            asked = pool.map(alarms, chunks)  # the longest tasks first: both workers end together
            mutants = pool.map(caught, chosen, chunksize=4)
            wrong_gates = pool.map(caught_gate, gates, chunksize=8)
            parts, found = list(asked), [*mutants, *wrong_gates]
    return Selftest(found, _together(parts), time.perf_counter() - start)


def told(result: Selftest) -> str:
    """Write the matrix of who caught whom, the kill rate, the false alarms and the time."""
    columns = ("agreement", "consistency", EXACT)
    groups = dict.fromkeys(c.group for c in result.mutants)
    rows = [["place of the mistake", "mutants", *columns, "escaped"]]
    for group in groups:
        members = [c for c in result.mutants if c.group == group]
        counts = [sum(c.after.get(name) is not None for c in members) for name in columns]
        asked = [name in members[0].after for name in columns]
        shown = [str(n) if a else "-" for n, a in zip(counts, asked, strict=True)]
        escaped = sum(c.escaped for c in members)
        rows.append([group.replace("_", " "), str(len(members)), *shown, str(escaped)])
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join([row[0].ljust(widths[0]),
                        *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
             for row in rows]  # fmt: skip
    n, a = len(result.mutants), result.alarms
    killed = n - len(result.escaped)
    share = f"{100 * killed / n:.1f} %" if n else "nothing was asked"
    lines += ["", f"kill rate: {killed} of {n} mutants caught within {EXAMPLES} problems, {share}"]
    lines += [f"  escaped: {name}" for name in result.escaped]
    lines.append(f"false alarms: {len(a.false)} on {a.problems:,} clean problems of "
                 f"{len(RIGHT)} right engines ({a.undecided:,} undecided)")  # fmt: skip
    lines += [f"  accused: {who}" for who in a.false[:10]]
    verdict = "sound" if result.is_sound else "NOT SOUND"
    lines.append(f"the checker is {verdict}; {result.seconds:.1f} s")
    return "\n".join(lines)
