"""The one writer of output files: whole or not at all, and never anything but a file replaced.

A file is written beside its place first and then given its name, so that a reader sees the old or
the new one; it keeps its permissions. A link stays a link: the file that it leads to is written. A
device or a pipe is written to, and a file with several names in place.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from gradcheck.writing.terminal import UnwritableError


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file; folders that are missing are made.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    target = path.resolve() if path.is_symlink() else path
    there = _stat(target)
    if there is None or (stat.S_ISREG(there.st_mode) and there.st_nlink == 1):
        try:
            _replace(target, content, there)
        except PermissionError:
            if there is None:
                raise
        else:
            return
    _write_to(target, content)


def write_text(path: Path, text: str) -> None:
    """Write text in UTF-8; half characters are spelled out. Errors: as `write_bytes`."""
    write_bytes(path, text.encode("utf-8", "backslashreplace"))


def require_writable(option: str, path: Path | None) -> None:
    """Make sure, as far as it can be known, that a file can be written; make its folder.

    Args:
        option: what the command line calls it.
        path: where it is to be; None for nowhere.

    Raises:
        UnwritableError: it cannot.
    """
    if path is None:
        return
    try:
        if path.is_dir():
            raise UnwritableError(f"{option}={path} is a folder; a file is needed")
        path.parent.mkdir(parents=True, exist_ok=True)
        _try(path)
    except (OSError, RuntimeError) as error:
        raise UnwritableError(f"{option}={path} cannot be written: {error}") from None
    except ValueError as error:
        if isinstance(error, UnwritableError):
            raise
        raise UnwritableError(f"{option}={str(path)!r} is no name of a file: {error}") from None


def require_distinct(paths: Mapping[str, Path | None]) -> None:
    """Make sure that no two options name the same file; devices and pipes may be shared.

    Raises:
        UnwritableError: two do.
    """
    seen: dict[object, str] = {}
    for option, path in paths.items():
        key = None if path is None else _identity(path)
        if key is None:
            continue
        if key in seen:
            raise UnwritableError(f"{seen[key]} and {option} are the same file, {path}")
        seen[key] = option


def _identity(path: Path) -> object:
    try:
        there = _stat(path)
        if there is None:
            return path.resolve()
    except (OSError, RuntimeError, ValueError):  # which is told by whoever tries to write it
        return str(path)
    return (there.st_dev, there.st_ino) if stat.S_ISREG(there.st_mode) else None


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def _try(path: Path) -> None:
    """Open a file as it will be opened, and leave it as it is; a pipe may have no reader yet."""
    target = path.resolve() if path.is_symlink() else path
    there = _stat(target)
    if there is None:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        target.unlink()
    elif stat.S_ISREG(there.st_mode):
        os.close(os.open(target, os.O_WRONLY))
    elif stat.S_ISSOCK(there.st_mode):
        raise OSError(errno.ENXIO, "it is a socket")
    elif not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _replace(target: Path, content: bytes, there: os.stat_result | None) -> None:
    unfinished = target.with_name(f".gradcheck-{os.getpid()}-{secrets.token_hex(4)}")
    handle = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(handle, "wb") as file:
            if there is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode))
                with contextlib.suppress(OSError):  # only the superuser gives files away
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
            file.write(content)
        unfinished.replace(target)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _write_to(target: Path, content: bytes) -> None:
    """Write in place; a pipe without a reader is an error, not a wait."""
    flags = os.O_WRONLY | os.O_TRUNC | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
    handle = os.open(target, flags)
    os.set_blocking(handle, True)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
