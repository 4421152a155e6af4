"""The log of a verification: JSON lines, appended as results come.

    header   engine, settings, versions
    case     one for every problem, in the order of the plan (and what happened to the engine)
    known    one for every known failure that was declared, after the last case
    failure  one for every way to fail that was not
    footer   the exit code; a log without it is incomplete

Every line is written at once and flushed, so that whatever ends the process costs the cases in
flight and at most half a line. Numbers that JSON has no word for are the strings "NaN", "Infinity"
and "-Infinity". But for the values of "seconds", the same settings give the same bytes.

Every line ends with a checksum of itself and of the line before, the values of "seconds" aside: a
line that was changed, moved or taken out is noticed. It guards against accidents and careless
editing; whoever means to forge a log can compute it, too. A log of format 1 has none, and cannot be
gone on with. While a run writes a log, it holds a lock that ends with its process.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import math
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NamedTuple

from gradcheck.verification.plan import TRIES
from gradcheck.verification.slot import Record, is_refused
from gradcheck.writing.terminal import UnwritableError

FORMAT = "gradcheck-log-2"

TIMING = re.compile(rb'"seconds":[0-9.e+-]+')
SEALED = re.compile(rb',"check":"([0-9a-f]{16})"\}\n?')
"""How a line ends: 8 bytes of BLAKE2b."""

WORDS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class LogError(ValueError):
    """A log that cannot be used; the message says why."""


def encode(record: Mapping[str, Any]) -> str:
    """Write a record as one line of JSON.

    >>> encode({"kind": "case", "resolution": float("nan")})
    '{"kind":"case","resolution":"NaN"}'
    """
    return json.dumps(_plain(record), separators=(",", ":"), allow_nan=False)


def sealed(text: str, before: str) -> tuple[bytes, str]:
    r"""Write a record's line with its checksum, given that of the line before; return both.

    >>> sealed('{"kind":"case"}', "")[0]
    b'{"kind":"case","check":"7d5b31c62e70017c"}\n'
    """
    body = text.encode().removesuffix(b"}")
    check = _checksum(body, before)
    return body + f',"check":"{check}"}}\n'.encode(), check


def opened(line: bytes, before: str) -> tuple[Record, str]:
    """Read a line; return its record and its checksum.

    Raises:
        LogError: it is no record, has no checksum, or another one than it should.
    """
    found = SEALED.search(line, max(0, len(line) - 40))
    record = decode(line)
    if found is None or found.end() != len(line):
        raise LogError("it has no checksum")
    check = found[1].decode()
    if check != _checksum(line[: found.start()], before):
        raise LogError("its checksum is wrong: the line was changed, or the one before it is gone")
    record.pop("check", None)
    return record, check


def _checksum(body: bytes, before: str) -> str:
    text = before.encode() + TIMING.sub(b'"seconds":0', body)
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def decode(line: str | bytes) -> Record:
    """Read a record; numbers that are told in words stay words, but in a finding.

    Raises:
        LogError: the line is no record.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise LogError(str(error)) from None
    if not isinstance(record, dict) or "kind" not in record:
        raise LogError("a record is an object with a kind")
    try:
        for finding in record.get("findings", ()):
            finding["resolution"] = _number(finding["resolution"])
            for name, value in (finding["worst"] or {}).items():
                finding["worst"][name] = value if name == "name" else _number(value)
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        raise LogError(f"a finding is not of the form that is written: {error!r}") from None
    return record


