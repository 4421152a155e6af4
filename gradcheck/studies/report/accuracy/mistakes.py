"""Wrong backprops, to learn whether the ladder calls a bug a class of arithmetic.

They are mutants (`gradcheck.mutants`), from every place of a backprop where a mistake is made, and
two that lose precision alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.registry import find_mutant

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcheck.engines.base import Engine

NAMES = (
    "wrong_sign",
    "mean_twice",
    "mean_missing",
    "targets_shuffled",
    "targets_rounded",
    "slope_missing",
    "slope_of_activation",
    "weights_transposed",
    "last_example_dropped",
    "bias_averaged",
    "bias_forgotten",
    "weight_decay",
    "one_weight_scaled_1e-3",
    "neighbour_leaks",
)

MISTAKES: dict[str, Callable[[], Engine]] = {name: find_mutant(name).make for name in NAMES}
"""Every mistake by its name."""

Float32Deltas = find_mutant("float32_errors").make
"""Right, but for the deltas, which pass through float32."""


class Scaled(Backprop):
    """The right gradient times 1 + 1e-12."""

    def finish(self) -> None:
        """Scale every number."""
        self.change(lambda g: g * (1 + 1e-12))
