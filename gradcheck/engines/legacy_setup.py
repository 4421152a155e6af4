"""Sets up the environment that Caffe and Theano run in, with an old interpreter.

    python -m gradcheck.engines.legacy_setup [--folder FOLDER] [--python PYTHON] [caffe] [theano]

makes a virtual environment with CPython 3.8, installs the pinned requirements, lets every engine
compute a few gradients, and prints the `cmd:` line of each. What is there already is left alone.
Exit code: 0 everything works; 1 a library cannot be installed or does not work; 2 usage; 3 no
CPython 3.8 is found, or the environment cannot be made.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from gradcheck.engines import legacy
from gradcheck.engines.base import MalformedAnswerError
from gradcheck.engines.process import ProcessEngine
from gradcheck.problems.case import Case

INTERPRETER = "GRADCHECK_PYTHON38"
SECONDS = 600.0
"""For one gradient: Theano compiles C++ code first."""

SIZES = ((2, 1), (3, 2, 1), (3, 2, 2, 1))

WHICH = "import platform, sys; print(platform.python_implementation(), *sys.version_info[:2])"
WANTED = "CPython 3 8"


class SetupError(RuntimeError):
    """Something cannot be set up; the message says what, why, and what helps."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Set up what the arguments name; return the exit code."""
    options = _parser().parse_args(arguments)
    environment = Path(options.folder).expanduser().absolute()
    try:
        make_environment(environment, options.python)
    except SetupError as error:
        _complain(error)
        return 3
    code = 0
    for library in options.libraries or legacy.VARIANTS:
        try:
            install(library, environment)
            for variant in legacy.VARIANTS[library]:
                _say(f"{variant} {try_out(library, variant, environment)} works, by name or as")
                _say(f"  cmd:{shlex.join(legacy.command(library, variant, environment))}")
        except SetupError as error:
            _complain(error)
            code = 1
    if environment != legacy.folder().absolute():
        _say(f"to be found by name: export {legacy.ENVIRONMENT}={shlex.quote(str(environment))}")
    return code


def make_environment(environment: Path, interpreter: str | None = None) -> None:
    """Make a virtual environment with CPython 3.8, unless it is there.

    Args:
        environment: its folder.
        interpreter: a CPython 3.8; searched for if not given.

    Raises:
        SetupError: the folder holds something else, no CPython 3.8 is found, or it fails.
    """
    if legacy.python(environment).exists():
        if not is_wanted(str(legacy.python(environment))):
            raise SetupError(f"{environment} has another Python; CPython 3.8 is needed")
        return
    if environment.exists() and any(environment.iterdir()):
        raise SetupError(f"{environment} is there and is no virtual environment")
    _run(f"making {environment}", find_interpreter(interpreter), "-m", "venv", str(environment))


def install(library: str, environment: Path) -> None:
    """Install the pinned requirements of a library; nothing is done where they are met.

    Raises:
        SetupError: it fails.
    """
    pip = [str(legacy.python(environment)), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    requirements = legacy.PROGRAMS / f"requirements-{library}.txt"
    _run(f"installing {library}", *pip, "install", "--requirement", str(requirements))


def try_out(library: str, variant: str, environment: Path) -> str:
    """Let an engine compute one gradient of every kind; return its version.

    Theano keeps what it compiles for that: deeper networks are made of the same operations.

    Raises:
        SetupError: it does not work.
    """
    engine = ProcessEngine(legacy.command(library, variant, environment), timeout=SECONDS)
    try:
        info = engine.info
        kinds = itertools.product(SIZES, info.losses, info.reductions, info.dtypes)
        for sizes, loss, reduction, dtype in kinds:
            case = Case(sizes=sizes, loss=loss, reduction=reduction, dtype=dtype)
            problem = case.problem()
            engine.loss(problem)
            engine.value_and_grad(problem)
    except (RuntimeError, MalformedAnswerError) as error:
        raise SetupError(f"{variant} does not work: {error}") from error
    finally:
        engine.close()
    return info.version


def find_interpreter(given: str | None = None) -> str:
    """Find a CPython 3.8: the one given, that of GRADCHECK_PYTHON38, or the first that runs.

    Raises:
        SetupError: the one given is none, or there is none.
    """
    chosen = given or os.environ.get(INTERPRETER)
    if chosen:
        if not is_wanted(chosen):
            raise SetupError(f"{chosen} is no CPython 3.8 that runs")
        return chosen
    for candidate in candidates():
        if is_wanted(candidate):
            return candidate
    raise SetupError(
        "no CPython 3.8 is found; install one that python3.8 starts, or name it by --python or "
        f"{INTERPRETER}"
    )


def candidates() -> Iterator[str]:
    """Where a CPython 3.8 may be: on the path, or among the versions that pyenv keeps."""
    yield "python3.8"
    versions = Path(os.environ.get("PYENV_ROOT") or "~/.pyenv").expanduser() / "versions"
    yield from map(str, sorted(versions.glob("3.8.*/bin/python3.8"), reverse=True))


def is_wanted(interpreter: str) -> bool:
    """Whether it runs, and is a CPython 3.8."""
    try:
        ran = subprocess.run(  # noqa: S603 - what the user names, or what is called python3.8
            [interpreter, "-c", WHICH], capture_output=True, text=True, timeout=60, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return ran.returncode == 0 and ran.stdout.strip() == WANTED


def _run(doing: str, *command: str) -> None:
    """Run a command; its output is shown only if it fails.

    Raises:
        SetupError: it cannot be run, or fails.
    """
    try:
        ran = subprocess.run(  # noqa: S603 - that interpreter, with arguments of this module
            command, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise SetupError(f"{doing} failed: {error}") from error
    if ran.returncode:
        raise SetupError(f"{doing} failed:\n{(ran.stdout + ran.stderr).strip()}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=legacy.SETUP, description="Sets up Caffe and Theano with CPython 3.8."
    )
    known = ", ".join(legacy.VARIANTS)
    parser.add_argument(
        "libraries", nargs="*", type=_library, metavar="LIBRARY", help=f"{known} (default: both)"
    )
    parser.add_argument(
        "--folder",
        metavar="FOLDER",
        default=str(legacy.folder()),
        help=f"of the environment (default: {legacy.ENVIRONMENT}, else in the user's cache)",
    )
    parser.add_argument(
        "--python",
        metavar="PYTHON",
        help=f"a CPython 3.8 (default: {INTERPRETER}, else searched for)",
    )
    return parser


def _library(name: str) -> str:
    if name not in legacy.VARIANTS:
        raise argparse.ArgumentTypeError(f"{name!r} must be one of {', '.join(legacy.VARIANTS)}")
    return name


def _say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - what the command is for


def _complain(error: SetupError) -> None:
    print(f"gradcheck: {error}", file=sys.stderr)  # noqa: T201 - the error channel


if __name__ == "__main__":
    sys.exit(main())
