"""Finds which tests reach which lines of the modules, and how long each of them takes.

    python tests/mutation/reached.py [FILE ...]

writes a file for each file of tests to build/mutation/reached: each test with its seconds (as long
as lines are traced), and for every line the tests that reach it, as the bits of a number. A line is
known by a hash of its text, so that it may move; lines of the same text count as one. Tests that
fail are left out. What runs in other processes is not seen.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any
from zlib import crc32

import pytest
from forked import copied, run_pytest
from trust import ROOT, files_with_tests, modules

CACHE = ROOT / "build" / "mutation" / "reached"

LIMIT = 900.0
"""Seconds of processor time for one file of tests."""

Line = tuple[str, int]


def hashed(text: str) -> int:
    """Return what a line is known by, wherever it stands."""
    return crc32(text.strip().encode())


@dataclass
class Reached:
    """Tests, their seconds, and the lines that they reach."""

    tests: list[str] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    lines: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, test: str, seconds: float, lines: set[Line]) -> None:
        """Add a test with the lines that it reaches, by their hashes."""
        bit = 1 << len(self.tests)
        self.tests.append(test)
        self.seconds.append(seconds)
        for path, line in lines:
            self.lines[path][line] = self.lines[path].get(line, 0) | bit

    def of_line(self, path: str, text: str) -> list[int]:
        """Return the tests that reach a line of a text."""
        bits = self.lines.get(path, {}).get(hashed(text), 0)
        return [i for i in range(len(self.tests)) if bits >> i & 1]

    def of_module(self, path: str) -> list[int]:
        """Return the tests that reach any line of a module."""
        bits = 0
        for some in self.lines.get(path, {}).values():
            bits |= some
        return [i for i in range(len(self.tests)) if bits >> i & 1]

    def write(self, path: Path) -> None:
        """Write a file that `read` reads."""
        lines = {p: {n: hex(bits) for n, bits in of.items()} for p, of in self.lines.items()}
        told = {"tests": self.tests, "seconds": self.seconds, "lines": lines}
        path.write_text(json.dumps(told), "utf-8")

    @classmethod
    def read(cls, path: Path) -> Reached:
        """Read what `write` has written."""
        told = json.loads(path.read_text("utf-8"))
        lines = {p: {int(n): int(b, 16) for n, b in of.items()} for p, of in told["lines"].items()}
        return cls(told["tests"], told["seconds"], defaultdict(dict, lines))


class Tracer:
    """A plugin of pytest that notes the lines each test reaches."""

    def __init__(self, tree: Path, paths: list[str], target: Path) -> None:
        self.names = {str(tree / path): path for path in paths}
        self.hashes = {
            path: [0, *map(hashed, (tree / path).read_text("utf-8").splitlines())] for path in paths
        }
        self.target = target
        self.seen: set[Line] = set()
        self.reached = Reached()
        self.failed: set[str] = set()

    def _call(self, frame: FrameType, event: str, _: Any) -> Any:
        path = self.names.get(frame.f_code.co_filename)
        if path is None:
            return None
        seen = self.seen

        def line(frame: FrameType, event: str, _: Any) -> Any:
            seen.add((path, frame.f_lineno))
            return line

        return line(frame, event, None)

    @pytest.hookimpl(hookwrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Trace one test with its fixtures."""
        self.seen, start = set(), time.process_time()
        threading.settrace(self._call)
        sys.settrace(self._call)
        yield
        sys.settrace(None)
        threading.settrace(None)
        if item.nodeid not in self.failed:
            seen = {(path, self.hashes[path][line]) for path, line in self.seen}
            self.reached.add(item.nodeid, time.process_time() - start, seen)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note what fails."""
        if report.failed:
            self.failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        """Write what was reached."""
        self.reached.write(self.target)


def measure(files: Sequence[str] = (), target: Path = CACHE) -> None:
    """Run files of tests under the tracer, each in a fork of its own; without files, all."""
    target.mkdir(parents=True, exist_ok=True)
    with copied(ROOT) as tree:
        paths = modules(tree)
        for file in files or files_with_tests(tree):
            part = target / f"{file.replace('/', '+')}.json"
            part.unlink(missing_ok=True)
            code = run_pytest(tree, [file], [Tracer(tree, paths, part)], seconds=LIMIT)
            count = len(Reached.read(part).tests) if part.exists() else 0
            print(f"{file}: {count} tests, exit code {code}", flush=True)  # noqa: T201


def known(folder: Path = CACHE) -> Reached:
    """Return what `measure` has found of all files."""
    whole = Reached()
    for path in sorted(folder.glob("*.json")):
        part, shift = Reached.read(path), len(whole.tests)
        whole.tests.extend(part.tests)
        whole.seconds.extend(part.seconds)
        for module, of in part.lines.items():
            for line, bits in of.items():
                before = whole.lines[module].get(line, 0)
                whole.lines[module][line] = before | bits << shift
    return whole


if __name__ == "__main__":
    measure(sys.argv[1:])
