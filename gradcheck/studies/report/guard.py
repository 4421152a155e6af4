"""Tells an engine that breaks apart from everything else that may go wrong."""

from __future__ import annotations

from typing import Any

from gradcheck.engines.base import Engine, EngineInfo, EngineUnusableError, Unsupported
from gradcheck.engines.registry import EngineNotFoundError, find
from gradcheck.problem import Gradient, Problem

__all__ = ["EngineNotFoundError", "EngineUnusableError", "Guarded", "find_guarded"]


class Guarded:
    """An engine whose exceptions, but for Unsupported, come out as `EngineUnusableError`.

    The message says what was raised, and where.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @property
    def info(self) -> EngineInfo:
        """What the engine says of itself."""
        return self._engine.info

    def loss(self, problem: Problem) -> float:
        """Compute the engine's own loss."""
        return float(self._call("loss", problem))

    def value_and_grad(self, problem: Problem) -> tuple[float, Gradient]:
        """Compute the loss and the gradient."""
        answer: tuple[float, Gradient] = self._call("value_and_grad", problem)
        return answer

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()

    def _call(self, method: str, problem: Problem) -> Any:
        try:
            return getattr(self._engine, method)(problem)
        except (Unsupported, EngineUnusableError):
            raise
        except Exception as error:
            raise EngineUnusableError(
                f"engine {self._engine.info.name}: {method} of {problem!r} raised "
                f"{type(error).__name__}: {error}"
            ) from error


def find_guarded(spec: str) -> Guarded:
    """Find an engine as `gradcheck.engines.registry.find` does, and guard it."""
    return Guarded(find(spec))
