"""An engine whose failures can be told from those of the checker."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gradcheck.engines.base import (
    Engine,
    EngineDiedError,
    EngineInfo,
    EngineUnusableError,
    MalformedAnswerError,
    Unsupported,
    require_loss,
)
from gradcheck.problem import Gradient, Problem, gradient_as_dict
from gradcheck.terminal import text_of
from gradcheck.verify.surroundings import Surroundings

T = TypeVar("T")

LONGEST = 2000
"""Characters of an exception's text that are kept."""

DEEPEST = 40
"""Calls of a traceback that are kept, the innermost ones."""

ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")


class StoppedError(BaseException):
    """The process was told to end; no engine is to blame."""


class RaisedError(Exception):
    """An engine raised; the message says what and where, `error` is what it raised."""

    ends_check = True

    def __init__(self, call: str, error: BaseException) -> None:
        super().__init__(f"{call} raised {told_of(error)}")
        self.error = error


class Guarded:
    """An engine that raises nothing but RaisedError, and what the contract lets it raise.

    That is Unsupported, MalformedAnswerError and EngineUnusableError.

    Attributes:
        engine: the engine itself.
        require: the widest rounding model that is allowed; None for what it declares.
        info: what the engine says of itself, within the limits that were asked for.
        deaths: what was said whenever its own process died.
    """

    def __init__(
        self, engine: Engine, require: str | None = None, info: EngineInfo | None = None
    ) -> None:
        self.engine = engine
        self.require = require
        self._info = info
        self._theirs = Surroundings.now()
        self.deaths: list[str] = []

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself, within the limits that were asked for."""
        return self.engine.info if self._info is None else self._info

    def loss(self, problem: Problem) -> float:
        """Compute the engine's own loss.

        Raises:
            Unsupported: it has none.
        """
        return self._call("loss", problem, lambda value: _real(require_loss(value)))

    def value_and_grad(self, problem: Problem) -> tuple[float | None, Gradient]:
        """Compute the loss and the gradient, of the form that the contract asks for."""
        return self._call("value_and_grad", problem, lambda answer: _pair(answer, problem))

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()

    def _call(self, method: str, problem: Problem, read: Callable[[Any], T]) -> T:
        """Call the engine and read its answer, in the surroundings that it made for itself."""
        ours = Surroundings.now()
        # a change of filters has every warning told once more: that is for who changes them
        replace(self._theirs, filters=ours.filters).restore()
        try:
            return self._answer(method, problem, read)
        finally:
            self._theirs = Surroundings.now()
            ours.restore()

    def _answer(self, method: str, problem: Problem, read: Callable[[Any], T]) -> T:
        try:
            answer = with_room(getattr(self.engine, method), problem)
        except StoppedError:
            raise
        except Unsupported as refusal:
            raise _refusal(method, refusal) from None
        except (MalformedAnswerError, EngineUnusableError) as error:
            kind = MalformedAnswerError if isinstance(error, TypeError) else EngineUnusableError
            raise kind(text_of(error)) from None
        except BaseException as error:  # sys.exit() and the like are failures of this engine
            if isinstance(error, EngineDiedError):
                self.deaths.append(told_of(error))
            raise RaisedError(method, error) from error
        try:
            return with_room(read, answer)
        except (MalformedAnswerError, Unsupported, StoppedError):
            raise
        except BaseException as error:  # an object of the engine's own does what it likes
            told = f"the answer of {method} cannot be read: {told_of(error)}"
            raise MalformedAnswerError(told) from error


def _refusal(call: str, refusal: Unsupported) -> Exception:
    """Return a refusal with plain text; one that cannot be read is a failure like any other."""
    try:
        return Unsupported(text_of(refusal.why))
    except Exception as error:  # noqa: BLE001 - an attribute may be code of the engine's
        return RaisedError(call, error)


def with_room(call: Callable[[Any], T], argument: Any) -> T:
    """Call a function that may lower the recursion limit, and raise the limit again."""
    room = sys.getrecursionlimit()
    try:
        return call(argument)
    finally:  # before anything else, which needs some depth
        sys.setrecursionlimit(max(room, sys.getrecursionlimit()))


def told_of(error: BaseException) -> str:
    """Say what was raised and where, the same on every machine and in every run.

    >>> told_of(ValueError("no"))
    'ValueError: no'
    """
    name = text_of(type.__getattribute__(type(error), "__name__"))
    text = ADDRESS.sub("0x...", text_of(error)).strip()[:LONGEST]
    place = _place_of(error)
    return f"{name}: {text}{place}" if text else f"{name}{place}"


def trace_of(error: BaseException) -> str:
    """Write the traceback of an error of our own, whatever its text does."""
    trace, lines = error.__traceback__, []
    while trace is not None:
        code = trace.tb_frame.f_code
        lines.append(f"{Path(code.co_filename).name}:{trace.tb_lineno} in {code.co_name}")
        trace = trace.tb_next
    return "; ".join([*lines[-DEEPEST:], told_of(error)])


def _place_of(error: BaseException) -> str:
    trace, depth = error.__traceback__, 1
    if trace is None:
        return ""
    while trace.tb_next is not None:
        trace, depth = trace.tb_next, depth + 1
    where = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
    return f" ({where})" if depth > 1 else ""


def _pair(answer: Any, problem: Problem) -> tuple[float | None, Gradient]:
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise MalformedAnswerError(
            f"value_and_grad must return a pair (loss, gradient), not {_kind(answer)}"
        )
    value, gradient = answer
    try:
        gradient_as_dict(gradient, problem.architecture)
    except (TypeError, ValueError) as error:
        raise MalformedAnswerError(text_of(error)) from error
    pairs = [(np.asarray(dW), np.asarray(db)) for dW, db in gradient]
    return None if value is None else _real(value), pairs


def _real(value: Any) -> float:
    if np.ndim(value) == 0 and not np.iscomplexobj(value) and not isinstance(value, str):
        try:
            return float(value)
        except (TypeError, ValueError, OverflowError):
            pass
    raise MalformedAnswerError(f"the loss must be one real number, not {_kind(value)}")


def _kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    shape = f" of shape {np.shape(value)}" if isinstance(value, np.ndarray) else ""
    return f"a {type(value).__name__}{shape}"
