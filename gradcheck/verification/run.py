"""Runs a verification: plan, workers, log, failures, verdict."""

from __future__ import annotations

import datetime as dt
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from tqdm import tqdm

from gradcheck.engines.base import EngineInfo
from gradcheck.verification.alone import asked_alone
from gradcheck.verification.expected import Expected
from gradcheck.verification.judge import Judgement, ended, judge, totals
from gradcheck.verification.log import FORMAT, Earlier, Log, LogError
from gradcheck.verification.plan import NothingToVerifyError, Plan, Settings
from gradcheck.verification.pool import EngineGoneError, Pool, Work
from gradcheck.verification.responses import RESPONSE, is_worth_measuring
from gradcheck.verification.shrink import failures, shrink
from gradcheck.verification.slot import Record, engine_record, examine_number, is_death
from gradcheck.verification.worker import UNUSABLE, Task

RESTARTS = 3
"""How often an engine that dies is started again."""


@dataclass(frozen=True)
class Verified:
    """A run that is over.

    Attributes:
        records: of the log.
        judgement: None where the run was interrupted.
        trouble: why the log's file does not hold all records, or "".
    """

    records: list[Record]
    judgement: Judgement | None
    trouble: str = ""


def verify(
    settings: Settings,
    *,
    jobs: int = 1,
    memory: int | None = None,
    log: Path | None = None,
    resume: bool = False,
    today: dt.date | None = None,
) -> Verified:
    """Verify an engine.

    Args:
        settings: which cases.
        jobs: worker processes.
        memory: bytes that each of them may take; None for a share of the machine's.
        log: where the log is written, as results come.
        resume: go on with that log.
        today: the day by which known failures expire; None takes it from the clock.

    Raises:
        EngineGoneError: the engine cannot be loaded.
        NothingToVerifyError: the engine supports nothing of what was asked for.
        LogError: the log cannot be resumed, would be overwritten before it is complete, or is
            written by another run.
        UnwritableError: it cannot be written.
    """
    start = time.perf_counter()
    today = today or dt.datetime.now().astimezone().date()
    file = Log(log)
    try:
        earlier = earlier_log(log, resume=resume)
        done = _verify(settings, (jobs, memory), file, (log, earlier), (start, today))
    finally:
        file.close()
    return replace(done, trouble=file.trouble)


def _verify(
    settings: Settings,
    extent: tuple[int, int | None],
    log: Log,
    before: tuple[Path | None, Earlier | None],
    when: tuple[float, dt.date],
) -> Verified:
    """Load the engine and examine it; `before` is the log's file and what it held."""
    (jobs, memory), (path, earlier), (start, today) = extent, before, when
    pool: Pool[list[Record]] = Pool(
        settings.engine,
        jobs=jobs,
        timeout=settings.timeout,
        require=settings.require or None,
        limits=settings.limits,
        memory=memory,
    )
    try:
        run = _Run(_planned(settings, pool.info), pool, log, today)
        run.begin(earlier, path)
        if earlier is not None and earlier.finished:
            end = earlier.every[-1]
            return Verified(earlier.every, Judgement(end["exit_code"], end["verdict"]))
        judgement = run.through(start)
        return Verified(run.log.records, judgement)
    finally:
        pool.close()


def _planned(settings: Settings, info: EngineInfo) -> Plan:
    """Make the plan; an engine whose limits make no sense cannot be used."""
    try:
        return Plan(settings, info)
    except NothingToVerifyError:
        raise
    except (ValueError, TypeError) as error:
        raise EngineGoneError(f"the limits of {info.name}: {error}") from error


def earlier_log(path: Path | None, *, resume: bool) -> Earlier | None:
    """Look at the log that may be there already.

    Raises:
        LogError: it cannot be resumed, or is no complete log and would be overwritten.
    """
    if path is None or not path.exists() or not path.stat().st_size:
        if resume:
            raise LogError(f"--resume: there is no log {path}" if path else "--resume needs --log")
        return None
    earlier = Earlier(path)
    if resume:
        return earlier
    if not earlier.finished:
        raise LogError(f"{path} is an incomplete log: go on with --resume, or remove it")
    return None


def header_of(plan: Plan, info: EngineInfo) -> Record:
    """Write what decides the results."""
    settings = plan.settings
    asked: Record = {
        "examples": settings.examples,
        "seed": settings.seed,
        "dtypes": list(plan.dtypes),
        "shard": list(settings.shard),
        "properties": plan.properties,
    }
    if settings.require:
        asked["require"] = settings.require
    if settings.limits:
        asked["limits"] = dict(settings.limits)
    if plan.untested:
        asked["not tested exactly"] = plan.untested
    known = [entry.to_json() for entry in settings.known]
    return {
        "kind": "header",
        "format": FORMAT,
        "gradcheck": _version(),
        "engine": {
            "spec": settings.engine,
            "name": info.name,
            "version": info.version,
            "language": info.language,
            "dtypes": list(info.dtypes),
            "losses": list(info.losses),
            "reductions": list(info.reductions),
            "deterministic": info.deterministic,
            "issues_url": info.issues_url,
            "arithmetic": info.arithmetic,
            "limits": dict(info.limits),
            **({"remarks": list(info.remarks)} if info.remarks else {}),
        },
        "settings": asked,
        **({"known": known} if settings.known_file else {}),
        "command": settings.command,
        "versions": {"python": platform.python_version(), "numpy": np.__version__},
    }


