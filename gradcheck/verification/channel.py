"""A channel between two processes: JSON and the bytes of arrays, within limits of time and size.

    frame = key (16 bytes)  number (8)  bytes of the JSON (8)  bytes of the arrays (8)
            the JSON        the arrays, one after the other, as they lie in memory

The key is drawn for each channel and a reply has the number of its message, so that nothing else
that is written to the descriptor is taken for a reply. Nothing is unpickled: what comes is read as
JSON, and as numbers of the types that it names. An array of anything but numbers, or one larger
than it may be, comes as its type and its shape alone.
"""

from __future__ import annotations

import json
import math
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from gradcheck.arrays import Array

Message: TypeAlias = dict[str, Any]

HEAD = struct.Struct("!16sQQQ")
KEY = 16
SLACK = 2**20
"""Bytes that a message may have beside its arrays: a traceback, say."""

POLL = 0.1
"""Seconds after which a deadline is noticed, or that the other process has died."""

CHUNK = 2**16
SHORT = 2**12
"""Bytes of a message that is remembered as it was read: most are like an earlier one."""

LONGEST = 2**40
"""No axis of an array has that many entries."""

NUMBERS = re.compile(r"[<>|=]?[biufc][0-9]{1,2}")
"""The types of which bytes are sent, as numpy writes them."""

DIMENSIONS = 32


WIDEST = 32
"""Bytes of the widest number: a complex longdouble."""


class SilentError(Exception):
    """Nothing came in time."""


class ClosedError(Exception):
    """The other end is closed."""


class GarbledError(Exception):
    """What came is not what the other end of this channel sends; the message says why."""


def largest_reply(arrays: Sequence[Array]) -> int:
    """Return the most bytes of the arrays of a reply: whatever was sent, twice, of any type."""
    return 2 * WIDEST * sum(array.size for array in arrays)


def _always() -> bool:
    return True


class Channel:
    """One end of a channel.

    Args:
        end: a connected socket.
        key: begins every frame; None takes that of the first frame that comes.
        is_there: whether the process at the other end is still running.
    """

    def __init__(
        self, end: socket.socket, key: bytes | None, is_there: Callable[[], bool] = _always
    ) -> None:
        self._end, self._key, self._is_there = end, key, is_there
        self._unread = bytearray()
        end.settimeout(POLL)

    def send(
        self,
        number: int,
        message: Message,
        arrays: Sequence[Array] = (),
        *,
        most: float = math.inf,
        deadline: float = math.inf,
    ) -> None:
        """Send a message and arrays.

        Args:
            number: of the message, or of the one that it answers.
            message: what JSON can say.
            arrays: come with it.
            most: the bytes of all arrays; those beyond are sent without their numbers.
            deadline: when to give up, by `time.monotonic`.

        Raises:
            SilentError: the other end did not take it in time.
            ClosedError: there is no other end.
        """
        parts = list(_bytes_of(arrays, most))
        told = tuple(
            _described(array.dtype, array.shape, part is not None)
            for array, part in zip(arrays, parts, strict=True)
        )
        text = _text_of(tuple(message.items()), told)
        blob = b"".join([part for part in parts if part is not None])
        assert self._key is not None  # noqa: S101 - who answers has heard it
        head = HEAD.pack(self._key, number, len(text), len(blob))
        self._write(memoryview(head + text + blob), deadline)

    def receive(
        self, number: int | None = None, *, most: float = math.inf, deadline: float = math.inf
    ) -> tuple[int, Message, list[Array]]:
        """Receive a message and its arrays, which are the caller's own.

        Args:
            number: that it must have; None takes any.
            most: the bytes of its arrays together.
            deadline: when to give up, by `time.monotonic`.

        Raises:
            SilentError: it did not come in time.
            ClosedError: the other end is closed, or its process has ended.
            GarbledError: it is no such message.
        """
        key, given, length, blob = HEAD.unpack(self._take(HEAD.size, deadline))
        self._key = key if self._key is None else self._key
        if key != self._key:
            raise GarbledError(f"it begins with {key!r}")
        if number not in (None, given):
            raise GarbledError(f"it answers message {given}, not {number}")
        if length > SLACK + most or blob > most:
            raise GarbledError(f"it has {length} and {blob} bytes")
        read = _read if length <= SHORT else _read.__wrapped__
        message, layout, size = read(self._take(length, deadline))
        if size != blob:
            raise GarbledError(f"its arrays have {blob} bytes, not {size}")
        numbers = self._take(blob, deadline)
        return given, message, [_array(numbers, at) for at in layout]

    def close(self) -> None:
        """Close this end."""
        self._end.close()

    def _write(self, left: memoryview, deadline: float) -> None:
        while left:
            try:
                left = left[self._end.send(left) :]
            except TimeoutError:
                self._must_be_there()
            except OSError as error:
                raise ClosedError from error
            if left and time.monotonic() >= deadline:
                raise SilentError

    def _take(self, size: int, deadline: float) -> bytes:
        """Return the next bytes; a read takes what else is there, up to CHUNK."""
        while len(self._unread) < size:
            try:
                chunk = self._end.recv(max(CHUNK, size - len(self._unread)))
            except TimeoutError:
                self._must_be_there()
            except OSError as error:
                raise ClosedError from error
            else:
                if not chunk:
                    raise ClosedError
                self._unread += chunk
            if len(self._unread) < size and time.monotonic() >= deadline:
                raise SilentError
        taken = bytes(memoryview(self._unread)[:size])
        del self._unread[:size]
        return taken

    def _must_be_there(self) -> None:
        """Let the caller wait again, if there is somebody to wait for."""
        if not self._is_there():
            raise ClosedError


