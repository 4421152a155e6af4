"""What a check sees of one wrong derivative: the coordinate it names, the smallest error it calls.

The error is planted into the coordinate whose derivative is of median size, as a relative error r
= 2^k. A check that calls 2^k wrong is taken to call every larger error wrong; the smallest such
power between 2^LOWEST and 2^HIGHEST is sought, so r is known within a factor of 2.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from math import log2

from gradcheck.outcomes.ending import EndsCheckError
from gradcheck.studies.bench.contender import FAIL, Answer, Contender
from gradcheck.studies.bench.subject import Subject
from gradcheck.studies.bench.trial import Clock, Entry
from gradcheck.studies.peers.base import Planted

PLANTED = 1e-2
LOWEST, HIGHEST = -52, 20

NAMED, CAUGHT, MISNAMED, MISSED = "named", "caught, not named", "another named", "missed"


class TooLongError(EndsCheckError, RuntimeError):
    """A check of a wrong gradient took longer than the search can afford."""


class Search:
    """Plants errors into one network's gradient and asks a check about each.

    Args:
        contender: the check.
        subject: the network.
        affordable: seconds of one run.
        clock: in seconds.

    Attributes:
        longest: seconds of the longest run so far.
    """

    def __init__(
        self,
        contender: Contender,
        subject: Subject,
        affordable: float,
        clock: Clock = time.perf_counter,
    ) -> None:
        self._contender, self._subject = contender, subject
        self._affordable, self._clock = affordable, clock
        self.longest = 0.0

    def found(self) -> str:
        """Plant an error of 1 %; say whether it is named, caught or missed."""
        answer = self._ask(PLANTED)
        if answer.verdict != FAIL:
            return MISSED
        if answer.named is None:
            return CAUGHT
        return NAMED if answer.named == self._subject.median_coordinate else MISNAMED

    def smallest_error_seen(self, near: float | None = None) -> float | None:
        """Return the smallest power of 2 that is called wrong, None if not even the largest is.

        Args:
            near: the answer for another network, from which the search starts; default: 1 %.

        Raises:
            TooLongError: a run took longer than is affordable.
        """

        def is_caught(k: int) -> bool:
            if self.longest > self._affordable:
                raise TooLongError(f"a check that fails takes {self.longest:.1f} s")
            return self._ask(2.0**k).verdict == FAIL

        k = first(is_caught, LOWEST, HIGHEST, round(log2(near or PLANTED)))
        return None if k is None else 2.0**k

    def _ask(self, relative: float) -> Answer:
        planted = Planted(self._subject.median_coordinate, relative)
        trial = Entry(self._contender, self._subject, planted, self._clock).try_once()
        self.longest = max(self.longest, trial.seconds)
        return trial.answer


def first(holds: Callable[[int], bool], low: int, high: int, guess: int) -> int | None:
    """Return the smallest k in low..high that `holds` is true of.

    It must be false below some k and true from there on; None if it is false of `high`. From the
    guess steps are doubled until k is between two of them, then the gap is halved.

    >>> first(lambda k: k >= 3, -10, 10, 0), first(lambda k: False, -10, 10, 0)
    (3, None)
    """
    step = 1
    if holds(guess):
        high = guess
        while low < high:
            k = max(low, high - step)
            if not holds(k):
                low = k + 1
                break
            high, step = k, 2 * step
    else:
        low = guess + 1
        while low <= high:
            k = min(high, low - 1 + step)
            if holds(k):
                high = k
                break
            low, step = k + 1, 2 * step
        else:
            return None
    return _halved(holds, low, high)


def _halved(holds: Callable[[int], bool], low: int, high: int) -> int:
    """Return the smallest k that `holds` is true of; it is true of high, false below low."""
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return high
