"""Finds an engine by what it is called.

An engine is named in one of three ways:

- a registered name, such as ``reference``: one of the built-in engines, or an entry point of the
  group ``gradcheck.engines`` in any installed distribution;
- ``py:package.module:attribute``: an engine, a class or function without arguments that makes
  one, or a bare callable ``problem -> (loss, gradient)``;
- ``cmd:COMMAND LINE``: a program in any language that speaks `gradcheck.engines.protocol`.
"""

from __future__ import annotations

import difflib
import importlib
import importlib.metadata
import inspect
from contextlib import closing
from functools import cache
from typing import Any

from gradcheck.engines.base import Engine, EngineInfo, engine_from_callable
from gradcheck.engines.installed import Library, NotInstalledError
from gradcheck.writing.terminal import text_of

GROUP = "gradcheck.engines"

# The same as the entry points of this distribution, so that a source checkout has them too.
BUILT_IN = {
    "reference": "gradcheck.engines.reference:vectorised",
    "chain-rule": "gradcheck.engines.reference:neuron_by_neuron",
    "torch": "gradcheck.engines.torch_adapter:Torch",
    "torch-probabilities": "gradcheck.engines.torch_adapter:Probabilities",
    "torch-textbook": "gradcheck.engines.torch_adapter:Textbook",
    "jax": "gradcheck.engines.jax_adapter:Jax",
    "jax-log1p": "gradcheck.engines.jax_adapter:Log1p",
    "jax-textbook": "gradcheck.engines.jax_adapter:Textbook",
    "tensorflow": "gradcheck.engines.tensorflow_adapter:TensorFlow",
    "tensorflow-probabilities": "gradcheck.engines.tensorflow_adapter:Probabilities",
    "tensorflow-textbook": "gradcheck.engines.tensorflow_adapter:Textbook",
    "pytensor": "gradcheck.engines.pytensor_adapter:PyTensor",
    "autograd": "gradcheck.engines.autograd_adapter:Autograd",
    "autograd-logaddexp": "gradcheck.engines.autograd_adapter:LogAddExp",
    "autograd-textbook": "gradcheck.engines.autograd_adapter:Textbook",
    "sklearn": "gradcheck.engines.sklearn_adapter:MultilayerPerceptron",
    "caffe": "gradcheck.engines.legacy:caffe",
    "caffe-textbook": "gradcheck.engines.legacy:caffe_textbook",
    "theano": "gradcheck.engines.legacy:theano",
    "theano-logits": "gradcheck.engines.legacy:theano_logits",
    "theano-fast-compile": "gradcheck.engines.legacy:theano_fast_compile",
    "theano-textbook": "gradcheck.engines.legacy:theano_textbook",
}


class EngineNotFoundError(LookupError):
    """No engine goes by that name, or what goes by it cannot be loaded or is no engine."""


def names() -> list[str]:
    """Return every registered name, in alphabetical order."""
    return sorted(_registered())


def find(spec: str) -> Engine:
    """Find and make an engine.

    Args:
        spec: a registered name, ``py:package.module:attribute`` or ``cmd:COMMAND LINE``; a
            program is started when it is first asked something.

    Raises:
        TypeError: spec is not text.
        EngineNotFoundError: nothing goes by that name, two distributions claim it, it cannot be
            imported (the importing error is the cause), what it names is no engine, or a command
            line is empty or ends within quotation marks.

    Example:
        >>> find("reference").info.name
        'reference'
    """
    if not isinstance(spec, str):
        raise TypeError(f"spec must be text, got {type(spec).__name__}")
    if spec.startswith("py:"):
        return _make(_load(spec, spec.removeprefix("py:")), spec)
    if spec.startswith("cmd:"):
        return _process(spec)
    return _make(_load(spec, _target(spec)), spec)


