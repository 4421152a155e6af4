"""Plants a defect in a copy of the tree, and asks the tests that reach it."""

from __future__ import annotations

import shutil
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate
from pathlib import Path

import pytest
from defect import Defect
from forked import HUNG, run_pytest
from reached import Reached

ROUNDS = (1.5, 8.0, 40.0)
"""Seconds of tests, the quickest first, after which those before are run, and a defect that none
of them all catches is said to survive."""

SLOWER, SPARE = 10, 60
"""How much longer than traced a round may take, and seconds more, before it is said to hang."""

NO_TESTS = 5
"""pytest's exit code where there is nothing to run."""


class Fate(Enum):
    """What becomes of a defect."""

    CAUGHT = "caught"
    HUNG = "hangs"
    SURVIVED = "survived"
    UNREACHED = "no test"


@dataclass(frozen=True)
class Trial:
    """A defect, what became of it, and after how many seconds of tests."""

    defect: Defect
    fate: Fate
    asked: float

    @property
    def is_caught(self) -> bool:
        """Whether a test failed, or ended by force."""
        return self.fate in (Fate.CAUGHT, Fate.HUNG)


class Chosen:
    """A plugin of pytest that runs some tests alone."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = frozenset(names)

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave all others out."""
        items[:] = [item for item in items if item.nodeid in self.names]


def attempt(defect: Defect, tree: Path, reached: Reached, output: Path | None = None) -> Trial:
    """Plant a defect in the tree, run the tests that reach it, and take it out again.

    Args:
        defect: of a module of the tree.
        tree: a copy, which is written to.
        reached: which tests reach which lines.
        output: where pytest's last words go.
    """
    module, asked, fate = tree / defect.path, 0.0, Fate.UNREACHED
    sound = module.with_suffix(".sound")
    shutil.copy2(module, sound)
    try:
        module.write_text(defect.apply(sound.read_text("utf-8")), "utf-8")
        for names, seconds in rounds(defect, reached):
            files = list(dict.fromkeys(name.partition("::")[0] for name in names))
            limit = SLOWER * seconds + SPARE
            code = run_pytest(tree, ["-x", *files], [Chosen(names)], seconds=limit, output=output)
            asked += seconds
            if code not in (0, NO_TESTS):
                return Trial(defect, Fate.HUNG if code == HUNG else Fate.CAUGHT, asked)
            fate = Fate.SURVIVED
    finally:
        shutil.move(sound, module)
    return Trial(defect, fate, asked)


def rounds(defect: Defect, reached: Reached) -> Iterator[tuple[list[str], float]]:
    """Return the tests that reach a defect in rounds, the quickest first, with their seconds."""
    tests = sorted(asked_of(defect, reached), key=lambda i: reached.seconds[i])
    total = list(accumulate(reached.seconds[i] for i in tests))
    begin = 0
    for limit in ROUNDS:
        end = bisect_right(total, limit)
        if not begin:
            end = max(end, 1)  # a test that takes longer than that is asked all the same
        if some := tests[begin:end]:
            yield [reached.tests[i] for i in some], sum(reached.seconds[i] for i in some)
        begin = max(begin, end)


def asked_of(defect: Defect, reached: Reached) -> list[int]:
    """Return the tests that reach a defect: its line, its statement, or else its module.

    What stands outside of functions is computed before any test, and may matter to each test of
    the module. What runs in other processes is not seen: there the tests of the module's name are
    asked.
    """
    if not defect.function:
        return reached.of_module(defect.path)
    for line in (defect.line, defect.statement):
        if found := reached.of_line(defect.path, line):
            return found
    name = f"_{Path(defect.path).stem}.py::"
    return [i for i, test in enumerate(reached.tests) if name in test]
