"""Finds all defects that can be planted in a module, and draws some of them."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from operator import itemgetter
from pathlib import Path

from changes import changes
from defect import Defect, Key

UNTOUCHED = {
    ast.AnnAssign: ("annotation", "target"),
    ast.arg: ("annotation",),
    ast.FunctionDef: ("returns", "decorator_list"),
    ast.ClassDef: ("bases", "keywords", "decorator_list"),
    ast.Raise: ("exc", "cause"),
    ast.ExceptHandler: ("type",),
    ast.JoinedStr: ("values",),
    ast.Import: ("names",),
    ast.ImportFrom: ("names",),
}
"""What is text, a type or a message: not changed."""


@dataclass(frozen=True)
class _Place:
    """Where a node stands: in which class and function, its statement, and names alike."""

    scope: str = ""
    function: str = ""
    statement: int = 1
    alike: tuple[tuple[str, ...], ...] = ()


def defects(path: str, text: str) -> list[Defect]:
    """Return every defect that can be planted in a module, in the order of the text.

    Args:
        path: of the module, relative to the root.
        text: its source.
    """
    begins = [0]
    for line in text.encode().splitlines(keepends=True):
        begins.append(begins[-1] + len(line))
    found = {
        (*defect.key, defect.start): defect
        for node, place in _nodes(ast.parse(text), _Place())
        for defect in _planted(path, text, begins, node, place)
    }
    return sorted(found.values(), key=lambda d: (d.start, d.end, d.after))


def draw(root: Path, paths: Sequence[str], seed: int, count: int) -> list[Defect]:
    """Draw defects, each of all modules' defects as likely as any other.

    A defect's lot is a hash of the seed and of what it changes, so that a change of the modules
    changes no other lots.

    Args:
        root: the folder that the paths start at.
        paths: of the modules.
        seed: the same one draws the same defects of the same text.
        count: how many, all different.
    """
    seen: Counter[Key] = Counter()
    lots = []
    for defect in every(root, paths):
        told = f"{seed} {defect.key} {seen[defect.key]}"
        seen[defect.key] += 1
        lots.append((sha256(told.encode()).digest(), defect))
    return [defect for _, defect in sorted(lots, key=itemgetter(0))[:count]]


def every(root: Path, paths: Sequence[str]) -> list[Defect]:
    """Return all defects of some modules."""
    return [d for path in paths for d in defects(path, (root / path).read_text("utf-8"))]


def _planted(
    path: str, text: str, begins: list[int], node: ast.AST, place: _Place
) -> Iterator[Defect]:
    alike = _others(node.id, place) if isinstance(node, ast.Name) else ()
    for operator, old, new in changes(node, alike):
        assert isinstance(old, ast.expr | ast.stmt)
        start = begins[old.lineno - 1] + old.col_offset
        end = begins[(old.end_lineno or 0) - 1] + (old.end_col_offset or 0)
        before = " ".join(text.encode()[start:end].decode().split())
        after = _written(new)
        if before != after.strip("()"):
            told = (path, place.function, operator, old.lineno, place.statement, start, end)
            yield Defect(*told, before=before, after=after)


def _written(node: ast.AST) -> str:
    text = ast.unparse(node)
    is_closed = isinstance(node, ast.Name | ast.Constant | ast.Call | ast.Slice | ast.stmt)
    return text if is_closed else f"({text})"


def _others(name: str, place: _Place) -> tuple[str, ...]:
    """Return the argument that stands after one of the same type."""
    for names in place.alike:
        if name in names and len(names) > 1:
            return (names[(names.index(name) + 1) % len(names)],)
    return ()


def _nodes(node: ast.AST, place: _Place) -> Iterator[tuple[ast.AST, _Place]]:
    """Return every node that may be changed, with its place."""
    if _is_left_alone(node):
        return
    if isinstance(node, ast.stmt):
        place = replace(place, statement=node.lineno)
    yield node, place
    inside = place
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        inside = replace(place, scope=f"{place.scope}.{node.name}".strip("."))
    if isinstance(node, ast.FunctionDef):
        inside = replace(inside, function=inside.scope, alike=_of_one_type(node.args))
    skipped = next((names for kind, names in UNTOUCHED.items() if isinstance(node, kind)), ())
    for name, value in ast.iter_fields(node):
        if name not in skipped:
            below = inside if name == "body" else place
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _nodes(child, below)


def _is_left_alone(node: ast.AST) -> bool:
    match node:
        case ast.Expr(ast.Constant()) | ast.If(ast.Name("TYPE_CHECKING")):
            return True
        case ast.Assign([ast.Name("__all__")]):
            return True
    return False


def _of_one_type(arguments: ast.arguments) -> tuple[tuple[str, ...], ...]:
    """Group the arguments of a function by what they are said to be."""
    groups: dict[str, list[str]] = {}
    for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
        if argument.annotation:
            groups.setdefault(ast.unparse(argument.annotation), []).append(argument.arg)
    return tuple(map(tuple, groups.values()))