def describe(name: str) -> EngineInfo:
    """Return what an engine says of itself, without importing the library behind it if it can.

    Args:
        name: a registered name.

    Raises:
        NotInstalledError: the library behind it is not installed.
        EngineNotFoundError: as `find`.

    Example:
        >>> describe("reference").losses
        ('cross_entropy', 'quadratic')
    """
    found = _load(name, _target(name))
    library, info = getattr(found, "source", None), getattr(found, "info", None)
    if isinstance(library, Library):
        library.require()
    if isinstance(info, EngineInfo):
        return info
    with closing(_make(found, name)) as engine:
        return engine.info


def _target(name: str) -> str:
    """Return the one ``package.module:attribute`` that a registered name stands for."""
    targets = _registered().get(name)
    if targets is None:
        raise EngineNotFoundError(_unknown(name))
    if len(targets) > 1:
        choices = ", ".join(f"py:{target}" for target in sorted(targets))
        raise EngineNotFoundError(f"{name!r} is registered more than once; choose one: {choices}")
    return next(iter(targets))


def _registered() -> dict[str, set[str]]:
    """Map each name to what it stands for: normally one ``package.module:attribute``."""
    registered = {name: {target} for name, target in BUILT_IN.items()}
    for entry in entry_points(group=GROUP):
        registered.setdefault(entry.name, set()).add(entry.value)
    return registered


@cache
def entry_points(*, group: str) -> importlib.metadata.EntryPoints:
    """Return the entry points of a group, read once a process: reading takes a millisecond."""
    return importlib.metadata.entry_points(group=group)


def _unknown(spec: str) -> str:
    known = names()
    close = difflib.get_close_matches(spec, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return (
        f"no engine is registered as {spec!r}{hint}; registered are {', '.join(known)}, "
        "and an engine of your own is named py:package.module:attribute or cmd:COMMAND LINE"
    )


def _process(spec: str) -> Engine:
    from gradcheck.engines.process import ProcessEngine  # noqa: PLC0415 - loaded when needed

    try:
        return ProcessEngine(spec.removeprefix("cmd:"))
    except ValueError as error:
        raise EngineNotFoundError(f"engine {spec!r}: {error}") from error


def _load(spec: str, target: str) -> Any:
    """Import ``package.module:attribute``."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise EngineNotFoundError(f"{spec!r} must have the form py:package.module:attribute")
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:  # a module that ends the program is no engine
        told = f"{type(error).__name__}: {text_of(error)}"
        raise EngineNotFoundError(
            f"engine {spec!r}: importing {module_name} failed: {told}"
        ) from error
    for name in attribute.split("."):
        if not hasattr(found, name):
            raise EngineNotFoundError(f"engine {spec!r}: {module_name} has no {attribute!r}")
        found = getattr(found, name)
    return found


def _make(found: Any, spec: str) -> Engine:
    """Turn what a name stands for into an engine."""
    if isinstance(found, Engine) and not inspect.isclass(found):
        return found
    if not callable(found):
        raise EngineNotFoundError(f"engine {spec!r} is {found!r:.60}, neither engine nor callable")
    if not _is_factory(found):
        return engine_from_callable(found, spec)
    try:
        made = found()
    except NotInstalledError as error:
        raise EngineNotFoundError(f"engine {spec!r} is {error}") from error
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {text_of(error)}"
        raise EngineNotFoundError(f"engine {spec!r}: making it failed: {told}") from error
    if not isinstance(made, Engine):
        raise EngineNotFoundError(
            f"engine {spec!r}: calling it without arguments gave {made!r:.60}, which lacks one of "
            "info, loss, value_and_grad, close; a bare callable takes one argument, the problem"
        )
    return made


def _is_factory(found: Any) -> bool:
    """Whether it is made to be called without arguments; a bare callable needs the problem."""
    if inspect.isclass(found):
        return True
    try:
        parameters = inspect.signature(found).parameters.values()
    except (TypeError, ValueError):
        return False  # a compiled function that hides its signature
    optional = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return all(p.default is not p.empty or p.kind in optional for p in parameters)
