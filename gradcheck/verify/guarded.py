"""An engine whose failures can be told from those of the checker."""

from __future__ import annotations

import re
import traceback
from pathlib import Path
from typing import Any

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

LONGEST = 2000
ADDRESS = re.compile(r"0x[0-9a-fA-F]{6,}")


class StoppedError(BaseException):
    """The process was told to end; no engine is to blame."""


class RaisedError(Exception):
    """An engine raised; the message says what and where, `error` is what it raised."""

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
        value = self._call("loss", problem)
        return _real(require_loss(value))

    def value_and_grad(self, problem: Problem) -> tuple[float | None, Gradient]:
        """Compute the loss and the gradient, of the form that the contract asks for."""
        answer = self._call("value_and_grad", problem)
        if not isinstance(answer, tuple | list) or len(answer) != 2:
            raise MalformedAnswerError(
                f"value_and_grad must return a pair (loss, gradient), not {_kind(answer)}"
            )
        value, gradient = answer
        try:
            gradient_as_dict(gradient, problem.architecture)
        except (TypeError, ValueError) as error:
            raise MalformedAnswerError(str(error)) from error
        pairs = [(np.asarray(dW), np.asarray(db)) for dW, db in gradient]
        return None if value is None else _real(value), pairs

    def close(self) -> None:
        """Close the engine."""
        self.engine.close()

    def _call(self, method: str, problem: Problem) -> Any:
        try:
            return getattr(self.engine, method)(problem)
        except (Unsupported, MalformedAnswerError, EngineUnusableError, StoppedError):
            raise
        except BaseException as error:  # sys.exit() and the like are failures of this engine
            if isinstance(error, EngineDiedError):
                self.deaths.append(told_of(error))
            raise RaisedError(method, error) from error


def told_of(error: BaseException) -> str:
    """Say what was raised and where, the same on every machine and in every run.

    >>> told_of(ValueError("no"))
    'ValueError: no'
    """
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if len(frames) > 1 else ""
    text = ADDRESS.sub("0x...", str(error)).strip()[:LONGEST]
    return f"{type(error).__name__}: {text}{place}" if text else f"{type(error).__name__}{place}"


def _real(value: Any) -> float:
    if np.ndim(value) == 0 and not np.iscomplexobj(value) and not isinstance(value, str):
        try:
            return float(value)
        except (TypeError, ValueError):
            pass
    raise MalformedAnswerError(f"the loss must be one real number, not {_kind(value)}")


def _kind(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"a {type(value).__name__} of {len(value)}"
    shape = f" of shape {np.shape(value)}" if isinstance(value, np.ndarray) else ""
    return f"a {type(value).__name__}{shape}"
