"""Everybody who says whether a gradient is right: three checks of our own, and the peers.

Each is asked at its defaults, but for what its name says. An answer is PASSED, WRONG or UNDECIDED;
a peer knows the first two only. A checker that ends with an error has stopped its user, which
counts as WRONG.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import partial

from gradcheck.certified.gradient import Certified, certified_gradient
from gradcheck.checks.agreement import check_agreement
from gradcheck.checks.gradient import check_gradient
from gradcheck.differences.batches import batched
from gradcheck.outcomes.reasons import Verdict
from gradcheck.problem import Problem
from gradcheck.studies.peers.base import Peer
from gradcheck.studies.peers.registry import PEERS
from gradcheck.studies.report.selftest.black_box import BlackBox, Planted

AGREEMENT, EVERY_COORDINATE, DIRECTIONAL = "agreement", "every coordinate", "directional"
"""Our own checks."""


class Answer(Enum):
    """What a checker says of a gradient."""

    PASSED = "passed"
    WRONG = "wrong"
    UNDECIDED = "undecided"


OF_VERDICT = {
    Verdict.PASS: Answer.PASSED,
    Verdict.FAIL: Answer.WRONG,
    Verdict.INCONCLUSIVE: Answer.UNDECIDED,
}


@dataclass(frozen=True)
class Checker:
    """Somebody who says whether a gradient is right.

    Attributes:
        name: in tables and figures.
        own: one of this project's checks.
        defaults: its settings, in one sentence.
        version: of the library that it is in; "" if that is not installed.
        check: its answer to a black box; what it raises is its user's to see.
    """

    name: str
    own: bool
    defaults: str
    version: str
    check: Callable[[BlackBox], Answer]

    def ask(self, box: BlackBox) -> Answer:
        """Ask once; an error counts as WRONG."""
        try:
            return self.check(box)
        except Exception:  # noqa: BLE001 - whatever it is, nobody overlooks it
            return Answer.WRONG


# --- our own --------------------------------------------------------------------------------------


def agreement(box: BlackBox) -> Answer:
    """Hold the gradient to the certified one, before it is scaled.

    The scale is known and a power of two: it would be divided out again without any rounding.
    """
    exact = _certified(box.problem)
    outcome = check_agreement(box.engine, box.problem, exact=exact)
    return OF_VERDICT[outcome.verdict]


def differences(box: BlackBox, method: str) -> Answer:
    """Hold the gradient to differences of the black box's own loss."""
    inner = box.engine.engine if isinstance(box.engine, Planted) else box.engine
    f = batched(box.losses) if hasattr(inner, "losses") else box.loss
    return OF_VERDICT[check_gradient(f, box.gradient, box.x, method=method).verdict]


_known: list[tuple[Problem, Certified]] = []


def _certified(problem: Problem) -> Certified:
    """Return the exact gradient, which is kept for the next question about the same problem."""
    if not _known or _known[0][0] is not problem:
        _known[:] = [(problem, certified_gradient(problem))]
    return _known[0][1]


OWN = (
    Checker(
        AGREEMENT,
        True,
        "the certified gradient of the loss that is meant, and the bound of what rounding can do; "
        "it knows the network, not the two functions alone",
        "",
        agreement,
    ),
    Checker(
        EVERY_COORDINATE,
        True,
        'check_gradient(f, g, x, method="every-coordinate"): differences of order 4, a step and an '
        "error bound for each coordinate",
        "",
        partial(differences, method="every-coordinate"),
    ),
    Checker(
        DIRECTIONAL,
        True,
        'check_gradient(f, g, x, method="directional"): random signs, and group testing',
        "",
        partial(differences, method="directional"),
    ),
)


# --- others ---------------------------------------------------------------------------------------


def judged(box: BlackBox, peer: Peer) -> Answer:
    """Ask a peer."""
    passed = peer.checker(box.loss, box.gradient, box.x.copy())().passed
    return Answer.PASSED if passed else Answer.WRONG


def checkers(peers: Mapping[str, Peer] = PEERS) -> tuple[Checker, ...]:
    """Return our own checks, and the peers whose libraries are installed."""
    others = (
        Checker(name, False, peer.defaults, peer.version, partial(judged, peer=peer))
        for name, peer in peers.items()
        if peer.version
    )
    return (*OWN, *others)


def missing(peers: Mapping[str, Peer] = PEERS) -> dict[str, str]:
    """Return the peers that are not installed, and how to get them."""
    return {
        name: f"pip install 'gradcheck[{peer.package.extra}]'"
        for name, peer in peers.items()
        if not peer.version
    }
