"""A process for every engine, so that a slow or dying one costs its own results and no others.

The worker finds the engine, says what it is, and does the jobs in order. A job that takes too long
ends the process, as a crash does; a new one goes on with the next job, RESTARTS times.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any, TypeAlias

from gradcheck.engines.base import EngineInfo, EngineUnusableError
from gradcheck.engines.child import how_it_ended
from gradcheck.engines.installed import NotInstalledError
from gradcheck.engines.registry import EngineNotFoundError, find
from gradcheck.studies.report.engines.jobs import Job
from gradcheck.verification.guarded import Guarded, plain_info, told_of

LOADING = 300.0
"""Seconds that an engine may take to be loaded."""

START = "spawn"
"""How a worker is started, as `multiprocessing` names it."""

RESTARTS = 3
GRACE = 2.0


@dataclass(frozen=True)
class Missing:
    """The engine is not installed here, or cannot be used; `why` says what is missing."""

    why: str
    installed: bool


@dataclass(frozen=True)
class Lost:
    """The process died, or was silent too long, during a job."""

    why: str


@dataclass(frozen=True)
class Ended:
    """The engine cannot be used any more; the jobs that are left were not done."""

    why: str


Result: TypeAlias = "tuple[Job, object]"
Plan: TypeAlias = Callable[[EngineInfo], Sequence[Job]]


class Run:
    """All jobs of one engine.

    Args:
        spec: names the engine.
        plan: makes the jobs from what the engine says of itself.
        timeout: seconds for a job.

    Attributes:
        info: what the engine says of itself; None before it has.
        missing: why it cannot be used at all; None if it can.
        ended: why it cannot be used any more; "" if it can.
    """

    def __init__(self, spec: str, plan: Plan, timeout: float) -> None:
        self.spec, self.plan, self.timeout = spec, plan, timeout
        self.info: EngineInfo | None = None
        self.missing: Missing | None = None
        self.ended = ""

    def results(self) -> Iterator[Result]:
        """Yield every job with what came of it: its result, or `Lost`."""
        left: list[Job] | None = None
        for _ in range(1 + RESTARTS):
            process, connection = _start(self.spec)
            try:
                said = self._said(process, connection, LOADING)
                if not isinstance(said, EngineInfo):
                    self._refused(said)
                    return
                self.info = said
                left = list(self.plan(said)) if left is None else left
                while left:
                    job = left.pop(0)
                    with contextlib.suppress(OSError):  # a dead worker is noticed below
                        connection.send(job)
                    came = self._said(process, connection, self.timeout)
                    if isinstance(came, Ended):
                        self.ended = came.why
                        return
                    yield job, came
                    if isinstance(came, Lost):
                        break
                else:
                    return
            finally:
                _end(process, connection)
        self.ended = f"the engine was lost {1 + RESTARTS} times"

    def _refused(self, said: object) -> None:
        """Keep why the engine cannot be loaded: for good, or once it was."""
        missing = said if isinstance(said, Missing) else Missing(_why(said), installed=True)
        if self.info is None:
            self.missing = missing
        else:
            self.ended = missing.why

    def _said(self, process: Any, connection: Connection, seconds: float) -> object:
        try:
            if wait([connection], seconds):
                return connection.recv()
        except (EOFError, OSError):
            process.join(GRACE)
            return Lost(how_it_ended(process.exitcode))
        return Lost(f"no answer within {seconds:g} s")


def serve(connection: Connection, spec: str) -> None:
    """Be a worker: what the engine prints goes to standard error."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.stdout.flush()
    os.dup2(2, 1)
    engine = _loaded(spec)
    if isinstance(engine, Missing):
        connection.send(engine)
        return
    try:
        connection.send(plain_info(engine.info))
        while (job := connection.recv()) is not None:
            engine.begin()
            connection.send(job.do(engine))
    except EngineUnusableError as error:
        connection.send(Ended(told_of(error)))
    except (EOFError, OSError):  # the parent is gone
        pass
    finally:
        with contextlib.suppress(Exception):  # nobody is left to hear of it
            engine.close()


def _loaded(spec: str) -> Guarded | Missing:
    try:
        engine = Guarded(find(spec))
        plain_info(engine.info)
    except EngineNotFoundError as error:
        if isinstance(error.__cause__, NotInstalledError):
            # the message says what to do after its last colon, and where nothing was found before
            return Missing(str(error.__cause__).rpartition(": ")[2], installed=False)
        return Missing(str(error), installed=True)
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it cannot be used
        return Missing(told_of(error), installed=True)
    return engine


def _why(said: object) -> str:
    return said.why if isinstance(said, Lost | Ended) else f"it said {said!r:.60}"


def _start(spec: str) -> tuple[Any, Connection]:
    context: Any = multiprocessing.get_context(START)
    ours, theirs = context.Pipe()
    process = context.Process(target=serve, args=(theirs, spec), daemon=False)
    process.start()
    theirs.close()
    return process, ours


def _end(process: Any, connection: Connection) -> None:
    """Let the process end by itself, for a moment, then end it with its group."""
    with contextlib.suppress(OSError):
        connection.send(None)
    process.join(GRACE)
    if process.pid is not None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.join()
    connection.close()
