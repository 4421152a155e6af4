"""A child process that is asked one line and answers one line, within limits of time and size.

It is started in a session, and so a process group, of its own: whatever it starts dies with it,
and an interrupt from the keyboard is not its own. Its three pipes are read and written by one
thread, whenever one is ready, so that neither side can block the other: a child that reads nothing
while it writes, or fills standard error, is served or runs into the deadline. POSIX.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from multiprocessing.util import Finalize
from typing import IO

CHUNK = 2**16
POLL = 0.1
"""Seconds after which a child that is dead, while its own children keep its pipes open, is seen."""

LAST_WORDS = 1.0
"""Seconds that a child which closed its output has for exiting, so that its exit code is known."""

# Runs a command within a limit of memory: os.execvp keeps process, pipes and limit.
LIMITED = """
import os, resource, sys
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
os.execvp(sys.argv[2], sys.argv[2:])
"""


class ChildLostError(Exception):
    """The child died, or was silent too long; the message says which."""


class ChildSilentError(ChildLostError):
    """The child was silent too long."""


class ReplyTooLongError(Exception):
    """The child writes more than it may; `beginning` is what it began with."""

    def __init__(self, limit: int, beginning: bytes) -> None:
        super().__init__(f"more than {limit} bytes")
        self.beginning = beginning


class Tail:
    """The last bytes of a stream that may be endless.

    Args:
        size: how many are kept.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._bytes = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take more of the stream."""
        self._bytes += chunk
        del self._bytes[: -self.size]

    @property
    def text(self) -> str:
        """What is kept, with what is no UTF-8 written as escapes."""
        return bytes(self._bytes).decode("utf-8", "backslashreplace")


class Child:
    """A running process.

    Args:
        command: program and arguments.
        log: takes what it writes to standard error.
        memory_limit: the most bytes of address space (RLIMIT_AS), None for no limit.

    Raises:
        OSError: the program cannot be started.
    """

    def __init__(self, command: Sequence[str], log: Tail, memory_limit: int | None = None) -> None:
        if memory_limit is not None:
            limited = [sys.executable, "-I", "-S", "-c", LIMITED, str(memory_limit)]
            command = [*limited, *command]
        self._process = subprocess.Popen(  # noqa: S603 - running the user's command is the purpose
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
        )
        self._log = log
        self._unread = bytearray()
        self._has_line = False  # whether there is a newline in it
        for pipe in _pipes(self._process):
            os.set_blocking(pipe.fileno(), False)
        # Runs when this object is dropped and when the process that made it ends, workers of a
        # pool included; copies of it in forked processes do nothing.
        self._end = Finalize(self, _end, args=(self._process, log), exitpriority=10)

    def exchange(self, message: bytes, *, seconds: float, limit: int) -> bytes:
        """Send a message and return the line that comes back, without its newline.

        Args:
            message: what is sent.
            seconds: how long both may take together.
            limit: the most bytes of the line.

        Raises:
            ChildLostError: no line in time, or never.
            ReplyTooLongError: more bytes than `limit`.
        """
        deadline = time.monotonic() + seconds
        unsent = memoryview(message)
        stdin, stdout, stderr = _pipes(self._process)
        with selectors.DefaultSelector() as selector:
            selector.register(stdin, selectors.EVENT_WRITE)
            selector.register(stdout, selectors.EVENT_READ)
            selector.register(stderr, selectors.EVENT_READ)
            while unsent or not self._has_line:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise ChildSilentError(f"no reply within {seconds:g} s{self._half_a_line()}")
                ready = {key.fileobj for key, _ in selector.select(min(left, POLL))}
                if not ready and self._process.poll() is not None:
                    raise ChildLostError(self._last_words())
                if stdin in ready:
                    unsent = unsent[_write(stdin, unsent) :]
                    if not unsent:
                        selector.unregister(stdin)
                if stderr in ready and not self._read_log(stderr):
                    selector.unregister(stderr)
                if stdout in ready:
                    self._read(stdout, limit)
        line, _, self._unread = self._unread.partition(b"\n")
        self._has_line = b"\n" in self._unread
        return bytes(line)

    def stop(self, message: bytes, seconds: float) -> None:
        """Send a last message, close the child's input, wait for it to exit, then end it."""
        stdin, _, _ = _pipes(self._process)
        _write(stdin, message)
        stdin.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self.end()

    def end(self) -> None:
        """Kill what is left of the process group and close the pipes; twice is once."""
        self._end()

    def disown(self) -> None:
        """Forget the child, in a process forked from the one that started it."""
        self._process.returncode = 0  # nothing here may wait for it or complain of it
        for pipe in _pipes(self._process):
            pipe.close()

    def _read(self, stdout: IO[bytes], limit: int) -> None:
        chunk = _read(stdout)
        if chunk == b"":
            raise ChildLostError(self._last_words())
        self._unread += chunk or b""
        self._has_line |= b"\n" in (chunk or b"")
        if len(self._unread) > limit:
            raise ReplyTooLongError(limit, bytes(self._unread[:1000]))

    def _read_log(self, stderr: IO[bytes]) -> bool:
        chunk = _read(stderr)
        self._log.add(chunk or b"")
        return chunk != b""

    def _last_words(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(LAST_WORDS)
        return how_it_ended(self._process.returncode) + self._half_a_line()

    def _half_a_line(self) -> str:
        if not self._unread:
            return ""
        beginning = bytes(self._unread[:800]).decode("utf-8", "backslashreplace")[:200]
        return f" after half a line: {beginning!r}"


def how_it_ended(code: int | None) -> str:
    """Say in words how a process ended.

    >>> how_it_ended(-11), how_it_ended(3)
    ('died of SIGSEGV', 'exited with code 3')
    """
    if code is None:
        return "closed its output and lived on"
    if code < 0:
        return f"died of {signal_name(-code)}"
    of_a_shell = f", a shell's word for {signal_name(code - 128)}" if 128 < code < 160 else ""
    return f"exited with code {code}{of_a_shell}"


def signal_name(number: int) -> str:
    """Name a signal; those without a name have a number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes], IO[bytes]]:
    assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - all asked for
    return process.stdin, process.stdout, process.stderr


def _read(pipe: IO[bytes]) -> bytes | None:
    """Read what is there: b"" at the end, None if there is nothing yet."""
    try:
        return os.read(pipe.fileno(), CHUNK)
    except BlockingIOError:
        return None


def _write(pipe: IO[bytes], data: bytes | memoryview) -> int:
    """Write what the pipe takes; a pipe without a reader takes everything."""
    try:
        return os.write(pipe.fileno(), data[:CHUNK])
    except BlockingIOError:
        return 0
    except BrokenPipeError:
        return len(data)


def _end(process: subprocess.Popen[bytes], log: Tail) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # nobody is left in the group
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    stdin, stdout, stderr = _pipes(process)
    for _ in range(2**20 // CHUNK):  # what the pipe still holds, no more
        chunk = _read(stderr)
        if not chunk:
            break
        log.add(chunk)
    for pipe in (stdin, stdout, stderr):
        pipe.close()
