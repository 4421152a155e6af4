"""An engine whose failures can be told from those of the checker."""

from __future__ import annotations

import math
import re
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gradcheck.arrays import Array
from gradcheck.engines.base import (
    Engine,
    EngineDiedError,
    EngineInfo,
    EngineSilentError,
    EngineUnusableError,
    MalformedAnswerError,
    UnansweredError,
    Unsupported,
    require_loss,
)
from gradcheck.outcomes.ending import EndsCheckError
from gradcheck.problem import Gradient, Problem, gradient_as_dict
from gradcheck.verification.surroundings import Surroundings
from gradcheck.writing.terminal import text_of

P = TypeVar("P")
T = TypeVar("T")

LONGEST = 2000
"""Characters of an exception's text that are kept."""

LEAST = 1e-9
"""Seconds that a call takes, at least."""

DEEPEST = 40
"""Calls of a traceback that are kept, the innermost ones."""

ABILITIES = ("dtypes", "losses", "reductions", "remarks")
WORDS = ("name", "version", "language", "issues_url", "arithmetic")

ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")


class StoppedError(BaseException):
    """The process was told to end; no engine is to blame."""


class RaisedError(EndsCheckError):
    """An engine raised; the message says in which call, what, and where."""

    @classmethod
    def of(cls, call: str, error: BaseException) -> RaisedError:
        """Make it of what was raised in a call."""
        return cls(f"{call} raised {told_of(error)}")


class Guarded:
    """An engine that raises nothing but RaisedError, and what the contract lets it raise.

    That is Unsupported, MalformedAnswerError and EngineUnusableError; and UnansweredError where its
    process died, did not answer a call, or the time for its calls is spent. From then on it raises
    that for every call, until `begin`.

    Attributes:
        engine: the engine itself.
        require: the widest rounding model that is allowed; None for what it declares.
        info: what the engine says of itself, within the limits that were asked for.
        deaths: what was said whenever its own process was lost, and whether for its silence.
    """

    def __init__(
        self, engine: Engine, require: str | None = None, info: EngineInfo | None = None
    ) -> None:
        self.engine = engine
        self.require = require
        self._info = info
        self._theirs = Surroundings.now()
        self._left = self._seconds = self._fastest = math.inf
        self._lost: UnansweredError | None = None
        self.deaths: list[tuple[str, bool]] = []

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

    @property
    def losses_one_by_one(self) -> Callable[[Problem, Mapping[str, Array]], Array]:
        """Computes the engine's own loss at many parameters, each by a call of its own.

        Raises:
            AttributeError: the engine is asked at no cost beside its own: by `loss`.
        """
        ask = self.engine.losses_one_by_one  # type: ignore[attr-defined]  # of engines elsewhere

        def losses(problem: Problem, stacked: Mapping[str, Array]) -> Array:
            def many(there: Problem) -> Array:
                return np.asarray(ask(there, stacked, self._left))

            found = self._timed("loss", many, problem, np.asarray)
            if len(found) < len(next(iter(stacked.values()))):
                self._left = 0.0
                self._require_answers()
            return found

        return losses

    def loss_of_each(self, problems: Iterable[Problem]) -> list[float]:
        """Compute the engine's own loss of one problem after the other, as `loss` does."""

        def each(_: Problem | None) -> list[float]:
            return [_real(require_loss(self.engine.loss(problem))) for problem in problems]

        return self._timed("loss", each, None, list)

    def begin(self, seconds: float = math.inf) -> None:
        """Begin something new, for which the calls may take so many seconds together.

        The last call may exceed them.
        """
        self._left, self._seconds, self._lost = seconds, seconds, None

    def calls_within(self, share: float) -> float:
        """Return how many calls a share of the time allows, at the fastest pace so far."""
        return share * self._seconds / self._fastest if self._fastest < math.inf else math.inf

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()

    def kill(self) -> None:
        """End the process of an engine that has one, at once."""
        kill = getattr(self.engine, "kill", None)
        if kill is not None:
            kill()

    def _call(self, method: str, problem: Problem, read: Callable[[Any], T]) -> T:
        start = time.monotonic()
        answer = self._timed(method, getattr(self.engine, method), problem, read)
        self._fastest = min(self._fastest, max(time.monotonic() - start, LEAST))
        return answer

    def _require_answers(self) -> None:
        if self._left <= 0:
            told = f"its calls took more than {self._seconds:g} seconds together"
            self._lost = UnansweredError(f"{told}; raise --timeout", is_late=True)
        if self._lost is not None:
            raise self._lost

    def _timed(
        self,
        method: str,
        call: Callable[[P], Any],
        problem: P,
        read: Callable[[Any], T],
    ) -> T:
        """Call the engine and read its answer, within the time that there is for it."""
        self._require_answers()
        start = time.monotonic()
        try:
            if getattr(self.engine, "is_elsewhere", False):
                return self._answer(method, call, problem, read)
            return self._surrounded(method, call, problem, read)
        finally:
            self._left -= time.monotonic() - start

    def _surrounded(
        self,
        method: str,
        call: Callable[[P], Any],
        problem: P,
        read: Callable[[Any], T],
    ) -> T:
        """Call an engine of this process in the surroundings that it made for itself."""
        ours = Surroundings.now()
        # a change of filters has every warning told once more: that is for who changes them
        replace(self._theirs, filters=ours.filters).restore()
        try:
            return self._answer(method, call, problem, read)
        finally:
            self._theirs = Surroundings.now()
            ours.restore()

    def _answer(
        self,
        method: str,
        call: Callable[[P], Any],
        problem: P,
        read: Callable[[Any], T],
    ) -> T:
        try:
            answer = with_room(call, problem)
        except (StoppedError, RaisedError):
            raise
        except Unsupported as refusal:
            raise _refusal(method, refusal) from None
        except (MalformedAnswerError, EngineUnusableError) as error:
            kind = MalformedAnswerError if isinstance(error, TypeError) else EngineUnusableError
            raise kind(text_of(error)[:LONGEST]) from None
        except EngineDiedError as error:
            self._lost = self._lose(error)
            raise self._lost from None
        except BaseException as error:  # sys.exit() and the like are failures of this engine
            raise RaisedError.of(method, error) from error
        try:
            return with_room(read, answer)
        except (MalformedAnswerError, Unsupported, StoppedError):
            raise
        except BaseException as error:  # an object of the engine's own does what it likes
            told = f"the answer of {method} cannot be read: {told_of(error)}"
            raise MalformedAnswerError(told) from error

    def _lose(self, error: EngineDiedError) -> UnansweredError:
        """Keep what is said of a process that is lost, until something new begins."""
        told, is_silent = plain(error), isinstance(error, EngineSilentError)
        self.deaths.append((told, is_silent))
        return UnansweredError(f"{told}; raise --timeout" if is_silent else told, is_late=is_silent)


