"""Everybody who takes part."""

from __future__ import annotations

from gradcheck.studies.bench import by_hand, ours, peers
from gradcheck.studies.bench.contender import Contender
from gradcheck.studies.peers.registry import missing as missing_peers


def contenders() -> list[Contender]:
    """Return our checks, those written by hand, and the peers, as far as they are installed."""
    return [*ours.contenders(), *by_hand.contenders(), *peers.contenders()]


def missing() -> list[str]:
    """Name those whose library is not installed, in the order of the alphabet."""
    present = {check.name for check in contenders()}
    left_out = {*missing_peers(), *by_hand.NAMES} - present - {peers.LEFT_OUT}
    return sorted(left_out)
