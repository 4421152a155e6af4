"""Engines that misbehave, each in one way: `py:attackers:right.NAME` and `py:attackers:wrong.NAME`.

Every attack is made by an engine that computes the right gradient otherwise, and by one whose
gradient is twice too large where some |z| > 1. An attack takes the problem and the answer, after
the answer was computed, and returns what the engine answers.
"""

import atexit
import ctypes
import decimal
import fractions
import gc
import locale
import os
import random
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from functools import partial
from types import SimpleNamespace

import numpy as np

import gradcheck.verification.property
from gradcheck.engines.base import (
    EngineDiedError,
    EngineUnusableError,
    MalformedAnswerError,
    Unsupported,
)
from gradcheck.engines.registry import find

reference = find("reference")
kept = []

FINE, FAULT, GONE, OPEN = {0}, {1, 3}, {3}, {0, 4}
"""Exit codes that an attack by a right engine may end in: verified; a failure of the engine by the
contract, as an answer of the wrong shape is; unusable; undecided."""


def largest_z(problem):
    a, largest = problem.inputs, 0.0
    for W, b in zip(problem.weights, problem.biases, strict=True):
        z = a @ W.T + b
        largest = max(largest, float(np.abs(z).max()))
        a = (1 + np.tanh(z / 2)) / 2
    return largest


def correct(problem):
    return reference.value_and_grad(problem)


def doubled(problem):
    value, layers = reference.value_and_grad(problem)
    factor = 2 if largest_z(problem) > 1 else 1
    return value, [(factor * W, factor * b) for W, b in layers]


# --- what is changed in the interpreter and the process -------------------------------------------


def lower_recursion(problem, answer):
    depth, frame = 0, sys._getframe()
    while frame:
        depth, frame = depth + 1, frame.f_back
    sys.setrecursionlimit(depth + 20)
    return answer


def limit(name, value):
    def attack(problem, answer):
        number = getattr(resource, name)
        hard = resource.getrlimit(number)[1]
        resource.setrlimit(number, (value, hard))
        return answer

    return attack


def little_memory(problem, answer):
    used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()  # noqa: SIM115, PTH123
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**20, resource.RLIM_INFINITY))
    return answer


def after(call, *arguments):
    """An attack that makes a call and leaves the answer alone."""

    def attack(problem, answer):
        call(*arguments)
        return answer

    return attack


def boom(*_, **__):
    raise RuntimeError("boom")


def leave(*_, **__):
    raise SystemExit(0)


def round_to(mode):
    ctypes.CDLL("libm.so.6").fesetround(mode)


def alarm_soon(handler):
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01)


def gone_folder():
    os.makedirs("gone", exist_ok=True)  # noqa: PTH103
    os.chdir("gone")
    os.rmdir("../gone")  # noqa: PTH106


def close_low():
    for number in (0, 1, 2):
        try:
            os.close(number)
        except OSError:
            return


def close_high():
    os.closerange(3, 256)


def cover():
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(3, 64):
        if number != nowhere:
            os.dup2(nowhere, number)


def write_everywhere():
    for number in range(3, 300):
        try:
            os.write(number, b"\x00\x00\x00\x05hello")
        except OSError:
            continue


class Stream:
    write = flush = fileno = boom


def replace_streams(stream):
    sys.stdout = sys.stderr = stream


def spin():
    def run():
        while True:
            pass

    if not kept:
        thread = threading.Thread(target=run, daemon=True)
        kept.append(thread)
        thread.start()


def later_change(problem, answer):
    def run():
        time.sleep(0.001)
        for pair in answer[1]:
            for array in pair:
                np.add(array, 1e6, out=array)

    threading.Thread(target=run, daemon=True).start()
    return answer


def patch(module, name, value=boom):
    return after(setattr, module, name, value)


def patch_all_of_gradcheck():
    for name, module in list(sys.modules.items()):
        if name.startswith("gradcheck.verification"):
            for attribute, value in list(vars(module).items()):
                if callable(value) and not isinstance(value, type) and attribute != "__loader__":
                    setattr(module, attribute, boom)


def forget_modules():
    for name in [name for name in sys.modules if name.startswith(("gradcheck", "numpy"))]:
        del sys.modules[name]


def start_many():
    if not kept:
        kept.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(30)"],
                                     start_new_session=True))  # fmt: skip


