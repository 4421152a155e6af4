"""An engine in a process of its own: found out like one next door, and unable to do harm."""

import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import hostile_engines
import numpy as np
import pytest
from some import some

from gradcheck.engines.base import EngineSilentError, EngineUnusableError, UnansweredError
from gradcheck.engines.registry import find
from gradcheck.problems.case import parse
from gradcheck.verification import channel, guarded, host, remote
from gradcheck.verification.guarded import Guarded
from gradcheck.verification.property import examine
from gradcheck.verification.remote import Remote
from gradcheck.verification.worker import PATIENCE, Task, work

TOKEN = "gc1:3-4-2:cross_entropy:mean:m3:float64:w1:generic:soft:s3"
CASE = parse(TOKEN)
PROBLEM = CASE.problem()


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def remote_engine():
    """Start engines in processes of their own; end them afterwards."""
    started = []

    def start(name, module="hostile_engines", **options):
        started.append(Remote(f"py:{module}:{name}", **options))
        return Guarded(started[-1])

    yield start
    for engine in started:
        engine.kill()


def asked(engine, property_="agreement"):
    reply = work(engine, Task(TOKEN, property_), 60.0)
    return reply.finding["verdict"], reply.finding["reason"], reply


# --- what an engine cannot do ---------------------------------------------------------------------


def test_the_exact_answer_is_not_where_the_engine_is(remote_engine):
    beside = examine(
        Guarded(find("py:hostile_engines:reads_the_answer")), "agreement", PROBLEM, CASE
    )
    assert beside["verdict"] == "PASS"  # which is why it has a process of its own
    assert asked(remote_engine("reads_the_answer"))[:2] == ("FAIL", "mismatch")


@pytest.mark.parametrize("name", ["half_a_message", "garbage", "bomb"])
def test_what_an_engine_writes_to_open_descriptors_is_no_answer(name, remote_engine):
    verdict, reason, reply = asked(remote_engine(name))
    assert (verdict, reason) == ("FAIL", "raised")
    assert reply.event[0] == "died"
    assert "sent what cannot be read" in reply.event[1]
    assert not Path("exploded").exists()


def test_an_engine_that_closes_every_descriptor_is_lost(remote_engine):
    verdict, reason, reply = asked(remote_engine("closes_everything"))
    assert (verdict, reason, reply.event[0]) == ("FAIL", "raised", "died")


@pytest.mark.parametrize("name", ["forks", "forks_and_raises", "prints_and_closes_its_output"])
def test_what_does_not_touch_the_channel_is_no_matter(name, remote_engine):
    engine = remote_engine(name)
    for property_ in ("agreement", "consistency"):
        assert asked(engine, property_)[0] == "PASS"


@pytest.mark.parametrize("name", ["lies_by_numpy", "lowers_recursion"])
def test_what_an_engine_does_to_its_interpreter_changes_no_verdict(name, remote_engine):
    assert asked(remote_engine(name))[0] == "FAIL"


def test_numpy_is_believed_where_the_engine_runs_beside_the_check(monkeypatch):
    monkeypatch.setattr(np, "flatnonzero", np.flatnonzero)  # restored afterwards
    beside = Guarded(find("py:hostile_engines:lies_by_numpy"))
    assert examine(beside, "agreement", PROBLEM, CASE)["verdict"] != "FAIL"


def test_an_engine_that_cannot_be_loaded_says_why():
    with pytest.raises(EngineUnusableError, match="importing no_such failed"):
        Remote("py:no_such:x")


# --- deadlines ------------------------------------------------------------------------------------


@pytest.fixture
def clock(monkeypatch):
    """A clock that leaps ahead where an engine says that it hangs, or 50 seconds at each call."""
    hung, calls, leaps = Path("hangs"), Path("calls"), []

    def monotonic():
        if hung.exists():
            hung.unlink()
            leaps.append(1e6)
        slow = calls.stat().st_size if calls.exists() else 0
        return time.monotonic() + sum(leaps) + 50 * slow

    for module in (channel, guarded, remote):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=monotonic))