class Log:
    """The records of a run, kept in memory and, where there is a path, in a file that is locked.

    A file that cannot be written to any more ends no run: the records go on in memory, and
    `trouble` says what happened.

    Args:
        path: the file; None for none.

    Attributes:
        records: all of them, in order.
        trouble: why the file does not hold them all, or "".

    Raises:
        LogError: another run writes this log.
        UnwritableError: the file cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self.records: list[Record] = []
        self.trouble = ""
        self._path = path
        self._check = ""
        self._file: IO[bytes] | None = None
        self._is_new = path is not None and not path.exists()
        if path is not None:
            self._file = _locked(path)

    def begin(self, header: Record) -> None:
        """Start a new log.

        Raises:
            UnwritableError: not even the header can be written.
        """
        if self._file is not None and _is_regular(self._file):
            self._file.truncate(0)
        self.write([header])
        if self.trouble:
            raise UnwritableError(self.trouble)

    def resume(self, earlier: Earlier) -> None:
        """Go on with an earlier log after the last number that was finished."""
        assert self._file is not None  # noqa: S101 - who resumes has named a file
        self._file.truncate(earlier.size)
        self._file.seek(earlier.size)
        self.records, self._check = list(earlier.records), earlier.check

    def write(self, records: Iterable[Record]) -> None:
        """Append records."""
        new = list(records)
        self.records += new
        if self._file is None:
            return
        lines = []
        for record in new:
            line, self._check = sealed(encode(record), self._check)
            lines.append(line)
        try:
            self._file.write(b"".join(lines))
            self._file.flush()
        except OSError as error:
            self._give_up(error)

    def close(self) -> None:
        """Bring the file to the disk, and release it; one that was made and left empty goes."""
        if self._file is None:
            return
        try:
            if _is_regular(self._file):
                os.fsync(self._file.fileno())
                is_empty = self._is_new and not self._file.seek(0, os.SEEK_END)
                if is_empty and self._path is not None:
                    self._path.resolve().unlink(missing_ok=True)  # a link stays
            self._file.close()
        except OSError as error:
            self._give_up(error)
        self._file = None

    def _give_up(self, error: OSError) -> None:
        self.trouble = f"--log={self._path} cannot be written: {error}"
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                file.close()


def _locked(path: Path) -> IO[bytes]:
    """Open a file for writing, made if need be, and lock it until it is closed."""
    try:
        flags = os.O_RDWR | os.O_CREAT if _may_read(path) else os.O_WRONLY
        handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    except OSError as error:
        raise UnwritableError(f"--log={path} cannot be written: {error}") from None
    os.set_blocking(handle, True)
    file = os.fdopen(handle, "r+b" if flags & os.O_RDWR else "wb")
    if _is_regular(file) and not _is_mine(file, path):
        file.close()
        raise LogError(f"{path} is written by another run just now")
    return file


def _is_mine(file: IO[bytes], path: Path) -> bool:
    """Lock a file; False where another run has it, or has just taken it away."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError as error:  # some file systems have no locks
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOENT)


def _may_read(path: Path) -> bool:
    """Whether a log can be read back: a file can, a pipe or a device cannot."""
    return not path.exists() or path.is_file()


def _is_regular(file: IO[bytes]) -> bool:
    return stat.S_ISREG(os.fstat(file.fileno()).st_mode)


class Earlier:
    """A log that is there already.

    Attributes:
        header: its header.
        records: header, and everything up to the last number of the plan that was finished.
        size: how many bytes they take.
        check: the checksum of the last of them.
        finished: the log holds its whole run, whose records are `every`.
    """

    def __init__(self, path: Path) -> None:
        _require_format(path)
        lines = _whole_lines(path)
        self.every = [line.record for line in lines]
        if not self.every or self.every[0].get("format") != FORMAT:
            raise LogError(f"{path} is not a log of this program ({FORMAT})")
        self.header = self.every[0]
        last = self.every[-1]
        self.finished = last["kind"] == "footer" and bool(last.get("complete"))
        try:
            kept = _finished(self.every)
        except (LookupError, TypeError) as error:
            raise LogError(
                f"{path}: a record is not of the form that is written: {error!r}"
            ) from None
        self.records = self.every[:kept]
        self.size, self.check = lines[kept - 1].end, lines[kept - 1].check

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


class _Line(NamedTuple):
    """A record, where its line ends in the file, and its checksum."""

    record: Record
    end: int
    check: str


def read_log(path: Path) -> list[Record]:
    """Read all records of a log, finished or not.

    Raises:
        OSError: it cannot be read.
        LogError: it is no log of this format, or was changed.
    """
    return Earlier(path).every


def _require_format(path: Path) -> None:
    with path.open("rb") as file:
        first = file.readline(1000)
    if b'"gradcheck-log-1"' in first:
        raise LogError(
            f"{path} is a log of an earlier version (gradcheck-log-1), whose lines have no "
            "checksum: it cannot be gone on with; begin anew"
        )


def _whole_lines(path: Path) -> list[_Line]:
    """Read the lines; half a line at the end is dropped.

    Raises:
        LogError: a line that is no record, but for the last one, or that was changed.
    """
    found: list[_Line] = []
    position, check = 0, ""
    lines = path.read_bytes().split(b"\n")
    for number, text in enumerate(lines[:-1], start=1):  # what follows the last newline is no line
        position += len(text) + 1
        try:
            record, check = opened(text + b"\n", check)
        except LogError as error:
            raise LogError(f"{path}, line {number}: {error}") from None
        found.append(_Line(record, position, check))
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
