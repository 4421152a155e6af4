"""Says how one node of a syntax tree can be wrong: the changes that are planted."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from copy import copy

Change = tuple[str, ast.AST, ast.AST]
"""The kind of a change, the node that is changed, and what stands in its place."""

Instead = tuple[str, ast.AST]
"""The kind of a change, and what stands in place of a node."""

COMPARISONS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.Gt),
    ast.LtE: (ast.Lt, ast.GtE),
    ast.Gt: (ast.GtE, ast.Lt),
    ast.GtE: (ast.Gt, ast.LtE),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}

ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
    ast.BitXor: ast.BitOr,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}

PAIRS = (
    *(("min", "max"), ("minimum", "maximum"), ("fmin", "fmax"), ("nanmin", "nanmax")),
    *(("any", "all"), ("argmin", "argmax"), ("floor", "ceil"), ("log", "log1p"), ("exp", "expm1")),
    *(("zeros", "ones"), ("zeros_like", "ones_like"), ("nextafter", "copysign")),
)
INSTEAD = dict(PAIRS) | {b: a for a, b in PAIRS} | {"sum": "max", "hypot": "maximum"}
"""Functions, and others that stand instead of them."""

CHOICES = {"min", "max", "minimum", "maximum", "fmin", "fmax", "hypot", "total"}
"""Functions of terms whose order does not matter, and each of which may be forgotten."""

SIZES = {"abs", "sqrt", "sorted", "set", "square"}
"""Functions of one argument that may be forgotten."""


FEW = 2
"""Counts up to here are changed by one, others by a factor of two."""


def changes(node: ast.AST, alike: Sequence[str] = ()) -> Iterator[Change]:
    """Return the changes of one node, its children left as they are.

    Args:
        node: of an expression or a statement.
        alike: names that could stand here instead, if the node is a name.
    """
    match node:
        case ast.If(test) | ast.While(test) | ast.IfExp(test):
            yield "condition", test, _negated(test)
        case ast.comprehension(ifs=conditions):
            for test in conditions:
                yield "condition", test, _negated(test)
                yield "term", test, ast.Constant(value=True)
        case ast.expr():
            for operator, new in _expression(node, alike):
                yield operator, node, new
    if isinstance(node, ast.stmt):
        for new in _statement(node):
            yield "statement", node, new


def _expression(node: ast.expr, alike: Sequence[str]) -> Iterator[Instead]:
    match node:
        case ast.Compare(ops=[op]):
            for other in COMPARISONS[type(op)]:
                yield "comparison", _with(node, ops=[other()])
        case ast.UnaryOp(ast.Not() | ast.USub() | ast.Invert(), operand):
            yield "sign", operand
        case ast.Constant(value):
            for number in _other_numbers(value):
                yield "constant", ast.Constant(number)
        case ast.Name(ctx=ast.Load()):
            for name in alike:
                yield "name", ast.Name(name, ast.Load())
        case _:
            yield from _compound(node)


def _compound(node: ast.expr) -> Iterator[Instead]:
    match node:
        case ast.BinOp():
            yield from _arithmetic(node)
        case ast.BoolOp(op, values):
            yield "and/or", _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And())
            for i in range(len(values)):
                rest = values[:i] + values[i + 1 :]
                yield "term", rest[0] if len(rest) == 1 else _with(node, values=rest)
        case ast.Call():
            yield from _call(node)
        case ast.Slice():
            yield from _slice(node)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _negated(test: ast.expr) -> ast.expr:
    return ast.UnaryOp(ast.Not(), test)


def _arithmetic(node: ast.BinOp) -> Iterator[Instead]:
    if any(isinstance(n, ast.JoinedStr) or _is_text(n) for n in (node.left, node.right)):
        return
    if other := ARITHMETIC.get(type(node.op)):
        yield "arithmetic", _with(node, op=other())
    yield "term", node.left
    if not isinstance(node.op, ast.Pow):
        yield "term", node.right


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _other_numbers(value: object) -> tuple[float, ...]:
    match value:
        case bool():
            return (not value,)
        case int() if abs(value) > FEW:
            return 2 * value, value // 2
        case int():
            return (1,) if value == 0 else (value + 1, value - 1)
        case float():
            return (2 * value, value / 2) if value else (1.0,)
    return ()


def _call(node: ast.Call) -> Iterator[Instead]:
    name = getattr(node.func, "attr", getattr(node.func, "id", ""))
    plain = [a for a in node.args if not isinstance(a, ast.Starred)] == node.args
    if name in INSTEAD:
        field = "attr" if isinstance(node.func, ast.Attribute) else "id"
        yield "function", _with(node, func=_with(node.func, **{field: INSTEAD[name]}))
    if plain and len(node.args) > 1 and name in CHOICES:
        for i in range(len(node.args)):
            yield "term", _with_one_less(node, i, name)
    elif plain and len(node.args) > 1:
        yield "order", _with(node, args=[node.args[1], node.args[0], *node.args[2:]])
    if plain and len(node.args) == 1 and not node.keywords and name in SIZES:
        yield "function", node.args[0]
    for i, keyword in enumerate(node.keywords):
        if keyword.arg:
            rest = node.keywords[:i] + node.keywords[i + 1 :]
            yield "keyword", _with(node, keywords=rest)


def _with_one_less(node: ast.Call, i: int, name: str) -> ast.AST:
    rest = node.args[:i] + node.args[i + 1 :]
    alone = len(rest) == 1 and name != "total"
    return rest[0] if alone else _with(node, args=rest)


def _slice(node: ast.Slice) -> Iterator[Instead]:
    one = ast.Constant(1)
    lower = ast.BinOp(node.lower, ast.Add(), one) if node.lower else one
    upper = ast.BinOp(node.upper, ast.Sub(), one) if node.upper else ast.Constant(-1)
    yield "slice", _with(node, lower=lower)
    yield "slice", _with(node, upper=upper)


def _statement(node: ast.stmt) -> Iterator[ast.stmt]:
    match node:
        case ast.Expr(ast.Call()) | ast.AugAssign() | ast.Raise() | ast.Break() | ast.Continue():
            yield ast.Pass()
        case ast.Assign(targets=[ast.Subscript() | ast.Attribute()]) | ast.Return(None):
            yield ast.Pass()
        case ast.Return(ast.Constant(None)):
            pass
        case ast.Return():
            yield ast.Return(ast.Constant(None))
