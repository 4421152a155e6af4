"""Engines in processes of their own, and every way in which they fail."""

import os
import selectors
import signal
import subprocess
import sys
import time
import tracemalloc

import numpy as np
import pytest
from some import some

from gradcheck.engines import child
from gradcheck.engines.base import (
    Engine,
    EngineDiedError,
    EngineProtocolError,
    EngineRaisedError,
    EngineUnusableError,
    MalformedAnswerError,
    Unsupported,
)
from gradcheck.engines.child import Tail, how_it_ended
from gradcheck.engines.process import ProcessEngine
from gradcheck.engines.registry import EngineNotFoundError, find
from gradcheck.problems.case import Case

PROBLEM = Case(sizes=(2, 1), batch=2).problem()

# An engine that answers rightly (0.5 and 1, 2, 3), but for what its arguments say: how often it is
# right before, at which command it does what, and the path of a file for its notes.
ENGINE = """
import json, os, signal, subprocess, sys, time

TIMES, AT, FAULT, NOTES = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
SAID = {"name": "e", "version": "1", "dtypes": ["float64"], "losses": ["cross_entropy"],
        "reductions": ["mean"]}
GRADIENT = [{"W": [[1.0, 2.0]], "b": [3.0]}]

def write(text):
    sys.stdout.write(text)
    sys.stdout.flush()

def send(**reply):
    write(json.dumps(reply) + "\\n")

def note(what):
    with open(NOTES, "a") as file:
        file.write(str(what) + "\\n")

def single(x):
    import struct
    return struct.unpack("f", struct.pack("f", max(-3e38, min(x, 3e38))))[0]

def right(id, message):
    cmd = message["cmd"]
    if cmd == "start": send(id=id, ok=True, protocol=1, engine=SAID)
    elif cmd == "echo": send(id=id, ok=True, values=message["values"])
    elif cmd == "loss": send(id=id, ok=True, loss=0.5)
    elif cmd == "value_and_grad": send(id=id, ok=True, loss=0.5, gradient=GRADIENT)
    elif cmd == "stop": note("stopped"); send(id=id, ok=True); sys.exit()
    else: send(id=id, ok=False, kind="protocol", message="unknown cmd " + cmd)

def fault(id, message):
    if FAULT == "none": right(id, message)
    elif FAULT == "nonfinite":
        send(id=id, ok=True, loss="nan", gradient=[{"W": [["NaN", "inf"]], "b": ["-Infinity"]}])
    elif FAULT == "no loss": send(id=id, ok=True, loss=None, gradient=GRADIENT)
    elif FAULT == "shape": send(id=id, ok=True, loss=0.5, gradient=[{"W": [[1.0]], "b": []}])
    elif FAULT == "dtype": send(id=id, ok=True, loss=0.5, gradient=[{"W": [["1", "2"]], "b": [3]}])
    elif FAULT == "layers": send(id=id, ok=True, loss=0.5, gradient=[])
    elif FAULT == "refuses": send(id=id, ok=False, kind="unsupported", message="no batches")
    elif FAULT == "raises":
        send(id=id, ok=False, kind="error", message="oh", traceback="at line 3 of net.f90")
    elif FAULT == "hangs":
        sys.stderr.write("thinking\\n"); sys.stderr.flush(); time.sleep(60)
    elif FAULT == "stops": os.kill(os.getpid(), signal.SIGSTOP); right(id, message)
    elif FAULT.startswith("SIG"):
        sys.stderr.write("about to die\\n"); sys.stderr.flush()
        os.kill(os.getpid(), getattr(signal, FAULT)); time.sleep(60)
    elif FAULT == "exits": sys.exit(3)
    elif FAULT == "closes": os.close(1); time.sleep(60)
    elif FAULT == "noise": write("iteration 1, loss 0.5\\n"); right(id, message)
    elif FAULT == "noise after": right(id, message); write("done\\n")
    elif FAULT == "half": write('{"id": %d, "ok": tr' % id); sys.exit()
    elif FAULT == "utf-8": os.write(1, b'{"id": %d, "ok": true, "loss": "\\xff"}\\n' % id)
    elif FAULT == "range": write('{"id": %d, "ok": true, "loss": 1e999}\\n' % id)
    elif FAULT == "id": send(id=id + 1, ok=True, loss=0.5, gradient=GRADIENT)
    elif FAULT == "flood":
        while True: os.write(1, b"0" * 65536)
    elif FAULT == "flood of lines":
        while True: os.write(1, b"0\\n" * 32768)
    elif FAULT == "flood of errors":
        for _ in range(500): os.write(2, b"warning\\n" * 8192)
        os.write(2, b"the last word\\n"); right(id, message)
    elif FAULT == "memory":
        try: bytearray(2**33)
        except MemoryError: send(id=id, ok=False, kind="error", message="out of memory")
        else: right(id, message)
    elif FAULT == "child":
        note(subprocess.Popen(["sleep", "60"]).pid)
        sys.exit() if TIMES else time.sleep(60)
    elif FAULT == "float32":
        send(id=id, ok=True, values=[single(x) for x in message["values"]])
    elif FAULT == "bfloat16 only":
        send(id=id, ok=True, protocol=1, engine=dict(SAID, dtypes=["bfloat16"]))

note(os.getpid())
seen = 0
for line in sys.stdin:
    message = json.loads(line)
    if message["cmd"] == AT:
        seen += 1
        if seen > TIMES:
            fault(message["id"], message)
            continue
    right(message["id"], message)
note("end of input")
"""


