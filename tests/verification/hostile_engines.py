"""Engines that attack whoever examines them, as `py:hostile_engines:NAME`."""

import gc
import os
import pickle
import signal
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np

from gradcheck.engines.registry import find

reference = find("reference")
LIMIT = 4096
FORKS, LOOKS = 6, 3
calls = count()


def doubled(problem):
    value, layers = reference.value_and_grad(problem)
    return value, [(2 * W, 2 * b) for W, b in layers]


def descriptors():
    """Every open descriptor that is none of the three standard ones."""
    for number in range(3, LIMIT):
        try:
            os.fstat(number)
        except OSError:
            continue
        yield number


def reads_the_answer(problem):
    """Look in every frame and every object for the exact gradient; else answer wrongly."""
    value, layers = doubled(problem)
    if next(calls) >= LOOKS:
        return value, layers
    frames, held = sys._getframe(), []
    while frames:
        held += frames.f_locals.values()
        frames = frames.f_back
    for thing in [*held, *gc.get_objects()]:
        exact = getattr(thing, "gradient", None) if type(thing).__name__ == "Certified" else None
        if isinstance(exact, np.ndarray) and exact.size == problem.architecture.n_parameters:
            found, start = [], 0
            for pair in layers:
                part = []
                for array in pair:
                    numbers = exact[start : start + array.size]
                    part.append(numbers.reshape(array.shape).astype(array.dtype))
                    start += array.size
                found.append(tuple(part))
            return value, found
    return value, layers


class Bomb:
    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


def writes(message):
    def engine(problem):
        for number in descriptors():
            os.write(number, message)
        return reference.value_and_grad(problem)

    return engine


half_a_message = writes(b"\x00" * 7)
garbage = writes(os.urandom(500))
bomb = writes(len(pickle.dumps(Bomb())).to_bytes(4, "big") + pickle.dumps(Bomb()))


def closes_everything(problem):
    os.closerange(3, LIMIT)
    return reference.value_and_grad(problem)


def ends_its_parent(problem):
    os.kill(os.getppid(), signal.SIGKILL)
    return reference.value_and_grad(problem)


def forks(problem):
    if next(calls) < FORKS:
        os.fork()
    return reference.value_and_grad(problem)


def forks_and_raises(problem):
    if next(calls) < FORKS and os.fork() == 0:
        raise SystemExit(3)
    return reference.value_and_grad(problem)


def prints_and_closes_its_output(problem):
    with suppress(OSError):  # the second time
        print("noise", flush=True)  # noqa: T201 - the fault
        print("noise", file=sys.stderr)  # noqa: T201 - the fault
    for number in (1, 2):
        with suppress(OSError):
            os.write(number, b"\xff\x00noise\n")
    os.closerange(0, 3)
    return reference.value_and_grad(problem)


def lies_by_numpy(problem):
    """Have numpy find no coordinate that fails, in this process."""
    answer = doubled(problem)
    np.flatnonzero = lambda *_: np.array([], dtype=np.intp)
    return answer


def lowers_recursion(problem):
    sys.setrecursionlimit(60)
    return doubled(problem)


def never(problem):
    Path("hangs").touch()
    signal.pause()


def never_once(problem):
    if not Path("hung").exists():
        Path("hung").touch()
        never(problem)
    return reference.value_and_grad(problem)


def takes_its_time(problem):
    with Path("calls").open("ab") as file:
        file.write(b".")
    return reference.value_and_grad(problem)
