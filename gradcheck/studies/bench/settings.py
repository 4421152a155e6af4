"""How much is measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

from gradcheck.problem import Architecture
from gradcheck.studies.bench.subject import NETWORKS, SEED


@dataclass(frozen=True)
class Settings:
    """The size of a run.

    Attributes:
        networks: their layer sizes, in ascending order of N.
        threads: of linear algebra, one process for each number.
        repeats: timed runs of a check, of which the median is taken.
        often: the same of a check that takes at most `short` seconds a run.
        short: see `often`.
        long: seconds of a run above which it is repeated less: three times up to three times as
            long, once beyond that.
        warm_up: seconds up to which a first run is not counted.
        longest: seconds; a check that would take longer is extrapolated.
        longest_again: the same for every number of threads but the first.
        longest_named: seconds of a run up to which an error of 1 % is planted.
        longest_search: the same for the smallest error seen, which takes about five runs.
        right: right gradients that are put to each check.
        longest_right: seconds up to which a check is given those.
        turns: samples of the reference backprop and of PyTorch's; 0 leaves them out.
        seed: of the networks.
    """

    networks: tuple[tuple[int, ...], ...] = NETWORKS
    threads: tuple[int, ...] = (1, 2)
    repeats: int = 5
    often: int = 25
    short: float = 0.05
    long: float = 5.0
    warm_up: float = 5.0
    longest: float = 30.0
    longest_again: float = 3.0
    longest_named: float = 5.0
    longest_search: float = 4.0
    right: int = 20
    longest_right: float = 6.0
    turns: int = 11
    seed: int = SEED

    @classmethod
    def quick(cls) -> Settings:
        """Return the settings of a run up to 9,901 weights."""
        return cls(
            networks=NETWORKS[:3],
            long=0.5,
            warm_up=3.0,
            longest=4.0,
            longest_again=2.0,
            longest_named=0.5,
            longest_search=0.1,
            longest_right=0.5,
            turns=0,
        )

    @staticmethod
    def ordered(networks: Iterable[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
        """Return networks in ascending order of N, each once."""
        return tuple(sorted(set(networks), key=lambda sizes: Architecture(sizes).n_parameters))

    def repeats_for(self, seconds: float) -> int:
        """Return how often a check that takes so long is timed."""
        if seconds <= self.short:
            return self.often
        if seconds <= self.long:
            return self.repeats
        return min(3, self.repeats) if seconds <= 3 * self.long else 1

    def to_json(self) -> dict[str, Any]:
        """Return the settings as JSON has them."""
        lists = {"networks": [list(n) for n in self.networks], "threads": list(self.threads)}
        return {**asdict(self), **lists}

    @classmethod
    def from_json(cls, content: dict[str, Any]) -> Settings:
        """Read what `to_json` returns."""
        tuples = {
            "networks": tuple(tuple(sizes) for sizes in content["networks"]),
            "threads": tuple(content["threads"]),
        }
        return cls(**{**content, **tuples})
