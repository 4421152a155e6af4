"""The command `new-engine`."""

from __future__ import annotations

import argparse
from pathlib import Path

from gradcheck.engines.new_engine import new_engine
from gradcheck.outcomes.exit_codes import USAGE, VERIFIED
from gradcheck.writing import terminal

EXAMPLES = """example:
  python -m gradcheck new-engine --language c my-engine"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--language",
        required=True,
        choices=("python", "javascript", "c"),
        help="language of the engine",
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of the new engine")


def run_command(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    try:
        commands = new_engine(options.language, options.folder)
    except OSError as error:
        terminal.complain(str(error))
        return USAGE
    terminal.say(f"written to {options.folder}; next:")
    for command in commands:
        terminal.say(f"    {command}")
    return VERIFIED
