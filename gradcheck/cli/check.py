"""The command `check`: one function, its gradient and a point, from the shell."""

from __future__ import annotations

import argparse
import importlib
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from gradcheck.checks.gradient import METHODS, check_gradient
from gradcheck.cli.parsing import whole
from gradcheck.outcomes.exit_codes import ENGINE, NOTHING, USAGE, VERIFIED, WRONG
from gradcheck.outcomes.reasons import Verdict
from gradcheck.writing import terminal

EXAMPLES = """examples:
  python -m gradcheck check my_module:loss my_module:gradient --at=0.5,-1.25
  python -m gradcheck check my_module:loss my_module:gradient --at my_module:weights
  python -m gradcheck check my_module:loss my_module:gradient --at weights.npy --bounds 0,1"""

CODES = {
    Verdict.PASS: VERIFIED,
    Verdict.FAIL: WRONG,
    Verdict.INCONCLUSIVE: NOTHING,
}


class UnusableError(Exception):
    """A name that leads to nothing, or a function that raises; the message is one sentence."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of the command."""
    parser.epilog = EXAMPLES
    parser.add_argument("function", help="package.module:attribute, a function of one argument")
    parser.add_argument("gradient", help="package.module:attribute, its gradient")
    parser.add_argument(
        "--at",
        required=True,
        metavar="X",
        help="point: numbers with commas, package.module:attribute, or a .npy or .npz file",
    )
    parser.add_argument(
        "--method",
        choices=METHODS,
        default="auto",
        help="coordinates or directions (default: auto)",
    )
    parser.add_argument(
        "--noise", type=float, metavar="E", help="absolute error of one value of the function"
    )
    parser.add_argument("--budget", type=int, metavar="N", help="largest number of forward passes")
    parser.add_argument(
        "--resolution", type=float, metavar="R", help="relative error that must not go unseen"
    )
    parser.add_argument(
        "--bounds", type=_bounds, metavar="LO,HI", help="bounds that the point never leaves"
    )
    parser.add_argument("--seed", type=whole, default=0, metavar="S", help="random seed")


def run_command(options: argparse.Namespace) -> int:
    """Run the command, and return its exit code."""
    names = ("method", "noise", "budget", "resolution", "bounds", "seed")
    try:
        f, gradient = (
            _guarded(_function(spec), spec) for spec in (options.function, options.gradient)
        )
        given = {name: getattr(options, name) for name in names}
        outcome = check_gradient(f, gradient, _point(options.at), **given)
    except UnusableError as error:
        terminal.complain(str(error))
        return ENGINE
    except (TypeError, ValueError) as error:
        terminal.complain(str(error))
        return USAGE
    terminal.say(str(replace(outcome, repeat=_command(options))))
    return CODES[outcome.verdict]


def _command(options: argparse.Namespace) -> str:
    """Return the command line that repeats the check."""
    given = [f"--at={options.at}", f"--method={options.method}"]
    for name in ("noise", "budget", "resolution"):
        value = getattr(options, name)
        given += [] if value is None else [f"--{name}={value!r}"]
    if options.bounds is not None:
        ends = ("" if end is None else repr(end) for end in options.bounds)
        given.append(f"--bounds={','.join(ends)}")
    given.append(f"--seed={options.seed}")
    words = ["python", "-m", "gradcheck", "check", options.function, options.gradient, *given]
    return shlex.join(words)


def _attribute(spec: str) -> Any:
    """Import package.module:attribute, with or without `py:` before it."""
    module, colon, attribute = spec.removeprefix("py:").partition(":")
    if not (module and colon and attribute):
        raise UnusableError(f"{spec!r} must have the form package.module:attribute")
    try:
        found: Any = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
    except (Exception, SystemExit) as error:  # a module may raise anything where it is imported
        told = terminal.text_of(error)
        raise UnusableError(f"{spec!r} cannot be loaded: {type(error).__name__}: {told}") from error
    return found


def _function(spec: str) -> Callable[[Any], Any]:
    found = _attribute(spec)
    if not callable(found):
        raise UnusableError(f"{spec!r} is {found!r:.60}, not a function")
    function: Callable[[Any], Any] = found
    return function


def _guarded(function: Callable[[Any], Any], spec: str) -> Callable[[Any], Any]:
    """Return the function; what it raises is told from what gradcheck raises."""

    def called(x: Any) -> Any:
        try:
            return function(x)
        except Exception as error:
            told = terminal.text_of(error)
            raise UnusableError(f"{spec!r} raised {type(error).__name__}: {told}") from error

    return called


def _point(text: str) -> Any:
    """Read numbers with commas, a file of numpy, or what a module names."""
    if Path(text).suffix in {".npy", ".npz"}:
        try:
            with Path(text).open("rb") as file:  # numpy leaves a damaged file open
                held = np.load(file, allow_pickle=False)
                return held if isinstance(held, np.ndarray) else dict(held)
        except (OSError, ValueError, BadZipFile) as error:
            raise ValueError(f"--at={text}: {error}") from None
    if ":" in text:
        return _attribute(text)
    return np.array(_numbers(text, "--at"))


def _bounds(text: str) -> tuple[float | None, float | None]:
    """Read LO,HI, either of which may be left out."""
    parts = text.split(",")
    if len(parts) != 2:
        raise argparse.ArgumentTypeError(f"{text!r} must be LO,HI, as 0,1 or 0,")
    try:
        lo, hi = (float(part) if part.strip() else None for part in parts)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None
    return lo, hi


def _numbers(text: str, name: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"{name}={text}: {error}") from None
