"""Reports what nobody foresaw: gradcheck itself failed, which is never a verdict."""

from __future__ import annotations

import os
import tempfile
import traceback

from gradcheck.outcomes.exit_codes import NOTHING
from gradcheck.writing import terminal


def unforeseen(error: BaseException) -> int:
    """Say in a sentence that gradcheck itself failed, and where the traceback is."""
    told = f"{type(error).__name__}: {' '.join(terminal.text_of(error).split())[:300]}"
    trace = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="gradcheck-", suffix=".traceback.txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(trace)
        where = f"the traceback is in {name}"
    except OSError:
        where = (
            f"there is no room for its traceback, which ends in {trace.splitlines()[-2].strip()}"
        )
    terminal.complain(f"gradcheck itself failed, which is its own mistake ({told}); {where}")
    return NOTHING
