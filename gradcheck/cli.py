"""The command line: `python -m gradcheck`.

Exit codes, decided before anything is printed: 0 verified, as expected; 1 a gradient is wrong, or
a report is not what was committed; 2 usage; 3 the engine is unusable; 4 nothing was verified;
130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gradcheck.threads import one_thread_a_process

VERIFIED, WRONG, USAGE, ENGINE, NOTHING, INTERRUPTED = 0, 1, 2, 3, 4, 130

Say = Callable[[str], object]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    _prepare()
    parser = _parser()
    try:
        options = parser.parse_args(arguments)
    except SystemExit as stop:  # argparse has printed what is wrong, or the help
        return int(stop.code or 0)
    try:
        code: int = options.run(options)
    except KeyboardInterrupt:
        _complain("interrupted")
        return INTERRUPTED
    return code


def _prepare() -> None:
    """Let `py:` engines be found from here, and give linear algebra one thread a process."""
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    one_thread_a_process()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gradcheck", description="Does a backpropagation engine compute right gradients?"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    report = commands.add_parser("report", help="measure, and write the comparison report")
    report.add_argument("--out", type=Path, default=Path("reports"), metavar="DIR",
                        help="where to write it (default: reports)")  # fmt: skip
    report.add_argument("--full", action="store_true", help="2,000 networks, the whole data sets")
    report.add_argument("--engine", metavar="E", help="the engine under test (default: reference)")
    report.add_argument("--seed", type=_whole, metavar="S", help="of the random networks")
    report.add_argument("--claim", metavar="C", help="measure one claim of the textbooks alone, "
                        "C1 to C18, and print it")  # fmt: skip
    report.add_argument("--check", action="store_true",
                        help="measure again and compare with the report in DIR")  # fmt: skip
    report.set_defaults(run=_report)

    replay = commands.add_parser("replay", help="check one case again")
    replay.add_argument("case", help="a token (gc1:...) or a case file")
    replay.add_argument("engine", help="a registered name, or py:package.module:attribute")
    replay.set_defaults(run=_replay)

    engines = commands.add_parser("engines", help="list the engines that are installed")
    engines.set_defaults(run=_engines)
    return parser


def _whole(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"{value} must be in 0..{2**64 - 1}")
    return value


# --- report ---------------------------------------------------------------------------------------


def _report(options: argparse.Namespace) -> int:
    from gradcheck.report.guard import EngineNotFoundError, EngineUnusableError  # noqa: PLC0415

    if options.check and (options.full or options.engine or options.seed is not None):
        _complain("--check repeats the settings of the report in DIR; leave out the others")
        return USAGE
    if options.claim:
        return _one_claim(options.claim, full=options.full)
    if options.out.exists() and not options.out.is_dir():
        _complain(f"--out={options.out} is a file; a folder is needed")
        return USAGE
    try:
        return _check_report(options.out) if options.check else _write_report(options)
    except (EngineNotFoundError, EngineUnusableError) as error:
        _complain(str(error))
        return ENGINE


def _write_report(options: argparse.Namespace) -> int:
    from gradcheck.report.claims import exit_code  # noqa: PLC0415 - heavy, loaded when needed
    from gradcheck.report.run import write_report  # noqa: PLC0415
    from gradcheck.report.settings import Settings  # noqa: PLC0415
    from gradcheck.report.summary import sentences  # noqa: PLC0415

    changes = {
        name: getattr(options, name)
        for name in ("engine", "seed")
        if getattr(options, name) is not None
    }
    settings = Settings.full(**changes) if options.full else Settings(**changes)
    report = write_report(options.out, settings, command=_command(options, changes))
    code = exit_code(report)
    for number, sentence in enumerate(sentences(report["sections"]), start=1):
        _say(f"{number}. {sentence}")
    _say(f"\nThe whole report: {options.out / 'report.md'}")
    return code


def _command(options: argparse.Namespace, changes: dict[str, object]) -> str:
    given = [f"--{name} {value}" for name, value in changes.items()]
    return " ".join(["python -m gradcheck report", *["--full"] * options.full, *given])


def _one_claim(name: str, *, full: bool) -> int:
    from gradcheck.report.settings import Settings  # noqa: PLC0415
    from gradcheck.report.textbook.claim import REFUTED, sentences  # noqa: PLC0415
    from gradcheck.report.textbook.registry import TEXTBOOK, measure_claims  # noqa: PLC0415

    claim = TEXTBOOK.get(name.upper())
    if claim is None:
        _complain(f"--claim={name} is not one of {', '.join(TEXTBOOK)}")
        return USAGE
    settings = Settings.full() if full else Settings()
    content = measure_claims([claim], settings).to_json()
    found = content["results"][claim.id]
    code = WRONG if found["ruling"] == REFUTED else VERIFIED
    _say(f"{claim.id}: {claim.statement}")
    _say(f"{found['ruling']}{': ' + claim.precise if claim.precise else ''}")
    for sentence in sentences(content, claim.id):
        _say(f"- {sentence}")
    return code


def _check_report(folder: Path) -> int:
    from gradcheck.report.compare import UnreadableReportError, check_report  # noqa: PLC0415

    try:
        differences, to_the_last_bit = check_report(folder)
    except UnreadableReportError as error:
        _complain(str(error))
        return USAGE
    for difference in differences:
        _say(str(difference))
    compared = (
        "everything but times"
        if to_the_last_bit
        else "what does not depend on this machine's arithmetic, which is another one"
    )
    found = f"{len(differences)} differences" if differences else "no difference"
    _say(f"{found} from {folder / 'report.json'}; compared was {compared}")
    return WRONG if differences else VERIFIED


# --- replay ---------------------------------------------------------------------------------------


def _replay(options: argparse.Namespace) -> int:
    from dataclasses import replace  # noqa: PLC0415 - loaded when needed

    from gradcheck.case import load  # noqa: PLC0415
    from gradcheck.engines.base import Unsupported  # noqa: PLC0415
    from gradcheck.report.guard import (  # noqa: PLC0415
        EngineNotFoundError,
        EngineUnusableError,
        find_guarded,
    )
    from gradcheck.sweep import check_engine, replay_line  # noqa: PLC0415

    try:
        problem = load(options.case)
    except (OSError, ValueError, TypeError) as error:
        _complain(str(error))
        return USAGE
    try:
        outcome = check_engine(find_guarded(options.engine), problem)
    except (EngineNotFoundError, EngineUnusableError) as error:
        _complain(str(error))
        return ENGINE
    except Unsupported as refusal:
        _say(f"UNSUPPORTED: {refusal.why}")
        return NOTHING
    code = {"PASS": VERIFIED, "FAIL": WRONG}.get(outcome.verdict.value, NOTHING)
    _say(str(replace(outcome, repeat=replay_line(options.case, options.engine))))
    return code


# --- engines --------------------------------------------------------------------------------------


def _engines(_options: argparse.Namespace) -> int:
    from gradcheck.engines.registry import EngineNotFoundError, find, names  # noqa: PLC0415

    lines, usable = [], 0
    registered = names()
    width = max(map(len, registered))
    for name in registered:
        try:
            info = find(name).info
        except EngineNotFoundError as error:
            lines.append(f"{name:<{width}}  unusable: {' '.join(str(error).split())}")
            continue
        usable += 1
        abilities = (info.dtypes, info.losses, info.reductions)
        told = "; ".join(", ".join(ability) for ability in abilities)
        lines.append(f"{name:<{width}}  {info.version}  {told}")
    code = VERIFIED if usable else ENGINE
    for line in lines:
        _say(line)
    return code


def _say(text: str) -> None:
    print(text)  # noqa: T201 - what the command is for


def _complain(text: str) -> None:
    print(f"gradcheck: {text}", file=sys.stderr)  # noqa: T201 - the error channel
