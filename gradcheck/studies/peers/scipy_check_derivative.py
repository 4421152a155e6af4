"""SciPy's `check_derivative`: three-point differences at a step that grows with each coordinate.

It returns the largest deviation, relative where the derivative exceeds 1 and absolute elsewhere;
its documentation calls the gradient likely right if that is "on the order of 1e-6 or lower".
"""

from __future__ import annotations

from gradcheck.studies.peers.base import (
    Check,
    GradientFunction,
    Judgement,
    Loss,
    Peer,
    Vector,
    like,
)
from gradcheck.studies.peers.scipy_check_grad import SCIPY

LARGEST = 1e-6


def check(loss: Loss, gradient: GradientFunction, x: Vector) -> Check:
    """Prepare the check; see `Peer.checker`."""
    from scipy.optimize._numdiff import (  # noqa: PLC0415 - heavy, loaded when needed
        check_derivative,
    )

    loss, gradient = like(x, loss), like(x, gradient)

    def run() -> Judgement:
        accuracy = float(check_derivative(loss, gradient, x.copy()))
        return Judgement(passed=accuracy <= LARGEST, told=f"accuracy {accuracy:.2g}")

    return run


SCIPY_THREE_POINT = Peer(
    "scipy 3-point",
    SCIPY,
    "check_derivative: 3-point differences, |a - n| / max(1, |n|) at most 1e-6 as documented",
    every_coordinate=True,
    make=check,
)
