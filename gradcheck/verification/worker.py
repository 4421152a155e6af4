"""A worker process: examines an engine as it is told to, until it is told no more.

The exact answers are computed and compared in here. The engine runs in a process of its own, which
is started from here, asked message by message, and ended with this one. The worker leads a group of
its own, so that Ctrl-C is the parent's affair alone. What the engine prints goes to standard error,
by way of the parent. When the parent is gone, so is the worker.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from gradcheck.engines.base import (
    Engine,
    EngineInfo,
    EngineUnusableError,
    answered_or,
    limited,
)
from gradcheck.engines.process import ProcessEngine
from gradcheck.engines.registry import EngineNotFoundError, find
from gradcheck.problems.case import is_token, load, parse
from gradcheck.verification.arithmetic import ROUNDS, Arithmetic
from gradcheck.verification.descendants import adopt_orphans, descendants, end
from gradcheck.verification.guarded import Guarded, StoppedError, plain_info, told_of
from gradcheck.verification.memory import limit_memory
from gradcheck.verification.property import Finding, examine, finding_of, internal
from gradcheck.verification.remote import Remote
from gradcheck.verification.responses import RESPONSE, responses_of
from gradcheck.writing.terminal import text_of

PATIENCE = 10.0
"""Deadlines that the calls of one task may take together: consistency makes many."""

PROCESS = "cmd:"
"""Begins the name of an engine that is a program, and speaks the protocol itself."""

DIED, TIMEOUT, UNUSABLE = "died", "timeout", "unusable"


@dataclass(frozen=True)
class Task:
    """One property to examine on one problem.

    Attributes:
        case: a case token or the name of a case file; "" for RESPONSE.
        property: "agreement", "consistency", "exact " and the name of a test, or RESPONSE.
        at_length: whether the outcome is to be told as a person reads it, too.
    """

    case: str
    property: str
    at_length: bool = False


@dataclass(frozen=True)
class Ready:
    """What a worker says first.

    Attributes:
        info: what the engine says of itself; None where it cannot be used.
        trouble: why it cannot.
    """

    info: EngineInfo | None
    trouble: str = ""


@dataclass(frozen=True)
class Reply:
    """What came of a task.

    Attributes:
        finding: None where the engine became unusable; of RESPONSE, what was measured.
        event: what happened to the engine: a name and a sentence; or None.
        seconds: how long it took.
    """

    finding: Finding | None
    event: tuple[str, str] | None = None
    seconds: float = 0.0

    @property
    def is_loss(self) -> bool:
        """Whether the engine's process died, or was ended for its silence."""
        return self.event is not None and self.event[0] in (DIED, TIMEOUT)


@dataclass(frozen=True)
class Hired:
    """What a worker is to examine, and how.

    Attributes:
        spec: names the engine.
        timeout: seconds that the engine may take for one call.
        require: the widest rounding model that is allowed; None for what the engine declares.
        limits: what else bounds the problems that it is asked about.
        memory: bytes that the worker may take, and each process that the engine starts; None for
            no limit.
    """

    spec: str
    timeout: float = 60.0
    require: str | None = None
    limits: tuple[tuple[str, Any], ...] = ()
    memory: int | None = None


def serve(connection: Connection, voice: Connection, hired: Hired) -> None:
    """Be a worker.

    Args:
        connection: to the parent.
        voice: where standard output and standard error go; the parent makes them safe to print.
        hired: the engine, and how it is examined.
    """
    with contextlib.suppress(StoppedError):
        _leave_the_group()
        _speak_through(voice)
        adopt_orphans()
        _end_with_the_parent()
        limit_memory(hired.memory)
        _serve(connection, hired)


def _serve(connection: Connection, hired: Hired) -> None:
    ready, engine = _load(hired)
    try:
        connection.send(ready)
        while engine is not None and (task := connection.recv()) is not None:
            connection.send(work(engine, task, hired.timeout))
    except (EOFError, OSError):  # the parent has closed its end
        pass
    except StoppedError:
        if engine is not None:
            engine.kill()
        raise
    if engine is not None:
        _close(engine)


