"""Backprops that are wrong on purpose: what a checker must catch.

`backprop` holds the right one; every other module holds mistakes of one place. Each mutant is an
engine of its own, for instance `py:gradcheck.mutants:slope_missing`; `registry.MUTANTS` lists them.
Mistakes in the gates of circuits are black boxes, in `circuit.WRONG_GATES`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from gradcheck.engines.base import Engine


def __getattr__(name: str) -> Callable[[], Engine]:
    """Make every mutant's name a name of this package, for `py:` engines."""
    from gradcheck.mutants.registry import find_mutant  # noqa: PLC0415 - loaded when needed

    try:
        return find_mutant(name).make
    except LookupError as error:
        raise AttributeError(str(error)) from None
