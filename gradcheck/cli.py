"""The command line: `python -m gradcheck`.

Exit codes, decided before anything is printed: 0 verified, as expected; 1 a gradient is wrong, a
known failure is not as declared, or a report is not what was committed; 2 usage, or files that
cannot be written; 3 the engine is unusable; 4 nothing was verified, or gradcheck itself failed; 130
interrupted.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import sys
import tempfile
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from gradcheck import terminal
from gradcheck.threads import one_thread_a_process

if TYPE_CHECKING:
    from gradcheck.verify.outputs import Paths
    from gradcheck.verify.run import Verified

VERIFIED, WRONG, USAGE, ENGINE, NOTHING, INTERRUPTED = 0, 1, 2, 3, 4, 130

MOST_EXAMPLES = 10**6
"""Problems of one run: a day and a night of one processor, and a log of gigabytes."""

MOST_JOBS = 256
LONGEST = 86_400
"""Seconds for one property: a day."""

LEAST_MEMORY = 100 * 2**20
"""Bytes that a worker needs for itself."""

PUBLISHED, LATEST = Path("reports/standard"), Path("reports/latest")
"""Where `report --check` looks, and where measurements are written: git ignores the latter."""

ENGINE_HELP = "a registered name, py:package.module:attribute, or cmd:COMMAND LINE"


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
    except BaseException as error:  # noqa: BLE001 - an engine may raise SystemExit(0) where it is imported
        return _unforeseen(error)


def _run(arguments: Sequence[str] | None) -> int:
    _prepare()
    try:
        options = _parser().parse_args(arguments)
    except SystemExit as stop:  # argparse has printed what is wrong, or the help
        return int(stop.code or 0)
    code: int = options.run(options)
    return code


def _unforeseen(error: BaseException) -> int:
    """Say in a sentence that gradcheck itself failed, and where the traceback is."""
    told = f"{type(error).__name__}: {' '.join(terminal.text_of(error).split())[:300]}"
    trace = "".join(traceback.format_exception(error))
    try:
        handle, name = tempfile.mkstemp(prefix="gradcheck-", suffix=".traceback.txt")
        with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(trace)
        where = f"the traceback is in {name}"
    except OSError:
        where = (
            f"there is no room for its traceback, which ends in {trace.splitlines()[-2].strip()}"
        )
    terminal.complain(f"gradcheck itself failed, which is its own mistake ({told}); {where}")
    return NOTHING


def _prepare() -> None:
    """Let `py:` engines be found from here, and give linear algebra one thread a process."""
    try:
        here = str(Path.cwd())
    except OSError:  # the folder is gone
        here = ""
    if here and "" not in sys.path and here not in sys.path:
        sys.path.insert(0, here)
    one_thread_a_process()


class _Parser(argparse.ArgumentParser):
    """A parser whose messages go the one way out."""

    def _print_message(self, message: str, file: Any = None) -> None:
        if not message:
            return
        if file is sys.stderr or file is None:
            terminal.grumble(message.rstrip("\n"))
        else:
            terminal.say(message.rstrip("\n"))


Commands: TypeAlias = "argparse._SubParsersAction[_Parser]"


def _parser() -> _Parser:
    parser = _Parser(
        prog="gradcheck", description="Does a backpropagation engine compute right gradients?"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for add in (_add_report, _add_verify, _add_replay, _add_selftest, _add_bench, _add_engines,
                _add_new_engine):  # fmt: skip
        add(commands)
    return parser


def _add_report(commands: Commands) -> None:
    report = commands.add_parser("report", help="measure, and write the comparison report")
    report.add_argument("--out", type=Path, metavar="DIR", help="where to write it (default: "
                        f"{LATEST}; of several engines: {LATEST / 'engines'}), or what --check "
                        f"compares with (default: {PUBLISHED})")  # fmt: skip
    report.add_argument("--full", action="store_true", help="2,000 networks, the whole data sets")
    report.add_argument("--engine", action="append", metavar="E", help="the engine under test "
                        "(default: reference); \"all\", or several, compares them")  # fmt: skip
    report.add_argument("--seed", type=_whole, metavar="S", help="of the random networks")
    report.add_argument("--claim", metavar="C", help="measure one claim of the textbooks alone, "
                        "C1 to C32, and print it")  # fmt: skip
    report.add_argument("--check", action="store_true",
                        help="measure again and compare with the report in DIR")  # fmt: skip
    report.set_defaults(run=_report)


def _add_verify(commands: Commands) -> None:
    verify = commands.add_parser("verify", help="validate an engine on random networks")
    verify.add_argument("engine", help=ENGINE_HELP)
    verify.add_argument("--examples", type=_up_to(MOST_EXAMPLES), default=200, metavar="N",
                        help="how many networks (default: 200)")  # fmt: skip
    verify.add_argument("--seed", type=_whole, default=0, metavar="S", help="of the networks")
    verify.add_argument("--dtype", choices=("float64", "float32", "float16"), default="",
                        help="the only one to examine")  # fmt: skip
    verify.add_argument("--jobs", type=_up_to(MOST_JOBS), default=_processors(), metavar="N",
                        help="worker processes (default: one a processor, up to 4)")  # fmt: skip
    verify.add_argument("--shard", type=_shard, default=(1, 1), metavar="I/N",
                        help="every N-th network only, from the I-th on")  # fmt: skip
    verify.add_argument("--timeout", type=_seconds, default=60.0, metavar="S",
                        help="seconds for one call of the engine (default: 60)")  # fmt: skip
    verify.add_argument("--memory", type=_bytes, metavar="SIZE", help="memory for each worker, as "
                        "2G or 500M (default: 3/4 of the machine's, shared out)")  # fmt: skip
    verify.add_argument("--require", metavar="MODEL", type=_model, help="the widest "
                        "rounding that is allowed: strict, standard, or a model's name (default: "
                        "what the engine declares, else standard)")  # fmt: skip
    verify.add_argument("--limit", action="append", default=[], metavar="NAME=VALUE", type=_limit,
                        help="draw no further than that: max_depth=2, max_weight_scale=10, "
                        "max_preactivation=30, corners=generic,saturated, ...")  # fmt: skip
    verify.add_argument("--log", type=Path, metavar="FILE", help="results as JSON lines")
    verify.add_argument("--known", type=Path, metavar="FILE", help="known failures, as TOML")
    verify.add_argument("--resume", action="store_true", help="go on with an incomplete log")
    for name in ("junit", "html", "markdown"):
        verify.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"results as {name}")
    verify.set_defaults(run=_verify)


def _add_replay(commands: Commands) -> None:
    replay = commands.add_parser("replay", help="check one case again")
    replay.add_argument("case", help="a token (gc1:...) or a case file")
    replay.add_argument("engine", help=ENGINE_HELP)
    replay.add_argument("--require", metavar="MODEL", type=_model,
                        help="the widest rounding that is allowed, as of verify")  # fmt: skip
    replay.add_argument("--timeout", type=_seconds, default=60.0, metavar="S",
                        help="seconds for one call of the engine (default: 60)")  # fmt: skip
    replay.set_defaults(run=_replay)


def _add_selftest(commands: Commands) -> None:
    selftest = commands.add_parser("selftest", help="is the checker itself sound here? every "
                                   "mutant caught, no right engine accused")  # fmt: skip
    selftest.add_argument("--clean", type=_up_to(MOST_EXAMPLES), default=20_000, metavar="N",
                          help="problems of right engines (default: 20,000)")  # fmt: skip
    selftest.add_argument("--jobs", type=_up_to(MOST_JOBS), default=_processors(), metavar="N",
                          help="worker processes (default: one a processor, up to 4)")  # fmt: skip
    selftest.add_argument("--out", type=Path, metavar="DIR", help="measure who catches what, and "
                          "how small an error, beside other checkers; write it to DIR "
                          "(10 minutes)")  # fmt: skip
    selftest.add_argument("--seed", type=_whole, metavar="S", help="of the networks of --out "
                          "(default: 0)")  # fmt: skip
    selftest.set_defaults(run=_selftest)


def _add_bench(commands: Commands) -> None:
    bench = commands.add_parser("bench", help="measure these checks beside other people's")
    bench.add_argument("--out", type=Path, default=LATEST / "bench", metavar="DIR",
                       help=f"where to write it (default: {LATEST / 'bench'})")  # fmt: skip
    bench.add_argument("--quick", action="store_true", help="less of each, up to 9,901 weights")
    bench.add_argument("--sizes", type=_network, nargs="+", metavar="n-h-1", help="the networks "
                       "to check, by their layer sizes, as 97-100-1")  # fmt: skip
    bench.set_defaults(run=_bench)


def _add_engines(commands: Commands) -> None:
    engines = commands.add_parser("engines", help="list the engines that are installed")
    engines.set_defaults(run=_engines)


def _add_new_engine(commands: Commands) -> None:
    new = commands.add_parser("new-engine", help="write a working engine to start from")
    new.add_argument("--language", required=True, choices=("python", "javascript", "c"))
    new.add_argument("folder", type=Path, metavar="DIR", help="where to write it")
    new.set_defaults(run=_new_engine)


def _whole(text: str) -> int:
    value = int(text)
    if not 0 <= value < 2**64:
        raise argparse.ArgumentTypeError(f"{value} must be in 0..{2**64 - 1}")
    return value


def _processors() -> int:
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


def _up_to(most: int) -> Callable[[str], int]:
    """Return what reads a whole number from 1 to `most`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,20}", text) or not 1 <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"{text:.40} must be a whole number in 1..{most:,}")
        return int(text)

    return read


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= LONGEST:
        told = f"{text:.40} must be a number of seconds above 0, at most {LONGEST:,}"
        raise argparse.ArgumentTypeError(told)
    return value


