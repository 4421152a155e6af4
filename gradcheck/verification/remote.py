"""An engine that is found and run in a process of its own, and asked over a channel.

Where the questions come from the exact answer is known; nothing of the engine runs there. What the
engine does to arrays in its own process is done to their counterparts here: what it writes to its
arguments or to an earlier answer, and an answer that is a view of an argument. So a check sees what
it would see if it called the engine itself.

The process is started again when it was lost, at the next call.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from gradcheck.arrays import Array
from gradcheck.engines.base import (
    EngineDiedError,
    EngineInfo,
    EngineSilentError,
    EngineUnusableError,
    MalformedAnswerError,
    Unsupported,
)
from gradcheck.engines.child import signal_name
from gradcheck.problem import Gradient, Problem
from gradcheck.verification.arithmetic import Arithmetic
from gradcheck.verification.channel import (
    KEY,
    Channel,
    ClosedError,
    GarbledError,
    Message,
    SilentError,
    largest_reply,
)
from gradcheck.verification.descendants import descendants, end
from gradcheck.verification.guarded import RaisedError, plain_info

PROGRAM = """
import sys
sys.path[:] = {path!r}
from gradcheck.verification.host import main
main({descriptor})
"""

LOADING = 300.0
"""Seconds that an engine may take to be loaded; large libraries take tens of them."""

PATIENCE = 10.0
"""Deadlines that one call may take of an engine that keeps them itself: it has one a message."""

FLUSHED = (
    "its process takes numbers below the normal range for 0, which the rounding model `flushed` "
    "allows and no narrower one does"
)

GRACE = 0.5
"""Seconds that the process has for ending by itself."""


class Remote:
    """The client of an engine that was found in another process.

    Args:
        spec: names the engine, as `gradcheck.engines.registry.find` takes it.
        timeout: seconds for one call.

    Attributes:
        is_elsewhere: it changes nothing of what surrounds its caller.
        info: what the engine says of itself.
        arithmetic: how its process computes, by the latest answer.

    Raises:
        EngineUnusableError: it cannot be loaded.
    """

    is_elsewhere = True

    def __init__(self, spec: str, timeout: float = 60.0) -> None:
        self.spec, self._timeout, self._deadline = spec, timeout, timeout
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: Channel | None = None
        self._last: list[Array] = []
        self.arithmetic = Arithmetic.now()
        self.info = self._start()

    def loss(self, problem: Problem) -> float:
        """Ask for the engine's own loss."""
        reply, _ = self._ask("loss", problem, _parameters(problem))
        return float.fromhex(reply["loss"])

    def losses_one_by_one(
        self, problem: Problem, stacked: Mapping[str, Array], seconds: float
    ) -> Array:
        """Ask for the engine's own loss at many parameters, each by a call of its own.

        Args:
            problem: says all but the parameters.
            stacked: arrays by name, W1, b1, ..., with one more leading axis.
            seconds: after which no further call is begun.

        Returns:
            The losses; fewer where the time did not suffice.
        """
        whole = int(min(seconds, 1e9)) + 1
        _, parts = self._ask("losses", problem, list(stacked.values()), seconds=whole)
        return parts[0]

    def value_and_grad(self, problem: Problem) -> tuple[float | None, Gradient]:
        """Ask for the loss and the gradient."""
        reply, parts = self._ask("value_and_grad", problem, _parameters(problem))
        value = None if reply["loss"] is None else float.fromhex(reply["loss"])
        return value, list(zip(parts[::2], parts[1::2], strict=True))

    def close(self) -> None:
        """Let the process end by itself, for a moment; kill what is left of its group."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(GRACE)
        self.kill()

    def kill(self) -> None:
        """End the process and all that it started at once."""
        process, self._process = self._process, None
        if self._channel is not None:
            self._channel.close()
        if process is not None:
            others = descendants(process.pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            end(others)
        self._last = []

    def _ask(
        self, call: str, problem: Problem, parameters: list[Array], **fields: Any
    ) -> tuple[Message, list[Array]]:
        """Ask, and do here what the engine did to its arrays.

        Raises:
            Unsupported, MalformedAnswerError, RaisedError, EngineUnusableError: it says so.
            EngineDiedError: its process died, or sends what cannot be understood.
            EngineSilentError: it did not answer in time.
        """
        if self._process is None:
            self._start()
        network = problem.architecture
        message = {
            "call": call,
            "sizes": network.sizes,
            "loss": network.loss,
            "reduction": network.reduction,
            "writable": all(array.flags.writeable for array in parameters),
            "quiet": _are_warnings_ignored(),
            **fields,
        }
        arrays = [*parameters, problem.inputs, problem.targets]
        try:
            reply, parts = self._exchange(message, arrays, fields.get("seconds", 0.0))
        except BaseException:  # interrupted between a message and its reply, or lost already
            self.kill()
            raise
        _require_answer(reply)
        return reply, self._mirrored(reply, parts, call, parameters)

    def _exchange(
        self, message: Message, arrays: Sequence[Array], seconds: float
    ) -> tuple[Message, list[Array]]:
        """Send a message and wait for its reply, as long as calls are answered in time."""
        assert self._channel is not None  # noqa: S101 - it was started
        number, now = next(self._numbers), time.monotonic()
        most = largest_reply(arrays)
        last = now + seconds + self._deadline
        try:
            self._channel.send(number, message, arrays, deadline=now + self._deadline)
            while True:
                deadline = min(last, time.monotonic() + self._deadline)
                _, reply, parts = self._channel.receive(number, most=most, deadline=deadline)
                if reply["kind"] != "busy":
                    self.arithmetic = Arithmetic(*reply["arithmetic"])
                    return reply, parts
        except SilentError:
            told = f"no answer to {message['call']} within {self._deadline:g} seconds"
            raise EngineSilentError(told) from None
        except ClosedError:
            told = f"the engine's process {self._ending()}"
            raise EngineDiedError(told) from None
        except GarbledError as error:
            told = f"the engine's process sent what cannot be read, and was ended: {error}"
            raise EngineDiedError(told) from None

    def _mirrored(
        self, reply: Message, parts: list[Array], call: str, given: list[Array]
    ) -> list[Array]:
        """Do here what the engine did to its arrays; return those of the answer."""
        changed, overwritten = reply["changed"], reply.get("overwritten", [])
        count = len(parts) - len(changed) - len(overwritten)
        answer = parts[:count]
        for k, now in zip(overwritten, parts[count:], strict=False):
            _write(self._last[k], now)
        for i, now in zip(changed, parts[count + len(overwritten) :], strict=True):
            _write(given[i], now)
        for k, i, offset, strides in reply.get("views", []):
            if i < len(given):
                answer[k] = _view(answer[k], given[i], offset, strides)
        if call == "value_and_grad":
            self._last = answer
        return answer

    def _start(self) -> EngineInfo:
        """Start the process and have it load the engine.

        Raises:
            EngineUnusableError: it cannot be loaded.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            program = PROGRAM.format(path=sys.path, descriptor=theirs.fileno())
            self._process = subprocess.Popen(  # noqa: S603 - running the engine is the purpose
                [sys.executable, *_flags(), "-c", program],
                stdin=subprocess.DEVNULL,
                stdout=2,  # what the engine prints is no part of what is said of it
                pass_fds=[theirs.fileno()],
                start_new_session=True,
            )
        process = self._process
        self._channel = Channel(ours, secrets.token_bytes(KEY), lambda: process.poll() is None)
        message = {"call": "start", "engine": self.spec, "timeout": self._timeout}
        try:
            return self._ready(message)
        except BaseException:
            self.kill()
            raise

    def _ready(self, message: Message) -> EngineInfo:
        assert self._channel is not None  # noqa: S101 - it was just made
        number, deadline = next(self._numbers), time.monotonic() + LOADING
        try:
            self._channel.send(number, message, deadline=deadline)
            _, said, _ = self._channel.receive(number, deadline=deadline, most=0)
            if said["kind"] == "refused":
                raise EngineUnusableError(str(said["told"]))
            self._deadline = self._timeout * (PATIENCE if said["keeps_deadlines"] else 1)
            info = plain_info(SimpleNamespace(**json.loads(said["info"])))
            return self._with_remarks(info, Arithmetic(*said["arithmetic"]))
        except SilentError:
            told = f"loading the engine takes more than {LOADING:g} seconds"
            raise EngineUnusableError(told) from None
        except ClosedError:
            raise EngineUnusableError(f"loading the engine: its process {self._ending()}") from None
        except (GarbledError, KeyError, TypeError, ValueError) as error:
            raise EngineUnusableError(f"loading the engine: {error}"[:200]) from None

    def _with_remarks(self, info: EngineInfo, now: Arithmetic) -> EngineInfo:
        """Add what loading the engine did to the arithmetic of its process.

        Raises:
            EngineUnusableError: it does not round to nearest, so that no bound holds.
        """
        before, self.arithmetic = Arithmetic.now(), now
        if now.rounding != before.rounding:
            told = f"loading {info.name} makes its process round {now.rounding}"
            raise EngineUnusableError(f"{told}: no rounding bound holds there")
        flushes = now.flushes and not before.flushes
        return replace(info, remarks=(*info.remarks, *[FLUSHED] * flushes))

    def _ending(self) -> str:
        """Say how the process ended, and see to it that it has."""
        assert self._process is not None  # noqa: S101 - it was started
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(GRACE)
        code = self._process.returncode
        self.kill()
        if code is None:
            return "closed its channel"
        return f"was killed by {signal_name(-code)}" if code < 0 else f"exited with {code}"


