"""An engine that does what it likes is told from a checker that failed."""

import sys
import warnings

import numpy as np
import pytest

from gradcheck.engines.base import (
    EngineUnusableError,
    MalformedAnswerError,
    UnansweredError,
    Unsupported,
    engine_from_callable,
)
from gradcheck.engines.registry import find
from gradcheck.problems.case import parse
from gradcheck.verification import property as examined
from gradcheck.verification.guarded import Guarded, RaisedError, StoppedError, told_of
from gradcheck.verification.property import examine
from gradcheck.verification.surroundings import Surroundings
from gradcheck.verification.worker import Task, work
from gradcheck.writing.terminal import text_of

CASE = parse("gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0")
PROBLEM = CASE.problem()
REFERENCE = find("reference")


class MeanError(Exception):
    def __str__(self):
        raise ZeroDivisionError


class MeanRefusal(Unsupported):
    why = property(lambda self: 1 / 0)

    def __init__(self):
        pass


class MeanUnusableError(EngineUnusableError):
    __str__ = MeanError.__str__


class MeanArray:
    def __array__(self, dtype=None, copy=None):
        raise LookupError("no array")

    def __float__(self):
        raise LookupError("no number")


class Text(str):
    __slots__ = ()

    def strip(self, *_):
        raise ZeroDivisionError

    __getitem__ = __format__ = strip


def guarded(function):
    return Guarded(engine_from_callable(function, "one"))


def raising(error):
    def function(problem):
        raise error

    return guarded(function)


ERRORS = [
    MeanError(),
    ValueError(Text("x")),
    SystemExit(0),
    KeyboardInterrupt(),
    GeneratorExit(),
    RecursionError(),
    MemoryError(),
    BaseExceptionGroup("two", [SystemExit(), MeanError()]),
]


@pytest.mark.parametrize("error", ERRORS)
def test_whatever_an_engine_raises_is_its_own_failure(error):
    found = examine(raising(error), "agreement", PROBLEM, CASE)
    assert (found["verdict"], found["reason"]) == ("FAIL", "raised")
    assert type(error).__name__ in found["detail"]


def test_a_refusal_whose_reason_raises_is_a_failure_of_the_engine():
    assert examine(raising(MeanRefusal()), "agreement", PROBLEM, CASE)["reason"] == "raised"


def test_an_engine_that_says_that_it_is_unusable_is_so_whatever_its_text():
    with pytest.raises(EngineUnusableError, match="cannot be shown"):
        examine(raising(MeanUnusableError()), "agreement", PROBLEM, CASE)


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize(
    "answer",
    [
        (MeanArray(), REFERENCE.value_and_grad(PROBLEM)[1]),
        (0.5, [(MeanArray(), MeanArray())] * 2),
        (10**400, REFERENCE.value_and_grad(PROBLEM)[1]),
    ],
)
def test_an_answer_that_raises_when_it_is_read_is_a_failure_of_the_engine(answer, whole):
    engine = Whole(answer) if whole else engine_from_callable(lambda problem: answer, "one")
    found = examine(Guarded(engine), "agreement", PROBLEM, CASE)
    assert (found["verdict"], found["reason"]) == ("FAIL", "shape" if whole else "raised")


class Whole:
    """A full engine, whose answers nobody has read before."""

    info = REFERENCE.info

    def __init__(self, answer):
        self.answer = answer

    def loss(self, problem):
        return self.answer[0]

    def value_and_grad(self, problem):
        return self.answer

    def close(self):
        pass


@pytest.mark.parametrize(
    "kind", [Unsupported, EngineUnusableError, MalformedAnswerError, ValueError]
)
def test_a_text_without_end_is_cut(kind):
    """It would not fit into a message, and a right engine that refuses be taken for a lost one."""
    with pytest.raises((kind, RaisedError)) as raised:
        raising(kind("x" * 10**6)).value_and_grad(PROBLEM)
    assert 1000 < len(str(raised.value)) < 3000


def test_any_text_is_plain_text():
    assert type(text_of(Text("x"))) is str
    assert "raised ZeroDivisionError" in text_of(MeanError())
    assert told_of(MeanError()).startswith("MeanError: (cannot be shown")
    assert told_of(ValueError("x" * 2000)) == "ValueError: " + "x" * 2000
    assert told_of(ValueError("x" * 2001)) == "ValueError: " + "x" * 2000


def test_an_order_to_stop_is_no_failure_of_the_engine():
    with pytest.raises(StoppedError):
        examine(raising(StoppedError()), "agreement", PROBLEM, CASE)