@pytest.fixture
def faulty(tmp_path):
    """Make an engine with a fault at a command, after a number of right answers to it."""
    script, notes = tmp_path / "engine.py", tmp_path / "notes"
    script.write_text(ENGINE, "utf-8")
    notes.write_text("", "utf-8")
    made = []

    def make(fault="none", *, at="value_and_grad", times=0, **options):
        command = [sys.executable, "-S", "-E", str(script), str(times), at, fault, str(notes)]
        engine = ProcessEngine(command, **{"timeout": 20.0, **options})
        engine.notes = lambda: notes.read_text("utf-8").split("\n")[:-1]
        made.append(engine)
        return engine

    yield make
    for engine in made:
        engine.close()
    for number in some(filter(str.isdigit, notes.read_text("utf-8").split("\n"))):
        assert is_gone(int(number))


def is_gone(pid):
    """Whether a process has ended, or ends within two seconds, dead and unburied included."""
    for _ in range(200):
        try:
            with open(f"/proc/{pid}/stat", encoding="utf-8") as file:  # noqa: PTH123 - one read
                if file.read().rpartition(")")[2].split()[0] == "Z":
                    return True
        except FileNotFoundError:
            try:
                os.kill(pid, 0)
            except ProcessLookupError:
                return True
        time.sleep(0.01)
    return False


def answers(engine):
    """Ask the engine, and say whether it answers as it should."""
    value, ((dW, db),) = engine.value_and_grad(PROBLEM)
    return (value, dW.tolist(), db.tolist()) == (0.5, [[1.0, 2.0]], [3.0])


# --- right engines --------------------------------------------------------------------------------


def test_an_engine_answers_until_it_is_closed(faulty):
    engine = faulty()
    assert engine.notes() == []  # it is started when it is needed
    assert engine.info.name == "e"
    assert isinstance(engine, Engine)
    assert answers(engine)
    assert engine.loss(PROBLEM) == 0.5
    assert answers(engine)
    engine.close()
    engine.close()
    assert len(engine.notes()) == 2
    stopped = engine.notes()[-1]
    assert stopped == "stopped"
    assert engine.losses == []


def test_what_the_engine_does_not_name_is_not_asked_of_it(faulty):
    with pytest.raises(Unsupported, match="dtype float32; e takes float64"):
        faulty().loss(PROBLEM.astype(np.float32))
    with pytest.raises(Unsupported, match="loss quadratic; e takes cross_entropy"):
        faulty().loss(Case(sizes=(2, 1), loss="quadratic").problem())