def footer_of(records: list[Record], judgement: Judgement, seconds: float) -> Record:
    """Write how a run came out."""
    return {
        "kind": "footer",
        "complete": ended(records) is None,
        "exit_code": judgement.exit_code,
        "verdict": judgement.verdict,
        "totals": totals(records),
        "seconds": seconds,
    }


class _Run:
    """A run in progress."""

    def __init__(self, plan: Plan, pool: Pool[list[Record]], log: Log, today: dt.date) -> None:
        self.plan, self.pool, self.log = plan, pool, log
        self.info = plan.info
        settings = plan.settings
        self.expected = Expected(settings.known, settings.engine, self.info.name, today)
        self.left = plan.numbers()

    def begin(self, earlier: Earlier | None, path: Path | None) -> None:
        """Write the header, or find out what is left to do."""
        header = header_of(self.plan, self.info)
        if earlier is None:
            self.log.begin(header)
            return
        assert path is not None  # noqa: S101 - an earlier log has a path
        earlier.require(header, path)
        done = earlier.numbers
        if self.left[: len(done)] != done:
            raise LogError(f"{path} cannot be resumed: it holds other cases than this run")
        if not earlier.finished:
            self.log.resume(earlier)
            self.left = self.left[len(done) :]

    def through(self, start: float) -> Judgement | None:
        """Do what is left; None if interrupted."""
        try:
            self._cases()
            self._responses()
            self._known()
            self._alone()
            found = [] if ended(self.log.records) else self._failures()
        except KeyboardInterrupt:
            return None
        judgement = judge(self.log.records, found)
        seconds = time.perf_counter() - start
        self.log.write([*found, footer_of(self.log.records, judgement, seconds)])
        return judgement

    def _cases(self) -> None:
        deaths = sum(map(is_death, self.log.records))
        pieces = (examine_number(self.plan, n) for n in self.left)
        with progress("problems", len(self.left)) as advance:
            for records in self._driven(pieces):
                self.log.write(self.expected.mark(records))
                advance()
                deaths += sum(map(is_death, records))
                if self._is_over(records, deaths):
                    return

    def _driven(self, pieces: Iterable[Work[list[Record]]]) -> Iterator[list[Record]]:
        """Do the work; an engine that cannot be loaded again ends it, which the log says."""
        try:
            yield from self.pool.drive(pieces)
        except EngineGoneError as error:
            self.log.write([engine_record(UNUSABLE, str(error))])

    def _responses(self) -> None:
        """Write the response curves into the log, where they have something to explain."""
        if ended(self.log.records) is None and is_worth_measuring(self.log.records):
            for records in self._driven([_measured()]):
                self.log.write(records)

    def _is_over(self, records: list[Record], deaths: int) -> bool:
        """Whether the engine cannot be used any more; says so in the log."""
        if deaths > RESTARTS:
            told = f"it died or was silent {deaths} times"
            self.log.write([engine_record(UNUSABLE, told)])
            return True
        return ended(records) is not None

    def _known(self) -> None:
        """Say in the log what became of the failures that were declared."""
        if ended(self.log.records) is None:
            for became in self._driven(self.expected.pieces(list(self.log.records))):
                self.log.write(became)
        if (end := ended(self.log.records)) is not None:
            self.log.write(self.expected.unexamined(self.log.records, end["event"]))

    def _alone(self) -> None:
        """Ask a few failing problems again, each in a process to which nothing else was given."""
        if ended(self.log.records) is None:
            self.log.write(asked_alone(self.log.records, self.pool.fresh))

    def _failures(self) -> list[Record]:
        found = failures(self.log.records)
        settings, declared = self.plan.settings, self.expected.declared
        make = partial(
            shrink,
            info=self.info,
            engine=settings.engine,
            declared=declared,
            command=settings.command,
        )
        pieces = (_listed(make(way)) for way in found)
        with progress("shrinking", len(found)) as advance:
            shrunk = []
            for records in self._driven(pieces):
                shrunk += records
                advance()
        return [] if ended(self.log.records) else shrunk


def _measured() -> Work[list[Record]]:
    reply = yield Task("", RESPONSE)
    events = [engine_record(*reply.event)] if reply.event else []
    measured = reply.finding or {}
    return [*events, {"kind": "response", **measured}] if "intervals" in measured else events


def _listed(work: Work[Record]) -> Work[list[Record]]:
    record = yield from work
    return [record]


@contextmanager
def progress(title: str, total: int) -> Iterator[Callable[[], object]]:
    """Show how many are done, at which rate, and how long the rest takes; only to a terminal."""
    tqdm.monitor_interval = 0  # no thread of its own
    watched = sys.stderr.isatty() and total > 0
    with tqdm(total=total, desc=title, disable=not watched, leave=False) as bar:
        yield bar.update


def _version() -> str:
    try:
        return version("gradcheck")
    except PackageNotFoundError:
        return "not installed"
