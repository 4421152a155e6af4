"""Worker processes with a deadline for every task, and results in the order of the work.

A piece of work is a generator: it yields tasks, is sent their replies, and returns its result. A
piece stays with one worker; the pieces are dealt out in order and their results come out in that
order, whatever the number of workers. A worker that dies or misses its deadline is killed with its
process group; the task it was at is answered in its place, and a new worker goes on.

Workers are spawned, not forked: the engine finds a fresh interpreter, without the parent's threads,
locks and open libraries, and each start is like any other. It costs about half a second each time.
"""

from __future__ import annotations

import codecs
import contextlib
import multiprocessing
import os
import secrets
import signal
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from multiprocessing import forkserver, resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Generic, TypeAlias, TypeVar

from gradcheck.engines.base import EngineInfo
from gradcheck.engines.child import signal_name
from gradcheck.outcomes.ending import EndsCheckError
from gradcheck.outcomes.outcome import Outcome
from gradcheck.outcomes.reasons import Reason, Verdict
from gradcheck.verification.descendants import MARK, Process, adopt_orphans, descendants, end
from gradcheck.verification.memory import usual_memory
from gradcheck.verification.property import finding_of
from gradcheck.verification.remote import LOADING
from gradcheck.verification.worker import DIED, PATIENCE, TIMEOUT, Hired, Ready, Reply, Task, serve
from gradcheck.writing import terminal

T = TypeVar("T")

Work: TypeAlias = Generator[Task, Reply, T]

START = "spawn"
"""How a worker is started, as `multiprocessing` names it."""

OWN = 600.0
"""Seconds that a worker may take beside the time of the engine, which it keeps itself."""

CHUNK = 2**16
"""Bytes that are read at once of what an engine prints."""

LOUDEST = 2**20
"""Bytes of what a worker's engine prints that are passed on; the rest is read and dropped."""

GRACE = 1.0
"""Seconds between asking a worker to end and killing it."""

AHEAD = 64
"""Pieces of work begun before an earlier one is done, at most."""


class EngineGoneError(EndsCheckError, RuntimeError):
    """The engine cannot be loaded, or not be used once it was."""


class Worker:
    """One process, and what it is doing."""

    def __init__(self, hired: Hired) -> None:
        context: Any = multiprocessing.get_context(START)
        self.connection, theirs = context.Pipe()
        said, voice = context.Pipe(duplex=False)
        self.process: BaseProcess = context.Process(
            target=serve, args=(theirs, voice, hired), daemon=False
        )
        self.mark = secrets.token_hex(8)
        self._start()
        theirs.close()
        voice.close()
        self.listener = threading.Thread(target=_pass_on, args=(said,), daemon=True)
        self.listener.start()
        self.seconds = (1 + PATIENCE) * hired.timeout + OWN
        self.task: Task | None = None
        self.deadline = time.monotonic() + LOADING + OWN

    def _start(self) -> None:
        """Start the process with a mark in its environment, which no helper of Python's has."""
        resource_tracker.ensure_running()
        if START == "forkserver":
            forkserver.ensure_running()
        os.environ[MARK] = self.mark
        try:
            self.process.start()
        finally:
            del os.environ[MARK]

    def ready(self) -> Ready:
        """Wait for what the worker says first.

        Raises:
            EngineGoneError: the engine cannot be loaded.
        """
        if not self.connection.poll(max(0.0, self.deadline - time.monotonic())):
            self.kill()
            raise EngineGoneError(f"loading the engine takes more than {LOADING + OWN:g} seconds")
        try:
            said: Ready = self.connection.recv()
        except (EOFError, OSError):
            raise EngineGoneError(f"loading the engine: {self.ending()}") from None
        if said.info is None:
            raise EngineGoneError(said.trouble)
        return said

    def give(self, task: Task) -> None:
        """Hand over a task."""
        self.task = task
        self.deadline = time.monotonic() + self.seconds
        with contextlib.suppress(OSError):  # a dead worker is noticed when it is listened to
            self.connection.send(task)

    def answer(self) -> Reply | None:
        """Return the reply if there is one, or what stands for it; None while there is none.

        The worker is dead afterwards if the reply's event is a death or a missed deadline.
        """
        if self.connection.poll():
            try:
                reply: Reply = self.connection.recv()
            except (EOFError, OSError):
                return self._lost(DIED, f"its process {self.ending()}")
            else:
                return reply
        if time.monotonic() < self.deadline:
            return None
        self.kill()
        return self._lost(TIMEOUT, f"it took more than {self.seconds:g} seconds")

    def ending(self) -> str:
        """Say how the process ended, and see to it that it has."""
        self.process.join(GRACE)
        code = self.process.exitcode
        self.kill()
        if code is None:
            return "closed its connection"
        return f"was killed by {signal_name(-code)}" if code < 0 else f"exited with {code}"

    def kill(self) -> None:
        """End the process, its group and its descendants."""
        self._end(self._below())

    def _below(self) -> set[Process]:
        return descendants(self.process.pid) if self.process.pid is not None else set()

    def _end(self, below: set[Process]) -> None:
        pid = self.process.pid
        if self.process.is_alive():
            self.process.terminate()
            self.process.join(GRACE)
        if pid is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        self.process.kill()
        self.process.join()
        end(below, self.mark)
        self.listener.join(GRACE)  # for its last words
        self.connection.close()

    def stop(self) -> None:
        """Let the process end by itself, for a moment."""
        below = self._below()
        with contextlib.suppress(OSError):
            self.connection.send(None)
        self.process.join(GRACE)
        self._end(below)

    def _lost(self, event: str, told: str) -> Reply:
        assert self.task is not None  # noqa: S101 - only who has a task is listened to
        why = f"gradcheck itself failed here, which is its own mistake: {told}"
        outcome = Outcome(Verdict.INCONCLUSIVE, Reason.INTERNAL, why)
        finding = finding_of(self.task.property, outcome)
        return Reply(finding, (event, f"{self.task.property} of {self.task.case}: {why}"))


