"""An engine in a process of its own, in any language, spoken to as `protocol` says.

The process is started when it is first needed, and again when it was lost: because it died, was
silent for too long, or sent what cannot be understood. Each loss costs the call during which it
happened; after too many the engine is unusable.
"""

from __future__ import annotations

import itertools
import math
import os
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn, TypeVar

from gradcheck.engines import protocol
from gradcheck.engines.base import (
    EngineDiedError,
    EngineInfo,
    EngineProtocolError,
    EngineRaisedError,
    EngineSilentError,
    EngineUnusableError,
    MalformedAnswerError,
    Unsupported,
    require_loss,
)
from gradcheck.engines.child import Child, ChildLostError, ChildSilentError, ReplyTooLongError, Tail
from gradcheck.engines.installed import require_supported
from gradcheck.problem import Gradient, Problem

T = TypeVar("T")

LOG_SIZE = 2**16
LOG_SHOWN = 2000
"""Characters of the engine's standard error that a message shows."""

GRACE = 2.0
"""Seconds that an engine has for exiting after `stop`."""


class ProcessEngine:
    """The client of an engine that runs as a process.

    Whoever uses it in several threads must not do so at once.

    Args:
        command: a command line, split as a POSIX shell would split it, or program and arguments.
        timeout: seconds for one message and its reply, starting included; may be changed later.
        max_reply: the most bytes of a reply; default: enough for every right reply to the problem
            asked about.
        memory_limit: the most bytes of the process's address space (RLIMIT_AS), where the platform
            can limit it; default: no limit.
        restarts: how often it is started again.

    Raises:
        TypeError: a command, or an argument of it, that is not text.
        ValueError: an empty command or one whose quotation does not end; a timeout, max_reply or
            memory_limit that is not positive; restarts below 0.
    """

    is_elsewhere = True
    """It changes nothing of what surrounds its caller."""

    def __init__(
        self,
        command: str | Sequence[str],
        *,
        timeout: float = 60.0,
        max_reply: int | None = None,
        memory_limit: int | None = None,
        restarts: int = 3,
    ) -> None:
        self.command = _words(command)
        positive = {"timeout": timeout, "max_reply": max_reply, "memory_limit": memory_limit}
        for name, value in positive.items():
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}={value} must be positive and finite")
        if restarts < 0:
            raise ValueError(f"restarts={restarts} must be at least 0")
        self.timeout = timeout
        self.restarts = restarts
        self.max_reply = max_reply
        self.memory_limit = memory_limit
        self.losses: list[str] = []  # what happened, each time
        self._log = Tail(LOG_SIZE)
        self._numbers = itertools.count()
        self._info: EngineInfo | None = None
        self._child: Child | None = None
        self._owner = os.getpid()

    def __repr__(self) -> str:
        return f"ProcessEngine({shlex.join(self.command)!r})"

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself; asking starts it.

        Raises:
            EngineUnusableError: it cannot be started, or is refused.
        """
        if self._info is None:
            self._running()
        assert self._info is not None  # noqa: S101 - whatever runs has said what it is
        return self._info

    @property
    def log(self) -> str:
        """The end of what the engine wrote to standard error, over all starts."""
        return self._log.text

    def loss(self, problem: Problem) -> float:
        """Ask for the engine's own loss.

        Raises: what `value_and_grad` raises, and
            Unsupported: the engine returns no loss.
        """
        return require_loss(self._ask("loss", problem, protocol.read_loss))

    def value_and_grad(self, problem: Problem) -> tuple[float | None, Gradient]:
        """Ask for the loss and the gradient.

        Raises:
            Unsupported: the engine says so, or does not name the problem's dtype, loss or
                reduction.
            EngineRaisedError: it raised.
            EngineProtocolError: its reply cannot be understood, or does not hold what it must.
            MalformedAnswerError: its gradient has another number of layers.
            EngineDiedError: it died; an EngineSilentError if it was killed after `timeout`.
            EngineUnusableError: it cannot be started, is refused, or was lost too often.
        """

        def read(reply: dict[str, Any]) -> tuple[float | None, Gradient]:
            return protocol.read_loss(reply), protocol.read_gradient(reply, problem)

        return self._ask("value_and_grad", problem, read)

    def close(self) -> None:
        """Send `stop`, wait briefly, and kill what is left of the process group."""
        child, self._child = self._child, None
        if child is not None and self._owner == os.getpid():
            child.stop(protocol.request(next(self._numbers), "stop"), GRACE)

    def kill(self) -> None:
        """End the process at once."""
        if self._child is not None:
            self._drop(self._child)

    def _ask(self, command: str, problem: Problem, read: Callable[[dict[str, Any]], T]) -> T:
        child = self._running()
        require_supported(problem, self.info)
        limit = self.max_reply or protocol.largest_reply(problem)
        place = f"{command} of {problem!r}"
        reply = self._converse(child, command, limit, place, problem=protocol.encode(problem))
        try:
            protocol.require_ok(reply)
            return read(reply)
        except (EngineRaisedError, EngineProtocolError, MalformedAnswerError) as error:
            raise type(error)(f"{self!r}: {place}: {error}") from None

    def _converse(
        self, child: Child, command: str, limit: int, place: str, **fields: Any
    ) -> dict[str, Any]:
        """Send a message and read the reply; a child that cannot be understood is lost."""
        number = next(self._numbers)
        message = protocol.request(number, command, **fields)
        try:
            line = child.exchange(message, seconds=self.timeout, limit=limit)
            return protocol.read_reply(line, number)
        except ChildSilentError as silent:
            self._lose(child, place, EngineSilentError(str(silent)))
        except ChildLostError as lost:
            self._lose(child, place, EngineDiedError(str(lost)))
        except ReplyTooLongError as flood:
            self._lose(child, place, protocol.malformed(str(flood), flood.beginning))
        except EngineProtocolError as error:
            self._lose(child, place, error)
        except BaseException:  # interrupted between a message and its reply
            self._drop(child)
            raise

    def _lose(self, child: Child, place: str, error: RuntimeError) -> NoReturn:
        """Kill the child and say why."""
        self._drop(child)
        self.losses.append(f"{place}: {error}")
        raise type(error)(f"{self!r}: {place}: {error}{self._end_of_log()}") from None

    def _drop(self, child: Child) -> None:
        self._child = None
        child.end()

    def _running(self) -> Child:
        """Return the running child, started if there is none.

        Raises:
            EngineUnusableError: it cannot be started, is refused, or was lost too often.
        """
        if self._owner != os.getpid():  # a forked process talks to an engine of its own
            if self._child is not None:
                self._child.disown()
            self._child, self._owner = None, os.getpid()
        while self._child is None:
            if len(self.losses) > self.restarts:
                raise EngineUnusableError(self._story())
            self._start()
        return self._child

    def _start(self) -> None:
        """Start the child and shake hands; a child that dies meanwhile is lost.

        Raises:
            EngineUnusableError: it cannot be started, or is refused.
        """
        child = self._spawn()
        try:
            said = self._greet(child, "start", protocol=protocol.VERSION)
            info = protocol.read_info(said)
            remarks = protocol.require_echo(self._greet(child, "echo", values=protocol.ECHO))
        except EngineDiedError:
            return
        except (EngineProtocolError, EngineRaisedError, Unsupported) as refused:
            child.end()
            raise EngineUnusableError(f"{self!r} is refused: {refused}") from refused
        self._child, self._info = child, replace(info, remarks=remarks)

    def _greet(self, child: Child, command: str, **fields: Any) -> dict[str, Any]:
        limit = self.max_reply or protocol.largest_reply()
        reply = self._converse(child, command, limit, command, **fields)
        protocol.require_ok(reply)
        return reply

    def _spawn(self) -> Child:
        if os.name != "posix":
            raise EngineUnusableError(f"{self!r}: engines in processes need a POSIX system")
        if shutil.which(self.command[0]) is None:
            raise EngineUnusableError(f"{self!r}: there is no program {self.command[0]!r}")
        try:
            return Child(self.command, self._log, self.memory_limit)
        except OSError as error:
            raise EngineUnusableError(f"{self!r} cannot be started: {error}") from error

    def _story(self) -> str:
        """Tell what happened each time."""
        times = "".join(f"\n  {i}. {what}" for i, what in enumerate(self.losses, start=1))
        told = f"{self!r} is unusable: lost {len(self.losses)} times{times}"
        return told + self._end_of_log()

    def _end_of_log(self) -> str:
        shown = self.log[-LOG_SHOWN:].strip()
        return f"\nits stderr ends with:\n{shown}" if shown else ""


def _words(command: str | Sequence[str]) -> list[str]:
    words = shlex.split(command) if isinstance(command, str) else list(command)
    if not words:
        raise ValueError(f"command={command!r} is empty")
    for word in words:
        if not isinstance(word, str):
            raise TypeError(f"command={command!r}: {word!r} is not text")
    return words
