"""Does this process flush subnormal numbers to zero?

A library compiled for speed at any price may switch the processor to it when it is loaded, for the
whole process: all code then computes 0 where IEEE 754 asks for subnormal numbers, the checks
themselves included. No rounding bound holds under such arithmetic.
"""

from __future__ import annotations

import numpy as np

SMALLEST_NORMAL = np.finfo(np.float64).tiny


def flushes_to_zero() -> bool:
    """Halve the smallest normal number, and add up two halves of it.

    >>> flushes_to_zero()
    False
    """
    x = np.array([SMALLEST_NORMAL])  # an array: computed now, not when the file was compiled
    half = x * np.array([0.5])
    return not (half[0] > 0 and (half + half)[0] == x[0])
