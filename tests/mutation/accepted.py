"""Reads the defects that are accepted: each changes nothing that is promised, for a reason.

accepted.toml names a defect by its module, its function, and the text before and after, so that it
is found again although lines move. An entry whose text no longer stands in the module is stale.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable
from pathlib import Path

from defect import Defect, Key

FILE = Path(__file__).with_name("accepted.toml")


def accepted(file: Path = FILE) -> dict[Key, str]:
    """Return the reason for each accepted defect, by the defect's key.

    Raises:
        ValueError: an entry without a reason.
    """
    found = read_entries(file)
    if unfounded := [key for key, reason in found.items() if not reason.strip()]:
        raise ValueError(f"no reason is given for {unfounded[0]}")
    return found


def read_entries(file: Path) -> dict[Key, str]:
    """Return the entries of a file with their reasons, which may be empty.

    Raises:
        ValueError: one that is there twice.
    """
    found: dict[Key, str] = {}
    for told in tomllib.loads(file.read_text("utf-8")).get("defect", []):
        key = (told["module"], told["function"], told["before"], told["after"])
        if key in found:
            raise ValueError(f"{key} is there twice")
        found[key] = told["reason"]
    return found


def stale(keys: Iterable[Key], root: Path) -> list[Key]:
    """Return the keys whose text before does not stand in their function's module any more."""
    texts: dict[str, str] = {}
    found = []
    for key in keys:
        path, function, before, _ = key
        if path not in texts:
            texts[path] = " ".join((root / path).read_text("utf-8").split())
        name = function.rpartition(".")[2]
        if before not in texts[path] or (name and f"def {name}(" not in texts[path]):
            found.append(key)
    return found


def entry(defect: Defect, reason: str = "") -> str:
    """Write an entry of the file."""
    module, function, before, after = (_quoted(text) for text in defect.key)
    return (
        f"[[defect]]\nmodule = {module}\nfunction = {function}\nbefore = {before}\n"
        f"after = {after}\nreason = {_quoted(reason)}\n"
    )


def _quoted(text: str) -> str:
    return f"'{text}'" if "'" not in text else json.dumps(text)
