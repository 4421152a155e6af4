"""How much is measured. The same extent gives the same networks and the same errors."""

from __future__ import annotations

from dataclasses import dataclass

ESTIMATORS = ("jacobi", "numdifftools")
"""Peers that estimate derivatives and leave the judging to their users; they take 29 and more
forward passes a coordinate, each a call of Python."""

LEFT_OUT = (*ESTIMATORS, "torch slow, atol 1e-9")
"""Nor is asked whose tolerance is set for a loss about 1: losses differ here, and "torch slow,
scaled" sets it by each."""


@dataclass(frozen=True)
class Extent:
    """The size of every measurement.

    Attributes:
        seed: of the networks and the coordinates.
        clean: problems that right engines are put to in the kill rate's own run.
        networks: random networks a curve is measured on.
        problems: networks that a mistake is put to a witness on, at most.
        shown: networks that a mistake is put to a checker on, at most.
        right: networks whose right gradient each checker and witness is put to.
        jobs: worker processes.
    """

    seed: int = 0
    clean: int = 20_000
    networks: int = 30
    problems: int = 8
    shown: int = 2
    right: int = 100
    jobs: int = 2