def test_an_engine_may_refuse_a_problem(faulty):
    engine = faulty("refuses")
    with pytest.raises(Unsupported, match=r"^no batches$"):
        engine.value_and_grad(PROBLEM)
    assert engine.loss(PROBLEM) == 0.5


def test_a_large_problem_passes_through_small_pipes(faulty):
    problem = Case(sizes=(300, 300, 1), batch=40).problem()
    assert faulty().loss(problem) == 0.5


def test_an_engine_that_is_dropped_without_being_closed_dies(faulty):
    engine = faulty()
    assert answers(engine)
    pid = int(engine.notes()[0])
    engine._child = None
    assert is_gone(pid)


def test_the_end_of_input_ends_an_engine(faulty):
    engine = faulty()
    done = subprocess.run(engine.command, input=b"", capture_output=True, check=True)
    assert done.stdout == b""
    assert engine.notes()[1:] == ["end of input"]


# --- wrong answers of engines that live on --------------------------------------------------------


def test_nan_and_infinity_arrive(faulty):
    value, ((dW, db),) = faulty("nonfinite").value_and_grad(PROBLEM)
    assert np.isnan(value)
    assert np.array_equal(dW, [[np.nan, np.inf]], equal_nan=True)
    assert db.tolist() == [-np.inf]


def test_an_engine_may_have_no_loss(faulty):
    assert faulty("no loss").value_and_grad(PROBLEM)[0] is None
    with pytest.raises(Unsupported, match="the engine returns no loss"):
        faulty("no loss", at="loss").loss(PROBLEM)


def test_a_wrong_shape_arrives(faulty):
    _, ((dW, db),) = faulty("shape").value_and_grad(PROBLEM)
    assert (dW.shape, db.shape) == ((1, 1), (0,))


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ("raises", EngineRaisedError, "value_and_grad of <Problem 2-1 .*oh\nat line 3 of net.f90"),
        ("dtype", EngineProtocolError, r"gradient\[0\]\.W\[0\]\[0\], which must be a number: '1'"),
        ("layers", MalformedAnswerError, "gradient has 0 layers; it must have 1"),
        ("memory", EngineRaisedError, "out of memory"),
    ],
)
def test_an_engine_that_answers_wrongly_lives_on(fault, error, told, faulty):
    engine = faulty(fault, memory_limit=2**30 if fault == "memory" else None)
    for _ in range(2):
        with pytest.raises(error, match=f"(?s){told}"):
            engine.value_and_grad(PROBLEM)
    assert engine.loss(PROBLEM) == 0.5
    assert len(engine.notes()) == 1
    assert engine.losses == []


# --- engines that are lost, and started again -----------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "error", "told"),
    [
        ("hangs", EngineDiedError, "no reply within 0.3 s\nits stderr ends with:\nthinking"),
        ("stops", EngineDiedError, "no reply within 0.3 s"),
        ("SIGKILL", EngineDiedError, "died of SIGKILL\nits stderr ends with:\nabout to die"),
        ("SIGSEGV", EngineDiedError, "died of SIGSEGV"),
        ("exits", EngineDiedError, "exited with code 3"),
        ("half", EngineDiedError, 'exited with code 0 after half a line: \'{"id": 4, "ok": tr\''),
        ("noise", EngineProtocolError, "stdout is for the protocol only: 'iteration 1, loss 0.5'"),
        ("utf-8", EngineProtocolError, "a line that is not UTF-8"),
        ("range", EngineProtocolError, "1e999 is beyond the range of float64"),
        ("id", EngineProtocolError, "a reply to message 5, where 4 was asked"),
        ("flood", EngineProtocolError, "more than 1049600 bytes: '000"),
        ("flood of lines", EngineProtocolError, "no JSON object"),
    ],
)
def test_an_engine_that_is_lost_costs_one_call(fault, error, told, faulty):
    engine = faulty(fault, times=2)
    assert answers(engine)
    assert answers(engine)
    engine.timeout = 0.3 if "0.3" in told else 20.0
    with pytest.raises(error, match=told) as raised:
        engine.value_and_grad(PROBLEM)
    assert "value_and_grad of <Problem 2-1 cross_entropy mean m=2 float64>" in str(raised.value)
    engine.timeout = 20.0
    assert answers(engine)
    assert len(engine.losses) == 1


