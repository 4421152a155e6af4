"""The command `replay`."""

from __future__ import annotations

import argparse

from gradcheck.cli.models import model
from gradcheck.cli.parsing import ENGINE_HELP, seconds
from gradcheck.outcomes.exit_codes import ENGINE, USAGE
from gradcheck.verification.pool import EngineGoneError
from gradcheck.verification.replay import read, replay
from gradcheck.writing import terminal

EXAMPLES = """example:
  python -m gradcheck replay gc1:1-1:cross_entropy:mean:m1:float64:w1:generic:binary:s0 torch"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = EXAMPLES
    parser.add_argument("case", help="token (gc1:...) or case file")
    parser.add_argument("engine", help=ENGINE_HELP)
    parser.add_argument(
        "--require", metavar="MODEL", type=model, help="widest rounding allowed, as of verify"
    )
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="S",
        help="seconds for one call of the engine (default: 60)",
    )


def run_command(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    try:
        problem, case = read(options.case)
    except (OSError, ValueError, TypeError) as error:
        terminal.complain(str(error))
        return USAGE
    try:
        require, timeout = options.require or "", options.timeout
        replayed = replay(options.case, problem, case, options.engine, require, timeout)
    except EngineGoneError as error:
        terminal.complain(str(error))
        return ENGINE
    terminal.say(replayed.text)
    return replayed.exit_code
