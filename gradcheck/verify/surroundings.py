"""What an engine may change around itself, kept apart from what the checks need.

An engine in the checks' own process may set how numpy treats overflow, turn warnings into errors,
lower the recursion limit, or install a trace function; the checks would then fail, or be watched.
So the engine gets what it had set when it was called last, and the checks get their own back.

Limits of resources cannot be given back: those that were lowered are named when a check fails.
"""

from __future__ import annotations

import contextlib
import resource
import sys
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

LIMITS = ("RLIMIT_AS", "RLIMIT_CORE", "RLIMIT_CPU", "RLIMIT_DATA", "RLIMIT_FSIZE",
          "RLIMIT_NOFILE", "RLIMIT_NPROC", "RLIMIT_STACK")  # fmt: skip


@dataclass(frozen=True)
class Surroundings:
    """The settings of an interpreter that one part of a program may make for all others."""

    recursion: int
    errors: Any
    filters: list[Any]
    trace: Any
    profile: Any

    @classmethod
    def now(cls) -> Surroundings:
        """Read the settings as they are."""
        limit, filters = sys.getrecursionlimit(), list(warnings.filters)
        return cls(limit, np.geterr(), filters, sys.gettrace(), sys.getprofile())

    def restore(self) -> None:
        """Make the settings these again."""
        if sys.getrecursionlimit() != self.recursion:
            with contextlib.suppress(RecursionError):  # the stack is deeper than that by now
                sys.setrecursionlimit(self.recursion)
        if sys.gettrace() is not self.trace:
            sys.settrace(self.trace)
        if sys.getprofile() is not self.profile:
            sys.setprofile(self.profile)
        if np.geterr() != self.errors:
            np.seterr(**self.errors)
        if warnings.filters != self.filters:
            warnings.filters[:] = self.filters  # type: ignore[index]  # a list, whatever is declared
            with warnings.catch_warnings():  # which has the interpreter notice
                pass


def limits_of_resources() -> Mapping[str, int]:
    """Return the limits that this process is under; those that the platform has."""
    names = [name for name in LIMITS if hasattr(resource, name)]
    return {name: resource.getrlimit(getattr(resource, name))[0] for name in names}


def lowered_since(before: Mapping[str, int]) -> str:
    """Name the limits of resources that have changed, in a clause, or "".

    >>> lowered_since(limits_of_resources())
    ''
    """
    now = limits_of_resources()
    changed = [f"{name} is {now[name]}, was {was}" for name, was in before.items()
               if now.get(name, was) != was]  # fmt: skip
    return f"; since the engine was loaded, {', '.join(changed)}" if changed else ""
