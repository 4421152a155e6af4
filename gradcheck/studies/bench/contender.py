"""What takes part: a check of ours or a peer's, prepared for a network and run once.

There are two blocks, which are not compared with each other: checks that see ANY function, and
those that need to know what the NETWORK is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gradcheck.studies.bench.subject import Subject
from gradcheck.studies.peers.base import Passes, Planted

PASS, FAIL, INCONCLUSIVE = "PASS", "FAIL", "INCONCLUSIVE"

ANY, NETWORK = "any function", "the network is known"
BLOCKS = (ANY, NETWORK)

CERTAIN, ESTIMATED, NONE = "certain", "estimated", "none"
"""What a check states about the error of the derivatives that it compares with."""

Tick: TypeAlias = Callable[[int], object]
"""Called with the number of forward passes just made."""


@dataclass(frozen=True)
class Answer:
    """What a check said of one gradient.

    Attributes:
        verdict: PASS, FAIL or INCONCLUSIVE.
        named: the coordinate it calls wrong, the worst of several, or None.
        own_count: the forward passes it says it took, or None if it says nothing.
    """

    verdict: str
    named: int | None = None
    own_count: float | None = None


Run: TypeAlias = Callable[[], Answer]
Prepare: TypeAlias = Callable[[Subject, Tick, Planted | None], Run]


@dataclass(frozen=True)
class Contender:
    """A check that takes part.

    Attributes:
        name: what it is called in tables.
        ours: whether it is this project's.
        block: ANY or NETWORK.
        bound: CERTAIN, ESTIMATED or NONE.
        written_in: the library of the function that it calls.
        settings: its settings and the rule it passes by, in one sentence.
        version: of the library it is in.
        every_coordinate: whether it differentiates each coordinate by forward passes of its own.
        slow_to_fail: whether it looks at each coordinate once it has failed.
        prepare: makes the check of a network, with forward passes told to a tick and an error
            planted or not.
        forward: prepares forward passes of the function that it calls.
    """

    name: str
    ours: bool
    block: str
    bound: str
    written_in: str
    settings: str
    version: str
    every_coordinate: bool
    slow_to_fail: bool
    prepare: Prepare
    forward: Callable[[Subject], Passes]
