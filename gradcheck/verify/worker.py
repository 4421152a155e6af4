"""A worker process: finds the engine, and examines what it is told to, until it is told no more.

The engine lives and dies in here. The process leads a group of its own, so that whatever the engine
starts can be ended with it, and so that Ctrl-C is the parent's affair alone. What the engine prints
goes to standard error, by way of the parent. When the parent is gone, so is the worker.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from types import MappingProxyType
from typing import Any

from gradcheck.case import is_token, load, parse
from gradcheck.engines.base import EngineInfo, EngineUnusableError, limited
from gradcheck.engines.process import ProcessEngine
from gradcheck.engines.registry import EngineNotFoundError, find
from gradcheck.terminal import text_of
from gradcheck.verdict import Reason
from gradcheck.verify.arithmetic import Arithmetic
from gradcheck.verify.descendants import adopt_orphans, descendants, end
from gradcheck.verify.guarded import Guarded, StoppedError, told_of
from gradcheck.verify.memory import limit_memory
from gradcheck.verify.property import Finding, examine, finding_of, internal
from gradcheck.verify.responses import RESPONSE, responses_of
from gradcheck.verify.surroundings import Surroundings, limits_of_resources, lowered_since

DIED, TIMEOUT, UNUSABLE = "died", "timeout", "unusable"

ABILITIES = ("dtypes", "losses", "reductions", "remarks")
WORDS = ("name", "version", "language", "issues_url", "arithmetic")


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
        switched: what loading it switched in the processor: an event and a sentence; or None.
        own_deadline: whether it keeps the deadline itself, message by message.
    """

    info: EngineInfo | None
    trouble: str = ""
    switched: tuple[str, str] | None = None
    own_deadline: bool = False


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
    def is_fatal(self) -> bool:
        """Whether the engine cannot be examined any further."""
        return self.finding is None


@dataclass(frozen=True)
class Hired:
    """What a worker is to examine, and how.

    Attributes:
        spec: names the engine.
        timeout: seconds, for an engine that keeps its deadlines itself.
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
    before, limits = Arithmetic.now(), limits_of_resources()
    ready, engine = _load(hired)
    switched = before.switched(ready.info.name if ready.info else hired.spec, "when it was loaded")
    connection.send(replace(ready, switched=switched))
    if engine is None or switched:
        return
    try:
        while (task := connection.recv()) is not None:
            connection.send(work(engine, task, before=before, limits=limits))
    except (EOFError, OSError):  # the parent has closed its end
        pass
    finally:
        with contextlib.suppress(Exception):  # nobody is left to hear of it
            engine.close()


def work(
    engine: Guarded,
    task: Task,
    *,
    before: Arithmetic | None = None,
    limits: Mapping[str, int] = MappingProxyType({}),
) -> Reply:
    """Do one task; a failure of gradcheck itself is what came of it.

    Args:
        engine: the engine.
        task: what to do.
        before: how the process computed before the engine was loaded.
        limits: what limited the process before the engine was loaded.
    """
    try:
        reply = _work(engine, task, before or Arithmetic.now())
    except StoppedError:
        raise
    except BaseException as error:  # noqa: BLE001 - a mistake of the checker accuses no engine
        reply = Reply(finding_of(task.property, internal(error)))
    if reply.finding and reply.finding.get("reason") == Reason.INTERNAL.value:
        told = f"{reply.finding['detail']}{lowered_since(limits)}"
        return replace(reply, finding=reply.finding | {"detail": told})
    return reply


def _work(engine: Guarded, task: Task, before: Arithmetic) -> Reply:
    start = time.perf_counter()
    deaths = len(engine.deaths)
    if task.property == RESPONSE:
        return Reply(responses_of(engine), None, time.perf_counter() - start)
    case = parse(task.case) if is_token(task.case) else None
    problem = case.problem() if case else load(task.case)
    try:
        finding = examine(engine, task.property, problem, case, at_length=task.at_length)
    except EngineUnusableError as error:
        return Reply(None, (UNUSABLE, told_of(error)))
    if switched := before.switched(engine.info.name, f"during {task.property}"):
        return Reply(None, switched)
    died = engine.deaths[deaths:]
    event = (DIED, f"{task.property} of {task.case}: {died[0]}") if died else None
    return Reply(finding, event, time.perf_counter() - start)


def _load(hired: Hired) -> tuple[Ready, Guarded | None]:
    """Load the engine; what it sets for the whole interpreter is kept for its own calls."""
    ours = Surroundings.now()
    try:
        return _loaded(hired)
    finally:
        ours.restore()


def _loaded(hired: Hired) -> tuple[Ready, Guarded | None]:
    try:
        found = find(hired.spec)
        info = plain_info(found.info)
        engine = Guarded(found, hired.require, _within(info, hired.limits))
        keeps = isinstance(found, ProcessEngine)
        if isinstance(found, ProcessEngine):
            found.timeout = hired.timeout
        return Ready(info, own_deadline=keeps), engine
    except (EngineNotFoundError, EngineUnusableError) as error:
        return Ready(None, text_of(error)), None
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it cannot be used
        return Ready(None, f"engine {hired.spec!r}: {told_of(error)}"), None


def _within(info: EngineInfo, limits: tuple[tuple[str, Any], ...]) -> EngineInfo:
    """Return what an engine says of itself within limits; those that leave nothing are no matter.

    Nothing is asked then, which the plan says.
    """
    try:
        return limited(info, limits)
    except ValueError:
        return info


def plain_info(info: Any) -> EngineInfo:
    """Copy an engine's account of itself into the contract's own type, which can be sent.

    Raises:
        AttributeError, TypeError, ValueError: it is none.
    """
    said: dict[str, Any] = {name: str(getattr(info, name)) for name in WORDS if hasattr(info, name)}
    said |= {name: tuple(map(str, getattr(info, name, ()))) for name in ABILITIES}
    limits = getattr(info, "limits", {})
    if not isinstance(limits, Mapping):
        raise TypeError(f"limits={limits!r} must be a mapping")
    said |= {"deterministic": bool(getattr(info, "deterministic", True)), "limits": dict(limits)}
    return EngineInfo(**said)


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
