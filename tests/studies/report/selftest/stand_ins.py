"""Checkers whose power is known: none, total, a threshold, and one that only raises."""

from functools import cache, partial

import numpy as np

from gradcheck.engines.installed import Library
from gradcheck.engines.reference import vectorised
from gradcheck.problems.case import sample_cases
from gradcheck.studies.peers.base import Judgement, Peer
from gradcheck.studies.report.selftest.black_box import BlackBox
from gradcheck.studies.report.selftest.checkers import Answer, Checker


@cache
def few_small_networks(seed):
    """Stand in for the mild networks, with at most 12 derivatives each."""
    limits = {"dtypes": ("float64",), "corners": ("generic",), "max_parameters": 12, "max_batch": 4}
    cases = sample_cases(30, seed, **limits)
    return tuple(case.problem() for case in cases if case.weight_scale <= 3)


def threshold(box: BlackBox, least: float) -> Answer:
    """Compare with the right gradient: any relative error of at least `least` is wrong."""
    right = BlackBox(vectorised(), box.problem, box.scale).gradient(box.x)
    with np.errstate(invalid="ignore", divide="ignore"):
        errors = np.abs(box.gradient(box.x) - right) / np.abs(right)
    return Answer.WRONG if np.nanmax(errors) >= least * (1 - 1e-6) else Answer.PASSED


def raise_error(_box: BlackBox) -> Answer:
    raise ValueError("shapes do not fit")


def always(_box: BlackBox, answer: Answer) -> Answer:
    return answer


def checker(name, check, *, own=True):
    return Checker(name, own, f"{name} by default", "1.0", check)


BLIND = checker("blind", partial(always, answer=Answer.PASSED))
EAGER = checker("eager", partial(always, answer=Answer.WRONG))
SHRUGS = checker("shrugs", partial(always, answer=Answer.UNDECIDED))
IDEAL = checker("ideal", partial(threshold, least=1e-5))
BROKEN = checker("broken", raise_error)


def passes(_loss, _gradient, _x):
    return lambda: Judgement(passed=True)


def fails(_loss, _gradient, _x):
    return lambda: Judgement(passed=False, named=0)


def peer(name, make, distribution="numpy"):
    return Peer(name, Library("peers", [distribution], ""), f"{name} by default", True, make)


PEERS = {
    "blind peer": peer("blind peer", passes),
    "eager peer": peer("eager peer", fails),
    "absent peer": peer("absent peer", passes, "a distribution that nobody has"),
}
