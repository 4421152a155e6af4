"""Engines of libraries that need an old interpreter: Caffe and Theano, in processes of their own.

They run in an environment with CPython 3.8, which `python -m gradcheck.engines.legacy_setup` makes.
It is looked for where the environment variable GRADCHECK_LEGACY says, else in the user's cache
folder.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from gradcheck.engines.installed import NotInstalledError

if TYPE_CHECKING:
    from gradcheck.engines.process import ProcessEngine

ENVIRONMENT = "GRADCHECK_LEGACY"
SETUP = "python -m gradcheck.engines.legacy_setup"
PROGRAMS = Path(__file__).parent / "processes"

VARIANTS = {
    "caffe": ("caffe", "caffe-textbook"),
    "theano": ("theano", "theano-logits", "theano-fast-compile", "theano-textbook"),
}
"""The engines of each library; `caffe_engine.py` and `theano_engine.py` say what they are."""


def folder() -> Path:
    """Return the folder of the environment, whether it exists or not."""
    chosen = os.environ.get(ENVIRONMENT)
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "gradcheck" / "legacy"


def has(library: str, environment: Path) -> bool:
    """Whether a library is installed in an environment; nothing is started."""
    packages = environment.glob(f"lib/python3.*/site-packages/{library}/__init__.py")
    return python(environment).exists() and any(packages)


def python(environment: Path) -> Path:
    """Return an environment's interpreter."""
    return environment / "bin" / "python"


def command(library: str, variant: str, environment: Path) -> list[str]:
    """Return the program that serves a variant, with its arguments."""
    return [str(python(environment)), str(PROGRAMS / f"{library}_engine.py"), variant]


def _engine(library: str, variant: str) -> ProcessEngine:
    """Make the client of a variant; the process is started when it is first asked something.

    Raises:
        NotInstalledError: the environment, or the library in it, is not set up.
    """
    from gradcheck.engines.process import ProcessEngine  # noqa: PLC0415 - loaded when needed

    environment = folder()
    if not has(library, environment):
        raise NotInstalledError(f"not set up in {environment}: {SETUP} {library}")
    return ProcessEngine(command(library, variant, environment))


def _factory(library: str, variant: str) -> Callable[[], ProcessEngine]:
    def make() -> ProcessEngine:
        return _engine(library, variant)

    make.__doc__ = f"""Make the engine {variant}.

    Raises:
        NotInstalledError: the environment, or {library} in it, is not set up.
    """
    return make


caffe = _factory("caffe", "caffe")
caffe_textbook = _factory("caffe", "caffe-textbook")
theano = _factory("theano", "theano")
theano_logits = _factory("theano", "theano-logits")
theano_fast_compile = _factory("theano", "theano-fast-compile")
theano_textbook = _factory("theano", "theano-textbook")
