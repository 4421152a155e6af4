"""A stand-in for the worker processes of `verify`, for tests that are about what is said."""

import math
from contextlib import closing
from dataclasses import replace

from gradcheck.engines.base import limited
from gradcheck.engines.registry import find
from gradcheck.verification import plan, replay, run
from gradcheck.verification.guarded import Guarded, plain_info
from gradcheck.verification.pool import EngineGoneError
from gradcheck.verification.worker import Hired, _load, work


class InProcess:
    """The pool of workers, but the engine lives in this process."""

    def __init__(self, spec, *, jobs=1, timeout=60.0, require=None, limits=(), memory=None):
        engine = find(spec)
        self._fresh = lambda: Guarded(find(spec), require, limited(self.info, limits))
        self.info = plain_info(engine.info)
        self.engine = Guarded(engine, require, limited(self.info, limits))

    def drive(self, pieces):
        for piece in pieces:
            yield driven(piece, self.engine)

    def fresh(self, task):
        engine = self._fresh()
        try:
            return work(engine, task)
        finally:
            engine.close()

    def close(self):
        self.engine.close()


class NextDoor:
    """The pool of workers, but the checks are in this process, and the engine in its own."""

    def __init__(self, spec, *, jobs=1, timeout=60.0, require=None, limits=(), memory=None):
        self.hired = Hired(spec, timeout, require, limits)
        ready, self.engine = _load(self.hired)
        if self.engine is None:
            raise EngineGoneError(ready.trouble)
        self.info = ready.info

    def drive(self, pieces):
        for piece in pieces:
            yield driven(piece, self.engine, self.hired.timeout)

    def fresh(self, task):
        _, engine = _load(self.hired)
        with closing(engine):
            return work(engine, task, self.hired.timeout)

    def close(self):
        self.engine.close()


def driven(piece, engine, timeout=math.inf):
    """Run a piece of work to its end."""
    reply = None
    try:
        while True:
            task = next(piece) if reply is None else piece.send(reply)
            reply = work(engine, task, timeout)
    except StopIteration as finished:
        return finished.value


FOUND = {}
"""The problems of the exact tests by what they were looked for."""


def look_once(monkeypatch, look=plan._exact_cases):
    """Look for the problems of the exact tests once for all engines that take the same."""

    def found(settings, info):
        what = settings.dtype, settings.seed, repr(replace(info, name="any", version="1"))
        if what not in FOUND:
            FOUND[what] = look(settings, info)
        cases, untested = FOUND[what]
        return list(cases), list(untested)

    monkeypatch.setattr(plan, "_exact_cases", found)


def without_curves(monkeypatch):
    """Measure no response curves: what is tested is something else that is said of failures."""
    monkeypatch.setattr(run, "is_worth_measuring", lambda _: False)


def without_processes(monkeypatch):
    """Have `verify` and `replay` do their work in this process."""
    look_once(monkeypatch)
    for module in (run, replay):
        monkeypatch.setattr(module, "Pool", InProcess)
