"""Serves an engine written in Python to gradcheck: one JSON object a line, in and out.

    > {"id":0,"cmd":"start","protocol":1}
    < {"id":0,"ok":true,"protocol":1,"engine":{"name":"...","dtypes":["float64"],...}}
    > {"id":1,"cmd":"echo","values":[0.1,5e-324,-0.0]}
    < {"id":1,"ok":true,"values":[0.1,5e-324,-0.0]}
    > {"id":2,"cmd":"value_and_grad","problem":{"sizes":[3,2,1],...}}
    < {"id":2,"ok":true,"loss":0.69,"gradient":[{"W":[[...]],"b":[...]}],
       "counts":{"forward":1,"backward":1}}
    > {"id":3,"cmd":"loss","problem":{...}}
    < {"id":3,"ok":true,"loss":0.69}
    > {"id":4,"cmd":"stop"}
    < {"id":4,"ok":true}

What goes wrong is answered `"ok":false` with a `kind`: `unsupported` (the engine does not claim to
handle the problem), `error` (it raised; the traceback comes with it) or `protocol` (the message
cannot be read, is unknown, or comes before `start`); the engine lives on. End of input is `stop`.

Needs Python 3.8 or later and its standard library alone, so that it runs beside old libraries; it
may be copied.
"""

from __future__ import annotations

import json
import math
import os
import sys
import traceback
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:  # aliases are evaluated nowhere: Python 3.8 could not
    from collections.abc import Callable, Sequence

    Message = dict[str, Any]
    Problem = dict[str, Any]
    Pairs = Sequence[tuple[Any, Any]]

__all__ = ["Unsupported", "claim_stdout", "serve"]

PROTOCOL = 1
NONFINITE = {"nan": math.nan, "inf": math.inf, "infinity": math.inf}

_claimed: list[BinaryIO] = []


class Unsupported(Exception):  # noqa: N818 - an answer, not an error
    """Raised by an engine for a problem it does not claim to handle; the text says why."""


class _ProtocolError(Exception):
    """A message that cannot be answered."""


def claim_stdout() -> BinaryIO:
    """Keep standard output for the protocol; whatever else is printed goes to standard error.

    That holds for Python's print and for libraries that write to file descriptor 1. `serve` calls
    it; call it first where a library prints while it is imported.

    Returns:
        The stream that messages are written to; the same one on every call.
    """
    if not _claimed:
        sys.stdout.flush()
        _claimed.append(os.fdopen(os.dup(1), "wb"))
        os.dup2(2, 1)
        sys.stdout = sys.stderr
    return _claimed[0]


def serve(
    info: dict[str, Any],
    loss: Callable[[Problem], Any],
    value_and_grad: Callable[[Problem], tuple[Any, Pairs]],
    *,
    unsupported: tuple[type[Exception], ...] = (),
) -> None:
    """Answer messages until `stop` or the end of input.

    Args:
        info: what the engine says of itself: `name`, `version`, `dtypes`, `losses`, `reductions`;
            optionally `deterministic`, `language`, `issues_url`, `arithmetic`, `limits`.
        loss: the engine's own loss of a problem, forward pass only. A problem is a dict: `sizes`,
            `loss`, `reduction`, `dtype`, and nested lists of floats `weights` (L of them, n_l rows
            of n_{l-1}), `biases`, `inputs` (m rows of n_0), `targets` (m rows of n_L).
        value_and_grad: the loss and the pairs (dC/dW_l, dC/db_l), as arrays or nested lists.
        unsupported: exceptions of the engine's library that mean the same as `Unsupported`.
    """
    stream = claim_stdout()
    server = _Server(info, loss, value_and_grad, (Unsupported, *unsupported))
    for line in sys.stdin.buffer:
        reply = server.reply(line)
        try:
            stream.write(json.dumps(reply, allow_nan=False).encode("ascii") + b"\n")
            stream.flush()
        except BrokenPipeError:
            return
        if server.stopped:
            return