def test_an_engine_that_never_answers_is_inconclusive_and_ended(clock, remote_engine):
    engine = remote_engine("never")
    verdict, reason, reply = asked(engine)
    assert (verdict, reason) == ("INCONCLUSIVE", "budget")
    assert reply.finding["detail"] == (
        "no answer to value_and_grad within 60 seconds; raise --timeout"
    )
    assert reply.event == ("timeout", f"agreement of {TOKEN}: no answer to value_and_grad within "
                                      "60 seconds")  # fmt: skip
    assert reply.is_loss


def test_an_engine_that_was_silent_once_is_asked_again(clock, remote_engine):
    engine = remote_engine("never_once")
    assert asked(engine)[:2] == ("INCONCLUSIVE", "budget")
    assert asked(engine)[0] == "PASS"


def test_an_engine_that_answers_each_call_in_time_is_not_dead(clock, remote_engine):
    engine = remote_engine("takes_its_time")
    verdict, _, reply = asked(engine)
    assert (verdict, reply.event) == ("PASS", None)  # 3 calls of 50 seconds


def test_consistency_asks_as_often_as_its_time_allows(clock):
    engine = Guarded(find("py:hostile_engines:takes_its_time"))
    engine.begin(100_000.0)  # a tenth of it: 200 calls of 50 seconds, where 580 may be needed
    assert engine.calls_within(0.1) == np.inf
    found = examine(engine, "agreement", PROBLEM, CASE)
    assert found["verdict"] == "PASS"
    before = Path("calls").stat().st_size
    engine.begin(100_000.0)
    assert 199 <= engine.calls_within(0.1) <= 200
    found = examine(engine, "consistency", PROBLEM, CASE)
    assert found["verdict"] != "FAIL"
    assert found["forward_passes"] <= 200
    assert Path("calls").stat().st_size - before <= 210


def test_all_calls_of_a_task_have_a_budget_of_time(clock, remote_engine):
    engine = remote_engine("takes_its_time")
    verdict, reason, reply = asked(engine, "consistency")
    assert (verdict, reason, reply.event) == ("INCONCLUSIVE", "budget", None)
    assert reply.finding["detail"] == (
        f"its calls took more than {60 * PATIENCE:g} seconds together; raise --timeout"
    )


class Script:
    """The other end of a channel: takes a message and gives what it is told to."""

    def __init__(self, *replies):
        self.replies = list(replies)

    def send(self, *_, **__):
        pass

    def receive(self, number, *, most, deadline):
        reply = self.replies.pop(0)
        if reply is None:
            raise channel.SilentError
        self.deadlines.append(deadline)
        return number, reply, []

    deadlines: list[float] = []  # noqa: RUF012 - of one test


def test_the_deadline_of_a_call_counts_from_the_last_sign_of_work(monkeypatch):
    now = iter(range(0, 1000, 40))
    monkeypatch.setattr(remote, "time", SimpleNamespace(monotonic=lambda: next(now)))
    engine = object.__new__(Remote)
    busy = {"kind": "busy"}
    script = Script(busy, busy, {"kind": "answer", "arithmetic": [False, "to nearest"]})
    engine.__dict__.update(_channel=script, _numbers=iter(range(9)), _deadline=60.0)
    engine._exchange({"call": "losses"}, [], 500.0)
    assert script.deadlines == [100, 140, 180]
    engine._channel = Script(busy, None)
    with pytest.raises(EngineSilentError, match="no answer to losses within 60 seconds"):
        engine._exchange({"call": "losses"}, [], 500.0)


def test_many_losses_show_that_they_are_at_work(monkeypatch):
    now = iter([0.0, 1.0, 9.0, 10.0, 20.0])
    monkeypatch.setattr(host, "time", SimpleNamespace(monotonic=lambda: next(now)))
    said = []
    beat = host._Beat(SimpleNamespace(send=lambda *message: said.append(message)), 7, 8.0)
    for _ in range(4):
        beat()
    assert said == [(7, {"kind": "busy"})] * 2


