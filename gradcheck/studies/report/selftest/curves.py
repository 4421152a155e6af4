"""Detection power: the share of planted errors that are caught, with its confidence limits.

An error is caught where the checker calls the wrong gradient wrong, and does not say the same of
the right one: who accuses everybody has caught nobody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Any

from gradcheck.studies.report.selftest.binomial import limits
from gradcheck.studies.report.selftest.checkers import Answer, Checker
from gradcheck.studies.report.selftest.extent import Extent
from gradcheck.studies.report.selftest.planted import (
    SETTINGS,
    SIZES,
    Question,
    Setting,
    Walk,
    visible,
    walk,
)
from gradcheck.studies.report.selftest.pool import each

Numbers = dict[str, Any]


def measure(
    checkers: Sequence[Checker], extent: Extent, settings: Sequence[Setting] = SETTINGS
) -> list[Numbers]:
    """Put every checker to every kind of network; return one entry a curve.

    Args:
        checkers: who is asked.
        extent: how many networks, and the seed.
        settings: the kinds of networks.
    """
    questions = [
        Question(checker, setting, extent.seed, number)
        for setting in settings
        for checker in checkers
        for number in range(extent.networks)
    ]
    walks = each("detection power", walk, questions, jobs=extent.jobs, chunk=4)
    by_name = {setting.varied: setting for setting in settings}
    return [
        curve(by_name[name], checker, list(group))
        for (name, checker), group in groupby(walks, key=lambda w: (w.setting, w.checker))
    ]


def curve(setting: Setting, checker: str, walks: Sequence[Walk]) -> Numbers:
    """Count what a checker caught on the networks of one kind, size by size."""
    n = len(walks)
    sizes = visible(SIZES, setting.dtype)
    accused = sum(w.right is Answer.WRONG for w in walks)
    caught = [sum(is_caught(w, r) for w in walks) for r in sizes]
    return {
        "setting": setting.varied,
        "N": setting.size,
        "dtype": setting.dtype,
        "weight_scale": setting.weight_scale,
        "loss_scale": setting.loss_scale,
        "checker": checker,
        "networks": n,
        "sizes": sizes,
        "caught": caught,
        "undecided": [sum(w.answers.get(r) is Answer.UNDECIDED for w in walks) for r in sizes],
        "limits": [list(limits(k, n)) for k in caught],
        "right": {
            "accused": accused,
            "undecided": sum(w.right is Answer.UNDECIDED for w in walks),
            "limits": list(limits(accused, n)),
        },
        "half": smallest_caught(sizes, caught, n, 0.5),
        "most": smallest_caught(sizes, caught, n, 0.9),
    }


def smallest_caught(
    sizes: Sequence[float], caught: Sequence[int], n: int, share: float
) -> float | None:
    """Return the smallest error down to which the share is caught at every size, None if at none.

    >>> smallest_caught([1.0, 0.1, 0.01], [10, 9, 4], 10, 0.9)
    0.1
    """
    found = None
    for r, k in zip(sizes, caught, strict=True):
        if k < share * n:
            break
        found = r
    return found


def rows(curves: Iterable[Numbers]) -> Iterator[Numbers]:
    """Return the points of the curves, one row each; the right gradient is an error of 0."""
    for one in curves:
        head = {name: one[name] for name in ("setting", "N", "dtype", "weight_scale", "loss_scale",
                                             "checker", "networks")}  # fmt: skip
        points = zip(one["sizes"], one["caught"], one["undecided"], one["limits"], strict=True)
        right = one["right"]
        at_zero = (0.0, right["accused"], right["undecided"], right["limits"])
        for r, called_wrong, undecided, (low, high) in [*points, at_zero]:
            yield {**head, "error": r, "called_wrong": called_wrong, "undecided": undecided,
                   "share_low": low, "share_high": high}  # fmt: skip


def is_caught(walked: Walk, r: float) -> bool:
    """Whether an error of size r was told from no error."""
    return walked.answers.get(r) is Answer.WRONG and walked.right is not Answer.WRONG
