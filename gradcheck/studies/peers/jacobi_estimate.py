"""jacobi: differences at shrinking steps, extrapolated by polynomials, with an error estimate.

It estimates a gradient and leaves the comparison to its user; see `compared`.
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
from gradcheck.studies.peers.compared import compared


def check(loss: Loss, gradient: GradientFunction, x: Vector) -> Check:
    """Prepare the check; see `Peer.checker`."""
    from jacobi import jacobi  # noqa: PLC0415 - loaded when needed

    loss = like(x, loss)

    def run() -> Judgement:
        estimate, _ = jacobi(loss, x.copy())
        return compared(gradient(x.copy()), estimate)

    return run


JACOBI = Peer(
    "jacobi",
    Library("peers", ["jacobi"], "https://github.com/HDembinski/jacobi/issues"),
    "jacobi(f, x) at its defaults, compared by numpy.allclose at its own: rtol 1e-5, atol 1e-8",
    every_coordinate=True,
    make=check,
)