def test_noise_after_a_reply_spoils_the_next_call(faulty):
    engine = faulty("noise after")
    assert answers(engine)
    with pytest.raises(EngineProtocolError, match="protocol only: 'done'"):
        engine.loss(PROBLEM)
    assert engine.loss(PROBLEM) == 0.5


def test_an_engine_that_closes_its_output_and_lives_on_is_killed(faulty, monkeypatch):
    monkeypatch.setattr(child, "LAST_WORDS", 0)  # it lives on however long that is
    with pytest.raises(EngineDiedError, match="closed its output and lived on"):
        faulty("closes").value_and_grad(PROBLEM)


def test_an_engine_that_is_lost_too_often_is_unusable(faulty):
    engine = faulty("SIGSEGV", restarts=2)
    for _ in range(3):
        with pytest.raises(EngineDiedError):
            engine.value_and_grad(PROBLEM)
    with pytest.raises(EngineUnusableError) as raised:
        engine.loss(PROBLEM)
    story = str(raised.value)
    assert "is unusable: lost 3 times" in story
    for number in (1, 2, 3):
        assert f"  {number}. value_and_grad of {PROBLEM!r}: died of SIGSEGV\n" in story
    assert "engine.py" in story
    assert story.endswith("about to die")
    assert len(engine.notes()) == 3


def test_an_engine_that_dies_while_it_starts_is_tried_again_and_given_up(faulty):
    engine = faulty("exits", at="start", restarts=2)
    with pytest.raises(EngineUnusableError, match=r"1\. start: exited with code 3") as raised:
        engine.loss(PROBLEM)
    assert "3. start: exited with code 3" in str(raised.value)
    with pytest.raises(EngineUnusableError):
        _ = engine.info
    assert len(engine.notes()) == 3


def test_an_interrupted_call_leaves_no_half_conversation(faulty, monkeypatch):
    engine = faulty("hangs", times=1)
    assert answers(engine)
    right = selectors.DefaultSelector.select

    def interrupted(selector, timeout):
        if "thinking" in engine.log:
            raise KeyboardInterrupt
        return right(selector, timeout)

    monkeypatch.setattr(selectors.DefaultSelector, "select", interrupted)
    with pytest.raises(KeyboardInterrupt):
        engine.value_and_grad(PROBLEM)
    monkeypatch.undo()
    assert answers(engine)
    assert engine.losses == []


# --- engines that are refused ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "at", "told"),
    [
        ("float32", "echo", r"is refused: .*its echo of 0\.1 is 0\.10000000149011612"),
        ("bfloat16 only", "start", "is refused: .*dtypes, which must be of .*'bfloat16'"),
        ("noise", "start", "is refused: .*protocol only: 'iteration 1"),
        ("raises", "start", "is refused: oh"),
        ("refuses", "echo", "is refused: no batches"),
    ],
)
def test_an_engine_is_refused_without_a_second_try(fault, at, told, faulty):
    engine = faulty(fault, at=at)
    with pytest.raises(EngineUnusableError, match=f"(?s){told}"):
        engine.loss(PROBLEM)
    assert len(engine.notes()) == 1


def test_a_program_that_is_not_there_is_told():
    with pytest.raises(EngineUnusableError, match="there is no program 'no-such-program'"):
        _ = ProcessEngine("no-such-program --fast").info


