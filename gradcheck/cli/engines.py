"""The command `engines`."""

from __future__ import annotations

import argparse

from gradcheck.engines.base import EngineUnusableError
from gradcheck.engines.installed import NotInstalledError
from gradcheck.engines.registry import EngineNotFoundError, describe, names
from gradcheck.outcomes.exit_codes import ENGINE, VERIFIED
from gradcheck.writing import terminal


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """Add no arguments."""


def run_command(_options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    lines, usable = [], 0
    for name in names():
        try:
            info = describe(name)
        except NotInstalledError as error:
            lines.append((name, "-", str(error)))
        except (EngineNotFoundError, EngineUnusableError) as error:
            lines.append((name, "-", f"unusable: {' '.join(str(error).split())}"))
        else:
            usable += 1
            abilities = (info.dtypes, info.losses, info.reductions)
            lines.append((name, info.version, "; ".join(map(", ".join, abilities))))
    code = VERIFIED if usable else ENGINE
    name_width, version_width = (max(len(line[column]) for line in lines) for column in (0, 1))
    for name, version, told in lines:
        terminal.say(f"{name:<{name_width}}  {version:<{version_width}}  {told}")
    return code
