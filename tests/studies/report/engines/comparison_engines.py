"""Engines for the tests of the comparison; worker processes find them in this file."""

import os
import signal
import time
from pathlib import Path

import numpy as np

from gradcheck.engines.base import CallableEngine, EngineInfo
from gradcheck.engines.registry import find

reference = find("reference")
INFO = EngineInfo("test", "1", ("float64",), ("cross_entropy",), ("mean",), arithmetic="p_minus_y")


def doubled(problem):
    value, layers = reference.value_and_grad(problem)
    return value, [(2 * dW, 2 * db) for dW, db in layers]


def overflows(problem):
    value, layers = reference.value_and_grad(problem)
    z = problem.inputs @ problem.weights[0].T
    factor = np.nan if np.abs(z).max() > 36 else 1.0
    return value, [(factor * dW, factor * db) for dW, db in layers]


def _mortal(end):
    def value_and_grad(problem):
        if problem.architecture.sizes == (1, 1):
            end()
        return reference.value_and_grad(problem)

    class Mortal(CallableEngine):
        def __init__(self):
            super().__init__(value_and_grad, INFO)

    return Mortal


Dies = _mortal(lambda: os.kill(os.getpid(), signal.SIGSEGV))


def _sleep():
    Path("sleeps").touch()
    time.sleep(1000)


Sleeps = _mortal(_sleep)


def always_dies(problem):
    os._exit(7)


def says(problem):
    print("noise on standard output")  # noqa: T201 - which is what is tested
    return reference.value_and_grad(problem)
