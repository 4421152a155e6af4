"""Counts passes from inside: how often the two halves of `sigmoid_network` run, whoever calls them.

A call that says it is one pass may make many. `_logits` is the forward half, from the inputs to
z_L, of every loss and every gradient; `_backpropagate` the backward half of every gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

from reference_models import sigmoid_network


@dataclass
class Passes:
    """Forward and backward halves that ran."""

    forward: int = 0
    backward: int = 0


@contextmanager
def counted_passes() -> Iterator[Passes]:
    """Count while the context lasts."""
    passes = Passes()

    def counted(half: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            setattr(passes, half, getattr(passes, half) + 1)
            return function(*arguments)

        return call

    forward = counted("forward", sigmoid_network._logits)
    backward = counted("backward", sigmoid_network._backpropagate)
    with (
        patch.object(sigmoid_network, "_logits", forward),
        patch.object(sigmoid_network, "_backpropagate", backward),
    ):
        yield passes
