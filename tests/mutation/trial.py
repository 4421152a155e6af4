"""Plants a defect in a copy of the tree, and asks the tests that reach it."""

from __future__ import annotations

import shutil
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import accumulate, pairwise
from pathlib import Path

import pytest
from defect import Defect
from forked import HUNG, run_pytest
from reached import Reached

ROUNDS = (1.5, 8.0)
"""Seconds of tests in each round; what none of them all catches is said to survive."""

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
        for names, seconds in rounds(defect, sound.read_text("utf-8").splitlines(), reached):
            files = list(dict.fromkeys(map(_file, names)))
            limit = SLOWER * seconds + SPARE
            code = run_pytest(tree, ["-x", *files], [Chosen(names)], seconds=limit, output=output)
            asked += seconds
            if code not in (0, NO_TESTS):
                return Trial(defect, Fate.HUNG if code == HUNG else Fate.CAUGHT, asked)
            fate = Fate.SURVIVED
    finally:
        shutil.move(sound, module)
    return Trial(defect, fate, asked)


def rounds(
    defect: Defect, lines: Sequence[str], reached: Reached
) -> Iterator[tuple[list[str], float]]:
    """Return the tests that reach a defect in rounds, with their seconds.

    First quick ones of the two files that say most of the module: of its name, then with most tests
    that reach the defect. Then all others, the quickest first.
    """
    tests = sorted(asked_of(defect, lines, reached), key=lambda i: reached.seconds[i])
    count = Counter(_file(reached.tests[i]) for i in tests)
    stem = Path(defect.path).stem
    nearest = sorted(count, key=lambda file: (stem not in file, -count[file]))[:2]
    near = [i for i in tests if _file(reached.tests[i]) in nearest]
    first = near[: max(1, bisect_right(_totals(near, reached), ROUNDS[0]))]
    left = [i for i in tests if i not in set(first)]
    ends = [0, *(bisect_right(_totals(left, reached), limit) for limit in ROUNDS[1:])]
    for some in (first, *(left[begin:end] for begin, end in pairwise(ends))):
        if some:
            yield [reached.tests[i] for i in some], sum(reached.seconds[i] for i in some)


def _file(test: str) -> str:
    return test.partition("::")[0]


def _totals(tests: Sequence[int], reached: Reached) -> list[float]:
    return list(accumulate(reached.seconds[i] for i in tests))


def asked_of(defect: Defect, lines: Sequence[str], reached: Reached) -> list[int]:
    """Return the tests that reach a defect: its line, its statement, or else its module.

    What stands outside of functions is computed before any test, and may matter to each test of
    the module, and to those of its name, which may look at it alone. What runs in other processes
    is not seen: there the tests of the module's name are asked.
    """
    name = f"_{Path(defect.path).stem}"
    of_its_name = [i for i, test in enumerate(reached.tests) if name in _file(test)]
    if not defect.function:
        return sorted({*reached.of_module(defect.path), *of_its_name})
    for line in (defect.line, defect.statement):
        if found := reached.of_line(defect.path, lines[line - 1]):
            return found
    return of_its_name
