"""Finds an engine by what it is called.

An engine is named in one of two ways:

- a registered name, such as ``reference``: one of the built-in engines, or an entry point of the
  group ``gradcheck.engines`` in any installed distribution;
- ``py:package.module:attribute``: an engine, a class or function without arguments that makes
  one, or a bare callable ``problem -> (loss, gradient)``.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from importlib.metadata import entry_points
from typing import Any

from gradcheck.engines.base import Engine, engine_from_callable

GROUP = "gradcheck.engines"

# The same as the entry points of this distribution, so that a source checkout has them too.
BUILT_IN = {
    "reference": "gradcheck.engines.reference:vectorised",
    "chain-rule": "gradcheck.engines.reference:neuron_by_neuron",
}


class EngineNotFoundError(LookupError):
    """No engine goes by that name, or what goes by it cannot be loaded or is no engine."""


def names() -> list[str]:
    """Return every registered name, in alphabetical order."""
    return sorted(_registered())


def find(spec: str) -> Engine:
    """Find and make an engine.

    Args:
        spec: a registered name, or ``py:package.module:attribute``.

    Raises:
        TypeError: spec is not text.
        EngineNotFoundError: nothing goes by that name, two distributions claim it, it cannot be
            imported (the importing error is the cause), or what it names is no engine.

    Example:
        >>> find("reference").info.name
        'reference'
    """
    if not isinstance(spec, str):
        raise TypeError(f"spec must be text, got {type(spec).__name__}")
    if spec.startswith("py:"):
        return _make(_load(spec, spec.removeprefix("py:")), spec)
    targets = _registered().get(spec)
    if targets is None:
        raise EngineNotFoundError(_unknown(spec))
    if len(targets) > 1:
        choices = ", ".join(f"py:{target}" for target in sorted(targets))
        raise EngineNotFoundError(f"{spec!r} is registered more than once; choose one: {choices}")
    return _make(_load(spec, next(iter(targets))), spec)


def _registered() -> dict[str, set[str]]:
    """Map each name to what it stands for: normally one ``package.module:attribute``."""
    registered = {name: {target} for name, target in BUILT_IN.items()}
    for entry in entry_points(group=GROUP):
        registered.setdefault(entry.name, set()).add(entry.value)
    return registered


def _unknown(spec: str) -> str:
    known = names()
    close = difflib.get_close_matches(spec, known, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return (
        f"no engine is registered as {spec!r}{hint}; registered are {', '.join(known)}, "
        "and an engine of your own is named py:package.module:attribute"
    )


def _load(spec: str, target: str) -> Any:
    """Import ``package.module:attribute``."""
    module_name, _, attribute = target.partition(":")
    if not module_name or not attribute:
        raise EngineNotFoundError(f"{spec!r} must have the form py:package.module:attribute")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:
        raise EngineNotFoundError(
            f"engine {spec!r}: importing {module_name} failed: {type(error).__name__}: {error}"
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
    except Exception as error:
        raise EngineNotFoundError(
            f"engine {spec!r}: making it failed: {type(error).__name__}: {error}"
        ) from error
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
