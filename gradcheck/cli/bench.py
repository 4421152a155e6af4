"""The command `bench`."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from gradcheck.cli.parsing import LATEST, network
from gradcheck.outcomes.exit_codes import NOTHING, USAGE
from gradcheck.studies.bench import run
from gradcheck.studies.bench.sentences import sentences
from gradcheck.studies.bench.settings import Settings
from gradcheck.writing import terminal

EXAMPLES = """examples:
  python -m gradcheck bench --quick
  python -m gradcheck bench --sizes 97-100-1"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--out",
        type=Path,
        default=LATEST / "bench",
        metavar="DIR",
        help=f"folder of the results (default: {LATEST / 'bench'})",
    )
    parser.add_argument(
        "--quick",
        action="store_true",
        help="a shorter run: less of each check, up to 9,901 weights",
    )
    parser.add_argument(
        "--sizes",
        type=network,
        nargs="+",
        metavar="n-h-1",
        help="layer sizes of the networks to check, as 97-100-1",
    )


def run_command(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    if options.out.exists() and not options.out.is_dir():
        terminal.complain(f"--out={options.out} is a file; a folder is needed")
        return USAGE
    settings = Settings.quick() if options.quick else Settings()
    sizes = []
    if options.sizes:
        settings = replace(settings, networks=Settings.ordered(options.sizes))
        sizes = ["--sizes", *("-".join(map(str, n)) for n in settings.networks)]
    command = " ".join(["python -m gradcheck bench", *["--quick"] * options.quick, *sizes])
    try:
        report = run.write_bench(options.out, settings, command=command)
    except run.BenchError as error:
        terminal.complain(str(error))
        return NOTHING
    code = run.exit_code(report)
    for number, sentence in enumerate(sentences(report), start=1):
        terminal.say(f"{number}. {sentence}")
    terminal.say(f"\nAll checks, tables and figures: {options.out / 'bench.md'}")
    return code