# --- gradcheck's own failures ---------------------------------------------------------------------


def fails(*_):
    raise OSError("too many open files")


def test_a_failure_of_the_checker_accuses_no_engine_and_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr(examined, "explained_agreement", lambda *_, **__: fails())
    found = examine(Guarded(REFERENCE), "agreement", PROBLEM, CASE)
    assert (found["verdict"], found["reason"]) == ("INCONCLUSIVE", "internal")
    assert "OSError: too many open files" in found["detail"]
    assert "in judged; " in found["notes"][0]
    assert "in fails; OSError" in found["notes"][0]


def test_a_failure_before_the_property_is_the_checkers_own(monkeypatch):
    monkeypatch.setattr("gradcheck.verification.worker.parse", fails)
    reply = work(Guarded(REFERENCE), Task(CASE.token, "agreement"))
    assert reply.finding["reason"] == "internal"


class Losing:
    """An engine that returns a loss as it is told."""

    info = REFERENCE.info

    def __init__(self, loss):
        self.loss = lambda problem: loss
        self.value_and_grad = lambda problem: (loss, REFERENCE.value_and_grad(problem)[1])


@pytest.mark.parametrize("loss", [0.5, np.float32(0.5), np.array(0.5), np.longdouble(0.5)])
def test_a_loss_is_one_real_number_in_any_dress(loss):
    engine = Guarded(Losing(loss))
    for value in (engine.loss(PROBLEM), engine.value_and_grad(PROBLEM)[0]):
        assert (type(value), value) == (float, 0.5)


@pytest.mark.parametrize("loss", ["0.5", np.str_("0.5"), 0.5j, np.array([0.5]), [0.5], object()])
def test_what_is_no_real_number_is_no_loss(loss):
    for ask in (Guarded(Losing(loss)).loss, Guarded(Losing(loss)).value_and_grad):
        with pytest.raises(MalformedAnswerError, match="loss must be one real number"):
            ask(PROBLEM)


# --- surroundings ---------------------------------------------------------------------------------


def meddling(problem):
    frames, depth = sys._getframe(), 0
    while frames:
        frames, depth = frames.f_back, depth + 1
    answer = REFERENCE.value_and_grad(problem)
    np.seterr(all="raise")
    warnings.simplefilter("error")
    sys.settrace(lambda *_: None)
    sys.setprofile(lambda *_: None)
    sys.setrecursionlimit(depth + 20)
    return answer


def test_what_an_engine_sets_for_the_interpreter_holds_for_its_own_calls_only():
    seen = []

    def noting(problem):
        seen.append(list(warnings.filters))
        return meddling(problem)

    engine, before = guarded(noting), Surroundings.now()
    for _ in range(2):
        engine.loss(PROBLEM)
        assert Surroundings.now() == before
    assert seen == [before.filters] * 2
    assert engine._theirs.errors["over"] == "raise"
    assert engine._theirs.recursion >= before.recursion


def test_an_engine_that_meddles_and_raises_leaves_nothing_behind():
    def function(problem):
        meddling(problem)
        raise MeanError

    before = Surroundings.now()
    with pytest.raises(RaisedError):
        guarded(function).loss(PROBLEM)
    assert Surroundings.now() == before


def test_an_engine_that_lives_elsewhere_answers_as_one_of_this_process_does():
    there = engine_from_callable(REFERENCE.value_and_grad, "there")
    there.is_elsewhere = True
    here = guarded(REFERENCE.value_and_grad)
    assert Guarded(there).loss(PROBLEM) == here.loss(PROBLEM) == REFERENCE.loss(PROBLEM)


@pytest.mark.parametrize("missing", [0, 1])
def test_losses_one_by_one_are_asked_for_within_the_time_that_is_left(missing):
    asked = []

    def ask(problem, stacked, seconds):
        asked.append((problem, stacked, seconds))
        return [0.5, 0.25, 0.125][: 3 - missing]

    engine = engine_from_callable(REFERENCE.value_and_grad, "there")
    engine.losses_one_by_one, engine.is_elsewhere = ask, True
    here, stacked = Guarded(engine), {"W1": np.zeros((3, 4, 3))}
    here.begin(9.0)
    if missing:
        with pytest.raises(UnansweredError, match="more than 9 seconds together"):
            here.losses_one_by_one(PROBLEM, stacked)
    else:
        assert here.losses_one_by_one(PROBLEM, stacked).tolist() == [0.5, 0.25, 0.125]
    assert asked == [(PROBLEM, stacked, 9.0)]
