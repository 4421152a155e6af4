"""The command `selftest`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from gradcheck import selftest
from gradcheck.cli.parsing import MOST_EXAMPLES, add_jobs, up_to, whole
from gradcheck.outcomes.exit_codes import USAGE, VERIFIED, WRONG
from gradcheck.writing import terminal

EXAMPLES = """examples:
  python -m gradcheck selftest
  python -m gradcheck selftest --out reports/latest/selftest"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--clean",
        type=up_to(MOST_EXAMPLES),
        default=20_000,
        metavar="N",
        help="number of problems of right engines (default: 20,000)",
    )
    add_jobs(parser)
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder of a longer examination: who catches what, and how small an error, beside "
        "other checkers (10 minutes)",
    )
    parser.add_argument(
        "--seed", type=whole, metavar="S", help="random seed of the networks of --out (default: 0)"
    )


def run_command(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    if options.out is not None:
        return _examination(options)
    if options.seed is not None:
        terminal.complain(
            "--seed is that of the networks of --out; without --out they are always the same"
        )
        return USAGE
    result = selftest.selftest(clean=options.clean, jobs=options.jobs)
    terminal.say(selftest.told(result))
    return VERIFIED if result.is_sound else WRONG


def _examination(options: argparse.Namespace) -> int:

    if options.out.exists() and not options.out.is_dir():
        terminal.complain(f"--out={options.out} is a file; a folder is needed")
        return USAGE
    seed = options.seed or 0
    from gradcheck.studies.report.selftest.extent import Extent  # noqa: PLC0415 - with the extra `report`
    from gradcheck.studies.report.selftest.page import sentences  # noqa: PLC0415
    from gradcheck.studies.report.selftest.run import is_sound, write_selftest  # noqa: PLC0415

    extent = Extent(seed=seed, clean=options.clean, jobs=options.jobs)
    command = f"python -m gradcheck selftest --out {shlex.quote(str(options.out))} --seed {seed}"
    report = write_selftest(options.out, extent, command=command, say=terminal.say)
    terminal.say("")
    for number, sentence in enumerate(sentences(report), start=1):
        terminal.say(f"{number}. {sentence}")
    terminal.say(f"\nThe whole examination: {options.out / 'selftest.md'}")
    return VERIFIED if is_sound(report) else WRONG
