"""The peers as contenders: the network in their own library, or the reference network."""

from __future__ import annotations

from functools import partial

from gradcheck.bench.contender import FAIL, PASS, Answer, Contender, Run, Tick
from gradcheck.bench.subject import Subject
from gradcheck.peers.base import Check, Peer, Planted, Vector
from gradcheck.peers.registry import available


def contenders() -> list[Contender]:
    """Return every peer whose library is installed."""
    return [
        Contender(
            name=peer.name,
            ours=False,
            knows="its own network" if peer.make_native else "any function",
            settings=peer.defaults,
            version=f"{peer.package.distributions[0]} {peer.version}",
            every_coordinate=peer.every_coordinate,
            slow_to_fail=peer.slow_to_fail,
            prepare=partial(prepare, peer),
        )
        for peer in available().values()
    ]


def prepare(peer: Peer, subject: Subject, tick: Tick, planted: Planted | None) -> Run:
    """Prepare a peer's check of a network."""
    check = _check(peer, subject, tick, planted)

    def run() -> Answer:
        judged = check()
        return Answer(PASS if judged.passed else FAIL, judged.named)

    return run


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
