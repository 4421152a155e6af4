"""The process of an engine: finds it, and answers what the examination asks over a channel.

The exact answer is never in here: it is computed, and compared, where the questions come from.
What only this process can see comes with every answer: what the engine did to the arrays that it
was given and to those that it returned before, which of them share memory, and how its
arithmetic rounds.

    > {"call": "start", "engine": "py:package.module:attribute", "timeout": 60.0}
    < {"kind": "ready", "info": {...}, "keeps_deadlines": false, "arithmetic": [false, ...]}
    > {"call": "value_and_grad", "sizes": [2, 1], ..., "writable": true, "quiet": false}  + arrays
    < {"kind": "answer", "loss": "0x1.62e42fefa39efp-1", "changed": [], "views": [], ...} + arrays
    < {"kind": "raised", "told": "value_and_grad raised ValueError: no (mine.py:3)"}
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, astuple
from typing import Any

import numpy as np

from gradcheck.arrays import Array
from gradcheck.engines.base import (
    EngineUnusableError,
    MalformedAnswerError,
    UnansweredError,
    Unsupported,
)
from gradcheck.engines.registry import EngineNotFoundError, find
from gradcheck.problem import Architecture, Problem
from gradcheck.verification.arithmetic import Arithmetic
from gradcheck.verification.channel import Channel, ClosedError, Message, largest_reply
from gradcheck.verification.guarded import Guarded, RaisedError, plain_info, told_of
from gradcheck.writing.terminal import text_of

OUT_OF_THE_WAY = 300
"""The channel gets a descriptor of at least this number, where so many are allowed."""

OFTEN = 8
"""A call for many losses says that often within a deadline that it is at work."""


def main(descriptor: int) -> None:
    """Serve one engine until the channel is closed.

    Args:
        descriptor: of the channel; nothing that the engine starts inherits it.
    """
    channel = Channel(socket.socket(fileno=_moved(descriptor)), None)
    with closing(channel), suppress(ClosedError):
        number, message, _ = channel.receive()
        engine, ready = _loaded(message["engine"], message["timeout"])
        channel.send(number, ready)
        if engine is not None:
            with closing(engine):
                _serve(channel, engine, message["timeout"])


def _moved(descriptor: int) -> int:
    for least in (OUT_OF_THE_WAY, 3):
        try:
            moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, least)
        except OSError:  # so many are not allowed
            continue
        os.close(descriptor)
        return moved
    os.set_inheritable(descriptor, False)
    return descriptor


def _serve(channel: Channel, engine: Guarded, timeout: float) -> None:
    owner, host = os.getpid(), Host(engine)
    while True:
        number, message, arrays = channel.receive()
        beat = _Beat(channel, number, timeout / OFTEN)
        reply, answers = host.answer(message, arrays, beat)
        _end_copies(owner)
        channel.send(number, reply, answers, most=largest_reply(arrays))


def _end_copies(owner: int) -> None:
    """End this process if it is a copy that the engine has made of its own: one is to answer."""
    if os.getpid() != owner:
        os._exit(0)


def _loaded(spec: str, timeout: float) -> tuple[Guarded | None, Message]:
    """Find an engine; return it and the first message."""
    try:
        found = find(spec)
        info = plain_info(found.info)
        if keeps_deadlines := _has_a_process(found):
            found.timeout = timeout  # type: ignore[attr-defined]  # it is a ProcessEngine
        text = json.dumps(asdict(info) | {"limits": _plain(info.limits)})
    except (EngineNotFoundError, EngineUnusableError) as error:
        return None, {"kind": "refused", "told": text_of(error)}
    except Exception as error:  # noqa: BLE001 - whatever is wrong with it, it cannot be used
        return None, {"kind": "refused", "told": f"engine {spec!r}: {told_of(error)}"}
    ready = {"kind": "ready", "info": text, "keeps_deadlines": keeps_deadlines}
    return Guarded(found), ready | {"arithmetic": astuple(Arithmetic.now())}


def _has_a_process(engine: object) -> bool:
    """Whether an engine has a process of its own; its module is loaded then."""
    module = sys.modules.get("gradcheck.engines.process")
    return module is not None and isinstance(engine, module.ProcessEngine)


class _Beat:
    """Says now and then, during a call for many losses, that they are at work."""

    def __init__(self, channel: Channel, number: int, seconds: float) -> None:
        self._channel, self._number, self._seconds = channel, number, seconds
        self._owner, self._last = os.getpid(), time.monotonic()

    def __call__(self) -> None:
        _end_copies(self._owner)
        now = time.monotonic()
        if now - self._last >= self._seconds:
            self._channel.send(self._number, {"kind": "busy"})
            self._last = now


class Host:
    """An engine, and the arrays that it returned last."""

    def __init__(self, engine: Guarded) -> None:
        self._engine = engine
        self._last: list[Array] = []
        self._sent: list[bytes] = []

    def answer(
        self, message: Message, arrays: list[Array], beat: Any
    ) -> tuple[Message, list[Array]]:
        """Answer one message, whatever the engine does.

        Args:
            message: what is asked.
            arrays: the parameters, the inputs and the targets.
            beat: called between one loss and the next.
        """
        self._engine.begin()
        try:
            with _quiet(message["quiet"]):
                return self._obey(message, arrays, beat)
        except Unsupported as refusal:
            told, kind = refusal.why, "unsupported"
        except MalformedAnswerError as error:
            told, kind = text_of(error), "malformed"
        except RaisedError as error:
            told, kind = text_of(error), "raised"
        except UnansweredError:
            told, silent = self._engine.deaths[-1]
            kind = "silent" if silent else "died"
        except EngineUnusableError as error:
            told, kind = text_of(error), "unusable"
        except BaseException as error:  # noqa: BLE001 - the engine has broken its own process
            call = "loss" if message["call"] == "losses" else message["call"]
            told, kind = text_of(RaisedError.of(call, error)), "raised"
        return {"kind": kind, "told": told, "arithmetic": astuple(Arithmetic.now())}, []

    def _obey(
        self, message: Message, arrays: list[Array], beat: Any
    ) -> tuple[Message, list[Array]]:
        network = Architecture(tuple(message["sizes"]), message["loss"], message["reduction"])
        if message["call"] == "losses":
            return self._losses(network, arrays, message["seconds"], beat)
        before = _as_given(arrays, message["writable"])
        problem = _problem(network, arrays)
        if message["call"] == "loss":
            answer = _answer(self._engine.loss(problem))
            found: list[Array] = []
        else:
            answer, found = self._value_and_grad(problem, arrays)
        changed = [i for i, (a, b) in enumerate(zip(arrays, before, strict=False))
                   if a.tobytes() != b]  # fmt: skip
        return answer | {"changed": tuple(changed)}, [*found, *(arrays[i] for i in changed)]

    def _value_and_grad(self, problem: Problem, given: list[Array]) -> tuple[Message, list[Array]]:
        value, pairs = self._engine.value_and_grad(problem)
        overwritten = [k for k, (a, b) in enumerate(zip(self._last, self._sent, strict=True))
                       if a.tobytes() != b]  # fmt: skip
        theirs = [self._last[k] for k in overwritten]
        self._last = [array for pair in pairs for array in pair]
        self._sent = [array.tobytes() for array in self._last]
        told = {"overwritten": tuple(overwritten), "views": tuple(_views(self._last, given))}
        return _answer(value) | told, [*self._last, *theirs]

    def _losses(
        self, network: Architecture, arrays: list[Array], seconds: float, beat: Any
    ) -> tuple[Message, list[Array]]:
        """Ask for one loss after the other, each on arrays of its own, until the time is spent."""
        *stacked, inputs, targets = arrays
        _freeze(inputs, targets)
        end = time.monotonic() + seconds
        changed: set[int] = set()

        def problems() -> Iterator[Problem]:
            for k in range(len(stacked[0])):
                if time.monotonic() > end:
                    return
                own = [array[k].copy() for array in stacked]
                yield _problem(network, [*own, inputs, targets])
                for i, array in enumerate(own):
                    if array.tobytes() != stacked[i][k].tobytes():
                        stacked[i][k] = array
                        changed.add(i)
                beat()

        values = self._engine.loss_of_each(problems())
        told = _answer() | {"changed": tuple(sorted(changed))}
        return told, [np.array(values, np.float64), *(arrays[i] for i in sorted(changed))]


def _answer(value: float | None = None) -> Message:
    loss = None if value is None else float(value).hex()
    return {"kind": "answer", "loss": loss, "arithmetic": astuple(Arithmetic.now())}


def _as_given(arrays: list[Array], writable: bool) -> list[bytes]:
    """Return the bytes of the parameters if the engine can write to them; freeze the rest."""
    if not writable:
        _freeze(*arrays)
        return []
    _freeze(*arrays[-2:])
    return [array.tobytes() for array in arrays[:-2]]


def _freeze(*arrays: Array) -> None:
    for array in arrays:
        array.flags.writeable = False


def _problem(network: Architecture, arrays: Sequence[Array]) -> Problem:
    *parameters, inputs, targets = arrays
    weights, biases = tuple(parameters[::2]), tuple(parameters[1::2])
    return Problem.unchecked(network, weights, biases, inputs, targets)


def _views(answers: list[Array], given: list[Array]) -> Iterator[tuple[Any, ...]]:
    """Yield which answers are views of what was given: of which array, from where, in what steps.

    An array that owns its memory is a view of nothing.
    """
    for k, answer in enumerate(answers):
        if answer.flags.owndata and not any(answer is array for array in given):
            continue
        for i, array in enumerate(given):
            if np.may_share_memory(answer, array) and np.shares_memory(answer, array):
                yield k, i, _address(answer) - _address(array), answer.strides
                break


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


@contextmanager
def _quiet(wanted: bool) -> Iterator[None]:
    """Ignore warnings where the caller does."""
    if not wanted:
        yield
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _plain(value: Any) -> Any:
    """Write limits as JSON can: numbers of numpy as numbers, sequences as lists."""
    if hasattr(value, "items"):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, str | int | float | bool) or value is None:
        return value
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return [_plain(entry) for entry in value]
