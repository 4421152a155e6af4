"""One wrong derivative: how small an error does a checker catch?

Symbols: g the right gradient of a random network, j one of its coordinates with g_j != 0, each as
likely; r = 1, 1e-1, 1e-2, ... the size of the error. The checker is given g with (1 + r) g_j in the
place of g_j, the largest r first. Before all of them it is given g itself: who calls that wrong
cannot tell an error from none, and is asked no further.

A walk ends after QUIET sizes in a row that the checker does not call wrong; it is taken to let pass
all smaller ones too. Sizes end where the dtype does: below the unit roundoff (1 + r) g_j is g_j.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gradcheck.engines.reference import vectorised
from gradcheck.problems.case import Case
from gradcheck.splitmix64 import Stream
from gradcheck.studies.report.selftest.black_box import BlackBox, Planted
from gradcheck.studies.report.selftest.checkers import Answer, Checker

QUIET = 2

SIZES = tuple(float(f"1e-{k}") for k in range(15))

UP, DOWN = 2.0**20, 2.0**-20
"""Scales of the loss, about 1e6 and 1e-6."""

BATCH = 8


@dataclass(frozen=True)
class Setting:
    """What kind of network a curve is of.

    Attributes:
        varied: what sets it apart from the others, in words.
        sizes: n_0, ..., n_L.
        dtype: of all numbers.
        weight_scale: as in a case.
        loss_scale: what loss and gradient are multiplied by.
    """

    varied: str
    sizes: tuple[int, ...] = (8, 12, 6, 1)
    dtype: str = "float64"
    weight_scale: float = 1.0
    loss_scale: float = 1.0

    @property
    def size(self) -> int:
        """How many derivatives there are."""
        return Case(sizes=self.sizes).architecture.n_parameters

    def case(self, seed: int) -> Case:
        """Return a random network."""
        return Case(
            sizes=self.sizes,
            batch=BATCH,
            dtype=self.dtype,
            weight_scale=self.weight_scale,
            seed=seed,
        )


SETTINGS = (
    Setting("N = 21", sizes=(3, 4, 1)),
    Setting("N = 193"),
    Setting("N = 951", sizes=(20, 30, 10, 1)),
    Setting("float32", dtype="float32"),
    Setting("weight scale 30", weight_scale=30.0),
    Setting("loss × 2⁻²⁰ ≈ 1e-6", loss_scale=DOWN),
    Setting("loss × 2²⁰ ≈ 1e6", loss_scale=UP),
)
"""One thing is varied at a time."""

PLAIN = 1
"""The one that all others are compared with."""


@dataclass(frozen=True)
class Walk:
    """What one checker said of one network, error by error.

    Attributes:
        setting: `Setting.varied`.
        checker: its name.
        token: the network.
        coordinate: j.
        right: said of the right gradient.
        answers: by the size of the error, the largest first, as far as the walk went.
    """

    setting: str
    checker: str
    token: str
    coordinate: int
    right: Answer
    answers: dict[float, Answer]


@dataclass(frozen=True)
class Question:
    """One walk that is to be made.

    Attributes:
        checker: who is asked.
        setting: the kind of network.
        seed: of the measurement.
        number: of the network.
    """

    checker: Checker
    setting: Setting
    seed: int
    number: int


def walk(question: Question) -> Walk:
    """Ask a checker about smaller and smaller errors of one coordinate."""
    checker, setting = question.checker, question.setting
    case, box, coordinate = network(setting, question.seed, question.number)
    right = checker.ask(box)
    answers: dict[float, Answer] = {}
    for r in visible(SIZES, setting.dtype) if right is not Answer.WRONG else []:
        wrong = Planted(box.engine, coordinate, r)
        answers[r] = checker.ask(BlackBox(wrong, box.problem, box.scale))
        last = list(answers.values())[-QUIET:]
        if len(last) == QUIET and Answer.WRONG not in last:
            break
    return Walk(setting.varied, checker.name, case.token, coordinate, right, answers)


def visible(sizes: Sequence[float], dtype: str) -> list[float]:
    """Return the errors that are not lost when (1 + r) g_j is rounded.

    >>> visible([1e-6, 1e-7, 1e-8], "float32")
    [1e-06, 1e-07]
    """
    unit = float(np.finfo(dtype).eps) / 2
    return [r for r in sizes if r > unit]


@lru_cache(maxsize=64)
def network(setting: Setting, seed: int, number: int) -> tuple[Case, BlackBox, int]:
    """Draw a network and one coordinate of its gradient that is not 0.

    Networks that differ in dtype, weight scale or loss scale alone are of one seed.
    """
    case = setting.case(int(Stream(seed, f"power {number}").words(1)[0] >> np.uint64(32)))
    box = BlackBox(vectorised(), case.problem(), setting.loss_scale)
    nonzero = np.flatnonzero(box.gradient(box.x))
    if not nonzero.size:
        raise ValueError(f"{case.token}: every derivative is 0; no error can be planted")
    place = Stream(seed, f"coordinate {number}").integer(0, len(nonzero))
    return case, box, int(nonzero[place])
