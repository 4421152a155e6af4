"""What a library may switch in the processor, for the whole process.

A library compiled for speed at any price may make all code compute 0 where IEEE 754 asks for
subnormal numbers; one for interval arithmetic may round up or down. No rounding bound holds then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

FLUSHES, ROUNDS = "flushes subnormal numbers", "changes the rounding mode"
"""Events, as the log has them."""

NEAREST = "to nearest"
SMALLEST_NORMAL = np.finfo(np.float64).tiny


@dataclass(frozen=True)
class Arithmetic:
    """How this process computes.

    Attributes:
        flushes: subnormal numbers are flushed to zero.
        rounding: "to nearest", "upward", "downward" or "toward zero".
    """

    flushes: bool
    rounding: str

    @classmethod
    def now(cls) -> Arithmetic:
        """Find out."""
        return cls(flushes_to_zero(), rounding_mode())

    def switched(self, now: Arithmetic, who: str, when: str) -> tuple[str, str] | None:
        """Say what has been switched since: an event, and who did it when; None for nothing."""
        if now.flushes and not self.flushes:
            return FLUSHES, f"{who} made its whole process do so {when}"
        if now.rounding != self.rounding:
            return ROUNDS, f"{who} made its whole process round {now.rounding} {when}"
        return None


def flushes_to_zero() -> bool:
    """Halve the smallest normal number, and add up two halves of it.

    >>> flushes_to_zero()
    False
    """
    x = np.array([SMALLEST_NORMAL])  # an array: computed now, not when the file was compiled
    half = x * np.array([0.5])
    return not (half[0] > 0 and (half + half)[0] == x[0])


def rounding_mode() -> str:
    """Add 2^-60, far below half a unit of the last place of 1, to 1 and -1, and subtract it.

    >>> rounding_mode()
    'to nearest'
    """
    one, little = np.array([1.0]), np.array([2.0**-60])
    if (one + little)[0] > 1:
        return "upward"
    if (one - little)[0] < 1:
        return "toward zero" if (little - one)[0] > -1 else "downward"
    return NEAREST