def test_a_file_that_is_no_program_is_told(tmp_path):
    path = tmp_path / "engine"
    path.write_bytes(b"\x7fELF no")
    path.chmod(0o755)
    with pytest.raises(EngineUnusableError, match=r"cannot be started: .*Exec format error"):
        _ = ProcessEngine([str(path)]).info


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ({"command": ""}, ValueError, "command='' is empty"),
        ({"command": []}, ValueError, "is empty"),
        ({"command": "a 'b"}, ValueError, "No closing quotation"),
        ({"command": ["a", 3]}, TypeError, "3 is not text"),
        ({"timeout": 0}, ValueError, "timeout=0 must be positive"),
        ({"timeout": float("nan")}, ValueError, "timeout=nan must be positive"),
        ({"max_reply": 0}, ValueError, "max_reply=0 must be positive"),
        ({"memory_limit": -1}, ValueError, "memory_limit=-1 must be positive"),
        ({"restarts": -1}, ValueError, "restarts=-1 must be at least 0"),
    ],
)
def test_bad_arguments_are_refused_at_the_edge(arguments, error, told):
    with pytest.raises(error, match=told):
        ProcessEngine(**{"command": "a", **arguments})


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["flood", "flood of lines", "flood of errors"])
def test_endless_output_does_not_fill_memory(fault, faulty):
    engine = faulty(fault)
    assert engine.loss(PROBLEM) == 0.5
    tracemalloc.start()
    try:
        if fault == "flood of errors":
            assert answers(engine)
            assert engine.log.endswith("the last word\n")
            assert len(engine.log) <= 2**16
        else:
            with pytest.raises(EngineProtocolError):
                engine.value_and_grad(PROBLEM)
        assert tracemalloc.get_traced_memory()[1] < 5 * 2**20
    finally:
        tracemalloc.stop()


def test_a_limit_of_ones_own_is_kept(faulty):
    engine = faulty(max_reply=1000)
    assert answers(engine)
    engine = faulty("flood", max_reply=1000)
    with pytest.raises(EngineProtocolError, match="more than 1000 bytes"):
        engine.value_and_grad(PROBLEM)


@pytest.mark.parametrize("times", [0, 1])
def test_what_an_engine_started_dies_with_it(times, faulty):
    engine = faulty("child", times=times)  # with times=1 it dies, and its child holds the pipes
    if times:
        assert answers(engine)
    engine.timeout = 20.0 if times else 0.5
    start = time.monotonic()
    with pytest.raises(EngineDiedError, match="exited with code 0" if times else "no reply"):
        engine.value_and_grad(PROBLEM)
    assert time.monotonic() - start < 10
    assert all(map(is_gone, map(int, engine.notes())))


def test_a_tail_keeps_the_end():
    tail = Tail(4)
    for chunk in (b"ab", b"", b"cdefg", b"\xff"):
        tail.add(chunk)
    assert tail.text == "efg\\xff"


def test_every_end_has_words():
    assert how_it_ended(-signal.SIGKILL) == "died of SIGKILL"
    assert how_it_ended(139) == "exited with code 139, a shell's word for SIGSEGV"
    assert how_it_ended(-200) == "died of signal 200"
    assert how_it_ended(0) == "exited with code 0"


# --- forks and names ------------------------------------------------------------------------------


@pytest.mark.filterwarnings(
    "ignore:.*multi-threaded:DeprecationWarning"
)  # linear algebra's threads
def test_a_forked_process_starts_an_engine_of_its_own(faulty):
    engine = faulty()
    assert answers(engine)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if answers(engine) else 2
            engine.close()
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert answers(engine)
    first, second, stopped = engine.notes()
    assert first != second
    assert stopped == "stopped"


def test_a_command_line_names_an_engine(faulty):
    command = " ".join(faulty().command)
    engine = find(f"cmd:{command}")
    assert isinstance(engine, ProcessEngine)
    assert answers(engine)
    engine.close()


@pytest.mark.parametrize(("spec", "told"), [("cmd:", "is empty"), ("cmd:a 'b", "No closing")])
def test_a_command_line_that_cannot_be_split_is_not_found(spec, told):
    with pytest.raises(EngineNotFoundError, match=told):
        find(spec)
