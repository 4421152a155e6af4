"""What a library switches in the processor is noticed, and named."""

import ctypes
import ctypes.util
import platform

import pytest

from gradcheck.engines.base import engine_from_callable
from gradcheck.engines.registry import find
from gradcheck.problems.case import parse
from gradcheck.verification.arithmetic import Arithmetic
from gradcheck.verification.guarded import Guarded
from gradcheck.verification.judge import ended
from gradcheck.verification.slot import engine_record
from gradcheck.verification.worker import Task, work

MODES = {
    "x86_64": {"upward": 0x800, "downward": 0x400, "toward zero": 0xC00, "to nearest": 0},
    "aarch64": {
        "upward": 0x400000,
        "downward": 0x800000,
        "toward zero": 0xC00000,
        "to nearest": 0,
    },
}.get(platform.machine(), {})
TOKEN = "gc1:3-4-1:cross_entropy:mean:m2:float64:w1:generic:binary:s0"


@pytest.fixture
def switch():
    """What switches the rounding mode of this process, until the test ends."""
    name = ctypes.util.find_library("m")
    if not MODES or name is None:
        pytest.skip("how this processor's rounding mode is switched is not known here")
    library = ctypes.CDLL(name)
    yield lambda mode: library.fesetround(MODES[mode])
    library.fesetround(MODES["to nearest"])


@pytest.mark.parametrize("mode", ["upward", "downward", "toward zero", "to nearest"])
def test_every_rounding_mode_is_told(mode, switch):
    parse(TOKEN).problem()
    switch(mode)
    found = Arithmetic.now()
    switch("to nearest")
    assert found == Arithmetic(flushes=False, rounding=mode)


def test_an_engine_that_leaves_the_rounding_mode_changed_is_unusable(switch):
    def upward(problem):
        answer = find("reference").value_and_grad(problem)
        switch("upward")
        return answer

    reply = work(Guarded(engine_from_callable(upward, "up")), Task(TOKEN, "agreement"))
    switch("to nearest")
    assert reply.finding is None
    assert reply.event == (
        "changes the rounding mode",
        "up made its whole process round upward during agreement",
    )
    assert ended([engine_record(*reply.event)])


def test_what_was_switched_before_is_no_engines_doing(switch):
    switch("upward")
    before = Arithmetic.now()
    found = before.switched(Arithmetic.now(), "any", "later")
    switch("to nearest")
    assert found is None
