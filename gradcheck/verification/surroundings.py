"""What an engine may change around itself, kept apart from what the checks need.

An engine in the checks' own process may set how numpy treats overflow, turn warnings into errors,
lower the recursion limit, or install a trace function; the checks would then fail, or be watched.
So the engine gets what it had set when it was called last, and the checks get their own back.
"""

from __future__ import annotations

import contextlib
import sys
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np


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
