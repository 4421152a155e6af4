"""Exit codes: what each number means, decided before anything is printed."""

from __future__ import annotations

VERIFIED = 0
"""Verified, as expected."""

WRONG = 1
"""A gradient or loss is wrong, a known failure is not as declared, or a report differs."""

USAGE = 2
"""Wrong usage, or files that cannot be written."""

ENGINE = 3
"""The engine, or the function, cannot be used."""

NOTHING = 4
"""Nothing was verified, or gradcheck itself failed."""

INTERRUPTED = 130
"""Interrupted."""
