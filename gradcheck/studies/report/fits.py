r"""Power laws through measured points, each exponent with its standard error.

Symbols: points (x_i, y_i), X_i = log x_i, Y_i = log y_i, i = 1..n.

    y = C x^s,   s = sum (X_i - mean X)(Y_i - mean Y) / sum (X_i - mean X)^2
    se(s)^2 = sum (Y_i - fitted Y_i)^2 / (n - 2) / sum (X_i - mean X)^2

(ordinary least squares; Draper and Smith 1998, sections 1.2 and 1.4.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class PowerLaw:
    """y = factor x^exponent through `points` points."""

    exponent: float
    standard_error: float
    factor: float
    points: int

    def to_json(self) -> dict[str, Any]:
        """Return the fit as JSON has it."""
        return {
            "exponent": self.exponent,
            "standard_error": self.standard_error,
            "points": self.points,
        }

    def identifies(self, exponent: int, bend: float = 0.0) -> bool:
        """Whether the exponent is nearest to this whole number whatever its errors are.

        Args:
            exponent: the whole number.
            bend: how far the points may systematically be off a power law of that exponent.
        """
        return bool(abs(self.exponent - exponent) + 3 * self.standard_error + bend < 0.5)


def fit_power_law(x: npt.ArrayLike, y: npt.ArrayLike) -> PowerLaw:
    """Fit a straight line to the logarithms.

    Raises:
        ValueError: fewer than 3 points, numbers that are not positive and finite, or all x equal.

    >>> law = fit_power_law([1, 10, 100], [3, 300, 30000])
    >>> round(law.exponent, 12), round(law.factor, 12), law.points
    (2.0, 3.0, 3)
    """
    numbers = np.array([x, y], dtype=float)
    if numbers.shape[1] < 3:
        raise ValueError(f"a slope with an error needs at least 3 points, got {numbers.shape[1]}")
    if not np.all((numbers > 0) & np.isfinite(numbers)):
        raise ValueError("x and y must be positive and finite to have logarithms")
    X, Y = np.log(numbers)
    dX, dY = X - X.mean(), Y - Y.mean()
    spread = float(dX @ dX)
    if spread == 0:
        raise ValueError(f"all x are {numbers[0, 0]:g}; a slope needs two different ones")
    s = float(dX @ dY) / spread
    residual = dY - s * dX
    variance = float(residual @ residual) / (len(X) - 2)
    factor = float(np.exp(Y.mean() - s * X.mean()))
    return PowerLaw(s, float(np.sqrt(variance / spread)), factor, len(X))
