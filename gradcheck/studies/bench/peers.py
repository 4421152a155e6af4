"""The peers as contenders: the network in their own library, or the reference network."""

from __future__ import annotations

from functools import partial

from gradcheck.studies.bench.contender import ANY, FAIL, NONE, PASS, Answer, Contender, Run, Tick
from gradcheck.studies.bench.subject import Subject
from gradcheck.studies.peers.base import Check, Passes, Peer, Planted, Vector
from gradcheck.studies.peers.registry import available
from gradcheck.studies.peers.torch_gradcheck import TORCH_SCALED

LEFT_OUT = TORCH_SCALED.name
"""The loss is about 1 here, so that tolerances scaled to it are those of `TORCH_STRICT`."""


def contenders() -> list[Contender]:
    """Return every peer whose library is installed, but LEFT_OUT."""
    return [
        Contender(
            name=peer.name,
            ours=False,
            block=ANY,
            bound=NONE,
            written_in=peer.package.distributions[0] if peer.make_native else "numpy",
            settings=peer.defaults,
            version=f"{peer.package.distributions[0]} {peer.version}",
            every_coordinate=peer.every_coordinate,
            slow_to_fail=peer.slow_to_fail,
            prepare=partial(prepare, peer),
            forward=partial(forward, peer),
        )
        for peer in available().values()
        if peer.name != LEFT_OUT
    ]


def prepare(peer: Peer, subject: Subject, tick: Tick, planted: Planted | None) -> Run:
    """Prepare a peer's check of a network."""
    check = _check(peer, subject, tick, planted)

    def run() -> Answer:
        judged = check()
        return Answer(PASS if judged.passed else FAIL, judged.named)

    return run


def forward(peer: Peer, subject: Subject) -> Passes:
    """Prepare forward passes of the function that a peer is given."""
    return peer.forward(subject.problem) if peer.make_forward else subject.forward_passes


def _check(peer: Peer, subject: Subject, tick: Tick, planted: Planted | None) -> Check:
    if peer.make_native is not None:
        return peer.native(subject.problem, lambda: tick(1), planted)

    factors = 1.0 if planted is None else planted.factors(subject.N)

    def loss(x: Vector) -> float:
        tick(1)
        return subject.loss(x)

    def gradient(x: Vector) -> Vector:
        return subject.gradient(x) * factors

    return peer.checker(loss, gradient, subject.x)
