"""All mutants, by name. A new module of mutants needs its line here."""

from __future__ import annotations

import difflib

# Importing a module registers its mutants.
import gradcheck.mutants.batches
import gradcheck.mutants.bias_gradient
import gradcheck.mutants.coordinates
import gradcheck.mutants.hidden_error
import gradcheck.mutants.leaks
import gradcheck.mutants.losses
import gradcheck.mutants.manners
import gradcheck.mutants.numerics
import gradcheck.mutants.output_error
import gradcheck.mutants.structure
import gradcheck.mutants.weight_gradient  # noqa: F401  (all of them)
from gradcheck.mutants.mutant import MUTANTS, Mutant

__all__ = ["MUTANTS", "find_mutant"]


def find_mutant(name: str) -> Mutant:
    """Return the mutant of this name.

    Raises:
        LookupError: there is none.

    >>> print(find_mutant("wrong_sign").mistake)
    The output error is Y - a: its sign is wrong.
    """
    if name not in MUTANTS:
        close = difflib.get_close_matches(name, MUTANTS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        raise LookupError(f"no mutant is called {name!r}{hint}")
    return MUTANTS[name]