def _close(engine: Guarded) -> None:
    """Let the engine end by itself, unless this process is told to end."""
    try:
        engine.close()
    except StoppedError:
        engine.kill()
        raise
    except Exception:  # noqa: BLE001, S110 - nobody is left to hear of it
        pass


def work(engine: Guarded, task: Task, timeout: float = math.inf) -> Reply:
    """Do one task; a failure of gradcheck itself is what came of it.

    Args:
        engine: the engine.
        task: what to do.
        timeout: seconds for one call; all calls may take PATIENCE times that.
    """
    try:
        return _work(engine, task, timeout)
    except StoppedError:
        raise
    except BaseException as error:  # noqa: BLE001 - a mistake of the checker accuses no engine
        return Reply(finding_of(task.property, internal(error)))


def _work(engine: Guarded, task: Task, timeout: float) -> Reply:
    start, before = time.perf_counter(), _state(engine)
    engine.begin(PATIENCE * timeout)
    if task.property == RESPONSE:
        nothing: Finding = {}
        finding = answered_or(nothing, lambda: responses_of(engine))
        return Reply(finding, _event(engine, before, task), time.perf_counter() - start)
    case = parse(task.case) if is_token(task.case) else None
    problem = case.problem() if case else load(task.case)
    try:
        finding = examine(engine, task.property, problem, case, at_length=task.at_length)
    except EngineUnusableError as error:
        return Reply(None, (UNUSABLE, told_of(error)))
    event = _event(engine, before, task)
    if event is not None and event[0] == ROUNDS:  # no bound holds for what it computed
        return Reply(None, event)
    return Reply(finding, event, time.perf_counter() - start)


def _state(engine: Guarded) -> tuple[int, Arithmetic]:
    """Return how often the engine was lost, and how the process computes that it is in."""
    inner = engine.engine
    return len(engine.deaths), inner.arithmetic if isinstance(inner, Remote) else Arithmetic.now()


def _event(engine: Guarded, before: tuple[int, Arithmetic], task: Task) -> tuple[str, str] | None:
    """Say what happened to the engine during a task."""
    (deaths, computed), (_, computes) = before, _state(engine)
    if engine.deaths[deaths:]:
        told, is_silent = engine.deaths[deaths]
        return (TIMEOUT if is_silent else DIED), f"{task.property} of {task.case}: {told}"
    return computed.switched(computes, engine.info.name, f"during {task.property}")


def _load(hired: Hired) -> tuple[Ready, Guarded | None]:
    try:
        found = _found(hired)
        info = plain_info(found.info)
        return Ready(info), Guarded(found, hired.require, _within(info, hired.limits))
    except (EngineNotFoundError, EngineUnusableError) as error:
        return Ready(None, text_of(error)), None
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it cannot be used
        return Ready(None, f"engine {hired.spec!r}: {told_of(error)}"), None


def _found(hired: Hired) -> Engine:
    """Return the engine's client; no code of the engine runs in this process."""
    if not hired.spec.startswith(PROCESS):
        return Remote(hired.spec, hired.timeout)
    found = find(hired.spec)
    if isinstance(found, ProcessEngine):
        found.timeout = hired.timeout
    return found


def _within(info: EngineInfo, limits: tuple[tuple[str, Any], ...]) -> EngineInfo:
    """Return what an engine says of itself within limits; those that leave nothing are no matter.

    Nothing is asked then, which the plan says.
    """
    try:
        return limited(info, limits)
    except ValueError:
        return info


def _leave_the_group() -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _stop)


def _speak_through(voice: Connection) -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    for descriptor in (1, 2):
        os.dup2(voice.fileno(), descriptor)
    voice.close()


def _stop(_signal: int, _frame: object) -> None:
    raise StoppedError


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def watch() -> None:
        wait([parent.sentinel])
        end(descendants(os.getpid()))
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=watch, daemon=True).start()
