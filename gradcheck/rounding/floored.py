r"""The residual with a floored slope (rounding/clipping.py), with the bound of its error.

Symbols as in the package's text; r = sigma(z) - y, s = sigma'(z), s^ = p^ (1 - p^) the engine's,
epsilon the floor, phi(s) = min(1, s / epsilon), which is monotone and at most 1.

    rho  = r phi(s)
    rho^ = r^ s^ / max(s^, epsilon)

**Roundings.** s^ is rounded once where it is compared and once where it multiplies, by two
roundings from p^ (1 - p^) each; epsilon once; then a quotient and a product: seven in all, all
relative, so that rho^ = r^ phi(s^) (1 + theta), |theta| <= gamma_7. What underflows in s^ is
divided by epsilon.

**Slopes.** |s - s~| <= ds and |s^ - s~| <= 2 ds, so that phi(s) and phi(s^) both lie between
phi(s~ - 2 ds) and phi(s~ + 2 ds), with dphi the distance of the two:

    d rho = dr phi(s~ + 2 ds) + (|r| + dr) dphi + gamma_7 (|r| + 2 dr) phi(s~ + 2 ds)
            + 3 eta (1 + 1 / epsilon)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from gradcheck.rounding.bounded import Bounded
from gradcheck.rounding.sigmoid import residual

if TYPE_CHECKING:
    from gradcheck.arrays import Float64Array
    from gradcheck.rounding.bounded import Rounding
    from gradcheck.rounding.sigmoid import Layer


def floored_residual(last: Layer, y: Float64Array, floor: float, rounding: Rounding) -> Bounded:
    """Return (sigma(z) - y) min(1, sigma'(z) / floor)."""
    r, (s, ds) = residual(last, y, rounding), last.s
    phi, highest = np.minimum(1, s / floor), np.minimum(1, (s + 2 * ds) / floor)
    lowest = np.maximum(0, s - 2 * ds) / floor
    moved = rounding.total(r.d * highest, r.most * (highest - np.minimum(1, lowest)))
    rounded = rounding.relative(7) * r.most_computed * highest
    underflow = 3 * rounding.eta * (1 + 1 / floor)
    return Bounded(r.x * phi, rounding.total(moved, rounded, underflow))