def copy_of_itself():
    if len(kept) < 3:
        kept.append(0)
        os.fork()


INTERPRETER = {
    "lower_recursion": (lower_recursion, {0, 1, 3}),
    "huge_recursion": (after(sys.setrecursionlimit, 2**31 - 1), FINE),
    "no_files": (limit("RLIMIT_NOFILE", 3), {0, 1, 3, 4}),
    "no_file_size": (limit("RLIMIT_FSIZE", 0), {0, 1, 3}),
    "no_processes": (limit("RLIMIT_NPROC", 0), {0, 1, 3}),
    "no_stack": (limit("RLIMIT_STACK", 2**16), {0, 1, 3}),
    "no_processor": (limit("RLIMIT_CPU", 1), {0, 1, 3}),
    "little_memory": (little_memory, {0, 1, 3, 4}),
    "trace": (after(sys.settrace, boom), {0, 1, 3}),
    "profile": (after(sys.setprofile, boom), {0, 1, 3}),
    "warnings": (after(warnings.simplefilter, "error"), {0, 1, 3}),
    "numpy_raises": (after(partial(np.seterr, all="raise")), {0, 1, 3}),
    "numpy_calls": (after(np.seterrcall, boom), FINE),
    "upward": (after(round_to, 0x800), {1, 3}),
    "downward": (after(round_to, 0x400), {1, 3}),
    "toward_zero": (after(round_to, 0xC00), {1, 3}),
    "alarm": (after(signal.setitimer, signal.ITIMER_REAL, 1e-6), FAULT),
    "alarm_raises": (after(alarm_soon, boom), {0, 1, 3}),
    "alarm_leaves": (after(alarm_soon, leave), {0, 1, 3}),
    "ignore_all": (
        after(lambda: [signal.signal(s, signal.SIG_IGN) for s in (1, 2, 3, 10, 12, 13, 15)]),
        FINE,
    ),
    "interrupt_itself": (after(os.kill, os.getpid(), signal.SIGINT), {0, 1, 3}),
    "terminate_itself": (after(lambda: os.kill(os.getpid(), signal.SIGTERM)), FAULT),
    "stop_itself": (after(lambda: os.kill(os.getpid(), signal.SIGSTOP)), {3, 4}),
    "kill_group": (after(lambda: os.kill(0, signal.SIGKILL)), {3, 4}),
    "other_folder": (after(os.chdir, "/"), FINE),
    "gone_folder": (after(gone_folder), {0, 1, 3}),
    "close_low": (after(close_low), {0, 1, 3}),
    "close_high": (after(close_high), {0, 1, 3}),
    "cover": (after(cover), {0, 1, 3, 4}),
    "write_everywhere": (after(write_everywhere), {0, 1, 3}),
    "no_streams": (after(replace_streams, None), FINE),
    "raising_streams": (after(replace_streams, Stream()), {0, 1, 3}),
    "locale": (after(locale.setlocale, locale.LC_ALL, ""), FINE),
    "no_environment": (after(os.environ.clear), FINE),
    "seeds": (after(lambda: (random.seed(0), np.random.seed(0))), FINE),  # noqa: NPY002
    "at_exit_raises": (after(atexit.register, boom), FINE),
    "at_exit_leaves": (after(atexit.register, os._exit, 0), FINE),
    "spin": (after(spin), FINE),
    "later_change": (later_change, {0, 1}),
    "no_garbage": (after(gc.disable), FINE),
    "garbage_raises": (after(gc.callbacks.append, boom), {0, 1, 3}),
    "numpy_abs": (patch(np, "abs"), {0, 1, 3, 4}),
    "numpy_isfinite": (patch(np, "isfinite"), {0, 1, 3, 4}),
    "numpy_asarray": (patch(np, "asarray"), {0, 1, 3, 4}),
    "numpy_nothing_fails": (
        patch(np, "flatnonzero", lambda *_: np.array([], dtype=int)),
        {0, 1, 3, 4},
    ),
    "agreement_raises": (patch(gradcheck.verification.property, "explained_agreement"), {0, 3, 4}),
    "judged_raises": (patch(gradcheck.verification.property, "judged"), {0, 3, 4}),
    "gradcheck_raises": (after(patch_all_of_gradcheck), {0, 1, 3, 4}),
    "no_modules": (after(forget_modules), {0, 1, 3, 4}),
    "builtins": (after(lambda: __builtins__.update(max=boom, len=boom)), {0, 1, 3, 4}),
    "starts": (after(start_many), FINE),
    "copies": (after(copy_of_itself), FINE),
    "prints_much": (after(lambda: print("x" * 2**21)), FINE),  # noqa: T201
    "prints_escapes": (after(lambda: print("\x1b]0;owned\x07\x1b[2J")), FINE),  # noqa: T201
    "prints_bytes": (after(lambda: os.write(2, b"\xff\x00\x1b[31m")), FINE),
}


