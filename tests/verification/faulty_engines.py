"""Engines with one fault each, importable by worker processes as `py:faulty_engines:NAME`."""

import ctypes
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import gradcheck
from gradcheck.engines.base import EngineInfo
from gradcheck.engines.registry import find
from gradcheck.problem import LOSSES, REDUCTIONS

reference = find("reference")


def right(problem):
    return reference.value_and_grad(problem)


def without_a_loss(problem):
    return None, reference.value_and_grad(problem)[1]


def wrong_without_a_loss(problem):
    return None, doubled(problem)[1]


def loss_doubled(problem):
    value, layers = reference.value_and_grad(problem)
    return 2 * value, layers


def both_doubled(problem):
    value, layers = reference.value_and_grad(problem)
    return 2 * value, [(2 * W, 2 * b) for W, b in layers]


for wrong in (loss_doubled, both_doubled):
    wrong.losses = ("cross_entropy",)


def doubled(problem):
    """W1 twice as steep as it should be."""
    value, [(W, b), *rest] = reference.value_and_grad(problem)
    return value, [(2 * W, b), *rest]


def steep(problem):
    return doubled(problem)


steep.losses = ("cross_entropy",)


def raises_on_one_example(problem):
    if problem.batch == 1:
        raise ZeroDivisionError("one example")
    return reference.value_and_grad(problem)


def raises(problem):
    raise OSError("no disk")


def leaves(problem):
    raise SystemExit(0)


def exhausts_memory(problem):
    np.empty(2**48)  # 2 PiB


def not_a_number(problem):
    value, layers = reference.value_and_grad(problem)
    return value, [(W * np.nan, b) for W, b in layers]


def infinite(problem):
    value, layers = reference.value_and_grad(problem)
    return value, [(W, b + np.inf) for W, b in layers]


def wrong_shape(problem):
    value, layers = reference.value_and_grad(problem)
    return value, [(W, b[:, None]) for W, b in layers]


def half_precision(problem):
    value, layers = reference.value_and_grad(problem)
    return value, [(W.astype(np.float16), b) for W, b in layers]


def too_few_layers(problem):
    value, layers = reference.value_and_grad(problem)
    return value, layers[1:]


def no_pair(problem):
    return reference.value_and_grad(problem)[1]


def changes_its_inputs(problem):
    answer = reference.value_and_grad(problem)
    problem.weights[0][...] += 1
    return answer


def views_of_its_inputs(problem):
    value, layers = reference.value_and_grad(problem)
    return value, [(W, b) for (W, _), b in zip(layers, problem.biases, strict=True)]


class ViewsOfItsLastAnswer:
    info = EngineInfo("views", "1", ("float64",), ("cross_entropy",), ("mean", "sum"))

    def __init__(self):
        self.kept = {}

    def loss(self, problem):
        return reference.loss(problem)

    def value_and_grad(self, problem):
        value, layers = reference.value_and_grad(problem)
        kept = self.kept.setdefault(problem.architecture.sizes, layers)
        for mine, new in zip(kept, layers, strict=True):
            for array, numbers in zip(mine, new, strict=True):
                array[...] = numbers
        return value, list(kept)

    def close(self):
        pass


class Drifting:
    """Every third call differs by a relative size."""

    info = EngineInfo("drifting", "1", ("float64",), ("cross_entropy",), ("mean", "sum"))
    size = 1e-3

    def __init__(self):
        self.calls = 0

    def loss(self, problem):
        return reference.loss(problem)

    def value_and_grad(self, problem):
        self.calls += 1
        factor = 1 + self.size * (self.calls % 3 == 0)
        value, layers = reference.value_and_grad(problem)
        return value, [(W * factor, b * factor) for W, b in layers]

    def close(self):
        pass


class BadLimits(Drifting):
    info = EngineInfo("bad", "1", ("float64",), LOSSES, REDUCTIONS, limits={"max_depth": 0})


class NothingKnown(Drifting):
    info = EngineInfo("strange", "1", ("bfloat16",), LOSSES, REDUCTIONS)


class LastBits(Drifting):
    size = 2.0**-52


def refuses(problem):
    raise gradcheck.Unsupported("only on Sundays")


def refuses_float32(problem):
    if problem.dtype == np.float32:
        raise gradcheck.Unsupported("float32")
    return reference.value_and_grad(problem)


