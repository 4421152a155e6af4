"""Takes turns among the checks, so that whatever disturbs the machine hits all alike.

On each network every check is run once to warm up; then they are timed in rounds, one run of each
a round, and right after it forward passes of the function that it calls. A check that would take
longer than `Settings.longest`, judged by the sizes before, takes part no more; nor does one that
raises. Then right gradients of other networks of the same sizes are put to each.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from gradcheck.studies.bench.contender import FAIL, INCONCLUSIVE, PASS, Contender
from gradcheck.studies.bench.extrapolate import Point, extrapolated, predicted
from gradcheck.studies.bench.power import Search, TooLongError
from gradcheck.studies.bench.settings import Settings
from gradcheck.studies.bench.subject import Subject
from gradcheck.studies.bench.trial import Clock, ClockStoppedError, Entry, MiscountError, Trial

Report = Callable[[str], object]

RAISED = "raised"
TAKES_LONG_TO_FAIL = "not asked about errors: it looks at each coordinate where it fails"


@dataclass
class Row:
    """One check on one network.

    Attributes:
        check: its name.
        ours: whether it is this project's.
        threads: of linear algebra.
        sizes: n_0, ..., n_L.
        N: weights and biases.
        seconds, q25, q75: median and quartiles of the timed runs.
        repeats: how many were timed; 0 if the seconds are extrapolated.
        forward: median seconds of one forward pass of the same function.
        in_passes: median of the runs' seconds over those of a forward pass right after.
        passes: forward passes of one run.
        verdict: on the right gradient.
        tried: right gradients that were put to it.
        accused: how many of these it called wrong, or raised at.
        undecided: how many it could not decide.
        found: what it made of an error of 1 %; "" if it was not asked.
        smallest_error: that it called wrong, None if that was not sought.
        note: why a number is missing.
    """

    check: str
    ours: bool
    threads: int
    sizes: tuple[int, ...]
    N: int
    seconds: float | None = None
    q25: float | None = None
    q75: float | None = None
    repeats: int = 0
    forward: float | None = None
    in_passes: float | None = None
    passes: float | None = None
    verdict: str = ""
    tried: int = 0
    accused: int = 0
    undecided: int = 0
    found: str | None = ""
    smallest_error: float | None = None
    note: str = ""

    @property
    def is_measured(self) -> bool:
        """Whether the seconds were taken by the clock."""
        return self.repeats > 0

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        return {**asdict(self), "sizes": list(self.sizes)}


@dataclass
class Course:
    """One check from size to size.

    Attributes:
        contender: the check.
        seconds, passes, in_passes: of the right gradient, by N.
        failing: seconds of the longest run on a wrong one, by N, if it is slow to fail.
        stopped: why it takes part no more.
        seen: the smallest error seen last.
    """

    contender: Contender
    seconds: list[Point] = field(default_factory=list)
    passes: list[Point] = field(default_factory=list)
    in_passes: list[Point] = field(default_factory=list)
    failing: list[Point] = field(default_factory=list)
    stopped: str = ""
    seen: float | None = None


def measure(
    contenders: Sequence[Contender],
    settings: Settings,
    threads: int,
    *,
    searches: bool = True,
    clock: Clock = time.perf_counter,
    say: Report = lambda _: None,
) -> Iterator[Row]:
    """Measure every check on every network; yield the rows of each as soon as they are there.

    Args:
        contenders: the checks.
        settings: how much is measured.
        threads: that linear algebra has in this process, for the rows.
        searches: whether errors are planted too.
        clock: in seconds.
        say: told what is going on.

    Raises:
        ClockStoppedError: the clock does not advance.
        MiscountError: the counted passes cannot be those of the check.
    """
    courses = [Course(contender) for contender in contenders]
    for sizes in settings.networks:
        subject = Subject(sizes, settings.seed)
        say(f"N = {subject.N:,}, threads: {threads}")
        racing = [course for course in courses if _goes_on(course, subject, settings)]
        trials = _timed(racing, subject, settings, clock)
        rows = []
        for course in courses:
            row = Row(course.contender.name, course.contender.ours, threads, sizes, subject.N)
            rows.append(row)
            if course.contender.name in trials:
                _put(row, course, trials[course.contender.name])
                if searches:
                    _search(row, course, subject, settings, clock)
            else:
                _put_extrapolated(row, course, subject, clock)
        if searches:
            _try_right_ones(rows, courses, settings, clock)
        yield from rows


def _goes_on(course: Course, subject: Subject, settings: Settings) -> bool:
    if course.stopped:
        return False
    every = course.contender.every_coordinate
    seconds = predicted(course.seconds, subject.N, every_coordinate=every)
    if seconds > settings.longest:
        course.stopped = f"one check would take more than {settings.longest:g} s"
    return not course.stopped


def _timed(
    courses: list[Course], subject: Subject, settings: Settings, clock: Clock
) -> dict[str, list[Trial]]:
    """Warm each up, then time them in rounds; a warm-up that took long counts as a run."""
    entries: dict[str, Entry] = {}
    trials: dict[str, list[Trial]] = {course.contender.name: [] for course in courses}
    for course in courses:
        name = course.contender.name
        entry = _guarded(course, partial(Entry, course.contender, subject, clock=clock))
        warm_up = entry and _guarded(course, entry.try_once)
        if warm_up:
            entries[name] = entry
            if warm_up.seconds > settings.warm_up:
                trials[name] = _beside(course, entry, warm_up)
    for _ in range(max(settings.repeats, settings.often)):
        for course in courses:
            name = course.contender.name
            if not course.stopped and _wants_more(trials[name], settings):
                trial = _guarded(course, entries[name].try_once)
                trials[name] += _beside(course, entries[name], trial) if trial else []
    return {c.contender.name: trials[c.contender.name] for c in courses if not c.stopped}


def _beside(course: Course, entry: Entry, trial: Trial) -> list[Trial]:
    """Return the trial with the seconds of a forward pass beside it; nothing if these raise."""
    forward = _guarded(course, entry.forward_seconds)
    return [replace(trial, forward=forward)] if forward else []


def _wants_more(trials: list[Trial], settings: Settings) -> bool:
    shortest = min((trial.seconds for trial in trials), default=0.0)
    return len(trials) < settings.repeats_for(shortest)


def _guarded(course: Course, call: Callable[[], Any]) -> Any:
    """Call; what a library raises ends its course, what this measurement raises ends it all."""
    result, course.stopped = _caught(call)
    return result


def _caught(call: Callable[[], Any]) -> tuple[Any, str]:
    """Call; return the result and "", or None and what was raised."""
    try:
        return call(), ""
    except TooLongError as error:
        return None, str(error)
    except (ClockStoppedError, MiscountError):
        raise
    except Exception as error:  # noqa: BLE001 - any library may raise anything: it is told
        told = " ".join(str(error).split())[:120]
        return None, f"{RAISED} {type(error).__name__}: {told}"


def _put(row: Row, course: Course, trials: list[Trial]) -> None:
    seconds = [trial.seconds for trial in trials]
    row.seconds = statistics.median(seconds)
    row.q25, row.q75 = (float(q) for q in np.quantile(seconds, [0.25, 0.75]))
    row.repeats = len(trials)
    row.forward = statistics.median(trial.forward for trial in trials)
    row.in_passes = statistics.median(trial.in_passes for trial in trials)
    counts = {trial.passes for trial in trials}
    if len(counts) > 1:
        raise MiscountError(f"{row.check}: the same check took {sorted(counts)} passes")
    row.passes = trials[0].passes
    verdicts = {trial.answer.verdict for trial in trials}
    row.verdict = " or ".join(sorted(verdicts))
    course.seconds.append((row.N, row.seconds))
    course.in_passes.append((row.N, row.in_passes))
    if row.passes:
        course.passes.append((row.N, float(row.passes)))
    row.tried = 1
    row.accused, row.undecided = int(FAIL in row.verdict), int(row.verdict == INCONCLUSIVE)


def _search(row: Row, course: Course, subject: Subject, settings: Settings, clock: Clock) -> None:
    """Plant errors; where the right gradient does not pass, there is nothing to be seen."""
    if row.verdict != PASS or row.seconds is None:
        return
    failing = predicted(course.failing, row.N, every_coordinate=False)
    if failing > settings.longest_named:
        row.note = TAKES_LONG_TO_FAIL
        return
    expected = max(row.seconds, failing)
    if expected > settings.longest_named:
        return
    search = Search(course.contender, subject, settings.longest, clock)
    row.found, row.note = _caught(search.found)
    if not row.note and expected <= settings.longest_search:
        near = course.seen
        row.smallest_error, row.note = _caught(lambda: search.smallest_error_seen(near))
        course.seen = row.smallest_error or near
    if course.contender.slow_to_fail:
        course.failing.append((row.N, search.longest))


def _try_right_ones(
    rows: list[Row], courses: list[Course], settings: Settings, clock: Clock
) -> None:
    """Put the right gradients of further networks to each check, while time is left."""
    asked = [(row, course) for row, course in zip(rows, courses, strict=True) if row.is_measured]
    spent = {row.check: 0.0 for row, _ in asked}
    for further in range(1, settings.right):
        asked = [
            (row, course)
            for row, course in asked
            if spent[row.check] + (row.seconds or 0) <= settings.longest_right
        ]
        if not asked:
            return
        subject = Subject(rows[0].sizes, settings.seed + further)
        for row, course in asked:
            start = clock()
            trial, told = _caught(Entry(course.contender, subject, clock=clock).try_once)
            spent[row.check] += clock() - start
            row.note = row.note or told
            row.tried += 1
            row.accused += trial is None or trial.answer.verdict == FAIL
            row.undecided += trial is not None and trial.answer.verdict == INCONCLUSIVE


def _put_extrapolated(row: Row, course: Course, subject: Subject, clock: Clock) -> None:
    """Extrapolate a peer; of our own checks only what was measured is told.

    A check that looks at every coordinate takes as many forward passes more as there are more
    coordinates; how long one pass takes is measured on this network.
    """
    row.note = course.stopped
    if course.stopped.startswith(RAISED) or row.ours or not course.seconds:
        return
    row.forward, told = _caught(Entry(course.contender, subject, clock=clock).forward_seconds)
    if row.forward is None:
        row.note = told
        return
    row.in_passes = extrapolated(course.in_passes, row.N)
    row.passes = extrapolated(course.passes, row.N)
    row.seconds = row.in_passes and row.in_passes * row.forward