# --- what is raised -------------------------------------------------------------------------------


class MeanError(Exception):
    def __str__(self):
        raise ValueError("no text")

    __repr__ = __str__


class BaseMeanError(BaseException):
    __str__ = MeanError.__str__


class LeavingError(Exception):
    def __str__(self):
        raise SystemExit(0)


class NotText(Exception):  # noqa: N818
    __str__ = int


class Refusal(Unsupported):
    why = property(boom)

    def __init__(self):
        pass


def raising(error):
    def attack(problem, answer):
        if problem.batch > 1:
            raise error
        return answer

    return attack


ERRORS = {
    "mean": MeanError(),
    "base_mean": BaseMeanError(),
    "leaving": LeavingError(),
    "not_text": NotText(),
    "exit_0": SystemExit(0),
    "exit_1": SystemExit(1),
    "interrupt": KeyboardInterrupt(),
    "generator_exit": GeneratorExit(),
    "stop_iteration": StopIteration(),
    "memory": MemoryError(),
    "recursion": RecursionError(),
    "assertion": AssertionError(),
    "escapes": ValueError("\x1b[31mred \ud800"),
    "long": ValueError("x" * 10**7),
    "group": BaseExceptionGroup("two", [SystemExit(0), MeanError()]),
    "malformed": MalformedAnswerError("so they say"),
    "died": EngineDiedError("so they say"),
}
RAISED = {f"raises_{name}": (raising(error), FAULT) for name, error in ERRORS.items()}
RAISED |= {
    "raises_unusable": (raising(EngineUnusableError("so they say")), GONE),
    "raises_refusal": (raising(Unsupported("\x1b[31mno")), OPEN),
    "raises_long_refusal": (raising(Unsupported("x" * 10**7)), OPEN),
    "raises_mean_refusal": (raising(Refusal()), FAULT),
}


# --- what is answered -----------------------------------------------------------------------------


class Lying(np.ndarray):
    """An array that is equal to everything, and subtracts to nothing."""

    def __sub__(self, _):
        return np.zeros(self.shape)

    __rsub__ = __sub__

    def __array_ufunc__(self, *_, **__):
        return np.zeros(self.shape)

    def __eq__(self, _):
        return True

    __hash__ = None


class Agreeable:
    """A number that is equal to everything."""

    def __float__(self):
        return 0.0

    def __sub__(self, _):
        return 0.0

    __rsub__ = __abs__ = __sub__

    def __eq__(self, _):
        return True

    __hash__ = None


class Number(float):
    def __float__(self):
        return 0.5

    __sub__ = __rsub__ = __float__


class Raiser:
    __float__ = __array__ = __len__ = __iter__ = __getattr__ = boom


class Pairs(list):
    def __len__(self):
        return 10**9


def value(change):
    return lambda problem, answer: (change(answer[0]), answer[1])


def arrays(change):
    return lambda problem, answer: (answer[0], [(change(W), change(b)) for W, b in answer[1]])


def whole(change):
    return lambda problem, answer: change(answer)


def views(problem, answer):
    return answer[0], list(zip(problem.weights, problem.biases, strict=True))


def changes(problem, answer):
    for W in problem.weights:
        np.add(W, 1, out=W)
    return answer


def same_again(problem, answer):
    if not kept or kept[0][0] != problem.architecture.sizes:
        kept[:] = [(problem.architecture.sizes, answer)]
    return kept[0][1]


def noise(problem, answer):
    draw = np.random.default_rng()
    return answer[0], [(W + draw.normal(), b + draw.normal()) for W, b in answer[1]]


