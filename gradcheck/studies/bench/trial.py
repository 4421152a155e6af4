"""One run of a check: its answer, its seconds, and its forward passes by a counter of our own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from gradcheck.outcomes.ending import EndsCheckError
from gradcheck.studies.bench.contender import Answer, Contender, Run
from gradcheck.studies.bench.subject import Subject
from gradcheck.studies.peers.base import Passes, Planted

Clock: TypeAlias = Callable[[], float]

SAMPLE_SECONDS = 0.005
MOST_PASSES = 1000


class ClockStoppedError(EndsCheckError, RuntimeError):
    """The clock did not advance during a run."""


class MiscountError(EndsCheckError, RuntimeError):
    """The counted forward passes cannot be those of the run."""


@dataclass(frozen=True)
class Trial:
    """What one run gave.

    Attributes:
        answer: what the check said.
        passes: forward passes, counted.
        seconds: by the clock.
        forward: seconds of one forward pass of the same function, right after it; 0 if not asked.
    """

    answer: Answer
    passes: int
    seconds: float
    forward: float = 0.0

    @property
    def in_passes(self) -> float:
        """How many forward passes would have taken as long."""
        return self.seconds / self.forward


class Entry:
    """A contender, prepared for one network.

    Args:
        contender: which.
        subject: the network.
        planted: an error in its gradient, or None.
        clock: in seconds.

    Attributes:
        passes: of the latest run.
    """

    def __init__(
        self,
        contender: Contender,
        subject: Subject,
        planted: Planted | None = None,
        clock: Clock = time.perf_counter,
    ) -> None:
        self.contender, self.N = contender, subject.N
        self.passes = 0
        self._clock = clock
        self._run: Run = contender.prepare(subject, self._tick, planted)
        self._forward: Passes = contender.forward(subject)
        self._sample = 0

    def try_once(self) -> Trial:
        """Run the check once.

        Raises:
            ClockStoppedError: the clock did not advance.
            MiscountError: fewer passes were counted than there are coordinates, where each is
                differentiated by forward passes, or another number than the check itself states.
        """
        self.passes = 0
        start = self._clock()
        answer = self._run()
        seconds = self._clock() - start
        if not seconds > 0:
            raise ClockStoppedError(f"{self.contender.name} took {seconds} seconds")
        self._require_count(answer)
        return Trial(answer, self.passes, seconds)

    def forward_seconds(self) -> float:
        """Time one forward pass, as the mean of about `SAMPLE_SECONDS`.

        Raises:
            ClockStoppedError: the clock did not advance.
        """
        if not self._sample:
            self._forward(1)  # warms up
            self._sample = min(MOST_PASSES, 1 + int(SAMPLE_SECONDS / self._timed_passes(1)))
        return self._timed_passes(self._sample) / self._sample

    def _timed_passes(self, n: int) -> float:
        start = self._clock()
        self._forward(n)
        seconds = self._clock() - start
        if not seconds > 0:
            raise ClockStoppedError(f"{n} forward passes took {seconds} seconds")
        return seconds

    def _tick(self, passes: int) -> None:
        self.passes += passes

    def _require_count(self, answer: Answer) -> None:
        name, passes = self.contender.name, self.passes
        if self.contender.every_coordinate and passes < self.N:
            raise MiscountError(f"{name}: {passes} passes counted for {self.N} coordinates")
        if answer.own_count is not None and answer.own_count != passes:
            raise MiscountError(f"{name}: {passes} passes counted, it says {answer.own_count}")