@lru_cache(maxsize=512)
def _text_of(message: tuple[tuple[str, Any], ...], arrays: tuple[Any, ...]) -> bytes:
    return json.dumps(dict(message) | {"arrays": arrays}).encode("ascii")


@lru_cache(maxsize=512)
def _described(dtype: np.dtype[Any], shape: tuple[int, ...], is_sent: bool) -> tuple[Any, ...]:
    return (dtype.str if NUMBERS.fullmatch(dtype.str) else f"|{dtype.kind}"), shape, is_sent


def _bytes_of(arrays: Sequence[Array], most: float) -> Iterator[bytes | None]:
    for array in arrays:
        is_sent = array.dtype.kind in "biufc" and array.nbytes <= most
        most -= array.nbytes * is_sent
        yield array.tobytes() if is_sent else None


class _Layout(NamedTuple):
    """How an array lies in the bytes of a message; `start` is None where it has none there."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    start: int | None
    size: int


@lru_cache(maxsize=512)
def _read(text: bytes) -> tuple[Message, list[_Layout], int]:
    """Read a message; return it, how its arrays lie, and how many bytes they have.

    Messages are read once and shared: whoever gets one leaves it alone.

    Raises:
        GarbledError: it is none.
    """
    try:
        message = json.loads(text)
        layout, start = [], 0
        for kind, shape, is_sent in message["arrays"]:
            dtype, size = _dtype(kind, is_sent), _size(shape)
            layout.append(_Layout(dtype, tuple(shape), start if is_sent else None, size))
            start += size * dtype.itemsize * bool(is_sent)
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError) as error:
        raise GarbledError(f"{type(error).__name__}: {error}"[:200]) from None
    return message, layout, start


def _array(numbers: bytes, at: _Layout) -> Array:
    if at.start is None:  # it looks like it, and takes no memory
        return np.broadcast_to(np.zeros((), at.dtype), at.shape)
    return np.frombuffer(numbers, at.dtype, at.size, at.start).reshape(at.shape).copy()


def _size(shape: list[int]) -> int:
    if len(shape) > DIMENSIONS or not all(type(n) is int and 0 <= n < LONGEST for n in shape):
        raise ValueError(f"an array of shape {shape!r:.60}")
    return math.prod(shape)


def _dtype(kind: str, is_sent: bool) -> np.dtype[Any]:
    if NUMBERS.fullmatch(kind):
        return np.dtype(kind)
    if is_sent:
        raise ValueError(f"bytes of type {kind!r:.60}")
    kinds = {"|S": "S1", "|U": "U1", "|V": "V1", "|M": "M8[s]", "|m": "m8[s]"}
    return np.dtype(kinds.get(kind, "O"))
