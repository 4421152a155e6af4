"""The command line: `python -m gradcheck`.

COMMANDS names every command. Its module adds its arguments and runs it, and is imported only where
it is asked for.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path

from gradcheck.cli.parsing import Parser
from gradcheck.cli.unforeseen import unforeseen
from gradcheck.outcomes.exit_codes import INTERRUPTED, USAGE
from gradcheck.threads import one_thread_a_process
from gradcheck.writing import terminal
from gradcheck.writing.extras import missing_extra

COMMANDS = {
    "check": "check the gradient of a function",
    "verify": "verify an engine on random networks",
    "replay": "check one case again",
    "engines": "list the engines",
    "new-engine": "write a working engine to start from",
    "report": "measure backpropagation beside finite differences, and write the report",
    "selftest": "verify the checker: every mutant caught, no right engine accused",
    "bench": "measure these checks beside other people's",
}

CODES = """exit codes:
  0  verified, as expected
  1  a gradient or a loss is wrong, a known failure is not as declared, a report differs
  2  wrong usage, or a file that cannot be written
  3  the engine cannot be used
  4  nothing was verified, or gradcheck itself failed
  130  interrupted"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; whatever nobody foresaw is 4, never 0 or 1."""
    try:
        terminal.prepare()
        return _run(arguments)
    except KeyboardInterrupt:
        terminal.complain("interrupted")
        return INTERRUPTED
    except terminal.UnwritableError as error:
        terminal.complain(str(error))
        return USAGE
    except ModuleNotFoundError as error:
        told = missing_extra(error)
        if not told:
            return unforeseen(error)
        terminal.complain(told)
        return USAGE
    except BaseException as error:  # noqa: BLE001 - an engine may raise SystemExit(0) where it is imported
        return unforeseen(error)


def _run(arguments: Sequence[str] | None) -> int:
    _prepare()
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        options = _parser(given).parse_args(given)
    except SystemExit as stop:  # argparse has printed what is wrong, or the help
        return int(stop.code or 0)
    code: int = options.run(options)
    return code


def _prepare() -> None:
    """Let `py:` engines be found from here, and give linear algebra one thread a process."""
    try:
        here = str(Path.cwd())
    except OSError:  # the folder is gone
        here = ""
    if here and "" not in sys.path and here not in sys.path:
        sys.path.insert(0, here)
    one_thread_a_process()


def _parser(given: Sequence[str]) -> Parser:
    """Return the parser of all commands, with the arguments of the one that is asked for."""
    version = sys.modules["gradcheck"].__version__
    parser = Parser(
        prog="gradcheck",
        description="Says whether a gradient is right.",
        epilog=CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"gradcheck {version}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    asked = next((word for word in given if word in COMMANDS), None)
    for name, told in COMMANDS.items():
        command = commands.add_parser(
            name,
            help=told,
            description=f"{told[0].upper()}{told[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if name == asked:
            module = import_module(f"gradcheck.cli.{name.replace('-', '_')}")
            module.add_arguments(command)
            command.set_defaults(run=module.run_command)
    return parser
