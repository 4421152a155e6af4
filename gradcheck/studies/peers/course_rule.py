"""The rule that courses teach: one central difference a weight, and a relative error below 1e-5.

    n_j = (C(x + h e_j) - C(x - h e_j)) / 2h,  h = 1e-5
    wrong where  |a_j - n_j| / max(|a_j|, |n_j|) >= 1e-5

a: the gradient that is checked. Karpathy, CS231n course notes (2015), "Gradient checks": the
relative error, h = 1e-5, and what is to be thought of 1e-2, 1e-4 and 1e-7; 1e-5 lies between "okay"
for kinks and "happy".
"""

from __future__ import annotations

import numpy as np

from gradcheck.engines.installed import Library
from gradcheck.studies.peers.base import Check, GradientFunction, Judgement, Loss, Peer, Vector

h = 1e-5
LARGEST = 1e-5


def check(loss: Loss, gradient: GradientFunction, x: Vector) -> Check:
    """Prepare the rule; see `Peer.checker`."""

    def run() -> Judgement:
        a, n = gradient(x.copy()), central_differences(loss, x)
        scale = np.maximum(np.abs(a), np.abs(n))
        error = np.abs(a - n) / np.where(scale == 0, 1, scale)
        worst = int(np.argmax(np.where(np.isnan(error), np.inf, error)))
        if error[worst] < LARGEST:
            return Judgement(passed=True, told=f"largest relative error {error[worst]:.2g}")
        return Judgement(passed=False, named=worst, told=f"relative error {error[worst]:.2g}")

    return run


def central_differences(loss: Loss, x: Vector) -> Vector:
    """Return the quotients n_j, by 2N calls of the loss."""
    moved, n = x.copy(), np.empty_like(x)
    for j, x_j in enumerate(x):
        moved[j] = x_j + h
        above = loss(moved)
        moved[j] = x_j - h
        n[j] = (above - loss(moved)) / (2 * h)
        moved[j] = x_j
    return n


COURSE_RULE = Peer(
    "course rule",
    Library("peers", ["numpy"], "https://github.com/numpy/numpy/issues"),
    "central difference of step 1e-5, relative error |a - n| / max(|a|, |n|) < 1e-5",
    every_coordinate=True,
    make=check,
)