def _bytes(text: str) -> int:
    found = re.fullmatch(r"([0-9]{1,15})([KMG]?)", text.upper())
    value = int(found[1]) * 2 ** (10 * " KMG".index(found[2] or " ")) if found else 0
    if not LEAST_MEMORY <= value < 2**63:
        raise argparse.ArgumentTypeError(f"{text:.40} must be a size from 100M on, as 500M or 2G")
    return value


def _model(text: str) -> str:
    from gradcheck.rounding import models_up_to  # noqa: PLC0415 - loaded when needed

    try:
        models_up_to(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _limit(text: str) -> tuple[str, Any]:
    from gradcheck.engines.base import LIMITS  # noqa: PLC0415 - loaded when needed
    from gradcheck.strata import Limits  # noqa: PLC0415

    name, equals, value = text.partition("=")
    if not equals or name not in LIMITS:
        known = ", ".join(LIMITS)
        raise argparse.ArgumentTypeError(f"{text!r} must be NAME=VALUE with NAME one of {known}")
    try:
        usual = getattr(Limits, name)
        limit: Any = tuple(value.split(",")) if isinstance(usual, tuple) else type(usual)(value)
        Limits(**{name: limit})
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return name, limit


def _shard(text: str) -> tuple[int, int]:
    place, slash, shards = text.partition("/")
    if not (slash and place.isdecimal() and shards.isdecimal()):
        raise argparse.ArgumentTypeError(f"{text!r} must have the form I/N, as 1/4")
    if not 1 <= int(place) <= int(shards):
        raise argparse.ArgumentTypeError(f"{text!r}: I must be in 1..N")
    return int(place), int(shards)


def _network(text: str) -> tuple[int, ...]:
    parts = text.split("-")
    if len(parts) < 2 or not all(re.fullmatch("[1-9][0-9]{0,6}", part) for part in parts):
        raise argparse.ArgumentTypeError(f"{text!r:.60} must be layer sizes from 1, as 97-100-1")
    return tuple(map(int, parts))


# --- report ---------------------------------------------------------------------------------------


def _report(options: argparse.Namespace) -> int:
    from gradcheck.report.guard import EngineNotFoundError, EngineUnusableError  # noqa: PLC0415

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
    from gradcheck.report.claims import exit_code  # noqa: PLC0415 - heavy, loaded when needed
    from gradcheck.report.run import write_report  # noqa: PLC0415
    from gradcheck.report.settings import Settings  # noqa: PLC0415
    from gradcheck.report.summary import sentences  # noqa: PLC0415
    from gradcheck.report.textbook.libraries import installed  # noqa: PLC0415

    given = {"engine": options.engine and options.engine[0], "seed": options.seed}
    changes = {name: value for name, value in given.items() if value is not None}
    make = Settings.full if options.full else Settings
    settings = make(**changes, libraries=installed())
    report = write_report(options.out, settings, command=_command(options, changes))
    code = exit_code(report)
    for number, sentence in enumerate(sentences(report["sections"]), start=1):
        terminal.say(f"{number}. {sentence}")
    terminal.say(f"\nThe whole report: {options.out / 'report.md'}")
    return code


def _command(options: argparse.Namespace, changes: dict[str, object]) -> str:
    given = [f"--{name} {shlex.quote(str(value))}" for name, value in changes.items()]
    return " ".join(["python -m gradcheck report", *["--full"] * options.full, *given])


def _compare_engines(options: argparse.Namespace) -> int:
    from gradcheck.report.engines.draw import Extent  # noqa: PLC0415 - heavy, loaded when needed
    from gradcheck.report.engines.page import sentences  # noqa: PLC0415
    from gradcheck.report.engines.run import chosen, exit_code, write_comparison  # noqa: PLC0415

    if options.full:
        terminal.complain("--full is for one engine; leave it out")
        return USAGE
    seed = {} if options.seed is None else {"seed": options.seed}
    given = [f"--engine {shlex.quote(spec)}" for spec in options.engine]
    given += [f"--{name} {value}" for name, value in seed.items()]
    command = " ".join(["python -m gradcheck report", *given])
    report = write_comparison(options.out, chosen(options.engine), Extent(**seed), command=command)
    code = exit_code(report)
    for number, sentence in enumerate(sentences(report), start=1):
        terminal.say(f"{number}. {sentence}")
    terminal.say(f"\nThe whole comparison: {options.out / 'report.md'}")
    return code


def _one_claim(name: str, *, full: bool) -> int:
    from gradcheck.report.claims import judge  # noqa: PLC0415 - heavy, loaded when needed
    from gradcheck.report.settings import Settings  # noqa: PLC0415
    from gradcheck.report.textbook.claim import CONFIRMED, sentences  # noqa: PLC0415
    from gradcheck.report.textbook.libraries import installed  # noqa: PLC0415
    from gradcheck.report.textbook.registry import TEXTBOOK, measure_claims  # noqa: PLC0415

    claim = TEXTBOOK.get(name.upper())
    if claim is None:
        terminal.complain(f"--claim={name} is not one of {', '.join(TEXTBOOK)}")
        return USAGE
    settings = (Settings.full if full else Settings)(libraries=installed())
    content = measure_claims([claim], settings).to_json()
    found = content["results"][claim.id]
    (judged,) = judge({"textbook": content})
    code = VERIFIED if judged["holds"] else WRONG
    instead = claim.precise if found["ruling"] != CONFIRMED else ""
    terminal.say(f"{claim.id}: {claim.statement}")
    terminal.say(f"{found['ruling']}{': ' + instead if instead else ''}")
    for sentence in sentences(content, claim.id):
        terminal.say(f"- {sentence}")
    return code


def _check_report(folder: Path) -> int:
    from gradcheck.report.compare import UnreadableReportError, check_report  # noqa: PLC0415

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


# --- replay ---------------------------------------------------------------------------------------


def _replay(options: argparse.Namespace) -> int:
    from gradcheck.verify.pool import EngineGoneError  # noqa: PLC0415 - loaded when needed
    from gradcheck.verify.replay import read, replay  # noqa: PLC0415

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


# --- verify ---------------------------------------------------------------------------------------


def _verify(options: argparse.Namespace) -> int:
    from gradcheck.files import require_distinct, require_writable  # noqa: PLC0415 - when needed
    from gradcheck.known import KnownError, read_known  # noqa: PLC0415
    from gradcheck.verify.log import LogError  # noqa: PLC0415
    from gradcheck.verify.outputs import Paths  # noqa: PLC0415
    from gradcheck.verify.plan import NothingToVerifyError, Settings  # noqa: PLC0415
    from gradcheck.verify.pool import EngineGoneError  # noqa: PLC0415
    from gradcheck.verify.run import verify  # noqa: PLC0415

    names = ("engine", "examples", "seed", "dtype", "shard", "timeout")
    given = {name: getattr(options, name) for name in names}
    given["require"] = options.require or ""
    settings = Settings(**given, limits=tuple(options.limit))
    files = {f"--{name}": getattr(options, name) for name in ("log", "junit", "html", "markdown")}
    try:
        if options.known is not None:
            known = read_known(options.known)
            settings = replace(settings, known=known, known_file=str(options.known))
        require_distinct(files | {"--known": options.known})
        for name, path in files.items():
            require_writable(name, path)
        extent = {"jobs": options.jobs, "memory": options.memory}
        done = verify(settings, **extent, log=options.log, resume=options.resume)
    except NothingToVerifyError as error:
        terminal.complain(str(error))
        return USAGE if options.dtype or options.limit else NOTHING
    except (LogError, KnownError) as error:
        terminal.complain(str(error))
        return USAGE
    except EngineGoneError as error:
        terminal.complain(str(error))
        return ENGINE
    return _told(done, Paths(options.junit, options.html, options.markdown))


def _told(done: Verified, paths: Paths) -> int:
    """Print the verdict first, then write each output on its own; return the exit code."""
    from gradcheck.verify.outputs import summary_of, writers  # noqa: PLC0415 - loaded when needed
    from gradcheck.verify.text import render  # noqa: PLC0415

    summary = summary_of(done.records)
    steps = [lambda: terminal.say(render(summary).rstrip("\n")), *writers(summary, paths)]
    codes = {_tried(step) for step in steps}
    if done.trouble:
        terminal.complain(done.trouble)
        codes.add(USAGE)
    if done.judgement is None:
        terminal.complain("interrupted")
        return INTERRUPTED
    own = next((code for code in (NOTHING, USAGE) if code in codes), None)
    return done.judgement.exit_code if own is None else own


def _tried(step: Callable[[], None]) -> int:
    """Write one output, whatever becomes of the others; return the exit code that it deserves."""
    try:
        step()
    except terminal.UnwritableError as error:
        terminal.complain(str(error))
        return USAGE
    except Exception as error:  # noqa: BLE001 - a page that cannot be made leaves the others alone
        return _unforeseen(error)
    return VERIFIED


# --- selftest -------------------------------------------------------------------------------------


def _selftest(options: argparse.Namespace) -> int:
    from gradcheck.selftest import selftest, told  # noqa: PLC0415 - loaded when needed

    if options.out is not None:
        return _examination(options)
    if options.seed is not None:
        terminal.complain(
            "--seed is that of the networks of --out; without --out they are always the same"
        )
        return USAGE
    result = selftest(clean=options.clean, jobs=options.jobs)
    terminal.say(told(result))
    return VERIFIED if result.is_sound else WRONG


def _examination(options: argparse.Namespace) -> int:
    from gradcheck.report.selftest.extent import Extent  # noqa: PLC0415 - loaded when needed
    from gradcheck.report.selftest.page import sentences  # noqa: PLC0415
    from gradcheck.report.selftest.run import is_sound, write_selftest  # noqa: PLC0415

    if options.out.exists() and not options.out.is_dir():
        terminal.complain(f"--out={options.out} is a file; a folder is needed")
        return USAGE
    seed = options.seed or 0
    extent = Extent(seed=seed, clean=options.clean, jobs=options.jobs)
    command = f"python -m gradcheck selftest --out {shlex.quote(str(options.out))} --seed {seed}"
    report = write_selftest(options.out, extent, command=command, say=terminal.say)
    terminal.say("")
    for number, sentence in enumerate(sentences(report), start=1):
        terminal.say(f"{number}. {sentence}")
    terminal.say(f"\nThe whole examination: {options.out / 'selftest.md'}")
    return VERIFIED if is_sound(report) else WRONG


# --- bench ----------------------------------------------------------------------------------------


def _bench(options: argparse.Namespace) -> int:
    from gradcheck.bench.run import BenchError, exit_code, write_bench  # noqa: PLC0415
    from gradcheck.bench.sentences import sentences  # noqa: PLC0415 - heavy, loaded when needed
    from gradcheck.bench.settings import Settings  # noqa: PLC0415

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
        report = write_bench(options.out, settings, command=command)
    except BenchError as error:
        terminal.complain(str(error))
        return NOTHING
    code = exit_code(report)
    for number, sentence in enumerate(sentences(report), start=1):
        terminal.say(f"{number}. {sentence}")
    terminal.say(f"\nAll checks, tables and figures: {options.out / 'bench.md'}")
    return code


# --- engines --------------------------------------------------------------------------------------


def _engines(_options: argparse.Namespace) -> int:
    from gradcheck.engines.base import EngineUnusableError  # noqa: PLC0415
    from gradcheck.engines.installed import NotInstalledError  # noqa: PLC0415
    from gradcheck.engines.registry import EngineNotFoundError, describe, names  # noqa: PLC0415

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


# --- new-engine -----------------------------------------------------------------------------------


def _new_engine(options: argparse.Namespace) -> int:
    from gradcheck.new_engine import new_engine  # noqa: PLC0415 - loaded when needed

    try:
        commands = new_engine(options.language, options.folder)
    except OSError as error:
        terminal.complain(str(error))
        return USAGE
    terminal.say(f"written to {options.folder}; next:")
    for command in commands:
        terminal.say(f"    {command}")
    return VERIFIED