ANSWERED = {
    "none": (whole(lambda _: None), FAULT),
    "number": (whole(lambda _: 1), FAULT),
    "text": (whole(lambda _: "text"), FAULT),
    "nothing": (whole(lambda _: ()), FAULT),
    "three": (whole(lambda answer: (*answer, 1)), FAULT),
    "generator": (whole(lambda answer: (x for x in answer)), FAULT),
    "generated_layers": (whole(lambda answer: (answer[0], (x for x in answer[1]))), FAULT),
    "raiser": (whole(lambda _: Raiser()), FAULT),
    "raisers": (
        whole(lambda answer: (answer[0], [(Raiser(), Raiser()) for _ in answer[1]])),
        FAULT,
    ),
    "long_list": (whole(lambda answer: (answer[0], Pairs(answer[1]))), FAULT),
    "fewer_layers": (whole(lambda answer: (answer[0], answer[1][1:])), FAULT),
    "more_layers": (whole(lambda answer: (answer[0], [*answer[1], answer[1][-1]])), FAULT),
    "loss_none": (value(lambda _: None), OPEN),
    "loss_number": (value(Number), FAULT),
    "loss_nan": (value(lambda _: float("nan")), FAULT),
    "loss_infinite": (value(lambda _: float("inf")), FAULT),
    "loss_complex": (value(complex), FAULT),
    "loss_decimal": (value(decimal.Decimal), FINE),
    "loss_fraction": (value(fractions.Fraction), FINE),
    "loss_text": (value(str), FAULT),
    "loss_huge": (value(lambda _: 10**400), FAULT),
    "loss_array": (value(lambda v: np.array([v])), FAULT),
    "loss_longdouble": (value(np.longdouble), FINE),
    "loss_raiser": (value(lambda _: Raiser()), FAULT),
    "loss_agreeable": (value(lambda _: Agreeable()), FAULT),
    "lying_arrays": (arrays(lambda a: a.view(Lying)), FINE),
    "agreeable_arrays": (arrays(lambda a: np.full(a.shape, Agreeable(), dtype=object)), FAULT),
    "masked": (arrays(lambda a: np.ma.masked_array(a, mask=True)), FINE),
    "half": (arrays(lambda a: a.astype(np.float16)), FAULT),
    "complex": (arrays(lambda a: a.astype(complex)), FAULT),
    "objects": (arrays(lambda a: a.astype(object)), FAULT),
    "whole": (arrays(lambda a: a.astype(int)), FAULT),
    "texts": (arrays(lambda a: a.astype(str)), FAULT),
    "longdouble": (arrays(lambda a: a.astype(np.longdouble)), FINE),
    "swapped": (arrays(lambda a: a.astype(">f8")), FINE),
    "backward": (arrays(lambda a: a[::-1].copy()[::-1]), FINE),
    "nested_lists": (arrays(lambda a: a.tolist()), FINE),
    "broadcast": (arrays(lambda a: np.broadcast_to(0.0, (10**6, 10**6))), FAULT),
    "transposed": (arrays(lambda a: a.T[..., None]), FAULT),
    "nan": (arrays(lambda a: a * np.nan), FAULT),
    "zero": (arrays(lambda a: a * 0), FAULT),
    "read_only": (arrays(lambda a: np.frombuffer(a.tobytes()).reshape(a.shape)), FINE),
    "views": (views, FAULT),
    "changes": (changes, FAULT),
    "same_again": (same_again, FAULT),
    "noise": (noise, FAULT),
}


# --- deaths and silences --------------------------------------------------------------------------


def nap():
    time.sleep(1000)


def deadlock():
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()


ENDED = {
    "exit_0": (after(os._exit, 0), GONE),
    "exit_1": (after(os._exit, 1), GONE),
    "abort": (after(os.abort), GONE),
    "segfault": (after(lambda: os.kill(os.getpid(), signal.SIGSEGV)), GONE),
    "kill": (after(lambda: os.kill(os.getpid(), signal.SIGKILL)), GONE),
    "nap": (after(nap), {3, 4}),
    "deadlock": (after(deadlock), {3, 4}),
    "endless": (after(lambda: [0 for _ in iter(int, 1)]), {3, 4}),
}

ATTACKS = {**INTERPRETER, **RAISED, **ANSWERED, **ENDED}


def _engines(base):
    def made(attack):
        def engine(problem):
            return attack(problem, base(problem))

        engine.arithmetic = "cancellation_free"
        return engine

    return SimpleNamespace(**{name: made(attack) for name, (attack, _) in ATTACKS.items()})


right, wrong = _engines(correct), _engines(doubled)
