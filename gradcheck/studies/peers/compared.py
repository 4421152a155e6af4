"""How the user of an estimator compares: `numpy.allclose`, coordinate by coordinate.

    wrong where  not |a_j - n_j| <= atol + rtol |n_j|,  rtol = 1e-5, atol = 1e-8

a: the gradient that is checked; n: the estimate. The numbers are numpy's defaults.
"""

from __future__ import annotations

import numpy as np

from gradcheck.studies.peers.base import Judgement, Vector


def compared(a: Vector, n: Vector) -> Judgement:
    """Judge a gradient by an estimate of it; the named coordinate is the worst that is not close.

    >>> compared(np.array([1.0, 2.2]), np.array([1.0, 2.0]))
    Judgement(passed=False, named=1, told='off by 0.2')
    """
    close = np.isclose(a, n)
    if close.all():
        return Judgement(passed=True)
    excess = np.where(close, 0, np.abs(a - n) / (1e-8 + 1e-5 * np.abs(n)))
    worst = int(np.argmax(np.where(np.isnan(excess), np.inf, excess)))
    return Judgement(passed=False, named=worst, told=f"off by {abs(a[worst] - n[worst]):.2g}")