def plain_info(info: Any) -> EngineInfo:
    """Copy an engine's account of itself into the contract's own type, which can be sent.

    Raises:
        AttributeError, TypeError, ValueError: it is none.
    """
    said: dict[str, Any] = {name: str(getattr(info, name)) for name in WORDS if hasattr(info, name)}
    said |= {name: tuple(map(str, getattr(info, name, ()))) for name in ABILITIES}
    limits = getattr(info, "limits", {})
    if not isinstance(limits, Mapping):
        raise TypeError(f"limits={limits!r} must be a mapping")
    said |= {"deterministic": bool(getattr(info, "deterministic", True)), "limits": dict(limits)}
    return EngineInfo(**said)


def _refusal(call: str, refusal: Unsupported) -> Exception:
    """Return a refusal with plain text; one that cannot be read is a failure like any other."""
    try:
        return Unsupported(text_of(refusal.why)[:LONGEST])
    except Exception as error:  # noqa: BLE001 - an attribute may be code of the engine's
        return RaisedError.of(call, error)


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
    text = plain(error)
    place = _place_of(error)
    return f"{name}: {text}{place}" if text else f"{name}{place}"


def plain(error: BaseException) -> str:
    """Return the text of what was raised, without addresses and of bounded length."""
    return ADDRESS.sub("0x...", text_of(error)).strip()[:LONGEST]


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
        raise MalformedAnswerError(text_of(error)[:LONGEST]) from error
    pairs = [(np.asarray(dW), np.asarray(db)) for dW, db in gradient]
    return None if value is None else _real(value), pairs


def _real(value: Any) -> float:
    if type(value) is float:
        return value
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
