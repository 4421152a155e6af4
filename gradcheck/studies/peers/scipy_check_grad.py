"""SciPy's `check_grad`: the norm of the deviation from forward differences.

It returns the norm and leaves the verdict to the reader; below 1e-5 counts as right here.
"""

from __future__ import annotations

from gradcheck.engines.installed import Library
from gradcheck.studies.peers.base import (
    Check,
    GradientFunction,
    Judgement,
    Loss,
    Peer,
    Vector,
    like,
)

LARGEST = 1e-5

SCIPY = Library("peers", ["scipy"], "https://github.com/scipy/scipy/issues")


def check(loss: Loss, gradient: GradientFunction, x: Vector) -> Check:
    """Prepare the check; see `Peer.checker`."""
    from scipy.optimize import check_grad  # noqa: PLC0415 - heavy, loaded when needed

    loss, gradient = like(x, loss), like(x, gradient)

    def run() -> Judgement:
        norm = float(check_grad(loss, gradient, x.copy()))
        return Judgement(passed=norm < LARGEST, told=f"norm of the deviation {norm:.2g}")

    return run


SCIPY_CHECK_GRAD = Peer(
    "scipy check_grad",
    SCIPY,
    "forward differences, step 1.5e-8; norm of the whole deviation < 1e-5, a limit of ours as it "
    "has none",
    every_coordinate=True,
    make=check,
)
