"""Files of a report: whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gradcheck.writing.files import write_bytes, write_text

__all__ = ["write_bytes", "write_json", "write_text"]


def write_json(path: Path, content: Any) -> None:
    """Write JSON; a NaN or an infinity, which JSON has no word for, raises ValueError."""
    write_text(path, json.dumps(content, indent=1, allow_nan=False, ensure_ascii=False) + "\n")
