"""A wrong formula: one step of the four equations replaced by another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gradcheck.arrays import Array
    from gradcheck.diagnosis.symbols import Symbols

OUTPUT, HIDDEN, WEIGHT, BIAS, ANSWER = (
    "output error",
    "hidden error",
    "weight gradient",
    "bias gradient",
    "answer",
)
"""The places of a mistake, in the order of the backward path."""

Value = Callable[["Symbols", int], "Array | None"]


@dataclass(frozen=True)
class Formula:
    """A wrong formula of one place.

    Attributes:
        key: names it, without layers and numbers.
        place: which step it replaces.
        says: what is wrong, with {l}, {up} = l + 1 and {low} = l - 1 for layers and {c} for a
            number that is fitted.
        value: what the step gives in layer l; None where the formula has no meaning, or no other
            one than the right formula.
        is_term: the step gives the right value plus c times `value`, c any number.
        of_batch: it says something about the batch, which has no meaning where all examples are
            equal or one example is: there it is looked for only if other problems have shown it.
        family: what it is one of, if a limit in it has to be fitted (thresholds.py).
        span: the interval of the limit, once it is fitted.
    """

    key: str
    place: str
    says: str
    value: Value
    is_term: bool = False
    of_batch: bool = False
    family: object = None
    span: tuple[float, float] | None = None

    def told(self, layer: int, c: float = 0.0) -> str:
        """Return what is wrong in a layer."""
        return self.says.format(l=layer, up=layer + 1, low=layer - 1, c=f"{c:.6g}")


def expected(place: str, layer: int, symbols: Symbols) -> str:
    """Return the right equation of a place, with its layer's number."""
    up, low = layer + 1, "X" if layer == 1 else f"a_{layer - 1}"
    if place == OUTPUT:
        factor = f" * sigmoid'(z_{layer})" if symbols.is_quadratic else ""
        mean = " / m" if symbols.problem.architecture.reduction == "mean" else ""
        residual = f"(a_{layer} - Y)" if factor or mean else f"a_{layer} - Y"
        return f"delta_{layer} = {residual}{factor}{mean}"
    if place == HIDDEN:
        return f"delta_{layer} = (delta_{up} W_{up}) * sigmoid'(z_{layer})"
    if place == WEIGHT:
        return f"dC/dW_{layer} = delta_{layer}^T {low}"
    if place == BIAS:
        return f"dC/db_{layer} = sum_i delta_{layer}"
    return "the gradient itself"