def dies_when_deep(problem):
    if problem.architecture.depth == 8:
        os.kill(os.getpid(), signal.SIGSEGV)
    return reference.value_and_grad(problem)


def exits(problem):
    os._exit(7)


def hangs_when_deep(problem):
    if problem.architecture.depth == 8:
        Path("hangs").touch()
        time.sleep(1000)
    return reference.value_and_grad(problem)


def leaves_others_behind(problem):
    """Start a process in a session of its own, whose parent is gone at once."""
    if not Path("left").exists():
        nap = "import os, time; open('left', 'w').write(str(os.getpid())); time.sleep(600)"
        start = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {nap!r}])"
        subprocess.run([sys.executable, "-c", start], start_new_session=True, check=True)
        while not (Path("left").exists() and Path("left").read_text("utf-8")):
            time.sleep(0.01)
    return reference.value_and_grad(problem)


def leaves_others_behind_and_exits(problem):
    leaves_others_behind(problem)
    os._exit(7)


def says_much(problem):
    print("noise on standard output")  # noqa: T201 - the fault
    return reference.value_and_grad(problem)


def paused():
    pause, log = Path("pause"), Path("run.log")
    lines = log.read_bytes().count(b"\n") if log.exists() else 0
    return pause.exists() and lines >= int(pause.read_text("utf-8"))


class Slow:
    """A right engine that waits when the log has as many lines as the file `pause` says."""

    info = EngineInfo("slow", "1", ("float64",), ("cross_entropy",), ("mean", "sum"))

    def loss(self, problem):
        return reference.loss(problem)

    def value_and_grad(self, problem):
        while paused():
            time.sleep(0.01)
        return reference.value_and_grad(problem)

    def close(self):
        pass


def flushing():
    """Load a library that makes the whole process flush subnormal numbers to zero."""
    ctypes.CDLL(str(Path.cwd() / "libflush.so")).flush()
    return find("reference")


def flushing_later(problem):
    if problem.batch == 1:
        ctypes.CDLL(str(Path.cwd() / "libflush.so")).flush()
    return reference.value_and_grad(problem)


def rounding_upwards_later(problem):
    if problem.batch == 1:
        ctypes.CDLL(str(Path.cwd() / "libflush.so")).upwards()
    return reference.value_and_grad(problem)


class ClippedLoss:
    """A textbook loss whose probabilities are clipped at 1e-7, and its gradient."""

    info = EngineInfo("clipped", "1", ("float64",), ("cross_entropy",), ("mean", "sum"))
    eps = 1e-7

    def loss(self, problem):
        return self.value_and_grad(problem)[0]

    def value_and_grad(self, problem):
        value, layers = reference.value_and_grad(problem)
        a = [problem.inputs]
        for W, b in zip(problem.weights, problem.biases, strict=True):
            with np.errstate(over="ignore"):
                a.append(1 / (1 + np.exp(-(a[-1] @ W.T + b))))
        Y, p = problem.targets, np.clip(a[-1], self.eps, 1 - self.eps)
        M = problem.batch if problem.architecture.reduction == "mean" else 1
        value = -(Y * np.log(p) + (1 - Y) * np.log(1 - p)).sum() / M
        delta = np.where(p == a[-1], a[-1] - Y, 0) / M
        layers = []
        for layer in reversed(range(len(problem.weights))):
            layers.append((delta.T @ a[layer], delta.sum(axis=0)))
            if layer:
                delta = (delta @ problem.weights[layer]) * a[layer] * (1 - a[layer])
        return float(value), layers[::-1]

    def close(self):
        pass


class KeepsFirstWeights:
    """Passes errors down through the weights of the first problem of the same sizes."""

    info = EngineInfo("keeps", "1", ("float64",), ("cross_entropy",), ("mean", "sum"))

    def __init__(self):
        self.kept = {}

    def loss(self, problem):
        return reference.loss(problem)

    def value_and_grad(self, problem):
        first = self.kept.setdefault(problem.architecture.sizes, problem.weights)
        value, layers = reference.value_and_grad(problem)
        if len(layers) == 1:
            return value, layers
        now, then = problem.weights[-1], first[-1]
        share = (then.sum() + 1) / (now.sum() + 1)  # 1 where both are the same
        return value, [(W * share, b * share) for W, b in layers[:-1]] + layers[-1:]

    def close(self):
        pass
