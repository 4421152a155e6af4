"""The command `report`."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from gradcheck.cli.parsing import LATEST, PUBLISHED, whole
from gradcheck.outcomes.exit_codes import ENGINE, USAGE, VERIFIED, WRONG
from gradcheck.studies.report import claims, run
from gradcheck.studies.report.compare import UnreadableReportError, check_report
from gradcheck.studies.report.engines import run as engines
from gradcheck.studies.report.engines.draw import Extent
from gradcheck.studies.report.engines.page import sentences as sentences_of_several
from gradcheck.studies.report.guard import EngineNotFoundError, EngineUnusableError
from gradcheck.studies.report.settings import Settings
from gradcheck.studies.report.summary import sentences
from gradcheck.studies.report.textbook.claim import CONFIRMED
from gradcheck.studies.report.textbook.claim import sentences as sentences_of_claim
from gradcheck.studies.report.textbook.libraries import installed
from gradcheck.studies.report.textbook.registry import TEXTBOOK, measure_claims
from gradcheck.writing import terminal

EXAMPLES = """examples:
  python -m gradcheck report
  python -m gradcheck report --claim C10
  python -m gradcheck report --engine torch --engine jax"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = EXAMPLES
    what = parser.add_argument_group("what is measured")
    what.add_argument("--full", action="store_true", help="2,000 networks, and the whole data sets")
    what.add_argument(
        "--engine",
        action="append",
        metavar="E",
        help='engine under test (default: reference); "all", or several, compares them',
    )
    what.add_argument("--seed", type=whole, metavar="S", help="random seed of the networks")
    what.add_argument(
        "--claim", metavar="C", help="one claim of the textbooks, C1 to C32, to be printed alone"
    )
    where = parser.add_argument_group("what becomes of it")
    where.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help=f"folder of the report (default: {LATEST}; of several engines: "
        f"{LATEST / 'engines'}; with --check: {PUBLISHED})",
    )
    where.add_argument(
        "--check",
        action="store_true",
        help="comparison of a new measurement with the report in DIR",
    )


def run_command(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    if options.check and (options.full or options.engine or options.seed is not None):
        terminal.complain("--check repeats the settings of the report in DIR; leave out the others")
        return USAGE
    if options.claim:
        return _one_claim(options.claim, full=options.full)
    several = options.engine is not None and (len(options.engine) > 1 or "all" in options.engine)
    if options.out is None:
        options.out = PUBLISHED if options.check else LATEST / "engines" if several else LATEST
    if options.out.exists() and not options.out.is_dir():
        terminal.complain(f"--out={options.out} is a file; a folder is needed")
        return USAGE
    if several:
        return _compare_engines(options)
    try:
        return _check_report(options.out) if options.check else _write_report(options)
    except (EngineNotFoundError, EngineUnusableError) as error:
        terminal.complain(str(error))
        return ENGINE


def _write_report(options: argparse.Namespace) -> int:

    given = {"engine": options.engine and options.engine[0], "seed": options.seed}
    changes = {name: value for name, value in given.items() if value is not None}
    make = Settings.full if options.full else Settings
    settings = make(**changes, libraries=installed())
    report = run.write_report(options.out, settings, command=_command(options, changes))
    code = claims.exit_code(report)
    for number, sentence in enumerate(sentences(report["sections"]), start=1):
        terminal.say(f"{number}. {sentence}")
    terminal.say(f"\nThe whole report: {options.out / 'report.md'}")
    return code


def _command(options: argparse.Namespace, changes: dict[str, object]) -> str:
    given = [f"--{name} {shlex.quote(str(value))}" for name, value in changes.items()]
    return " ".join(["python -m gradcheck report", *["--full"] * options.full, *given])


def _compare_engines(options: argparse.Namespace) -> int:

    if options.full:
        terminal.complain("--full is for one engine; leave it out")
        return USAGE
    seed = {} if options.seed is None else {"seed": options.seed}
    given = [f"--engine {shlex.quote(spec)}" for spec in options.engine]
    given += [f"--{name} {value}" for name, value in seed.items()]
    command = " ".join(["python -m gradcheck report", *given])
    report = engines.write_comparison(
        options.out, engines.chosen(options.engine), Extent(**seed), command=command
    )
    code = engines.exit_code(report)
    for number, sentence in enumerate(sentences_of_several(report), start=1):
        terminal.say(f"{number}. {sentence}")
    terminal.say(f"\nThe whole comparison: {options.out / 'report.md'}")
    return code


def _one_claim(name: str, *, full: bool) -> int:

    claim = TEXTBOOK.get(name.upper())
    if claim is None:
        terminal.complain(f"--claim={name} is not one of {', '.join(TEXTBOOK)}")
        return USAGE
    settings = (Settings.full if full else Settings)(libraries=installed())
    content = measure_claims([claim], settings).to_json()
    found = content["results"][claim.id]
    (judged,) = claims.judge({"textbook": content})
    code = VERIFIED if judged["holds"] else WRONG
    instead = claim.precise if found["ruling"] != CONFIRMED else ""
    terminal.say(f"{claim.id}: {claim.statement}")
    terminal.say(f"{found['ruling']}{': ' + instead if instead else ''}")
    for sentence in sentences_of_claim(content, claim.id):
        terminal.say(f"- {sentence}")
    return code


def _check_report(folder: Path) -> int:

    try:
        differences, to_the_last_bit = check_report(folder)
    except UnreadableReportError as error:
        terminal.complain(str(error))
        return USAGE
    for difference in differences:
        terminal.say(str(difference))
    compared = (
        "everything to the last bit, times within a factor of 10"
        if to_the_last_bit
        else "results to the last bit; what was measured, under another arithmetic, and times "
        "within a factor of 10, counts within a tenth"
    )
    left = (
        "the machine" if to_the_last_bit else "the machine, and the words about what was measured"
    )
    found = f"{len(differences)} differences" if differences else "no difference"
    terminal.say(f"{found} from {folder / 'report.json'}; compared was {compared}; not {left}")
    return WRONG if differences else VERIFIED
