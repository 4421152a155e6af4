"""The command `verify`."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

from gradcheck.cli.models import limit, model
from gradcheck.cli.parsing import (
    ENGINE_HELP,
    MOST_EXAMPLES,
    add_jobs,
    seconds,
    shard,
    size,
    up_to,
    whole,
)
from gradcheck.cli.unforeseen import unforeseen
from gradcheck.outcomes.exit_codes import ENGINE, INTERRUPTED, NOTHING, USAGE, VERIFIED
from gradcheck.verification.known import KnownError, read_known
from gradcheck.verification.log import LogError
from gradcheck.verification.outputs import Paths, summary_of, writers
from gradcheck.verification.plan import NothingToVerifyError, Settings
from gradcheck.verification.pool import EngineGoneError
from gradcheck.verification.run import Verified, verify
from gradcheck.verification.text import render
from gradcheck.writing import terminal
from gradcheck.writing.files import require_distinct, require_writable

Group: TypeAlias = argparse._ArgumentGroup

EXAMPLES = """examples:
  python -m gradcheck verify torch
  python -m gradcheck verify py:my_engine:value_and_grad --examples 1000 --html run.html
  python -m gradcheck verify 'cmd:./my_engine --serve' --require strict --log run.log"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = EXAMPLES
    parser.add_argument("engine", help=ENGINE_HELP)
    _add_drawn(parser.add_argument_group("which networks are drawn"))
    _add_allowed(parser.add_argument_group("what is allowed"))
    _add_run(parser.add_argument_group("how it is run"))
    _add_written(parser.add_argument_group("what is written"))


def _add_drawn(drawn: Group) -> None:
    drawn.add_argument(
        "--examples",
        type=up_to(MOST_EXAMPLES),
        default=200,
        metavar="N",
        help="number of networks (default: 200)",
    )
    drawn.add_argument(
        "--seed", type=whole, default=0, metavar="S", help="random seed of the networks"
    )
    drawn.add_argument(
        "--dtype",
        choices=("float64", "float32", "float16"),
        default="",
        help="precision of all networks (default: every one that the engine computes in)",
    )
    drawn.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        type=limit,
        help="bound of what is drawn: max_depth=2, max_weight_scale=10, max_preactivation=30, "
        "corners=generic,saturated, ...",
    )
    drawn.add_argument(
        "--shard",
        type=shard,
        default=(1, 1),
        metavar="I/N",
        help="every N-th network alone, from the I-th on",
    )


def _add_allowed(judged: Group) -> None:
    judged.add_argument(
        "--require",
        metavar="MODEL",
        type=model,
        help="widest rounding that is allowed: strict, standard, or a model's name (default: what "
        "the engine declares, else standard)",
    )
    judged.add_argument("--known", type=Path, metavar="FILE", help="TOML file of known failures")


def _add_run(how: Group) -> None:
    add_jobs(how)
    how.add_argument(
        "--timeout",
        type=seconds,
        default=60.0,
        metavar="S",
        help="seconds for one call of the engine (default: 60)",
    )
    how.add_argument(
        "--memory",
        type=size,
        metavar="SIZE",
        help="memory of each worker, as 2G or 500M (default: 3/4 of the machine's, shared out)",
    )


def _add_written(written: Group) -> None:
    written.add_argument("--log", type=Path, metavar="FILE", help="log of all results, JSON lines")
    written.add_argument("--resume", action="store_true", help="continuation of an incomplete log")
    for name in ("junit", "html", "markdown"):
        written.add_argument(f"--{name}", type=Path, metavar="FILE", help=f"results as {name}")


def run_command(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
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
        return unforeseen(error)
    return VERIFIED