class _Server:
    """The state of one conversation: whether it has started, and whether it has stopped."""

    def __init__(
        self,
        info: dict[str, Any],
        loss: Callable[[Problem], Any],
        value_and_grad: Callable[[Problem], tuple[Any, Pairs]],
        unsupported: tuple[type[Exception], ...],
    ) -> None:
        self.info = {"language": "Python", **info}
        self.loss = loss
        self.value_and_grad = value_and_grad
        self.unsupported = unsupported
        self.started = self.stopped = False
        self.commands = {
            "start": self._start,
            "echo": lambda message: {"values": _plain(_numbers(message.get("values")))},
            "loss": self._loss,
            "value_and_grad": self._value_and_grad,
            "stop": self._stop,
        }

    def reply(self, line: bytes) -> Message:
        """Answer one line, whatever is in it."""
        number = None
        try:
            message = _read(line)
            number = message["id"]
            return {"id": number, "ok": True, **self._obey(message)}
        except self.unsupported as refusal:
            return _failure(number, "unsupported", str(refusal))
        except _ProtocolError as error:
            return _failure(number, "protocol", str(error))
        except Exception as error:  # noqa: BLE001 - whatever the engine raises is its answer
            told = f"{type(error).__name__}: {error}"
            return {**_failure(number, "error", told), "traceback": traceback.format_exc()}

    def _obey(self, message: Message) -> Message:
        command = message.get("cmd")
        if not isinstance(command, str) or command not in self.commands:
            raise _ProtocolError(f"unknown cmd {command!r}; known are {', '.join(self.commands)}")
        if not self.started and command not in ("start", "stop"):
            raise _ProtocolError(f"{command} before start")
        return self.commands[command](message)

    def _start(self, message: Message) -> Message:
        if message.get("protocol") != PROTOCOL:
            raise _ProtocolError(f"protocol {message.get('protocol')!r}; this is {PROTOCOL}")
        self.started = True
        return {"protocol": PROTOCOL, "engine": self.info}

    def _loss(self, message: Message) -> Message:
        return {"loss": _loss(self.loss(_problem(message)))}

    def _value_and_grad(self, message: Message) -> Message:
        value, pairs = self.value_and_grad(_problem(message))
        gradient = [{"W": _plain(dW), "b": _plain(db)} for dW, db in pairs]
        counts = {"forward": 1, "backward": 1}
        return {"loss": _loss(value), "gradient": gradient, "counts": counts}

    def _stop(self, _: Message) -> Message:
        self.stopped = True
        return {}


def _failure(number: Any, kind: str, message: str) -> Message:
    return {"id": number, "ok": False, "kind": kind, "message": message}


def _read(line: bytes) -> Message:
    try:
        message = json.loads(line.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise _ProtocolError(f"unreadable: {error}") from None
    if not isinstance(message, dict):
        raise _ProtocolError("a message is a JSON object")
    if not isinstance(message.get("id"), int):
        raise _ProtocolError("id is missing, or no whole number")
    return message


def _problem(message: Message) -> Problem:
    problem = message.get("problem")
    if not isinstance(problem, dict):
        raise _ProtocolError("problem is missing")
    for key in ("sizes", "loss", "reduction", "dtype"):
        if key not in problem:
            raise _ProtocolError(f"problem has no {key}")
    arrays = ("weights", "biases", "inputs", "targets")
    return {**problem, **{key: _numbers(problem.get(key)) for key in arrays}}


def _numbers(value: Any) -> Any:
    """Read nested lists of numbers; those that are not finite come as text."""
    if isinstance(value, list):
        return [_numbers(entry) for entry in value]
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str):
        size = NONFINITE.get(value.lower().lstrip("+-"))
        if size is not None:
            return -size if value.startswith("-") else size
    raise _ProtocolError(f"{value!r} is no number")


def _loss(value: Any) -> Any:
    """Write a loss; None says that there is none."""
    return None if value is None else _plain(value)


def _plain(value: Any) -> Any:
    """Write a number or nested numbers as floats, those that are not finite as text."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return [_plain(entry) for entry in value]
    number = float(value)
    if math.isfinite(number):
        return number
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"
