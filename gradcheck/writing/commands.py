"""Commands that repeat what was found, as a person may type them."""

from __future__ import annotations

import shlex


def replay_line(token: str, engine: str) -> str:
    """Return the command that repeats one case."""
    return f"python -m gradcheck replay {shlex.quote(token)} {shlex.quote(engine)}"
