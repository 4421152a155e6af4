"""numdifftools: extrapolated central differences at a sequence of steps.

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
    import numdifftools  # noqa: PLC0415 - heavy, loaded when needed

    estimate = numdifftools.Gradient(like(x, loss))

    def run() -> Judgement:
        return compared(gradient(x.copy()), estimate(x.copy()))

    return run


NUMDIFFTOOLS = Peer(
    "numdifftools",
    Library("peers", ["numdifftools"], "https://github.com/pbrod/numdifftools/issues"),
    "Gradient(f) at its defaults, compared by numpy.allclose at its own: rtol 1e-5, atol 1e-8",
    every_coordinate=True,
    make=check,
)
