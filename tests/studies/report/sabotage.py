"""One line of a module replaced, for as long as a context lasts.

The code of the function in which the line stands is compiled anew and put in the place of the old
one, in the function itself, so that everyone who holds the function runs it. Where the line is an
assignment of the module, what is assigned is replaced. What functions keep from call to call is
forgotten before and after.
"""

import ast
import sys
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any


@contextmanager
def planted(module, old, new):
    """Replace what stands once in a module."""
    imported = import_module(module)
    text = Path(imported.__file__).read_text("utf-8")
    assert text.count(old) == 1, f"{module} has {text.count(old)} times: {old}"
    altered = text.replace(old, new)
    assert altered != text
    undo = list(_replaced(imported, text, altered))
    assert undo, f"nothing that is run has changed in {module}"
    _forget()
    try:
        yield
    finally:
        for restore, *arguments in undo:
            restore(*arguments)
        _forget()


def _replaced(module, text, altered):
    """Replace code and values that differ; yield what restores each."""
    before, after = (_codes(compile(t, module.__file__, "exec")) for t in (text, altered))
    for name, code in after.items():
        if name in before and _told(code) != _told(before[name]):
            function = _function(module, name)
            yield setattr, function, "__code__", function.__code__
            function.__code__ = code
    statements = zip(ast.parse(text).body, ast.parse(altered).body, strict=True)
    for was, statement in statements:
        if isinstance(was, ast.Assign | ast.AnnAssign) and ast.dump(was) != ast.dump(statement):
            target = statement.targets[0] if isinstance(was, ast.Assign) else statement.target
            values = dict(vars(module))
            exec(compile(ast.unparse(statement), module.__file__, "exec"), values)  # noqa: S102
            yield setattr, module, target.id, getattr(module, target.id)
            setattr(module, target.id, values[target.id])


def _codes(code: CodeType) -> dict[str, CodeType]:
    """Return the functions of a module and of its classes by their qualified names."""
    found = {}
    for part in code.co_consts:
        if isinstance(part, CodeType):
            if part.co_flags & 2:  # a function, and not the body of a class
                found[part.co_qualname] = part
            else:
                found |= _codes(part)
    return found


def _told(code: CodeType) -> tuple[Any, ...]:
    """Return what a function does, without the lines at which it stands."""
    constants = (_told(c) if isinstance(c, CodeType) else (type(c), c) for c in code.co_consts)
    return code.co_code, code.co_names, code.co_varnames, *constants


def _function(module: ModuleType, name: str) -> FunctionType:
    found: Any = module
    for part in name.split("."):
        found = vars(found)[part]
    found = getattr(found, "fget", None) or getattr(found, "__func__", found)
    while hasattr(found, "__wrapped__"):
        found = found.__wrapped__
    assert isinstance(found, FunctionType), name
    return found


def _forget() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith(("gradcheck.studies.report", "reference_models")):
            for value in list(vars(module).values()):
                if hasattr(value, "cache_clear"):
                    value.cache_clear()
