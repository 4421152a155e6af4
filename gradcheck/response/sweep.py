r"""Asks an engine about one z: a network of one unit, or the hidden unit of 1-1-1.

    1-1      W_1 = z / 2,  b_1 = z / 2,  x = 1:  z_1 = W_1 x + b_1 is z without any rounding
    1-1-1    the same below, and above it W_2 = 1, b_2 = 1/4:  z_2 = a_1 + 1/4 is in (1/4, 5/4)

At z = 0 it is 1 x - 1. From 1-1-1 come what the hidden unit's slope and activation were,

    dC/db_1 / (W_2 dC/db_2) = sigmoid'(z_1),    dC/dW_2 / dC/db_2 = a_1

whatever the error delta_2 = dC/db_2 above them is.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gradcheck.engines.base import (
    EngineDiedError,
    EngineUnusableError,
    UnansweredError,
    Unsupported,
)
from gradcheck.problem import Architecture, Problem

if TYPE_CHECKING:
    from gradcheck.engines.base import Engine

REFUSED, RAISED, MALFORMED = "refused", "raises", "gives no gradient of these shapes"

ABOVE = 0.25
"""b_2: z_2 is never 0 or large."""


@dataclass(frozen=True)
class Network:
    """What is asked about, but for z.

    Attributes:
        depth: 1 for 1-1, 2 for 1-1-1.
        loss, reduction: of the architecture.
        y: the target.
        dtype: of all numbers.
    """

    depth: int
    loss: str
    reduction: str
    y: float
    dtype: str

    def problem(self, z: float) -> Problem:
        """Return the problem whose first unit has the pre-activation z."""
        W, b = (z / 2, z / 2) if z else (1.0, -1.0)
        weights, biases = [W, 1.0][: self.depth], [b, ABOVE][: self.depth]
        return Problem(
            Architecture((1,) * (self.depth + 1), self.loss, self.reduction),
            tuple(np.full((1, 1), w, self.dtype) for w in weights),
            tuple(np.full(1, b, self.dtype) for b in biases),
            np.ones((1, 1), self.dtype),
            np.full((1, 1), self.y, self.dtype),
        )


@dataclass(frozen=True)
class Answer:
    """What an engine answered at one z; NaN where it gave no number.

    Attributes:
        z: the pre-activation of the first unit.
        cost: the loss; NaN if it gives none.
        weight, bias: dC/dW_1 and dC/db_1.
        weight_above, bias_above: dC/dW_2 and dC/db_2, of 1-1-1.
        told: what happened in place of an answer, "" where there is one.
    """

    z: float
    cost: float = np.nan
    weight: float = np.nan
    bias: float = np.nan
    weight_above: float = np.nan
    bias_above: float = np.nan
    told: str = ""


class EngineGoneError(Exception):
    """The engine's process has died; nothing more is asked."""


def ask(engine: Engine, network: Network, z: float) -> Answer:
    """Ask for loss and gradient at one z; whatever happens is an answer.

    Raises:
        EngineGoneError: the engine's process has died.
    """
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cost, gradient = engine.value_and_grad(network.problem(z))
            flat = [_number(part) for pair in gradient for part in pair]
    except Unsupported as refusal:
        return Answer(z, told=f"{REFUSED}: {refusal.why}")
    except (EngineDiedError, EngineUnusableError, UnansweredError) as error:
        raise EngineGoneError(str(error)) from error
    except Exception as error:  # noqa: BLE001  whatever an engine raises is what it answers
        return Answer(z, told=f"{RAISED} {type(error).__name__}")
    if len(flat) != 2 * network.depth:
        return Answer(z, told=MALFORMED)
    weight, bias, weight_above, bias_above = (flat + [np.nan] * 2)[:4]
    loss = np.nan if cost is None else float(cost)
    return Answer(z, loss, weight, bias, weight_above, bias_above)


def _number(array: object) -> float:
    return float(np.asarray(array, np.float64).reshape(()))