def test_nothing_more_is_asked_of_an_engine_that_was_lost():
    class Silent:
        info = find("reference").info
        calls = 0

        def value_and_grad(self, problem):
            self.calls += 1
            raise EngineSilentError("no answer")

        loss = value_and_grad

    engine = Guarded(Silent())
    for _ in range(3):
        with pytest.raises(UnansweredError, match="no answer; raise --timeout"):
            engine.loss(PROBLEM)
    assert engine.engine.calls == 1
    engine.begin()
    with pytest.raises(UnansweredError):
        engine.loss(PROBLEM)
    assert engine.engine.calls == 2


# --- what an engine does to arrays ----------------------------------------------------------------


class Thread:
    """In the place of the engine's process: its program, in a thread."""

    pid, returncode = 0, 0

    def __init__(self, *_, pass_fds, **__):
        self.thread = threading.Thread(target=host.main, args=(socket.dup(pass_fds[0]),))
        self.thread.start()

    def poll(self):
        return None if self.thread.is_alive() else 0

    def wait(self, timeout=None):
        self.thread.join(timeout)


@pytest.fixture
def here(monkeypatch):
    """Run the engine's side of the channel in a thread: it takes no time to start."""
    monkeypatch.setattr(remote.subprocess, "Popen", Thread)
    monkeypatch.setattr(remote.os, "killpg", lambda *_: None)
    monkeypatch.setattr(remote, "descendants", lambda pid: set())


FAULTS = ["right", "raises", "leaves", "exhausts_memory", "not_a_number", "wrong_shape",
          "half_precision", "too_few_layers", "no_pair", "changes_its_inputs", "refuses",
          "views_of_its_inputs", "ViewsOfItsLastAnswer", "Drifting", "LastBits",
          "without_a_loss"]  # fmt: skip


@pytest.mark.parametrize("property_", ["agreement", "consistency"])
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_found_over_a_channel_as_it_is_next_door(name, property_, here):
    spec = f"py:faulty_engines:{name}"
    engine = Guarded(Remote(spec))
    over_there = examine(engine, property_, PROBLEM, CASE)
    engine.close()
    assert over_there == examine(Guarded(find(spec)), property_, PROBLEM, CASE)


class Given:
    """An engine that keeps what it was given."""

    info = find("reference").info

    def value_and_grad(self, problem):
        self.problem = problem
        return hostile_engines.reference.value_and_grad(problem)

    def loss(self, problem):
        return self.value_and_grad(problem)[0]

    def close(self):
        pass


def test_a_process_that_an_engine_has_broken_is_the_engines_failure(here, monkeypatch):
    monkeypatch.setattr(host, "_views", lambda *_: 1 / 0)
    engine = Guarded(Remote("reference"))
    found = examine(engine, "agreement", PROBLEM, CASE)
    engine.close()
    assert (found["verdict"], found["reason"]) == ("FAIL", "raised")
    assert found["detail"].startswith("value_and_grad raised ZeroDivisionError: division by zero")


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_an_engine_gets_the_problem_bit_for_bit(dtype, here, monkeypatch):
    given = Given()
    monkeypatch.setattr(host, "find", lambda spec: given)
    case = parse(TOKEN.replace("float64", dtype))
    problem = case.problem()
    engine = Guarded(Remote("given"))
    value, pairs = engine.value_and_grad(problem)
    engine.close()
    assert given.problem == problem
    assert not any(array.flags.writeable for array in some(given.problem._arrays()))
    expected, exact = hostile_engines.reference.value_and_grad(problem)
    assert value.hex() == expected.hex()
    for pair, other in zip(pairs, exact, strict=True):
        for array, same in zip(pair, other, strict=True):
            assert (array.dtype, array.tobytes()) == (same.dtype, same.tobytes())


def test_many_losses_in_one_message_are_those_of_single_calls(here):
    engine = Guarded(Remote("reference"))
    points = [{name: a * (1 + k / 64) for name, a in PROBLEM.parameters.items()} for k in range(5)]
    stacked = {name: np.stack([point[name] for point in points]) for name in points[0]}
    alone = [engine.loss(PROBLEM.with_parameters(point)) for point in points]
    assert engine.losses_one_by_one(PROBLEM, stacked).tolist() == alone
    engine.begin(0.0)
    with pytest.raises(UnansweredError, match="raise --timeout"):
        engine.losses_one_by_one(PROBLEM, stacked)
    engine.close()
