"""Whole wrong backprops before every checker, as it is, and the loss scaled.

A wrong backprop is a black box: its own loss and its gradient, functions of one vector. It is put
to a checker on a few networks on which its mistake can show, mild ones where there are such; the
first that the checker calls wrong is enough. A right backprop on mild networks shows who accuses
the innocent. Agreement, which knows the network, is asked beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from gradcheck.mutants.backprop import Backprop
from gradcheck.mutants.registry import MUTANTS
from gradcheck.problem import Problem
from gradcheck.problems.case import sample_cases
from gradcheck.splitmix64 import stream_key
from gradcheck.studies.report.selftest.black_box import BlackBox
from gradcheck.studies.report.selftest.checkers import Answer, Checker
from gradcheck.studies.report.selftest.extent import Extent
from gradcheck.studies.report.selftest.planted import DOWN, UP
from gradcheck.studies.report.selftest.pool import each

Numbers = dict[str, Any]

SCALES = {"1": 1.0, "1e-6": DOWN, "1e6": UP}
"""Of the loss; powers of two about these."""

MILD = 3.0
"""The largest weight scale of a mild network."""

DRAWN = 400

RIGHT = ""
"""In the place of a mutant's name: no mistake at all."""


@dataclass(frozen=True)
class Question:
    """One checker, one mistake, or one right gradient.

    Attributes:
        checker: who is asked.
        mutant: its name, or RIGHT.
        seed: of the networks.
        first: number of the first network, among those on which the mistake can show.
        most: how many networks.
    """

    checker: Checker
    mutant: str
    seed: int
    first: int = 0
    most: int = 1


def measure(
    checkers: Sequence[Checker], extent: Extent, mutants: Sequence[str] | None = None
) -> Numbers:
    """Put every mistake and right gradients to every checker, at three scales of the loss.

    Args:
        checkers: who is asked.
        extent: how many networks, and the seed.
        mutants: whose mistakes; default: all wrong backprops.
    """
    names = list(MUTANTS) if mutants is None else list(mutants)
    wrong = [Question(c, name, extent.seed, most=extent.shown) for c in checkers for name in names]
    right = [Question(c, RIGHT, extent.seed, k) for c in checkers for k in range(extent.right)]
    told = each("wrong backprops", ask, wrong, jobs=extent.jobs, chunk=8)
    innocent = each("innocent backprops", ask, right, jobs=extent.jobs, chunk=10)
    every = {}
    for n, checker in enumerate(checkers):
        caught = told[n * len(names) : (n + 1) * len(names)]
        asked = innocent[n * extent.right : (n + 1) * extent.right]
        every[checker.name] = {
            scale: {
                "caught": [
                    name for name, one in zip(names, caught, strict=True) if _wrong(one[scale])
                ],
                "accused": sum(_wrong(one[scale]) for one in asked),
                "undecided": sum(Answer.UNDECIDED.value in one[scale] for one in asked),
            }
            for scale in SCALES
        }
    return {"mutants": names, "right": extent.right, "checkers": every}


def ask(question: Question) -> dict[str, list[str]]:
    """Return the answers at each scale, network by network, up to the first WRONG."""
    found = {}
    for label, scale in SCALES.items():
        answers: list[str] = []
        engine = MUTANTS[question.mutant].make() if question.mutant else Backprop()
        for problem in networks(question):
            answers.append(question.checker.ask(BlackBox(engine, problem, scale)).value)
            if _wrong(answers):
                break
        found[label] = answers
    return found


def networks(question: Question) -> Iterator[Problem]:
    """Return the networks of a question: mild ones first, and others where those do not do."""
    shows = MUTANTS[question.mutant].shows.admits if question.mutant else lambda _: True
    drawn = (p for problems in (mild(question.seed), any_kind(question.seed)) for p in problems)
    fit = (problem for problem in drawn if shows(problem))
    return islice(fit, question.first, question.first + question.most)


@cache
def mild(seed: int) -> tuple[Problem, ...]:
    """Draw small float64 networks without corner cases, of weight scales up to MILD."""
    cases = sample_cases(
        DRAWN,
        stream_key(seed, "mild networks"),
        dtypes=("float64",),
        corners=("generic",),
        max_parameters=200,
        max_batch=32,
    )
    return tuple(case.problem() for case in cases if case.weight_scale <= MILD)


@cache
def any_kind(seed: int) -> tuple[Problem, ...]:
    """Draw small float64 networks of every kind."""
    key = stream_key(seed, "networks of every kind")
    cases = sample_cases(DRAWN, key, dtypes=("float64",), max_parameters=400)
    return tuple(case.problem() for case in cases)


def rows(mistakes: Numbers) -> Iterator[Numbers]:
    """Return one row a mistake: whether each checker caught it, by the scale of the loss."""
    for name in mistakes["mutants"]:
        yield {
            "mutant": name,
            **{
                f"{checker}, loss x {scale}": name in told[scale]["caught"]
                for checker, told in mistakes["checkers"].items()
                for scale in SCALES
            },
        }


def _wrong(answers: Sequence[str]) -> bool:
    return Answer.WRONG.value in answers