def _pass_on(said: Connection) -> None:
    """Print to standard error what a worker and its engine print, made safe for a terminal."""
    decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
    left = LOUDEST
    with said, contextlib.suppress(OSError):
        while chunk := os.read(said.fileno(), CHUNK):
            if left > 0:
                terminal.pass_on(decoder.decode(chunk))
                left -= len(chunk)
                if left <= 0:
                    terminal.pass_on("\n(the engine prints on; the rest is dropped)\n")


class Pool(Generic[T]):
    """Workers for one engine; to be closed.

    Args:
        spec: names the engine.
        jobs: how many workers.
        timeout: seconds for one call of the engine.
        require: the widest rounding model that is allowed; None for what the engine declares.
        limits: what else bounds the problems that it is asked about.
        memory: bytes that each worker may take; None for a share of the machine's.

    Raises:
        EngineGoneError: the engine cannot be loaded.
    """

    def __init__(
        self,
        spec: str,
        *,
        jobs: int = 1,
        timeout: float = 60.0,
        require: str | None = None,
        limits: tuple[tuple[str, Any], ...] = (),
        memory: int | None = None,
    ) -> None:
        self._hired = Hired(spec, timeout, require, limits, memory or usual_memory(jobs))
        self._workers: list[Worker] = []
        adopt_orphans()
        try:
            for _ in range(jobs):  # one by one: those that were started are ended
                self._workers.append(Worker(self._hired))
            said = [worker.ready() for worker in self._workers]
        except BaseException:
            self.close()
            raise
        info = said[0].info
        assert info is not None  # noqa: S101 - who is ready has said what it is
        self.info: EngineInfo = info

    def drive(self, pieces: Iterable[Work[T]]) -> Iterator[T]:
        """Do all the work; yield the results in its order."""
        return _Drive(self, iter(pieces)).results()

    def fresh(self, task: Task) -> Reply:
        """Do one task in a process to which nothing was given before.

        Raises:
            EngineGoneError: the engine cannot be loaded again.
        """
        worker = Worker(self._hired)
        try:
            worker.ready()
            worker.give(task)
            while (reply := worker.answer()) is None:
                wait([worker.connection], max(0.0, worker.deadline - time.monotonic()))
        except BaseException:
            worker.kill()
            raise
        if not worker.connection.closed:
            worker.stop()
        return reply

    @property
    def workers(self) -> list[Worker]:
        """The workers as they are now."""
        return self._workers

    def replace(self, worker: Worker) -> Worker:
        """Start a worker in the place of a dead one.

        Raises:
            EngineGoneError: the engine cannot be loaded again.
        """
        fresh = Worker(self._hired)
        self._workers[self._workers.index(worker)] = fresh
        fresh.ready()
        return fresh

    def close(self) -> None:
        """End all workers."""
        for worker in self._workers:
            if worker.task is None and worker.process.is_alive():
                worker.stop()
            else:
                worker.kill()
        self._workers = []
        adopt_orphans(adopt=False)


class _Drive(Generic[T]):
    """One run of a pool through a series of pieces of work."""

    def __init__(self, pool: Pool[T], pieces: Iterator[Work[T]]) -> None:
        self.pool = pool
        self.pieces = enumerate(pieces)
        self.at: dict[Worker, tuple[int, Work[T]]] = {}
        self.done: dict[int, T] = {}
        self.next = 0

    def results(self) -> Iterator[T]:
        while True:
            self._fill()
            if not self._begun():
                return
            while self.next in self.done:
                yield self.done.pop(self.next)
                self.next += 1
            if self.at:
                self._listen()

    def _fill(self) -> None:
        """Give every idle worker the next piece that has a task."""
        for worker in self.pool.workers:
            while worker not in self.at and self._begun() < AHEAD:
                piece = next(self.pieces, None)
                if piece is None:
                    return
                self._advance(worker, *piece, None)

    def _begun(self) -> int:
        return len(self.done) + len(self.at)

    def _advance(self, worker: Worker, number: int, work: Work[T], reply: Reply | None) -> None:
        """Let a piece of work take the reply and go on, or finish."""
        try:
            task = next(work) if reply is None else work.send(reply)
        except StopIteration as finished:
            self.done[number] = finished.value
            self.at.pop(worker, None)
            worker.task = None
            return
        self.at[worker] = number, work
        worker.give(task)

    def _listen(self) -> None:
        """Wait for a reply or a deadline, and take what has come."""
        busy = list(self.at)
        listening: list[Connection] = [worker.connection for worker in busy]
        first = min(worker.deadline for worker in busy)
        wait(listening, max(0.0, first - time.monotonic()))
        for worker in busy:
            reply = worker.answer()
            if reply is None:
                continue
            number, work = self.at.pop(worker)
            alive = worker
            if not worker.process.is_alive() and worker.connection.closed:
                alive = self.pool.replace(worker)
            self._advance(alive, number, work, reply)
