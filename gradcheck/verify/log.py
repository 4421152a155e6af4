"""The log of a verification: JSON lines, appended as results come.

    header   engine, settings, versions
    case     one for every problem, in the order of the plan (and what happened to the engine)
    known    one for every known failure that was declared, after the last case
    failure  one for every way to fail that was not
    footer   the exit code; a log without it is incomplete

Every line is written at once and flushed, so that whatever ends the process costs the cases in
flight and at most half a line. Numbers that JSON has no word for are the strings "NaN", "Infinity"
and "-Infinity". But for the values of "seconds", the same settings give the same bytes.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from gradcheck.verify.plan import TRIES
from gradcheck.verify.slot import Record, is_refused

FORMAT = "gradcheck-log-1"

WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class LogError(ValueError):
    """A log that cannot be used; the message says why."""


def encode(record: Mapping[str, Any]) -> str:
    """Write a record as one line of JSON.

    >>> encode({"kind": "case", "resolution": float("nan")})
    '{"kind":"case","resolution":"NaN"}'
    """
    return json.dumps(_plain(record), separators=(",", ":"), allow_nan=False)


def decode(line: str | bytes) -> Record:
    """Read a record; numbers that are told in words stay words, but in a finding.

    Raises:
        LogError: the line is no record.
    """
    try:
        record = json.loads(line)
    except ValueError as error:
        raise LogError(str(error)) from None
    if not isinstance(record, dict) or "kind" not in record:
        raise LogError("a record is an object with a kind")
    for finding in record.get("findings", ()):
        finding["resolution"] = _number(finding["resolution"])
        for name, value in (finding["worst"] or {}).items():
            finding["worst"][name] = value if name == "name" else _number(value)
    return record


class Log:
    """The records of a run, kept in memory and, where there is a path, in a file.

    Attributes:
        records: all of them, in order.
    """

    def __init__(self, path: Path | None) -> None:
        self.records: list[Record] = []
        self._path = path
        self._file: IO[bytes] | None = None

    def begin(self, header: Record) -> None:
        """Start a new log."""
        if self._path is not None:
            self._file = self._path.open("wb")
        self.write([header])

    def resume(self, kept: Sequence[Record], size: int) -> None:
        """Go on with a log after its first `size` bytes, which hold the records `kept`."""
        assert self._path is not None  # noqa: S101 - who resumes has named a file
        self._file = self._path.open("r+b")
        self._file.truncate(size)
        self._file.seek(size)
        self.records = list(kept)

    def write(self, records: Iterable[Record]) -> None:
        """Append records."""
        new = list(records)
        self.records += new
        if self._file is not None:
            self._file.write(b"".join(encode(record).encode() + b"\n" for record in new))
            self._file.flush()

    def close(self) -> None:
        """Bring the file to the disk."""
        if self._file is not None:
            os.fsync(self._file.fileno())
            self._file.close()
            self._file = None


class Earlier:
    """A log that is there already.

    Attributes:
        header: its header.
        records: header, and everything up to the last number of the plan that was finished.
        size: how many bytes they take.
        finished: the log holds its whole run, whose records are `every`.
    """

    def __init__(self, path: Path) -> None:
        lines = _whole_lines(path)
        self.every = [record for record, _ in lines]
        if not self.every or self.every[0].get("format") != FORMAT:
            raise LogError(f"{path} is not a log of this program ({FORMAT})")
        self.header = self.every[0]
        last = self.every[-1]
        self.finished = last["kind"] == "footer" and bool(last.get("complete"))
        kept = _finished(self.every)
        self.records = self.every[:kept]
        self.size = lines[kept - 1][1]

    @property
    def numbers(self) -> list[int]:
        """The numbers of the plan that are finished, in order."""
        return list(dict.fromkeys(r["n"] for r in self.records if r["kind"] == "case"))

    def require(self, header: Record, path: Path) -> None:
        """Hold the header to that of the run that goes on.

        Raises:
            LogError: they differ.
        """
        plain = json.loads(encode(header))
        for name in sorted(set(plain) | set(self.header) - {"command"}):
            if name != "command" and plain.get(name) != self.header.get(name):
                raise LogError(
                    f"{path} cannot be resumed: its {name} is {self.header.get(name)}, "
                    f"that of this run {plain.get(name)}"
                )


def _whole_lines(path: Path) -> list[tuple[Record, int]]:
    """Read records, and where each ends; half a line at the end is dropped.

    Raises:
        LogError: a line that is no record, but for the last one.
    """
    found: list[tuple[Record, int]] = []
    position = 0
    lines = path.read_bytes().splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        position += len(line)
        try:
            if line.endswith(b"\n"):
                found.append((decode(line), position))
        except (LogError, KeyError, TypeError, AttributeError) as error:
            if number < len(lines):
                raise LogError(f"{path}, line {number}: {error}") from None
    return found


def _finished(records: Sequence[Record]) -> int:
    """Return how many records lead up to the last number that was finished."""
    kept = 1
    refused: dict[int, int] = {}
    for place, record in enumerate(records[1:], start=1):
        if record["kind"] in ("failure", "footer"):
            break
        if record["kind"] != "case":
            continue
        n = record["n"]
        refused[n] = refused.get(n, 0) + is_refused(record)
        if n < 0 or refused[n] == TRIES or not is_refused(record):
            kept = place + 1
    return kept


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


def _number(value: Any) -> float:
    return WORDS[value] if isinstance(value, str) else float(value)
