"""The pool does all of the work, whatever a piece of it asks for, and tells how workers end."""

import signal
from types import SimpleNamespace

import pytest

from gradcheck.verification import pool
from gradcheck.verification.pool import AHEAD, EngineGoneError, Pool, Worker, _Drive
from gradcheck.verification.worker import Ready, Reply, Task


def without_task(n):
    return n
    yield


def with_task(n):
    reply = yield Task(str(n), "agreement")
    return n, reply.finding["verdict"]


class Answering(SimpleNamespace):
    """A worker that has answered by the time it is listened to."""

    __hash__ = object.__hash__
    deadline = 0.0
    connection = SimpleNamespace(closed=False)
    process = SimpleNamespace(is_alive=lambda: True)

    def give(self, task):
        self.task = task

    def answer(self):
        return Reply({"verdict": f"of {self.task.case}"})


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("many", [1, AHEAD, 3 * AHEAD + 1])
def test_pieces_without_a_task_leave_none_behind(workers, many, monkeypatch):
    monkeypatch.setattr(pool, "wait", lambda *_: None)
    pieces = [*map(without_task, range(many)), with_task(many), *map(without_task, range(many))]
    driven = _Drive(SimpleNamespace(workers=[Answering() for _ in range(workers)]), iter(pieces))
    assert list(driven.results()) == [*range(many), (many, f"of {many}"), *range(many)]


@pytest.mark.parametrize(
    ("code", "told"),
    [
        (-signal.SIGKILL, "was killed by SIGKILL"),
        (-40, "was killed by signal 40"),
        (3, "exited with 3"),
    ],
)
def test_every_way_in_which_a_process_ends_has_a_name(code, told):
    ended = SimpleNamespace(
        process=SimpleNamespace(join=lambda _: None, exitcode=code), kill=lambda: None
    )
    assert Worker.ending(ended) == told


def refused(_):
    raise EngineGoneError("gone")


def interrupted(_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("way", "error"),
    [({"ready": refused}, EngineGoneError), ({"answer": interrupted}, KeyboardInterrupt)],
)
def test_a_worker_for_one_task_is_ended_however_the_task_ends(way, error, monkeypatch):
    ended = []

    class Hired:
        connection = SimpleNamespace(closed=False)
        deadline = 0.0

        def __init__(self, _):
            self.task = None

        def ready(self):
            return Ready(None)

        def give(self, task):
            self.task = task

        def answer(self):
            return Reply({})

        def kill(self):
            ended.append(self)

    for name, method in way.items():
        setattr(Hired, name, method)
    monkeypatch.setattr(pool, "Worker", Hired)
    with pytest.raises(error):
        Pool.fresh(SimpleNamespace(_hired=None), Task("token", "agreement"))
    assert ended
