"""Statements of a function that Python 3 refuses, or takes otherwise."""

from __future__ import annotations

import ast
from collections.abc import Iterator

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
    for node in [function, *own(function)]:
        for body in _bodies(node) if node is not function else [function.body]:
            for i, statement in enumerate(body):
                if isinstance(statement, ast.ImportFrom) and statement.names[0].name == "*":
                    said = f"exec({ast.unparse(statement)!r}, globals())"
                    body[i] = ast.copy_location(ast.parse(said).body[0], statement)


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