def _parameters(problem: Problem) -> list[Array]:
    pairs = zip(problem.weights, problem.biases, strict=True)
    return [array for pair in pairs for array in pair]


def _require_answer(reply: Message) -> None:
    """Raise what the engine's process says it raised, if anything."""
    kind = reply["kind"]
    if kind == "answer":
        return
    told = str(reply["told"])
    raised = {
        "unsupported": Unsupported,
        "malformed": MalformedAnswerError,
        "raised": RaisedError,
        "died": EngineDiedError,
        "silent": EngineSilentError,
        "unusable": EngineUnusableError,
    }
    raise raised[kind](told)


def _write(array: Array, now: Array) -> None:
    if array.flags.writeable and (array.shape, array.dtype) == (now.shape, now.dtype):
        array[...] = now


def _view(answer: Array, array: Array, offset: int, strides: list[int]) -> Array:
    """Return the counterpart of an answer that is a view of an array; else the answer."""
    if not array.flags.c_contiguous:
        return answer
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        memory = array.reshape(-1).view(np.uint8)
        return np.ndarray(answer.shape, answer.dtype, memory.data, offset, tuple(strides))
    return answer


def _are_warnings_ignored() -> bool:
    """Whether the first filter ignores every warning."""
    first = warnings.filters[0] if warnings.filters else None
    return first is not None and first[0] == "ignore" and first[2] is Warning and not first[1]


def _flags() -> list[str]:
    """Return the options that this interpreter was started with, -W and -X among them."""
    return list(subprocess._args_from_interpreter_flags())  # type: ignore[attr-defined]
