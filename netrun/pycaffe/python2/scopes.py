"""Statements of a function that Python 3 refuses, or takes otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator

_NAMES = "__python2_names__"
EXECUTED = "__python2_executed__"
_SCOPES = (ast.FunctionDef, ast.ClassDef, ast.Lambda, ast.GeneratorExp)


def mend(tree: ast.Module) -> None:
    """Mend, in place, what functions and the file itself have of Python 2.

    `global` may follow the name's first use, `from x import *` may stand in a function, and
    StopIteration may end a generator.
    """
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef)):
            _globals(node)
        if isinstance(node, ast.FunctionDef):
            _stars(node)
            _execs(node)
            if any(isinstance(part, ast.Yield) for part in own(node)):
                _ends(node)


def own(scope: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of the functions and classes inside it."""
    waiting = list(ast.iter_child_nodes(scope))
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _SCOPES):
            waiting += ast.iter_child_nodes(node)


def _globals(scope: ast.Module | ast.FunctionDef) -> None:
    """Say `global` first; in the file itself it means nothing."""
    names: set[str] = set()
    for node in own(scope):
        for body in _bodies(node):
            names.update(_without_globals(body))
    names.update(_without_globals(scope.body))
    if names and isinstance(scope, ast.FunctionDef):
        said = ast.copy_location(ast.Global(sorted(names)), scope.body[0])
        scope.body.insert(_start(scope), said)


def _bodies(node: ast.AST) -> Iterator[list[ast.stmt]]:
    """The lists of statements in a compound statement that opens no scope."""
    if isinstance(node, _SCOPES):
        return
    for field in ("body", "orelse", "finalbody"):
        body = getattr(node, field, None)
        if isinstance(body, list):
            yield body


def _without_globals(body: list[ast.stmt]) -> list[str]:
    """Take `global` out of statements, and return its names."""
    names: list[str] = []
    for i, statement in enumerate(body):
        if isinstance(statement, ast.Global):
            names += statement.names
            body[i] = ast.copy_location(ast.Pass(), statement)
    return names


def _stars(function: ast.FunctionDef) -> None:
    """Import `*` in a function to the file's names."""
    for body in _all_bodies(function):
        for i, statement in enumerate(body):
            if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                said = f"exec({ast.unparse(statement)!r}, globals())"
                body[i] = ast.copy_location(ast.parse(said).body[0], statement)


def _all_bodies(function: ast.FunctionDef) -> list[list[ast.stmt]]:
    """The lists of statements of a function, without those of functions inside it."""
    return [function.body, *(body for node in own(function) for body in _bodies(node))]


def _execs(function: ast.FunctionDef) -> None:
    """Let `exec code` in a function give the function's variables their values.

    Names that are none of its variables become the file's.
    """
    bodies = [body for body in _all_bodies(function) if any(map(_is_exec, body))]
    if not bodies:
        return
    variables = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
    for node in own(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            variables.add(node.id)
        elif isinstance(node, ast.Global):
            variables.difference_update(node.names)
    for body in bodies:
        for statement in [part for part in body if _is_exec(part)]:
            at = body.index(statement)
            body[at : at + 1] = _with_variables(statement, variables)


def _is_exec(node: ast.stmt) -> bool:
    """Tell the statement `exec code`, without names."""
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Call):
        return False
    called = node.value.func
    return isinstance(called, ast.Name) and called.id == "exec" and len(node.value.args) == 1


def _with_variables(statement: ast.stmt, variables: set[str]) -> list[ast.stmt]:
    """The statements that do `exec code`, and then set variables to what it gave them."""
    assert isinstance(statement, ast.Expr)
    assert isinstance(statement.value, ast.Call)
    lines = [f"{_NAMES} = dict(locals())"]
    lines += [f"if {name!r} in {_NAMES}: {name} = {_NAMES}[{name!r}]" for name in variables]
    lines.append(f"{EXECUTED}(globals(), {_NAMES}, {variables | {_NAMES}!r})")
    first, *rest = ast.parse("\n".join(lines)).body
    statement.value.args += [_parsed("globals()"), _parsed(_NAMES)]
    for new in [first, *rest]:
        for part in ast.walk(new):
            ast.copy_location(part, statement)
    return [first, statement, *rest]


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _ends(generator: ast.FunctionDef) -> None:
    """Let a StopIteration that is raised in a generator end it."""
    at = _start(generator)
    rest = generator.body[at:]
    if rest:
        caught = ast.ExceptHandler(ast.Name("StopIteration", ast.Load()), None, [ast.Return()])
        tried = ast.Try(rest, [caught], [], [])
        generator.body[at:] = [ast.copy_location(tried, rest[0])]


def _start(function: ast.FunctionDef) -> int:
    """Where a function's statements begin, after its docstring."""
    return int(ast.get_docstring(function, clean=False) is not None)
